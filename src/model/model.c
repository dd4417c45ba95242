/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a model: bytes -> validated -> attributes -> libxgboost -> golden vectors. The bytes that
 * were validated are the bytes libxgboost gets, so a file changed in between does no harm.
 */
#include "km/model/model.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/file.h"
#include "km/base/hash.h"
#include "km/model/validate.h"

#include "model_internal.h"

#define GOLDEN_TOLERANCE 1e-5
#define ARENA_KEEP_BYTES 0

static struct km_model *model_create(void)
{
	struct km_model *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	atomic_init(&m->refs, 1);
	km_arena_init(&m->arena, ARENA_KEEP_BYTES);
	(void)pthread_mutex_init(&m->proxies.lock, NULL); /* never fails with default attributes */
	return m;
}

static void model_free(struct km_model *m)
{
	km_model_thread_init();
	km_proxies_fini(&m->proxies);
	if (m->booster)
		(void)XGBoosterFree(m->booster);
	km_schema_unref(m->schema);
	km_arena_fini(&m->arena);
	free(m);
}

struct km_model *km_model_ref(struct km_model *m)
{
	(void)atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
	return m;
}

void km_model_unref(struct km_model *m)
{
	if (m && atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1)
		model_free(m);
}

/* Also makes libxgboost finish its lazy set-up while nobody else has the model. */
static int check_golden(struct km_model *m, struct km_err *err)
{
	const struct km_golden *g = &m->golden;
	float *margin = km_arena_calloc(&m->arena, g->count, sizeof(*margin));
	int rc;

	if (!margin)
		return km_err_set(err, ENOMEM, "model: out of memory");
	rc = km_model_margins(m, g->rows, g->count, margin, err);
	for (size_t i = 0; rc == 0 && i < g->count; i++) {
		double want = (double)g->margin[i];

		/* Written so that a NaN fails. */
		if (!(fabs((double)margin[i] - want) <= GOLDEN_TOLERANCE * fmax(1, fabs(want))))
			return km_err_set(err, EBADMSG,
			                  "golden vector %zu: the trees give %.9g, want %.9g", i,
			                  (double)margin[i], want);
	}
	return rc;
}

static int load_booster(struct km_model *m, const void *bytes, size_t len, struct km_err *err)
{
	int rc = km_xgb_booster(NULL, 0, &m->booster, err);

	if (rc != 0)
		return rc;
	if (XGBoosterLoadModelFromBuffer(m->booster, bytes, len) != 0) {
		(void)km_xgb_error(err, "XGBoosterLoadModelFromBuffer");
		return km_err_recode(err, EBADMSG);
	}
	/* Loading resets what it was told before. */
	if (XGBoosterSetParam(m->booster, "nthread", "1") != 0)
		return km_xgb_error(err, "XGBoosterSetParam");
	return 0;
}

/* "models/pcm-nginx/model.ubj" -> "pcm-nginx"; "" when there is no directory. */
static const char *directory_name(struct km_arena *arena, const char *path)
{
	const char *end = strrchr(path, '/');
	const char *start = end;

	while (start && start > path && start[-1] != '/')
		start--;
	return start ? km_arena_strndup(arena, start, (size_t)(end - start)) : "";
}

/* Everything but reading the file. `path` gives a name to a model that has none. */
static int load(struct km_model *m, const void *bytes, size_t len, const char *path,
                struct km_err *err)
{
	struct km_attrs attrs = { .doubled = NULL };
	struct km_model_shape shape = { .tree_count = 0 };
	int rc;

	if (len > KM_MODEL_FILE_MAX_BYTES)
		return km_err_set(err, EFBIG, "%zu bytes, want at most %u", len,
		                  KM_MODEL_FILE_MAX_BYTES);
	rc = km_model_validate(bytes, len, &shape, km_attrs_collect, &attrs, err);
	if (rc != 0)
		return rc;
	m->info.hash = km_hash64(bytes, len, 0);
	m->info.file_bytes = len;
	m->info.tree_count = shape.tree_count;
	m->info.max_depth = shape.max_depth;
	rc = km_attrs_read(&attrs, m, err);
	if (rc != 0)
		return rc;
	if (m->schema->count != shape.feature_count)
		return km_err_set(err, EBADMSG, "%u feature names, but the trees have %u",
		                  m->schema->count, shape.feature_count);
	if (m->info.name[0] == '\0')
		m->info.name = directory_name(&m->arena, path);
	if (!m->info.name)
		return km_err_set(err, ENOMEM, "model: out of memory");
	rc = load_booster(m, bytes, len, err);
	return rc == 0 ? check_golden(m, err) : rc;
}

static int open_named(const void *bytes, size_t len, const char *path, struct km_model **out,
                      struct km_err *err)
{
	struct km_model *m = model_create();
	int rc;

	if (!m)
		return km_err_set(err, ENOMEM, "model: out of memory");
	rc = load(m, bytes, len, path, err);
	if (rc != 0) {
		km_ubj_clean(err);
		km_model_unref(m);
		return rc;
	}
	*out = m;
	return 0;
}

int km_model_open_bytes(const void *bytes, size_t len, struct km_model **out, struct km_err *err)
{
	return open_named(bytes, len, "", out, err);
}

int km_model_open(const char *path, struct km_model **out, struct km_err *err)
{
	struct km_buf bytes;
	int rc;

	km_buf_init(&bytes);
	rc = km_file_read(path, KM_MODEL_FILE_MAX_BYTES, &bytes, err);
	if (rc == 0) {
		rc = open_named(bytes.data, bytes.len, path, out, err);
		if (rc != 0)
			(void)km_err_prefix(err, "%s", path);
	}
	km_buf_fini(&bytes);
	return rc;
}

const struct km_schema *km_model_schema(const struct km_model *m)
{
	return m->schema;
}

void km_model_info(const struct km_model *m, struct km_model_info *out)
{
	*out = m->info;
}

const float *km_model_golden(const struct km_model *m, size_t *count)
{
	*count = m->golden.count;
	return m->golden.rows;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which model serves: loaded at start, on SIGHUP and when its file changed; a bad one is refused in
 * one line and the old one stays. Also the schema that the agent computes when there is none.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "km/base/log.h"

#include "app_internal.h"

/* Without a model /v1/features and the dashboards still show what the counters say. */
static const char *const default_features[] = {
	"node.ipc.mean",
	"node.ipc.std",
	"node.ipc.p95",
	"node.l2_miss_per_s.mean",
	"node.l2_miss_per_s.std",
	"node.l2_miss_per_s.p95",
	"node.l3_miss_per_s.mean",
	"node.l3_miss_per_s.std",
	"node.l3_miss_per_s.p95",
	"node.c0_ratio.mean",
	"node.c0_ratio.std",
	"node.c0_ratio.p95",
	"rest.ipc.mean",
	"rest.l3_miss_per_s.mean",
	"rest.c0_ratio.mean",
	"host.mem_read_bytes_per_s.mean",
	"host.mem_write_bytes_per_s.mean",
	"node.busy_ratio.mean",
	"node.busy_ratio.p95",
	"node_max.busy_ratio.mean",
	"rest.busy_ratio.mean",
	"node.steal_ratio.mean",
	"node.cpu_psi_ratio.mean",
	"node.throttled_ratio.mean",
	"host.cpu_psi_ratio.mean",
	"host.memory_psi_ratio.mean",
	"host.io_psi_ratio.mean",
	"host.runnable_per_cpu.mean",
	"host.context_switches_per_s.mean",
};

#define DEFAULT_BIN_S 5.0

void app_stamp_read(const char *path, struct app_stamp *out)
{
	struct stat st;

	memset(out, 0, sizeof(*out));
	if (path[0] == '\0' || stat(path, &st) != 0)
		return;
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	out->size = st.st_size;
	out->mtime = st.st_mtim;
}

static bool same_stamp(const struct app_stamp *a, const struct app_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

static uint64_t hash_of(const struct km_model *m)
{
	struct km_model_info info;

	if (m == NULL)
		return 0;
	km_model_info(m, &info);
	return info.hash;
}

static void log_model(const struct km_model *m, const char *path)
{
	const struct km_schema *schema = km_model_schema(m);
	struct km_model_info info;

	km_model_info(m, &info);
	km_log_info("app",
	            "model loaded name=%s hash=%016" PRIx64
	            " trees=%u features=%u window_s=%g bin_s=%g tier=%s path=%s",
	            info.name, info.hash, info.tree_count, schema->count, schema->window_s,
	            schema->bin_s, km_tier_name(schema->tier), path);
}

bool app_model_open(struct app *a, const char *path, struct km_model **fresh)
{
	const char *keep = a->model != NULL ? "the old model" : "neutral answers";
	struct km_err err = { .code = 0 };
	int rc;

	*fresh = NULL;
	/* Before reading: a change while we read is seen by the next check. */
	app_stamp_read(path, &a->model_seen);
	if (path[0] != '\0') {
		rc = km_model_open(path, fresh, &err);
		if (rc == -ENOENT && a->model == NULL) {
			km_log_info("app", "model absent path=%s serving=\"%s\"", path, keep);
			return false;
		}
		if (rc != 0) {
			km_counter_add(a->models_refused, 1);
			km_log_error("app", "model refused error=\"%s\" serving=\"%s\"", err.text,
			             keep);
			return false;
		}
		km_counter_add(a->models_applied, 1);
	}
	/* The same bytes again: keep the one whose predictions are cached. */
	if (hash_of(*fresh) == hash_of(a->model)) {
		km_model_unref(*fresh);
		*fresh = NULL;
		return false;
	}
	if (*fresh != NULL)
		log_model(*fresh, path);
	else
		km_log_info("app", "model dropped serving=\"neutral answers\"");
	return true;
}

void app_model_use(struct app *a, struct km_model *fresh)
{
	if (a->decide != NULL)
		km_decide_set_model(a->decide, fresh);
	km_model_unref(a->model);
	a->model = fresh;
}

void app_model_check(struct app *a)
{
	struct km_err err = { .code = 0 };
	struct km_schema *schema = NULL;
	struct km_model *fresh;
	struct app_stamp now;
	int rc;

	app_stamp_read(a->settings->model_path, &now);
	/* Gone is no reason to forget a model that works. */
	if (now.ino == 0 || same_stamp(&now, &a->model_seen))
		return;
	if (!app_model_open(a, a->settings->model_path, &fresh))
		return;
	rc = app_schema(fresh, a->settings, &schema, &err);
	if (rc != 0) {
		km_log_error("app", "model refused error=\"%s\"", err.text);
		km_model_unref(fresh);
		return;
	}
	app_schema_use(a, schema);
	app_model_use(a, fresh);
}

int app_schema(const struct km_model *m, const struct km_settings *s, struct km_schema **out,
               struct km_err *err)
{
	double window_s = s->collect.window_s;

	if (m != NULL) {
		*out = km_schema_ref(km_model_schema(m));
		return 0;
	}
	return km_schema_create(default_features, KM_ARRAY_LEN(default_features), window_s,
	                        window_s < DEFAULT_BIN_S ? window_s : DEFAULT_BIN_S, out, err);
}

void app_schema_use(struct app *a, struct km_schema *schema)
{
	bool other = a->schema == NULL || schema->hash != a->schema->hash;

	/* Rows of another schema than the model's are no data to decide: neutral, not wrong. */
	if (other && a->agent != NULL && km_agent_set_schema(a->agent, schema) != 0)
		km_log_error("app", "schema refused error=memory serving=\"neutral answers\"");
	if (other)
		app_kubernetes_schema(a, schema);
	km_schema_unref(a->schema);
	a->schema = schema;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Models without some campaigns: a table of the others, trees, a model file that lives briefly. */
#include "km/eval/holdout.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "km/base/rng.h"

#include "exam.h"

#define THESIS_AT      3 /* among the baselines */
#define GOLDEN_ROWS    4
#define PATH_MAX_BYTES 4096

struct km_holdout {
	struct exam exam;
	struct subject pressure;
};

static int init_pressure(struct km_holdout *h, struct km_err *err)
{
	const char *names[KM_FEATURES_MAX];
	size_t count = 0;
	int rc;

	for (size_t i = 0; i < h->exam.name_count; i++) {
		struct km_feature f;

		if (km_feature_parse(h->exam.name[i], &f, NULL) == 0 && f.scope < KM_SCOPE_POD)
			names[count++] = h->exam.name[i];
	}
	if (count == 0)
		return km_err_set(err, EINVAL, "no feature but those of the pod itself");
	rc = subject_init(&h->pressure, km_dataset_schema(h->exam.dataset), names, count, err);
	h->pressure.name = "pressure";
	h->pressure.learner = &learner_trees;
	/* a model file does not say how it was trained */
	h->pressure.recipe = h->exam.subject.recipe.rounds > 0 ? h->exam.subject.recipe
	                                                       : h->exam.baseline[THESIS_AT].recipe;
	h->pressure.recipe.monotone_inflight = false;
	return rc;
}

int km_holdout_open(const struct km_eval_options *options, struct km_holdout **out,
                    struct km_err *err)
{
	struct km_holdout *h = calloc(1, sizeof(*h));
	int rc;

	*out = NULL;
	if (h == NULL)
		return km_err_set(err, ENOMEM, "hold-out: out of memory");
	rc = exam_open(options, options->model != NULL, &h->exam, err);
	if (rc != 0) {
		free(h);
		return rc;
	}
	if (!h->exam.placement)
		rc = km_err_set(err, EINVAL, "a model of diagnosis, want one of placement");
	else if (options->no_baselines)
		rc = km_err_set(err, EINVAL, "hold-out: want the baselines' columns");
	if (rc == 0)
		rc = init_pressure(h, err);
	if (rc != 0) {
		km_holdout_free(h);
		return rc;
	}
	*out = h;
	return 0;
}

void km_holdout_free(struct km_holdout *h)
{
	if (h == NULL)
		return;
	subject_fini(&h->pressure);
	exam_close(&h->exam);
	free(h);
}

const struct km_dataset *km_holdout_dataset(const struct km_holdout *h)
{
	return h->exam.dataset;
}

bool km_holdout_is_given(const struct km_holdout *h)
{
	return h->exam.model != NULL;
}

static void permute(struct table *t, uint64_t seed)
{
	struct km_rng rng;

	km_rng_init(&rng, seed);
	for (size_t i = t->count; i > 1; i--) {
		size_t k = km_rng_below(&rng, (uint32_t)i);
		float label = t->labels[i - 1];

		t->labels[i - 1] = t->labels[k];
		t->labels[k] = label;
	}
}

static int learn_table(const struct km_holdout *h, const struct subject *s, const bool *without,
                       struct table *t, struct km_err *err)
{
	size_t count;
	const struct km_dataset_row *row = km_dataset_rows(h->exam.dataset, &count);
	bool *keep = calloc(count + 1, sizeof(*keep));
	int rc;

	if (keep == NULL)
		return km_err_set(err, ENOMEM, "hold-out: out of memory");
	for (size_t i = 0; i < count; i++)
		keep[i] = without == NULL ||
		          (!without[row[i].campaign] && !without[row[i].before_campaign]);
	rc = table_build(h->exam.dataset, s, keep, t, err);
	free(keep);
	return rc;
}

/* Where a file may lie for a moment. */
static int temporary(char *out, size_t size, struct km_err *err)
{
	const char *dir =
		getenv("TMPDIR"); /* NOLINT(concurrency-mt-unsafe): the tool's one thread */
	int fd;

	(void)snprintf(out, size, "%s/kubemarla-XXXXXX",
	               dir != NULL && dir[0] != '\0' ? dir : "/tmp");
	fd = mkstemp(out);
	if (fd < 0)
		return km_err_errno(err, errno, "%s", out);
	(void)close(fd);
	return 0;
}

static int as_model(const struct subject *s, const struct table *t, struct km_booster *b,
                    struct km_model **out, struct km_err *err)
{
	const char *names[KM_FEATURES_MAX];
	char path[PATH_MAX_BYTES];
	struct km_schema *schema = NULL;
	double *range = calloc(2 * t->columns + 1, sizeof(*range));
	struct km_model_meta meta;
	int rc = range != NULL ? 0 : km_err_set(err, ENOMEM, "hold-out: out of memory");

	for (size_t i = 0; i < s->column_count; i++)
		names[i] = s->schema->feature[s->column[i]].name;
	if (rc == 0)
		rc = km_schema_create(names, s->column_count, s->schema->window_s, s->schema->bin_s,
		                      &schema, err);
	if (rc == 0)
		rc = temporary(path, sizeof(path), err);
	if (rc == 0) {
		table_ranges(t, range, range + t->columns);
		meta = (struct km_model_meta){
			.name = s->name,
			.task = "placement",
			.provenance = "a part of a dataset, for judging",
			.schema = schema,
			.residual_sd = NAN,
			.interval_low = NAN,
			.interval_high = NAN,
			.range_low = range,
			.range_high = range + t->columns,
			.golden = t->rows,
			.golden_count = t->count < GOLDEN_ROWS ? t->count : GOLDEN_ROWS,
		};
		rc = km_model_write(path, b, &meta, err);
		if (rc == 0)
			rc = km_model_open(path, out, err);
		(void)unlink(path);
	}
	km_schema_unref(schema);
	free(range);
	return rc;
}

int km_holdout_fit(const struct km_holdout *h, enum km_holdout_kind kind, const bool *without,
                   uint64_t permute_seed, struct km_model **out, struct km_err *err)
{
	const struct subject *s = kind == KM_HOLDOUT_RECIPE   ? &h->exam.subject
	                          : kind == KM_HOLDOUT_THESIS ? &h->exam.baseline[THESIS_AT]
	                                                      : &h->pressure;
	struct km_booster *b = NULL;
	struct table t = { .count = 0 };
	int rc;

	*out = NULL;
	if (kind == KM_HOLDOUT_RECIPE && h->exam.model != NULL) {
		*out = km_model_ref(h->exam.model);
		return 0;
	}
	rc = learn_table(h, s, without, &t, err);
	if (rc == 0 && permute_seed != 0)
		permute(&t, permute_seed);
	if (rc == 0)
		rc = trees_train(s, &t, NULL, NULL, NULL, &b, err);
	if (rc == 0)
		rc = as_model(s, &t, b, out, err);
	km_booster_free(b);
	table_fini(&t);
	return rc;
}

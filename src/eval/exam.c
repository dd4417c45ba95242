/* SPDX-License-Identifier: Apache-2.0 */
/* A folder, a model or a recipe, and the baselines, made ready for judging. */
#include "exam.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_MAX_BYTES     4096
#define BASELINE_FOLDS_MAX 96 /* what a folder of very many campaigns is compared with */

/* "models/x/model.ubj" -> "models/x/features.yaml". */
static int list_path(const struct km_eval_options *o, char *out, size_t size, struct km_err *err)
{
	const char *slash = o->model != NULL ? strrchr(o->model, '/') : NULL;
	int dir = slash != NULL ? (int)(slash - o->model) + 1 : 0;
	int len;

	if (o->features != NULL)
		len = snprintf(out, size, "%s", o->features);
	else
		len = snprintf(out, size, "%.*sfeatures.yaml", dir,
		               o->model != NULL ? o->model : "");
	return len < (int)size ? 0 : km_err_set(err, ENAMETOOLONG, "path too long");
}

static int read_model(struct exam *e, struct km_err *err)
{
	const struct km_schema *schema;
	struct km_model_info info;
	int rc = km_model_open(e->options->model, &e->model, err);

	if (rc != 0)
		return rc;
	km_model_info(e->model, &info);
	schema = km_model_schema(e->model);
	e->placement = strcmp(info.task, "placement") == 0;
	e->name_count = schema->count;
	e->name = calloc(e->name_count + 1, sizeof(*e->name));
	if (e->name == NULL)
		return km_err_set(err, ENOMEM, "eval: out of memory");
	for (size_t i = 0; i < e->name_count; i++)
		e->name[i] = schema->feature[i].name;
	e->list.window_s = schema->window_s;
	e->list.bin_s = schema->bin_s;
	return 0;
}

static int read_list(struct exam *e, struct km_err *err)
{
	char path[PATH_MAX_BYTES];
	int rc = list_path(e->options, path, sizeof(path), err);

	if (rc == 0)
		rc = km_feature_list_load(path, &e->list, err);
	if (rc != 0)
		return rc;
	e->placement = strcmp(e->list.task, "placement") == 0;
	e->name_count = e->list.feature_count;
	e->name = calloc(e->name_count + 1, sizeof(*e->name));
	if (e->name == NULL)
		return km_err_set(err, ENOMEM, "eval: out of memory");
	for (size_t i = 0; i < e->name_count; i++)
		e->name[i] = e->list.feature[i];
	return 0;
}

static bool among(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

/* The model's columns, then those that only baselines read. */
static int make_schema(const struct exam *e, struct km_schema **out, struct km_err *err)
{
	const char *names[KM_FEATURES_MAX];
	size_t count = 0;

	if (e->name_count > KM_FEATURES_MAX)
		return km_err_set(err, E2BIG, "%zu features, want at most %d", e->name_count,
		                  KM_FEATURES_MAX);
	for (size_t i = 0; i < e->name_count; i++)
		names[count++] = e->name[i];
	for (size_t i = 0; baseline_feature(i) != NULL && count < KM_FEATURES_MAX; i++) {
		if (!among(names, count, baseline_feature(i)))
			names[count++] = baseline_feature(i);
	}
	return km_schema_create(names, count, e->list.window_s, e->list.bin_s, out, err);
}

static bool any_inflight(const struct km_schema *s)
{
	for (uint32_t i = 0; i < s->count; i++) {
		if (s->feature[i].scope == KM_SCOPE_INFLIGHT)
			return true;
	}
	return false;
}

static void trace_progress(void *ctx, size_t done, size_t all)
{
	const struct exam *e = ctx;

	/* the folder's runs are an estimate: placement needs only some of their traces */
	if (e->options->progress != NULL && done % 100 == 0)
		(void)e->options->progress(e->options->ctx, "reading traces", done, all);
}

static int open_dataset(struct exam *e, struct km_err *err)
{
	struct km_dataset_options o = {
		.dir = e->options->dataset,
		.pairs = e->options->pairs,
		.placement = e->placement,
		.progress = trace_progress,
		.ctx = e,
	};
	struct km_schema *schema = NULL;
	int rc = make_schema(e, &schema, err);

	if (rc != 0 || schema == NULL)
		return rc;
	o.schema = schema;
	o.inflight = any_inflight(schema);
	rc = km_dataset_open(&o, &e->dataset, err);
	km_schema_unref(schema);
	return rc;
}

static int alloc_predictions(struct exam *e, struct km_err *err)
{
	size_t n;

	(void)km_dataset_rows(e->dataset, &e->row_count);
	n = e->row_count * PREDICTIONS_PER_ROW;
	e->margin = reallocarray(NULL, 4 * n + 1, sizeof(*e->margin));
	if (e->margin == NULL)
		return km_err_set(err, ENOMEM, "eval: out of memory for %zu rows", e->row_count);
	for (size_t i = 0; i < 4 * n; i++)
		e->margin[i] = NAN;
	e->low = e->margin + n;
	e->high = e->low + n;
	e->other = e->high + n;
	return 0;
}

int exam_open(const struct km_eval_options *options, bool given, struct exam *e, struct km_err *err)
{
	const struct km_schema *schema = NULL;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int rc;

	*e = (struct exam){ .options = options };
	e->threads = options->threads > 0 ? options->threads : (unsigned)(cpus > 0 ? cpus : 1);
	rc = given ? read_model(e, err) : read_list(e, err);
	if (rc == 0)
		rc = open_dataset(e, err);
	if (rc == 0)
		rc = alloc_predictions(e, err);
	if (rc == 0) {
		schema = km_dataset_schema(e->dataset);
		rc = subject_init(&e->subject, schema, e->name, e->name_count, err);
		e->subject.name = "model";
		e->subject.learner = &learner_trees;
		e->subject.recipe = e->list.recipe;
	}
	if (rc == 0 && !options->no_baselines)
		rc = baselines_init(e->baseline, schema, e->name, e->name_count, &e->list.recipe,
		                    err);
	if (rc != 0)
		exam_close(e);
	return rc;
}

void exam_close(struct exam *e)
{
	for (size_t i = 0; i < BASELINES; i++)
		subject_fini(&e->baseline[i]);
	subject_fini(&e->subject);
	free(e->margin);
	km_dataset_free(e->dataset);
	free(e->name);
	km_feature_list_fini(&e->list);
	km_model_unref(e->model);
	memset(e, 0, sizeof(*e));
}

/* The interval that the residuals of all campaigns but `campaign` give, fitted at its first use. */
static const struct interval *interval_without(const struct exam *e, struct interval *of,
                                               uint32_t campaign, int *rc, struct km_err *err)
{
	if (of[campaign].knot_count == 0)
		*rc = interval_fit(e->dataset, e->margin, campaign, &of[campaign], err);
	return &of[campaign];
}

static void bound_row(const struct interval *interval, const float *margin, float *low, float *high)
{
	for (size_t k = 0; k < PREDICTIONS_PER_ROW; k++) {
		double l = NAN;
		double h = NAN;

		if (interval->knot_count > 0)
			km_interval_at(interval->knot, interval->knot_count, (double)margin[k], &l,
			               &h);
		/* as the model serves it: the prediction is always inside */
		low[k] = margin[k] + (float)fmin(l, 0);
		high[k] = margin[k] + (float)fmax(h, 0);
	}
}

/*
 * Bounds for every row, from the residuals of all campaigns but its own. Rows come in the order of
 * their file: a fit for each change of campaign would be one for each row of a shuffled one.
 */
static int bound_rows(struct exam *e, struct km_err *err)
{
	const struct km_dataset_row *row = km_dataset_rows(e->dataset, &e->row_count);
	struct interval *of;
	uint32_t most = 0;
	int rc = 0;

	for (size_t i = 0; i < e->row_count; i++)
		most = row[i].campaign > most ? row[i].campaign : most;
	of = calloc((size_t)most + 1, sizeof(*of));
	if (of == NULL)
		return km_err_set(err, ENOMEM, "interval: out of memory");
	for (size_t i = 0; rc == 0 && i < e->row_count; i++) {
		size_t at = i * PREDICTIONS_PER_ROW;
		const struct interval *interval =
			interval_without(e, of, row[i].campaign, &rc, err);

		bound_row(interval, e->margin + at, e->low + at, e->high + at);
	}
	free(of);
	return rc;
}

int exam_crossval(struct exam *e, enum km_protocol protocol, struct km_err *err)
{
	struct crossval cv = {
		.dataset = e->dataset,
		.protocol = protocol,
		.threads = e->threads,
		.progress = e->options->progress,
		.ctx = e->options->ctx,
		.what = km_protocol_name(protocol),
	};
	int rc = crossval_run(&cv, &e->subject, e->margin, err);

	if (rc == 0 && crossval_possible(e->dataset, KM_PROTOCOL_CAMPAIGN))
		rc = bound_rows(e, err);
	return rc;
}

static int add_baselines(struct exam *e, enum km_protocol protocol, struct km_eval_report *r,
                         struct km_err *err)
{
	struct crossval cv = {
		.dataset = e->dataset,
		.protocol = protocol,
		.threads = e->threads,
		.progress = e->options->progress,
		.ctx = e->options->ctx,
	};
	const char *left_out = NULL; /* one of them has counters of its own */
	size_t folds = 0;
	int rc = 0;

	if (protocol == KM_PROTOCOL_GIVEN) {
		cv.folds_max = BASELINE_FOLDS_MAX;
		cv.sampled_of = &folds;
		cv.protocol = crossval_possible(e->dataset, KM_PROTOCOL_CAMPAIGN)
		                      ? KM_PROTOCOL_CAMPAIGN
		                      : KM_PROTOCOL_SCENARIO;
		if (!crossval_possible(e->dataset, cv.protocol)) {
			(void)snprintf(r->baseline_protocol, sizeof(r->baseline_protocol),
			               "none: one campaign and scenario only");
			return 0;
		}
	}
	(void)snprintf(r->baseline_protocol, sizeof(r->baseline_protocol), "%s on this folder",
	               km_protocol_name(cv.protocol));
	for (size_t i = 0; rc == 0 && i < BASELINES; i++) {
		bool measured = subject_is_measured(e->dataset, &e->baseline[i]);

		if (i == BASELINE_THESIS && !measured)
			left_out = e->baseline[i].name;
		if (!measured || (i == BASELINE_CPU_USE && left_out == NULL))
			continue;
		cv.what = e->baseline[i].name;
		rc = crossval_run(&cv, &e->baseline[i], e->other, err);
		if (rc == 0)
			rc = report_add_baseline(r, e->dataset, &e->baseline[i], e->other, err);
	}
	if (rc == 0 && folds > 0)
		(void)snprintf(r->baseline_protocol, sizeof(r->baseline_protocol),
		               "%s on this folder, %d of %zu folds", km_protocol_name(cv.protocol),
		               FOLDS_SAMPLED, folds);
	if (rc == 0 && left_out != NULL) {
		size_t len = strlen(r->baseline_protocol);

		(void)snprintf(r->baseline_protocol + len, sizeof(r->baseline_protocol) - len,
		               "; left out: %s, none of its counters was measured here", left_out);
	}
	if (rc == -ENODATA && protocol == KM_PROTOCOL_GIVEN) {
		/* what is asked for is the model's judgement; this folder has none to compare */
		(void)snprintf(r->baseline_protocol, sizeof(r->baseline_protocol),
		               "none: too few rows to learn from");
		r->baseline_count = 0;
		rc = 0;
	}
	return rc;
}

int exam_report(struct exam *e, enum km_protocol protocol, struct km_eval_report *r,
                struct km_err *err)
{
	int rc;

	r->placement = e->placement;
	r->protocol = protocol;
	r->mask_now = e->options->mask_now;
	r->rows = e->row_count;
	km_dataset_stats(e->dataset, &r->stats);
	rc = report_fill(r, e->dataset, e->margin, e->low, e->high, e->options->bootstrap_rounds,
	                 err);
	if (rc == 0 && !e->options->no_baselines)
		rc = add_baselines(e, protocol, r, err);
	return rc;
}

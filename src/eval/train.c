/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a recipe to a model file: cross-validate for the interval, fit to everything, write. What
 * serving needs beside the trees (ranges, golden rows, provenance) is taken from the same table the
 * trees were fitted to.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/clock.h"
#include "km/wire/json.h"

#include "exam.h"

#define GOLDEN_ROWS 8

/* Rows spread over the table; they come in all layouts, so some have values missing. */
static size_t pick_golden(const struct table *t, float *out)
{
	size_t count = t->count < GOLDEN_ROWS ? t->count : GOLDEN_ROWS;

	for (size_t i = 0; i < count; i++)
		memcpy(out + i * t->columns,
		       t->rows + (i * t->count / count + i % 3 % t->count) % t->count * t->columns,
		       t->columns * sizeof(*out));
	return count;
}

/* What the model says of itself in /v1/model: the held-out scores, short. */
static void put_metrics(const struct km_eval_report *r, struct km_buf *out)
{
	const struct {
		const char *key;
		const struct km_eval_part *part;
	} parts[] = { { "metrics", &r->metrics }, { "empty", &r->empty } };
	struct km_json j = km_json_to(out);

	km_json_begin(&j, '{');
	km_json_put_string(&j, "protocol", km_protocol_name(r->protocol));
	if (r->kind == KM_ROW_EMPTY) /* else what a metric is of goes without saying */
		km_json_put_string(&j, "kind", km_row_kind_name(r->kind));
	for (size_t i = 0; i < KM_ARRAY_LEN(parts); i++) {
		if (parts[i].part->scores.rows == 0)
			continue;
		km_json_key(&j, parts[i].key);
		km_json_begin(&j, '{');
		km_json_put_integer(&j, "rows", (long long)parts[i].part->scores.rows);
		for (const struct km_score_field *f = km_score_fields; f->json != NULL; f++)
			km_json_put_rounded(&j, f->json, km_score_get(&parts[i].part->scores, f),
			                    4);
		km_json_end(&j, '}');
	}
	km_json_end(&j, '}');
}

static size_t last_part(const char *path, size_t len)
{
	while (len > 0 && path[len - 1] != '/')
		len--;
	return len;
}

/*
 * The last part of a path: a folder's name says what it holds, where it lies is nobody's concern.
 * Of a model's own "data", the model's folder too.
 */
static const char *base_name(const char *path, char *out, size_t size)
{
	size_t len = strlen(path);
	size_t from;

	while (len > 1 && path[len - 1] == '/')
		len--;
	from = last_part(path, len);
	if (from > 0 && len - from == 4 && memcmp(path + from, "data", 4) == 0)
		from = last_part(path, from - 1);
	(void)snprintf(out, size, "%.*s", (int)(len - from), path + from);
	return out;
}

static void put_provenance(const struct exam *e, const struct km_train_job *job,
                           const struct table *t, struct km_buf *out)
{
	struct km_dataset_stats stats;
	char name[128];

	km_dataset_stats(e->dataset, &stats);
	if (job->provenance != NULL)
		km_buf_printf(out, "%s; ", job->provenance);
	km_buf_printf(out,
	              "dataset %s, %zu runs, %zu traces, %zu labelled rows, %zu training rows, "
	              "fingerprint %016" PRIx64,
	              base_name(e->options->dataset, name, sizeof(name)), stats.runs, stats.traces,
	              e->row_count, t->count, km_dataset_fingerprint(e->dataset));
}

/* Everything of the file but the trees. */
struct extras {
	struct km_schema *schema;
	double *range;
	float *golden;
	struct km_buf metrics, provenance;
};

static void extras_fini(struct extras *x)
{
	km_schema_unref(x->schema);
	free(x->range);
	free(x->golden);
	km_buf_fini(&x->metrics);
	km_buf_fini(&x->provenance);
}

static int write_model(const struct exam *e, const struct km_train_job *job, const struct table *t,
                       const struct km_eval_report *r, struct km_booster *b, struct km_err *err)
{
	struct extras x = { .schema = NULL };
	struct interval interval;
	struct km_model_meta meta;
	int rc;

	km_buf_init(&x.metrics);
	km_buf_init(&x.provenance);
	x.range = calloc(2 * t->columns + 1, sizeof(*x.range));
	x.golden = calloc(GOLDEN_ROWS * t->columns + 1, sizeof(*x.golden));
	rc = x.range != NULL && x.golden != NULL ? 0 : km_err_set(err, ENOMEM, "out of memory");
	if (rc == 0)
		rc = km_schema_create(e->name, e->name_count, e->list.window_s, e->list.bin_s,
		                      &x.schema, err);
	if (rc == 0)
		rc = interval_fit(e->dataset, e->margin, UINT32_MAX, &interval, err);
	if (rc == 0) {
		put_metrics(r, &x.metrics);
		put_provenance(e, job, t, &x.provenance);
		table_ranges(t, x.range, x.range + t->columns);
		meta = (struct km_model_meta){
			.name = e->list.name,
			.task = e->list.task,
			.provenance = km_buf_cstr(&x.provenance),
			.metrics_json = km_buf_cstr(&x.metrics),
			.schema = x.schema,
			.residual_sd = interval.sd,
			.interval_low = interval.low,
			.interval_high = interval.high,
			.knot = interval.knot,
			.knot_count = interval.knot_count,
			.range_low = x.range,
			.range_high = x.range + t->columns,
			.golden = x.golden,
			.golden_count = pick_golden(t, x.golden),
		};
		rc = km_model_write(e->options->model, b, &meta, err);
	}
	extras_fini(&x);
	return rc;
}

static int train(struct exam *e, const struct km_train_job *job, struct km_eval_report *r,
                 struct km_err *err)
{
	struct table t = { .count = 0 };
	void *state = NULL;
	int rc = exam_crossval(e, KM_PROTOCOL_CAMPAIGN, err);

	if (rc == 0)
		rc = exam_report(e, KM_PROTOCOL_CAMPAIGN, r, err);
	if (rc == 0)
		rc = table_build(e->dataset, &e->subject, NULL, &t, err);
	if (rc == 0 && e->options->progress != NULL &&
	    e->options->progress(e->options->ctx, "training on everything", 0, 1) != 0)
		rc = km_err_set(err, EINTR, "training: stopped");
	if (rc == 0)
		rc = learner_trees.fit(&e->subject, &t, &state, err);
	if (rc == 0 && e->options->progress != NULL &&
	    e->options->progress(e->options->ctx, "training on everything", 1, 1) != 0)
		rc = km_err_set(err, EINTR, "training: stopped");
	if (rc == 0)
		rc = exam_gain(e, state, r, err);
	if (rc == 0)
		rc = write_model(e, job, &t, r, state, err);
	if (state != NULL)
		learner_trees.release(state);
	table_fini(&t);
	return rc;
}

int km_train_model(const struct km_train_job *job, struct km_eval_report *report,
                   struct km_err *err)
{
	int64_t began_ns = km_clock_mono_ns(km_clock_system());
	struct exam e;
	int rc;

	memset(report, 0, sizeof(*report));
	rc = exam_open(&job->options, false, &e, err);
	if (rc != 0)
		return rc;
	(void)snprintf(report->model, sizeof(report->model), "%s", e.list.name);
	rc = train(&e, job, report, err);
	exam_close(&e);
	report->seconds = (double)(km_clock_mono_ns(km_clock_system()) - began_ns) * 1e-9;
	if (rc != 0)
		km_eval_report_fini(report);
	return rc;
}

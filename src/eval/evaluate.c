/* SPDX-License-Identifier: Apache-2.0 */
/* Judging: a given model as it is, or the recipe beside it by cross-validation. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/clock.h"

#include "exam.h"

#define PROGRESS_ROWS 4096 /* between two looks at whether to stop */

/* Means of ln slowdown and of its bounds over the windows that the row is judged by. */
static int predict_row(struct exam *e, size_t row, float *input, struct km_err *err)
{
	struct span judged = judged_windows(e->dataset, row);
	struct km_prediction p[PREDICTIONS_PER_ROW];
	double sum[PREDICTIONS_PER_ROW][3] = { { 0 } };

	for (size_t w = judged.first; w < judged.first + judged.count; w++) {
		int rc;

		judged_input(e->dataset, &e->subject, row, w, input);
		rc = km_model_predict(e->model, input, PREDICTIONS_PER_ROW, p, err);
		if (rc != 0)
			return rc;
		for (size_t k = 0; k < PREDICTIONS_PER_ROW; k++) {
			sum[k][0] += log(p[k].slowdown);
			sum[k][1] += log(p[k].low);
			sum[k][2] += log(p[k].high);
		}
	}
	for (size_t k = 0; k < PREDICTIONS_PER_ROW; k++) {
		size_t at = row * PREDICTIONS_PER_ROW + k;

		e->margin[at] = (float)(sum[k][0] / (double)judged.count);
		e->low[at] = (float)(sum[k][1] / (double)judged.count);
		e->high[at] = (float)(sum[k][2] / (double)judged.count);
	}
	return 0;
}

static int predict_given(struct exam *e, struct km_err *err)
{
	const struct km_dataset_row *row = km_dataset_rows(e->dataset, &e->row_count);
	float *input = reallocarray(NULL, e->name_count + 1, PREDICTIONS_PER_ROW * sizeof(*input));
	size_t done = 0;
	int rc = 0;

	if (input == NULL)
		return km_err_set(err, ENOMEM, "eval: out of memory");
	for (size_t i = 0; rc == 0 && i < e->row_count; i++) {
		if (!row[i].score || !table_takes(&e->subject, &row[i]))
			continue;
		rc = predict_row(e, i, input, err);
		if (rc == 0 && done++ % PROGRESS_ROWS == 0 && e->options->progress != NULL &&
		    e->options->progress(e->options->ctx, "predicting rows", i, e->row_count) != 0)
			rc = km_err_set(err, EINTR, "predicting: stopped");
	}
	free(input);
	return rc;
}

static int judge_given(struct exam *e, struct km_eval_report *r, struct km_err *err)
{
	struct km_model_info info;
	char fingerprint[24];
	int rc = predict_given(e, err);

	km_model_info(e->model, &info);
	(void)snprintf(r->model, sizeof(r->model), "%s", info.name);
	(void)snprintf(fingerprint, sizeof(fingerprint), "%016" PRIx64,
	               km_dataset_fingerprint(e->dataset));
	r->in_sample = strstr(info.provenance, fingerprint) != NULL;
	if (rc == 0)
		rc = exam_report(e, KM_PROTOCOL_GIVEN, r, err);
	return rc == 0 ? exam_gain(e, NULL, r, err) : rc;
}

int km_evaluate(const struct km_eval_options *options, enum km_protocol protocol,
                struct km_eval_report *out, struct km_err *err)
{
	int64_t began_ns = km_clock_mono_ns(km_clock_system());
	bool given = protocol == KM_PROTOCOL_GIVEN;
	struct exam e;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = exam_open(options, given, &e, err);
	if (rc != 0)
		return rc;
	if (given) {
		rc = judge_given(&e, out, err);
	} else {
		(void)snprintf(out->model, sizeof(out->model), "%s", e.list.name);
		rc = exam_crossval(&e, protocol, err);
		if (rc == 0)
			rc = exam_report(&e, protocol, out, err);
		if (rc == 0 && options->gain)
			rc = exam_gain(&e, NULL, out, err);
	}
	exam_close(&e);
	out->seconds = (double)(km_clock_mono_ns(km_clock_system()) - began_ns) * 1e-9;
	if (rc != 0)
		km_eval_report_fini(out);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What training and judging need alike: a folder opened with the columns of all that is judged. */
#ifndef KM_EVAL_EXAM_H
#define KM_EVAL_EXAM_H

#include "km/config/feature_list.h"
#include "km/model/model.h"

#include "eval_internal.h"

struct exam {
	const struct km_eval_options *options;
	struct km_model *model;      /* NULL: the recipe of `list` is judged */
	struct km_feature_list list; /* when model is NULL */
	bool placement;
	const char **name; /* [name_count], the model's features in its order; borrowed texts */
	size_t name_count;
	struct km_dataset *dataset;
	struct subject subject; /* the model's trees */
	struct subject baseline[BASELINES];
	size_t row_count;
	float *margin, *low, *high, *other; /* [row_count * PREDICTIONS_PER_ROW] */
	unsigned threads;
};

/* given: judge options->model as it is; else the recipe of options->features (or beside model). */
int exam_open(const struct km_eval_options *options, bool given, struct exam *e,
              struct km_err *err) KM_MUST_CHECK;
void exam_close(struct exam *e);

/* Cross-validates the subject: e->margin, and bounds from the other campaigns' residuals. */
int exam_crossval(struct exam *e, enum km_protocol protocol, struct km_err *err) KM_MUST_CHECK;

/* Fills the report from e->margin and adds the baselines, cross-validated by `protocol`. */
int exam_report(struct exam *e, enum km_protocol protocol, struct km_eval_report *r,
                struct km_err *err) KM_MUST_CHECK;

/*
 * Fills the report's gain, largest first: of trees that were fitted to everything (NULL: fits
 * them), or of the given model.
 */
int exam_gain(struct exam *e, struct km_booster *trees, struct km_eval_report *r,
              struct km_err *err) KM_MUST_CHECK;

#endif

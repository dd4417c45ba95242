/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models for judging decisions: fitted to a folder without some of its campaigns, and opened as the
 * daemon opens a model file. They carry no intervals: residuals of what was held out would be
 * answers.
 */
#ifndef KM_EVAL_HOLDOUT_H
#define KM_EVAL_HOLDOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "km/dataset/dataset.h"
#include "km/eval/eval.h"
#include "km/model/model.h"

enum km_holdout_kind {
	KM_HOLDOUT_RECIPE,   /* the feature list's own; or the given model, as it is */
	KM_HOLDOUT_THESIS,   /* the baseline of that name */
	KM_HOLDOUT_PRESSURE, /* the recipe without what is known of the pod: a node hurts anybody */
	KM_HOLDOUT_N,
};

struct km_holdout;

/*
 * Opens options->dataset for placement, with the columns of all kinds. options->model (NULL: none)
 * is given; without it options->features is the recipe. Options are borrowed while it lives.
 * returns 0 and *out owned; as km_evaluate, -EINVAL for a model or recipe of diagnosis.
 */
int km_holdout_open(const struct km_eval_options *options, struct km_holdout **out,
                    struct km_err *err) KM_MUST_CHECK;
void km_holdout_free(struct km_holdout *h); /* NULL allowed */

const struct km_dataset *km_holdout_dataset(const struct km_holdout *h); /* borrowed */
bool km_holdout_is_given(const struct km_holdout *h);

/*
 * Fits without every row whose label or counters are of a campaign with without[id]
 * (km_dataset_name's ids; NULL: all rows are learned from). permute_seed 0: labels as they are,
 * else they change places, for a null check.
 * returns 0 and an owned reference; -ENODATA (nothing is left), -EIO, -EINTR, -ENOMEM.
 */
int km_holdout_fit(const struct km_holdout *h, enum km_holdout_kind kind, const bool *without,
                   uint64_t permute_seed, struct km_model **out, struct km_err *err) KM_MUST_CHECK;

#endif

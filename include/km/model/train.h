/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training: rows and labels to trees, and trees with all that serving needs to a model file. Knows
 * nothing of datasets, folds or features' meaning. Same input and seed, same library and CPU
 * family: same bytes. The daemon never calls this.
 */
#ifndef KM_MODEL_TRAIN_H
#define KM_MODEL_TRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/core/schema.h"
#include "km/model/model.h"

/* Trees in memory. Not shared between threads; different boosters may train at the same time. */
struct km_booster;

/* Names and meanings are XGBoost's; km_train_params_init sets its defaults where none is noted. */
struct km_train_params {
	uint32_t rounds; /* 300 */
	uint32_t max_depth;
	uint32_t max_bin;
	uint32_t num_parallel_tree;
	uint32_t seed;
	uint32_t early_stop_rounds; /* stop after so many rounds without a better loss; 0 = never */
	double eta;                 /* 0.05 */
	double subsample;           /* of the rows, for each tree */
	double colsample_bytree;
	double colsample_bynode;
	double min_child_weight;
	double lambda;
	double alpha;
	double gamma;
	double base_score; /* where boosting starts; NaN (the default) = the weighted mean label */
	/*
	 * Share of the squared error of normalized performance, exp(-margin), in the loss beside
	 * that of the margin: 0 (the default) trains on ln slowdown alone, 1 on NP alone. The
	 * margin stays ln slowdown. Only with reg:squarederror.
	 */
	double np_share;
	const char *objective; /* "reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror" */
	const char *tree_method;          /* "hist" */
	const char *monotone_constraints; /* "(1,0,-1)", one a feature; NULL = none. Borrowed */
};

void km_train_params_init(struct km_train_params *p);

/* Borrowed. NaN in a row = missing. */
struct km_train_rows {
	const float *rows;    /* [row_count][feature_count], no infinities */
	const float *labels;  /* [row_count], ln slowdown, finite */
	const float *weights; /* [row_count], finite, >= 0, not all 0; NULL = all 1 */
	size_t row_count;
	size_t feature_count;
};

/*
 * Called after each round. `loss` is the weighted loss on the validation rows, NaN without them:
 * RMSE of the margin for reg:squarederror (of the mixture for np_share > 0), MAE for the others.
 * A return other than 0 stops training with -EINTR.
 */
typedef int km_train_progress_fn(void *ctx, uint32_t round, double loss);

/*
 * Trains. `valid` may be NULL; with it and early_stop_rounds the trees after the best round are
 * dropped. progress may be NULL.
 * returns 0 and *out owned; -EINVAL names what is wrong (parameter, or row and column), -EINTR,
 * -EIO with XGBoost's message, -ENOMEM.
 */
int km_booster_train(const struct km_train_params *params, const struct km_train_rows *train,
                     const struct km_train_rows *valid, km_train_progress_fn *progress, void *ctx,
                     struct km_booster **out, struct km_err *err) KM_MUST_CHECK;
void km_booster_free(struct km_booster *b); /* NULL allowed */

/* Rounds kept, and the validation loss at the last of them (NaN without validation rows). */
uint32_t km_booster_rounds(const struct km_booster *b);
double km_booster_loss(const struct km_booster *b);

/* Margins (ln slowdown) of rows [row_count][feature_count as trained]. out [row_count]. */
int km_booster_predict(struct km_booster *b, const float *rows, size_t row_count, float *out,
                       struct km_err *err) KM_MUST_CHECK;

/* Total gain of each feature: out [feature_count as trained], 0 = no split uses it. */
int km_booster_gain(struct km_booster *b, double *out, struct km_err *err) KM_MUST_CHECK;

/* What goes into the file beside the trees. All borrowed. */
struct km_model_meta {
	const char *name;
	const char *task; /* "placement" or "diagnosis" */
	const char *provenance;
	const char *metrics_json; /* NULL or "" = none */
	const struct km_schema *schema;
	double residual_sd;  /* of held-out residuals in ln slowdown; NaN = unknown */
	double interval_low; /* their 5 % and 95 % quantiles; NaN = unknown */
	double interval_high;
	const struct km_interval_knot *knot; /* [knot_count], ascending margins; may be NULL */
	size_t knot_count;                   /* at most KM_INTERVAL_KNOTS_MAX */
	const double *range_low;             /* [schema->count], NaN = never measured in training */
	const double *range_high;
	const float *golden; /* [golden_count][schema->count]: rows whose margins are kept */
	size_t golden_count; /* 1..64; 3-8 with some NaN are enough */
};

/*
 * Writes a model file: attributes, golden margins from the booster itself, then the bytes are
 * opened as km_model_open would and only if that works put in place, atomically. The booster keeps
 * the attributes. returns 0; -EINVAL, or what km_model_open_bytes and km_file_write_atomic return;
 * on error the old file is untouched.
 */
int km_model_write(const char *path, struct km_booster *b, const struct km_model_meta *meta,
                   struct km_err *err) KM_MUST_CHECK;

#endif

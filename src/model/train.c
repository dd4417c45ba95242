/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boosting rounds around libxgboost: parameters checked, rows checked, losses in our own double
 * arithmetic, early stopping by dropping the trees after the best round. One thread throughout:
 * that is what makes the bytes repeatable. Entry: km_booster_train.
 */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/model/model.h"

#include "booster.h"

#define ROUNDS_MAX 100000

/* A run of km_booster_train. */
struct run {
	const struct km_train_params *p;
	const struct km_train_rows *train;
	const struct km_train_rows *valid; /* NULL = none */
	DMatrixHandle matrix[2];           /* of train and valid */
	BoosterHandle handle;
	float *gradient; /* [2][train->row_count], for np_share only */
	struct km_err *err;
};

void km_train_params_init(struct km_train_params *p)
{
	*p = (struct km_train_params){
		.rounds = 300,
		.max_depth = 6,
		.max_bin = 256,
		.num_parallel_tree = 1,
		.eta = 0.05,
		.subsample = 1,
		.colsample_bytree = 1,
		.colsample_bynode = 1,
		.min_child_weight = 1,
		.lambda = 1,
		.base_score = NAN,
		.objective = "reg:squarederror",
		.tree_method = "hist",
	};
}

static int check_params(const struct km_train_params *p, struct km_err *err)
{
	const struct {
		const char *name;
		double value;
		double min;
		double max;
	} rows[] = {
		{ "rounds", p->rounds, 1, ROUNDS_MAX },
		{ "max_depth", p->max_depth, 1, 32 },
		{ "max_bin", p->max_bin, 2, 65536 },
		{ "num_parallel_tree", p->num_parallel_tree, 1, 1000 },
		{ "eta", p->eta, 1e-6, 10 },
		{ "subsample", p->subsample, 1e-3, 1 },
		{ "colsample_bytree", p->colsample_bytree, 1e-3, 1 },
		{ "colsample_bynode", p->colsample_bynode, 1e-3, 1 },
		{ "min_child_weight", p->min_child_weight, 0, 1e12 },
		{ "lambda", p->lambda, 0, 1e12 },
		{ "alpha", p->alpha, 0, 1e12 },
		{ "gamma", p->gamma, 0, 1e12 },
		{ "np_share", p->np_share, 0, 1 },
	};

	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		if (!(rows[i].value >= rows[i].min && rows[i].value <= rows[i].max))
			return km_err_set(err, EINVAL, "%s: %g, want %g..%g", rows[i].name,
			                  rows[i].value, rows[i].min, rows[i].max);
	}
	if (p->np_share > 0 && strcmp(p->objective, "reg:squarederror") != 0)
		return km_err_set(err, EINVAL, "np_share: %g with %s, want reg:squarederror",
		                  p->np_share, p->objective);
	return 0;
}

static double weight_of(const struct km_train_rows *r, size_t row)
{
	return r->weights ? (double)r->weights[row] : 1.0;
}

/* libxgboost would take an infinity for a mistake too, but without saying where it is. */
static int check_rows(const struct km_train_rows *r, const char *what, struct km_err *err)
{
	double weight_sum = 0;

	if (r->row_count == 0 || r->feature_count == 0)
		return km_err_set(err, EINVAL, "%s: %zu rows of %zu features, want at least one",
		                  what, r->row_count, r->feature_count);
	for (size_t i = 0; i < r->row_count; i++) {
		for (size_t j = 0; j < r->feature_count; j++) {
			if (isinf(r->rows[i * r->feature_count + j]))
				return km_err_set(err, EINVAL,
				                  "%s: row %zu, column %zu is infinite", what, i,
				                  j);
		}
		if (!isfinite(r->labels[i]))
			return km_err_set(err, EINVAL, "%s: label %zu is %g", what, i,
			                  (double)r->labels[i]);
		if (!isfinite(weight_of(r, i)) || weight_of(r, i) < 0)
			return km_err_set(err, EINVAL, "%s: weight %zu is %g", what, i,
			                  weight_of(r, i));
		weight_sum += weight_of(r, i);
	}
	if (weight_sum <= 0)
		return km_err_set(err, EINVAL, "%s: all weights are 0", what);
	return 0;
}

static double mean_label(const struct km_train_rows *r)
{
	double sum = 0;
	double weights = 0;

	for (size_t i = 0; i < r->row_count; i++) {
		sum += weight_of(r, i) * (double)r->labels[i];
		weights += weight_of(r, i);
	}
	return sum / weights;
}

static int make_matrix(const struct km_train_rows *r, DMatrixHandle *out, struct km_err *err)
{
	int rc = km_xgb_matrix(r->rows, r->row_count, r->feature_count, out, err);

	if (rc != 0)
		return rc;
	if (XGDMatrixSetFloatInfo(*out, "label", r->labels, r->row_count) != 0 ||
	    (r->weights && XGDMatrixSetFloatInfo(*out, "weight", r->weights, r->row_count) != 0))
		return km_xgb_error(err, "XGDMatrixSetFloatInfo");
	return 0;
}

static int set_text(struct run *run, const char *name, const char *value)
{
	if (XGBoosterSetParam(run->handle, name, value) != 0)
		return km_xgb_error(run->err, name);
	return 0;
}

static int set_number(struct run *run, const char *name, double value)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%.9g", value);
	return set_text(run, name, text);
}

/* base_score is always given: what libxgboost would choose differs from version to version. */
static int set_params(struct run *run)
{
	const struct km_train_params *p = run->p;
	const struct {
		const char *name;
		double value;
	} numbers[] = {
		{ "max_depth", p->max_depth },
		{ "max_bin", p->max_bin },
		{ "num_parallel_tree", p->num_parallel_tree },
		{ "seed", p->seed },
		{ "eta", p->eta },
		{ "subsample", p->subsample },
		{ "colsample_bytree", p->colsample_bytree },
		{ "colsample_bynode", p->colsample_bynode },
		{ "min_child_weight", p->min_child_weight },
		{ "lambda", p->lambda },
		{ "alpha", p->alpha },
		{ "gamma", p->gamma },
		{ "base_score", isnan(p->base_score) ? mean_label(run->train) : p->base_score },
	};
	int rc = set_text(run, "objective", p->objective);

	if (rc == 0)
		rc = set_text(run, "tree_method", p->tree_method);
	if (rc == 0 && p->monotone_constraints)
		rc = set_text(run, "monotone_constraints", p->monotone_constraints);
	for (size_t i = 0; rc == 0 && i < KM_ARRAY_LEN(numbers); i++)
		rc = set_number(run, numbers[i].name, numbers[i].value);
	return rc;
}

/* Margins of a matrix the booster caches: each round costs its new trees only. Borrowed. */
static int cached_margins(struct run *run, DMatrixHandle matrix, const float **out)
{
	static const char config[] =
		"{\"type\": 1, \"training\": true, \"iteration_begin\": 0, \"iteration_end\": 0, "
		"\"strict_shape\": false}";
	const bst_ulong *shape;
	bst_ulong dim;

	if (XGBoosterPredictFromDMatrix(run->handle, matrix, config, &shape, &dim, out) != 0)
		return km_xgb_error(run->err, "XGBoosterPredictFromDMatrix");
	return 0;
}

/* exp(-margin), where a wild margin of the first rounds does no harm. */
static double np_of(double margin)
{
	return exp(-fmax(margin, -3));
}

/*
 * Gradients of (1-a)/2 (f - y)^2 + a/2 (e^-f - e^-y)^2 in the margin f. The second derivative is
 * Gauss-Newton's, which is never negative; the floor keeps leaves of hopeless rows bounded.
 */
static int boost_mixed(struct run *run, uint32_t round)
{
	const struct km_train_rows *r = run->train;
	float *hessian = run->gradient + r->row_count;
	double a = run->p->np_share;
	const float *margin = NULL;
	int rc = cached_margins(run, run->matrix[0], &margin);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < r->row_count; i++) {
		double f = (double)margin[i];
		double y = (double)r->labels[i];
		double np = np_of(f);
		double slope = (1 - a) * (f - y) - a * (np - np_of(y)) * np;
		double curve = (1 - a) + a * np * np;

		run->gradient[i] = (float)(weight_of(r, i) * slope);
		hessian[i] = (float)(weight_of(r, i) * fmax(curve, 1e-3));
	}
	return km_xgb_boost(run->handle, run->matrix[0], round, run->gradient, hessian,
	                    r->row_count, run->err);
}

static int boost(struct run *run, uint32_t round)
{
	if (run->p->np_share > 0)
		return boost_mixed(run, round);
	if (XGBoosterUpdateOneIter(run->handle, (int)round, run->matrix[0]) != 0)
		return km_xgb_error(run->err, "XGBoosterUpdateOneIter");
	return 0;
}

static int valid_loss(struct run *run, double *out)
{
	const struct km_train_rows *r = run->valid;
	bool squared = strcmp(run->p->objective, "reg:squarederror") == 0;
	double a = run->p->np_share;
	const float *margin = NULL;
	double weights = 0;
	double sum = 0;
	int rc = cached_margins(run, run->matrix[1], &margin);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < r->row_count; i++) {
		double off = (double)margin[i] - (double)r->labels[i];
		double np_off = np_of((double)margin[i]) - np_of((double)r->labels[i]);
		double loss = squared ? (1 - a) * off * off + a * np_off * np_off : fabs(off);

		sum += weight_of(r, i) * loss;
		weights += weight_of(r, i);
	}
	*out = squared ? sqrt(sum / weights) : sum / weights;
	return 0;
}

/* Drops the rounds from `keep` on. */
static int cut(struct run *run, uint32_t keep)
{
	BoosterHandle sliced = NULL;

	if (XGBoosterSlice(run->handle, 0, (int)keep, 1, &sliced) != 0)
		return km_xgb_error(run->err, "XGBoosterSlice");
	(void)XGBoosterFree(run->handle);
	run->handle = sliced;
	return set_text(run, "nthread", "1");
}

static int run_rounds(struct run *run, km_train_progress_fn *progress, void *ctx,
                      struct km_booster *b)
{
	uint32_t best_round = 0;
	double best = INFINITY;
	double loss = NAN;
	uint32_t trained = 0;
	int rc = 0;

	while (trained < run->p->rounds) {
		uint32_t round = trained++;

		rc = boost(run, round);
		if (rc == 0 && run->valid)
			rc = valid_loss(run, &loss);
		if (rc != 0)
			return rc;
		if (progress && progress(ctx, round, loss) != 0)
			return km_err_set(run->err, EINTR, "training stopped after %u rounds",
			                  trained);
		if (!run->valid || run->p->early_stop_rounds == 0)
			continue;
		if (loss < best) {
			best = loss;
			best_round = round;
		} else if (round - best_round >= run->p->early_stop_rounds) {
			break;
		}
	}
	b->rounds = trained;
	b->loss = loss;
	if (isfinite(best)) {
		b->rounds = best_round + 1;
		b->loss = best;
		if (b->rounds < trained)
			rc = cut(run, b->rounds);
	}
	return rc;
}

static int run_start(struct run *run)
{
	size_t matrices = run->valid ? 2 : 1;
	int rc = make_matrix(run->train, &run->matrix[0], run->err);

	if (rc == 0 && run->valid)
		rc = make_matrix(run->valid, &run->matrix[1], run->err);
	if (rc == 0)
		rc = km_xgb_booster(run->matrix, matrices, &run->handle, run->err);
	if (rc == 0)
		rc = set_params(run);
	if (rc == 0 && run->p->np_share > 0) {
		run->gradient = calloc(run->train->row_count, 2 * sizeof(*run->gradient));
		if (!run->gradient)
			rc = km_err_set(run->err, ENOMEM, "training: out of memory");
	}
	return rc;
}

static void run_end(struct run *run)
{
	if (run->handle)
		(void)XGBoosterFree(run->handle);
	for (size_t i = 0; i < KM_ARRAY_LEN(run->matrix); i++) {
		if (run->matrix[i])
			(void)XGDMatrixFree(run->matrix[i]);
	}
	free(run->gradient);
}

int km_booster_train(const struct km_train_params *params, const struct km_train_rows *train,
                     const struct km_train_rows *valid, km_train_progress_fn *progress, void *ctx,
                     struct km_booster **out, struct km_err *err)
{
	struct run run = { .p = params, .train = train, .valid = valid, .err = err };
	struct km_booster *b = NULL;
	int rc = check_params(params, err);

	if (rc == 0)
		rc = check_rows(train, "training rows", err);
	if (rc == 0 && valid)
		rc = check_rows(valid, "validation rows", err);
	if (rc == 0 && valid && valid->feature_count != train->feature_count)
		rc = km_err_set(err, EINVAL, "validation rows have %zu features, training %zu",
		                valid->feature_count, train->feature_count);
	if (rc != 0)
		return rc;
	b = calloc(1, sizeof(*b));
	if (!b)
		return km_err_set(err, ENOMEM, "training: out of memory");
	b->feature_count = train->feature_count;
	rc = run_start(&run);
	if (rc == 0)
		rc = run_rounds(&run, progress, ctx, b);
	if (rc == 0 && XGProxyDMatrixCreate(&b->proxy) != 0)
		rc = km_xgb_error(err, "XGProxyDMatrixCreate");
	if (rc == 0) {
		b->handle = run.handle;
		run.handle = NULL;
		*out = b;
		b = NULL;
	}
	run_end(&run);
	km_booster_free(b);
	return rc;
}

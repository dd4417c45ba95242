/* SPDX-License-Identifier: Apache-2.0 */
/* What learns: trees through the model room, and two simple ones to compare with. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval_internal.h"

#define RIDGE_LAMBDA 10.0 /* on standardized columns, against a unit weight a row */

/* "(0,0,1,...)": 1 for pods in flight. Owned; NULL when nothing is constrained or out of memory. */
static char *monotone(const struct subject *s)
{
	char *text = malloc(2 * s->column_count + 3);
	size_t at = 0;

	if (text == NULL)
		return NULL;
	text[at++] = '(';
	for (size_t i = 0; i < s->column_count; i++) {
		bool inflight = s->schema->feature[s->column[i]].scope == KM_SCOPE_INFLIGHT;

		text[at++] = inflight ? '1' : '0';
		text[at++] = ',';
	}
	text[at - 1] = ')';
	text[at] = '\0';
	if (strchr(text, '1') == NULL) {
		free(text);
		return NULL;
	}
	return text;
}

int trees_train(const struct subject *s, const struct table *t, const struct table *valid,
                km_train_progress_fn *progress, void *ctx, struct km_booster **out,
                struct km_err *err)
{
	const struct km_recipe *r = &s->recipe;
	char *constraints = r->monotone_inflight ? monotone(s) : NULL;
	struct km_train_rows rows = { t->rows, t->labels, t->weights, t->count, t->columns };
	struct km_train_rows held = { .row_count = 0 };
	struct km_train_params p;
	int rc;

	if (valid != NULL)
		held = (struct km_train_rows){ valid->rows, valid->labels, valid->weights,
			                       valid->count, valid->columns };
	km_train_params_init(&p);
	p.rounds = r->rounds;
	p.max_depth = r->max_depth;
	p.max_bin = r->max_bin;
	p.num_parallel_tree = r->parallel_trees;
	p.seed = r->seed;
	p.eta = r->eta;
	p.subsample = r->subsample;
	p.colsample_bytree = r->colsample_bytree;
	p.colsample_bynode = r->colsample_bynode;
	p.min_child_weight = r->min_child_weight;
	p.lambda = r->lambda;
	p.alpha = r->alpha;
	p.gamma = r->gamma;
	p.np_share = r->np_share;
	p.monotone_constraints = constraints;
	if (r->exact_splits)
		p.tree_method = "exact";
	rc = km_booster_train(&p, &rows, valid != NULL ? &held : NULL, progress, ctx, out, err);
	free(constraints);
	return rc;
}

static int trees_fit(const struct subject *s, const struct table *t, void **state,
                     struct km_err *err)
{
	struct km_booster *b = NULL;
	int rc = trees_train(s, t, NULL, NULL, NULL, &b, err);

	*state = b;
	return rc;
}

static int trees_predict(void *state, const float *rows, size_t count, float *out,
                         struct km_err *err)
{
	return km_booster_predict(state, rows, count, out, err);
}

static void trees_release(void *state)
{
	km_booster_free(state);
}

const struct learner learner_trees = { trees_fit, trees_predict, trees_release };

/* A line: constant + sum of slope x (value or the column's mean where it is missing). */
struct line {
	size_t columns;
	double constant;
	double *slope; /* [columns] */
	double *mean;  /* [columns] */
};

static void line_release(void *state)
{
	struct line *l = state;

	if (l == NULL)
		return;
	free(l->slope);
	free(l->mean);
	free(l);
}

static struct line *line_create(size_t columns)
{
	struct line *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->columns = columns;
	l->slope = calloc(columns + 1, sizeof(*l->slope));
	l->mean = calloc(columns + 1, sizeof(*l->mean));
	if (l->slope == NULL || l->mean == NULL) {
		line_release(l);
		return NULL;
	}
	return l;
}

static int line_predict(void *state, const float *rows, size_t count, float *out,
                        struct km_err *err)
{
	const struct line *l = state;

	(void)err;
	for (size_t i = 0; i < count; i++) {
		const float *row = rows + i * l->columns;
		double sum = l->constant;

		for (size_t c = 0; c < l->columns; c++)
			sum += l->slope[c] * (isnan(row[c]) ? 0 : (double)row[c] - l->mean[c]);
		out[i] = (float)sum;
	}
	return 0;
}

/* The constant that errs least in NP: -ln of the weighted mean NP. */
static int mean_fit(const struct subject *s, const struct table *t, void **state,
                    struct km_err *err)
{
	struct line *l = line_create(t->columns);
	double np = 0;
	double weight = 0;

	(void)s;
	if (l == NULL)
		return km_err_set(err, ENOMEM, "mean: out of memory");
	for (size_t i = 0; i < t->count; i++) {
		np += (double)t->weights[i] * exp(-(double)t->labels[i]);
		weight += (double)t->weights[i];
	}
	l->constant = -log(np / weight);
	*state = l;
	return 0;
}

const struct learner learner_mean = { mean_fit, line_predict, line_release };

/* Weighted mean of each column over its measured values, and 1 / standard deviation. */
static void standardize(const struct table *t, double *mean, double *scale)
{
	for (size_t c = 0; c < t->columns; c++) {
		double sum = 0;
		double square = 0;
		double weight = 0;

		for (size_t i = 0; i < t->count; i++) {
			double v = (double)t->rows[i * t->columns + c];

			if (!isnan(v)) {
				sum += (double)t->weights[i] * v;
				weight += (double)t->weights[i];
			}
		}
		mean[c] = weight > 0 ? sum / weight : 0;
		for (size_t i = 0; i < t->count; i++) {
			double v = (double)t->rows[i * t->columns + c] - mean[c];

			if (!isnan(v))
				square += (double)t->weights[i] * v * v;
		}
		scale[c] = square > 0 ? 1 / sqrt(square / weight) : 0;
	}
}

/* Solves a x = b in place by Cholesky; a [n][n] is symmetric and positive definite. */
static void cholesky_solve(double *a, double *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j <= i; j++) {
			double sum = a[i * n + j];

			for (size_t k = 0; k < j; k++)
				sum -= a[i * n + k] * a[j * n + k];
			a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
		}
	}
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < i; k++)
			b[i] -= a[i * n + k] * b[k];
		b[i] /= a[i * n + i];
	}
	for (size_t i = n; i-- > 0;) {
		for (size_t k = i + 1; k < n; k++)
			b[i] -= a[k * n + i] * b[k];
		b[i] /= a[i * n + i];
	}
}

/* Normal equations of standardized columns, missing values at their mean. */
static void normal_equations(const struct table *t, const double *mean, const double *scale,
                             double *z, double *a, double *b, double *constant)
{
	size_t n = t->columns;
	double sum = 0;
	double weight = 0;

	for (size_t i = 0; i < t->count; i++) {
		sum += (double)t->weights[i] * (double)t->labels[i];
		weight += (double)t->weights[i];
	}
	*constant = sum / weight;
	for (size_t i = 0; i < t->count; i++) {
		double w = (double)t->weights[i];

		for (size_t c = 0; c < n; c++) {
			double v = (double)t->rows[i * n + c];

			z[c] = isnan(v) ? 0 : (v - mean[c]) * scale[c];
			b[c] += w * z[c] * ((double)t->labels[i] - *constant);
			for (size_t k = 0; k <= c; k++)
				a[c * n + k] += w * z[c] * z[k];
		}
	}
	for (size_t c = 0; c < n; c++) {
		a[c * n + c] += RIDGE_LAMBDA;
		for (size_t k = c + 1; k < n; k++)
			a[c * n + k] = a[k * n + c];
	}
}

static int ridge_fit(const struct subject *s, const struct table *t, void **state,
                     struct km_err *err)
{
	size_t n = t->columns;
	struct line *l = line_create(n);
	double *work = reallocarray(NULL, n * n + 3 * n + 1, sizeof(*work));
	double *a = work;
	double *b;
	double *scale;
	double *z;

	(void)s;
	if (l == NULL || work == NULL) {
		line_release(l);
		free(work);
		return km_err_set(err, ENOMEM, "ridge: out of memory");
	}
	memset(work, 0, (n * n + 3 * n) * sizeof(*work));
	b = a + n * n;
	scale = b + n;
	z = scale + n;
	standardize(t, l->mean, scale);
	normal_equations(t, l->mean, scale, z, a, b, &l->constant);
	cholesky_solve(a, b, n);
	for (size_t c = 0; c < n; c++)
		l->slope[c] = b[c] * scale[c];
	free(work);
	*state = l;
	return 0;
}

const struct learner learner_ridge = { ridge_fit, line_predict, line_release };

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Predictions: rows to slowdowns with intervals, and one row's contributions. A model is shared by
 * all threads; each call borrows a proxy matrix, as making one costs as much as a prediction.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

/*
 * How far a feature outside its training range widens the interval: a rule, not a calibrated
 * figure. Each one makes the half-width in ln slowdown a tenth larger, up to twice.
 */
#define OUTSIDE_FACTOR     1.1
#define OUTSIDE_FACTOR_MAX 2.0

static DMatrixHandle proxy_borrow(struct km_proxies *p)
{
	DMatrixHandle proxy = NULL;

	(void)pthread_mutex_lock(&p->lock);
	if (p->count > 0)
		proxy = p->idle[--p->count];
	(void)pthread_mutex_unlock(&p->lock);
	if (!proxy && XGProxyDMatrixCreate(&proxy) != 0)
		return NULL;
	return proxy;
}

static void proxy_return(struct km_proxies *p, DMatrixHandle proxy)
{
	(void)pthread_mutex_lock(&p->lock);
	if (p->count < KM_PROXIES_IDLE_MAX) {
		p->idle[p->count++] = proxy;
		proxy = NULL;
	}
	(void)pthread_mutex_unlock(&p->lock);
	if (proxy)
		(void)XGDMatrixFree(proxy);
}

void km_proxies_fini(struct km_proxies *p)
{
	for (size_t i = 0; i < p->count; i++)
		(void)XGDMatrixFree(p->idle[i]);
	p->count = 0;
	(void)pthread_mutex_destroy(&p->lock);
}

int km_model_margins(struct km_model *m, const float *rows, size_t row_count, float *out,
                     struct km_err *err)
{
	DMatrixHandle proxy;
	int rc;

	km_model_thread_init();
	proxy = proxy_borrow(&m->proxies);
	if (!proxy)
		return km_xgb_error(err, "XGProxyDMatrixCreate");
	rc = km_xgb_margins(m->booster, proxy, rows, row_count, m->schema->count, out, err);
	proxy_return(&m->proxies, proxy);
	return rc;
}

static void count_outside(const struct km_model *m, const float *row, struct km_prediction *p)
{
	const double *low = m->info.range_low;
	const double *high = m->info.range_high;

	for (size_t i = 0; i < m->schema->count; i++) {
		double value = (double)row[i];

		/* A range of NaN compares false: nothing is outside of it. */
		p->missing += isnan(value) != 0;
		p->outside += value < low[i] || value > high[i];
	}
}

void km_interval_at(const struct km_interval_knot *knot, size_t count, double margin, double *low,
                    double *high)
{
	size_t i = 0;
	double part;

	while (i < count && knot[i].margin <= margin)
		i++;
	if (i == 0 || i == count) {
		*low = knot[i == 0 ? 0 : count - 1].low;
		*high = knot[i == 0 ? 0 : count - 1].high;
		return;
	}
	part = (margin - knot[i - 1].margin) / (knot[i].margin - knot[i - 1].margin);
	*low = knot[i - 1].low + part * (knot[i].low - knot[i - 1].low);
	*high = knot[i - 1].high + part * (knot[i].high - knot[i - 1].high);
}

static void fill_prediction(const struct km_model *m, double margin, struct km_prediction *p)
{
	double factor = pow(OUTSIDE_FACTOR, p->outside);
	double low = m->info.interval_low;
	double high = m->info.interval_high;
	double middle;
	double half;

	if (m->info.knot_count > 0)
		km_interval_at(m->info.knot, m->info.knot_count, margin, &low, &high);
	middle = (low + high) / 2;
	half = (high - low) / 2;
	if (factor > OUTSIDE_FACTOR_MAX)
		factor = OUTSIDE_FACTOR_MAX;
	half *= factor;
	p->slowdown = exp(margin);
	p->low = exp(margin + fmin(middle - half, 0));
	p->high = exp(margin + fmax(middle + half, 0));
	if (!isfinite(p->slowdown))
		p->slowdown = NAN;
	if (isnan(half) || isnan(p->slowdown) || !isfinite(p->high)) {
		p->low = NAN;
		p->high = NAN;
	}
}

int km_model_predict(struct km_model *m, const float *rows, size_t row_count,
                     struct km_prediction *out, struct km_err *err)
{
	size_t columns = m->schema->count;
	float margin[KM_XGB_ROWS] = { 0 };

	for (size_t done = 0; done < row_count;) {
		size_t count = row_count - done < KM_XGB_ROWS ? row_count - done : KM_XGB_ROWS;
		int rc = km_model_margins(m, rows + done * columns, count, margin, err);

		if (rc != 0)
			return rc;
		for (size_t i = 0; i < count; i++) {
			struct km_prediction *p = &out[done + i];

			*p = (struct km_prediction){ .outside = 0 };
			count_outside(m, rows + (done + i) * columns, p);
			fill_prediction(m, (double)margin[i], p);
		}
		done += count;
	}
	return 0;
}

int km_model_gain(struct km_model *m, double *out, struct km_err *err)
{
	int rc = km_xgb_gain(m->booster, m->schema->count, out, err);
	double sum = 0;

	for (size_t i = 0; rc == 0 && i < m->schema->count; i++)
		sum += out[i];
	for (size_t i = 0; sum > 0 && i < m->schema->count; i++)
		out[i] /= sum;
	return rc;
}

int km_model_contributions(struct km_model *m, const float *row, float *out, struct km_err *err)
{
	static const char config[] =
		"{\"type\": 2, \"training\": false, \"iteration_begin\": 0, \"iteration_end\": 0, "
		"\"strict_shape\": false}";
	size_t columns = m->schema->count;
	const bst_ulong *shape = NULL;
	const float *result = NULL;
	DMatrixHandle matrix = NULL;
	bst_ulong dim = 0;
	int rc = km_xgb_matrix(row, 1, columns, &matrix, err);

	if (rc != 0)
		return rc;
	if (XGBoosterPredictFromDMatrix(m->booster, matrix, config, &shape, &dim, &result) != 0)
		rc = km_xgb_error(err, "XGBoosterPredictFromDMatrix");
	else if (dim != 2 || shape[0] != 1 || shape[1] != columns + 1)
		rc = km_err_set(err, EIO, "XGBoosterPredictFromDMatrix: an unexpected shape");
	else
		memcpy(out, result, (columns + 1) * sizeof(*out));
	(void)XGDMatrixFree(matrix);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intervals from held-out residuals (split conformal, by group): a campaign that was left out
 * stands for the next unknown one, so each campaign counts the same however many rows it has.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "eval_internal.h"

#define LOW_Q  0.05
#define HIGH_Q 0.95
/* Of fewer rows than this the bounds of a slice are those of its two worst rows. */
#define KNOT_ROWS_LEAST 40
/* Knots closer than this are one: the model file keeps nine digits, and wants them ascending. */
#define KNOT_APART 1e-6

struct residual {
	double value;  /* ln measured - ln predicted */
	double margin; /* ln predicted */
	double weight;
	uint32_t campaign;
};

static int by_value(const void *a, const void *b)
{
	double x = ((const struct residual *)a)->value;
	double y = ((const struct residual *)b)->value;

	return (x > y) - (x < y);
}

static int by_margin(const void *a, const void *b)
{
	const struct residual *x = a;
	const struct residual *y = b;

	if (x->margin != y->margin)
		return x->margin < y->margin ? -1 : 1;
	return by_value(a, b); /* the same order whatever it was before */
}

static double quantile(const struct residual *r, size_t count, double q)
{
	double below = 0;
	double all = 0;

	for (size_t i = 0; i < count; i++)
		all += r[i].weight;
	for (size_t i = 0; i < count; i++) {
		below += r[i].weight;
		if (below >= q * all)
			return r[i].value;
	}
	return r[count - 1].value;
}

/* Residuals of every layout, with and without *_now: the model is served in all of them. */
static size_t collect(const struct km_dataset *d, const float *margin, uint32_t without,
                      struct residual *out)
{
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);
	size_t count = 0;

	for (size_t i = 0; i < row_count; i++) {
		/* a campaign all of whose rows have no weight has no share to give */
		if (row[i].campaign == without || !(row[i].weight > 0))
			continue;
		for (size_t k = 0; k < PREDICTIONS_PER_ROW; k++) {
			float m = margin[i * PREDICTIONS_PER_ROW + k];

			if (!isnan(m)) {
				out[count++] = (struct residual){
					log((double)row[i].slowdown) - (double)m,
					(double)m,
					(double)row[i].weight,
					row[i].campaign,
				};
			}
		}
	}
	return count;
}

/* Each campaign gets the same share of 1. returns 0 or -ENOMEM. */
static int balance(struct residual *r, size_t count)
{
	uint32_t most = 0;
	double *sum;
	size_t campaigns = 0;

	for (size_t i = 0; i < count; i++)
		most = r[i].campaign > most ? r[i].campaign : most;
	sum = calloc((size_t)most + 1, sizeof(*sum));
	if (sum == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		sum[r[i].campaign] += r[i].weight;
	for (size_t c = 0; c <= most; c++)
		campaigns += sum[c] > 0;
	for (size_t i = 0; i < count; i++)
		r[i].weight /= sum[r[i].campaign] * (double)campaigns;
	free(sum);
	return 0;
}

static size_t knots_for(size_t rows)
{
	size_t knots = rows / KNOT_ROWS_LEAST;

	return knots < 1 ? 1 : knots > INTERVAL_KNOTS ? INTERVAL_KNOTS : knots;
}

/* A knot for each slice of equal weight, from small predictions to large ones. Reorders r. */
static void fit_knots(struct residual *r, size_t count, struct interval *out)
{
	size_t knots = knots_for(count / PREDICTIONS_PER_ROW);
	size_t from = 0;
	double before = 0;

	qsort(r, count, sizeof(*r), by_margin);
	for (size_t k = 0; k < knots; k++) {
		struct km_interval_knot *knot = &out->knot[out->knot_count];
		double weight = 0;
		double margin = 0;
		size_t to = from;

		while (to < count && before + weight < (double)(k + 1) / (double)knots) {
			weight += r[to].weight;
			margin += r[to].weight * r[to].margin;
			to++;
		}
		if (to == from)
			continue;
		before += weight;
		knot->margin = margin / weight;
		qsort(r + from, to - from, sizeof(*r), by_value);
		knot->low = quantile(r + from, to - from, LOW_Q);
		knot->high = quantile(r + from, to - from, HIGH_Q);
		if (out->knot_count == 0 || knot->margin > knot[-1].margin + KNOT_APART)
			out->knot_count++;
		from = to;
	}
}

int interval_fit(const struct km_dataset *d, const float *margin, uint32_t without_campaign,
                 struct interval *out, struct km_err *err)
{
	size_t row_count;
	struct residual *r;
	size_t count;
	double mean = 0;
	double square = 0;

	(void)km_dataset_rows(d, &row_count);
	r = reallocarray(NULL, row_count * PREDICTIONS_PER_ROW + 1, sizeof(*r));
	if (r == NULL)
		return km_err_set(err, ENOMEM, "interval: out of memory");
	count = collect(d, margin, without_campaign, r);
	if (count == 0 || balance(r, count) != 0) {
		free(r);
		return count == 0 ? km_err_set(err, ENODATA, "interval: no held-out residuals")
		                  : km_err_set(err, ENOMEM, "interval: out of memory");
	}
	qsort(r, count, sizeof(*r), by_value);
	for (size_t i = 0; i < count; i++)
		mean += r[i].weight * r[i].value;
	for (size_t i = 0; i < count; i++)
		square += r[i].weight * (r[i].value - mean) * (r[i].value - mean);
	*out = (struct interval){
		.low = quantile(r, count, LOW_Q),
		.high = quantile(r, count, HIGH_Q),
		.sd = sqrt(square),
	};
	fit_knots(r, count, out);
	free(r);
	return 0;
}

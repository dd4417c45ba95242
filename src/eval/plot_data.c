/* SPDX-License-Identifier: Apache-2.0 */
#include "plot_data.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static int by_prediction(const void *a, const void *b)
{
	const struct km_eval_point *x = a;
	const struct km_eval_point *y = b;

	if (x->predicted != y->predicted)
		return x->predicted < y->predicted ? -1 : 1;
	return (x->measured > y->measured) - (x->measured < y->measured);
}

static int by_decision(const void *a, const void *b)
{
	const struct km_eval_point *x = a;
	const struct km_eval_point *y = b;

	return (x->decision > y->decision) - (x->decision < y->decision);
}

static int by_double(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The points of a kind, in the given order. Owned; NULL when out of memory. */
static struct km_eval_point *pick(const struct km_eval_report *r, enum km_row_kind kind,
                                  int (*order)(const void *, const void *), size_t *count)
{
	struct km_eval_point *p = reallocarray(NULL, r->point_count + 1, sizeof(*p));

	*count = 0;
	if (p == NULL)
		return NULL;
	for (size_t i = 0; i < r->point_count; i++) {
		if (r->point[i].kind == kind)
			p[(*count)++] = r->point[i];
	}
	qsort(p, *count, sizeof(*p), order);
	return p;
}

/* As km_scores judges it: the measured slowdown itself, not NP as scored. */
static bool inside(const struct km_eval_point *p)
{
	double np = 1 / (double)p->slowdown;

	return np >= (double)p->low && np <= (double)p->high;
}

static void fill_decile(const struct km_eval_point *p, size_t count, double *scratch,
                        struct decile *out)
{
	size_t bounded = 0;
	size_t held = 0;

	*out = (struct decile){
		.rows = count,
		.from = (double)p[0].predicted,
		.to = (double)p[count - 1].predicted,
	};
	for (size_t i = 0; i < count; i++) {
		scratch[i] = (double)p[i].measured;
		out->predicted += (double)p[i].predicted / (double)count;
		out->measured += scratch[i] / (double)count;
		if (!isnan(p[i].low) && !isnan(p[i].high)) {
			bounded++;
			held += inside(&p[i]);
		}
	}
	qsort(scratch, count, sizeof(*scratch), by_double);
	out->measured10 = scratch[(size_t)(0.1 * (double)(count - 1))];
	out->measured90 = scratch[(size_t)ceil(0.9 * (double)(count - 1))];
	out->inside = bounded > 0 ? (double)held / (double)bounded : NAN;
}

int plot_deciles(const struct km_eval_report *r, enum km_row_kind kind, struct decile *out)
{
	size_t count;
	struct km_eval_point *p = pick(r, kind, by_prediction, &count);
	double *scratch = reallocarray(NULL, count + 1, sizeof(*scratch));
	int filled = 0;

	if (p == NULL || scratch == NULL) {
		free(p);
		free(scratch);
		return -ENOMEM;
	}
	for (size_t d = 0; d < DECILES; d++) {
		size_t from = d * count / DECILES;
		size_t to = (d + 1) * count / DECILES;

		if (to > from)
			fill_decile(p + from, to - from, scratch, &out[filled++]);
	}
	free(scratch);
	free(p);
	return filled;
}

double plot_residual_at(size_t bin)
{
	return ((double)bin - (double)RESIDUAL_SIDE) * RESIDUAL_STEP;
}

void plot_residuals(const struct km_eval_report *r, enum km_row_kind kind, double *share)
{
	double all = 0;

	for (size_t i = 0; i < RESIDUAL_BINS; i++)
		share[i] = 0;
	for (size_t i = 0; i < r->point_count; i++) {
		const struct km_eval_point *p = &r->point[i];
		double off = (double)p->predicted - (double)p->measured;
		double at = round(off / RESIDUAL_STEP) + (double)RESIDUAL_SIDE;

		if (p->kind != kind || isnan(at))
			continue;
		share[(size_t)fmin(fmax(at, 0), RESIDUAL_BINS - 1)]++;
		all++;
	}
	for (size_t i = 0; all > 0 && i < RESIDUAL_BINS; i++)
		share[i] /= all;
}

static void add_pair(const struct km_eval_point *a, const struct km_eval_point *b,
                     struct ratio_bin *bin, double *right)
{
	const struct km_eval_point *better = a->slowdown < b->slowdown ? a : b;
	const struct km_eval_point *worse = better == a ? b : a;
	double ratio = (double)worse->slowdown / (double)better->slowdown;

	if (a->situation == b->situation || !(ratio > 1))
		return;
	for (size_t i = 0; i < RATIO_BINS; i++) {
		if (ratio < bin[i].from || ratio >= bin[i].to)
			continue;
		bin[i].pairs++;
		if (better->predicted == worse->predicted)
			right[i] += 0.5;
		else
			right[i] += better->predicted > worse->predicted;
	}
}

int plot_pairs(const struct km_eval_report *r, enum km_row_kind kind, struct ratio_bin *out)
{
	static const double bounds[RATIO_BINS] = { 1, 1.1, 1.25, 1.5, 2, 3, 5 };
	double right[RATIO_BINS] = { 0 };
	size_t to = 0; /* one behind the last row of this decision */
	size_t count;
	struct km_eval_point *p = pick(r, kind, by_decision, &count);

	if (p == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < RATIO_BINS; i++) {
		out[i] = (struct ratio_bin){
			.from = bounds[i],
			.to = i + 1 < RATIO_BINS ? bounds[i + 1] : INFINITY,
		};
	}
	for (size_t i = 0; i < count; i++) {
		size_t step;

		while (to < count && p[to].decision == p[i].decision)
			to++;
		step = (to - i - 1) / KM_SCORES_PEERS_MAX + 1;
		for (size_t j = i + 1; j < to; j += step)
			add_pair(&p[i], &p[j], out, right);
	}
	for (size_t i = 0; i < RATIO_BINS; i++)
		out[i].right = out[i].pairs > 0 ? right[i] / (double)out[i].pairs : NAN;
	free(p);
	return 0;
}

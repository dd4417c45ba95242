/* SPDX-License-Identifier: Apache-2.0 */
/* Scores of predictions; see the header for what each one means. */
#include "km/eval/metrics.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/rng.h"
#include "km/core/bootstrap.h"

#define FAR_APART     1.25 /* slowdowns that differ by less are within the noise of a replicate */
#define LOW_Q         0.05
#define HIGH_Q        0.95

#define FIELD(member) offsetof(struct km_scores, member)

const struct km_score_field km_score_fields[] = {
	{ "mae", "MAE", FIELD(mae) },
	{ "rmse", "RMSE", FIELD(rmse) },
	{ "r2", "R2", FIELD(r2) },
	{ "mapeSlowdown", "MAPE of slowdown", FIELD(mape_slowdown) },
	{ "spearman", "Spearman", FIELD(spearman) },
	{ "pairAccuracy", "pairs right", FIELD(pair_accuracy) },
	{ "pairAccuracy125", "pairs >=1.25x right", FIELD(pair_accuracy125) },
	{ "regret", "regret", FIELD(regret) },
	{ "bias", "bias", FIELD(bias) },
	{ "coverage90", "90 % interval holds", FIELD(coverage90) },
	{ NULL, NULL, 0 },
};

static int by_decision(const void *a, const void *b)
{
	const struct km_scored *x = a;
	const struct km_scored *y = b;

	if (x->decision != y->decision)
		return x->decision < y->decision ? -1 : 1;
	return (x->situation > y->situation) - (x->situation < y->situation);
}

struct sums {
	double weight, abs, square, relative, bias, covered, bounded;
	double label, label_square;
	double pairs, pairs125, right, right125, regret;
};

static void add_row(struct sums *s, const struct km_scored *r, double w)
{
	double np = 1 / r->predicted;
	double off = np - r->norm_perf;

	s->weight += w;
	s->abs += w * fabs(off);
	s->square += w * off * off;
	s->bias += w * off;
	s->relative += w * fabs(r->predicted - r->slowdown) / r->slowdown;
	s->label += w * r->norm_perf;
	s->label_square += w * r->norm_perf * r->norm_perf;
	if (!isnan(r->low) && !isnan(r->high)) {
		s->bounded += w;
		s->covered += r->slowdown >= r->low && r->slowdown <= r->high ? w : 0;
	}
}

static void add_pair(struct sums *s, const struct km_scored *a, const struct km_scored *b, double w)
{
	const struct km_scored *better = a->slowdown < b->slowdown ? a : b;
	const struct km_scored *worse = better == a ? b : a;
	double ratio = worse->slowdown / better->slowdown;
	double right = 0;

	if (!(ratio > 1))
		return;
	if (better->predicted < worse->predicted)
		right = 1;
	else if (better->predicted == worse->predicted)
		right = 0.5; /* the choice is a toss */
	s->pairs += w;
	s->right += w * right;
	s->regret += w * (1 - right) * (ratio - 1);
	if (ratio >= FAR_APART) {
		s->pairs125 += w;
		s->right125 += w * right;
	}
}

/* weight [clusters], NULL = all 1. rows are sorted by decision. */
static void add_all(struct sums *s, const struct km_scored *rows, size_t count,
                    const uint32_t *weight)
{
	size_t to = 0; /* one behind the last row of this decision */
	size_t step = 1;

	for (size_t i = 0; i < count; i++) {
		double w = weight != NULL ? weight[rows[i].cluster] : 1;

		if (i == to) {
			while (to < count && rows[to].decision == rows[i].decision)
				to++;
			step = (to - i - 1) / KM_SCORES_PEERS_MAX + 1;
		}
		if (w <= 0)
			continue;
		add_row(s, &rows[i], w);
		for (size_t j = i + 1; j < to; j += step) {
			double both = weight != NULL ? w * weight[rows[j].cluster] : 1;

			if (rows[j].situation != rows[i].situation && both > 0)
				add_pair(s, &rows[i], &rows[j], both);
		}
	}
}

static double per(double sum, double weight)
{
	return weight > 0 ? sum / weight : NAN;
}

static void settle(const struct sums *s, struct km_scores *out)
{
	double spread = s->label_square - s->label * s->label / s->weight;

	*out = (struct km_scores){
		.pairs = (size_t)s->pairs,
		.pairs125 = (size_t)s->pairs125,
		.mae = per(s->abs, s->weight),
		.rmse = sqrt(per(s->square, s->weight)),
		.r2 = spread > 1e-12 * s->weight ? 1 - s->square / spread : NAN,
		.mape_slowdown = per(s->relative, s->weight),
		.spearman = NAN,
		.pair_accuracy = per(s->right, s->pairs),
		.pair_accuracy125 = per(s->right125, s->pairs125),
		.regret = per(s->regret, s->pairs),
		.bias = per(s->bias, s->weight),
		.coverage90 = per(s->covered, s->bounded),
	};
}

struct ranked {
	double value;
	size_t row;
};

static int by_value(const void *a, const void *b)
{
	double x = ((const struct ranked *)a)->value;
	double y = ((const struct ranked *)b)->value;

	return (x > y) - (x < y);
}

/* Ranks of r[count], ties sharing their mean, into rank[r.row]. */
static void rank_all(struct ranked *r, size_t count, double *rank)
{
	qsort(r, count, sizeof(*r), by_value);
	for (size_t i = 0; i < count;) {
		size_t to = i;

		while (to < count && r[to].value == r[i].value)
			to++;
		for (size_t j = i; j < to; j++)
			rank[r[j].row] = (double)(i + to - 1) / 2;
		i = to;
	}
}

/* Pearson's correlation of the ranks. returns 0 or -ENOMEM. */
static int spearman(const struct km_scored *rows, size_t count, double *out)
{
	struct ranked *r = calloc(count, sizeof(*r));
	double *rank = calloc(2 * count, sizeof(*rank));
	double mean = ((double)count - 1) / 2;
	double xy = 0;
	double xx = 0;
	double yy = 0;

	if (r == NULL || rank == NULL) {
		free(r);
		free(rank);
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++)
		r[i] = (struct ranked){ rows[i].norm_perf, i };
	rank_all(r, count, rank);
	for (size_t i = 0; i < count; i++)
		r[i] = (struct ranked){ 1 / rows[i].predicted, i };
	rank_all(r, count, rank + count);
	for (size_t i = 0; i < count; i++) {
		xy += (rank[i] - mean) * (rank[count + i] - mean);
		xx += (rank[i] - mean) * (rank[i] - mean);
		yy += (rank[count + i] - mean) * (rank[count + i] - mean);
	}
	*out = xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
	free(r);
	free(rank);
	return 0;
}

int km_scores_compute(struct km_scored *rows, size_t count, struct km_scores *out)
{
	struct sums s = { .weight = 0 };

	qsort(rows, count, sizeof(*rows), by_decision);
	add_all(&s, rows, count, NULL);
	settle(&s, out);
	out->rows = count;
	return count > 0 ? spearman(rows, count, &out->spearman) : 0;
}

/* The bounds of one field over all rounds; NaN where half of the rounds have none. */
static void bounds(const struct km_scores *sample, uint32_t rounds, const struct km_score_field *f,
                   double *values, struct km_scores *low, struct km_scores *high)
{
	uint32_t known = 0;
	double v[2] = { NAN, NAN };

	for (uint32_t i = 0; i < rounds; i++) {
		values[known] = km_score_get(&sample[i], f);
		known += !isnan(values[known]);
	}
	if (2 * known > rounds) {
		km_bootstrap_bounds(values, known, LOW_Q, HIGH_Q, &v[0], &v[1]);
	}
	memcpy((char *)low + f->offset, &v[0], sizeof(double));
	memcpy((char *)high + f->offset, &v[1], sizeof(double));
}

int km_scores_bootstrap(struct km_scored *rows, size_t count, uint32_t rounds, uint64_t seed,
                        struct km_scores *low, struct km_scores *high)
{
	uint32_t clusters = 0;
	uint32_t *weight;
	struct km_scores *sample;
	double *values;
	struct km_rng rng;

	for (size_t i = 0; i < count; i++)
		clusters = rows[i].cluster >= clusters ? rows[i].cluster + 1 : clusters;
	weight = calloc((size_t)clusters + 1, sizeof(*weight));
	sample = calloc((size_t)rounds + 1, sizeof(*sample));
	values = calloc((size_t)rounds + 1, sizeof(*values));
	*low = *high = (struct km_scores){ .rows = count };
	if (weight != NULL && sample != NULL && values != NULL) {
		qsort(rows, count, sizeof(*rows), by_decision);
		km_rng_init(&rng, seed);
		for (uint32_t i = 0; i < rounds; i++) {
			struct sums s = { .weight = 0 };

			km_bootstrap_draw(&rng, clusters, weight);
			add_all(&s, rows, count, weight);
			settle(&s, &sample[i]);
		}
		for (const struct km_score_field *f = km_score_fields; f->json != NULL; f++)
			bounds(sample, rounds, f, values, low, high);
		free(weight);
		free(sample);
		free(values);
		return 0;
	}
	free(weight);
	free(sample);
	free(values);
	return -ENOMEM;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From outcomes to numbers with intervals. Whole clusters are drawn with replacement, the same ones
 * for every arm: differences between arms are paired. The 95 % quantile of a bootstrap sample is
 * read from histograms (bins of 2.5 %), the estimate itself from the sorted values.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/core/bootstrap.h"

#include "sim_internal.h"

#define BINS      512
#define BIN_WIDTH 0.025  /* of ln */
#define BIN_FIRST (-6.4) /* ln of the lower end: 0.0017 */
#define LEVEL     0.025  /* of each side of an interval */

struct sums {
	double count, cost, own, others, broken, right, moved;
};

/* What a cluster did, by arm. */
struct cluster {
	struct sums sums[KM_SIM_ARM_N];
	float tail[KM_SIM_ARM_N][BINS];
};

void sim_log_init(struct sim_log *l)
{
	*l = (struct sim_log){ .count = 0 };
}

void sim_log_fini(struct sim_log *l)
{
	free(l->cluster);
	free(l->outcome);
	*l = (struct sim_log){ .count = 0 };
}

int sim_log_add(struct sim_log *l, uint32_t cluster, const struct sim_outcome *outcome)
{
	if (l->count == l->cap) {
		size_t cap = l->cap == 0 ? 1024 : 2 * l->cap;
		void *grown = reallocarray(l->cluster, cap, sizeof(*l->cluster));

		if (grown == NULL)
			return -ENOMEM;
		l->cluster = grown;
		grown = reallocarray(l->outcome, cap, KM_SIM_ARM_N * sizeof(*l->outcome));
		if (grown == NULL)
			return -ENOMEM;
		l->outcome = grown;
		l->cap = cap;
	}
	l->cluster[l->count] = cluster;
	memcpy(l->outcome + l->count * KM_SIM_ARM_N, outcome, KM_SIM_ARM_N * sizeof(*outcome));
	l->count++;
	return 0;
}

static size_t bin_of(float value)
{
	double at = (log((double)value) - BIN_FIRST) / BIN_WIDTH;

	if (!(at > 0))
		return 0;
	return at < BINS ? (size_t)at : BINS - 1;
}

static void add(struct sums *s, const struct sim_outcome *o)
{
	s->count++;
	s->cost += (double)o->cost;
	s->own += (double)o->own;
	s->others += (double)o->others;
	s->broken += o->broken;
	s->right += o->right;
	s->moved += o->moved;
}

static void add_sums(struct sums *to, const struct sums *s)
{
	to->count += s->count;
	to->cost += s->cost;
	to->own += s->own;
	to->others += s->others;
	to->broken += s->broken;
	to->right += s->right;
	to->moved += s->moved;
}

static double quantile_of(const double *bin, double share)
{
	double all = 0;
	double below = 0;
	size_t i = 0;

	for (size_t k = 0; k < BINS; k++)
		all += bin[k];
	while (i + 1 < BINS && below + bin[i] < share * all)
		below += bin[i++];
	return exp(BIN_FIRST + BIN_WIDTH * ((double)i + (share * all - below) / bin[i]));
}

/* out [KM_SIM_METRIC_N], without P95. sums [KM_SIM_ARM_N]. */
static void metrics_of(const struct sums *sums, const struct sim_log *l, enum km_sim_arm a,
                       double *out)
{
	const struct sums *s = &sums[a];
	double best = sums[KM_SIM_ORACLE].cost;
	double chance = sums[KM_SIM_RANDOM].cost;

	out[KM_SIM_COST] = s->cost / s->count;
	out[KM_SIM_OWN] = s->own / s->count;
	out[KM_SIM_OTHERS] = s->others / s->count;
	out[KM_SIM_VIOLATIONS] = s->broken / s->count;
	out[KM_SIM_REGRET] = s->cost / best - 1;
	out[KM_SIM_CLOSED] = chance > best ? (chance - s->cost) / (chance - best) : NAN;
	out[KM_SIM_RIGHT] = s->right / s->count;
	out[KM_SIM_MOVES] = l->no_time ? NAN : s->moved / s->count;
	out[KM_SIM_AGAINST] = l->there[KM_SIM_OURS] ? sums[KM_SIM_OURS].cost / s->cost - 1 : NAN;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double exact_p95(const struct sim_log *l, enum km_sim_arm a, double *scratch)
{
	for (size_t i = 0; i < l->count; i++)
		scratch[i] = (double)l->outcome[i * KM_SIM_ARM_N + a].tail;
	qsort(scratch, l->count, sizeof(*scratch), by_value);
	return scratch[(size_t)ceil(0.95 * (double)l->count) - 1];
}

/* Clusters in the order of their first decision; numbers without one are none. index [highest +
 * 1], zeroed: becomes 1 + position. returns how many. */
static size_t number_clusters(const struct sim_log *l, uint32_t *index)
{
	uint32_t count = 0;

	for (size_t i = 0; i < l->count; i++) {
		if (index[l->cluster[i]] == 0)
			index[l->cluster[i]] = ++count;
	}
	return count;
}

static void gather(const struct sim_log *l, const uint32_t *index, struct cluster *cluster)
{
	for (size_t i = 0; i < l->count; i++) {
		struct cluster *c = &cluster[index[l->cluster[i]] - 1];

		for (int a = 0; a < KM_SIM_ARM_N; a++) {
			const struct sim_outcome *o = &l->outcome[i * KM_SIM_ARM_N + (size_t)a];

			if (!l->there[a])
				continue;
			add(&c->sums[a], o);
			c->tail[a][bin_of(o->tail)]++;
		}
	}
}

/* One bootstrap sample: drawn [clusters] how often each is in. value [ARM_N][METRIC_N]. */
static void resample(const struct sim_log *l, const struct cluster *cluster, const uint32_t *drawn,
                     size_t clusters, double *value)
{
	struct sums sums[KM_SIM_ARM_N] = { 0 };

	for (size_t c = 0; c < clusters; c++) {
		for (uint32_t k = 0; k < drawn[c]; k++) {
			for (int a = 0; a < KM_SIM_ARM_N; a++)
				add_sums(&sums[a], &cluster[c].sums[a]);
		}
	}
	for (int a = 0; a < KM_SIM_ARM_N; a++) {
		double bin[BINS] = { 0 };

		if (!l->there[a])
			continue;
		for (size_t c = 0; c < clusters; c++) {
			for (size_t b = 0; drawn[c] > 0 && b < BINS; b++)
				bin[b] += drawn[c] * (double)cluster[c].tail[a][b];
		}
		metrics_of(sums, l, (enum km_sim_arm)a, value + (size_t)a * KM_SIM_METRIC_N);
		value[(size_t)a * KM_SIM_METRIC_N + KM_SIM_P95] = quantile_of(bin, 0.95);
	}
}

/* Quantiles of the rounds' values at `at`; those that are no number do not count. */
static void interval(const double *value, size_t rounds, size_t stride, size_t at, double *scratch,
                     struct km_sim_number *out)
{
	size_t n = 0;

	for (size_t r = 0; r < rounds; r++) {
		if (!isnan(value[r * stride + at]))
			scratch[n++] = value[r * stride + at];
	}
	km_bootstrap_bounds(scratch, n, LEVEL, 1 - LEVEL, &out->low, &out->high);
}

static void estimates(const struct sim_log *l, const struct cluster *cluster, size_t clusters,
                      double *scratch, struct km_sim_setting *out)
{
	struct sums sums[KM_SIM_ARM_N] = { 0 };

	for (size_t c = 0; c < clusters; c++) {
		for (int a = 0; a < KM_SIM_ARM_N; a++)
			add_sums(&sums[a], &cluster[c].sums[a]);
	}
	for (int a = 0; a < KM_SIM_ARM_N; a++) {
		double value[KM_SIM_METRIC_N];

		for (int m = 0; m < KM_SIM_METRIC_N; m++)
			out->arm[a].metric[m] = (struct km_sim_number){ NAN, NAN, NAN };
		out->arm[a].there = l->there[a];
		if (!l->there[a])
			continue;
		metrics_of(sums, l, (enum km_sim_arm)a, value);
		value[KM_SIM_P95] = exact_p95(l, (enum km_sim_arm)a, scratch);
		for (int m = 0; m < KM_SIM_METRIC_N; m++)
			out->arm[a].metric[m].value = value[m];
	}
}

/* Memory of a summary. */
struct work {
	struct cluster *cluster; /* [clusters] */
	size_t clusters;
	uint32_t *index; /* of clusters by their number */
	uint32_t *drawn; /* [clusters] */
	double *value;   /* [rounds][ARM_N][METRIC_N] */
	double *scratch; /* for sorting */
};

static void intervals(const struct sim_log *l, const struct work *w, uint32_t rounds, uint64_t seed,
                      struct km_sim_setting *out)
{
	size_t stride = (size_t)KM_SIM_ARM_N * KM_SIM_METRIC_N;
	struct km_rng rng;

	km_rng_init(&rng, seed);
	for (uint32_t r = 0; r < rounds; r++) {
		km_bootstrap_draw(&rng, (uint32_t)w->clusters, w->drawn);
		resample(l, w->cluster, w->drawn, w->clusters, w->value + r * stride);
	}
	for (size_t a = 0; a < KM_SIM_ARM_N; a++) {
		for (size_t m = 0; l->there[a] && m < KM_SIM_METRIC_N; m++)
			interval(w->value, rounds, stride, a * KM_SIM_METRIC_N + m, w->scratch,
			         &out->arm[a].metric[m]);
	}
}

static int work_init(struct work *w, const struct sim_log *l, uint32_t rounds)
{
	size_t stride = (size_t)KM_SIM_ARM_N * KM_SIM_METRIC_N;
	uint32_t highest = 0;

	*w = (struct work){ .clusters = 0 };
	for (size_t i = 0; i < l->count; i++)
		highest = l->cluster[i] > highest ? l->cluster[i] : highest;
	w->index = calloc((size_t)highest + 1, sizeof(*w->index));
	if (w->index == NULL)
		return -ENOMEM;
	w->clusters = number_clusters(l, w->index);
	w->cluster = calloc(w->clusters + 1, sizeof(*w->cluster));
	w->drawn = calloc(w->clusters + 1, sizeof(*w->drawn));
	w->value = calloc((size_t)rounds + 1, stride * sizeof(*w->value));
	w->scratch = calloc(l->count + rounds, sizeof(*w->scratch));
	return w->cluster != NULL && w->drawn != NULL && w->value != NULL && w->scratch != NULL
	               ? 0
	               : -ENOMEM;
}

static void work_fini(struct work *w)
{
	free(w->index);
	free(w->scratch);
	free(w->value);
	free(w->drawn);
	free(w->cluster);
}

int sim_log_summarise(const struct sim_log *l, uint32_t rounds, uint64_t seed,
                      struct km_sim_setting *out, struct km_err *err)
{
	struct work w;
	int rc = 0;

	if (l->count == 0)
		return km_err_set(err, ENODATA, "%s: not one decision to judge", out->name);
	if (work_init(&w, l, rounds) != 0) {
		rc = km_err_set(err, ENOMEM, "%s: out of memory", out->name);
	} else {
		gather(l, w.index, w.cluster);
		out->decisions = l->count;
		out->clusters = w.clusters;
		estimates(l, w.cluster, w.clusters, w.scratch, out);
		intervals(l, &w, rounds, seed, out);
	}
	work_fini(&w);
	return rc;
}

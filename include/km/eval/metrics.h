/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How good predictions are: errors of normalized performance (NP = 1 / slowdown), and what a
 * scheduler needs, whether the better of two nodes is seen as the better one. Pure arithmetic.
 */
#ifndef KM_EVAL_METRICS_H
#define KM_EVAL_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/macros.h"

/* One prediction beside what was measured. */
struct km_scored {
	double slowdown;    /* measured, p99 / p99 alone */
	double norm_perf;   /* for errors: 1/slowdown, exactly 1 where nothing interferes */
	double predicted;   /* slowdown, > 0 */
	double low, high;   /* its 90 % interval; NaN = none */
	uint32_t decision;  /* rows with the same number compete with one another... */
	uint32_t situation; /* ...if these differ: another mix or placement of interference */
	uint32_t cluster;   /* rows that stand or fall together: campaign x scenario */
};

struct km_scores {
	size_t rows;
	size_t pairs;    /* of competing rows whose slowdowns differ */
	size_t pairs125; /* by a factor of at least 1.25 */
	double mae;      /* mean absolute error of NP */
	double rmse;
	double r2;
	double mape_slowdown;    /* mean of |predicted - measured| / measured slowdown */
	double spearman;         /* rank correlation of NP */
	double pair_accuracy;    /* of `pairs`, the share in the right order; a tie is half right */
	double pair_accuracy125; /* of `pairs125` */
	double regret;           /* mean over `pairs` of chosen / better slowdown - 1 */
	double bias;             /* mean of predicted - measured NP: > 0 is optimistic */
	double coverage90;       /* share of measured slowdowns inside the interval */
};

/*
 * A decision between very many nodes has a square of pairs: beyond so many others, each row meets
 * an even sample of them.
 */
#define KM_SCORES_PEERS_MAX 1024

/* One number of km_scores, for loops over all of them. */
struct km_score_field {
	const char *json;  /* "mae" */
	const char *label; /* "MAE" */
	size_t offset;     /* of a double in struct km_scores */
};

/* Ended by a NULL name. */
extern const struct km_score_field km_score_fields[];

static inline double km_score_get(const struct km_scores *s, const struct km_score_field *f)
{
	return *(const double *)(const void *)((const char *)s + f->offset);
}

/*
 * Scores of rows [count]; what needs something that is not there (pairs, intervals) is NaN.
 * The rows are sorted by decision on the way. returns 0 or -ENOMEM.
 */
int km_scores_compute(struct km_scored *rows, size_t count, struct km_scores *out) KM_MUST_CHECK;

/*
 * 90 % intervals of each score by `rounds` bootstrap samples of clusters, seeded: low, high.
 * Spearman is left out (NaN). returns 0 or -ENOMEM.
 */
int km_scores_bootstrap(struct km_scored *rows, size_t count, uint32_t rounds, uint64_t seed,
                        struct km_scores *low, struct km_scores *high) KM_MUST_CHECK;

#endif

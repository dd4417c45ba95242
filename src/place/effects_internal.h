/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside learned effects. What each file knows:
 *
 *   effects_pool.c     slots by key, the least recently seen reused when all are taken
 *   effects_linear.c   small symmetric systems
 *   effects_traits.c   times alone -> level and traits of platforms and workloads
 *   effects_input.c    traits of two workloads on a platform -> inputs of the regression
 *   effects.c          one observation, one prediction
 *   effects_refine.c   passes over the observations kept
 *   effects_bytes.c    everything to bytes and back
 *
 *   ln slowdown = input . coefficients of the platform     (drawn to what holds on all platforms)
 *               + sensitivity of the subject + pressure of the neighbour
 *               + what is left of both on this platform    (each drawn to 0)
 */
#ifndef KM_EFFECTS_INTERNAL_H
#define KM_EFFECTS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/place/effects.h"

#define EFFECTS_TRAITS 4
#define EFFECTS_INPUTS 33
#define EFFECTS_PACKED (EFFECTS_INPUTS * (EFFECTS_INPUTS + 1) / 2)
#define EFFECTS_NONE   UINT32_MAX

/* ---- pool ---- */

/* Items of one kind in numbered slots. A slot keeps its number until it is reused. */
struct effects_pool {
	unsigned char *item; /* [cap][size] */
	size_t size;
	uint64_t *key; /* [cap] */
	bool *seen;    /* [cap], since the hand passed */
	uint32_t count, cap, limit;
	uint32_t hand;  /* looks for a slot to reuse */
	uint32_t *slot; /* [slot_cap], hash table: 1 + position; 0 = free */
	size_t slot_cap;
};

void effects_pool_init(struct effects_pool *p, size_t size, uint32_t limit);
void effects_pool_fini(struct effects_pool *p);

static inline void *effects_pool_at(const struct effects_pool *p, uint32_t i)
{
	return p->item + (size_t)i * p->size;
}

/* returns the slot of a key, EFFECTS_NONE when there is none. */
uint32_t effects_pool_find(const struct effects_pool *p, uint64_t key);

/*
 * The same, and a slot for a new key: zeroed, with *fresh set. When it was another key's before,
 * *reused is set too. returns EFFECTS_NONE when memory is short.
 */
uint32_t effects_pool_take(struct effects_pool *p, uint64_t key, bool *fresh, bool *reused);

/* Empties a slot: no key finds it, and it is the first to be reused. */
void effects_pool_drop(struct effects_pool *p, uint32_t i);

/* For reading bytes back: slots as they were. returns -EEXIST for a key that is there already. */
int effects_pool_restore(struct effects_pool *p, uint64_t key, bool seen);

/* ---- linear ---- */

/* A symmetric matrix as its lower triangle, row by row. */
static inline size_t effects_packed(size_t row, size_t column)
{
	return row * (row + 1) / 2 + column;
}

/* a [n] packed, positive definite -> its Cholesky factor, in place. false: it is not. */
bool effects_factor(double *a, size_t n);
/* Solves factor x = b in place. */
void effects_solve(const double *factor, size_t n, double *b);
/* factor -> the inverse of what was factored, packed, in out. */
void effects_invert(const double *factor, size_t n, double *out);
/* out = a x. */
void effects_times(const double *a, size_t n, const double *x, double *out);
double effects_dot(const double *a, const double *b, size_t n);

/* ---- the model ---- */

struct effects_platform {
	double level; /* ln of what a typical workload takes alone */
	double load[EFFECTS_TRAITS];
	double described;        /* workloads whose time alone is known here */
	double noise;            /* variance of one observation */
	double noise_sum, count; /* observations it is from */
	double weight;           /* of them together */
	double mean[EFFECTS_INPUTS];
	double cov[EFFECTS_PACKED];
};

/* A mean that is drawn to 0: sum / (weight + its shrinkage). */
struct effects_mean {
	double sum, weight;
};

struct effects_workload {
	double level; /* how much longer than typical it takes, ln, over all platforms */
	double trait[EFFECTS_TRAITS];
	double described;
	struct effects_mean sensitivity, pressure;
};

/* A workload on a platform. */
struct effects_cell {
	uint32_t platform, workload;
	double alone; /* ln; NaN = not known */
	struct effects_mean sensitivity, pressure;
};

struct effects_observation {
	uint32_t platform, subject, neighbour; /* EFFECTS_NONE = not known */
	double log_slowdown, weight;           /* weight 0: dropped, one of its keys is gone */
};

struct km_effects {
	struct effects_pool platforms, workloads, cells;
	struct effects_observation *kept; /* [kept_cap], a ring */
	uint32_t kept_count, kept_cap, kept_limit, kept_next;
	double mean[EFFECTS_INPUTS]; /* what holds on a platform not seen yet */
	double cov[EFFECTS_PACKED];
	double noise;
	double calibration; /* variance of errors seen, over the variance predicted */
};

static inline struct effects_platform *effects_platform(const struct km_effects *e, uint32_t i)
{
	return i != EFFECTS_NONE ? effects_pool_at(&e->platforms, i) : NULL;
}

static inline struct effects_workload *effects_workload(const struct km_effects *e, uint32_t i)
{
	return i != EFFECTS_NONE ? effects_pool_at(&e->workloads, i) : NULL;
}

static inline struct effects_cell *effects_cell(const struct km_effects *e, uint32_t i)
{
	return i != EFFECTS_NONE ? effects_pool_at(&e->cells, i) : NULL;
}

static inline uint64_t effects_cell_key(uint32_t platform, uint32_t workload)
{
	return ((uint64_t)platform + 1) << 32 | workload;
}

/* Who is concerned by one observation or prediction; positions, EFFECTS_NONE = not known. */
struct effects_case {
	uint32_t platform, subject, neighbour;
	uint32_t subject_cell, neighbour_cell;
};

void effects_case_find(const struct km_effects *e, uint32_t platform, uint32_t subject,
                       uint32_t neighbour, struct effects_case *c);

/* Means of a case that are drawn to 0, in a fixed order. */
enum effects_part {
	EFFECTS_SENSITIVITY,
	EFFECTS_PRESSURE,
	EFFECTS_CELL_SENSITIVITY,
	EFFECTS_CELL_PRESSURE,
	EFFECTS_PART_N,
};

/* NULL where the key is not known. */
struct effects_mean *effects_case_mean(const struct km_effects *e, const struct effects_case *c,
                                       enum effects_part part);
/* Observations of weight 1 that 0 counts as. */
double effects_shrinkage(enum effects_part part);

static inline double effects_mean_value(const struct effects_mean *m, enum effects_part part)
{
	return m != NULL ? m->sum / (m->weight + effects_shrinkage(part)) : 0;
}

/* The sum of the four. */
double effects_case_rest(const struct km_effects *e, const struct effects_case *c);

/* The variance of that sum, in units of the noise. */
double effects_case_spread(const struct km_effects *e, const struct effects_case *c);

/* ---- inputs and traits ---- */

void effects_inputs(const struct km_effects *e, const struct effects_case *c,
                    double out[EFFECTS_INPUTS]);

/* Level and traits of one workload from its times alone, platforms as they are. */
void effects_traits_of(struct km_effects *e, uint32_t workload);

/* All of them, and those of platforms, from all times alone. returns 0 or -ENOMEM (unchanged). */
int effects_traits_fit(struct km_effects *e, uint32_t rounds);

/* What holds before anything was observed. */
void effects_prior_init(struct km_effects *e);
void effects_platform_init(const struct km_effects *e, struct effects_platform *p);

/* The variance of one observation from the sum of `count` estimates of it, and a first guess. */
double effects_noise(double sum, double count);

#define EFFECTS_NOISE_COUNT 5.0 /* observations that the first guess counts as */
#define EFFECTS_NOISE_GUESS (0.05 * 0.05)
#define EFFECTS_NOISE_MIN   1e-6
#define EFFECTS_NOISE_MAX   100.0

#endif

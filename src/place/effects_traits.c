/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times alone to levels and traits, by alternating least squares:
 *
 *   ln alone[p][w] = level[p] + level[w] + load[p] . trait[w]
 *
 * Levels say how long a workload takes, traits on which kinds of machine it takes longer than its
 * length says (what it needs: floating point, memory, start-up). Few platforms show few traits;
 * the ridge keeps those that cannot be seen at 0.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"

#include "effects_internal.h"

#define TERMS  (EFFECTS_TRAITS + 1) /* a level and traits */
#define NORMAL (TERMS * (TERMS + 1) / 2)

/* What 0 counts as against one known time alone: levels are free, traits are not. */
#define RIDGE_LEVEL 0.01
#define RIDGE_TRAIT 0.1

/* Normal equations of one side of the factorisation. */
struct normal {
	double a[NORMAL], b[TERMS];
	double count;
};

static void normal_add(struct normal *n, const double *other, double y)
{
	double x[TERMS] = { 1 };

	memcpy(x + 1, other, EFFECTS_TRAITS * sizeof(*other));
	for (size_t i = 0; i < TERMS; i++) {
		for (size_t j = 0; j <= i; j++)
			n->a[effects_packed(i, j)] += x[i] * x[j];
		n->b[i] += x[i] * y;
	}
	n->count++;
}

static void normal_solve(struct normal *n, double *level, double *other)
{
	for (size_t i = 0; i < TERMS; i++)
		n->a[effects_packed(i, i)] += i == 0 ? RIDGE_LEVEL : RIDGE_TRAIT;
	if (n->count == 0 || !effects_factor(n->a, TERMS)) {
		return;
	}
	effects_solve(n->a, TERMS, n->b);
	*level = n->b[0];
	memcpy(other, n->b + 1, EFFECTS_TRAITS * sizeof(*other));
}

/* Somewhere to start from, the same for the same key: -1 to 1. */
static void first_traits(uint64_t key, double *trait)
{
	for (size_t k = 0; k < EFFECTS_TRAITS; k++)
		trait[k] = (double)(km_hash64(&key, sizeof(key), k) >> 11) * 0x1p-52 - 1;
}

void effects_traits_of(struct km_effects *e, uint32_t workload)
{
	struct effects_workload *w = effects_workload(e, workload);
	struct normal n = { .count = 0 };

	for (uint32_t i = 0; i < e->platforms.count; i++) {
		const struct effects_platform *p = effects_platform(e, i);
		const struct effects_cell *c = effects_cell(
			e, effects_pool_find(&e->cells, effects_cell_key(i, workload)));

		if (c != NULL && !isnan(c->alone))
			normal_add(&n, p->load, c->alone - p->level);
	}
	w->described = n.count;
	normal_solve(&n, &w->level, w->trait);
}

static bool is_described(const struct km_effects *e, uint32_t i, struct effects_cell **c)
{
	*c = effects_cell(e, i);
	return e->cells.key[i] != 0 && !isnan((*c)->alone);
}

static void fit_workloads(struct km_effects *e, struct normal *n)
{
	struct effects_cell *c;

	memset(n, 0, e->workloads.count * sizeof(*n));
	for (uint32_t i = 0; i < e->cells.count; i++) {
		if (is_described(e, i, &c)) {
			const struct effects_platform *p = effects_platform(e, c->platform);

			normal_add(&n[c->workload], p->load, c->alone - p->level);
		}
	}
	for (uint32_t i = 0; i < e->workloads.count; i++) {
		struct effects_workload *w = effects_workload(e, i);

		w->described = n[i].count;
		normal_solve(&n[i], &w->level, w->trait);
	}
}

static void fit_platforms(struct km_effects *e, struct normal *n)
{
	struct effects_cell *c;

	memset(n, 0, e->platforms.count * sizeof(*n));
	for (uint32_t i = 0; i < e->cells.count; i++) {
		if (is_described(e, i, &c)) {
			const struct effects_workload *w = effects_workload(e, c->workload);

			normal_add(&n[c->platform], w->trait, c->alone - w->level);
		}
	}
	for (uint32_t i = 0; i < e->platforms.count; i++) {
		struct effects_platform *p = effects_platform(e, i);

		p->described = n[i].count;
		normal_solve(&n[i], &p->level, p->load);
	}
}

/* A typical workload has level 0, and traits scatter by 1: what regressions and ridges assume. */
static void normalise(struct km_effects *e)
{
	double level = 0;
	double square[EFFECTS_TRAITS] = { 0 };
	double count = 0;

	for (uint32_t i = 0; i < e->workloads.count; i++) {
		const struct effects_workload *w = effects_workload(e, i);

		if (w->described <= 0)
			continue;
		count++;
		level += w->level;
		for (size_t k = 0; k < EFFECTS_TRAITS; k++)
			square[k] += w->trait[k] * w->trait[k];
	}
	if (count == 0)
		return;
	level /= count;
	for (uint32_t i = 0; i < e->workloads.count; i++) {
		struct effects_workload *w = effects_workload(e, i);

		w->level -= w->described > 0 ? level : 0;
		for (size_t k = 0; k < EFFECTS_TRAITS; k++)
			w->trait[k] /= fmax(sqrt(square[k] / count), 1e-3);
	}
	for (uint32_t i = 0; i < e->platforms.count; i++) {
		struct effects_platform *p = effects_platform(e, i);

		p->level += p->described > 0 ? level : 0;
		for (size_t k = 0; k < EFFECTS_TRAITS; k++)
			p->load[k] *= fmax(sqrt(square[k] / count), 1e-3);
	}
}

int effects_traits_fit(struct km_effects *e, uint32_t rounds)
{
	uint32_t most =
		e->platforms.count > e->workloads.count ? e->platforms.count : e->workloads.count;
	struct normal *n = calloc((size_t)most + 1, sizeof(*n));

	if (n == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < e->workloads.count; i++) {
		struct effects_workload *w = effects_workload(e, i);

		if (effects_dot(w->trait, w->trait, EFFECTS_TRAITS) == 0)
			first_traits(e->workloads.key[i], w->trait);
	}
	for (uint32_t i = 0; i < rounds; i++) {
		fit_platforms(e, n);
		fit_workloads(e, n);
		normalise(e);
	}
	free(n);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is learned from co-runs: effects as the daemon has them, and the additive model that the
 * literature compares with.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"
#include "km/decide/decide.h"

#include "corun_internal.h"

#define REFINE_PASSES 8
#define RIDGE         1.0
#define RIDGE_ROUNDS  30
#define PLATFORM_SEED 7

/* other[i]: workload i is not the one that has the same name elsewhere: it gets `prefix`. */
int corun_source_init(struct corun_source *s, struct km_corun *data, const char *prefix,
                      const bool *other)
{
	uint32_t workloads = km_corun_workloads(data);
	uint32_t platforms = km_corun_platforms(data);

	*s = (struct corun_source){ .data = data };
	s->platform = calloc(platforms, sizeof(*s->platform));
	s->workload = calloc(workloads, sizeof(*s->workload));
	s->name = calloc(workloads, sizeof(*s->name));
	if (s->platform == NULL || s->workload == NULL || s->name == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < platforms; i++) {
		const char *name = km_corun_platform(data, i);

		s->platform[i] = km_hash64(name, strlen(name), PLATFORM_SEED) | 1;
	}
	for (uint32_t i = 0; i < workloads; i++) {
		const char *name = km_corun_workload(data, i);
		bool own = other != NULL && other[i];
		uint64_t hash = km_hash64(name, strlen(name), 0);

		/* A class name is short; where a workload's is not, its hash stands for it. */
		if (strlen(name) + strlen(prefix) < sizeof(s->name[i])) {
			(void)snprintf(s->name[i], sizeof(s->name[i]), "%s%s", own ? prefix : "w-",
			               name);
		} else {
			(void)snprintf(s->name[i], sizeof(s->name[i]), "%s%016llx",
			               own ? prefix : "w-", (unsigned long long)hash);
		}
		s->workload[i] = km_decide_effects_key(s->name[i], strlen(s->name[i]));
	}
	return 0;
}

void corun_source_fini(struct corun_source *s)
{
	km_corun_free(s->data);
	free(s->platform);
	free(s->workload);
	free(s->name);
	*s = (struct corun_source){ .data = NULL };
}

static bool describe(struct km_effects *e, const struct corun_source *s)
{
	size_t count;
	const struct km_corun_row *row = km_corun_rows(s->data, &count);

	for (size_t i = 0; i < count; i++) {
		if (i > 0 && row[i].platform == row[i - 1].platform &&
		    row[i].workload == row[i - 1].workload)
			continue;
		if (km_effects_describe(e, s->platform[row[i].platform],
		                        s->workload[row[i].workload], row[i].log_alone) == -ENOMEM)
			return false;
	}
	return true;
}

struct km_effects *corun_effects(const struct corun_source *from, const bool *learn,
                                 const double *y, const struct corun_source *judged, bool described)
{
	const struct km_effects_limits limits = { .platforms = KM_EFFECTS_PLATFORMS_MAX,
		                                  .workloads = KM_EFFECTS_WORKLOADS_MAX,
		                                  .cells = KM_EFFECTS_CELLS_MAX,
		                                  .observations = KM_EFFECTS_OBSERVATIONS_MAX };
	struct km_effects *e = km_effects_create(&limits);
	size_t count;
	const struct km_corun_row *row = km_corun_rows(from->data, &count);
	bool ok = e != NULL;

	if (ok && described)
		ok = describe(e, judged) && (from == judged || describe(e, from));
	for (size_t i = 0; ok && i < count; i++) {
		if (!learn[i])
			continue;
		ok = km_effects_observe(e, from->platform[row[i].platform],
		                        from->workload[row[i].workload],
		                        from->workload[row[i].neighbour], y[i], 1) != -ENOMEM;
	}
	if (!ok) {
		km_effects_free(e);
		return NULL;
	}
	km_effects_refine(e, REFINE_PASSES);
	return e;
}

static int by_key(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int terms_init(struct corun_terms *t, const uint64_t *key, size_t count)
{
	t->key = calloc(count + 1, sizeof(*t->key));
	t->value = calloc(count + 1, sizeof(*t->value));
	if (t->key == NULL || t->value == NULL)
		return -ENOMEM;
	memcpy(t->key, key, count * sizeof(*key));
	qsort(t->key, count, sizeof(*t->key), by_key);
	t->count = count;
	return 0;
}

static void terms_fini(struct corun_terms *t)
{
	free(t->key);
	free(t->value);
}

static double *term_at(const struct corun_terms *t, uint64_t key)
{
	const uint64_t *found = bsearch(&key, t->key, t->count, sizeof(*t->key), by_key);

	return found != NULL ? &t->value[found - t->key] : NULL;
}

double corun_term(const struct corun_terms *t, uint64_t key)
{
	const double *found = term_at(t, key);

	return found != NULL ? *found : 0;
}

/* What of a row a term belongs to. */
static uint64_t key_of(const struct corun_source *s, const struct km_corun_row *r, int kind)
{
	if (kind == 0)
		return s->platform[r->platform];
	return s->workload[kind == 1 ? r->workload : r->neighbour];
}

/* The mean of what the others leave, drawn to 0. left [rows] is kept up to date. */
static void fit_terms(const struct corun_source *from, const bool *learn, int kind,
                      struct corun_terms *t, double *weight, double *left)
{
	size_t count;
	const struct km_corun_row *row = km_corun_rows(from->data, &count);

	for (size_t i = 0; i < count; i++)
		left[i] += learn[i] ? corun_term(t, key_of(from, &row[i], kind)) : 0;
	memset(t->value, 0, t->count * sizeof(*t->value));
	memset(weight, 0, t->count * sizeof(*weight));
	for (size_t i = 0; i < count; i++) {
		double *term = learn[i] ? term_at(t, key_of(from, &row[i], kind)) : NULL;

		if (term != NULL) {
			*term += left[i];
			weight[term - t->value]++;
		}
	}
	for (size_t i = 0; i < t->count; i++)
		t->value[i] /= weight[i] + RIDGE;
	for (size_t i = 0; i < count; i++)
		left[i] -= learn[i] ? corun_term(t, key_of(from, &row[i], kind)) : 0;
}

int corun_additive_fit(struct corun_additive *a, const struct corun_source *from, const bool *learn,
                       const double *y)
{
	size_t count = 0;
	uint32_t workloads = km_corun_workloads(from->data);
	uint32_t platforms = km_corun_platforms(from->data);
	double *left = NULL;
	double *weight;
	double learned = 0;
	int rc = 0;

	(void)km_corun_rows(from->data, &count);
	left = calloc(count + workloads + platforms + 1, sizeof(*left));
	weight = left != NULL ? left + count : NULL;
	rc = left != NULL ? 0 : -ENOMEM;
	*a = (struct corun_additive){ .mean = 0 };
	if (rc == 0 && (terms_init(&a->platform, from->platform, platforms) != 0 ||
	                terms_init(&a->sensitivity, from->workload, workloads) != 0 ||
	                terms_init(&a->pressure, from->workload, workloads) != 0))
		rc = -ENOMEM;
	for (size_t i = 0; rc == 0 && i < count; i++) {
		a->mean += learn[i] ? y[i] : 0;
		learned += learn[i];
	}
	a->mean /= learned > 0 ? learned : 1;
	for (size_t i = 0; rc == 0 && i < count; i++)
		left[i] = y[i] - a->mean;
	for (int round = 0; rc == 0 && round < RIDGE_ROUNDS; round++) {
		fit_terms(from, learn, 0, &a->platform, weight, left);
		fit_terms(from, learn, 1, &a->sensitivity, weight, left);
		fit_terms(from, learn, 2, &a->pressure, weight, left);
	}
	free(left);
	return rc;
}

void corun_additive_fini(struct corun_additive *a)
{
	terms_fini(&a->platform);
	terms_fini(&a->sensitivity);
	terms_fini(&a->pressure);
}

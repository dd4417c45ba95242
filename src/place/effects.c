/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One observation and one prediction. An observation moves the coefficients of its platform by the
 * Kalman step of a linear regression, which is exact, and then the means drawn to 0 by what is
 * left. What this order of things costs, passes over the observations kept make good.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "effects_internal.h"

#define PLATFORMS_DEFAULT    256
#define WORKLOADS_DEFAULT    1024
#define CELLS_DEFAULT        32768
#define OBSERVATIONS_DEFAULT 32768
#define LOG_SLOWDOWN_MAX     10.0
#define LOG_ALONE_MAX        50.0
#define COV_MIN              1e-9
#define WEIGHT_MIN           1e-3
#define WEIGHT_MAX           1e3
#define KEPT_FIRST           64
/* Variances of coefficients before anything is known: of the first input, which is 1, and others.
 */
#define PRIOR_LEVEL        0.1
#define PRIOR_OTHER        0.02
#define CALIBRATION_MEMORY 256 /* observations */

static uint32_t limit_of(uint32_t asked, uint32_t otherwise)
{
	return asked != 0 ? asked : otherwise;
}

void effects_prior_init(struct km_effects *e)
{
	e->noise = EFFECTS_NOISE_GUESS;
	e->calibration = 1;
	for (size_t i = 0; i < EFFECTS_INPUTS; i++)
		e->cov[effects_packed(i, i)] = i == 0 ? PRIOR_LEVEL : PRIOR_OTHER;
}

struct km_effects *km_effects_create(const struct km_effects_limits *limits)
{
	static const struct km_effects_limits defaults;
	const struct km_effects_limits *l = limits != NULL ? limits : &defaults;
	struct km_effects *e;

	if (l->platforms > KM_EFFECTS_PLATFORMS_MAX || l->workloads > KM_EFFECTS_WORKLOADS_MAX ||
	    l->cells > KM_EFFECTS_CELLS_MAX || l->observations > KM_EFFECTS_OBSERVATIONS_MAX)
		return NULL;
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return NULL;
	effects_pool_init(&e->platforms, sizeof(struct effects_platform),
	                  limit_of(l->platforms, PLATFORMS_DEFAULT));
	effects_pool_init(&e->workloads, sizeof(struct effects_workload),
	                  limit_of(l->workloads, WORKLOADS_DEFAULT));
	effects_pool_init(&e->cells, sizeof(struct effects_cell),
	                  limit_of(l->cells, CELLS_DEFAULT));
	e->kept_limit = limit_of(l->observations, OBSERVATIONS_DEFAULT);
	effects_prior_init(e);
	return e;
}

void km_effects_free(struct km_effects *e)
{
	if (e == NULL)
		return;
	effects_pool_fini(&e->platforms);
	effects_pool_fini(&e->workloads);
	effects_pool_fini(&e->cells);
	free(e->kept);
	free(e);
}

void effects_platform_init(const struct km_effects *e, struct effects_platform *p)
{
	p->noise = e->noise;
	memcpy(p->mean, e->mean, sizeof(p->mean));
	memcpy(p->cov, e->cov, sizeof(p->cov));
}

/* What was said with a key that is gone is said of nobody. */
static void forget(struct km_effects *e, uint32_t platform, uint32_t workload)
{
	for (uint32_t i = 0; i < e->cells.count; i++) {
		const struct effects_cell *c = effects_cell(e, i);

		if (e->cells.key[i] != 0 && (c->platform == platform || c->workload == workload))
			effects_pool_drop(&e->cells, i);
	}
	for (uint32_t i = 0; i < e->kept_count; i++) {
		struct effects_observation *o = &e->kept[i];

		if (o->platform == platform || o->subject == workload || o->neighbour == workload)
			*o = (struct effects_observation){ EFFECTS_NONE, EFFECTS_NONE, EFFECTS_NONE,
				                           0, 0 };
	}
}

static int take_platform(struct km_effects *e, uint64_t key, uint32_t *out)
{
	bool fresh;
	bool reused;

	*out = EFFECTS_NONE;
	if (key == 0)
		return 0;
	*out = effects_pool_take(&e->platforms, key, &fresh, &reused);
	if (*out == EFFECTS_NONE)
		return -ENOMEM;
	if (reused)
		forget(e, *out, EFFECTS_NONE - 1);
	if (fresh)
		effects_platform_init(e, effects_platform(e, *out));
	return 0;
}

static int take_workload(struct km_effects *e, uint64_t key, uint32_t *out)
{
	bool fresh;
	bool reused;

	*out = EFFECTS_NONE;
	if (key == 0)
		return 0;
	*out = effects_pool_take(&e->workloads, key, &fresh, &reused);
	if (*out == EFFECTS_NONE)
		return -ENOMEM;
	if (reused)
		forget(e, EFFECTS_NONE - 1, *out);
	return 0;
}

static int take_cell(struct km_effects *e, uint32_t platform, uint32_t workload, uint32_t *out)
{
	bool fresh;
	bool reused;

	*out = EFFECTS_NONE;
	if (platform == EFFECTS_NONE || workload == EFFECTS_NONE)
		return 0;
	*out = effects_pool_take(&e->cells, effects_cell_key(platform, workload), &fresh, &reused);
	if (*out == EFFECTS_NONE)
		return -ENOMEM;
	if (fresh)
		*effects_cell(e, *out) = (struct effects_cell){ .platform = platform,
			                                        .workload = workload,
			                                        .alone = NAN };
	return 0;
}

int km_effects_describe(struct km_effects *e, uint64_t platform, uint64_t workload,
                        double log_alone)
{
	struct effects_platform *p;
	uint32_t pi;
	uint32_t wi;
	uint32_t ci;

	if (!(fabs(log_alone) <= LOG_ALONE_MAX) || platform == 0 || workload == 0)
		return -EINVAL;
	if (take_platform(e, platform, &pi) != 0 || take_workload(e, workload, &wi) != 0 ||
	    take_cell(e, pi, wi, &ci) != 0)
		return -ENOMEM;
	p = effects_platform(e, pi);
	/* A first guess; the next refining knows better. */
	if (isnan(effects_cell(e, ci)->alone)) {
		p->described++;
		p->level += (log_alone - effects_workload(e, wi)->level - p->level) / p->described;
	}
	effects_cell(e, ci)->alone = log_alone;
	effects_traits_of(e, wi);
	return 0;
}

void effects_case_find(const struct km_effects *e, uint32_t platform, uint32_t subject,
                       uint32_t neighbour, struct effects_case *c)
{
	*c = (struct effects_case){ platform, subject, neighbour, EFFECTS_NONE, EFFECTS_NONE };
	if (platform == EFFECTS_NONE)
		return;
	if (subject != EFFECTS_NONE)
		c->subject_cell = effects_pool_find(&e->cells, effects_cell_key(platform, subject));
	if (neighbour != EFFECTS_NONE)
		c->neighbour_cell =
			effects_pool_find(&e->cells, effects_cell_key(platform, neighbour));
}

struct effects_mean *effects_case_mean(const struct km_effects *e, const struct effects_case *c,
                                       enum effects_part part)
{
	struct effects_workload *w;
	struct effects_cell *cell;

	if (part == EFFECTS_SENSITIVITY || part == EFFECTS_PRESSURE) {
		w = effects_workload(e, part == EFFECTS_SENSITIVITY ? c->subject : c->neighbour);
		if (w == NULL)
			return NULL;
		return part == EFFECTS_SENSITIVITY ? &w->sensitivity : &w->pressure;
	}
	cell = effects_cell(e,
	                    part == EFFECTS_CELL_SENSITIVITY ? c->subject_cell : c->neighbour_cell);
	if (cell == NULL)
		return NULL;
	return part == EFFECTS_CELL_SENSITIVITY ? &cell->sensitivity : &cell->pressure;
}

double effects_shrinkage(enum effects_part part)
{
	/* By trial: workloads differ little once their traits are in, workloads on one platform
	 * as much as one observation scatters. */
	return part == EFFECTS_SENSITIVITY || part == EFFECTS_PRESSURE ? 10 : 1;
}

double effects_case_rest(const struct km_effects *e, const struct effects_case *c)
{
	double sum = 0;

	for (int part = 0; part < EFFECTS_PART_N; part++)
		sum += effects_mean_value(effects_case_mean(e, c, (enum effects_part)part),
		                          (enum effects_part)part);
	return sum;
}

double effects_noise(double sum, double count)
{
	double noise =
		(EFFECTS_NOISE_COUNT * EFFECTS_NOISE_GUESS + sum) / (EFFECTS_NOISE_COUNT + count);

	return fmin(fmax(noise, EFFECTS_NOISE_MIN), EFFECTS_NOISE_MAX);
}

double effects_case_spread(const struct km_effects *e, const struct effects_case *c)
{
	double sum = 0;

	for (int i = 0; i < EFFECTS_PART_N; i++) {
		enum effects_part part = (enum effects_part)i;
		const struct effects_mean *m = effects_case_mean(e, c, part);

		sum += 1 / ((m != NULL ? m->weight : 0) + effects_shrinkage(part));
	}
	return sum;
}

/* Errors tell whether predictions are as sure as they say. */
static void learn_calibration(struct km_effects *e, double error, double variance)
{
	e->calibration += (error * error / variance - e->calibration) / CALIBRATION_MEMORY;
}

/* The Kalman step: returns what the platform's coefficients leave of `residual`. */
static double learn_platform(struct km_effects *e, const struct effects_case *c, const double *x,
                             double residual, double weight)
{
	struct effects_platform *p = effects_platform(e, c->platform);
	double cx[EFFECTS_INPUTS];
	double known;
	double variance;
	double error;

	effects_times(p->cov, EFFECTS_INPUTS, x, cx);
	known = fmax(effects_dot(x, cx, EFFECTS_INPUTS), 0);
	variance = p->noise / weight + known;
	error = residual - effects_dot(x, p->mean, EFFECTS_INPUTS);
	learn_calibration(e, error, variance + p->noise * effects_case_spread(e, c));
	for (size_t i = 0; i < EFFECTS_INPUTS; i++) {
		p->mean[i] += cx[i] * error / variance;
		for (size_t j = 0; j <= i; j++)
			p->cov[effects_packed(i, j)] -= cx[i] * cx[j] / variance;
		/* Rounding must not make a variance negative, however long this goes on. */
		p->cov[effects_packed(i, i)] = fmax(p->cov[effects_packed(i, i)], COV_MIN);
	}
	/* Of the error only the part that is not for want of knowledge is noise. */
	p->noise_sum += error * error * (p->noise / variance);
	p->count++;
	p->weight += weight;
	p->noise = effects_noise(p->noise_sum, p->count);
	return residual - effects_dot(x, p->mean, EFFECTS_INPUTS);
}

static void learn(struct km_effects *e, const struct effects_case *c, double y, double weight)
{
	double x[EFFECTS_INPUTS];
	double left = y - effects_case_rest(e, c);

	effects_inputs(e, c, x);
	if (c->platform != EFFECTS_NONE)
		left = learn_platform(e, c, x, left, weight);
	else
		left -= effects_dot(x, e->mean, EFFECTS_INPUTS);
	for (int i = 0; i < EFFECTS_PART_N; i++) {
		enum effects_part part = (enum effects_part)i;
		struct effects_mean *m = effects_case_mean(e, c, part);
		double before = effects_mean_value(m, part);

		if (m == NULL)
			continue;
		m->sum += weight * (left + before);
		m->weight += weight;
		left -= effects_mean_value(m, part) - before;
	}
}

static int keep(struct km_effects *e, const struct effects_observation *o)
{
	if (e->kept_next == e->kept_cap && e->kept_cap < e->kept_limit) {
		uint32_t cap = e->kept_cap == 0 ? KEPT_FIRST : e->kept_cap * 2;
		void *moved;

		cap = cap < e->kept_limit ? cap : e->kept_limit;
		moved = reallocarray(e->kept, cap, sizeof(*e->kept));
		if (moved == NULL)
			return -ENOMEM;
		e->kept = moved;
		e->kept_cap = cap;
	}
	if (e->kept_next == e->kept_limit)
		e->kept_next = 0;
	e->kept[e->kept_next++] = *o;
	if (e->kept_count < e->kept_next)
		e->kept_count = e->kept_next;
	return 0;
}

int km_effects_observe(struct km_effects *e, uint64_t platform, uint64_t subject,
                       uint64_t neighbour, double log_slowdown, double weight)
{
	struct effects_observation o = { .log_slowdown = log_slowdown, .weight = weight };
	struct effects_case c;
	uint32_t cell;

	if (!(fabs(log_slowdown) <= LOG_SLOWDOWN_MAX) ||
	    !(weight >= WEIGHT_MIN && weight <= WEIGHT_MAX))
		return -EINVAL;
	if (take_platform(e, platform, &o.platform) != 0 ||
	    take_workload(e, subject, &o.subject) != 0 ||
	    take_workload(e, neighbour, &o.neighbour) != 0)
		return -ENOMEM;
	/* Where slots are short the neighbour may have got the subject's. */
	o.subject = effects_pool_find(&e->workloads, subject);
	if (take_cell(e, o.platform, o.subject, &cell) != 0 ||
	    take_cell(e, o.platform, o.neighbour, &cell) != 0 || keep(e, &o) != 0)
		return -ENOMEM;
	effects_case_find(e, o.platform, o.subject, o.neighbour, &c);
	learn(e, &c, log_slowdown, weight);
	return 0;
}

struct effects_keys {
	uint64_t platform, subject, neighbour;
};

static double weight_of(const struct effects_mean *m)
{
	return m != NULL ? m->weight : 0;
}

static double least_known(const struct km_effects *e, const struct effects_case *c,
                          const struct effects_keys *keys)
{
	const struct effects_platform *p = effects_platform(e, c->platform);
	double count = INFINITY;

	if (keys->platform != 0)
		count = p != NULL ? p->weight : 0;
	if (keys->subject != 0)
		count = fmin(count, weight_of(effects_case_mean(e, c, EFFECTS_SENSITIVITY)));
	if (keys->neighbour != 0)
		count = fmin(count, weight_of(effects_case_mean(e, c, EFFECTS_PRESSURE)));
	return isfinite(count) ? count : 0;
}

void km_effects_predict(const struct km_effects *e, uint64_t platform, uint64_t subject,
                        uint64_t neighbour, struct km_effect *out)
{
	const struct effects_platform *p;
	const double *mean = e->mean;
	const double *cov = e->cov;
	double x[EFFECTS_INPUTS];
	double cx[EFFECTS_INPUTS];
	double noise = e->noise;
	struct effects_case c;
	double y;
	double variance;

	effects_case_find(e, effects_pool_find(&e->platforms, platform),
	                  effects_pool_find(&e->workloads, subject),
	                  effects_pool_find(&e->workloads, neighbour), &c);
	p = effects_platform(e, c.platform);
	if (p != NULL) {
		mean = p->mean;
		cov = p->cov;
		noise = p->noise;
	}
	effects_inputs(e, &c, x);
	effects_times(cov, EFFECTS_INPUTS, x, cx);
	y = effects_dot(x, mean, EFFECTS_INPUTS) + effects_case_rest(e, &c);
	variance = noise + fmax(effects_dot(x, cx, EFFECTS_INPUTS), 0) +
	           noise * effects_case_spread(e, &c);
	*out = (struct km_effect){
		.log_slowdown = fmax(-LOG_SLOWDOWN_MAX, fmin(LOG_SLOWDOWN_MAX, y)),
		.sd = e->kept_count > 0 ? sqrt(e->calibration * variance) : INFINITY,
		.count = least_known(e, &c, &(struct effects_keys){ platform, subject, neighbour }),
	};
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passes over the observations kept. Each fits every platform's coefficients to its observations
 * and what held on all platforms so far, then what holds on all platforms to their coefficients
 * (expectation and maximisation of a regression whose coefficients vary by group), then the four
 * means to what is left.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "effects_internal.h"

#define TRAIT_ROUNDS 20
/* What the scatter of coefficients is drawn to, and how many platforms that counts as: with few
 * platforms their own scatter says little. */
#define SCATTER_COUNT     5.0
#define SCATTER           0.02
#define SCATTER_FLOOR     1e-6
#define CALIBRATION_COUNT 5.0
#define LEVERAGE_MAX      0.9

struct work {
	uint32_t *order;                /* [kept_count], observations by platform, oldest first */
	uint32_t *begin;                /* [platforms + 1], into order */
	double inverse[EFFECTS_PACKED]; /* of the scatter of coefficients */
	double pull[EFFECTS_INPUTS];    /* inverse x mean */
	double sum[EFFECTS_INPUTS];     /* of the platforms' coefficients */
	double scatter[EFFECTS_PACKED];
	double noise, count;
};

/* The oldest is where the next would go once the ring is full. */
static uint32_t oldest_first(const struct km_effects *e, uint32_t i)
{
	if (e->kept_count < e->kept_limit)
		return i;
	return (uint32_t)(((uint64_t)e->kept_next + i) % e->kept_count);
}

static void sort_by_platform(const struct km_effects *e, struct work *w)
{
	uint32_t n = e->platforms.count;

	for (uint32_t i = 0; i < e->kept_count; i++) {
		uint32_t p = e->kept[i].platform;

		if (p != EFFECTS_NONE)
			w->begin[p + 1]++;
	}
	for (uint32_t p = 0; p < n; p++)
		w->begin[p + 1] += w->begin[p];
	/* begin[p] runs up to begin[p + 1] while filling, and is set back after. */
	for (uint32_t i = 0; i < e->kept_count; i++) {
		uint32_t at = oldest_first(e, i);
		uint32_t p = e->kept[at].platform;

		if (p != EFFECTS_NONE)
			w->order[w->begin[p]++] = at;
	}
	for (uint32_t p = n; p > 0; p--)
		w->begin[p] = w->begin[p - 1];
	w->begin[0] = 0;
}

static void case_of(const struct km_effects *e, const struct effects_observation *o,
                    struct effects_case *c)
{
	effects_case_find(e, o->platform, o->subject, o->neighbour, c);
}

/* Normal equations of a platform: of weighted inputs, in units of the noise. */
struct platform_sums {
	double a[EFFECTS_PACKED], b[EFFECTS_INPUTS];
	double square, weight, count;
};

static void add_observation(const struct km_effects *e, const struct effects_observation *o,
                            struct platform_sums *s)
{
	double x[EFFECTS_INPUTS];
	struct effects_case c;
	double y;

	case_of(e, o, &c);
	effects_inputs(e, &c, x);
	y = o->log_slowdown - effects_case_rest(e, &c);
	for (size_t i = 0; i < EFFECTS_INPUTS; i++) {
		double *row = s->a + effects_packed(i, 0);
		double wx = o->weight * x[i];

		for (size_t j = 0; j <= i; j++)
			row[j] += wx * x[j];
		s->b[i] += wx * y;
	}
	s->square += o->weight * y * y;
	s->weight += o->weight;
	s->count++;
}

/* The noise that the fit leaves, with what the coefficients are uncertain by. */
static void fit_noise(struct effects_platform *p, const struct platform_sums *s)
{
	double am[EFFECTS_INPUTS];
	double left;
	double trace = 0;

	effects_times(s->a, EFFECTS_INPUTS, p->mean, am);
	left = s->square - 2 * effects_dot(p->mean, s->b, EFFECTS_INPUTS) +
	       effects_dot(p->mean, am, EFFECTS_INPUTS);
	for (size_t i = 0; i < EFFECTS_INPUTS; i++) {
		for (size_t j = 0; j <= i; j++)
			trace += (i == j ? 1 : 2) * s->a[effects_packed(i, j)] *
			         p->cov[effects_packed(i, j)];
	}
	p->noise_sum = fmax(left + trace, 0);
	p->count = s->count;
	p->weight = s->weight;
	p->noise = effects_noise(p->noise_sum, p->count);
}

static void fit_platform(struct km_effects *e, struct work *w, uint32_t i)
{
	struct effects_platform *p = effects_platform(e, i);
	struct platform_sums s = { .square = 0 };
	double factor[EFFECTS_PACKED];

	for (uint32_t k = w->begin[i]; k < w->begin[i + 1]; k++)
		add_observation(e, &e->kept[w->order[k]], &s);
	for (size_t k = 0; k < EFFECTS_PACKED; k++)
		factor[k] = s.a[k] / p->noise + w->inverse[k];
	if (s.weight <= 0 || !effects_factor(factor, EFFECTS_INPUTS)) {
		double described = p->described;
		double level = p->level;
		double load[EFFECTS_TRAITS];

		memcpy(load, p->load, sizeof(load));
		*p = (struct effects_platform){ .described = described, .level = level };
		memcpy(p->load, load, sizeof(load));
		effects_platform_init(e, p);
		return;
	}
	effects_invert(factor, EFFECTS_INPUTS, p->cov);
	for (size_t k = 0; k < EFFECTS_INPUTS; k++)
		p->mean[k] = s.b[k] / p->noise + w->pull[k];
	effects_solve(factor, EFFECTS_INPUTS, p->mean);
	fit_noise(p, &s);
	for (size_t k = 0; k < EFFECTS_INPUTS; k++) {
		w->sum[k] += p->mean[k];
		for (size_t j = 0; j <= k; j++)
			w->scatter[effects_packed(k, j)] +=
				p->cov[effects_packed(k, j)] +
				(p->mean[k] - e->mean[k]) * (p->mean[j] - e->mean[j]);
	}
	w->noise += p->noise;
	w->count++;
}

static void fit_prior(struct km_effects *e, const struct work *w)
{
	if (w->count == 0)
		return;
	for (size_t k = 0; k < EFFECTS_INPUTS; k++) {
		for (size_t j = 0; j <= k; j++)
			e->cov[effects_packed(k, j)] = (w->scatter[effects_packed(k, j)] +
			                                (k == j ? SCATTER_COUNT * SCATTER : 0)) /
			                               (w->count + SCATTER_COUNT);
		e->cov[effects_packed(k, k)] += SCATTER_FLOOR;
		/* Drawn to 0 as if by one platform more. */
		e->mean[k] = w->sum[k] / (w->count + 1);
	}
	e->noise = (w->noise + EFFECTS_NOISE_GUESS) / (w->count + 1);
}

static bool fit_coefficients(struct km_effects *e, struct work *w)
{
	double factor[EFFECTS_PACKED];

	memcpy(factor, e->cov, sizeof(factor));
	if (!effects_factor(factor, EFFECTS_INPUTS))
		return false;
	effects_invert(factor, EFFECTS_INPUTS, w->inverse);
	effects_times(w->inverse, EFFECTS_INPUTS, e->mean, w->pull);
	memset(w->sum, 0, sizeof(w->sum));
	memset(w->scatter, 0, sizeof(w->scatter));
	w->noise = 0;
	w->count = 0;
	for (uint32_t i = 0; i < e->platforms.count; i++) {
		if (e->platforms.key[i] != 0)
			fit_platform(e, w, i);
	}
	fit_prior(e, w);
	return true;
}

static void clear_means(struct km_effects *e, enum effects_part part)
{
	bool cells = part == EFFECTS_CELL_SENSITIVITY || part == EFFECTS_CELL_PRESSURE;
	uint32_t count = cells ? e->cells.count : e->workloads.count;

	for (uint32_t i = 0; i < count; i++) {
		struct effects_case c = { EFFECTS_NONE, i, i, i, i };

		*effects_case_mean(e, &c, part) = (struct effects_mean){ 0 };
	}
}

/* left [kept_count]: what everything but the four means leaves of each observation. */
static void fit_part(struct km_effects *e, enum effects_part part, double *left)
{
	struct effects_case c;

	/* First back to what is left without this part, then its mean, then forth again. */
	for (uint32_t i = 0; i < e->kept_count; i++) {
		case_of(e, &e->kept[i], &c);
		left[i] += effects_mean_value(effects_case_mean(e, &c, part), part);
	}
	clear_means(e, part);
	for (uint32_t k = 0; k < e->kept_count; k++) {
		uint32_t i = oldest_first(e, k);
		struct effects_mean *m;

		case_of(e, &e->kept[i], &c);
		m = effects_case_mean(e, &c, part);
		if (m != NULL) {
			m->sum += e->kept[i].weight * left[i];
			m->weight += e->kept[i].weight;
		}
	}
	for (uint32_t i = 0; i < e->kept_count; i++) {
		case_of(e, &e->kept[i], &c);
		left[i] -= effects_mean_value(effects_case_mean(e, &c, part), part);
	}
}

static void fit_means(struct km_effects *e, double *left)
{
	double x[EFFECTS_INPUTS];
	struct effects_case c;

	for (uint32_t i = 0; i < e->kept_count; i++) {
		const struct effects_platform *p = effects_platform(e, e->kept[i].platform);

		case_of(e, &e->kept[i], &c);
		effects_inputs(e, &c, x);
		left[i] = e->kept[i].log_slowdown - effects_case_rest(e, &c) -
		          effects_dot(x, p != NULL ? p->mean : e->mean, EFFECTS_INPUTS);
	}
	for (int part = 0; part < EFFECTS_PART_N; part++)
		fit_part(e, (enum effects_part)part, left);
}

/*
 * How much further off predictions are than they say, from each observation as if it had been left
 * out: a linear fit would have missed it by its error / (1 - leverage).
 */
static void calibrate(struct km_effects *e, const double *left)
{
	double x[EFFECTS_INPUTS];
	double cx[EFFECTS_INPUTS];
	double sum = CALIBRATION_COUNT;
	double weight = CALIBRATION_COUNT;
	struct effects_case c;

	for (uint32_t i = 0; i < e->kept_count; i++) {
		const struct effects_platform *p = effects_platform(e, e->kept[i].platform);
		double noise;
		double known;
		double out;

		if (p == NULL)
			continue;
		case_of(e, &e->kept[i], &c);
		effects_inputs(e, &c, x);
		effects_times(p->cov, EFFECTS_INPUTS, x, cx);
		noise = p->noise / e->kept[i].weight;
		known = fmax(effects_dot(x, cx, EFFECTS_INPUTS), 0) +
		        p->noise * effects_case_spread(e, &c);
		out = 1 - fmin(known / noise, LEVERAGE_MAX);
		sum += left[i] * left[i] / (out * out) / (noise + known / out);
		weight++;
	}
	e->calibration = sum / weight;
}

void km_effects_refine(struct km_effects *e, uint32_t passes)
{
	struct work w = { .order = calloc((size_t)e->kept_count + 1, sizeof(*w.order)),
		          .begin = calloc((size_t)e->platforms.count + 2, sizeof(*w.begin)) };
	double *left = calloc((size_t)e->kept_count + 1, sizeof(*left));

	/* Without memory everything stays as it is, which is as good as before. */
	if (w.order != NULL && w.begin != NULL && left != NULL && passes > 0 &&
	    effects_traits_fit(e, TRAIT_ROUNDS) == 0) {
		sort_by_platform(e, &w);
		for (uint32_t i = 0; i < passes && fit_coefficients(e, &w); i++)
			fit_means(e, left);
		calibrate(e, left);
	}
	free(left);
	free(w.begin);
	free(w.order);
}

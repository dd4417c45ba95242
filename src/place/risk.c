/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is scored instead of the bare prediction: a quantile of its interval, and the harm to those
 * that are there already. All in ln slowdown, where harms of different size add up.
 */
#include <math.h>

#include "km/place/place.h"

#include "place_internal.h"

#define Z_OF_BOUND 1.6448536269514722 /* the 95 % quantile of the normal distribution */

/* Abramowitz and Stegun 26.2.23: off by 4.5e-4 at most, for p in [0.5, 1). */
static double normal_quantile(double p)
{
	double t = sqrt(-2 * log(1 - p));

	return t - (2.515517 + t * (0.802853 + t * 0.010328)) /
	                   (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
}

double km_place_risk_share(double risk)
{
	double share;

	if (!(risk > 0.5)) {
		return 0;
	}
	if (risk >= 0.95) {
		return 1;
	}
	share = normal_quantile(risk) / Z_OF_BOUND;
	return share > 0 ? fmin(share, 1) : 0;
}

/* Zero and infinity have no place between two bounds: they are what they are. */
static bool has_room(double slowdown, double high)
{
	return slowdown > 0 && high > slowdown && isfinite(high);
}

double km_place_risk(double slowdown, double high, double risk)
{
	double share = km_place_risk_share(risk);

	if (share <= 0 || !has_room(slowdown, high)) {
		return slowdown;
	}
	return slowdown * exp(share * log(high / slowdown));
}

double km_place_widen(double slowdown, double high, double share)
{
	return share > 0 && has_room(slowdown, high) ? high * exp(share * log(high / slowdown))
	                                             : high;
}

double km_place_scored(const struct km_workload *w, const struct km_candidate *c,
                       const struct km_place_rules *rules)
{
	double own = km_place_risk(c->slowdown, c->high, rules->risk);
	double harm;

	if (!rules->harm_score || !(c->harm_mean > 0)) {
		return own;
	}
	/* Both count, whichever is worse: docs/adr/0004-own-slowdown-and-harm-add-up.md. Nobody
	 * gains by a neighbour, so a prediction below 1 pays for no harm. */
	harm = pow(km_place_limit(w->max_slowdown), c->harm_mean);
	return fmax(own, 1) + (harm - 1);
}

static double ratio(double slowdown, double limit)
{
	if (isinf(slowdown)) {
		return INFINITY; /* whatever the limit */
	}
	return slowdown > 1 ? log(slowdown) / log(limit) : 0;
}

static bool counts(const struct km_incumbent *i)
{
	return i->slowdown > 0 && i->weight > 0;
}

/* The weighted mean of those that counters show, and of those in flight above `least`; 0 of none.
 */
static double mean_above(const struct km_incumbent *i, size_t count, double risk, double least)
{
	double weights = 0;
	double sum = 0;

	for (size_t k = 0; k < count; k++) {
		double harm;
		double weight;

		if (!counts(&i[k])) {
			continue;
		}
		harm = ratio(km_place_risk(i[k].slowdown, i[k].high, risk),
		             km_place_limit(i[k].max_slowdown));
		weight = harm > least ? i[k].weight : i[k].weight - i[k].in_flight;
		if (weight > 0) {
			weights += weight;
			sum += weight * harm;
		}
	}
	return weights > 0 ? sum / weights : 0;
}

/* Who is above a mean raises it, so each round brings it nearer to the largest, and reaches it. */
static double largest_mean(const struct km_incumbent *i, size_t count, double risk)
{
	double mean = mean_above(i, count, risk, INFINITY);

	for (size_t round = 0; round <= count; round++) {
		double more = mean_above(i, count, risk, mean);

		if (!(more > mean)) {
			break;
		}
		mean = more;
	}
	return mean;
}

void km_place_harm(const struct km_incumbent *i, size_t count, double risk,
                   struct km_place_harm *out)
{
	double weights = 0;
	double logs = 0;

	*out = (struct km_place_harm){ .slowdown = NAN, .worst_of = count };
	for (size_t k = 0; k < count; k++) {
		double limit = km_place_limit(i[k].max_slowdown);
		double r = ratio(i[k].slowdown, limit);

		if (!counts(&i[k])) {
			continue;
		}
		if (out->worst_of == count || r > out->worst) {
			out->worst = r;
			out->worst_of = k;
		}
		weights += i[k].weight;
		logs += i[k].weight * log(i[k].slowdown);
	}
	if (weights > 0) {
		out->mean = largest_mean(i, count, risk);
		out->slowdown = exp(logs / weights);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* place: what uncertainty and harm to incumbents do to scores and verdicts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/base/rng.h"
#include "km/place/place.h"

#define ROUNDS 3000

static const uint32_t scales[] = { 10, 100 };

static double any_slowdown(struct km_rng *rng)
{
	static const double edges[] = { 0, 1, 1.05, 2, 1e300, INFINITY };

	if (km_rng_below(rng, 4) == 0)
		return edges[km_rng_below(rng, KM_ARRAY_LEN(edges))];
	return exp(3 * km_rng_normal(rng));
}

static void risk_goes_from_the_prediction_to_its_bound(void **state)
{
	static const double quantile[] = { 0.5, 0.6, 0.7, 0.8, 0.9, 0.95 };
	/* exact quantiles of the normal distribution over its 95 % one */
	static const double share[] = { 0, 0.15402, 0.31881, 0.51167, 0.77913, 1 };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(quantile); i++) {
		double want = exp(log(1.5) + share[i] * log(3 / 1.5));

		assert_true(fabs(km_place_risk(1.5, 3, quantile[i]) - want) < 2e-3);
	}
	assert_true(km_place_risk(1.5, 3, NAN) == 1.5 && km_place_risk(1.5, 3, -7) == 1.5);
	assert_true(km_place_risk(1.5, 3, 7) == 3);
	assert_true(km_place_risk(1.5, NAN, 0.9) == 1.5);
	assert_true(km_place_risk(1.5, 1.2, 0.9) == 1.5); /* a bound below what it bounds */
	assert_true(km_place_risk(1.5, INFINITY, 0.9) == 1.5);
	assert_true(km_place_risk(0, 1, 0.9) == 0);
	assert_true(isnan(km_place_risk(NAN, 2, 0.9)));
	assert_true(fabs(km_place_widen(1, 2, 1) - 4) < 1e-12);
	assert_true(km_place_widen(1, 2, 0) == 2 && km_place_widen(1, 2, NAN) == 2);
	assert_true(isnan(km_place_widen(1, NAN, 1)));
}

static void a_wider_interval_never_scores_higher(void **state)
{
	struct km_rng rng;

	(void)state;
	km_rng_init(&rng, 7);
	for (int round = 0; round < ROUNDS; round++) {
		const struct km_workload w = { .max_slowdown = 1 + 2 * km_rng_unit(&rng),
			                       .mode = KM_MODE_PREFER };
		const struct km_place_rules rules = { .scale = scales[km_rng_below(&rng, 2)],
			                              .risk = km_rng_unit(&rng) };
		double s = fabs(any_slowdown(&rng));
		struct km_candidate c[2] = { { KM_DATA_FRESH, s, s * 1.1, 0, 0 },
			                     { KM_DATA_FRESH, s, s * 1.1, 0, 0 } };
		struct km_verdict v[2];

		c[1].high = km_place_widen(s, c[0].high, 2 * km_rng_unit(&rng));
		km_place_judge(&w, c, 2, &rules, v);
		assert_true(v[1].score <= v[0].score);
		assert_int_equal(v[1].reason, v[0].reason); /* no interval rejects */
	}
}

static void harm_is_told_as_the_worst_and_the_weighted_mean(void **state)
{
	const struct km_incumbent i[] = {
		{ 1.2, NAN, 2, 1, 0 },
		{ 1.5, NAN, 1.25, 3, 0 },
		{ NAN, NAN, 2, 100, 0 }, /* nobody knows: not counted */
		{ 9, NAN, 1.2, 0, 0 },   /* no weight: nor this */
	};
	double a = log(1.2) / log(2);
	double b = log(1.5) / log(1.25);
	struct km_place_harm h;

	(void)state;
	km_place_harm(i, 4, 0.5, &h);
	assert_int_equal(h.worst_of, 1);
	assert_true(fabs(h.worst - b) < 1e-12);
	assert_true(fabs(h.mean - (a + 3 * b) / 4) < 1e-12);
	assert_true(fabs(h.slowdown - exp((log(1.2) + 3 * log(1.5)) / 4)) < 1e-12);
	km_place_harm(i, 0, 0.5, &h);
	assert_true(h.worst == 0 && h.mean == 0 && h.worst_of == 0 && isnan(h.slowdown));
	km_place_harm(&(struct km_incumbent){ INFINITY, NAN, INFINITY, 1, 0 }, 1, 0.5, &h);
	assert_true(isinf(h.worst) && isinf(h.mean));
	km_place_harm(&(struct km_incumbent){ 0.5, NAN, 2, 1, 0 }, 1, 0.5, &h);
	assert_true(h.worst == 0 && h.mean == 0 && h.slowdown == 0.5); /* nobody gains by it */
}

static void one_more_in_flight_never_lowers_the_mean(void **state)
{
	struct km_rng rng;

	(void)state;
	km_rng_init(&rng, 31);
	for (int round = 0; round < 2000; round++) {
		struct km_incumbent i[6];
		size_t count = 1 + km_rng_below(&rng, 5);
		double risk = 0.5 + 0.45 * km_rng_unit(&rng);
		struct km_place_harm before;
		struct km_place_harm after;
		double plain = 0;
		double weights = 0;

		for (size_t k = 0; k <= count; k++) {
			double weight = 0.1 + 5 * km_rng_unit(&rng);

			i[k] = (struct km_incumbent){ .slowdown = 0.8 + 2 * km_rng_unit(&rng),
				                      .high = 4,
				                      .max_slowdown = 1.1 + 3 * km_rng_unit(&rng),
				                      .weight = weight };
			i[k].in_flight = k == count                   ? weight
			                 : km_rng_below(&rng, 2) == 0 ? 0
			                                              : weight * km_rng_unit(&rng);
			if (k < count) {
				double s = km_place_risk(i[k].slowdown, i[k].high, risk);

				plain += weight * fmax(log(s), 0) / log(i[k].max_slowdown);
				weights += weight;
			}
		}
		km_place_harm(i, count, risk, &before);
		km_place_harm(i, count + 1, risk, &after);
		assert_true(after.mean >= before.mean - 1e-12);
		assert_true(before.mean >= plain / weights - 1e-12);
		i[count].in_flight = 0;
		for (size_t k = 0; k < count; k++)
			i[k].in_flight = 0;
		km_place_harm(i, count, risk, &before);
		assert_true(fabs(before.mean - plain / weights) < 1e-9);
	}
}

static void each_switch_of_harm_does_its_own_part(void **state)
{
	static const struct {
		bool filter, score;
		bool passes;
		enum km_reason reason;
		int32_t want;
	} rows[] = {
		{ false, false, true, KM_REASON_FITS, 10 },
		{ true, false, false, KM_REASON_HARM, 10 },
		{ false, true, true, KM_REASON_FITS, 2 }, /* as bad as the own limit */
		{ true, true, false, KM_REASON_HARM, 2 },
	};
	const struct km_candidate c = { KM_DATA_FRESH, 1, 1, 1.5, 1 };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		const struct km_place_rules rules = { .scale = 10,
			                              .harm_filter = rows[i].filter,
			                              .harm_score = rows[i].score };
		struct km_workload w = { .max_slowdown = 2, .mode = KM_MODE_ENFORCE };
		struct km_verdict v;

		km_place_judge(&w, &c, 1, &rules, &v);
		assert_int_equal(v.passes, rows[i].passes);
		assert_false(v.unresolvable); /* evicting pods would help */
		assert_int_equal(v.reason, rows[i].reason);
		assert_int_equal(v.score, rows[i].want);
		w.mode = KM_MODE_PREFER;
		km_place_judge(&w, &c, 1, &rules, &v);
		assert_true(v.passes);
		assert_int_equal(v.score, rows[i].want);
	}
}

/* A node is as bad as what happens to both: the worse of the two alone would hide the other. */
static void harm_comes_on_top_of_the_own_slowdown(void **state)
{
	static const struct {
		double own, harm_mean, want;
		const char *why;
	} rows[] = {
		{ 1.5, 0, 1.5, "nobody is harmed" },
		{ 1.5, 0.5, 1.5 + (1.4142135623730951 - 1), "half of what is tolerated" },
		{ 1.0, 1, 2.0, "harm alone: the limit" },
		{ 0.5, 1, 2.0, "a pod that would be faster pays for no harm" },
		{ 0.5, 0, 0.5, "nobody is harmed, and it is as it is" },
		{ INFINITY, 1, INFINITY, "never answers" },
		{ 1.5, INFINITY, INFINITY, "the others never answer" },
	};
	const struct km_place_rules rules = { .scale = 100, .risk = 0.5, .harm_score = true };
	const struct km_workload w = { .max_slowdown = 2, .mode = KM_MODE_PREFER };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		const struct km_candidate c = { KM_DATA_FRESH, rows[i].own, NAN, 0,
			                        rows[i].harm_mean };
		double got = km_place_scored(&w, &c, &rules);

		if (got != rows[i].want && !(fabs(got - rows[i].want) < 1e-12))
			fail_msg("%s: %g, want %g", rows[i].why, got, rows[i].want);
	}
}

static void more_harm_never_scores_higher(void **state)
{
	struct km_rng rng;

	(void)state;
	km_rng_init(&rng, 8);
	for (int round = 0; round < ROUNDS; round++) {
		const struct km_place_rules rules = { .scale = scales[km_rng_below(&rng, 2)],
			                              .risk = km_rng_unit(&rng),
			                              .harm_filter = km_rng_below(&rng, 2) == 0,
			                              .harm_score = km_rng_below(&rng, 2) == 0 };
		const struct km_workload w = { .max_slowdown = 1 + 2 * km_rng_unit(&rng),
			                       .mode = (enum km_mode)km_rng_below(&rng,
			                                                          KM_MODE_N) };
		double s = fabs(any_slowdown(&rng));
		struct km_candidate less = { (enum km_data_state)km_rng_below(&rng, 3), s, s,
			                     2 * km_rng_unit(&rng), km_rng_unit(&rng) };
		struct km_candidate more = less;
		struct km_verdict a;
		struct km_verdict b;

		more.harm_worst += km_rng_unit(&rng);
		more.harm_mean += km_rng_unit(&rng);
		km_place_judge_one(&w, &less, &rules, &a);
		km_place_judge_one(&w, &more, &rules, &b);
		assert_true(b.score <= a.score);
		assert_true(a.passes || !b.passes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(risk_goes_from_the_prediction_to_its_bound),
		cmocka_unit_test(a_wider_interval_never_scores_higher),
		cmocka_unit_test(harm_is_told_as_the_worst_and_the_weighted_mean),
		cmocka_unit_test(one_more_in_flight_never_lowers_the_mean),
		cmocka_unit_test(each_switch_of_harm_does_its_own_part),
		cmocka_unit_test(harm_comes_on_top_of_the_own_slowdown),
		cmocka_unit_test(more_harm_never_scores_higher),
	};

	return cmocka_run_group_tests_name("place risk", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* experiment: paired differences against answers known by hand, and how often an interval holds. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/base/rng.h"
#include "km/core/bootstrap.h"
#include "km/experiment/paired.h"

#define ROUNDS 2000

static void compare(const struct km_pair *pair, size_t count, struct km_paired *out)
{
	assert_int_equal(km_paired_compare(pair, count, ROUNDS, 1, out), 0);
}

static void bounds_are_the_values_next_outside(void **state)
{
	static const struct {
		double low_q, high_q, low, high;
	} rows[] = {
		{ 0, 1, 1, 5 },
		{ 0.25, 0.75, 2, 4 },
		{ 0.3, 0.7, 2, 4 }, /* 2.2 and 3.8 would be narrower */
		{ 0.5, 0.5, 3, 3 },
	};
	double low;
	double high;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		double values[] = { 5, 3, 1, 4, 2 };

		km_bootstrap_bounds(values, 5, rows[i].low_q, rows[i].high_q, &low, &high);
		assert_true(low == rows[i].low && high == rows[i].high);
	}
	km_bootstrap_bounds(NULL, 0, 0, 1, &low, &high);
	assert_true(isnan(low) && isnan(high));
}

static void a_sample_has_as_many_clusters_as_there_are(void **state)
{
	uint32_t seen[7] = { 0 };
	struct km_rng rng;

	(void)state;
	km_rng_init(&rng, 3);
	for (int round = 0; round < 200; round++) {
		uint32_t drawn[7] = { 99, 99, 99, 99, 99, 99, 99 };
		uint32_t sum = 0;

		km_bootstrap_draw(&rng, 7, drawn);
		for (size_t i = 0; i < 7; i++) {
			sum += drawn[i];
			seen[i] += drawn[i];
		}
		assert_int_equal(sum, 7);
	}
	for (size_t i = 0; i < 7; i++)
		assert_in_range(seen[i], 140, 260); /* 200 expected, deviation 13 */
}

static void verdicts_are_those_worked_out_by_hand(void **state)
{
	static const struct km_pair lower[] = {
		{ 1, -1 }, { 1, -2 }, { 2, -1.5 }, { 3, -1 }, { 4, -2 }, { 5, -0.5 }, { 5, -2.5 },
	};
	static const struct km_pair alike[] = { { 1, 1 }, { 2, 1 }, { 3, 1 }, { 4, 1 }, { 5, 1 } };
	static const struct km_pair mixed[] = { { 1, 1 },  { 2, -1 }, { 3, 1 },
		                                { 4, -1 }, { 5, 1 },  { 6, -1 } };
	struct km_paired p;

	(void)state;
	compare(lower, KM_ARRAY_LEN(lower), &p);
	assert_int_equal(p.pairs, 7);
	assert_int_equal(p.clusters, 5);
	assert_true(fabs(p.mean + 1.5) < 1e-12);
	/* Clusters of 2, 1, 1, 1, 2 pairs are 0, 0, 0.5, -0.5, 0 off: an error of 0.113. */
	if (!(p.low < -1.5 - 0.113 && p.low > -3 && p.high > -1.5 + 0.113 && p.high < 0))
		fail_msg("%g to %g", p.low, p.high);
	assert_int_equal(p.verdict, KM_VERDICT_LOWER);
	compare(alike, KM_ARRAY_LEN(alike), &p);
	assert_true(p.mean == 1 && p.low == 1 && p.high == 1);
	assert_int_equal(p.verdict, KM_VERDICT_HIGHER);
	compare(mixed, KM_ARRAY_LEN(mixed), &p);
	assert_true(p.mean == 0 && p.low < 0 && p.high > 0);
	assert_int_equal(p.verdict, KM_VERDICT_NONE);
	assert_string_equal(km_verdict_text(p.verdict), "no difference shown");
}

/* However large the difference: what so few repeats agree on may be chance. */
static void too_few_repeats_decide_nothing(void **state)
{
	struct km_pair pair[32] = { { 0 } };
	struct km_paired p;

	(void)state;
	compare(pair, 0, &p);
	assert_true(isnan(p.mean) && isnan(p.low) && p.verdict == KM_VERDICT_TOO_FEW);
	for (size_t i = 0; i < 32; i++)
		pair[i] = (struct km_pair){ 7, -3 };
	compare(pair, 32, &p);
	assert_true(p.mean == -3 && isnan(p.low) && p.verdict == KM_VERDICT_TOO_FEW);
	for (size_t i = 0; i < 32; i++)
		pair[i].cluster = (uint32_t)(i % (KM_PAIRED_CLUSTERS_MIN - 1));
	compare(pair, 32, &p);
	assert_true(p.mean == -3 && isnan(p.high) && p.verdict == KM_VERDICT_TOO_FEW);
	for (size_t i = 0; i < 32; i++)
		pair[i].cluster = (uint32_t)(i % KM_PAIRED_CLUSTERS_MIN);
	compare(pair, 32, &p);
	assert_int_equal(p.verdict, KM_VERDICT_LOWER);
}

static void what_is_no_number_is_refused(void **state)
{
	struct km_paired p;

	(void)state;
	assert_int_equal(km_paired_compare((struct km_pair[]){ { 1, NAN } }, 1, 10, 1, &p),
	                 -EINVAL);
	assert_int_equal(
		km_paired_compare((struct km_pair[]){ { 1, 1 }, { 2, INFINITY } }, 2, 10, 1, &p),
		-EINVAL);
}

static void the_same_seed_gives_the_same_bits(void **state)
{
	struct km_paired p[3];
	struct km_pair pair[40];
	struct km_rng rng;

	(void)state;
	km_rng_init(&rng, 11);
	for (uint32_t i = 0; i < 40; i++)
		pair[i] = (struct km_pair){ i / 4, km_rng_normal(&rng) };
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(km_paired_compare(pair, 40, ROUNDS, i < 2 ? 5 : 6, &p[i]), 0);
	assert_memory_equal(&p[0].low, &p[1].low, sizeof(double));
	assert_memory_equal(&p[0].high, &p[1].high, sizeof(double));
	assert_true(p[0].low != p[2].low || p[0].high != p[2].high);
}

/*
 * How often the interval holds the truth, with trials as they are run: few repeats, each with a
 * drift of its own, four pairs in each. Returns how many of `trials` did not.
 */
static unsigned misses(uint32_t repeats, unsigned trials, double truth)
{
	unsigned missed = 0;
	struct km_rng rng;

	km_rng_init(&rng, 100 + repeats);
	for (unsigned t = 0; t < trials; t++) {
		struct km_pair pair[4 * 20];
		struct km_paired p;

		for (uint32_t r = 0; r < repeats; r++) {
			double drift = 0.3 * km_rng_normal(&rng);

			for (uint32_t e = 0; e < 4; e++) {
				pair[4 * r + e] =
					(struct km_pair){ r, truth + drift +
					                             0.2 * km_rng_normal(&rng) };
			}
		}
		assert_int_equal(km_paired_compare(pair, 4 * (size_t)repeats, 1000, t, &p), 0);
		missed += p.low > truth || p.high < truth;
	}
	return missed;
}

/* 5 % of 600 are 30, with a deviation of 5.3. */
static void an_interval_holds_as_often_as_it_says(void **state)
{
	static const struct {
		uint32_t repeats;
		unsigned most;
	} rows[] = { { 5, 46 }, { 10, 46 }, { 20, 46 } };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		unsigned missed = misses(rows[i].repeats, 600, 0.4);

		print_message("%u repeats: %u of 600 intervals miss\n", rows[i].repeats, missed);
		assert_in_range(missed, 12, rows[i].most);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_are_the_values_next_outside),
		cmocka_unit_test(a_sample_has_as_many_clusters_as_there_are),
		cmocka_unit_test(verdicts_are_those_worked_out_by_hand),
		cmocka_unit_test(too_few_repeats_decide_nothing),
		cmocka_unit_test(what_is_no_number_is_refused),
		cmocka_unit_test(the_same_seed_gives_the_same_bits),
		cmocka_unit_test(an_interval_holds_as_often_as_it_says),
	};

	return cmocka_run_group_tests_name("experiment_paired", tests, NULL, NULL);
}

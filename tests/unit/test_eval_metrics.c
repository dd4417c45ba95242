/* SPDX-License-Identifier: Apache-2.0 */
/* eval: each score against a case worked by hand, and bootstrap intervals of them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/rng.h"
#include "km/eval/metrics.h"

/* A row of decision 1 and cluster 0; its NP is 1 / slowdown. */
static struct km_scored row(double slowdown, double predicted, uint32_t situation)
{
	return (struct km_scored){ .slowdown = slowdown,
		                   .norm_perf = 1 / slowdown,
		                   .predicted = predicted,
		                   .low = NAN,
		                   .high = NAN,
		                   .decision = 1,
		                   .situation = situation };
}

static void want(double got, double expected, const char *what)
{
	if (isnan(expected) ? !isnan(got) : !(fabs(got - expected) < 1e-12))
		fail_msg("%s: %.15g, want %.15g", what, got, expected);
}

static struct km_scores scores_of(struct km_scored *rows, size_t count)
{
	struct km_scores s;

	assert_int_equal(km_scores_compute(rows, count, &s), 0);
	assert_int_equal(s.rows, count);
	return s;
}

static void every_score_of_three_nodes(void **state)
{
	/* NP: 1, 10/11, 1/2 measured; 1, 4/5, 4/5 predicted */
	struct km_scored rows[] = { row(1.0, 1.0, 1), row(1.1, 1.25, 2), row(2.0, 1.25, 3) };
	double off[] = { 0, 0.8 - 10.0 / 11, 0.3 };
	double mean = (1 + 10.0 / 11 + 0.5) / 3;
	double spread = (1 - mean) * (1 - mean) + (10.0 / 11 - mean) * (10.0 / 11 - mean) +
	                (0.5 - mean) * (0.5 - mean);
	double square = off[1] * off[1] + off[2] * off[2];
	struct km_scores s = scores_of(rows, 3);

	(void)state;
	want(s.mae, (0.3 - off[1]) / 3, "mae");
	want(s.rmse, sqrt(square / 3), "rmse");
	want(s.r2, 1 - square / spread, "r2");
	want(s.bias, (off[1] + off[2]) / 3, "bias");
	want(s.mape_slowdown, (0.15 / 1.1 + 0.75 / 2) / 3, "mape");
	/* ranks 2 1 0 against 2 1/2 1/2 */
	want(s.spearman, 1.5 / sqrt(2 * 1.5), "spearman");
	/* 1.0 before 1.1: right; 1.0 before 2.0: right; 1.1 before 2.0: a toss */
	assert_int_equal(s.pairs, 3);
	want(s.pair_accuracy, 2.5 / 3, "pairs");
	assert_int_equal(s.pairs125, 2);
	want(s.pair_accuracy125, 1.5 / 2, "pairs 1.25x");
	want(s.regret, 0.5 * (2 / 1.1 - 1) / 3, "regret");
	want(s.coverage90, NAN, "coverage");
}

static void np_of_a_run_without_interference_is_what_the_row_says(void **state)
{
	struct km_scored rows[] = { row(1.2, 1.0, 1) };
	struct km_scores s;

	(void)state;
	rows[0].norm_perf = 1; /* by definition; the slowdown stays as measured */
	s = scores_of(rows, 1);
	want(s.mae, 0, "mae");
	want(s.mape_slowdown, 0.2 / 1.2, "mape");
}

static void only_nodes_that_compete_make_pairs(void **state)
{
	static const struct {
		double slowdown[2], predicted[2];
		uint32_t decision[2], situation[2];
		size_t pairs, pairs125;
		double accuracy, regret;
		const char *why;
	} cases[] = {
		{ { 1, 2 }, { 1, 2 }, { 1, 1 }, { 1, 2 }, 1, 1, 1, 0, "the right order" },
		{ { 1, 2 },
		  { 2, 1 },
		  { 1, 1 },
		  { 1, 2 },
		  1,
		  1,
		  0,
		  1,
		  "the wrong order costs 100 %" },
		{ { 2, 1 }, { 1, 1 }, { 1, 1 }, { 1, 2 }, 1, 1, 0.5, 0.5, "a tie is half right" },
		{ { 1, 2 }, { 1, 2 }, { 1, 2 }, { 1, 2 }, 0, 0, NAN, NAN, "another decision" },
		{ { 1, 2 }, { 1, 2 }, { 1, 1 }, { 3, 3 }, 0, 0, NAN, NAN, "one situation twice" },
		{ { 2, 2 }, { 1, 2 }, { 1, 1 }, { 1, 2 }, 0, 0, NAN, NAN, "no better one" },
		{ { 1, 1.25 }, { 1, 2 }, { 1, 1 }, { 1, 2 }, 1, 1, 1, 0, "1.25x is far apart" },
		{ { 1, 1.24 }, { 2, 1 }, { 1, 1 }, { 1, 2 }, 1, 0, 0, 0.24, "1.24x is not" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(cases); i++) {
		struct km_scored rows[2];
		struct km_scores s;

		for (int k = 0; k < 2; k++) {
			rows[k] = row(cases[i].slowdown[k], cases[i].predicted[k],
			              cases[i].situation[k]);
			rows[k].decision = cases[i].decision[k];
		}
		s = scores_of(rows, 2);
		if (s.pairs != cases[i].pairs || s.pairs125 != cases[i].pairs125)
			fail_msg("%s: %zu and %zu pairs", cases[i].why, s.pairs, s.pairs125);
		want(s.pair_accuracy, cases[i].accuracy, cases[i].why);
		want(s.regret, cases[i].regret, cases[i].why);
		want(s.pair_accuracy125, cases[i].pairs125 > 0 ? cases[i].accuracy : NAN,
		     cases[i].why);
	}
}

static void an_interval_holds_what_lies_in_it_bounds_included(void **state)
{
	struct km_scored rows[6];

	(void)state;
	for (uint32_t i = 0; i < 6; i++)
		rows[i] = row(1.5, 1.5, i);
	rows[0].low = 1.5, rows[0].high = 1.6;
	rows[1].low = 1.4, rows[1].high = 1.5;
	rows[2].low = 1.4, rows[2].high = 1.45;
	rows[3].low = 1.55, rows[3].high = 1.6;
	rows[4].low = NAN, rows[4].high = 1.6; /* no interval: not counted */
	want(scores_of(rows, 6).coverage90, 2.0 / 4, "coverage");
}

static void what_does_not_exist_is_nan(void **state)
{
	struct km_scored rows[] = { row(1.5, 1.2, 1), row(1.5, 1.4, 2), row(1.5, 1.4, 3) };
	struct km_scores none = scores_of(rows, 0);
	struct km_scores same = scores_of(rows, 3);
	struct km_scores one;

	(void)state;
	for (const struct km_score_field *f = km_score_fields; f->json != NULL; f++)
		want(km_score_get(&none, f), NAN, f->json);
	assert_int_equal(none.pairs + none.pairs125, 0);
	/* all labels are equal: no share of their spread, and no ranks */
	want(same.r2, NAN, "r2 of equal labels");
	want(same.spearman, NAN, "spearman of equal labels");
	assert_true(same.mae > 0);
	rows[1].slowdown = 2;
	rows[1].norm_perf = 0.5;
	for (int i = 0; i < 3; i++)
		rows[i].predicted = 1.3;
	assert_false(isnan(scores_of(rows, 3).r2));
	want(scores_of(rows, 3).spearman, NAN, "spearman of equal predictions");
	one = scores_of(rows, 1);
	want(one.r2, NAN, "r2 of one row");
	want(one.pair_accuracy, NAN, "pairs of one row");
	assert_false(isnan(one.mae) || isnan(one.rmse) || isnan(one.bias));
}

#define MANY 200

static void fill(struct km_scored *rows, uint64_t seed)
{
	struct km_rng rng;

	km_rng_init(&rng, seed);
	for (uint32_t i = 0; i < MANY; i++) {
		double slowdown = 1 + 3 * km_rng_unit(&rng);

		rows[i] = row(slowdown, slowdown * exp(0.2 * km_rng_normal(&rng)), i % 7);
		rows[i].decision = i % 11;
		rows[i].cluster = i % 20;
		rows[i].low = rows[i].predicted * 0.8;
		rows[i].high = rows[i].predicted * 1.25;
	}
}

static void the_order_of_rows_means_nothing(void **state)
{
	static struct km_scored rows[MANY];
	struct km_scores a;
	struct km_scores b;
	struct km_rng rng;

	(void)state;
	fill(rows, 1);
	a = scores_of(rows, MANY);
	km_rng_init(&rng, 2);
	for (uint32_t i = MANY - 1; i > 0; i--) {
		uint32_t k = km_rng_below(&rng, i + 1);
		struct km_scored swap = rows[i];

		rows[i] = rows[k];
		rows[k] = swap;
	}
	b = scores_of(rows, MANY);
	assert_int_equal(a.pairs, b.pairs);
	assert_int_equal(a.pairs125, b.pairs125);
	for (const struct km_score_field *f = km_score_fields; f->json != NULL; f++)
		want(km_score_get(&b, f), km_score_get(&a, f), f->json);
}

/* ---- bootstrap ---- */

static void bootstrap_is_seeded_and_in_order(void **state)
{
	static struct km_scored rows[MANY];
	struct km_scores s;
	struct km_scores low[3];
	struct km_scores high[3];
	bool other = false;

	(void)state;
	fill(rows, 3);
	s = scores_of(rows, MANY);
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			km_scores_bootstrap(rows, MANY, 300, i < 2 ? 7 : 8, &low[i], &high[i]), 0);
	assert_int_equal(low[0].rows, MANY);
	assert_int_equal(high[0].rows, MANY);
	for (const struct km_score_field *f = km_score_fields; f->json != NULL; f++) {
		double l = km_score_get(&low[0], f);
		double h = km_score_get(&high[0], f);

		want(km_score_get(&low[1], f), l, f->json);
		want(km_score_get(&high[1], f), h, f->json);
		other = other || km_score_get(&low[2], f) != l;
		if (strcmp(f->json, "spearman") == 0) {
			want(l, NAN, "no interval of spearman");
			continue;
		}
		if (!(l < h && l <= km_score_get(&s, f) && km_score_get(&s, f) <= h))
			fail_msg("%s: %g in %g..%g", f->json, km_score_get(&s, f), l, h);
	}
	assert_true(other);
}

/* Two clusters, all right and all wrong: a sample has none, one or two of the wrong ones. */
static void bootstrap_draws_whole_clusters(void **state)
{
	struct km_scored rows[8];
	struct km_scores low;
	struct km_scores high;

	(void)state;
	for (uint32_t i = 0; i < 8; i++) {
		rows[i] = row(2, i < 4 ? 2 : 1, i);
		rows[i].cluster = i < 4 ? 0 : 1;
	}
	assert_int_equal(km_scores_bootstrap(rows, 8, 200, 1, &low, &high), 0);
	want(low.mae, 0, "low");
	want(high.mae, 0.5, "high");
	/* one cluster is always itself */
	for (uint32_t i = 0; i < 8; i++)
		rows[i].cluster = 0;
	assert_int_equal(km_scores_bootstrap(rows, 8, 50, 1, &low, &high), 0);
	want(low.mae, 0.25, "one cluster, low");
	want(high.mae, 0.25, "one cluster, high");
	want(low.pair_accuracy, NAN, "no pairs");
	want(high.coverage90, NAN, "no intervals");
}

static void bootstrap_of_nothing_is_nothing(void **state)
{
	struct km_scored rows[] = { row(2, 1, 1) };
	struct km_scores low;
	struct km_scores high;

	(void)state;
	for (int i = 0; i < 2; i++) { /* no rows, no rounds */
		assert_int_equal(
			km_scores_bootstrap(rows, (size_t)i, i == 0 ? 100 : 0, 1, &low, &high), 0);
		for (const struct km_score_field *f = km_score_fields; f->json != NULL; f++) {
			want(km_score_get(&low, f), NAN, f->json);
			want(km_score_get(&high, f), NAN, f->json);
		}
	}
}

static void fields_are_those_of_the_report(void **state)
{
	static const char *const wanted[] = { "mae",
		                              "rmse",
		                              "r2",
		                              "mapeSlowdown",
		                              "spearman",
		                              "pairAccuracy",
		                              "pairAccuracy125",
		                              "regret",
		                              "bias",
		                              "coverage90" };
	struct km_scores s = { .mae = 1,
		               .rmse = 2,
		               .r2 = 3,
		               .mape_slowdown = 4,
		               .spearman = 5,
		               .pair_accuracy = 6,
		               .pair_accuracy125 = 7,
		               .regret = 8,
		               .bias = 9,
		               .coverage90 = 10 };
	size_t i = 0;

	(void)state;
	for (const struct km_score_field *f = km_score_fields; f->json != NULL; f++, i++) {
		assert_true(i < KM_ARRAY_LEN(wanted));
		assert_string_equal(f->json, wanted[i]);
		assert_non_null(f->label);
		want(km_score_get(&s, f), (double)i + 1, f->json);
	}
	assert_int_equal(i, KM_ARRAY_LEN(wanted));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_score_of_three_nodes),
		cmocka_unit_test(np_of_a_run_without_interference_is_what_the_row_says),
		cmocka_unit_test(only_nodes_that_compete_make_pairs),
		cmocka_unit_test(an_interval_holds_what_lies_in_it_bounds_included),
		cmocka_unit_test(what_does_not_exist_is_nan),
		cmocka_unit_test(the_order_of_rows_means_nothing),
		cmocka_unit_test(bootstrap_is_seeded_and_in_order),
		cmocka_unit_test(bootstrap_draws_whole_clusters),
		cmocka_unit_test(bootstrap_of_nothing_is_nothing),
		cmocka_unit_test(fields_are_those_of_the_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

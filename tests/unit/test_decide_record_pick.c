/* SPDX-License-Identifier: Apache-2.0 */
/* decide: which nodes of a decision are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "km/base/rng.h"
#include "km/decide/record.h"

static bool picked(const uint32_t *pick, size_t count, uint32_t at)
{
	for (size_t i = 0; i < count; i++) {
		if (pick[i] == at)
			return true;
	}
	return false;
}

static void of_few_nodes_all_are_picked(void **state)
{
	struct km_verdict v[KM_RECORD_NODES_MAX] = { { .score = 0 } };
	uint32_t pick[KM_RECORD_NODES_MAX];
	struct km_recorded d = { .id = 1 };

	(void)state;
	for (size_t n = 0; n <= KM_RECORD_NODES_MAX; n++) {
		size_t got;

		for (size_t i = 0; i < n; i++) {
			v[i] = (struct km_verdict){
				i % 3 == 0,
				false,
				i % 3 == 0 ? KM_REASON_FITS : KM_REASON_TOO_SLOW,
				(int32_t)i % 5,
				0,
				0
			};
		}
		got = km_record_pick(v, n, &d, pick);
		assert_int_equal(got, n);
		for (uint32_t i = 0; i < n; i++)
			assert_true(picked(pick, got, i));
		assert_int_equal(d.asked, n);
		assert_int_equal(d.passed, (n + 2) / 3);
		assert_int_equal(d.reason[KM_REASON_TOO_SLOW].rejected, n - (n + 2) / 3);
	}
}

/* Of many: no node that passes and is not picked has a better score than one picked as good, and
 * each reason has its example. */
static void of_many_nodes_those_that_matter_are_picked(void **state)
{
	static struct km_verdict v[5000];
	uint32_t pick[KM_RECORD_NODES_MAX];
	struct km_rng rng;

	(void)state;
	km_rng_init(&rng, 11);
	for (int round = 0; round < 200; round++) {
		size_t n = 17 + km_rng_below(&rng, 4983);
		struct km_recorded d = { .id = 1 };
		uint32_t scale = round % 2 == 0 ? 10 : 100;
		int32_t worst_picked = INT32_MAX;
		size_t better = 0;
		size_t got;

		for (size_t i = 0; i < n; i++) {
			uint32_t r = km_rng_below(&rng, 100);

			v[i] = (struct km_verdict){
				.passes = r > 2,
				.reason =
					r > 5 ? KM_REASON_FITS : (enum km_reason)(r % KM_REASON_N),
				.score = (int32_t)km_rng_below(&rng, scale + 1),
			};
		}
		got = km_record_pick(v, n, &d, pick);
		assert_int_equal(got, KM_RECORD_NODES_MAX);
		for (size_t i = 0; i < got; i++) {
			assert_true(pick[i] < n);
			assert_false(picked(pick, i, pick[i]));
		}
		assert_int_equal(v[pick[0]].score, d.best);
		for (int r = KM_REASON_FITS + 1; r < KM_REASON_N; r++) {
			bool there = false;

			for (size_t i = 0; i < got; i++)
				there = there || (int)v[pick[i]].reason == r;
			assert_int_equal(there, d.reason[r].judged > 0);
		}
		for (size_t i = 0; i < 3; i++) {
			assert_true(v[pick[i]].passes);
			if (v[pick[i]].score < worst_picked)
				worst_picked = v[pick[i]].score;
		}
		for (size_t i = 0; i < n; i++)
			better += v[i].passes && v[i].score > worst_picked;
		assert_true(better < 3);
	}
}

static void where_nobody_passes_there_is_no_best(void **state)
{
	struct km_verdict v[20];
	uint32_t pick[KM_RECORD_NODES_MAX];
	struct km_recorded d = { .id = 1 };
	size_t got;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(v); i++)
		v[i] = (struct km_verdict){ .reason = KM_REASON_TOO_SLOW, .score = 3 };
	got = km_record_pick(v, KM_ARRAY_LEN(v), &d, pick);
	assert_int_equal(got, 2);
	assert_int_equal(d.best, -1);
	assert_int_equal(d.worst, -1);
	assert_int_equal(d.best_count, 0);
	assert_int_equal(d.reason[KM_REASON_TOO_SLOW].rejected, KM_ARRAY_LEN(v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_few_nodes_all_are_picked),
		cmocka_unit_test(of_many_nodes_those_that_matter_are_picked),
		cmocka_unit_test(where_nobody_passes_there_is_no_best),
	};

	return cmocka_run_group_tests_name("decide_record_pick", tests, NULL, NULL);
}

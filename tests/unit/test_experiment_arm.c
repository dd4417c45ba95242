/* SPDX-License-Identifier: Apache-2.0 */
/* experiment: what each arm takes, and what it does when nothing is known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/experiment/arm.h"

static void each_arm_takes_the_node_it_says(void **state)
{
	static const struct {
		const char *why;
		enum km_plan_arm arm;
		struct km_arm_node node[3]; /* busy, score, filtered, placed */
		double luck;
		size_t want;
	} rows[] = {
		{ "random is luck alone",
		  KM_PLAN_ARM_RANDOM,
		  { { 0.9, 1, false, 5 }, { 0.1, 9, false, 0 }, { 0.5, 5, false, 2 } },
		  0.1,
		  0 },
		{ "random is luck alone",
		  KM_PLAN_ARM_RANDOM,
		  { { 0.1, 9, false, 0 }, { 0.1, 9, false, 0 }, { 0.9, 0, false, 9 } },
		  0.9,
		  2 },
		{ "spread counts its own",
		  KM_PLAN_ARM_SPREAD,
		  { { 0.1, 9, false, 2 }, { 0.9, 1, false, 1 }, { 0.1, 9, false, 2 } },
		  0.5,
		  1 },
		{ "spread draws among equals",
		  KM_PLAN_ARM_SPREAD,
		  { { 0.1, 9, false, 1 }, { 0.9, 1, false, 2 }, { 0.1, 9, false, 1 } },
		  0.6,
		  2 },
		{ "least-cpu looks at use alone",
		  KM_PLAN_ARM_LEAST_CPU,
		  { { 0.4, 9, false, 0 }, { 0.3, 1, false, 7 }, { 0.5, 9, false, 0 } },
		  0.9,
		  1 },
		{ "not measured is not idle",
		  KM_PLAN_ARM_LEAST_CPU,
		  { { NAN, 9, false, 0 }, { 0.8, 1, false, 0 }, { 0.9, 9, false, 0 } },
		  0.1,
		  1 },
		{ "nothing measured: luck",
		  KM_PLAN_ARM_LEAST_CPU,
		  { { NAN, 9, false, 0 }, { NAN, 1, false, 0 }, { NAN, 9, false, 0 } },
		  0.99,
		  2 },
		{ "kubemarla takes the best score",
		  KM_PLAN_ARM_KUBEMARLA,
		  { { 0.1, 3, false, 0 }, { 0.1, 4, false, 0 }, { 0.9, 8, false, 9 } },
		  0.1,
		  2 },
		{ "equal scores are drawn",
		  KM_PLAN_ARM_KUBEMARLA,
		  { { 0.1, 8, false, 0 }, { 0.1, 4, false, 0 }, { 0.9, 8, false, 9 } },
		  0.1,
		  0 },
		{ "what was filtered out is not taken",
		  KM_PLAN_ARM_KUBEMARLA,
		  { { 0.1, 3, false, 0 }, { 0.1, NAN, false, 0 }, { 0.9, 8, true, 9 } },
		  0.1,
		  0 },
		{ "without a score, still before a filtered one",
		  KM_PLAN_ARM_KUBEMARLA,
		  { { 0.1, 3, true, 0 }, { 0.1, NAN, false, 0 }, { 0.9, 8, true, 9 } },
		  0.1,
		  1 },
		{ "all filtered: the best score",
		  KM_PLAN_ARM_KUBEMARLA,
		  { { 0.1, 3, true, 0 }, { 0.1, 9, true, 0 }, { 0.9, 8, true, 9 } },
		  0.1,
		  1 },
		{ "no answer: luck",
		  KM_PLAN_ARM_KUBEMARLA,
		  { { 0.1, NAN, false, 0 }, { 0.1, NAN, false, 0 }, { 0.9, NAN, false, 9 } },
		  0.5,
		  1 },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		size_t got = km_arm_choose(rows[i].arm, rows[i].node, 3, rows[i].luck);

		if (got != rows[i].want)
			fail_msg("%s: %zu, want %zu", rows[i].why, got, rows[i].want);
	}
}

static void only_kubemarla_asks(void **state)
{
	(void)state;
	for (int a = 0; a < KM_PLAN_ARM_N; a++) {
		assert_true(km_arm_asks((enum km_plan_arm)a) == (a == KM_PLAN_ARM_KUBEMARLA));
		assert_non_null(km_arm_help((enum km_plan_arm)a));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_arm_takes_the_node_it_says),
		cmocka_unit_test(only_kubemarla_asks),
	};

	return cmocka_run_group_tests_name("experiment_arm", tests, NULL, NULL);
}

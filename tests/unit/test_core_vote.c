/* SPDX-License-Identifier: Apache-2.0 */
/* core: how much of kube-scheduler's choice is ours. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/core/vote.h"

static void votes_are_counted_as_kube_scheduler_does(void **state)
{
	static const struct {
		double weight;
		uint32_t scale;
		double in_tree, points, in_tree_points, share;
	} rows[] = {
		{ 1, 10, KM_VOTE_IN_TREE_WEIGHT, 100, 1200, 100.0 / 1300 },
		{ 10, 10, KM_VOTE_IN_TREE_WEIGHT, 1000, 1200, 1000.0 / 2200 },
		{ 1, 100, KM_VOTE_IN_TREE_WEIGHT, 1000, 1200, 1000.0 / 2200 },
		{ 10, 10, 0, 1000, 0, 1 },
		{ 0, 10, 0, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_vote v;

		km_vote_count(rows[i].weight, rows[i].scale, rows[i].in_tree, &v);
		assert_true(v.points == rows[i].points);
		assert_true(v.points_per_score == rows[i].weight * 10);
		assert_true(v.in_tree_points == rows[i].in_tree_points);
		assert_true(fabs(v.share - rows[i].share) < 1e-12);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(votes_are_counted_as_kube_scheduler_does),
	};

	return cmocka_run_group_tests_name("core_vote", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* sim: from outcomes to numbers, against cases that were worked out by hand. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"

#include "sim/sim_internal.h"

#define ROUNDS 400

static const enum km_sim_arm arms[] = { KM_SIM_RANDOM, KM_SIM_PRESSURE, KM_SIM_OURS,
	                                KM_SIM_ORACLE };

static void begin(struct sim_log *l)
{
	sim_log_init(l);
	for (size_t i = 0; i < KM_ARRAY_LEN(arms); i++)
		l->there[arms[i]] = true;
}

/* cost [4], by arms[]. */
static void add(struct sim_log *l, uint32_t cluster, const float *cost)
{
	struct sim_outcome o[KM_SIM_ARM_N] = { 0 };

	for (size_t i = 0; i < KM_ARRAY_LEN(arms); i++) {
		o[arms[i]] = (struct sim_outcome){
			.cost = cost[i],
			.own = cost[i] / 2,
			.others = cost[i] / 4,
			.tail = cost[i],
			.broken = cost[i] > 5,
			.right = cost[i] <= cost[3],
			.moved = i == 1,
		};
	}
	assert_int_equal(sim_log_add(l, cluster, o), 0);
}

static void want(const struct km_sim_setting *s, enum km_sim_arm a, enum km_sim_metric m,
                 double value)
{
	double got = s->arm[a].metric[m].value;

	if (!(fabs(got - value) < 1e-6))
		fail_msg("%s %s: %g, want %g", km_sim_arm_name(a), km_sim_metric_name(m), got,
		         value);
}

static void numbers_are_those_worked_out_by_hand(void **state)
{
	/* random, pressure, ours, oracle */
	static const float costs[3][4] = { { 4, 3, 2, 2 }, { 6, 6, 4, 2 }, { 8, 3, 4, 4 } };
	struct km_sim_setting s = { .name = "hand" };
	struct sim_log l;

	(void)state;
	begin(&l);
	for (size_t i = 0; i < 3; i++)
		add(&l, (uint32_t)(10 * i), costs[i]); /* numbers between are nobody's */
	assert_int_equal(sim_log_summarise(&l, ROUNDS, 1, &s, NULL), 0);
	assert_int_equal(s.decisions, 3);
	assert_int_equal(s.clusters, 3);
	want(&s, KM_SIM_OURS, KM_SIM_COST, 10.0 / 3);
	want(&s, KM_SIM_OURS, KM_SIM_OWN, 5.0 / 3);
	want(&s, KM_SIM_OURS, KM_SIM_OTHERS, 2.5 / 3);
	want(&s, KM_SIM_OURS, KM_SIM_REGRET, 10.0 / 8 - 1);
	want(&s, KM_SIM_OURS, KM_SIM_CLOSED, (18.0 - 10) / (18 - 8));
	want(&s, KM_SIM_OURS, KM_SIM_RIGHT, 2.0 / 3);
	want(&s, KM_SIM_OURS, KM_SIM_VIOLATIONS, 0);
	want(&s, KM_SIM_OURS, KM_SIM_P95, 4);
	want(&s, KM_SIM_OURS, KM_SIM_MOVES, 0);
	want(&s, KM_SIM_PRESSURE, KM_SIM_MOVES, 1);
	want(&s, KM_SIM_PRESSURE, KM_SIM_VIOLATIONS, 1.0 / 3);
	want(&s, KM_SIM_PRESSURE, KM_SIM_AGAINST, 10.0 / 12 - 1);
	want(&s, KM_SIM_PRESSURE, KM_SIM_P95, 6);
	want(&s, KM_SIM_RANDOM, KM_SIM_CLOSED, 0);
	want(&s, KM_SIM_ORACLE, KM_SIM_CLOSED, 1);
	want(&s, KM_SIM_ORACLE, KM_SIM_RIGHT, 1);
	assert_false(s.arm[KM_SIM_THESIS].there);
	assert_true(isnan(s.arm[KM_SIM_THESIS].metric[KM_SIM_COST].value));
	sim_log_fini(&l);
}

/* Clusters that all behave alike leave nothing to chance; others do, and the truth is inside. */
static void intervals_are_as_wide_as_clusters_differ(void **state)
{
	struct km_sim_setting alike = { .name = "alike" };
	struct km_sim_setting apart = { .name = "apart" };
	const struct km_sim_number *n;
	struct sim_log l;

	(void)state;
	begin(&l);
	for (uint32_t i = 0; i < 40; i++)
		add(&l, i % 10, (const float[]){ 4, 3, 3, 2 });
	assert_int_equal(sim_log_summarise(&l, ROUNDS, 1, &alike, NULL), 0);
	sim_log_fini(&l);
	n = &alike.arm[KM_SIM_OURS].metric[KM_SIM_COST];
	assert_true(n->low == 3 && n->high == 3);
	n = &alike.arm[KM_SIM_OURS].metric[KM_SIM_CLOSED];
	assert_true(n->low == 0.5 && n->high == 0.5);
	begin(&l);
	for (uint32_t i = 0; i < 40; i++)
		add(&l, i % 10, (const float[]){ 4, 3, i % 10 < 5 ? 2.2F : 3.8F, 2 });
	assert_int_equal(sim_log_summarise(&l, ROUNDS, 1, &apart, NULL), 0);
	sim_log_fini(&l);
	n = &apart.arm[KM_SIM_OURS].metric[KM_SIM_COST];
	/* the mean of ten draws of 2.2 or 3.8 has a standard deviation of 0.253 */
	if (!(n->low > 2.2 && n->low < 2.75 && n->high > 3.25 && n->high < 3.8))
		fail_msg("%g to %g", n->low, n->high);
	n = &apart.arm[KM_SIM_ORACLE].metric[KM_SIM_COST];
	assert_true(n->low == 2 && n->high == 2);
	n = &apart.arm[KM_SIM_OURS].metric[KM_SIM_P95];
	assert_true(fabs(n->value - 3.8) < 1e-6);
	/* by histogram: within a bin of 2.5 % */
	assert_true(n->low > 2.1 && n->high < 3.95 && n->high > 3.7);
}

static void the_same_seed_gives_the_same_intervals(void **state)
{
	struct km_sim_setting s[3] = { { .name = "a" }, { .name = "b" }, { .name = "c" } };
	struct sim_log l;

	(void)state;
	begin(&l);
	for (uint32_t i = 0; i < 30; i++)
		add(&l, i, (const float[]){ 4, 3, (float)(i % 7), 1 });
	assert_int_equal(sim_log_summarise(&l, ROUNDS, 5, &s[0], NULL), 0);
	assert_int_equal(sim_log_summarise(&l, ROUNDS, 5, &s[1], NULL), 0);
	assert_int_equal(sim_log_summarise(&l, ROUNDS, 6, &s[2], NULL), 0);
	for (int m = 0; m < KM_SIM_METRIC_N; m++) {
		assert_true(s[0].arm[KM_SIM_OURS].metric[m].low ==
		            s[1].arm[KM_SIM_OURS].metric[m].low);
	}
	assert_true(s[0].arm[KM_SIM_OURS].metric[KM_SIM_COST].low !=
	                    s[2].arm[KM_SIM_OURS].metric[KM_SIM_COST].low ||
	            s[0].arm[KM_SIM_OURS].metric[KM_SIM_COST].high !=
	                    s[2].arm[KM_SIM_OURS].metric[KM_SIM_COST].high);
	sim_log_fini(&l);
}

static void what_has_no_meaning_is_no_number(void **state)
{
	struct km_sim_setting s = { .name = "none" };
	struct km_err err = { .code = 0 };
	struct sim_log l;

	(void)state;
	begin(&l);
	assert_int_equal(sim_log_summarise(&l, ROUNDS, 1, &s, &err), -ENODATA);
	assert_non_null(strstr(err.text, "none"));
	l.no_time = true;
	add(&l, 0, (const float[]){ 2, 2, 2, 2 }); /* nothing to gain: no gap */
	assert_int_equal(sim_log_summarise(&l, ROUNDS, 1, &s, NULL), 0);
	assert_true(isnan(s.arm[KM_SIM_OURS].metric[KM_SIM_CLOSED].value));
	assert_true(isnan(s.arm[KM_SIM_OURS].metric[KM_SIM_CLOSED].low));
	assert_true(isnan(s.arm[KM_SIM_OURS].metric[KM_SIM_MOVES].value));
	sim_log_fini(&l);
}

static void ties_are_drawn_and_nothing_else(void **state)
{
	const double tie[] = { 3, 1, 2, 1 };
	const double none[] = { NAN, NAN };
	const double some[] = { NAN, 5, INFINITY };

	(void)state;
	assert_int_equal(km_least(tie, 4, 0), 1);
	assert_int_equal(km_least(tie, 4, 0.49), 1);
	assert_int_equal(km_least(tie, 4, 0.51), 3);
	assert_int_equal(km_least(tie, 4, 0.999), 3);
	assert_int_equal(km_least(none, 2, 0.2), 0);
	assert_int_equal(km_least(none, 2, 0.9), 1);
	assert_int_equal(km_least(some, 3, 0.9), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_those_worked_out_by_hand),
		cmocka_unit_test(intervals_are_as_wide_as_clusters_differ),
		cmocka_unit_test(the_same_seed_gives_the_same_intervals),
		cmocka_unit_test(what_has_no_meaning_is_no_number),
		cmocka_unit_test(ties_are_drawn_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

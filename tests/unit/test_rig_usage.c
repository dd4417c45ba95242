/* SPDX-License-Identifier: Apache-2.0 */
/* rig: whose CPU time it was, by a fake /proc/stat; only what no clock decides. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig/rig_internal.h"
#include "support/tree.h"

/* user nice system idle iowait irq softirq steal */
#define CPU(n, idle, steal) "cpu" n " 100 0 100 " idle " 0 0 0 " steal " 0 0\n"

static const struct row {
	const char *begin, *end;
	double busy, utilisation; /* the target is CPU 1 */
} rows[] = {
	/* not idle is busy, whatever its ticks say */
	{ CPU("0", "50", "0") CPU("1", "50", "0"), CPU("0", "50", "0") CPU("1", "50", "0"), 2, 1 },
	/* idle all the time, and by a rounding more */
	{ CPU("0", "50", "0") CPU("1", "50", "0"),
	  CPU("0", "9999999", "0") CPU("1", "9999999", "0"), 0, 0 },
	{ CPU("0", "50", "0") CPU("1", "50", "0"), CPU("0", "50", "0") CPU("1", "9999999", "0"), 0,
	  0 },
	/* what the hypervisor took was nobody's here, and nobody's to use */
	{ CPU("0", "50", "0") CPU("1", "50", "0"),
	  CPU("0", "50", "9999999") CPU("1", "50", "9999999"), 0, 1 },
	/* a count that steps back, a CPU that comes, one that goes */
	{ CPU("0", "50", "0") CPU("1", "50", "0"), CPU("0", "49", "0") CPU("1", "49", "0"), 2, 1 },
	{ CPU("0", "50", "0"), CPU("0", "50", "0") CPU("1", "50", "0"), 1, NAN },
	{ CPU("0", "50", "0") CPU("1", "50", "0"), CPU("1", "50", "0"), 1, 1 },
};

static bool same(double a, double b)
{
	return a == b || (isnan(a) && isnan(b));
}

static void not_idle_is_busy(void **state)
{
	static struct km_rig rig;
	struct km_plan plan = { .mode = KM_PLAN_LOCAL };
	struct tree t;

	(void)state;
	tree_init(&t);
	plan.collect.live.procfs = t.root;
	rig.plan = &plan;
	km_cpuset_add(&rig.target_cpus, 1);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_rig_usage u;

		tree_put(&t, "stat", "%s", rows[i].begin);
		assert_int_equal(rig_usage_begin(&rig, NULL), 0);
		tree_put(&t, "stat", "%s", rows[i].end);
		rig_usage_end(&rig, &u);
		if (!same(u.busy_cpus, rows[i].busy) ||
		    !same(u.target_utilisation, rows[i].utilisation))
			fail_msg("row %zu: busy %g, utilisation %g", i, u.busy_cpus,
			         u.target_utilisation);
		assert_true(u.own_cpus >= 0 && u.foreign_cpus >= 0);
		assert_true(u.foreign_cpus <= u.busy_cpus);
	}
	tree_fini(&t);
}

static void what_is_not_known_is_not_zero(void **state)
{
	static struct km_rig rig;
	struct km_plan plan = { .mode = KM_PLAN_LOCAL };
	struct km_err err = { .code = 0 };
	struct km_rig_usage u;
	struct tree t;

	(void)state;
	tree_init(&t);
	plan.collect.live.procfs = t.root;
	rig.plan = &plan;
	assert_int_equal(rig_usage_begin(&rig, &err), -ENOENT);
	assert_int_equal(strncmp(err.text, "usage of CPUs: ", 15), 0);
	rig_usage_end(&rig, &u);
	assert_true(isnan(u.busy_cpus) && isnan(u.foreign_cpus) && isnan(u.target_utilisation));
	tree_put(&t, "stat", "%s", rows[0].begin);
	assert_int_equal(rig_usage_begin(&rig, &err), 0);
	tree_put(&t, "stat", "garbage\n");
	rig_usage_end(&rig, &u);
	assert_true(isnan(u.busy_cpus) && isnan(u.foreign_cpus));
	tree_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(not_idle_is_busy),
		cmocka_unit_test(what_is_not_known_is_not_zero),
	};

	return cmocka_run_group_tests_name("rig: usage", tests, NULL, NULL);
}

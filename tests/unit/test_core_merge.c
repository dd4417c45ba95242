/* SPDX-License-Identifier: Apache-2.0 */
/* Several sources' samples of one tick become one. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/clock.h"
#include "km/core/merge.h"

#define CPUS  2
#define MS    (KM_NS_PER_S / 1000)
#define START (100 * KM_NS_PER_S)

struct given {
	struct km_sample s;
	double cpu[CPUS][KM_COUNT_CPU_N];
};

static struct given *blank(struct given *g, int64_t start_ms, int64_t end_ms)
{
	for (size_t c = 0; c < CPUS; c++) {
		for (size_t i = 0; i < KM_COUNT_CPU_N; i++) {
			g->cpu[c][i] = NAN;
		}
	}
	for (size_t h = 0; h < KM_HOST_COUNT_N; h++) {
		g->s.host[h] = NAN;
	}
	g->s.node_count = 0;
	g->s.node = NULL;
	g->s.cpu_count = CPUS;
	g->s.cpu = g->cpu[0];
	g->s.start_ns = START + start_ms * MS;
	g->s.end_ns = START + end_ms * MS;
	return g;
}

static struct km_merge *merge_of(size_t sources)
{
	struct km_merge *m;

	assert_int_equal(km_merge_create(sources, &m), 0);
	assert_null(km_merge_end(m, START)); /* starts the clock */
	return m;
}

static void take(struct km_merge *m, size_t source, const struct given *g)
{
	const char *why = "memory";

	if (km_merge_take(m, source, &g->s, &why) != 0) {
		fail_msg("%s", why);
	}
}

static void counts_are_scaled_to_the_tick_and_levels_are_not(void **state)
{
	struct km_merge *m = merge_of(2);
	const struct km_sample *out;
	static const double node[2][KM_NODE_COUNT_N] = {
		{ NAN, NAN, NAN, NAN },
		{ 1e8, NAN, NAN, NAN },
	};
	struct given a;
	struct given b;

	(void)state;
	blank(&a, 10, 1010)->cpu[0][KM_COUNT_CYCLES] = 3e9;
	blank(&b, -20, 980)->s.host[KM_HOST_MEM_READ_BYTES] = 5e8;
	b.s.host[KM_HOST_RUNNABLE] = 7;
	take(m, 0, &a);
	b.s.node_count = 2;
	b.s.node = node[0];
	take(m, 1, &b);
	out = km_merge_end(m, START + 1100 * MS);
	assert_non_null(out);
	assert_int_equal(out->node_count, 2);
	assert_true(fabs(out->node[KM_NODE_COUNT_N + KM_NODE_CPU_PSI_NS] - 1.1e8) < 1);
	assert_true(isnan(out->node[KM_NODE_CPU_PSI_NS]));
	assert_int_equal(out->start_ns, START);
	assert_int_equal(out->end_ns, START + 1100 * MS);
	assert_int_equal(out->cpu_count, CPUS);
	assert_true(fabs(km_sample_cpu(out, 0, KM_COUNT_CYCLES) - 3.3e9) < 1);
	assert_true(fabs(out->host[KM_HOST_MEM_READ_BYTES] - 5.5e8) < 1);
	assert_true(out->host[KM_HOST_RUNNABLE] == 7);
	assert_true(isnan(km_sample_cpu(out, 1, KM_COUNT_CYCLES)));
	assert_true(isnan(km_sample_cpu(out, 0, KM_COUNT_L2_MISS)));
	assert_true(isnan(out->host[KM_HOST_CPU_PSI_NS]));
	km_merge_free(m);
}

static void the_first_source_that_knows_a_count_wins(void **state)
{
	struct km_merge *m = merge_of(2);
	const struct km_sample *out;
	struct given a;
	struct given b;

	(void)state;
	blank(&a, 0, 1000)->cpu[0][KM_COUNT_L3_MISS] = 10;
	blank(&b, 0, 1000)->cpu[0][KM_COUNT_L3_MISS] = 20;
	b.cpu[1][KM_COUNT_L3_MISS] = 30;
	take(m, 1, &b); /* the order of the set counts, not that of arrival */
	take(m, 0, &a);
	out = km_merge_end(m, START + 1000 * MS);
	assert_true(km_sample_cpu(out, 0, KM_COUNT_L3_MISS) == 10);
	assert_true(km_sample_cpu(out, 1, KM_COUNT_L3_MISS) == 30);
	km_merge_free(m);
}

static void a_source_that_is_late_is_nan_and_missed(void **state)
{
	struct km_merge *m = merge_of(2);
	const struct km_sample *out;
	struct given a;
	struct given b;

	(void)state;
	blank(&b, 0, 1000)->s.host[KM_HOST_MEM_READ_BYTES] = 1;
	take(m, 1, &b);
	for (int tick = 0; tick < 2; tick++) {
		blank(&a, 1000 * tick, 1000 * (tick + 1))->cpu[0][KM_COUNT_BUSY_NS] = 1e8;
		take(m, 0, &a);
		out = km_merge_end(m, START + 1000 * (tick + 1) * MS);
		assert_true(isnan(out->host[KM_HOST_MEM_READ_BYTES]) == (tick == 1));
		assert_int_equal(km_merge_missed(m, 1), tick == 1);
		assert_false(km_merge_missed(m, 0));
	}
	assert_null(km_merge_end(m, START + 3000 * MS)); /* nobody has anything */
	assert_true(km_merge_missed(m, 0));
	/* the gap is no part of the next interval */
	blank(&a, 2000, 4000)->cpu[0][KM_COUNT_BUSY_NS] = 4e8;
	take(m, 0, &a);
	out = km_merge_end(m, START + 4000 * MS);
	assert_int_equal(out->start_ns, START + 3000 * MS);
	assert_true(fabs(km_sample_cpu(out, 0, KM_COUNT_BUSY_NS) - 2e8) < 1);
	km_merge_free(m);
}

static void a_long_sample_speaks_for_as_many_ticks_as_it_is_long(void **state)
{
	struct km_merge *m = merge_of(1);
	struct given a;
	unsigned spoken = 0;

	(void)state;
	blank(&a, -2000, 1000)->cpu[0][KM_COUNT_CYCLES] = 6e9;
	take(m, 0, &a);
	for (int tick = 1; tick <= 5; tick++) {
		const struct km_sample *out = km_merge_end(m, START + 1000 * tick * MS);

		if (out != NULL) {
			assert_true(fabs(km_sample_cpu(out, 0, KM_COUNT_CYCLES) - 2e9) < 1);
			spoken++;
		}
	}
	assert_int_equal(spoken, 3);
	/* a source that slept for an hour does not speak for the next one */
	blank(&a, 1000, 3600 * 1000)->cpu[0][KM_COUNT_CYCLES] = 6e9;
	take(m, 0, &a);
	spoken = 0;
	for (int tick = 6; tick <= 60; tick++) {
		spoken += km_merge_end(m, START + 1000 * tick * MS) != NULL;
	}
	assert_int_equal(spoken, 10);
	km_merge_free(m);
}

static void what_cannot_be_is_dropped_alone(void **state)
{
	struct km_merge *m = merge_of(2);
	const struct km_sample *out;
	const char *why = NULL;
	struct given a;
	struct given b;

	(void)state;
	blank(&a, 0, 1000)->cpu[0][KM_COUNT_CYCLES] = -1;
	assert_int_equal(km_merge_take(m, 0, &a.s, &why), -EINVAL);
	assert_string_equal(why, "negative count");
	blank(&b, 0, 1000)->cpu[0][KM_COUNT_STEAL_NS] = 5;
	take(m, 1, &b);
	assert_int_equal(km_merge_take(m, 1, &b.s, &why), -EINVAL);
	assert_string_equal(why, "sample out of order");
	out = km_merge_end(m, START + 1000 * MS);
	assert_true(isnan(km_sample_cpu(out, 0, KM_COUNT_CYCLES)));
	assert_true(km_sample_cpu(out, 0, KM_COUNT_STEAL_NS) == 5);
	/* after it was closed, its time may start anew */
	km_merge_forget(m, 1);
	blank(&b, -500, 500)->cpu[0][KM_COUNT_STEAL_NS] = 5;
	take(m, 1, &b);
	km_merge_free(m);
	km_merge_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_are_scaled_to_the_tick_and_levels_are_not),
		cmocka_unit_test(the_first_source_that_knows_a_count_wins),
		cmocka_unit_test(a_source_that_is_late_is_nan_and_missed),
		cmocka_unit_test(a_long_sample_speaks_for_as_many_ticks_as_it_is_long),
		cmocka_unit_test(what_cannot_be_is_dropped_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Time in features: bins, windows, gaps, and samples that do not count. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "km/base/clock.h"
#include "km/base/macros.h"

#include "support/feature_samples.h"

static const char *const every_stat[] = {
	"node.ipc.mean",
	"node.ipc.std",
	"node.ipc.p95",
	"node.ipc.p5",
	"node.ipc.max",
	"node.l2_miss_per_s.mean",
	"node.l2_miss_per_s.std",
	"node_min.ipc.p5",
	"node_spread.l2_miss_per_s.std",
	"node_vs_rest.c0_ratio.mean",
	"host.c0_ratio.std",
	"host.mem_read_bytes_per_s.std",
	"host.mem_read_bytes_per_s.p95",
};

/*
 * Rows of the same load sampled every 1, 2 and 5 s. The load changes each 30 s, the least common
 * multiple of the 5 s bins (1 and 5 s sampling) and the 6 s bins (2 s sampling): both resolve it
 * without a bin that straddles a change. What changes within a bin, no two bin lengths agree on.
 */
static void features_do_not_depend_on_the_sampling_interval(void **state)
{
	static const int interval_s[] = { 1, 2, 5 };
	double row[3][KM_ARRAY_LEN(every_stat)];

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		struct km_features *f =
			features_of(every_stat, KM_ARRAY_LEN(every_stat), 60, 5, two_nodes, 2);

		for (int t = 0; t < 120; t += interval_s[k]) {
			double level = t % 60 < 30 ? 1 : 1.7;
			struct sample x;

			blank(&x, t, t + interval_s[k]);
			for (size_t c = 0; c < CPUS; c++) {
				fill_cpu(&x, c, level);
			}
			x.s.host[KM_HOST_MEM_READ_BYTES] = level * 1e9 * interval_s[k];
			assert_true(km_features_push(f, &x.s) >= 0);
		}
		assert_true(fabs(km_features_covered_s(f) - 60) < 1e-6);
		assert_int_equal(km_features_read(f, 0, row[k]), KM_ARRAY_LEN(every_stat));
		km_features_free(f);
	}
	for (size_t i = 0; i < KM_ARRAY_LEN(every_stat); i++) {
		check(row[1][i], row[0][i], every_stat[i]);
		check(row[2][i], row[0][i], every_stat[i]);
	}
}

static void bins_close_at_their_length_whatever_the_sampling(void **state)
{
	static const struct {
		double interval_s;
		int samples_a_bin;
	} rows[] = { { 0.1, 50 }, { 0.5, 10 }, { 1, 5 }, { 1.001, 5 }, { 0.999, 5 },
		     { 2, 3 },    { 2.4, 2 },  { 5, 1 }, { 4.99, 1 },  { 10, 1 } };
	static const char *const names[] = { "node.c0_ratio.mean" };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_features *f = features_of(names, 1, 60, 5, two_nodes, 2);

		for (int n = 0; n < 3 * rows[i].samples_a_bin; n++) {
			struct sample x;
			bool last = n % rows[i].samples_a_bin == rows[i].samples_a_bin - 1;

			blank(&x, n * rows[i].interval_s, (n + 1) * rows[i].interval_s);
			fill_cpu(&x, 0, 1);
			fill_cpu(&x, 1, 1);
			assert_int_equal(km_features_push(f, &x.s), last);
		}
		assert_int_equal(km_features_version(f), 3);
		km_features_free(f);
	}
}

static void the_window_is_in_seconds(void **state)
{
	static const char *const names[] = { "node.l2_miss_per_s.mean", "node.l2_miss_per_s.max" };
	struct km_features *f = features_of(names, 2, 20, 5, two_nodes, 2);
	double out[2];

	(void)state;
	push_level(f, 0, 5, 3);
	for (int t = 5; t < 25; t += 5) {
		push_level(f, t, t + 5, 1);
	}
	km_features_read(f, 0, out);
	check(out[1], 2e6, "the bin of 0-5 s has left at 25 s");
	check(km_features_covered_s(f), 20, "covered");
	/* after a gap of 100 s nothing of the old window is left */
	push_level(f, 125, 130, 2);
	km_features_read(f, 0, out);
	check(out[0], 4e6, "after a gap");
	check(km_features_covered_s(f), 5, "covered after a gap");
	assert_int_equal(km_features_end_ns(f), 130 * KM_NS_PER_S);
	km_features_free(f);
}

static void a_gap_ends_the_open_bin(void **state)
{
	static const char *const names[] = { "node.l2_miss_per_s.mean" };
	struct km_features *f = features_of(names, 1, 60, 5, two_nodes, 2);

	(void)state;
	/* 2 of 5 s, then a gap: dropped */
	assert_int_equal(push_level(f, 0, 2, 1), 0);
	assert_int_equal(push_level(f, 10, 11, 1), 0);
	check(km_features_covered_s(f), 0, "nothing closed");
	/* 3 of 5 s, then a gap: kept */
	assert_int_equal(push_level(f, 11, 13, 1), 0);
	assert_int_equal(push_level(f, 30, 31, 1), 1);
	check(km_features_covered_s(f), 3, "three seconds");
	/* a gap shorter than a bin only lengthens it */
	assert_int_equal(push_level(f, 34, 35, 1), 0);
	assert_int_equal(push_level(f, 35, 38, 1), 1);
	km_features_free(f);
}

static void what_cannot_be_is_dropped_and_counted(void **state)
{
	static const char *const names[] = { "node.l2_miss_per_s.mean" };
	struct km_features *f = features_of(names, 1, 60, 5, two_nodes, 2);
	struct km_features_stats stats;
	struct sample x;

	(void)state;
	push_level(f, 0, 5, 1);
	blank(&x, 5, 10);
	x.cpu[0][KM_COUNT_L2_MISS] = -1;
	assert_int_equal(km_features_push(f, &x.s), 0);
	assert_int_equal(push_level(f, 0, 5, 1), 0);
	assert_int_equal(push_level(f, 1, 4, 1), 0);
	km_features_stats(f, &stats);
	assert_int_equal(stats.samples, 1);
	assert_int_equal(stats.implausible, 1);
	assert_int_equal(stats.out_of_order, 2);
	assert_int_equal(stats.bins, 1);
	assert_string_equal(stats.last_reason, "sample out of order");
	km_features_free(f);
}

static void a_metric_out_of_bounds_is_not_known(void **state)
{
	static const char *const names[] = { "node.l2_mpki.mean", "node.l2_miss_per_s.mean" };
	struct km_features *f = features_of(names, 2, 60, 5, two_nodes, 2);
	struct km_features_stats stats;
	struct sample x;
	double out[2];

	(void)state;
	blank(&x, 0, 5);
	for (size_t c = 0; c < CPUS; c++) {
		x.cpu[c][KM_COUNT_L2_MISS] = 1e6;
		x.cpu[c][KM_COUNT_INSTRUCTIONS] = 1; /* 1e9 misses per 1,000 instructions */
	}
	assert_int_equal(km_features_push(f, &x.s), 1);
	assert_int_equal(km_features_read(f, 0, out), 1);
	assert_true(isnan(out[0]));
	km_features_stats(f, &stats);
	assert_int_equal(stats.implausible_values, 2); /* of both nodes */
	km_features_free(f);
}

static void the_tier_is_what_the_window_holds(void **state)
{
	static const char *const names[] = { "pod.rps" };
	struct km_features *f = features_of(names, 1, 10, 5, two_nodes, 2);
	struct sample x;

	(void)state;
	assert_int_equal(km_features_tier(f), KM_TIER_NONE);
	blank(&x, 0, 5);
	x.s.host[KM_HOST_MEM_READ_BYTES] = 1e9;
	assert_int_equal(km_features_push(f, &x.s), 1);
	assert_int_equal(km_features_tier(f), KM_TIER_NONE); /* bandwidth alone tells no tier */
	push_level(f, 5, 10, 1);
	assert_int_equal(km_features_tier(f), KM_TIER_UNCORE);
	push_level(f, 10, 15, 1);
	assert_int_equal(km_features_tier(f), KM_TIER_CORE); /* the bandwidth has left */
	for (int t = 15; t < 30; t += 5) {
		blank(&x, t, t + 5);
		x.cpu[0][KM_COUNT_BUSY_NS] = 1;
		assert_int_equal(km_features_push(f, &x.s), 1);
	}
	assert_int_equal(km_features_tier(f), KM_TIER_OS);
	for (int t = 30; t < 45; t += 5) {
		blank(&x, t, t + 5);
		x.cpu[0][KM_COUNT_C0_NS] = 1;
		x.s.host[KM_HOST_MEM_READ_BYTES] = 1e9;
		assert_int_equal(km_features_push(f, &x.s), 1);
	}
	assert_int_equal(km_features_tier(f), KM_TIER_OS); /* C0 is no more than busy */
	km_features_free(f);
}

static void more_cpus_than_before_start_the_windows_anew(void **state)
{
	static const char *const names[] = { "host.l2_miss_per_s.mean" };
	struct km_features *f = features_of(names, 1, 60, 5, two_nodes, 2);
	struct sample x;
	double out[1];

	(void)state;
	blank(&x, 0, 5);
	x.s.cpu_count = 2;
	fill_cpu(&x, 0, 1);
	fill_cpu(&x, 1, 1);
	assert_int_equal(km_features_push(f, &x.s), 1);
	km_features_read(f, 0, out);
	check(out[0], 2e6, "two CPUs");
	push_level(f, 5, 10, 1);
	km_features_read(f, 0, out);
	check(out[0], 6e6, "six CPUs, and no mean with the time of two");
	check(km_features_covered_s(f), 5, "covered");
	assert_int_equal(km_features_version(f), 2);
	/* fewer CPUs: those missing are not measured, the window stays */
	blank(&x, 10, 15);
	x.s.cpu_count = 3;
	for (size_t c = 0; c < 3; c++) {
		fill_cpu(&x, c, 1);
	}
	assert_int_equal(km_features_push(f, &x.s), 1);
	check(km_features_covered_s(f), 10, "covered by both");
	km_features_free(f);
}

static void before_the_first_bin_everything_is_unknown(void **state)
{
	static const char *const names[] = { "node.ipc.mean", "pod.rps", "host.ipc.mean" };
	struct km_features *f = features_of(names, 3, 60, 5, two_nodes, 2);
	double out[3] = { 1, 1, 1 };

	(void)state;
	assert_int_equal(km_features_read(f, 0, out), 0);
	assert_true(isnan(out[0]) && isnan(out[1]) && isnan(out[2]));
	push_level(f, 0, 1, 1);
	assert_int_equal(km_features_read(f, 1, out), 0);
	assert_int_equal(km_features_version(f), 0);
	assert_int_equal(km_features_end_ns(f), 0);
	km_features_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(features_do_not_depend_on_the_sampling_interval),
		cmocka_unit_test(bins_close_at_their_length_whatever_the_sampling),
		cmocka_unit_test(the_window_is_in_seconds),
		cmocka_unit_test(a_gap_ends_the_open_bin),
		cmocka_unit_test(what_cannot_be_is_dropped_and_counted),
		cmocka_unit_test(a_metric_out_of_bounds_is_not_known),
		cmocka_unit_test(the_tier_is_what_the_window_holds),
		cmocka_unit_test(more_cpus_than_before_start_the_windows_anew),
		cmocka_unit_test(before_the_first_bin_everything_is_unknown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

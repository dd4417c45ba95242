/* SPDX-License-Identifier: Apache-2.0 */
/* place: footprints in sums, ratios from the sums; learning them from windows with noise. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/base/rng.h"
#include "km/core/metric.h"
#include "km/place/footprint.h"

/* A node of 4 CPUs on a host of 16: half active, ipc 1.5. */
static void base_of(struct km_footprint_base *b)
{
	double node[KM_METRIC_N];
	double host[KM_METRIC_N];

	for (int m = 0; m < KM_METRIC_N; m++)
		node[m] = host[m] = NAN;
	node[KM_METRIC_C0_RATIO] = 0.5;
	node[KM_METRIC_IPC] = 1.5;
	node[KM_METRIC_L2_MISS_PER_S] = 8e6;
	node[KM_METRIC_L3_MISS_PER_S] = 2e6;
	host[KM_METRIC_C0_RATIO] = 0.25;
	host[KM_METRIC_IPC] = 1;
	host[KM_METRIC_MEM_READ_BYTES_PER_S] = 3e9;
	host[KM_METRIC_MEM_WRITE_BYTES_PER_S] = 1e9;
	km_footprint_base(node, 4, host, 16, b);
}

static void ratios_come_from_sums(void **state)
{
	static const struct {
		const char *feature;
		double now, then;
	} rows[] = {
		/* 2 of 4 CPUs active, and 1 more; work 3, and 0.5 more */
		{ "node.c0_ratio.mean", 0.5, 0.75 },
		{ "node.c0_ratio.p95", 0.9, 1 },
		{ "node.c0_ratio.std", 0.1, 0.1 },
		{ "node.ipc.mean", 1.5, 3.5 / 3 },
		{ "node.ipc.p95", 1.8, 1.8 * 3.5 / 3 / 1.5 },
		{ "node.ipc.std", 0.2, 0.2 },
		{ "node.work_ratio.mean", 0.75, 0.875 },
		{ "node.l2_miss_per_s.mean", 8e6, 12e6 },
		{ "node.l3_miss_per_s.p5", 1e6, 5e6 },
		{ "node_max.l3_miss_per_s.mean", 1e6, 2e6 },
		{ "node_min.c0_ratio.mean", 0.25, 0.5 },
		{ "node.l3_per_l2.mean", 0.25, 0.5 },
		{ "node.l2_miss_per_active_s.mean", 4e6, 4e6 },
		{ "node.l3_miss_per_active_s.mean", 1e6, 2e6 },
		{ "node_vs_peer.c0_ratio.mean", 0.3, 0.3 + 0.4054651081081644 }, /* ln 1.5 */
		{ "node_vs_peer.ipc.mean", 0.1, 0.1 + -0.2513144282809062 },     /* ln 7/9 */
		{ "node_spread.c0_ratio.mean", 0.2, 0.2 },
		{ "peer.c0_ratio.mean", 0.4, 0.4 },
		{ "host.c0_ratio.mean", 0.25, 0.3125 },
		{ "host.mem_read_bytes_per_s.mean", 3e9, 3.5e9 },
		{ "host.mem_write_bytes_per_s.p95", 2e9, 2e9 },
		{ "host.memory_psi_ratio.mean", 0.1, 0.1 },
		{ "pod.rps", 100, 100 },
		{ "inflight.web", 0, 0 },
	};
	enum { COUNT = KM_ARRAY_LEN(rows) };
	const double added[KM_QUANTITY_N] = {
		[KM_QUANTITY_ACTIVE] = 1,       [KM_QUANTITY_WORK] = 0.5,
		[KM_QUANTITY_L2_MISS] = 4e6,    [KM_QUANTITY_L3_MISS] = 4e6,
		[KM_QUANTITY_READ_BYTES] = 5e8, [KM_QUANTITY_WRITE_BYTES] = NAN,
	};
	const double nothing[KM_QUANTITY_N] = { 0 };
	struct km_footprint_base b;
	const char *names[COUNT];
	double row[COUNT];
	double out[COUNT];
	struct km_schema *s = NULL;

	(void)state;
	base_of(&b);
	for (size_t i = 0; i < COUNT; i++) {
		names[i] = rows[i].feature;
		row[i] = rows[i].now;
	}
	assert_int_equal(km_schema_create(names, COUNT, 60, 5, &s, NULL), 0);
	km_footprint_project(s, row, &b, added, out);
	for (size_t i = 0; i < COUNT; i++) {
		if (fabs(out[i] - rows[i].then) > 1e-9 * fmax(1, fabs(rows[i].then)))
			fail_msg("%s: %.12g, want %.12g", rows[i].feature, out[i], rows[i].then);
	}
	km_footprint_project(s, row, &b, nothing, out);
	assert_memory_equal(out, row, sizeof(row));
	km_footprint_project(s, row, &b, added, row); /* in place */
	assert_true(fabs(row[0] - 0.75) < 1e-12);
	km_schema_unref(s);
}

static void what_is_not_known_stays(void **state)
{
	const char *names[] = { "node.ipc.mean", "node.c0_ratio.mean", "node_vs_peer.c0_ratio.mean",
		                "node.l3_per_l2.mean", "host.ipc.mean" };
	const double row[] = { 1.5, NAN, 0.3, 0.25, 1 };
	double added[KM_QUANTITY_N] = { 1, 0.5, 1, 1, 1, 1, 1 };
	struct km_footprint_base b;
	struct km_schema *s = NULL;
	double out[5];

	(void)state;
	for (int q = 0; q < KM_QUANTITY_N; q++)
		b.node[q] = b.host[q] = NAN;
	b.node_cpus = b.host_cpus = NAN;
	assert_int_equal(km_schema_create(names, 5, 60, 5, &s, NULL), 0);
	km_footprint_project(s, row, &b, added, out);
	assert_true(out[0] == 1.5 && isnan(out[1]) && out[2] == 0.3 && out[3] == 0.25);
	base_of(&b);
	b.node[KM_QUANTITY_L2_MISS] = 0; /* nothing there: no ratio to scale */
	km_footprint_project(s, row, &b, added, out);
	assert_true(isnan(out[1]) && out[3] == 0.25);
	for (int q = 0; q < KM_QUANTITY_N; q++)
		added[q] = q % 2 == 0 ? -5 : INFINITY; /* no footprint is negative or endless */
	km_footprint_project(s, row, &b, added, out);
	assert_true(out[0] == 1.5 && out[2] == 0.3);
	km_schema_unref(s);
}

static void names_of_quantities_are_read_back(void **state)
{
	(void)state;
	for (int q = 0; q < KM_QUANTITY_N; q++)
		assert_int_equal(km_quantity_parse(km_quantity_name((enum km_quantity)q)), q);
	assert_int_equal(km_quantity_parse("cpu"), -1);
}

/* ---- learning ---- */
static void learn(struct km_footprints *f, const char *class_name, double active, double reads)
{
	struct km_footprint_base before;
	struct km_footprint_base after;

	base_of(&before);
	after = before;
	after.node[KM_QUANTITY_ACTIVE] += active;
	after.host[KM_QUANTITY_READ_BYTES] += reads;
	km_footprints_learn(f, class_name, &before, &after);
}

static void few_samples_are_no_footprint(void **state)
{
	struct km_footprints *f = km_footprints_create();
	struct km_footprint got;

	(void)state;
	assert_non_null(f);
	for (int i = 0; i < KM_FOOTPRINT_SAMPLES_MIN; i++) {
		assert_false(km_footprints_get(f, "web", &got));
		learn(f, "web", 1, 1e8);
	}
	assert_true(km_footprints_get(f, "web", &got));
	assert_int_equal(got.count, KM_FOOTPRINT_SAMPLES_MIN);
	assert_true(fabs(got.mean[KM_QUANTITY_ACTIVE] - 1) < 1e-6);
	assert_true(fabs(got.mean[KM_QUANTITY_READ_BYTES] / 1e8 - 1) < 1e-6);
	assert_true(got.spread[KM_QUANTITY_ACTIVE] == 0);
	assert_true(isnan(got.mean[KM_QUANTITY_INSTRUCTIONS])); /* nobody counts them */
	assert_false(km_footprints_get(f, "other", &got));
	assert_false(km_footprints_get(f, "", &got));
	km_footprints_free(f);
	km_footprints_free(NULL);
}

static void one_wild_sample_of_three_does_not_count(void **state)
{
	struct km_footprints *f = km_footprints_create();
	struct km_footprint got;

	(void)state;
	learn(f, "web", 1, 1e8);
	learn(f, "web", -900, -1e12);
	learn(f, "web", 1.2, 1.2e8);
	assert_true(km_footprints_get(f, "web", &got));
	assert_true(fabs(got.mean[KM_QUANTITY_ACTIVE] - 1) < 1e-6);
	km_footprints_free(f);
}

static void the_middle_of_noise_is_the_footprint(void **state)
{
	struct km_footprints *f = km_footprints_create();
	struct km_footprint got;
	struct km_rng rng;

	(void)state;
	km_rng_init(&rng, 11);
	for (int i = 0; i < 200; i++) {
		bool wild = km_rng_below(&rng, 8) == 0;

		learn(f, "web", wild ? 50 : 1 + 0.1 * km_rng_normal(&rng), -1e8);
	}
	assert_true(km_footprints_get(f, "web", &got));
	assert_int_equal(got.count, KM_FOOTPRINT_SAMPLES_MAX);
	assert_true(fabs(got.mean[KM_QUANTITY_ACTIVE] - 1) < 0.15);
	assert_true(got.spread[KM_QUANTITY_ACTIVE] > 0.01 && got.spread[KM_QUANTITY_ACTIVE] < 0.4);
	assert_true(got.mean[KM_QUANTITY_READ_BYTES] == 0); /* nobody takes away */
	km_footprints_free(f);
}

static void classes_are_bounded_and_the_oldest_goes(void **state)
{
	struct km_footprints *f = km_footprints_create();
	struct km_footprint got;
	char name[8] = "c000";

	(void)state;
	for (int i = 0; i <= KM_FOOTPRINT_CLASSES_MAX; i++) {
		name[1] = (char)('0' + i / 100);
		name[2] = (char)('0' + i / 10 % 10);
		name[3] = (char)('0' + i % 10);
		for (int k = 0; k < 3; k++)
			learn(f, name, i, 0);
	}
	assert_false(km_footprints_get(f, "c000", &got));
	assert_true(km_footprints_get(f, "c001", &got));
	assert_true(km_footprints_get(f, name, &got));
	learn(f, "a-name-of-more-characters-than-any-class", 1, 1);
	km_footprints_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ratios_come_from_sums),
		cmocka_unit_test(what_is_not_known_stays),
		cmocka_unit_test(names_of_quantities_are_read_back),
		cmocka_unit_test(few_samples_are_no_footprint),
		cmocka_unit_test(one_wild_sample_of_three_does_not_count),
		cmocka_unit_test(the_middle_of_noise_is_the_footprint),
		cmocka_unit_test(classes_are_bounded_and_the_oldest_goes),
	};

	return cmocka_run_group_tests_name("place footprint", tests, NULL, NULL);
}

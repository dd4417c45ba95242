/* SPDX-License-Identifier: Apache-2.0 */
/* core's vocabulary: metrics, tiers, feature names, schemas, samples and rings. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/base/rng.h"
#include "km/core/host_features.h"
#include "km/core/metric.h"
#include "km/core/ring.h"
#include "km/core/sample.h"
#include "km/core/schema.h"
#include "km/core/settings.h"
#include "km/core/workload.h"

static void metric_names_are_those_of_the_design_and_read_back(void **state)
{
	static const char *const names[] = {
		"ipc",
		"l2_mpki",
		"l3_mpki",
		"l3_per_l2",
		"l2_miss_per_s",
		"l3_miss_per_s",
		"instructions_per_s",
		"c0_ratio",
		"c1_ratio",
		"c6_ratio",
		"mem_read_bytes_per_s",
		"mem_write_bytes_per_s",
		"l3_occupancy_bytes",
		"mbm_total_bytes_per_s",
		"mbm_local_bytes_per_s",
		"l2_miss_per_active_s",
		"l3_miss_per_active_s",
		"work_ratio",
		"cpu_psi_ratio",
		"memory_psi_ratio",
		"io_psi_ratio",
		"busy_ratio",
		"steal_ratio",
		"throttled_ratio",
		"runnable_per_cpu",
		"context_switches_per_s",
	};
	(void)state;
	assert_int_equal(KM_ARRAY_LEN(names), KM_METRIC_N);
	for (int i = 0; i < KM_METRIC_N; i++) {
		const struct km_metric_info *info = km_metric_info((enum km_metric)i);

		assert_string_equal(info->name, names[i]);
		assert_int_equal(km_metric_parse(names[i], strlen(names[i])), i);
		assert_non_null(info->unit);
		assert_true(strlen(info->help) > 10);
		assert_true(info->min < info->max);
	}
	assert_int_equal(km_metric_parse("ipc2", 4), -1);
	assert_int_equal(km_metric_parse("ip", 2), -1);
	assert_int_equal(km_metric_parse("ipc2", 3), KM_METRIC_IPC);
}

static void tiers_are_ordered_and_a_better_one_suffices(void **state)
{
	(void)state;
	for (int have = 0; have < KM_TIER_N; have++) {
		assert_int_equal(km_tier_parse(km_tier_name((enum km_tier)have)), have);
		for (int need = 0; need < KM_TIER_N; need++) {
			assert_int_equal(km_tier_suffices((enum km_tier)have, (enum km_tier)need),
			                 have <= need);
		}
	}
	assert_int_equal(km_tier_parse("gold"), -1);
}

static void choices_of_a_policy_read_back(void **state)
{
	(void)state;
	for (int i = 0; i < KM_ON_STALE_N; i++) {
		assert_int_equal(km_on_stale_parse(km_on_stale_name((enum km_on_stale)i)), i);
	}
	for (int i = 0; i < KM_MODE_N; i++) {
		assert_int_equal(km_mode_parse(km_mode_name((enum km_mode)i)), i);
	}
	assert_int_equal(km_mode_parse("enforce"), -1);
	assert_int_equal(km_on_stale_parse(""), -1);
}

static void a_feature_name_is_scope_metric_stat(void **state)
{
	static const struct {
		const char *name;
		int want; /* 0 or -errno */
		enum km_scope scope;
		const char *in_error; /* the error text holds this */
	} rows[] = {
		{ "node.ipc.mean", 0, KM_SCOPE_NODE, NULL },
		{ "node_min.ipc.p5", 0, KM_SCOPE_NODE_MIN, NULL },
		{ "node_max.c0_ratio.max", 0, KM_SCOPE_NODE_MAX, NULL },
		{ "node_spread.c0_ratio.mean", 0, KM_SCOPE_NODE_SPREAD, NULL },
		{ "rest.c0_ratio.p95", 0, KM_SCOPE_REST, NULL },
		{ "peer.l3_per_l2.std", 0, KM_SCOPE_PEER, NULL },
		{ "spare.work_ratio.mean", 0, KM_SCOPE_SPARE, NULL },
		{ "node_vs_peer.c0_ratio.mean", 0, KM_SCOPE_NODE_VS_PEER, NULL },
		{ "node_vs_rest.ipc.mean", 0, KM_SCOPE_NODE_VS_REST, NULL },
		{ "node_vs_spare.ipc.mean", 0, KM_SCOPE_NODE_VS_SPARE, NULL },
		{ "host.mem_write_bytes_per_s.std", 0, KM_SCOPE_HOST, NULL },
		{ "host.ipc.mean", 0, KM_SCOPE_HOST, NULL },
		{ "pod.rps", 0, KM_SCOPE_POD, NULL },
		{ "pod.replicas_now", 0, KM_SCOPE_POD, NULL },
		{ "inflight.mem-bw_2", 0, KM_SCOPE_INFLIGHT, NULL },
		{ "node.mem_read_bytes_per_s.mean", -EINVAL, 0, "host only" },
		{ "node.io_psi_ratio.mean", 0, KM_SCOPE_NODE, NULL },
		{ "host.io_psi_ratio.mean", 0, KM_SCOPE_HOST, NULL },
		{ "peer.io_psi_ratio.mean", -EINVAL, 0, "host or node only" },
		{ "host.throttled_ratio.mean", -EINVAL, 0, "node only" },
		{ "nodes.ipc.mean", -EINVAL, 0, "unknown scope" },
		{ "node.ipcc.mean", -EINVAL, 0, "unknown metric \"ipcc\"" },
		{ "node.ipc.avg", -EINVAL, 0, "mean, std, p95, p5, max" },
		{ "node.ipc", -EINVAL, 0, "scope.metric.stat" },
		{ "node.ipc.mean.x", -EINVAL, 0, "unknown statistic" },
		{ "pod.rpm", -EINVAL, 0, "rps, replicas" },
		{ "inflight.", -EINVAL, 0, "wanted 1 to" },
		{ "inflight.a.b", -EINVAL, 0, "letters" },
		{ "", -EINVAL, 0, "unknown scope" },
		{ ".", -EINVAL, 0, "unknown scope" },
		{ "node_min.work_ratio.mean_but_far_too_long_to_be_any_feature_name_", -EINVAL, 0,
		  "over 63" },
	};
	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_feature f;
		struct km_err err = { 0 };

		assert_int_equal(km_feature_parse(rows[i].name, &f, &err), rows[i].want);
		if (rows[i].want == 0) {
			assert_int_equal(f.scope, rows[i].scope);
			assert_string_equal(f.name, rows[i].name);
		} else {
			if (strstr(err.text, rows[i].in_error) == NULL) {
				fail_msg("%s: \"%s\" lacks \"%s\"", rows[i].name, err.text,
				         rows[i].in_error);
			}
		}
	}
}

static struct km_schema *schema(const char *const *names, size_t count)
{
	struct km_schema *s;
	struct km_err err = { 0 };

	if (km_schema_create(names, count, 60, 5, &s, &err) != 0) {
		fail_msg("%s", err.text);
	}
	return s;
}

static void a_schema_takes_the_tier_of_its_dearest_metric(void **state)
{
	static const struct {
		const char *name[3];
		enum km_tier want;
	} rows[] = {
		{ { "pod.rps" }, KM_TIER_NONE },
		{ { "pod.rps", "host.cpu_psi_ratio.mean" }, KM_TIER_OS },
		{ { "host.cpu_psi_ratio.mean", "node.ipc.mean" }, KM_TIER_CORE },
		{ { "node.ipc.mean", "host.mem_read_bytes_per_s.mean", "pod.rps" },
		  KM_TIER_UNCORE },
	};
	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		size_t count = 0;
		struct km_schema *s;

		while (count < 3 && rows[i].name[count] != NULL) {
			count++;
		}
		s = schema(rows[i].name, count);
		assert_int_equal(s->tier, rows[i].want);
		km_schema_unref(s);
	}
}

static void equal_schema_hash_means_equal_rows(void **state)
{
	static const char *const ab[] = { "node.ipc.mean", "pod.rps" };
	static const char *const ba[] = { "pod.rps", "node.ipc.mean" };
	struct km_schema *s1 = schema(ab, 2);
	struct km_schema *s2 = schema(ab, 2);
	struct km_schema *s3 = schema(ba, 2);
	struct km_schema *s4;

	(void)state;
	assert_int_equal(km_schema_create(ab, 2, 60, 6, &s4, NULL), 0);
	assert_true(s1->hash == s2->hash);
	assert_true(s1->hash != s3->hash);
	assert_true(s1->hash != s4->hash);
	km_schema_unref(s1);
	km_schema_unref(s2);
	km_schema_unref(s3);
	km_schema_unref(s4);
	km_schema_unref(NULL);
}

static void inflight_classes_are_numbered_as_they_come(void **state)
{
	static const char *const names[] = { "inflight.cpu", "pod.rps", "inflight.l3" };
	struct km_schema *s = schema(names, 3);

	(void)state;
	assert_int_equal(s->class_count, 2);
	assert_string_equal(s->classes[0], "cpu");
	assert_string_equal(s->classes[1], "l3");
	assert_int_equal(s->feature[0].class_index, 0);
	assert_int_equal(s->feature[2].class_index, 1);
	km_schema_unref(s);
}

static void a_bad_schema_is_refused_with_its_reason(void **state)
{
	static const char *const twice[] = { "pod.rps", "pod.rps" };
	static const char *const one[] = { "pod.rps" };
	static const struct {
		const char *const *names;
		size_t count;
		double window_s, bin_s;
		int want;
	} rows[] = {
		{ twice, 2, 60, 5, -EINVAL }, { one, 1, 0.5, 0.5, -EINVAL },
		{ one, 1, 60, 61, -EINVAL },  { one, 1, 60, 0.01, -EINVAL },
		{ one, 1, NAN, 5, -EINVAL },  { one, 1, 60, NAN, -EINVAL },
		{ one, 1, 3600, 1, -EINVAL }, { one, KM_FEATURES_MAX + 1, 60, 5, -E2BIG },
	};
	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_schema *s = NULL;
		struct km_err err = { 0 };

		assert_int_equal(km_schema_create(rows[i].names, rows[i].count, rows[i].window_s,
		                                  rows[i].bin_s, &s, &err),
		                 rows[i].want);
		assert_null(s);
		assert_true(err.text[0] != '\0');
	}
}

static void a_sample_that_cannot_be_is_named(void **state)
{
	static const struct {
		int64_t start_ns, end_ns;
		int cpu_count_at; /* which count of CPU 1 gets the value; -1 = none */
		double value;
		const char *want;
	} rows[] = {
		{ 0, 1000000000, -1, 0, NULL },
		{ 5, 5, -1, 0, "time does not advance" },
		{ 5, 4, -1, 0, "time does not advance" },
		{ INT64_MIN, INT64_MAX, -1, 0, "time out of range" },
		{ 0, 1000000000, KM_COUNT_L2_MISS, -1, "negative count" },
		{ 0, 1000000000, KM_COUNT_L2_MISS, INFINITY, "infinite count" },
		{ 0, 1000000000, KM_COUNT_L2_MISS, 1e300, "count out of range" },
		{ 0, 1000000000, KM_COUNT_L2_MISS, NAN, NULL },
		{ 0, 1000000000, KM_COUNT_C0_NS, 1.01e9, NULL },
		{ 0, 1000000000, KM_COUNT_C0_NS, 1.03e9, "residency beyond elapsed time" },
		{ 0, 1000000000, KM_COUNT_IPC_NS, 8.1e9, "ipc out of range" }, /* weight 0.5 s */
		{ 0, 1000000000, KM_COUNT_INSTRUCTIONS, 1.7e10, "ipc out of range" },
	};
	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		double cpu[2][KM_COUNT_CPU_N];
		struct km_sample s = { .start_ns = rows[i].start_ns,
			               .end_ns = rows[i].end_ns,
			               .cpu_count = 2,
			               .cpu = &cpu[0][0] };
		const char *why;

		for (size_t c = 0; c < 2; c++) {
			for (size_t k = 0; k < KM_COUNT_CPU_N; k++) {
				cpu[c][k] = NAN;
			}
			cpu[c][KM_COUNT_IPC_NS] = 0.5e9;
			cpu[c][KM_COUNT_IPC_WEIGHT_NS] = 0.5e9;
			cpu[c][KM_COUNT_CYCLES] = 1e9;
		}
		for (size_t h = 0; h < KM_HOST_COUNT_N; h++) {
			s.host[h] = NAN;
		}
		if (rows[i].cpu_count_at >= 0) {
			cpu[1][rows[i].cpu_count_at] = rows[i].value;
		}
		why = km_sample_implausible(&s);
		if (rows[i].want == NULL) {
			assert_null(why);
		} else {
			assert_non_null(why);
			assert_string_equal(why, rows[i].want);
		}
	}
}

static void implausible_host_counts_are_named(void **state)
{
	static const struct {
		enum km_host_count count;
		double value;
		bool plausible;
	} rows[] = {
		{ KM_HOST_MEM_READ_BYTES, 5e10, true },
		{ KM_HOST_MEM_READ_BYTES, -1, false },
		{ KM_HOST_MEM_WRITE_BYTES, 1.8e19, false },
		{ KM_HOST_CPU_PSI_NS, 1.5e9, false },
		{ KM_HOST_RUNNABLE, 1e4, true },
		{ KM_HOST_RUNNABLE, INFINITY, false },
	};
	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_sample s = { .start_ns = 0, .end_ns = 1000000000 };

		for (size_t h = 0; h < KM_HOST_COUNT_N; h++) {
			s.host[h] = NAN;
		}
		s.host[rows[i].count] = rows[i].value;
		assert_int_equal(km_sample_implausible(&s) == NULL, rows[i].plausible);
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

/* numpy.quantile's default, written the slow way. */
static double slow_quantile(const double *sorted, size_t n, double q)
{
	double at = q * (double)(n - 1);
	size_t low = (size_t)floor(at);
	size_t high = low + 1 < n ? low + 1 : low;

	return sorted[low] + (at - (double)low) * (sorted[high] - sorted[low]);
}

static void ring_statistics_equal_a_sort_of_the_window_at_every_push(void **state)
{
	enum { CAP = 37, PUSHES = 2000 };
	double all[PUSHES];
	struct km_rng rng;
	struct km_ring r;

	(void)state;
	km_rng_init(&rng, 7);
	assert_int_equal(km_ring_init(&r, CAP), 0);
	for (size_t i = 0; i < PUSHES; i++) {
		double window[CAP];
		size_t n = 0;
		double sum = 0;
		double squares = 0;

		/* few distinct values, so that ties happen; one in eight is not measured */
		all[i] = km_rng_below(&rng, 8) == 0 ? NAN : (double)km_rng_below(&rng, 20) / 7;
		km_ring_push(&r, all[i]);
		if (km_rng_below(&rng, 10) == 0) {
			km_ring_drop_oldest(&r);
		}
		for (size_t k = i + 1 - r.count; k <= i; k++) {
			if (!isnan(all[k])) {
				window[n++] = all[k];
				sum += all[k];
			}
		}
		assert_int_equal(r.sorted_count, n);
		if (n == 0) {
			assert_true(isnan(km_ring_mean(&r)) && isnan(km_ring_std(&r)));
			continue;
		}
		qsort(window, n, sizeof(window[0]), by_value);
		for (size_t k = 0; k < n; k++) {
			squares += (window[k] - sum / (double)n) * (window[k] - sum / (double)n);
			assert_true(r.sorted[k] == window[k]);
		}
		assert_true(fabs(km_ring_mean(&r) - sum / (double)n) < 1e-12);
		assert_true(fabs(km_ring_std(&r) - sqrt(squares / (double)n)) < 1e-12);
		assert_true(fabs(km_ring_quantile(&r, 0.95) - slow_quantile(window, n, 0.95)) <
		            1e-12);
		assert_true(km_ring_min(&r) == window[0] && km_ring_max(&r) == window[n - 1]);
	}
	km_ring_fini(&r);
}

static void an_empty_ring_knows_nothing(void **state)
{
	struct km_ring r;

	(void)state;
	assert_int_equal(km_ring_init(&r, 1), 0);
	km_ring_drop_oldest(&r);
	assert_true(isnan(km_ring_mean(&r)));
	assert_true(isnan(km_ring_std(&r)));
	assert_true(isnan(km_ring_min(&r)));
	assert_true(isnan(km_ring_max(&r)));
	assert_true(isnan(km_ring_quantile(&r, 0.95)));
	km_ring_push(&r, NAN);
	assert_true(isnan(km_ring_mean(&r)));
	km_ring_push(&r, 4);
	assert_true(km_ring_mean(&r) == 4 && km_ring_std(&r) == 0);
	km_ring_fini(&r);
}

/* The case that breaks a running sum of squares: a small spread on a large value. */
static void std_is_exact_on_large_counters(void **state)
{
	struct km_ring r;

	(void)state;
	assert_int_equal(km_ring_init(&r, 10), 0);
	for (int i = 0; i < 100; i++) {
		km_ring_push(&r, 1e9 + (i % 2));
	}
	assert_true(fabs(km_ring_std(&r) - 0.5) < 1e-12);
	km_ring_fini(&r);
}

static void host_features_start_unknown_and_count_references(void **state)
{
	static const char *const names[] = { "node.ipc.mean", "pod.rps" };
	struct km_schema *s = schema(names, 2);
	struct km_host_features *h = km_host_features_create(s, 3);

	(void)state;
	assert_non_null(h);
	for (uint32_t node = 0; node < 3; node++) {
		assert_true(isnan(km_host_features_row(h, node)[0]));
		assert_true(isnan(km_host_features_row(h, node)[1]));
	}
	assert_ptr_equal(km_host_features_ref(h), h);
	km_host_features_unref(h);
	km_schema_unref(s); /* the rows hold their own */
	assert_int_equal(h->schema->count, 2);
	km_host_features_unref(h);
	km_host_features_unref(NULL);
}

static void settings_give_everything_back(void **state)
{
	struct km_settings s = { 0 };

	(void)state;
	km_settings_fini(&s);
	s.listen.address = strdup("127.0.0.1");
	s.node = calloc(1, sizeof(*s.node));
	s.node_count = 1;
	s.node[0].cgroup = strdup("");
	s.collect.source = calloc(1, sizeof(*s.collect.source));
	s.collect.source_count = 1;
	s.collect.source[0].replay.file = strdup("a.csv");
	s.collect.source[0].replay.node = calloc(1, sizeof(*s.collect.source[0].replay.node));
	s.model_path = strdup("m");
	km_settings_fini(&s); /* the leak checker is the judge */
	assert_int_equal(s.node_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metric_names_are_those_of_the_design_and_read_back),
		cmocka_unit_test(tiers_are_ordered_and_a_better_one_suffices),
		cmocka_unit_test(choices_of_a_policy_read_back),
		cmocka_unit_test(a_feature_name_is_scope_metric_stat),
		cmocka_unit_test(a_schema_takes_the_tier_of_its_dearest_metric),
		cmocka_unit_test(equal_schema_hash_means_equal_rows),
		cmocka_unit_test(inflight_classes_are_numbered_as_they_come),
		cmocka_unit_test(a_bad_schema_is_refused_with_its_reason),
		cmocka_unit_test(a_sample_that_cannot_be_is_named),
		cmocka_unit_test(implausible_host_counts_are_named),
		cmocka_unit_test(ring_statistics_equal_a_sort_of_the_window_at_every_push),
		cmocka_unit_test(an_empty_ring_knows_nothing),
		cmocka_unit_test(std_is_exact_on_large_counters),
		cmocka_unit_test(host_features_start_unknown_and_count_references),
		cmocka_unit_test(settings_give_everything_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

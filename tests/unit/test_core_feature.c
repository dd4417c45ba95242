/* SPDX-License-Identifier: Apache-2.0 */
/* From counts to feature rows: formulae, scopes, and what is not known. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "km/base/macros.h"
#include "km/base/rng.h"

#include "support/feature_samples.h"

static void each_metric_follows_its_formula(void **state)
{
	/* one bin of 5 s; node 0 = CPUs 0 and 1: C0 10 % and 11 %, IPC 0.5 and 0.6 */
	static const struct {
		const char *name;
		double want;
	} rows[] = {
		{ "node.ipc.mean", (0.10 * 0.5 + 0.11 * 0.6) / 0.21 },
		{ "node.c0_ratio.mean", 0.105 },
		{ "node.c1_ratio.mean", 0.895 },
		{ "node.c6_ratio.mean", 0 },
		{ "node.work_ratio.mean", (0.10 * 0.5 + 0.11 * 0.6) / 2 },
		{ "node.instructions_per_s.mean", 3e9 * (0.10 * 0.5 + 0.11 * 0.6) },
		{ "node.l2_miss_per_s.mean", 2e6 },
		{ "node.l3_miss_per_s.mean", 4e5 },
		{ "node.l3_per_l2.mean", 0.2 },
		{ "node.l2_mpki.mean", 1e3 * 2e6 / (3e9 * (0.10 * 0.5 + 0.11 * 0.6)) },
		{ "node.l3_mpki.mean", 1e3 * 4e5 / (3e9 * (0.10 * 0.5 + 0.11 * 0.6)) },
		{ "node.l2_miss_per_active_s.mean", 2e6 / 0.21 },
		{ "node.l3_miss_per_active_s.mean", 4e5 / 0.21 },
		{ "node.busy_ratio.mean", 0.25 },
		{ "node.steal_ratio.mean", NAN },
		{ "node.context_switches_per_s.mean", 300 },
		{ "node_min.ipc.mean", 0.5 },
		{ "node_max.ipc.mean", 0.6 },
		{ "node_spread.c0_ratio.mean", 0.01 },
		{ "peer.c0_ratio.mean", 0.125 },
		{ "spare.c0_ratio.mean", 0.145 },
		{ "rest.c0_ratio.mean", 0.135 },
		{ "host.c0_ratio.mean", 0.125 },
		{ "rest.l2_miss_per_s.mean", 4e6 },
		{ "node_vs_peer.c0_ratio.mean", -0.17435338714477779 }, /* ln(.105 / .125) */
		{ "node_vs_rest.l2_miss_per_s.mean", -0.69314718055994531 },
		{ "node_vs_spare.l2_miss_per_s.mean", 0 },
		{ "node_vs_peer.c6_ratio.mean", NAN }, /* 0 / 0 */
		{ "host.mem_read_bytes_per_s.mean", 4e8 },
		{ "host.mem_write_bytes_per_s.mean", NAN },
		{ "host.l3_occupancy_bytes.mean", 8e6 },
		{ "host.mbm_total_bytes_per_s.mean", 6e8 },
		{ "host.mbm_local_bytes_per_s.mean", 2e8 },
		{ "host.cpu_psi_ratio.mean", 0.3 },
		{ "node.cpu_psi_ratio.mean", 0.5 },
		{ "node.memory_psi_ratio.mean", NAN },
		{ "node.throttled_ratio.mean", 0.02 },
		{ "host.context_switches_per_s.mean", 900 },
		{ "host.runnable_per_cpu.mean", 0.5 },
		{ "host.ipc.std", 0 },
		{ "pod.rps", NAN },
		{ "inflight.cpu", NAN },
	};
	static const double node_counts[2][KM_NODE_COUNT_N] = {
		{ [KM_NODE_CPU_PSI_NS] = 2.5e9,
		  [KM_NODE_MEMORY_PSI_NS] = NAN,
		  [KM_NODE_IO_PSI_NS] = NAN,
		  [KM_NODE_THROTTLED_NS] = 1e8 },
		{ NAN, NAN, NAN, NAN },
	};
	const char *names[KM_ARRAY_LEN(rows)];
	double out[KM_ARRAY_LEN(rows)];
	struct km_features *f;
	struct sample x;
	uint32_t known = 0;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		names[i] = rows[i].name;
		known += !isnan(rows[i].want);
	}
	f = features_of(names, KM_ARRAY_LEN(rows), 60, 5, two_nodes, 2);
	blank(&x, 0, 5);
	for (size_t c = 0; c < CPUS; c++) {
		fill_cpu(&x, c, 1);
		x.cpu[c][KM_COUNT_BUSY_NS] = 1.25e9;
		x.cpu[c][KM_COUNT_CONTEXT_SWITCHES] = 750;
	}
	x.s.host[KM_HOST_MEM_READ_BYTES] = 2e9;
	x.s.host[KM_HOST_L3_OCCUPANCY_BYTES] = 8e6;
	x.s.host[KM_HOST_MBM_TOTAL_BYTES] = 3e9;
	x.s.host[KM_HOST_MBM_LOCAL_BYTES] = 1e9;
	x.s.host[KM_HOST_CPU_PSI_NS] = 1.5e9;
	x.s.node_count = 2;
	x.s.node = node_counts[0];
	x.s.host[KM_HOST_RUNNABLE] = 3;
	assert_int_equal(km_features_push(f, &x.s), 1);
	assert_int_equal(km_features_read(f, 0, out), known);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		check(out[i], rows[i].want, rows[i].name);
	}
	assert_int_equal(km_features_tier(f), KM_TIER_UNCORE);
	km_features_free(f);
}

/* Each node has its own group; the host has what the kernel counts system-wide. */
static void what_is_said_of_nodes_is_each_nodes_own(void **state)
{
	static const char *const names[] = {
		"node.cpu_psi_ratio.mean",          "node.throttled_ratio.max",
		"host.cpu_psi_ratio.mean",          "host.context_switches_per_s.mean",
		"node.context_switches_per_s.mean", "node_max.busy_ratio.mean"
	};
	double node_counts[2][KM_NODE_COUNT_N] = { { 2e9, NAN, NAN, 4e8 }, { 1e9, NAN, NAN, 0 } };
	static const char *const cpus[] = { "0", "1-2" }; /* one CPU is a set, and the node */
	double row[KM_ARRAY_LEN(names)];
	struct km_features *f;
	struct sample x;

	(void)state;
	f = features_of(names, KM_ARRAY_LEN(names), 60, 5, cpus, 2);
	blank(&x, 0, 5);
	x.s.node_count = 2;
	x.s.node = node_counts[0];
	x.s.host[KM_HOST_CPU_PSI_NS] = 3e9;
	x.s.host[KM_HOST_CONTEXT_SWITCHES] = 5000;
	assert_int_equal(km_features_push(f, &x.s), 1);
	assert_int_equal(km_features_tier(f), KM_TIER_OS);
	assert_int_equal(km_features_read(f, 0, row), 4);
	check(row[0], 0.4, names[0]);
	check(row[1], 0.08, names[1]);
	check(row[2], 0.6, names[2]);
	check(row[3], 1000, names[3]);
	check(row[4], NAN, names[4]); /* not counted by CPU: not known of a node */
	assert_int_equal(km_features_read(f, 1, row), 4);
	check(row[0], 0.2, names[0]);
	check(row[1], 0, names[1]);
	check(row[2], 0.6, names[2]);
	/* known for two fifths of the next bin only */
	for (int t = 5; t < 10; t++) {
		blank(&x, t, t + 1);
		x.s.node_count = t < 7 ? 2 : 0;
		x.s.node = t < 7 ? node_counts[0] : NULL;
		node_counts[0][KM_NODE_CPU_PSI_NS] = 1e9;
		assert_int_equal(km_features_push(f, &x.s), t == 9);
	}
	km_features_read(f, 0, row);
	check(row[0], 0.4, names[0]); /* of the first bin */
	km_features_free(f);
}

static void stall_beyond_elapsed_time_cannot_be(void **state)
{
	double counts[KM_NODE_COUNT_N] = { 1.01e9, NAN, NAN, NAN };
	struct sample x;

	(void)state;
	blank(&x, 0, 1);
	x.s.node_count = 1;
	x.s.node = counts;
	assert_null(km_sample_implausible(&x.s));
	counts[KM_NODE_CPU_PSI_NS] = 1.03e9;
	assert_non_null(km_sample_implausible(&x.s));
	counts[KM_NODE_CPU_PSI_NS] = -1;
	assert_string_equal(km_sample_implausible(&x.s), "negative count");
	counts[KM_NODE_CPU_PSI_NS] = NAN;
	counts[KM_NODE_THROTTLED_NS] = 4e9; /* four CPUs of its own at once */
	assert_null(km_sample_implausible(&x.s));
}

static void ipc_weighted_by_c0_equals_ipc_by_cycles_at_equal_clock(void **state)
{
	static const char *const names[] = { "node.ipc.mean", "host.ipc.mean",
		                             "node.work_ratio.mean" };
	double by_cycles[3];
	double by_c0[3];

	(void)state;
	for (int pcm = 0; pcm < 2; pcm++) {
		struct km_features *f = features_of(names, 3, 60, 5, two_nodes, 2);
		struct sample x;

		blank(&x, 0, 5);
		for (size_t c = 0; c < CPUS; c++) {
			fill_cpu(&x, c, 1);
			if (pcm) {
				x.cpu[c][KM_COUNT_CYCLES] = NAN;
				x.cpu[c][KM_COUNT_INSTRUCTIONS] = NAN;
			}
		}
		assert_int_equal(km_features_push(f, &x.s), 1);
		km_features_read(f, 0, pcm ? by_c0 : by_cycles);
		km_features_free(f);
	}
	for (int i = 0; i < 3; i++) {
		check(by_c0[i], by_cycles[i], names[i]);
	}
}

/* A random but repeatable load, with a change made to it. */
static void random_row(double *out, double scale_node, const size_t *order)
{
	static const char *const names[] = {
		"node.ipc.mean",
		"node.ipc.std",
		"node.l3_per_l2.mean",
		"node.l2_mpki.mean",
		"node.l2_miss_per_active_s.mean",
		"node_min.ipc.mean",
		"node_max.ipc.p95",
		"node_spread.ipc.mean",
		"peer.ipc.mean",
		"node_vs_peer.ipc.mean",
	};
	static const char *const nodes[] = { "0-2", "3-5" };
	struct km_features *f = features_of(names, 10, 60, 5, nodes, 2);
	struct km_rng rng;

	km_rng_init(&rng, 42);
	for (int t = 0; t < 60; t += 5) {
		struct sample x;
		struct sample y;

		blank(&x, t, t + 5);
		for (size_t c = 0; c < CPUS; c++) {
			fill_cpu(&x, c, 0.5 + km_rng_unit(&rng));
			for (size_t k = 0; c < 3 && k < KM_COUNT_CPU_N; k++) {
				x.cpu[c][k] *= scale_node;
			}
		}
		y = x;
		for (size_t c = 0; c < 3; c++) {
			memcpy(y.cpu[order[c]], x.cpu[c], sizeof(x.cpu[c]));
		}
		y.s.cpu = &y.cpu[0][0];
		assert_true(km_features_push(f, &y.s) >= 0);
	}
	assert_int_equal(km_features_read(f, 0, out), 10);
	km_features_free(f);
}

static void ratios_do_not_depend_on_how_busy_the_node_is(void **state)
{
	static const size_t as_is[] = { 0, 1, 2 };
	static const double scale[] = { 1e-3, 0.01, 0.3, 1.1 };
	double base[10];
	double scaled[10];

	(void)state;
	random_row(base, 1, as_is);
	for (size_t k = 0; k < KM_ARRAY_LEN(scale); k++) {
		random_row(scaled, scale[k], as_is);
		for (int i = 0; i < 10; i++) {
			check(scaled[i], base[i], "scaled");
		}
	}
}

static void the_order_of_a_nodes_cpus_changes_nothing(void **state)
{
	static const size_t order[][3] = { { 0, 1, 2 }, { 2, 0, 1 }, { 1, 0, 2 } };
	double row[3][10];

	(void)state;
	for (int k = 0; k < 3; k++) {
		random_row(row[k], 1, order[k]);
	}
	for (int i = 0; i < 10; i++) {
		check(row[1][i], row[0][i], "order 2 0 1");
		check(row[2][i], row[0][i], "order 1 0 2");
	}
}

static void a_count_is_known_if_half_of_the_bin_measured_it(void **state)
{
	static const char *const names[] = { "node.l2_miss_per_s.mean", "host.cpu_psi_ratio.mean",
		                             "node.ipc.mean" };
	static const struct {
		int measured; /* of five 1 s samples */
		double l2, psi, ipc;
	} rows[] = {
		{ 5, 2e6, 0.5, 0.5 },
		{ 3, 2e6, 0.5, 0.5 }, /* scaled to the whole bin */
		{ 2, NAN, NAN, 0.5 }, /* IPC carries its own weight: idle time has none */
		{ 0, NAN, NAN, NAN },
	};
	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_features *f = features_of(names, 3, 60, 5, two_nodes, 2);
		double out[3];

		for (int t = 0; t < 5; t++) {
			struct sample x;

			blank(&x, t, t + 1);
			for (size_t c = 0; t < rows[i].measured && c < CPUS; c++) {
				x.cpu[c][KM_COUNT_L2_MISS] = 1e6;
				x.cpu[c][KM_COUNT_IPC_NS] = 1e8;
				x.cpu[c][KM_COUNT_IPC_WEIGHT_NS] = 2e8;
			}
			if (t < rows[i].measured) {
				x.s.host[KM_HOST_CPU_PSI_NS] = 5e8;
			}
			assert_int_equal(km_features_push(f, &x.s), t == 4);
		}
		km_features_read(f, 0, out);
		check(out[0], rows[i].l2, "l2");
		check(out[1], rows[i].psi, "psi");
		check(out[2], rows[i].ipc, "ipc");
		km_features_free(f);
	}
}

static void an_unmeasured_cpu_is_like_its_neighbours_not_idle(void **state)
{
	static const char *const names[] = { "host.l2_miss_per_s.mean", "host.c0_ratio.mean",
		                             "node.c0_ratio.mean", "node_max.c0_ratio.mean" };
	static const struct {
		size_t known; /* CPUs of six */
		double l2, c0;
	} rows[] = { { 6, 6e6, 0.2 }, { 3, 6e6, 0.2 }, { 2, NAN, NAN } };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_features *f = features_of(names, 4, 60, 5, two_nodes, 2);
		struct sample x;
		double out[4];

		blank(&x, 0, 5);
		for (size_t c = 0; c < rows[i].known; c++) {
			x.cpu[c][KM_COUNT_L2_MISS] = 5e6;
			x.cpu[c][KM_COUNT_C0_NS] = 1e9;
		}
		assert_int_equal(km_features_push(f, &x.s), 1);
		km_features_read(f, 0, out);
		check(out[0], rows[i].l2, "l2");
		check(out[1], rows[i].c0, "c0");
		check(out[2], 0.2, "node c0"); /* CPUs 0 and 1 are measured in each row */
		check(out[3], 0.2, "node max");
		km_features_free(f);
	}
}

static void what_does_not_exist_on_the_host_is_nan(void **state)
{
	static const char *const names[] = { "node.ipc.mean",         "rest.ipc.mean",
		                             "peer.ipc.mean",         "spare.ipc.mean",
		                             "node_vs_peer.ipc.mean", "node_min.ipc.mean",
		                             "node_vs_rest.ipc.mean" };
	static const struct {
		const char *node[6];
		size_t count;
		const char *known; /* a letter a feature: y or n, of node 0 */
		const char *why;
	} rows[] = {
		{ { "0-5" }, 1, "ynnnnyn", "one node owns the host: no rest" },
		{ { "0-2" }, 1, "yynynyy", "the rest is all spare" },
		{ { "0-2", "3-5" }, 2, "yyynyyy", "the rest is all peer" },
		{ { "0", "1", "2", "3", "4", "5" }, 6, "yyynyyy", "one-CPU nodes" },
		{ { "0", "1-2" }, 2, "yyyyyyy", "everything" },
		{ { "100-101", "0" }, 2, "nyyynnn", "a node whose CPUs are not in the trace" },
		{ { "" }, 1, "nynynnn", "a node without CPUs" },
	};
	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_features *f = features_of(names, 7, 60, 5, rows[i].node, rows[i].count);
		double out[7];

		push_level(f, 0, 5, 1);
		km_features_read(f, 0, out);
		for (size_t k = 0; k < 7; k++) {
			if (isnan(out[k]) != (rows[i].known[k] == 'n')) {
				fail_msg("%s: %s is %g", rows[i].why, names[k], out[k]);
			}
		}
		km_features_free(f);
	}
}

static void one_cpu_nodes_read_their_own_cpu(void **state)
{
	static const char *const nodes[] = { "0", "1", "2", "3", "4", "5" };
	static const char *const names[] = { "node.ipc.mean", "node_min.ipc.mean",
		                             "peer.c0_ratio.mean", "rest.c0_ratio.mean",
		                             "node.c0_ratio.mean" };
	struct km_features *f = features_of(names, 5, 60, 5, nodes, 6);
	double out[5];

	(void)state;
	push_level(f, 0, 5, 1);
	for (size_t n = 0; n < 6; n++) {
		assert_int_equal(km_features_read(f, n, out), 5);
		check(out[0], 0.5 + 0.1 * (double)n, "ipc");
		check(out[1], out[0], "lowest CPU");
		check(out[2], (0.75 - 0.10 - 0.01 * (double)n) / 5, "peers' c0");
		check(out[3], out[2], "rest");
		check(out[4], 0.10 + 0.01 * (double)n, "c0");
	}
	km_features_free(f);
}

static void overlapping_nodes_are_refused(void **state)
{
	static const char *const names[] = { "node.ipc.mean" };
	struct km_cpuset set[2];
	struct km_schema *schema;
	struct km_features *f;
	struct km_err err = { 0 };

	(void)state;
	assert_int_equal(km_schema_create(names, 1, 60, 5, &schema, NULL), 0);
	assert_int_equal(km_cpuset_parse("0-3", &set[0], NULL), 0);
	assert_int_equal(km_cpuset_parse("3-5", &set[1], NULL), 0);
	assert_int_equal(km_features_create(schema, set, 2, &f, &err), -EINVAL);
	assert_null(f);
	assert_non_null(strstr(err.text, "overlap"));
	km_schema_unref(schema);
	km_features_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_metric_follows_its_formula),
		cmocka_unit_test(what_is_said_of_nodes_is_each_nodes_own),
		cmocka_unit_test(stall_beyond_elapsed_time_cannot_be),
		cmocka_unit_test(ipc_weighted_by_c0_equals_ipc_by_cycles_at_equal_clock),
		cmocka_unit_test(ratios_do_not_depend_on_how_busy_the_node_is),
		cmocka_unit_test(the_order_of_a_nodes_cpus_changes_nothing),
		cmocka_unit_test(a_count_is_known_if_half_of_the_bin_measured_it),
		cmocka_unit_test(an_unmeasured_cpu_is_like_its_neighbours_not_idle),
		cmocka_unit_test(what_does_not_exist_on_the_host_is_nan),
		cmocka_unit_test(one_cpu_nodes_read_their_own_cpu),
		cmocka_unit_test(overlapping_nodes_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

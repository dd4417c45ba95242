/* SPDX-License-Identifier: Apache-2.0 */
/* The newest bin as readings, and what is made of them: why tasks of a node wait. */
#include <math.h>
#include <string.h>

#include "km/base/macros.h"
#include "km/core/triage.h"

#include "support/feature_samples.h"

static const char *const nodes[] = { "0-1", "2" };

static void readings_are_all_metrics_of_the_newest_bin(void **state)
{
	static const char *const schema[] = { "pod.rps" }; /* reads nothing of it */
	static const double node_counts[2][KM_NODE_COUNT_N] = { { 1e9, NAN, 2e9, NAN },
		                                                { NAN, NAN, NAN, NAN } };
	struct km_features *f = features_of(schema, 1, 60, 5, nodes, 2);
	struct km_readings *r;
	struct sample x;

	(void)state;
	assert_null(km_features_readings(f));
	for (int t = 0; t < 2; t++) {
		blank(&x, 5 * t, 5 * (t + 1));
		for (size_t c = 0; c < CPUS; c++) {
			x.cpu[c][KM_COUNT_BUSY_NS] = 5e9 * 0.1 * (double)(c + (size_t)t);
		}
		x.cpu[5][KM_COUNT_BUSY_NS] = NAN;
		x.s.host[KM_HOST_RUNNABLE] = 3;
		x.s.node_count = 2;
		x.s.node = node_counts[0];
		assert_int_equal(km_features_push(f, &x.s), 1);
	}
	r = km_features_readings(f);
	assert_non_null(r);
	assert_int_equal(r->node_count, 2);
	assert_int_equal(r->cpu_count, CPUS);
	check(km_readings_host(r)[KM_METRIC_BUSY_RATIO], 0.3, "host"); /* of the five known */
	check(km_readings_host(r)[KM_METRIC_RUNNABLE_PER_CPU], 0.5, "host");
	check(km_readings_host(r)[KM_METRIC_CPU_PSI_RATIO], NAN, "host");
	check(km_readings_node(r, 0)[KM_METRIC_BUSY_RATIO], 0.15, "node");
	check(km_readings_node(r, 1)[KM_METRIC_BUSY_RATIO], 0.3, "node");
	check(km_readings_node(r, 0)[KM_METRIC_CPU_PSI_RATIO], 0.2, "node");
	check(km_readings_node(r, 0)[KM_METRIC_IO_PSI_RATIO], 0.4, "node");
	check(km_readings_node(r, 0)[KM_METRIC_RUNNABLE_PER_CPU], NAN, "node: it is the host's");
	check(km_readings_node(r, 1)[KM_METRIC_CPU_PSI_RATIO], NAN, "node without a group");
	check(km_readings_cpu(r, 4)[KM_METRIC_BUSY_RATIO], 0.5, "cpu");
	check(km_readings_cpu(r, 5)[KM_METRIC_BUSY_RATIO], NAN, "cpu");
	check(km_readings_cpu(r, 0)[KM_METRIC_IO_PSI_RATIO], NAN, "cpu");
	km_features_free(f);
	check(km_readings_node(r, 1)[KM_METRIC_BUSY_RATIO], 0.3, "outlives the windows");
	km_readings_unref(r);
	km_readings_unref(NULL);
}

static void waiting_is_told_apart_by_pressure_throttling_and_steal(void **state)
{
	static const struct {
		double node_pressure, host_pressure, throttled, steal;
		enum km_triage_cause want;
		const char *text;
	} rows[] = {
		{ 0.35, 0.5, 0, 0.01, KM_TRIAGE_NEIGHBOUR,
		  "other work on its CPUs: CPU pressure 0.35 high, throttling 0.00 low, steal 0.01 "
		  "low" },
		{ 0.35, 0.5, 0.2, 0.01, KM_TRIAGE_SELF,
		  "its own CPU quota holds it back: CPU pressure 0.35 high, throttling 0.20 high, "
		  "steal 0.01 low" },
		{ 0.35, 0.5, 0.2, 0.3, KM_TRIAGE_HYPERVISOR,
		  "its CPUs are given to others outside: CPU pressure 0.35 high, throttling 0.20 "
		  "high, steal 0.30 high" },
		{ 0.02, 0.5, 0, 0, KM_TRIAGE_NONE,
		  "nothing waits much for a CPU: CPU pressure 0.02 low, throttling 0.00 low, steal "
		  "0.00 low" },
		{ NAN, 0.5, NAN, NAN, KM_TRIAGE_NEIGHBOUR,
		  "other work on its CPUs: CPU pressure of the host 0.50 high, throttling not "
		  "measured, steal not measured" },
		{ NAN, NAN, NAN, 0.01, KM_TRIAGE_UNKNOWN,
		  "CPU pressure not measured, throttling not measured, steal 0.01 low" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_readings *r = km_readings_create(1, 1);
		struct km_triage t;
		struct km_buf text;

		assert_non_null(r);
		km_buf_init(&text);
		km_readings_host(r)[KM_METRIC_CPU_PSI_RATIO] = rows[i].host_pressure;
		km_readings_node(r, 0)[KM_METRIC_CPU_PSI_RATIO] = rows[i].node_pressure;
		km_readings_node(r, 0)[KM_METRIC_THROTTLED_RATIO] = rows[i].throttled;
		km_readings_node(r, 0)[KM_METRIC_STEAL_RATIO] = rows[i].steal;
		km_triage_node(r, 0, &t);
		assert_int_equal(t.cause, rows[i].want);
		km_triage_text(&t, &text);
		assert_string_equal(km_buf_cstr(&text), rows[i].text);
		km_triage_node(r, 1, &t); /* no such node */
		assert_int_equal(t.cause, KM_TRIAGE_UNKNOWN);
		km_buf_fini(&text);
		km_readings_unref(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readings_are_all_metrics_of_the_newest_bin),
		cmocka_unit_test(waiting_is_told_apart_by_pressure_throttling_and_steal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

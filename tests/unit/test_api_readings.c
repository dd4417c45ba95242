/* SPDX-License-Identifier: Apache-2.0 */
/* Readings of nodes, hosts and CPUs as Prometheus sees them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/api_internal.h"

static const char *const both[] = { "a", "b" };
static const char *const lone[] = { "c" };
static const struct km_cluster_host hosts[] = { { both, 2 }, { lone, 1 } };

static void collect(struct km_metrics_writer *w, void *ctx)
{
	const struct km_cluster_snapshot *s = km_cluster_get(ctx);

	km_api_expose_readings(w, s, s->node_count);
	km_cluster_put(s);
}

static void publish(struct km_cluster *c, const struct km_schema *schema)
{
	struct km_host_features *f = km_host_features_create(schema, 2);
	struct km_readings *r = km_readings_create(2, 3);

	assert_non_null(f);
	assert_non_null(r);
	km_readings_host(r)[KM_METRIC_CPU_PSI_RATIO] = 0.5;
	km_readings_host(r)[KM_METRIC_RUNNABLE_PER_CPU] = 1.5;
	km_readings_node(r, 0)[KM_METRIC_BUSY_RATIO] = 0.75;
	km_readings_node(r, 1)[KM_METRIC_BUSY_RATIO] = 0.25;
	km_readings_node(r, 1)[KM_METRIC_CPU_PSI_RATIO] = 0.4;
	km_readings_cpu(r, 2)[KM_METRIC_BUSY_RATIO] = 1;
	f->readings = r;
	assert_int_equal(km_cluster_publish(c, &f, 1), 0);
	km_host_features_unref(f);
}

static void what_is_measured_has_a_line_with_help_and_type(void **state)
{
	static const char *const feature[] = { "node.ipc.mean" };
	static const char *const want[] = {
		"\n# TYPE kubemarla_node_busy_ratio gauge\n",
		"\nkubemarla_node_busy_ratio{node=\"a\"} 0.75\n",
		"\nkubemarla_node_busy_ratio{node=\"b\"} 0.25\n",
		"\nkubemarla_node_cpu_psi_ratio{node=\"b\"} 0.4\n",
		"\nkubemarla_host_cpu_psi_ratio{first_node=\"a\"} 0.5\n",
		"\nkubemarla_host_runnable_per_cpu{first_node=\"a\"} 1.5\n",
		"\nkubemarla_cpu_busy_ratio{first_node=\"a\",cpu=\"2\"} 1\n",
	};
	static const char *const absent[] = {
		"kubemarla_node_cpu_psi_ratio{node=\"a\"}",
		"kubemarla_node_runnable_per_cpu",
		"kubemarla_cpu_busy_ratio{first_node=\"a\",cpu=\"0\"}",
		"node=\"c\"",
		"kubemarla_node_ipc",
		"NaN",
	};
	struct km_schema *schema;
	struct km_metrics *m;
	struct km_cluster *c;
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	assert_int_equal(km_schema_create(feature, 1, 60, 5, &schema, NULL), 0);
	assert_int_equal(km_metrics_create(&m, NULL), 0);
	assert_int_equal(km_cluster_create(hosts, 2, &c, NULL), 0);
	publish(c, schema);
	km_metrics_collect(m, collect, c);
	km_buf_str(&out, "\n");
	assert_int_equal(km_metrics_expose(m, &out), 0);
	for (size_t i = 0; i < KM_ARRAY_LEN(want); i++) {
		if (strstr(km_buf_cstr(&out), want[i]) == NULL) {
			fail_msg("no %s in %s", want[i], km_buf_cstr(&out));
		}
	}
	for (size_t i = 0; i < KM_ARRAY_LEN(absent); i++) {
		if (strstr(km_buf_cstr(&out), absent[i]) != NULL) {
			fail_msg("saw %s in %s", absent[i], km_buf_cstr(&out));
		}
	}
	km_metrics_free(m);
	km_cluster_free(c);
	km_schema_unref(schema);
	km_buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_measured_has_a_line_with_help_and_type),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

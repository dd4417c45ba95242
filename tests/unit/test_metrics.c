/* SPDX-License-Identifier: Apache-2.0 */
/* metrics: the exposition byte for byte, registration's refusals, updates from several threads. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "km/metrics/metrics.h"

static const double bounds_s[] = { 0.001, 0.01, 1 };

static struct km_metrics *created(void)
{
	struct km_metrics *m = NULL;

	assert_int_equal(km_metrics_create(&m, NULL), 0);
	return m;
}

static void expect_text(struct km_metrics *m, const char *want)
{
	struct km_buf out;

	km_buf_init(&out);
	assert_int_equal(km_metrics_expose(m, &out), 0);
	assert_string_equal(km_buf_cstr(&out), want);
	km_buf_fini(&out);
}

static void collect_nodes(struct km_metrics_writer *w, void *ctx)
{
	km_metrics_sample(w, 1, KM_LABELS_END); /* before any family: nothing to attach it to */
	km_metrics_family(w, KM_METRIC_GAUGE, "kubemarla_node_ipc_ratio", "Mean IPC.");
	km_metrics_sample(w, 1.25, "node", (const char *)ctx, "tier", "core", KM_LABELS_END);
	km_metrics_sample(w, NAN, "node", "b", "tier", "os", KM_LABELS_END);
	km_metrics_family(w, KM_METRIC_GAUGE, "kubemarla_node_unknown_ratio", "All unknown.");
	km_metrics_sample(w, NAN, "node", "b", KM_LABELS_END);
	km_metrics_family(w, KM_METRIC_COUNTER, "kubemarla_ticks_total", "Ticks.");
	km_metrics_sample(w, 3, KM_LABELS_END);
}

static void exposition_is_prometheus_text(void **state)
{
	static char node[] = "a";
	struct km_metrics *m = created();
	struct km_histogram *h;

	(void)state;
	km_counter_add(km_metrics_counter(m, "kubemarla_requests_total",
	                                  "Requests\\answered\nhere.", "verb", "filter", "code",
	                                  "200", KM_LABELS_END),
	               41);
	km_gauge_set(km_metrics_gauge(m, "kubemarla_nodes_count", "Nodes.", KM_LABELS_END), 3);
	km_counter_add(km_metrics_counter(m, "kubemarla_requests_total", "", "verb", "a\"b\\c\ne",
	                                  "code", "200", KM_LABELS_END),
	               1);
	(void)km_metrics_gauge(m, "kubemarla_model_age_seconds", "Never set.", KM_LABELS_END);
	h = km_metrics_histogram(m, "kubemarla_request_duration_seconds", "Duration.", bounds_s, 3,
	                         "verb", "filter", KM_LABELS_END);
	km_histogram_observe(h, 0.001); /* a bound belongs to its own bucket */
	km_histogram_observe(h, 0.0011);
	km_histogram_observe(h, 5);
	km_histogram_observe(h, NAN);
	km_metrics_collect(m, collect_nodes, node);
	assert_int_equal(km_metrics_check(m, NULL), 0);
	expect_text(m, "# HELP kubemarla_requests_total Requests\\\\answered\\nhere.\n"
	               "# TYPE kubemarla_requests_total counter\n"
	               "kubemarla_requests_total{verb=\"filter\",code=\"200\"} 41\n"
	               "kubemarla_requests_total{verb=\"a\\\"b\\\\c\\ne\",code=\"200\"} 1\n"
	               "# HELP kubemarla_nodes_count Nodes.\n"
	               "# TYPE kubemarla_nodes_count gauge\n"
	               "kubemarla_nodes_count 3\n"
	               "# HELP kubemarla_request_duration_seconds Duration.\n"
	               "# TYPE kubemarla_request_duration_seconds histogram\n"
	               "kubemarla_request_duration_seconds_bucket{verb=\"filter\",le=\"0.001\"} 1\n"
	               "kubemarla_request_duration_seconds_bucket{verb=\"filter\",le=\"0.01\"} 2\n"
	               "kubemarla_request_duration_seconds_bucket{verb=\"filter\",le=\"1\"} 2\n"
	               "kubemarla_request_duration_seconds_bucket{verb=\"filter\",le=\"+Inf\"} 3\n"
	               "kubemarla_request_duration_seconds_sum{verb=\"filter\"} 5.0021\n"
	               "kubemarla_request_duration_seconds_count{verb=\"filter\"} 3\n"
	               "# HELP kubemarla_node_ipc_ratio Mean IPC.\n"
	               "# TYPE kubemarla_node_ipc_ratio gauge\n"
	               "kubemarla_node_ipc_ratio{node=\"a\",tier=\"core\"} 1.25\n"
	               "# HELP kubemarla_ticks_total Ticks.\n"
	               "# TYPE kubemarla_ticks_total counter\n"
	               "kubemarla_ticks_total 3\n");
	km_metrics_free(m);
}

static void same_name_and_labels_are_the_same_metric(void **state)
{
	struct km_metrics *m = created();
	struct km_counter *a = km_metrics_counter(m, "a_total", "A.", "x", "1", KM_LABELS_END);

	(void)state;
	assert_ptr_equal(km_metrics_counter(m, "a_total", "A.", "x", "1", KM_LABELS_END), a);
	assert_ptr_not_equal(km_metrics_counter(m, "a_total", "A.", "x", "2", KM_LABELS_END), a);
	assert_int_equal(km_metrics_check(m, NULL), 0);
	km_metrics_free(m);
}

static void bad_registrations_are_told_once_and_do_no_harm(void **state)
{
	static const struct {
		const char *name;
		const char *label;
		const char *why;
	} rows[] = {
		{ "", "x", "no name" },
		{ "1a_total", "x", "begins with a digit" },
		{ "a-b_total", "x", "a dash" },
		{ "requests", "x", "a counter without _total" },
		{ "a_total", "le", "the histogram's own label" },
		{ "a_total", "__x", "reserved for Prometheus" },
		{ "a_total", "x-y", "a dash in a label" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_metrics *m = created();
		struct km_counter *c =
			km_metrics_counter(m, rows[i].name, "", rows[i].label, "v", KM_LABELS_END);

		if (km_metrics_check(m, NULL) != -EINVAL)
			fail_msg("accepted: %s", rows[i].why);
		km_counter_add(c, 1);
		expect_text(m, "");
		km_metrics_free(m);
	}
}

static void first_registration_error_is_kept(void **state)
{
	static const double falling[] = { 2, 1 };
	struct km_metrics *m = created();
	struct km_err err = { .code = 0 };

	(void)state;
	(void)km_metrics_gauge(m, "a_seconds", "A.", KM_LABELS_END);
	km_histogram_observe(km_metrics_histogram(m, "a_seconds", "", bounds_s, 3, KM_LABELS_END),
	                     1);
	km_gauge_set(km_metrics_gauge(m, "b_total", "", KM_LABELS_END), 1);
	(void)km_metrics_histogram(m, "c_seconds", "", falling, 2, KM_LABELS_END);
	assert_int_equal(km_metrics_check(m, &err), -EEXIST);
	assert_non_null(strstr(err.text, "\"a_seconds\": is a gauge"));
	expect_text(m, "");
	km_metrics_free(m);
}

static void without_a_registry_updates_are_ignored(void **state)
{
	struct km_counter *c = km_metrics_counter(NULL, "a_total", "", KM_LABELS_END);
	struct km_gauge *g = km_metrics_gauge(NULL, "a", "", KM_LABELS_END);
	struct km_histogram *h = km_metrics_histogram(NULL, "a_s", "", bounds_s, 3, KM_LABELS_END);

	(void)state;
	km_counter_add(c, 1);
	km_gauge_set(g, 1);
	km_gauge_add(g, 1);
	km_histogram_observe(h, 1);
	km_metrics_collect(NULL, collect_nodes, NULL);
	assert_int_equal(km_counter_value(c), 0);
	assert_true(isnan(km_gauge_value(g)));
	assert_int_equal(km_histogram_count(h), 0);
	km_metrics_free(NULL);
}

enum { THREADS = 4, ROUNDS = 20000 };

static void *hammer(void *arg)
{
	struct km_metrics *m = arg;
	struct km_counter *c = km_metrics_counter(m, "hits_total", "Hits.", KM_LABELS_END);
	struct km_gauge *g = km_metrics_gauge(m, "open_count", "Open.", KM_LABELS_END);
	struct km_histogram *h =
		km_metrics_histogram(m, "took_seconds", "Took.", bounds_s, 3, KM_LABELS_END);
	struct km_buf out;

	km_buf_init(&out);
	for (int i = 0; i < ROUNDS; i++) {
		km_counter_add(c, 1);
		km_gauge_add(g, i % 2 ? -1 : 2);
		km_histogram_observe(h, 0.5);
		if (i % 4096 == 0) {
			km_buf_clear(&out);
			if (km_metrics_expose(m, &out) != 0)
				break; /* the totals will be missing it */
		}
	}
	km_buf_fini(&out);
	return NULL;
}

static void no_update_is_lost_between_threads(void **state)
{
	struct km_metrics *m = created();
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, m), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	expect_text(m, "# HELP hits_total Hits.\n# TYPE hits_total counter\nhits_total 80000\n"
	               "# HELP open_count Open.\n# TYPE open_count gauge\nopen_count 40000\n"
	               "# HELP took_seconds Took.\n# TYPE took_seconds histogram\n"
	               "took_seconds_bucket{le=\"0.001\"} 0\n"
	               "took_seconds_bucket{le=\"0.01\"} 0\n"
	               "took_seconds_bucket{le=\"1\"} 80000\n"
	               "took_seconds_bucket{le=\"+Inf\"} 80000\n"
	               "took_seconds_sum 40000\n"
	               "took_seconds_count 80000\n");
	km_metrics_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exposition_is_prometheus_text),
		cmocka_unit_test(same_name_and_labels_are_the_same_metric),
		cmocka_unit_test(bad_registrations_are_told_once_and_do_no_harm),
		cmocka_unit_test(first_registration_error_is_kept),
		cmocka_unit_test(without_a_registry_updates_are_ignored),
		cmocka_unit_test(no_update_is_lost_between_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

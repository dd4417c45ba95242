/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: queries, asked of a server on loopback that answers as it is told. It is no Prometheus:
 * what queries mean to a real one, nobody here tests.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/log.h"
#include "km/base/macros.h"

#include "policy/kpi.h"
#include "support/fake_apiserver.h"

#define S          KM_NS_PER_S
#define VECTOR(r)  "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[" r "]}}"
#define ONE(l, v)  "{\"metric\":{" l "},\"value\":[1,\"" v "\"]}"
#define ERROR_BODY "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"no such thing\"}"

static struct fake_apiserver server;
static struct km_metrics *metrics;
static struct policy_kpi *kpi;
static struct km_clock fake_clock;
static int64_t now_ns;

static int64_t time_of(void *ctx)
{
	(void)ctx;
	return now_ns;
}

static int set_up(void **state)
{
	(void)state;
	now_ns = 1000 * S;
	fake_clock = (struct km_clock){ time_of, time_of, NULL };
	fake_apiserver_start(&server);
	assert_int_equal(km_metrics_create(&metrics, NULL), 0);
	assert_int_equal(kpi_create(server.url, 15 * S, &fake_clock, metrics, &kpi, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	kpi_free(kpi);
	km_metrics_free(metrics);
	fake_apiserver_stop(&server);
	return 0;
}

static void will_answer(const char *query, int status, const char *body)
{
	char match[128];

	(void)snprintf(match, sizeof(match), "GET /api/v1/query?query=%s", query);
	fake_apiserver_fault(
		&server, &(struct fake_fault){ .match = match, .status = status, .body = body });
}

static void set(uint64_t policy, enum kpi_kind kind, const char *query)
{
	assert_int_equal(kpi_set(kpi, &(struct kpi_question){ policy, kind, query }, 1), 0);
}

static void one_number_is_the_load(void **state)
{
	static const struct {
		const char *body;
		int status;
		double want;
		const char *error; /* NULL = none */
	} rows[] = {
		{ VECTOR(ONE("", "120.5")), 200, 120.5, NULL },
		{ VECTOR(ONE("\"app\":\"web\"", "7")), 200, 7, NULL },
		{ "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":"
		  "[1,\"3\"]}}",
		  200, 3, NULL },
		{ VECTOR(ONE("", "NaN")), 200, NAN, NULL },
		{ VECTOR(ONE("", "+Inf")), 200, NAN, NULL },
		{ VECTOR(ONE("", "-1")), 200, NAN, NULL },
		{ VECTOR(""), 200, NAN, NULL },
		{ VECTOR(ONE("", "1") "," ONE("\"pod\":\"a\"", "2")), 200, NAN,
		  "spec.workload.rpsQuery: saw 2 series, want one" },
		{ ERROR_BODY, 400, NAN,
		  "spec.workload.rpsQuery: Prometheus: bad_data: no such thing" },
		{ "<html>", 502, NAN, "spec.workload.rpsQuery: JSON" },
	};
	char error[KPI_ERROR_MAX];

	(void)state;
	set(7, KPI_RPS, "sum(x)");
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		double got;

		fake_apiserver_clear(&server);
		will_answer("sum%28x%29", rows[i].status, rows[i].body);
		kpi_ask_all(kpi);
		got = kpi_number(kpi, 7, KPI_RPS);
		if (isnan(rows[i].want) ? !isnan(got) : !(got == rows[i].want))
			fail_msg("%s: saw %g, want %g", rows[i].body, got, rows[i].want);
		(void)kpi_error(kpi, 7, error);
		if (rows[i].error == NULL ? error[0] != '\0' : strstr(error, rows[i].error) == NULL)
			fail_msg("%s: \"%s\"", rows[i].body, error);
	}
	assert_true(isnan(kpi_number(kpi, 8, KPI_RPS)));
	assert_true(isnan(kpi_number(kpi, 7, KPI_LATENCY)));
}

static void questions_come_in_any_order(void **state)
{
	const struct kpi_question asked[] = { { 9, KPI_LATENCY, "c" },
		                              { 3, KPI_BASELINE, "b" },
		                              { 9, KPI_RPS, "d" },
		                              { 3, KPI_RPS, "a" } };
	const struct kpi_question again[] = { asked[3], asked[2], asked[1], asked[0] };

	(void)state;
	will_answer("a", 200, VECTOR(ONE("", "1")));
	will_answer("b", 200, VECTOR(ONE("", "2")));
	will_answer("c", 200, VECTOR(ONE("", "3")));
	will_answer("d", 200, VECTOR(ONE("", "4")));
	assert_int_equal(kpi_set(kpi, asked, 4), 0);
	kpi_ask_all(kpi);
	for (int round = 0; round < 2; round++) {
		assert_true(kpi_number(kpi, 3, KPI_RPS) == 1);
		assert_true(kpi_number(kpi, 3, KPI_BASELINE) == 2);
		assert_true(kpi_number(kpi, 9, KPI_LATENCY) == 3);
		assert_true(kpi_number(kpi, 9, KPI_RPS) == 4);
		assert_int_equal(kpi_set(kpi, again, 4), 0);
	}
	assert_true(isnan(kpi_number(kpi, 4, KPI_RPS)));
}

static void latencies_are_of_pods_nodes_or_the_whole(void **state)
{
	static struct kpi_value value[KPI_VALUES_MAX];
	char error[KPI_ERROR_MAX];

	(void)state;
	set(7, KPI_LATENCY, "q");
	will_answer("q", 200,
	            VECTOR(ONE("\"pod\":\"a\"", "0.1") "," ONE("\"node\":\"n\"", "0.2") "," ONE(
			    "\"pod\":\"b\",\"node\":\"m\"", "NaN")));
	kpi_ask_all(kpi);
	assert_int_equal(kpi_values(kpi, 7, KPI_LATENCY, value), 2);
	assert_true(value[0].pod == kpi_name_key("a", 1) && value[0].node == 0);
	assert_true(value[1].node == kpi_name_key("n", 1) && value[1].value == 0.2);
	fake_apiserver_clear(&server);
	will_answer("q", 200, VECTOR(ONE("\"x\":\"1\"", "1") "," ONE("\"x\":\"2\"", "2")));
	kpi_ask_all(kpi);
	assert_int_equal(kpi_values(kpi, 7, KPI_LATENCY, value), 0);
	assert_non_null(strstr(kpi_error(kpi, 7, error), "or a label pod or node on each"));
}

static void answers_age_and_belong_to_their_query(void **state)
{
	(void)state;
	set(7, KPI_RPS, "q");
	will_answer("q", 200, VECTOR(ONE("", "5")));
	kpi_ask_all(kpi);
	now_ns += 60 * S;
	assert_true(kpi_number(kpi, 7, KPI_RPS) == 5);
	set(7, KPI_RPS, "q"); /* set again at every round */
	assert_true(kpi_number(kpi, 7, KPI_RPS) == 5);
	now_ns += 1;
	assert_true(isnan(kpi_number(kpi, 7, KPI_RPS)));
	kpi_ask_all(kpi);
	assert_true(kpi_number(kpi, 7, KPI_RPS) == 5);
	set(7, KPI_RPS, "other");
	assert_true(isnan(kpi_number(kpi, 7, KPI_RPS)));
	assert_int_equal(kpi_set(kpi, NULL, 0), 0);
	assert_true(isnan(kpi_number(kpi, 7, KPI_RPS)));
}

static void a_server_that_is_gone_leaves_nothing_known(void **state)
{
	char error[KPI_ERROR_MAX];

	(void)state;
	set(7, KPI_BASELINE, "q");
	will_answer("q", 200, VECTOR(ONE("", "5")));
	kpi_ask_all(kpi);
	assert_true(kpi_number(kpi, 7, KPI_BASELINE) == 5);
	fake_apiserver_clear(&server);
	fake_apiserver_fault(&server, &(struct fake_fault){ .match = "query", .no_answer = true });
	kpi_ask_all(kpi);
	assert_true(isnan(kpi_number(kpi, 7, KPI_BASELINE)));
	assert_non_null(strstr(kpi_error(kpi, 7, error), "spec.kpi.baselineQuery: "));
}

/* With its thread; a server that hangs does not hold up the end. */
static void the_thread_ends_whatever_it_waits_for(void **state)
{
	(void)state;
	set(7, KPI_RPS, "q");
	fake_apiserver_fault(&server, &(struct fake_fault){ .match = "query", .hang = true });
	assert_int_equal(kpi_start(kpi, NULL), 0);
	assert_true(fake_apiserver_wait_requests(&server, "query", 1));
}

static void without_a_prometheus_nothing_is_asked(void **state)
{
	struct policy_kpi *none = NULL;

	(void)state;
	assert_int_equal(kpi_create("", 15 * S, &fake_clock, NULL, &none, NULL), 0);
	assert_int_equal(kpi_set(none, &(struct kpi_question){ 7, KPI_RPS, "q" }, 1), 0);
	assert_int_equal(kpi_start(none, NULL), 0);
	kpi_ask_all(none);
	assert_true(isnan(kpi_number(none, 7, KPI_RPS)));
	kpi_free(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_number_is_the_load, set_up, tear_down),
		cmocka_unit_test_setup_teardown(questions_come_in_any_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(latencies_are_of_pods_nodes_or_the_whole, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(answers_age_and_belong_to_their_query, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(a_server_that_is_gone_leaves_nothing_known, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(the_thread_ends_whatever_it_waits_for, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(without_a_prometheus_nothing_is_asked, set_up,
		                                tear_down),
	};

	km_log_set_level(KM_LOG_ERROR);
	return cmocka_run_group_tests_name("policy kpi", tests, NULL, NULL);
}

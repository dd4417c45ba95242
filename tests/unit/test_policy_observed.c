/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: what queries say, from a server on loopback into statuses and decisions. It is no
 * Prometheus.
 */
#include "support/controller_world.h"
#include "support/fake_apiserver.h"

#define VECTOR(r) "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[" r "]}}"
#define ONE(l, v) "{\"metric\":{" l "},\"value\":[1,\"" v "\"]}"
#define QUERIES                                                                                    \
	", \"maxSlowdown\": 1.5, \"workload\": {\"rpsQuery\": \"load\"}, "                         \
	"\"kpi\": {\"latencyQuery\": \"p99\", \"baselineSeconds\": 0.01}"

static const double calm[NODES_MAX] = { 0.2, 0.2, 0.2 };

static struct fake_apiserver prometheus;

static void will_say(const char *query, const char *body)
{
	char match[64];

	(void)snprintf(match, sizeof(match), "query=%s", query);
	fake_apiserver_fault(&prometheus,
	                     &(struct fake_fault){ .match = match, .status = 200, .body = body });
}

static void open_with_queries(struct cluster *k, bool trusted)
{
	const struct km_view_namespace shop = { .name = name_of("shop"), .trusted = trusted };

	cluster_open(k, 3);
	assert_int_equal(km_view_set_namespace(k->view, &shop), 0);
	kpi_free(k->c->kpi);
	fake_apiserver_start(&prometheus);
	assert_int_equal(
		kpi_create(prometheus.url, 15 * S, &k->w.clock, k->w.metrics, &k->c->kpi, NULL), 0);
	set_policy(k, "slo", "web", QUERIES);
	set_pod(k, "web-0", "web", 0, "");
	set_pod(k, "web-1", "web", 1, "");
}

static void close_with_queries(struct cluster *k)
{
	cluster_close(k);
	fake_apiserver_stop(&prometheus);
}

static double load_of_a_pod(struct cluster *k)
{
	const struct km_label label = { name_of("app"), name_of("web") };
	struct km_pod pod = pod_of("new", "", "");

	pod.label = &label;
	pod.label_count = 1;
	return subject_of(&k->w, &pod).workload.rps;
}

static void what_was_observed_is_beside_what_was_predicted(void **state)
{
	struct cluster k;

	(void)state;
	open_with_queries(&k, true);
	will_say("p99", VECTOR(ONE("\"pod\":\"web-0\"", "0.012") "," ONE(
				"\"pod\":\"web-1\"", "0.014") "," ONE("\"pod\":\"gone\"", "9")));
	will_say("load", VECTOR(ONE("", "3000")));
	ticks(&k, calm, 10); /* the questions are known */
	kpi_ask_all(k.c->kpi);
	ticks(&k, calm, 30);
	assert_int_equal(asked(&k, "/status", "\"observedSlowdown\":1.4,\"nodes\""), 1);
	assert_int_equal(asked(&k, "/status", "\"observedSlowdown\":1.2,\"tier\""), 1);
	assert_true(load_of_a_pod(&k) == 1500); /* of two pods that run */
	/* a little more load is the same load */
	fake_apiserver_clear(&prometheus);
	will_say("p99", VECTOR(ONE("", "0.02")));
	will_say("load", VECTOR(ONE("", "3200")));
	kpi_ask_all(k.c->kpi);
	ticks(&k, calm, 40);
	assert_true(load_of_a_pod(&k) == 1500);
	/* of the whole service, above what is tolerated */
	assert_int_equal(asked(&k, "/status", "\"reason\":\"ObservedSlowdown\""), 1);
	assert_int_equal(asked(&k, "/events", "observed 2.00, tolerated 1.50"), 1);
	close_with_queries(&k);
}

static void what_is_not_known_is_absent(void **state)
{
	struct cluster k;

	(void)state;
	open_with_queries(&k, true);
	will_say("p99", VECTOR(ONE("\"pod\":\"web-0\"", "NaN")));
	will_say("load", VECTOR(""));
	ticks(&k, calm, 10);
	kpi_ask_all(k.c->kpi);
	ticks(&k, calm, 30);
	assert_int_equal(asked(&k, "/status", "\"observedSlowdown\":null"), k.requests);
	assert_int_equal(asked(&k, "/status", "\"reason\":\"QueryFailed\""), 0);
	assert_true(load_of_a_pod(&k) == 1000);
	fake_apiserver_clear(&prometheus);
	will_say("load", VECTOR(""));
	will_say("p99", "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"oh\"}");
	kpi_ask_all(k.c->kpi);
	ticks(&k, calm, 10);
	assert_int_equal(asked(&k, "/status", "spec.kpi.latencyQuery: Prometheus: bad_data: oh"),
	                 1);
	close_with_queries(&k);
}

static void tenants_that_are_not_trusted_ask_nothing(void **state)
{
	struct cluster k;

	(void)state;
	open_with_queries(&k, false);
	ticks(&k, calm, 10);
	kpi_ask_all(k.c->kpi);
	ticks(&k, calm, 10);
	assert_int_equal(fake_apiserver_requests(&prometheus, "query="), 0);
	assert_int_equal(asked(&k, "/status", "\"reason\":\"QueriesNotTrusted\""), 1);
	close_with_queries(&k);
}

/* Another process decides by the same load, whoever leads. */
static void who_does_not_lead_knows_loads_too(void **state)
{
	struct cluster k;

	(void)state;
	open_with_queries(&k, true);
	k.lease_taken = true;
	will_say("load", VECTOR(ONE("", "3000")));
	ticks(&k, calm, 10);
	kpi_ask_all(k.c->kpi);
	ticks(&k, calm, 10);
	assert_true(load_of_a_pod(&k) == 1500);
	assert_int_equal(k.requests, 0);
	close_with_queries(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_observed_is_beside_what_was_predicted),
		cmocka_unit_test(what_is_not_known_is_absent),
		cmocka_unit_test(tenants_that_are_not_trusted_ask_nothing),
		cmocka_unit_test(who_does_not_lead_knows_loads_too),
	};

	return cmocka_run_group_tests_name("policy observed", tests, NULL, NULL);
}

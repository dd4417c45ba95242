/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon in a cluster, and what stands beside that: its own agent, policies of a file, another
 * model, and Prometheus instead of agents.
 */
#include <signal.h>

#include "km/net/server.h"

#include "support/cluster_world.h"

#define ASK                                                                                        \
	"{\"Pod\":{\"metadata\":{\"name\":\"p\",\"namespace\":\"shop\",\"labels\":{\"app\":"       \
	"\"web\"}}},"                                                                              \
	"\"Nodes\":null,\"NodeNames\":[\"quiet\",\"some\",\"noisy\"]}"

/* All roles: it measures quiet itself, of which nobody else tells, and reads the rest. */
static void its_own_agent_stands_beside_the_others(void **state)
{
	struct cluster *c = *state;
	struct answer a;
	char yaml[1024];

	fake_apiserver_delete(&c->api, PODS, "kubemarla-system", "agent-0");
	wire_trace(&c->extender, "quiet", "none", 1);
	(void)snprintf(yaml, sizeof(yaml),
	               EXTENDER_MODEL
	               "nodes: [{name: quiet, cpus: 0-3}]\n"
	               "collect:\n  interval: 100ms\n  sources:\n"
	               "  - replay: {file: \"@DIR@/quiet.csv\", node: quiet, speed: 100000}\n"
	               "kubernetes: {kubeconfig: \"@DIR@/config\", namespace: kubemarla-system}\n"
	               "features: {interval: 200ms, port: %d}\n"
	               "decide: {maxAge: 1h, ledger: off}\n",
	               c->port);
	wire_start(&c->extender, yaml);
	wait_for_agents(c);
	daemon_request(&c->extender, "POST", "/prioritize", ASK, &a);
	assert_string_equal(a.body, "[{\"Host\":\"quiet\",\"Score\":10},{\"Host\":\"some\","
	                            "\"Score\":6},{\"Host\":\"noisy\",\"Score\":2}]");
	answer_fini(&a);
	/* what it tells others is what it measured itself */
	daemon_request(&c->extender, "GET", "/v1/features", NULL, &a);
	assert_non_null(strstr(a.body, "\"name\":\"quiet\""));
	assert_null(strstr(a.body, "noisy"));
	answer_fini(&a);
	daemon_request(&c->extender, "GET", "/v1/nodes", NULL, &a);
	assert_non_null(strstr(a.body, "\"name\":\"noisy\""));
	answer_fini(&a);
	/* a reload that moves its own agent to another node: quiet is the cluster's, unmeasured */
	wire_configure(&c->extender, EXTENDER_MODEL
	               "nodes: [{name: other}]\n"
	               "collect: {interval: 100ms, sources: [os]}\n"
	               "kubernetes: {kubeconfig: \"@DIR@/config\", namespace: kubemarla-system}\n"
	               "decide: {maxAge: 1h, ledger: off}\n");
	daemon_signal(&c->extender, SIGHUP);
	assert_true(daemon_wait_log(&c->extender, 0, "reload applied"));
	wait_metric_is(&c->extender, "kubemarla_nodes", 5);
	daemon_request(&c->extender, "POST", "/prioritize", ASK, &a);
	assert_non_null(strstr(a.body, "{\"Host\":\"noisy\",\"Score\":2}"));
	answer_fini(&a);
}

#define POLICY(name, slowdown)                                                                     \
	"{\"apiVersion\":\"kubemarla.io/v1alpha1\",\"kind\":\"InterferencePolicy\",\"metadata\":{" \
	"\"namespace\":\"shop\",\"name\":\"" name "\",\"generation\":1},\"spec\":{\"selector\":{"  \
	"\"matchLabels\":{\"app\":\"web\"}},\"mode\":\"Enforce\",\"maxSlowdown\":" slowdown "}}"

/* Which of "some" and "noisy" are filtered out, once that is so: what the API says takes a moment.
 */
static void want_filtered(struct cluster *c, bool some, bool noisy)
{
	const int64_t deadline_ns =
		km_clock_mono_ns(km_clock_system()) + WIRE_PATIENCE_MS * KM_NS_PER_MS;
	bool as_wanted = false;
	struct answer a;

	while (!as_wanted && km_clock_mono_ns(km_clock_system()) < deadline_ns) {
		daemon_request(&c->extender, "POST", "/filter", ASK, &a);
		assert_int_equal(a.status, 200);
		as_wanted = (strstr(a.body, "\"some\":") != NULL) == some &&
		            (strstr(a.body, "\"noisy\":") != NULL) == noisy;
		answer_fini(&a);
	}
	assert_true(as_wanted);
}

/* Slowdowns are 1.04, 1.42 and 2.1. */
static void policies_of_file_and_api_hold_together(void **state)
{
	struct cluster *c = *state;
	size_t from;

	daemon_write(&c->extender, "policies.json", POLICY("both", "1.2"));
	start_extender(c, "off, policies: \"@DIR@/policies.json\"");
	wait_for_agents(c);
	wait_metric_is(&c->extender, "kubemarla_view_feeding", 1);
	want_filtered(c, true, true); /* the file's */
	fake_apiserver_put(&c->api, POLICIES, POLICY("both", "1.8"));
	assert_true(daemon_wait_log(&c->extender, 0, "policy of the file left out"));
	want_filtered(c, false, true); /* the API's, of the same name */
	from = c->extender.len;
	fake_apiserver_delete(&c->api, POLICIES, "shop", "both");
	wait_metric_is(&c->extender, "kubemarla_view_objects{kind=\"policies\"}", 0);
	daemon_write(&c->extender, "policies.json", POLICY("both", "3"));
	daemon_signal(&c->extender, SIGHUP);
	assert_true(daemon_wait_log(&c->extender, from, "reload applied"));
	want_filtered(c, false, false);
}

/* Traces are at their end: nothing new is measured, and what was said before would be a 304. */
static void another_model_has_agents_asked_anew(void **state)
{
	struct cluster *c = *state;
	struct answer a;
	size_t from;

	start_extender(c, "off");
	wait_for_agents(c);
	from = c->extender.len;
	wire_configure(&c->extender, "roles: [extender]\nmodel: {path: \"\"}\n"
	                             "kubernetes: {kubeconfig: \"@DIR@/config\"}\n"
	                             "decide: {maxAge: 1h, ledger: off}\n");
	daemon_signal(&c->extender, SIGHUP);
	assert_true(daemon_wait_log(&c->extender, from, "agents to read count=2"));
	assert_true(daemon_wait_log(&c->extender, from, "reload applied"));
	from = c->extender.len;
	wire_configure(&c->extender, "roles: [extender]\n" EXTENDER_MODEL
	                             "kubernetes: {kubeconfig: \"@DIR@/config\"}\n"
	                             "decide: {maxAge: 1h, ledger: off}\n");
	daemon_signal(&c->extender, SIGHUP);
	assert_true(daemon_wait_log(&c->extender, from, "reload applied"));
	want_filtered(c, false, false);
	for (int64_t began_ns = km_clock_mono_ns(km_clock_system());;) {
		bool good;

		daemon_request(&c->extender, "POST", "/prioritize", ASK, &a);
		good = strcmp(a.body, "[{\"Host\":\"quiet\",\"Score\":10},{\"Host\":\"some\","
		                      "\"Score\":6},{\"Host\":\"noisy\",\"Score\":2}]") == 0;
		answer_fini(&a);
		if (good)
			break;
		assert_true(km_clock_mono_ns(km_clock_system()) - began_ns <
		            WIRE_PATIENCE_MS * KM_NS_PER_MS);
	}
}

/* ---- Prometheus ---- */

static void answer_query(void *ctx, const struct km_http_request *req, struct km_http_reply *reply)
{
	static const struct {
		const char *in, *a, *b; /* values of two nodes */
	} known[] = {
		{ "tier_info", "1", "1" },
		{ "data_age", "1", "2" },
		{ "kubemarla_node_ipc", "1.9", "0.6" },
		{ "kubemarla_node_c0_ratio", "0.5", "0.5" },
		{ "kubemarla_node_l3_miss_per_s", "1e5", "5e6" },
	};
	const char *query = km_http_query(req, "query");

	(void)ctx;
	for (size_t i = 0; query != NULL && i < KM_ARRAY_LEN(known); i++) {
		if (strstr(query, known[i].in) == NULL)
			continue;
		km_buf_printf(
			&reply->body,
			"{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":"
			"[{\"metric\":{\"node\":\"quiet\",\"stat\":\"mean\",\"tier\":\"uncore\"},"
			"\"value\":[1,\"%s\"]},{\"metric\":{\"node\":\"noisy\",\"stat\":\"mean\","
			"\"tier\":\"uncore\"},\"value\":[1,\"%s\"]}]}}",
			known[i].a, known[i].b);
		return;
	}
	km_buf_str(&reply->body,
	           "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[]}}");
}

static void refuse(void *ctx, int status, const char *message, struct km_http_reply *reply)
{
	(void)ctx;
	(void)message;
	reply->status = status;
}

static void without_kubernetes_prometheus_says_which_nodes_there_are(void **state)
{
	const struct km_server_options options = { .address = "127.0.0.1",
		                                   .body_bytes = 4096,
		                                   .connections = 16,
		                                   .request_deadline_ns = 20 * KM_NS_PER_S,
		                                   .idle_ns = 20 * KM_NS_PER_S,
		                                   .threads = 1,
		                                   .handler = answer_query,
		                                   .refuse = refuse,
		                                   .name = "prometheus" };
	struct daemon *d = *state;
	struct km_server *server;
	struct answer a;
	char yaml[512];

	assert_int_equal(km_server_start(&options, &server, NULL), 0);
	(void)snprintf(yaml, sizeof(yaml),
	               "roles: [extender]\n" EXTENDER_MODEL
	               "features: {from: prometheus, url: \"http://127.0.0.1:%u\", interval: "
	               "200ms}\n",
	               km_server_port(server));
	wire_start(d, yaml);
	assert_true(wire_wait_metric(d, "kubemarla_nodes_fresh", 2) == 2);
	daemon_request(d, "POST", "/prioritize", ASK, &a);
	assert_int_equal(a.status, 200);
	/* "some" is not known to Prometheus: neutral, and no better than the worst */
	assert_string_equal(a.body, "[{\"Host\":\"quiet\",\"Score\":3},{\"Host\":\"some\","
	                            "\"Score\":2},{\"Host\":\"noisy\",\"Score\":2}]");
	answer_fini(&a);
	daemon_request(d, "GET", "/v1/nodes", NULL, &a);
	assert_non_null(strstr(a.body, "\"name\":\"noisy\",\"tier\":\"uncore\""));
	answer_fini(&a);
	(void)km_server_free(server, 0);
	wait_metric_is(d, "kubemarla_peers{state=\"failing\"}", 1);
	daemon_request(d, "GET", "/readyz", NULL, &a);
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.body, "features: nothing from Prometheus: "));
	answer_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(its_own_agent_stands_beside_the_others, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(policies_of_file_and_api_hold_together, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(another_model_has_agents_asked_anew, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(
			without_kubernetes_prometheus_says_which_nodes_there_are, daemon_set_up,
			wire_tear_down),
	};

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): before anything runs */
	(void)unsetenv("KUBERNETES_SERVICE_HOST");
	return cmocka_run_group_tests_name("cluster sides", tests, NULL, NULL);
}

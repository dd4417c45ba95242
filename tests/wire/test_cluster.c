/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon in a cluster: the API server is a stand-in, the agents are daemons that replay traces on
 * addresses of loopback. What is asked is what kube-scheduler would ask.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/clock.h"
#include "km/base/macros.h"

#include "support/extender_case.h"
#include "support/fake_apiserver.h"

#define NODES    "/api/v1/nodes"
#define PODS     "/api/v1/pods"
#define SPACES   "/api/v1/namespaces"
#define POLICIES "/apis/kubemarla.io/v1alpha1/interferencepolicies"

#define AGENTS   2

struct cluster {
	struct fake_apiserver api;
	struct daemon extender;
	struct daemon agent[AGENTS];
	int port; /* of all agents */
};

/* A port that nobody has on any address of loopback, as far as one can know. */
static int free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

/* Agent i on 127.0.9.(i + 1); its nodes are "quiet", or "some" and "noisy". */
static void start_agent(struct cluster *c, size_t i)
{
	static const char *const nodes[AGENTS] = {
		"nodes: [{name: quiet, cpus: 0-3}]\n"
		"collect:\n  interval: 100ms\n  sources:\n"
		"  - replay: {file: \"@DIR@/quiet.csv\", node: quiet, speed: 100000}\n",
		"nodes: [{name: some, cpus: 0-3}, {name: noisy, cpus: 0-3}]\n"
		"collect:\n  interval: 100ms\n  sources:\n"
		"  - replay: {file: \"@DIR@/some.csv\", node: some, speed: 100000}\n"
		"  - replay: {file: \"@DIR@/noisy.csv\", node: noisy, speed: 100000}\n",
	};
	struct daemon *d = &c->agent[i];
	char yaml[1024];

	daemon_init(d);
	if (i == 0) {
		wire_trace(d, "quiet", "none", 1);
	} else {
		wire_trace(d, "some", "l3:2", 2);
		wire_trace(d, "noisy", "l3:4", 3);
	}
	(void)snprintf(yaml, sizeof(yaml),
	               "roles: [agent]\n%s" EXTENDER_MODEL
	               "observe: {address: 127.0.9.%zu, port: %d}\n",
	               nodes[i], i + 1, c->port);
	wire_start(d, yaml);
	wire_wait_replayed(d, i == 0 ? 1 : 2);
}

static void put_node(struct cluster *c, const char *name)
{
	char json[256];

	(void)snprintf(json, sizeof(json),
	               "{\"metadata\":{\"name\":\"%s\",\"labels\":{"
	               "\"node.kubernetes.io/instance-type\":\"m5\"}}}",
	               name);
	fake_apiserver_put(&c->api, NODES, json);
}

static void put_agent_pod(struct cluster *c, size_t i, const char *node)
{
	char json[512];

	(void)snprintf(json, sizeof(json),
	               "{\"metadata\":{\"namespace\":\"kubemarla-system\",\"name\":\"agent-%zu\","
	               "\"labels\":{\"app.kubernetes.io/name\":\"kubemarla\","
	               "\"app.kubernetes.io/component\":\"agent\"}},"
	               "\"spec\":{\"nodeName\":\"%s\"},"
	               "\"status\":{\"phase\":\"Running\",\"podIP\":\"127.0.9.%zu\"}}",
	               i, node, i + 1);
	fake_apiserver_put(&c->api, PODS, json);
}

static void put_web_pod(struct cluster *c, const char *name, const char *node)
{
	char json[512];

	(void)snprintf(json, sizeof(json),
	               "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"%s\",\"uid\":\"uid-%s\","
	               "\"labels\":{\"app\":\"web\"}},\"spec\":{\"nodeName\":\"%s\"},"
	               "\"status\":{\"phase\":\"Running\",\"startTime\":\"2026-01-01T00:00:00Z\"}}",
	               name, name, node);
	fake_apiserver_put(&c->api, PODS, json);
}

static void start_extender(struct cluster *c, const char *more)
{
	char yaml[1024];

	(void)snprintf(yaml, sizeof(yaml),
	               "roles: [extender]\n" EXTENDER_MODEL
	               "kubernetes: {kubeconfig: \"@DIR@/config\", namespace: kubemarla-system}\n"
	               "features: {interval: 200ms, port: %d}\n"
	               "decide: {maxAge: 1h, ledger: %s}\n",
	               c->port, more);
	wire_start(&c->extender, yaml);
}

static int set_up(void **state)
{
	struct cluster *c = calloc(1, sizeof(*c));
	char path[160];

	assert_non_null(c);
	c->port = free_port();
	fake_apiserver_start(&c->api);
	fake_apiserver_put(&c->api, SPACES, "{\"metadata\":{\"name\":\"shop\"}}");
	put_node(c, "quiet");
	put_node(c, "some");
	put_node(c, "noisy");
	put_node(c, "blind");
	for (size_t i = 0; i < AGENTS; i++)
		start_agent(c, i);
	put_agent_pod(c, 0, "quiet");
	put_agent_pod(c, 1, "some");
	daemon_init(&c->extender);
	(void)snprintf(path, sizeof(path), "%s/config", c->extender.dir);
	fake_apiserver_kubeconfig(&c->api, path);
	*state = c;
	return 0;
}

static int tear_down(void **state)
{
	struct cluster *c = *state;

	if (c->extender.pid != 0)
		wire_stop(&c->extender);
	else
		daemon_fini(&c->extender);
	for (size_t i = 0; i < AGENTS; i++)
		wire_stop(&c->agent[i]);
	fake_apiserver_stop(&c->api);
	free(c);
	return 0;
}

static void wait_for_agents(struct cluster *c)
{
	assert_true(wire_wait_metric(&c->extender, "kubemarla_nodes_fresh", 3) == 3);
}

#define ASK(uid, app)                                                                              \
	"{\"Pod\":{\"metadata\":{\"name\":\"p\",\"namespace\":\"shop\",\"uid\":\"" uid             \
	"\",\"labels\":{\"app\":\"" app "\"}}},\"Nodes\":null,"                                    \
	"\"NodeNames\":[\"quiet\",\"some\",\"noisy\",\"blind\"]}"
#define SLOW "\"predicted slowdown is above what the pod tolerates\""

static const struct extender_case plain = {
	"as measured by the agents",
	ASK("", "other"),
	.filter = "{\"Nodes\":null,\"NodeNames\":[\"quiet\",\"some\",\"noisy\",\"blind\"],"
		  "\"FailedNodes\":{},\"FailedAndUnresolvableNodes\":{},\"Error\":\"\"}",
	.prioritize = "[{\"Host\":\"quiet\",\"Score\":10},{\"Host\":\"some\",\"Score\":6},"
		      "{\"Host\":\"noisy\",\"Score\":2},{\"Host\":\"blind\",\"Score\":5}]",
};

static const struct extender_case by_policy = {
	"by a policy of the API",
	ASK("", "web"),
	.filter = "{\"Nodes\":null,\"NodeNames\":[\"quiet\",\"blind\"],\"FailedNodes\":{"
		  "\"some\":" SLOW ",\"noisy\":" SLOW
		  "},\"FailedAndUnresolvableNodes\":{},\"Error\":\"\"}",
	.prioritize = "[{\"Host\":\"quiet\",\"Score\":8},{\"Host\":\"some\",\"Score\":1},"
		      "{\"Host\":\"noisy\",\"Score\":0},{\"Host\":\"blind\",\"Score\":1}]",
};

/* What is known of quiet is of an agent that is gone, and no older than maxAge. */
static const struct extender_case without_blind = {
	"after a node and an agent went",
	ASK("", "other"),
	.filter = "{\"Nodes\":null,\"NodeNames\":[\"quiet\",\"some\",\"noisy\",\"blind\"],"
		  "\"FailedNodes\":{},\"FailedAndUnresolvableNodes\":{},\"Error\":\"\"}",
	.prioritize = "[{\"Host\":\"quiet\",\"Score\":10},{\"Host\":\"some\",\"Score\":6},"
		      "{\"Host\":\"noisy\",\"Score\":2},{\"Host\":\"blind\",\"Score\":5}]",
};

/* Of a gauge that may also fall. */
static void wait_metric_is(const struct daemon *d, const char *series, double want)
{
	const int64_t deadline_ns =
		km_clock_mono_ns(km_clock_system()) + WIRE_PATIENCE_MS * KM_NS_PER_MS;
	double saw = wire_metric(d, series);

	while (saw != want && km_clock_mono_ns(km_clock_system()) < deadline_ns)
		saw = wire_metric(d, series);
	if (saw != want)
		fail_msg("%s: saw %g, want %g", series, saw, want);
}

static void put_policy(struct cluster *c)
{
	fake_apiserver_put(&c->api, POLICIES,
	                   "{\"apiVersion\":\"kubemarla.io/v1alpha1\",\"kind\":"
	                   "\"InterferencePolicy\",\"metadata\":{\"namespace\":\"shop\",\"name\":"
	                   "\"strict\",\"generation\":1},\"spec\":{\"selector\":{\"matchLabels\":{"
	                   "\"app\":\"web\"}},\"mode\":\"Enforce\",\"maxSlowdown\":1.2}}");
}

static void answers_come_from_the_agents_of_the_cluster(void **state)
{
	struct cluster *c = *state;
	struct answer a;

	start_extender(c, "off");
	wait_for_agents(c);
	extender_check(&c->extender, &plain);
	assert_true(wire_metric(&c->extender, "kubemarla_peers{state=\"answering\"}") == 2);
	assert_true(wire_metric(&c->extender, "kubemarla_view_objects{kind=\"nodes\"}") == 4);
	daemon_request(&c->extender, "GET", "/readyz", NULL, &a);
	assert_int_equal(a.status, 200);
	answer_fini(&a);
	daemon_request(&c->extender, "GET", "/v1/nodes", NULL, &a);
	assert_non_null(strstr(a.body, "\"name\":\"blind\""));
	assert_non_null(strstr(a.body, "\"name\":\"noisy\""));
	answer_fini(&a);
	/* what an agent says ages when it is gone, and a node of the cluster may go */
	fake_apiserver_delete(&c->api, PODS, "kubemarla-system", "agent-0");
	fake_apiserver_delete(&c->api, NODES, NULL, "blind");
	wait_metric_is(&c->extender, "kubemarla_nodes", 3);
	wait_metric_is(&c->extender, "kubemarla_peers{state=\"answering\"}", 1);
	extender_check(&c->extender, &without_blind);
}

static void policies_of_the_api_hold_while_they_are_there(void **state)
{
	struct cluster *c = *state;

	put_policy(c);
	start_extender(c, "off");
	wait_for_agents(c);
	assert_true(wire_wait_metric(&c->extender, "kubemarla_view_feeding", 1) == 1);
	extender_check(&c->extender, &by_policy);
	extender_check(&c->extender, &plain);
	fake_apiserver_put(&c->api, POLICIES,
	                   "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"broken\","
	                   "\"generation\":1},\"spec\":{\"mode\":\"Maybe\"}}");
	assert_true(wire_wait_metric(&c->extender, "kubemarla_view_objects{kind=\"policies\"}",
	                             2) == 2);
	extender_check(&c->extender, &by_policy);
}

static void pods_that_are_there_are_known_again_after_a_restart(void **state)
{
	struct cluster *c = *state;

	start_extender(c, "on");
	wait_for_agents(c);
	put_web_pod(c, "web-1", "quiet");
	put_web_pod(c, "web-2", "some");
	/* and the agents themselves */
	assert_true(wire_wait_metric(&c->extender, "kubemarla_inflight_pods{state=\"bound\"}", 4) ==
	            4);
	daemon_signal(&c->extender, SIGKILL);
	(void)daemon_exit_code(&c->extender);
	fake_apiserver_delete(&c->api, PODS, "shop", "web-2");
	assert_true(daemon_start(&c->extender));
	assert_true(wire_wait_metric(&c->extender, "kubemarla_view_feeding", 1) == 1);
	assert_true(wire_wait_metric(&c->extender, "kubemarla_inflight_pods{state=\"bound\"}", 3) ==
	            3);
}

/* The watch is cut, and what happened meanwhile is forgotten: everything is listed anew. */
static void a_list_brings_back_what_a_cut_stream_missed(void **state)
{
	struct cluster *c = *state;

	start_extender(c, "on");
	put_web_pod(c, "web-1", "quiet");
	assert_true(wire_wait_metric(&c->extender, "kubemarla_inflight_pods{state=\"bound\"}", 3) ==
	            3);
	assert_true(fake_apiserver_wait_watches(&c->api, "/pods", 1));
	fake_apiserver_fault(&c->api,
	                     &(struct fake_fault){ .match = "/pods", .count = 2, .status = 503 });
	(void)fake_apiserver_cut(&c->api, "/pods");
	fake_apiserver_delete(&c->api, PODS, "shop", "web-1");
	put_web_pod(c, "web-3", "some");
	put_web_pod(c, "web-4", "some");
	fake_apiserver_compact(&c->api);
	assert_true(wire_wait_metric(&c->extender, "kubemarla_inflight_pods{state=\"bound\"}", 4) ==
	            4);
	assert_true(wire_metric(&c->extender, "kubemarla_view_objects{kind=\"pods\"}") == 4);
}

static void without_a_list_it_is_not_ready_and_says_why(void **state)
{
	struct cluster *c = *state;
	struct answer a;

	fake_apiserver_fault(&c->api, &(struct fake_fault){ .match = NODES, .status = 403 });
	start_extender(c, "off");
	assert_true(daemon_wait_log(&c->extender, 0, "not watching resource=nodes"));
	daemon_request(&c->extender, "GET", "/readyz", NULL, &a);
	assert_int_equal(a.status, 503);
	assert_non_null(strstr(a.body, "Kubernetes: nodes are not listed yet"));
	assert_non_null(strstr(a.body, "403"));
	answer_fini(&a);
	/* and still answers, neutrally */
	daemon_request(&c->extender, "POST", "/filter", ASK("", "other"), &a);
	assert_int_equal(a.status, 200);
	answer_fini(&a);
	fake_apiserver_clear(&c->api);
	wait_for_agents(c);
	assert_true(wire_wait_metric(&c->extender, "kubemarla_view_feeding", 1) == 1);
	daemon_request(&c->extender, "GET", "/readyz", NULL, &a);
	assert_int_equal(a.status, 200);
	answer_fini(&a);
}

static void what_cannot_be_is_refused_at_start(void **state)
{
	static const struct {
		const char *yaml, *want;
	} rows[] = {
		{ "kubernetes: {kubeconfig: /nowhere/config}\n", "/nowhere/config" },
		{ "features: {from: peers}\n", "features.from: saw peers without a Kubernetes" },
	};
	struct daemon *d = *state;

	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		wire_configure(d, rows[i].yaml);
		assert_false(daemon_start(d));
		assert_int_equal(daemon_exit_code(d), 1);
		if (strstr(d->text, rows[i].want) == NULL)
			fail_msg("want \"%s\" in:\n%s", rows[i].want, d->text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers_come_from_the_agents_of_the_cluster, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(policies_of_the_api_hold_while_they_are_there,
		                                set_up, tear_down),
		cmocka_unit_test_setup_teardown(pods_that_are_there_are_known_again_after_a_restart,
		                                set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_list_brings_back_what_a_cut_stream_missed, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(without_a_list_it_is_not_ready_and_says_why, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_is_refused_at_start, daemon_set_up,
		                                daemon_tear_down),
	};

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): before anything runs */
	(void)unsetenv("KUBERNETES_SERVICE_HOST");
	return cmocka_run_group_tests_name("cluster", tests, NULL, NULL);
}

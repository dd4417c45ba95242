/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon in a cluster: the API server is a stand-in, the agents are daemons that replay traces on
 * addresses of loopback. What is asked is what kube-scheduler would ask.
 */
#include <signal.h>

#include "support/cluster_world.h"

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

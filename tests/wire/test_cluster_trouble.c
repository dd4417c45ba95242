/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon with the roles extender and controller beside an API server, a stand-in, that is in
 * trouble: what goes on without it, what says so, and that a stop waits for nobody.
 */
#include <signal.h>

#include "support/cluster_world.h"

#define CRD_IS_ABSENT                                                                              \
	{                                                                                          \
		.match = POLICIES, .status = 404, .body = "404 page not found\n"                   \
	}

static const char *const resources[] = { NODES, PODS, SPACES, POLICIES };

static const char strict[] =
	"{\"apiVersion\":\"kubemarla.io/v1alpha1\",\"kind\":\"InterferencePolicy\",\"metadata\":{"
	"\"namespace\":\"shop\",\"name\":\"strict\",\"generation\":1},\"spec\":{\"selector\":{"
	"\"matchLabels\":{\"app\":\"web\"}},\"mode\":\"Enforce\",\"maxSlowdown\":1.2}}";

static void start_all(struct cluster *c)
{
	char yaml[1024];

	(void)snprintf(yaml, sizeof(yaml),
	               "roles: [extender, controller]\n" EXTENDER_MODEL
	               "kubernetes: {kubeconfig: \"@DIR@/config\", namespace: kubemarla-system}\n"
	               "features: {interval: 200ms, port: %d}\n"
	               "decide: {maxAge: 1h}\n"
	               "controller: {interval: 1s, queryInterval: 1s, prometheus: "
	               "\"http://127.0.0.1:1\"}\n",
	               c->port);
	wire_start(&c->extender, yaml);
}

/* The answer to /readyz has each of the texts; "" is in all. */
static void readyz_says(struct cluster *c, int status, const char *one, const char *other)
{
	struct answer a;

	daemon_request(&c->extender, "GET", "/readyz", NULL, &a);
	if (a.status != status || strstr(a.body, one) == NULL || strstr(a.body, other) == NULL)
		fail_msg("saw %d %s, want %d \"%s\" \"%s\"", a.status, a.body, status, one, other);
	answer_fini(&a);
}

static void a_crd_is_picked_up_when_it_appears(void **state)
{
	const struct fake_fault absent = CRD_IS_ABSENT;
	struct cluster *c = *state;

	fake_apiserver_fault(&c->api, &absent);
	start_all(c);
	wait_for_agents(c);
	assert_true(wire_wait_metric(&c->extender, "kubemarla_view_feeding", 1) == 1);
	readyz_says(c, 200, "Kubernetes: policies are not listed yet", "404");
	fake_apiserver_clear(&c->api);
	fake_apiserver_put(&c->api, POLICIES, strict);
	assert_true(fake_apiserver_wait_requests(
		&c->api, "PATCH /apis/kubemarla.io/v1alpha1/namespaces/shop/", 1));
}

/* Each in turn: missing rights for one resource leave the others alone. */
static void one_resource_that_is_refused_is_named(void **state)
{
	static const char *const names[] = { "nodes", "pods", "namespaces", "policies" };
	struct cluster *c = *state;
	bool more = false;

	for (size_t i = 0; i < KM_ARRAY_LEN(resources); i++) {
		char want[96];

		if (more)
			wire_stop(&c->extender);
		else
			daemon_fini(&c->extender);
		more = true;
		daemon_init(&c->extender);
		(void)snprintf(want, sizeof(want), "%s/config", c->extender.dir);
		fake_apiserver_kubeconfig(&c->api, want);
		fake_apiserver_fault(&c->api,
		                     &(struct fake_fault){ .match = resources[i], .status = 403 });
		start_all(c);
		(void)snprintf(want, sizeof(want), "%s are not listed yet: GET %s", names[i],
		               resources[i]);
		for (size_t k = 0; k < KM_ARRAY_LEN(resources); k++)
			assert_true(k == i ||
			            fake_apiserver_wait_watches(&c->api, resources[k], 1));
		assert_true(daemon_wait_log(&c->extender, 0, "not watching resource="));
		if (i >= 2)
			assert_true(wire_wait_metric(&c->extender, "kubemarla_view_feeding", 1) ==
			            1);
		readyz_says(c, i < 2 ? 503 : 200, want, "403");
		fake_apiserver_clear(&c->api);
	}
}

/* A Prometheus that is not there, and an agent. */
static void who_does_not_answer_is_named(void **state)
{
	struct cluster *c = *state;

	fake_apiserver_put(&c->api, SPACES,
	                   "{\"metadata\":{\"name\":\"shop\",\"labels\":{\"kubemarla.io/"
	                   "trusted\":\"true\"}}}");
	fake_apiserver_put(&c->api, POLICIES,
	                   "{\"apiVersion\":\"kubemarla.io/v1alpha1\",\"kind\":"
	                   "\"InterferencePolicy\",\"metadata\":{\"namespace\":\"shop\",\"name\":"
	                   "\"asks\",\"generation\":1},\"spec\":{\"selector\":{},\"workload\":{"
	                   "\"rpsQuery\":\"up\"}}}");
	put_agent_pod(c, AGENTS, "blind"); /* nobody has its address */
	start_all(c);
	wait_for_agents(c);
	wait_metric_is(&c->extender, "kubemarla_peers{state=\"failing\"}", 1);
	assert_true(wire_wait_metric(&c->extender,
	                             "kubemarla_controller_queries_total{result=\"failed\"}",
	                             1) >= 1);
	readyz_says(c, 200, "queries of policies: 1 without an answer: ",
	            "features: nothing from 1 of 3 agents, last: ");
}

static void a_reload_in_the_middle_of_the_first_list_is_no_trouble(void **state)
{
	struct cluster *c = *state;

	fake_apiserver_put(&c->api, POLICIES, strict);
	fake_apiserver_fault(&c->api,
	                     &(struct fake_fault){ .match = PODS, .hang = true, .cut_after = 100 });
	start_all(c);
	assert_true(fake_apiserver_wait_requests(&c->api, PODS, 1));
	for (int i = 1; i <= 3; i++) {
		daemon_signal(&c->extender, SIGHUP);
		assert_true(wire_wait_metric(&c->extender,
		                             "kubemarla_reloads_total{result=\"applied\"}",
		                             i) == i);
	}
	readyz_says(c, 503, "pods are not listed yet", "");
}

static void a_stop_waits_for_no_server(void **state)
{
	struct cluster *c = *state;

	fake_apiserver_fault(&c->api, &(struct fake_fault){ .match = "", .hang = true });
	start_all(c);
	for (size_t i = 0; i < KM_ARRAY_LEN(resources); i++)
		assert_true(fake_apiserver_wait_requests(&c->api, resources[i], 1));
	assert_true(fake_apiserver_wait_requests(&c->api, "/leases/", 1));
	readyz_says(c, 503, "nodes are not listed yet", "nobody is known to hold the Lease");
	/* the end is tear_down's: it fails unless the daemon exits with 0 */
}

/* Another may lead at once, whoever still waits for an answer here. */
static void the_lease_is_let_go_beside_requests_in_progress(void **state)
{
	static const char half[] =
		"POST /filter HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{";
	struct cluster *c = *state;
	char *body = NULL;
	char byte;
	int fd;

	start_all(c);
	assert_true(wire_wait_metric(&c->extender, "kubemarla_controller_leader", 1) == 1);
	fd = daemon_connect(&c->extender);
	assert_true(wire_send(fd, half, sizeof(half) - 1));
	readyz_says(c, 200, "", ""); /* by now it was read */
	daemon_signal(&c->extender, SIGTERM);
	assert_true(daemon_wait_log(&c->extender, 0, "lease released"));
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1); /* neither answered nor closed */
	close(fd);
	assert_int_equal(daemon_exit_code(&c->extender), 0);
	body = fake_apiserver_last_body(&c->api, "PUT ");
	assert_non_null(strstr(body, "\"holderIdentity\":\"\""));
	free(body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_crd_is_picked_up_when_it_appears, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(one_resource_that_is_refused_is_named, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(who_does_not_answer_is_named, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_reload_in_the_middle_of_the_first_list_is_no_trouble, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_lease_is_let_go_beside_requests_in_progress,
		                                set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stop_waits_for_no_server, set_up, tear_down),
	};

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): before anything runs */
	(void)unsetenv("KUBERNETES_SERVICE_HOST");
	return cmocka_run_group_tests_name("cluster trouble", tests, NULL, NULL);
}

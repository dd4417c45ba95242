/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `kubemarla doctor --cluster` against a fake API server that says what a well installation would,
 * and then what one with a planted mistake would. It proves what doctor makes of answers, not that
 * a real API server gives them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"

#include "support/doctor_world.h"
#include "support/tool.h"

static int set_up(void **state)
{
	(void)state;
	tree_init(&well.tree);
	fake_apiserver_start(&well.server);
	(void)snprintf(well.kubeconfig, sizeof(well.kubeconfig), "%s/kubeconfig", well.tree.root);
	fake_apiserver_kubeconfig(&well.server, well.kubeconfig);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_apiserver_stop(&well.server);
	tree_fini(&well.tree);
	return 0;
}

static void doctor(struct tool_result *r)
{
	tool_run((const char *[]){ "doctor", "--cluster", "--kubeconfig", well.kubeconfig, NULL },
	         NULL, 0, r);
}

/* ---- planted mistakes ------------------------------------------------------------------------ */

static void no_crd(void)
{
	well_refuse("GET " GROUP, 0, 404);
}

static void other_crd(void)
{
	well_refuse("GET " GROUP "/v1alpha1", 0, 404);
	well_say("GET " GROUP, 0, "{\"preferredVersion\":{\"version\":\"v1\"}}");
}

static void crd_without_status(void)
{
	well_say("GET " GROUP, 0, "{\"resources\":[{\"name\":\"interferencepolicies\"}]}");
}

static void no_right_to_patch_nodes(void)
{
	well_say(REVIEWS, 4, "{\"status\":{\"allowed\":true}}");
	well_say(REVIEWS, 1, "{\"status\":{\"allowed\":false}}");
}

static void no_rights_of_doctor(void)
{
	well_refuse(REVIEWS, 0, 403);
}

static void no_right_to_look(void)
{
	well_refuse("GET " NODES, 0, 403);
}

static void no_deployment(void)
{
	(void)fake_apiserver_delete(&well.server, DEPLOYMENTS, NS, "kubemarla-scheduler");
}

static void nobody_ready(void)
{
	well_put_deployment("", "", "", 0);
}

static void one_ready(void)
{
	well_put_deployment("", "", "", 1);
}

static void proxy(void)
{
	well_put_deployment("{\"name\":\"HTTP_PROXY\",\"value\":\"http://proxy:3128\"}", "", "", 2);
}

static void proxy_beyond_loopback(void)
{
	well_put_deployment("{\"name\":\"https_proxy\",\"value\":\"http://proxy:3128\"}", "", "",
	                    2);
	well_put_scheduler_config("http://127.0.0.1:9191", "http://10.0.0.7:9191");
}

static void proxy_with_exception(void)
{
	well_put_deployment("{\"name\":\"https_proxy\",\"value\":\"http://proxy:3128\"},"
	                    "{\"name\":\"NO_PROXY\",\"value\":\"10.0.0.0, .example.org\"}",
	                    "", "", 2);
	well_put_scheduler_config("http://127.0.0.1:9191", "http://extender.example.org:9191");
}

static void our_proxy(void)
{
	well_put_deployment("", "{\"name\":\"ALL_PROXY\",\"value\":\"socks5://proxy\"}", "", 2);
}

static void batching(void)
{
	well_put_deployment("", "", "", 2);
}

static void no_scheduler_config(void)
{
	(void)fake_apiserver_delete(&well.server, CONFIG_MAPS, NS, "kubemarla-scheduler-config");
}

static void not_cache_capable(void)
{
	well_put_scheduler_config("nodeCacheCapable: true", "nodeCacheCapable: false");
}

static void other_port(void)
{
	well_put_our_config("port: 9191", "port: 9199");
}

static void bad_config_of_ours(void)
{
	well_put_our_config("decide:", "decided:");
}

static void shared_lease(void)
{
	well_put_scheduler_config(
		"  resourceNamespace: kubemarla-system\n  resourceName: kubemarla-scheduler\n", "");
}

static void no_lease(void)
{
	(void)fake_apiserver_delete(&well.server, LEASES, NS, "kubemarla-scheduler");
}

static void dead_lease(void)
{
	well_put_lease("kubemarla-controller", "kubemarla-scheduler-1", 600);
}

static void free_lease(void)
{
	well_put_lease("kubemarla-controller", "", 2);
}

static void no_agents(void)
{
	(void)fake_apiserver_delete(&well.server, PODS, NS, "agent-a");
	(void)fake_apiserver_delete(&well.server, PODS, NS, "agent-b");
}

static void agent_not_ready(void)
{
	well_put_agent('b', false);
}

static void agent_without_data(void)
{
	well_say_features('b', "none", "");
}

static void agent_without_counters(void)
{
	well_say_features('b', "os", "");
}

/* Another agent speaks for both nodes, with counters, as in overlays/minikube. */
static void agent_for_two_nodes(void)
{
	well_say_features('b', "os", "");
	well_say("/pods/agent-a:9192/proxy", 0,
	         "{\"sources\":[],\"nodes\":[{\"name\":\"node-a\",\"tier\":\"core\",\"ageSeconds\":"
	         "1},"
	         "{\"name\":\"node-b\",\"tier\":\"core\",\"ageSeconds\":1.5}]}");
}

static void agent_that_hangs(void)
{
	well_say("/pods/agent-b:9192/proxy", 0,
	         "{\"sources\":[],\"nodes\":[{\"name\":\"node-b\",\"tier\":\"core\","
	         "\"ageSeconds\":300.5}]}");
}

static void agents_out_of_reach(void)
{
	well_refuse("9192/proxy", 0, 503);
}

static void agents_with_tls(void)
{
	well_put_agent_config("port: 9191}\nobserve: {address: 0.0.0.0, port: 9192}",
	                      "port: 9191, tls: {cert: /none/crt, key: /none/key}}\n"
	                      "observe: {address: 0.0.0.0, port: 9192, tls: true}");
	well_refuse("9192/proxy", 0, 503);
}

static void bad_config_of_agents(void)
{
	well_put_agent_config("roles:", "rules:");
}

static void agent_without_libpcm(void)
{
	well_say_features(
		'b', "core",
		"{\"source\":\"pcm\",\"state\":\"absent\",\"detail\":\"libpcm.so: no such\"}");
}

static void agent_without_role(void)
{
	well_refuse("/pods/agent-b:9192/proxy", 0, 404);
}

static void node_without_agent(void)
{
	well_put_node('z');
}

static void each_planted_mistake_is_found(void **state)
{
	static const struct {
		void (*plant)(void);
		int code;
		const char *level, *about, *seen;
	} rows[] = {
		{ no_crd, 1, "error", "CRD interferencepolicies", "absent" },
		{ other_crd, 1, "error", "CRD interferencepolicies", "another version: v1" },
		{ crd_without_status, 1, "error", "CRD interferencepolicies", "without status" },
		{ no_right_to_patch_nodes, 1, "error", "rights: patch nodes", "not allowed" },
		{ no_rights_of_doctor, 0, "note", "rights", "whoever runs doctor" },
		{ no_right_to_look, 1, "warning", "nodes", "403" },
		{ no_deployment, 1, "error", "Deployment kubemarla-scheduler", "absent" },
		{ nobody_ready, 1, "error", "Deployment kubemarla-scheduler", "0 of 2 ready" },
		{ one_ready, 1, "warning", "Deployment kubemarla-scheduler", "1 of 2 ready" },
		{ proxy, 1, "warning", "env of kube-scheduler", "HTTP_PROXY=http://proxy:3128" },
		{ proxy_beyond_loopback, 1, "error", "env of kube-scheduler", "go to the proxy" },
		{ proxy_with_exception, 1, "warning", "urlPrefix", "pods travel unprotected" },
		{ our_proxy, 0, "note", "env of kubemarlad", "does not use" },
		{ batching, 0, "note", "OpportunisticBatching", "1.36" },
		{ no_scheduler_config, 1, "error", "ConfigMap kubemarla-scheduler-config",
		  "absent" },
		{ not_cache_capable, 1, "error", "extenders[0].nodeCacheCapable", "false" },
		{ other_port, 1, "error", "extenders[0].urlPrefix", "port 9199" },
		{ bad_config_of_ours, 1, "error", "ConfigMap kubemarla-config", "decided" },
		{ shared_lease, 1, "error", "leaderElection", "never leads" },
		{ no_lease, 1, "warning", "Lease kubemarla-system/kubemarla-scheduler",
		  "has led yet" },
		{ dead_lease, 1, "error", "Lease kubemarla-system/kubemarla-controller",
		  "not renewed" },
		{ free_lease, 1, "error", "Lease kubemarla-system/kubemarla-controller",
		  "nobody holds" },
		{ no_agents, 1, "error", "agents", "none in namespace" },
		{ agent_not_ready, 1, "warning", "agents", "1 of 2 not ready" },
		{ agent_without_data, 1, "error", "agents: data", "none of 1 nodes" },
		{ agent_without_counters, 1, "warning", "agents: tier", "1 nodes with tier os" },
		{ agent_without_libpcm, 0, "note", "agents: libpcm", "the first node-b" },
		{ agent_for_two_nodes, 0, "note", "agents: tiers", "core 2, os 0" },
		{ agent_that_hangs, 1, "error", "agents: age",
		  "stale of 1 nodes, the first node-b" },
		{ agents_out_of_reach, 1, "warning", "agents: answers", "none of 2 in a row" },
		{ agents_with_tls, 0, "note", "agents: answers", "not asked: observe.tls" },
		{ bad_config_of_agents, 1, "error", "ConfigMap kubemarla-agent-config", "rules" },
		{ agent_without_role, 1, "error", "agent on node-b", "404" },
		{ node_without_agent, 1, "warning", "nodes", "1 of 3 without one" },
	};
	struct tool_result r;

	(void)state;
	tool_result_init(&r);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		char head[128];
		const char *at;

		fake_apiserver_clear(&well.server);
		well_put();
		rows[i].plant();
		well_say_the_rest();
		doctor(&r);
		(void)snprintf(head, sizeof(head), "%-8s ", rows[i].level);
		at = strstr(r.out.data, head);
		if (at == NULL || strstr(at, rows[i].about) == NULL ||
		    strstr(at, rows[i].seen) == NULL || r.code != rows[i].code)
			fail_msg("row %zu: code %d, want %s %s: %s\n%s%s", i, r.code, rows[i].level,
			         rows[i].about, rows[i].seen, r.out.data, r.err.data);
		(void)fake_apiserver_delete(&well.server, NODES, NULL, "node-z");
	}
	tool_result_fini(&r);
}

static void a_well_installation_has_no_findings_but_its_tiers(void **state)
{
	struct tool_result r;
	char *body;

	(void)state;
	tool_result_init(&r);
	fake_apiserver_clear(&well.server);
	well_put();
	well_say_the_rest();
	doctor(&r);
	tool_want_code(&r, 0);
	tool_want_text(r.out.data, "uncore 1, core 1, os 0, none 0 nodes");
	tool_want_text(r.out.data, "0 errors, 0 warnings, 1 notes");
	body = fake_apiserver_last_body(&well.server, REVIEWS);
	tool_want_text(body, "\"user\":\"system:serviceaccount:" NS ":kubemarla-scheduler\"");
	tool_want_text(body, "\"name\":\"kubemarla-scheduler\",\"namespace\":\"" NS "\"");
	free(body);
	tool_result_fini(&r);
}

static void an_api_server_that_is_not_there_is_an_error(void **state)
{
	struct tool_result r;

	(void)state;
	tool_result_init(&r);
	fake_apiserver_clear(&well.server);
	well_refuse("GET /version", 0, 503);
	doctor(&r);
	tool_want_code(&r, 1);
	tool_want_text(r.out.data, "error    API server");
	tool_want_text(r.out.data, "1 errors, 0 warnings");
	tool_result_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_well_installation_has_no_findings_but_its_tiers),
		cmocka_unit_test(each_planted_mistake_is_found),
		cmocka_unit_test(an_api_server_that_is_not_there_is_an_error),
	};

	return cmocka_run_group_tests_name("doctor on a cluster", tests, set_up, tear_down);
}

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
#include <time.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/base/macros.h"
#include "km/wire/json.h"
#include "km/wire/kube_objects.h"

#include "support/fake_apiserver.h"
#include "support/tool.h"
#include "support/tree.h"

#define NS           "kubemarla-system"
#define DEPLOYMENTS  "/apis/apps/v1/deployments"
#define CONFIG_MAPS  "/api/v1/configmaps"
#define LEASES       "/apis/coordination.k8s.io/v1/leases"
#define PODS         "/api/v1/pods"
#define NODES        "/api/v1/nodes"
#define REVIEWS      "POST /apis/authorization.k8s.io/v1/subjectaccessreviews"
#define SELF_REVIEWS "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
#define GROUP        "/apis/kubemarla.io"
#define FEATURES     "/pods/agent-%c:9192/proxy/v1/features"

static struct {
	struct fake_apiserver server;
	struct tree tree;
	char kubeconfig[96];
} world;

/* ---- a well installation --------------------------------------------------------------------- */

static void say(const char *match, unsigned count, const char *body)
{
	fake_apiserver_fault(&world.server,
	                     &(struct fake_fault){ .match = match, .count = count, .body = body });
}

static void refuse(const char *match, unsigned count, int status)
{
	fake_apiserver_fault(
		&world.server,
		&(struct fake_fault){ .match = match, .count = count, .status = status });
}

static void put_deployment(const char *scheduler_env, const char *our_env, const char *command,
                           int ready)
{
	char json[2048];

	(void)snprintf(json, sizeof(json),
	               "{\"metadata\":{\"namespace\":\"" NS "\",\"name\":\"kubemarla-scheduler\"},"
	               "\"spec\":{\"replicas\":2,\"template\":{\"spec\":{\"containers\":["
	               "{\"name\":\"kube-scheduler\",\"image\":\"registry.k8s.io/kube-scheduler:v1."
	               "36.3\",\"command\":[\"kube-scheduler\"%s],\"env\":[%s]},"
	               "{\"name\":\"kubemarlad\",\"image\":\"kubemarla\",\"env\":[%s]}]}}},"
	               "\"status\":{\"readyReplicas\":%d}}",
	               command, scheduler_env, our_env, ready);
	fake_apiserver_put(&world.server, DEPLOYMENTS, json);
}

/* A file of deploy/ as a ConfigMap, with `from` replaced. */
static void put_config(const char *map, const char *key, const char *path, const char *from,
                       const char *to)
{
	struct km_err err = { .code = 0 };
	struct km_buf file;
	struct km_buf text;
	struct km_buf json;
	struct km_json j;
	const char *at;

	km_buf_init(&file);
	km_buf_init(&text);
	km_buf_init(&json);
	if (km_file_read(path, 1 << 20, &file, &err) != 0)
		fail_msg("%s", err.text);
	at = strstr(km_buf_cstr(&file), from);
	if (at == NULL)
		fail_msg("no \"%s\" in %s", from, path);
	km_buf_append(&text, file.data, (size_t)(at - file.data));
	km_buf_str(&text, to);
	km_buf_str(&text, at + strlen(from));
	j = km_json_to(&json);
	km_json_begin(&j, '{');
	km_json_key(&j, "metadata");
	km_json_begin(&j, '{');
	km_json_put_string(&j, "namespace", NS);
	km_json_put_string(&j, "name", map);
	km_json_end(&j, '}');
	km_json_key(&j, "data");
	km_json_begin(&j, '{');
	km_json_put_string(&j, key, km_buf_cstr(&text));
	km_json_end(&j, '}');
	km_json_end(&j, '}');
	fake_apiserver_put(&world.server, CONFIG_MAPS, km_buf_cstr(&json));
	km_buf_fini(&file);
	km_buf_fini(&text);
	km_buf_fini(&json);
}

static void put_scheduler_config(const char *from, const char *to)
{
	put_config("kubemarla-scheduler-config", "scheduler-config.yaml",
	           "deploy/base/scheduler/scheduler-config.yaml", from, to);
}

static void put_our_config(const char *from, const char *to)
{
	put_config("kubemarla-config", "kubemarla.yaml", "deploy/base/scheduler/kubemarla.yaml",
	           from, to);
}

static void put_lease(const char *name, const char *holder, int age_s)
{
	char renewed[KM_KUBE_TIME_MAX];
	char json[512];

	km_kube_time_format(((int64_t)time(NULL) - age_s) * 1000000000, true, renewed);
	(void)snprintf(
		json, sizeof(json),
		"{\"metadata\":{\"namespace\":\"" NS "\",\"name\":\"%s\"},\"spec\":{"
		"\"holderIdentity\":\"%s\",\"leaseDurationSeconds\":15,\"renewTime\":\"%s\"}}",
		name, holder, renewed);
	fake_apiserver_put(&world.server, LEASES, json);
}

static void put_agent(char letter, bool ready)
{
	char json[512];

	(void)snprintf(json, sizeof(json),
	               "{\"metadata\":{\"namespace\":\"" NS "\",\"name\":\"agent-%c\",\"labels\":{"
	               "\"app.kubernetes.io/name\":\"kubemarla\",\"app.kubernetes.io/component\":"
	               "\"agent\"}},\"spec\":{\"nodeName\":\"node-%c\"},\"status\":{\"conditions\":"
	               "[{\"type\":\"Ready\",\"status\":\"%s\"}]}}",
	               letter, letter, ready ? "True" : "False");
	fake_apiserver_put(&world.server, PODS, json);
}

static void say_features(char letter, const char *tier, const char *source)
{
	char match[64];
	char body[512];

	(void)snprintf(match, sizeof(match), FEATURES, letter);
	(void)snprintf(body, sizeof(body),
	               "{\"windowSeconds\":60,\"sources\":[%s],\"nodes\":[{\"name\":\"node-%c\","
	               "\"tier\":\"%s\",\"ageSeconds\":1}]}",
	               source, letter, tier);
	say(match, 0, body);
}

static void put_node(char letter)
{
	char json[128];

	(void)snprintf(json, sizeof(json), "{\"metadata\":{\"name\":\"node-%c\"}}", letter);
	fake_apiserver_put(&world.server, NODES, json);
}

/* Faults are asked in the order they were given: a planted one comes before. */
static void say_the_rest(void)
{
	say("GET /version", 0, "{\"major\":\"1\",\"minor\":\"36\"}");
	say(GROUP "/v1alpha1", 0,
	    "{\"resources\":[{\"name\":\"interferencepolicies\"},"
	    "{\"name\":\"interferencepolicies/status\"}]}");
	say(REVIEWS, 0, "{\"status\":{\"allowed\":true}}");
	say(SELF_REVIEWS, 0, "{\"status\":{\"allowed\":true}}");
	say_features('a', "core", "");
	say_features('b', "uncore", "");
}

static void put_well(void)
{
	put_deployment("", "", ",\"--feature-gates=OpportunisticBatching=false\"", 2);
	put_scheduler_config("weight: 10", "weight: 10");
	put_our_config("maxAge: 15s", "maxAge: 15s");
	put_lease("kubemarla-scheduler", "kubemarla-scheduler-1_x", 2);
	put_lease("kubemarla-controller", "kubemarla-scheduler-1", 2);
	for (int letter = 'a'; letter <= 'b'; letter++) {
		put_agent((char)letter, true);
		put_node((char)letter);
	}
}

static int set_up(void **state)
{
	(void)state;
	tree_init(&world.tree);
	fake_apiserver_start(&world.server);
	(void)snprintf(world.kubeconfig, sizeof(world.kubeconfig), "%s/kubeconfig",
	               world.tree.root);
	fake_apiserver_kubeconfig(&world.server, world.kubeconfig);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_apiserver_stop(&world.server);
	tree_fini(&world.tree);
	return 0;
}

static void doctor(struct tool_result *r)
{
	tool_run((const char *[]){ "doctor", "--cluster", "--kubeconfig", world.kubeconfig, NULL },
	         NULL, 0, r);
}

/* ---- planted mistakes ------------------------------------------------------------------------ */

static void no_crd(void)
{
	refuse("GET " GROUP, 0, 404);
}

static void other_crd(void)
{
	refuse("GET " GROUP "/v1alpha1", 0, 404);
	say("GET " GROUP, 0, "{\"preferredVersion\":{\"version\":\"v1\"}}");
}

static void crd_without_status(void)
{
	say("GET " GROUP, 0, "{\"resources\":[{\"name\":\"interferencepolicies\"}]}");
}

static void no_right_to_patch_nodes(void)
{
	say(REVIEWS, 4, "{\"status\":{\"allowed\":true}}");
	say(REVIEWS, 1, "{\"status\":{\"allowed\":false}}");
}

static void no_rights_of_doctor(void)
{
	refuse(REVIEWS, 0, 403);
}

static void no_right_to_look(void)
{
	refuse("GET " NODES, 0, 403);
}

static void no_deployment(void)
{
	(void)fake_apiserver_delete(&world.server, DEPLOYMENTS, NS, "kubemarla-scheduler");
}

static void nobody_ready(void)
{
	put_deployment("", "", "", 0);
}

static void one_ready(void)
{
	put_deployment("", "", "", 1);
}

static void proxy(void)
{
	put_deployment("{\"name\":\"HTTP_PROXY\",\"value\":\"http://proxy:3128\"}", "", "", 2);
}

static void proxy_beyond_loopback(void)
{
	put_deployment("{\"name\":\"https_proxy\",\"value\":\"http://proxy:3128\"}", "", "", 2);
	put_scheduler_config("http://127.0.0.1:9191", "http://10.0.0.7:9191");
}

static void our_proxy(void)
{
	put_deployment("", "{\"name\":\"ALL_PROXY\",\"value\":\"socks5://proxy\"}", "", 2);
}

static void batching(void)
{
	put_deployment("", "", "", 2);
}

static void no_scheduler_config(void)
{
	(void)fake_apiserver_delete(&world.server, CONFIG_MAPS, NS, "kubemarla-scheduler-config");
}

static void not_cache_capable(void)
{
	put_scheduler_config("nodeCacheCapable: true", "nodeCacheCapable: false");
}

static void other_port(void)
{
	put_our_config("port: 9191", "port: 9199");
}

static void bad_config_of_ours(void)
{
	put_our_config("decide:", "decided:");
}

static void shared_lease(void)
{
	put_scheduler_config(
		"  resourceNamespace: kubemarla-system\n  resourceName: kubemarla-scheduler\n", "");
}

static void no_lease(void)
{
	(void)fake_apiserver_delete(&world.server, LEASES, NS, "kubemarla-scheduler");
}

static void dead_lease(void)
{
	put_lease("kubemarla-controller", "kubemarla-scheduler-1", 600);
}

static void free_lease(void)
{
	put_lease("kubemarla-controller", "", 2);
}

static void no_agents(void)
{
	(void)fake_apiserver_delete(&world.server, PODS, NS, "agent-a");
	(void)fake_apiserver_delete(&world.server, PODS, NS, "agent-b");
}

static void agent_not_ready(void)
{
	put_agent('b', false);
}

static void agent_without_data(void)
{
	say_features('b', "none", "");
}

static void agent_without_counters(void)
{
	say_features('b', "os", "");
}

static void agent_without_libpcm(void)
{
	say_features('b', "core",
	             "{\"source\":\"pcm\",\"state\":\"absent\",\"detail\":\"libpcm.so: no such\"}");
}

static void agent_without_role(void)
{
	refuse("/pods/agent-b:9192/proxy", 0, 404);
}

static void node_without_agent(void)
{
	put_node('z');
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
		{ agent_without_role, 1, "error", "agent on node-b", "404" },
		{ node_without_agent, 1, "warning", "nodes", "1 of 3 without one" },
	};
	struct tool_result r;

	(void)state;
	tool_result_init(&r);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		char head[128];
		const char *at;

		fake_apiserver_clear(&world.server);
		put_well();
		rows[i].plant();
		say_the_rest();
		doctor(&r);
		(void)snprintf(head, sizeof(head), "%-8s ", rows[i].level);
		at = strstr(r.out.data, head);
		if (at == NULL || strstr(at, rows[i].about) == NULL ||
		    strstr(at, rows[i].seen) == NULL || r.code != rows[i].code)
			fail_msg("row %zu: code %d, want %s %s: %s\n%s%s", i, r.code, rows[i].level,
			         rows[i].about, rows[i].seen, r.out.data, r.err.data);
		(void)fake_apiserver_delete(&world.server, NODES, NULL, "node-z");
	}
	tool_result_fini(&r);
}

static void a_well_installation_has_no_findings_but_its_tiers(void **state)
{
	struct tool_result r;
	char *body;

	(void)state;
	tool_result_init(&r);
	fake_apiserver_clear(&world.server);
	put_well();
	say_the_rest();
	doctor(&r);
	tool_want_code(&r, 0);
	tool_want_text(r.out.data, "uncore 1, core 1, os 0, none 0 nodes");
	tool_want_text(r.out.data, "0 errors, 0 warnings, 1 notes");
	body = fake_apiserver_last_body(&world.server, REVIEWS);
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
	fake_apiserver_clear(&world.server);
	refuse("GET /version", 0, 503);
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

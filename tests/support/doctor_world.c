/* SPDX-License-Identifier: Apache-2.0 */
#include "support/doctor_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/wire/json.h"
#include "km/wire/kube_objects.h"

#define FEATURES "/pods/agent-%c:9192/proxy/v1/features"

struct doctor_world well;

void well_say(const char *match, unsigned count, const char *body)
{
	fake_apiserver_fault(&well.server,
	                     &(struct fake_fault){ .match = match, .count = count, .body = body });
}

void well_refuse(const char *match, unsigned count, int status)
{
	fake_apiserver_fault(
		&well.server,
		&(struct fake_fault){ .match = match, .count = count, .status = status });
}

void well_put_deployment(const char *scheduler_env, const char *our_env, const char *command,
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
	fake_apiserver_put(&well.server, DEPLOYMENTS, json);
}

/* A file of deploy/ as a ConfigMap, with `from` replaced. */
static void well_put_config(const char *map, const char *key, const char *path, const char *from,
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
	fake_apiserver_put(&well.server, CONFIG_MAPS, km_buf_cstr(&json));
	km_buf_fini(&file);
	km_buf_fini(&text);
	km_buf_fini(&json);
}

void well_put_scheduler_config(const char *from, const char *to)
{
	well_put_config("kubemarla-scheduler-config", "scheduler-config.yaml",
	                "deploy/base/scheduler/scheduler-config.yaml", from, to);
}

void well_put_our_config(const char *from, const char *to)
{
	well_put_config("kubemarla-config", "kubemarla.yaml",
	                "deploy/base/scheduler/kubemarla.yaml", from, to);
}

void well_put_agent_config(const char *from, const char *to)
{
	well_put_config("kubemarla-agent-config", "kubemarla.yaml",
	                "deploy/base/agent/kubemarla.yaml", from, to);
}

void well_put_lease(const char *name, const char *holder, int age_s)
{
	char renewed[KM_KUBE_TIME_MAX];
	char json[512];

	km_kube_time_format(((int64_t)time(NULL) - age_s) * 1000000000, true, renewed);
	(void)snprintf(
		json, sizeof(json),
		"{\"metadata\":{\"namespace\":\"" NS "\",\"name\":\"%s\"},\"spec\":{"
		"\"holderIdentity\":\"%s\",\"leaseDurationSeconds\":15,\"renewTime\":\"%s\"}}",
		name, holder, renewed);
	fake_apiserver_put(&well.server, LEASES, json);
}

void well_put_agent(char letter, bool ready)
{
	char json[512];

	(void)snprintf(json, sizeof(json),
	               "{\"metadata\":{\"namespace\":\"" NS "\",\"name\":\"agent-%c\",\"labels\":{"
	               "\"app.kubernetes.io/name\":\"kubemarla\",\"app.kubernetes.io/component\":"
	               "\"agent\"}},\"spec\":{\"nodeName\":\"node-%c\"},\"status\":{\"conditions\":"
	               "[{\"type\":\"Ready\",\"status\":\"%s\"}]}}",
	               letter, letter, ready ? "True" : "False");
	fake_apiserver_put(&well.server, PODS, json);
}

void well_say_features(char letter, const char *tier, const char *source)
{
	char match[64];
	char body[512];

	(void)snprintf(match, sizeof(match), FEATURES, letter);
	(void)snprintf(body, sizeof(body),
	               "{\"windowSeconds\":60,\"sources\":[%s],\"nodes\":[{\"name\":\"node-%c\","
	               "\"tier\":\"%s\",\"ageSeconds\":1}]}",
	               source, letter, tier);
	well_say(match, 0, body);
}

void well_put_node(char letter)
{
	char json[128];

	(void)snprintf(json, sizeof(json), "{\"metadata\":{\"name\":\"node-%c\"}}", letter);
	fake_apiserver_put(&well.server, NODES, json);
}

/* Faults are asked in the order they were given: a planted one comes before. */
void well_say_the_rest(void)
{
	well_say("GET /version", 0, "{\"major\":\"1\",\"minor\":\"36\"}");
	well_say(GROUP "/v1alpha1", 0,
	         "{\"resources\":[{\"name\":\"interferencepolicies\"},"
	         "{\"name\":\"interferencepolicies/status\"}]}");
	well_say(REVIEWS, 0, "{\"status\":{\"allowed\":true}}");
	well_say(SELF_REVIEWS, 0, "{\"status\":{\"allowed\":true}}");
	well_say_features('a', "core", "");
	well_say_features('b', "uncore", "");
}

void well_put(void)
{
	well_put_deployment("", "", ",\"--feature-gates=OpportunisticBatching=false\"", 2);
	well_put_scheduler_config("weight: 10", "weight: 10");
	well_put_our_config("maxAge: 15s", "maxAge: 15s");
	well_put_agent_config("interval: 1s", "interval: 1s");
	well_put_lease("kubemarla-scheduler", "kubemarla-scheduler-1_x", 2);
	well_put_lease("kubemarla-controller", "kubemarla-scheduler-1", 2);
	for (int letter = 'a'; letter <= 'b'; letter++) {
		well_put_agent((char)letter, true);
		well_put_node((char)letter);
	}
}

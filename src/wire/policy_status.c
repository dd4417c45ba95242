/* SPDX-License-Identifier: Apache-2.0 */
/* A policy's status, both ways. Read once per policy and term of leadership: cJSON will do. */
#include "km/wire/policy_status.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/wire/json.h"
#include "km/wire/kube_objects.h"
#include "km/wire/kube_write.h"
#include "km/wire/scan.h"

#define DIGITS 3

static const char *const condition_names[KM_CONDITION_N] = {
	[KM_READY] = "Ready",
	[KM_SLO_AT_RISK] = "SLOAtRisk",
	[KM_MODEL_USABLE] = "ModelUsable",
};

static const char *const statuses[] = {
	[KM_CONDITION_UNKNOWN] = "Unknown",
	[KM_CONDITION_TRUE] = "True",
	[KM_CONDITION_FALSE] = "False",
};

const char *km_condition_name(enum km_condition_type t)
{
	return condition_names[t];
}

void km_policy_status_init(struct km_policy_status *s)
{
	*s = (struct km_policy_status){ .worst_predicted = NAN, .observed = NAN };
	s->move.gain_ratio = NAN;
}

void km_policy_status_fini(struct km_policy_status *s)
{
	free(s->node);
	s->node = NULL;
	s->nodes = 0;
}

/* ---- writing ---- */

static void put_time(struct km_json *j, const char *key, int64_t unix_ns)
{
	char text[KM_TIME_TEXT_MAX];

	km_json_put_string(j, key, km_time_seconds(unix_ns, text)[0] != '\0' ? text : NULL);
}

static void put_known(struct km_json *j, const char *key, double value)
{
	if (isfinite(value))
		km_json_put_rounded(j, key, value, DIGITS);
}

static void put_nodes(struct km_json *j, const struct km_policy_status *s)
{
	km_json_key(j, "nodes");
	km_json_begin(j, '[');
	for (size_t i = 0; i < s->nodes; i++) {
		const struct km_status_node *n = &s->node[i];

		km_json_begin(j, '{');
		km_json_put_string(j, "name", n->name);
		km_json_put_integer(j, "pods", n->pods);
		put_known(j, "predictedSlowdown", n->predicted);
		put_known(j, "observedSlowdown", n->observed);
		km_json_put_string(j, "tier", km_tier_name(n->tier));
		km_json_end(j, '}');
	}
	km_json_end(j, ']');
}

static void put_conditions(struct km_json *j, const struct km_policy_status *s)
{
	km_json_key(j, "conditions");
	km_json_begin(j, '[');
	for (int i = 0; i < KM_CONDITION_N; i++) {
		const struct km_condition *c = &s->condition[i];

		if (!c->there)
			continue;
		km_json_begin(j, '{');
		km_json_put_string(j, "type", condition_names[i]);
		km_json_put_string(j, "status", statuses[c->status]);
		km_json_put_integer(j, "observedGeneration", c->observed_generation);
		put_time(j, "lastTransitionTime", c->changed_unix_ns);
		km_json_put_string(j, "reason", c->reason);
		km_json_put_string(j, "message", c->message);
		km_json_end(j, '}');
	}
	km_json_end(j, ']');
}

static void put_move(struct km_json *j, const struct km_status_move *m)
{
	km_json_key(j, "lastRebalance");
	if (!m->there) {
		km_json_raw(j, "", 0);
		return;
	}
	km_json_begin(j, '{');
	put_time(j, "time", m->unix_ns);
	km_json_put_string(j, "pod", m->pod);
	km_json_put_string(j, "fromNode", m->from);
	km_json_put_rounded(j, "gainRatio", m->gain_ratio, DIGITS);
	km_json_put_bool(j, "dryRun", m->dry_run);
	km_json_put_integer(j, "inLastHour", m->in_last_hour);
	km_json_end(j, '}');
}

void km_policy_status_encode(struct km_buf *out, const struct km_policy_status *s)
{
	struct km_json j = km_json_to(out);

	km_json_begin(&j, '{');
	km_json_key(&j, "status");
	km_json_begin(&j, '{');
	km_json_put_integer(&j, "observedGeneration", s->observed_generation);
	km_json_put_integer(&j, "matchedPods", s->matched_pods);
	km_json_put_integer(&j, "nodeCount", s->node_count);
	km_json_put_rounded(&j, "worstPredictedSlowdown", s->worst_predicted, DIGITS);
	km_json_put_rounded(&j, "observedSlowdown", s->observed, DIGITS);
	put_nodes(&j, s);
	put_conditions(&j, s);
	put_move(&j, &s->move);
	km_json_end(&j, '}');
	km_json_end(&j, '}');
}

/* ---- reading ---- */

static const cJSON *member(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

static void text_of(const cJSON *object, const char *key, char *out, size_t size)
{
	const char *text = cJSON_GetStringValue(member(object, key));
	size_t len = text != NULL ? strlen(text) : 0;

	len = len < size ? len : size - 1;
	if (len > 0)
		memcpy(out, text, len);
	out[len] = '\0';
}

static double number_of(const cJSON *object, const char *key)
{
	const cJSON *v = member(object, key);

	return cJSON_IsNumber(v) && isfinite(v->valuedouble) ? v->valuedouble : NAN;
}

/* 0 where it is none. */
static int64_t whole_of(const cJSON *object, const char *key, double max)
{
	double value = number_of(object, key);

	return value >= 0 && value <= max ? (int64_t)value : 0;
}

static int64_t time_of(const cJSON *object, const char *key)
{
	const char *text = cJSON_GetStringValue(member(object, key));
	int64_t ns = 0;

	if (text == NULL || km_kube_time_parse(text, strlen(text), &ns) != 0)
		return 0;
	return ns;
}

static int read_nodes(const cJSON *list, struct km_policy_status *s)
{
	int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
	const cJSON *one;

	if (count == 0)
		return 0;
	count = count < KM_STATUS_NODES_MAX ? count : KM_STATUS_NODES_MAX;
	s->node = calloc((size_t)count, sizeof(s->node[0]));
	if (s->node == NULL)
		return -ENOMEM;
	cJSON_ArrayForEach(one, list)
	{
		struct km_status_node *n = &s->node[s->nodes];
		char tier[16];

		if (s->nodes == (size_t)count)
			break;
		text_of(one, "name", n->name, sizeof(n->name));
		text_of(one, "tier", tier, sizeof(tier));
		n->pods = (uint32_t)whole_of(one, "pods", UINT32_MAX);
		n->predicted = number_of(one, "predictedSlowdown");
		n->observed = number_of(one, "observedSlowdown");
		n->tier = KM_TIER_NONE;
		if (km_tier_parse(tier) >= 0)
			n->tier = (enum km_tier)km_tier_parse(tier);
		s->nodes += n->name[0] != '\0';
	}
	return 0;
}

static void read_condition(const cJSON *one, struct km_policy_status *s)
{
	char type[KM_STATUS_REASON_MAX];
	char status[16];

	text_of(one, "type", type, sizeof(type));
	text_of(one, "status", status, sizeof(status));
	for (int i = 0; i < KM_CONDITION_N; i++) {
		struct km_condition *c = &s->condition[i];

		if (strcmp(type, condition_names[i]) != 0)
			continue;
		c->there = true;
		c->status = KM_CONDITION_UNKNOWN;
		for (size_t k = 0; k < KM_ARRAY_LEN(statuses); k++) {
			if (strcmp(status, statuses[k]) == 0)
				c->status = (enum km_condition_status)k;
		}
		c->observed_generation = whole_of(one, "observedGeneration", 9e15);
		c->changed_unix_ns = time_of(one, "lastTransitionTime");
		text_of(one, "reason", c->reason, sizeof(c->reason));
		text_of(one, "message", c->message, sizeof(c->message));
	}
}

static void read_move(const cJSON *m, struct km_status_move *out)
{
	if (!cJSON_IsObject(m))
		return;
	out->unix_ns = time_of(m, "time");
	text_of(m, "pod", out->pod, sizeof(out->pod));
	text_of(m, "fromNode", out->from, sizeof(out->from));
	out->gain_ratio = number_of(m, "gainRatio");
	out->dry_run = cJSON_IsTrue(member(m, "dryRun"));
	out->in_last_hour = (uint32_t)whole_of(m, "inLastHour", INT32_MAX);
	/* Written as it was read it would be refused, and the status with it. */
	out->there = out->unix_ns > 0 && isfinite(out->gain_ratio);
}

static int read_status(const cJSON *status, struct km_policy_status *s)
{
	const cJSON *one;

	if (!cJSON_IsObject(status))
		return 0;
	s->observed_generation = whole_of(status, "observedGeneration", 9e15);
	s->matched_pods = (uint32_t)whole_of(status, "matchedPods", UINT32_MAX);
	s->node_count = (uint32_t)whole_of(status, "nodeCount", UINT32_MAX);
	s->worst_predicted = number_of(status, "worstPredictedSlowdown");
	s->observed = number_of(status, "observedSlowdown");
	cJSON_ArrayForEach(one, member(status, "conditions"))
	{
		read_condition(one, s);
	}
	read_move(member(status, "lastRebalance"), &s->move);
	return read_nodes(member(status, "nodes"), s);
}

int km_policy_status_decode(const char *json, size_t len, struct km_policy_status *s)
{
	struct km_json_slice status;
	const struct km_json_want want[] = { { "status", &status } };
	struct km_scan scan;
	cJSON *tree;
	int rc;

	km_policy_status_init(s);
	km_scan_init(&scan, json, len, KM_KUBE_DEPTH_MAX, NULL);
	if (km_scan_members(&scan, want, 1, false) != 0)
		return -EINVAL;
	if (status.kind != KM_JSON_OBJECT)
		return 0;
	tree = cJSON_ParseWithLength(status.text, status.len);
	if (tree == NULL)
		return -ENOMEM; /* it is well-formed */
	rc = read_status(tree, s);
	cJSON_Delete(tree);
	if (rc != 0) {
		km_policy_status_fini(s);
		km_policy_status_init(s);
	}
	return rc;
}

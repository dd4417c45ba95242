/* SPDX-License-Identifier: Apache-2.0 */
/* A table of members for each struct of a record; writing and reading are loops over them. */
#include "km/wire/trial_record.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/wire/json.h"

#include "wire_internal.h"

#define WHOLE_MAX 9e15 /* beyond, a JSON number loses units */

enum kind { NUMBER, COUNT, LONG_COUNT, TIME, TEXT, BOOL };

struct member {
	const char *key;
	enum kind kind;
	size_t offset;
	size_t size; /* of a text */
};

#define AT(type, field, what) what, offsetof(struct type, field), sizeof(((struct type *)0)->field)

#define OF_NODE(field, what)  AT(km_trial_node, field, what)
static const struct member node_members[] = {
	{ "name", OF_NODE(name, TEXT) },
	{ "stress", OF_NODE(stress, TEXT) },
	{ "levelPercent", OF_NODE(level_pct, COUNT) },
	{ "dutyRatio", OF_NODE(duty_ratio, NUMBER) },
	{ "opsPerSecond", OF_NODE(ops_per_s, NUMBER) },
	{ "busyRatio", OF_NODE(busy_ratio, NUMBER) },
	{ "ageSeconds", OF_NODE(age_s, NUMBER) },
	{ "slowdown", OF_NODE(slowdown, NUMBER) },
	{ "low", OF_NODE(low, NUMBER) },
	{ "high", OF_NODE(high, NUMBER) },
	{ "score", OF_NODE(score, NUMBER) },
	{ "filter", OF_NODE(filter, TEXT) },
};

#define OF_USAGE(field) AT(km_run_usage, field, NUMBER)
static const struct member usage_members[] = {
	{ "seconds", OF_USAGE(seconds) },
	{ "busyCpus", OF_USAGE(busy_cpus) },
	{ "ownCpus", OF_USAGE(own_cpus) },
	{ "foreignCpus", OF_USAGE(foreign_cpus) },
	{ "targetUtilisation", OF_USAGE(target_utilisation) },
};

#define OF_LOAD(field, what) AT(km_load_result, field, what)
static const struct member load_members[] = {
	{ "generator", OF_LOAD(generator, TEXT) },
	{ "version", OF_LOAD(version, TEXT) },
	{ "openLoop", OF_LOAD(open_loop, BOOL) },
	{ "offeredRps", OF_LOAD(offered_rps, NUMBER) },
	{ "achievedRps", OF_LOAD(achieved_rps, NUMBER) },
	{ "meanMs", OF_LOAD(mean_ms, NUMBER) },
	{ "p50Ms", OF_LOAD(p50_ms, NUMBER) },
	{ "p90Ms", OF_LOAD(p90_ms, NUMBER) },
	{ "p95Ms", OF_LOAD(p95_ms, NUMBER) },
	{ "p99Ms", OF_LOAD(p99_ms, NUMBER) },
	{ "maxMs", OF_LOAD(max_ms, NUMBER) },
	{ "requests", OF_LOAD(requests, LONG_COUNT) },
	{ "errors", OF_LOAD(errors, LONG_COUNT) },
};

#define OF(field, what) AT(km_trial_record, field, what)
static const struct member record_members[] = {
	{ "repeat", OF(repeat, COUNT) },
	{ "episode", OF(episode, COUNT) },
	{ "order", OF(order, COUNT) },
	{ "attempt", OF(attempt, COUNT) },
	{ "arm", OF(arm, TEXT) },
	{ "startedUnixMs", OF(started_unix_ms, TIME) },
	{ "rps", OF(rps, NUMBER) },
	{ "windowSeconds", OF(window_s, NUMBER) },
	{ "model", OF(model, TEXT) },
	{ "asked", OF(asked, COUNT) },
	{ "failed", OF(failed, COUNT) },
	{ "neutral", OF(neutral, COUNT) },
	{ "stale", OF(stale, COUNT) },
	{ "allFiltered", OF(all_filtered, COUNT) },
	{ "trouble", OF(trouble, TEXT) },
	{ "served", OF(served, NUMBER) },
	{ "servedDifference", OF(served_difference, NUMBER) },
	{ "prometheusP99Ms", OF(prometheus_p99_ms, NUMBER) },
	{ "prometheusRps", OF(prometheus_rps, NUMBER) },
	{ "sloP99Ms", OF(slo_p99_ms, NUMBER) },
	{ "saturated", OF(saturated, BOOL) },
	{ "gate", OF(gate, TEXT) },
	{ "discarded", OF(discarded, BOOL) },
};

static void node_init(struct km_trial_node *n)
{
	*n = (struct km_trial_node){
		.duty_ratio = NAN,
		.ops_per_s = NAN,
		.busy_ratio = NAN,
		.age_s = NAN,
		.slowdown = NAN,
		.low = NAN,
		.high = NAN,
		.score = NAN,
	};
}

void km_trial_record_init(struct km_trial_record *r)
{
	const struct km_run_usage none = { NAN, NAN, NAN, NAN, NAN };

	*r = (struct km_trial_record){
		.rps = NAN,
		.window_s = NAN,
		.served = NAN,
		.served_difference = NAN,
		.prometheus_p99_ms = NAN,
		.prometheus_rps = NAN,
		.before = none,
		.during = none,
		.slo_p99_ms = NAN,
	};
	km_load_result_init(&r->load);
	for (size_t i = 0; i < KM_TRIAL_NODES_MAX; i++) {
		node_init(&r->node[i]);
	}
}

const char *km_trial_record_id(const struct km_trial_record *r, char out[KM_TRIAL_ID_MAX])
{
	if (r->episode > 0) {
		(void)snprintf(out, KM_TRIAL_ID_MAX, "r%u__e%u__%s", r->repeat, r->episode, r->arm);
	} else {
		(void)snprintf(out, KM_TRIAL_ID_MAX, "r%u__%s__%s", r->repeat, r->arm,
		               r->replicas > 0 ? r->node[r->placed[0]].name : "");
	}
	return out;
}

/* ---- writing ---- */

static void put(struct km_json *j, const struct member *member, size_t count, const void *from)
{
	for (size_t i = 0; i < count; i++) {
		const struct member *m = &member[i];
		const void *at = (const char *)from + m->offset;

		km_json_key(j, m->key);
		switch (m->kind) {
		case NUMBER:
			km_json_number(j, *(const double *)at);
			break;
		case COUNT:
			km_json_integer(j, *(const unsigned *)at);
			break;
		case LONG_COUNT:
			km_json_integer(j, (long long)*(const uint64_t *)at);
			break;
		case TIME:
			km_json_integer(j, *(const int64_t *)at);
			break;
		case TEXT:
			km_json_string(j, at);
			break;
		case BOOL:
			km_json_bool(j, *(const bool *)at);
			break;
		}
	}
}

static void put_object(struct km_json *j, const char *key, const struct member *member,
                       size_t count, const void *from)
{
	if (key != NULL) {
		km_json_key(j, key);
	}
	km_json_begin(j, '{');
	put(j, member, count, from);
	km_json_end(j, '}');
}

void km_trial_record_encode(struct km_buf *out, const struct km_trial_record *r)
{
	struct km_json j = km_json_to(out);

	km_json_begin(&j, '{');
	km_json_key(&j, "planHash");
	km_json_hash(&j, r->plan_hash);
	put(&j, record_members, KM_ARRAY_LEN(record_members), r);
	km_json_key(&j, "nodes");
	km_json_begin(&j, '[');
	for (size_t i = 0; i < r->node_count; i++) {
		put_object(&j, NULL, node_members, KM_ARRAY_LEN(node_members), &r->node[i]);
	}
	km_json_end(&j, ']');
	km_json_key(&j, "placed");
	km_json_begin(&j, '[');
	for (unsigned i = 0; i < r->replicas; i++) {
		km_json_string(&j, r->node[r->placed[i]].name);
	}
	km_json_end(&j, ']');
	put_object(&j, "load", load_members, KM_ARRAY_LEN(load_members), &r->load);
	put_object(&j, "before", usage_members, KM_ARRAY_LEN(usage_members), &r->before);
	put_object(&j, "during", usage_members, KM_ARRAY_LEN(usage_members), &r->during);
	km_json_end(&j, '}');
	km_buf_char(out, '\n');
}

/* ---- reading ---- */

static const cJSON *value_of(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* What fits, cut between characters; '?' for what is no UTF-8: written again, it stays the same. */
static void take_text(const cJSON *v, char *out, size_t size)
{
	const char *text = cJSON_GetStringValue(v);
	const char *end = text != NULL ? text + strlen(text) : NULL;
	size_t len = 0;

	while (text != end) {
		size_t bytes = km_wire_utf8_len(text, end);
		size_t step = bytes > 0 ? bytes : 1;

		if (len + step >= size) {
			break;
		}
		memcpy(out + len, bytes > 0 ? text : "?", step);
		len += step;
		text += step;
	}
	out[len] = '\0';
}

static double number_of(const cJSON *v)
{
	return cJSON_IsNumber(v) && isfinite(v->valuedouble) ? v->valuedouble : NAN;
}

/* 0 where it is no whole number from 0 to max. */
static double whole_of(const cJSON *v, double max)
{
	double value = number_of(v);

	return value >= 0 && value <= max ? floor(value) : 0;
}

static void take(const cJSON *object, const struct member *member, size_t count, void *to)
{
	for (size_t i = 0; i < count; i++) {
		const struct member *m = &member[i];
		const cJSON *v = value_of(object, m->key);
		void *at = (char *)to + m->offset;

		switch (m->kind) {
		case NUMBER:
			*(double *)at = number_of(v);
			break;
		case COUNT:
			*(unsigned *)at = (unsigned)whole_of(v, UINT32_MAX);
			break;
		case LONG_COUNT:
			*(uint64_t *)at = (uint64_t)whole_of(v, WHOLE_MAX);
			break;
		case TIME:
			*(int64_t *)at = (int64_t)whole_of(v, WHOLE_MAX);
			break;
		case TEXT:
			take_text(v, at, m->size);
			break;
		case BOOL:
			*(bool *)at = cJSON_IsTrue(v);
			break;
		}
	}
}

static int take_nodes(const cJSON *list, struct km_trial_record *r, struct km_err *err)
{
	const cJSON *one;

	cJSON_ArrayForEach(one, list)
	{
		struct km_trial_node *n = &r->node[r->node_count];

		if (r->node_count == KM_TRIAL_NODES_MAX) {
			return km_err_set(err, EBADMSG, "nodes: more than %d", KM_TRIAL_NODES_MAX);
		}
		take(one, node_members, KM_ARRAY_LEN(node_members), n);
		if (n->name[0] == '\0') {
			return km_err_set(err, EBADMSG, "nodes: one without a name");
		}
		r->node_count++;
	}
	return 0;
}

static int take_placed(const cJSON *list, struct km_trial_record *r, struct km_err *err)
{
	const cJSON *one;

	cJSON_ArrayForEach(one, list)
	{
		const char *name = cJSON_GetStringValue(one);
		size_t i = 0;

		while (name != NULL && i < r->node_count && strcmp(name, r->node[i].name) != 0) {
			i++;
		}
		if (name == NULL || i == r->node_count) {
			return km_err_set(err, EBADMSG, "placed: saw \"%.60s\", want one of nodes",
			                  name != NULL ? name : "");
		}
		if (r->replicas == KM_TRIAL_REPLICAS_MAX) {
			return km_err_set(err, EBADMSG, "placed: more than %d",
			                  KM_TRIAL_REPLICAS_MAX);
		}
		r->placed[r->replicas++] = i;
	}
	return 0;
}

static uint64_t hash_of(const cJSON *v)
{
	const char *text = cJSON_GetStringValue(v);

	return text != NULL && strlen(text) == 16 ? strtoull(text, NULL, 16) : 0;
}

static int take_record(const cJSON *tree, struct km_trial_record *r, struct km_err *err)
{
	int rc;

	r->plan_hash = hash_of(value_of(tree, "planHash"));
	take(tree, record_members, KM_ARRAY_LEN(record_members), r);
	take(value_of(tree, "load"), load_members, KM_ARRAY_LEN(load_members), &r->load);
	take(value_of(tree, "before"), usage_members, KM_ARRAY_LEN(usage_members), &r->before);
	take(value_of(tree, "during"), usage_members, KM_ARRAY_LEN(usage_members), &r->during);
	rc = take_nodes(value_of(tree, "nodes"), r, err);
	if (rc == 0) {
		rc = take_placed(value_of(tree, "placed"), r, err);
	}
	/* Of an attempt that failed there may be no more than why. */
	if (rc == 0 &&
	    (r->arm[0] == '\0' || r->repeat == 0 || (r->replicas == 0 && !r->discarded))) {
		rc = km_err_set(err, EBADMSG, "no arm, no repeat, or nothing placed");
	}
	if (rc == 0 && !(r->load.p99_ms > 0) && !r->discarded) {
		rc = km_err_set(err, EBADMSG, "load: no p99Ms");
	}
	return rc;
}

int km_trial_record_decode(const char *text, size_t len, struct km_trial_record *out,
                           struct km_err *err)
{
	cJSON *tree = cJSON_ParseWithLength(text, len);
	int rc;

	km_trial_record_init(out);
	if (!cJSON_IsObject(tree)) {
		rc = km_err_set(err, EBADMSG, "no JSON object");
	} else {
		rc = take_record(tree, out, err);
	}
	cJSON_Delete(tree);
	if (rc != 0) {
		km_trial_record_init(out);
	}
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions to slots and back. A slot is read by the process that wrote it: no format to keep. */
#include <math.h>
#include <string.h>

#include "record_internal.h"

/*
 * A slowdown in 16 bits: a double's exponent from 2^-4 on and the first 11 bits of its fraction,
 * rounded; 0 is none. No logarithm: there are a hundred of them in a decision.
 */
#define FRACTION_BITS 11
#define DROPPED_BITS  (52 - FRACTION_BITS)
#define LEAST_CODE    ((uint64_t)(1023 - 4) << FRACTION_BITS)

#define AGES_PER_S    10.0
#define IN_A_POD      100.0 /* ties share a pod in flight */
#define AGE_NEVER     UINT16_MAX

struct stored {
	uint64_t id;
	uint64_t prioritize_id;
	int64_t wall_ns;
	uint64_t model_hash;
	double rps;
	double replicas;
	double max_slowdown;
	uint32_t asked;
	uint32_t passed;
	uint32_t scored;
	uint32_t best_count;
	int16_t best;
	int16_t worst;
	uint8_t calls;
	uint8_t scale;
	uint8_t mode;
	uint8_t on_stale;
	uint8_t origin;
	uint8_t namespace_len;
	uint8_t name_len;
	uint8_t uid_len;
	uint8_t class_len;
	uint8_t policy_len;
	uint8_t count;
	struct km_recorded_reason reason[KM_REASON_N];
};
_Static_assert(sizeof(struct stored) <= KM_RECORD_SLOT_BYTES / 3, "nodes have the most of it");
_Static_assert(KM_PLACE_SCALE_MAX <= UINT8_MAX, "a scale is a byte");

struct stored_node {
	uint16_t slowdown;
	uint16_t low;
	uint16_t high;
	uint16_t scored;
	uint16_t harm_worst;
	uint16_t harm_limit;
	uint16_t in_flight;
	uint16_t age;
	int16_t score;
	uint8_t reason;
	uint8_t state;
	uint8_t tier;
	uint8_t harm_pods;
	uint8_t passes : 1;
	uint8_t unresolvable : 1;
	uint8_t front; /* bytes of the name before */
	uint8_t back;
	uint8_t middle_len;
};

static uint16_t code_of(double slowdown)
{
	uint64_t code;

	if (!(slowdown > 0)) {
		return 0;
	}
	memcpy(&code, &slowdown, sizeof(code));
	code = (code + ((uint64_t)1 << (DROPPED_BITS - 1))) >> DROPPED_BITS;
	if (code < LEAST_CODE) {
		return 1;
	}
	code -= LEAST_CODE;
	return code < UINT16_MAX ? (uint16_t)(code + 1) : UINT16_MAX;
}

static double slowdown_of(uint16_t code)
{
	uint64_t bits = (LEAST_CODE + code - 1) << DROPPED_BITS;
	double slowdown;

	memcpy(&slowdown, &bits, sizeof(slowdown));
	return code == 0 ? NAN : slowdown;
}

static uint16_t age_code(double age_s)
{
	return isnan(age_s) ? AGE_NEVER
	                    : (uint16_t)lround(fmin(fmax(age_s * AGES_PER_S, 0), AGE_NEVER - 1));
}

/* Where the next bytes of a slot go, or come from. */
struct cursor {
	unsigned char *at;
	const unsigned char *end;
};

static bool put(struct cursor *c, const void *bytes, size_t len)
{
	if ((size_t)(c->end - c->at) < len) {
		return false;
	}
	memcpy(c->at, bytes, len);
	c->at += len;
	return true;
}

/* Texts over their maximum are cut: Kubernetes has none. */
static uint8_t put_text(struct cursor *c, const char *text, size_t len)
{
	if (len > RECORD_NAME_MAX) {
		len = RECORD_NAME_MAX;
	}
	return len > 0 && put(c, text, len) ? (uint8_t)len : 0;
}

static void share(struct km_name before, struct km_name name, struct stored_node *out)
{
	uint32_t most = before.len < name.len ? before.len : name.len;
	uint32_t front = 0;
	uint32_t back = 0;

	while (front < most && before.text[front] == name.text[front]) {
		front++;
	}
	while (back < most - front &&
	       before.text[before.len - 1 - back] == name.text[name.len - 1 - back]) {
		back++;
	}
	out->front = (uint8_t)front;
	out->back = (uint8_t)back;
	out->middle_len = (uint8_t)(name.len - front - back);
}

/* returns false when there is no room. */
static bool put_node(struct cursor *c, const struct km_recorded_node *n, struct km_name before)
{
	struct stored_node s = {
		.slowdown = code_of(n->slowdown),
		.low = code_of(n->low),
		.high = code_of(n->high),
		.scored = code_of(n->scored),
		.harm_worst = code_of(n->harm_worst),
		.harm_limit = code_of(n->harm_limit),
		.in_flight = (uint16_t)lround(fmin(fmax(n->in_flight * IN_A_POD, 0), UINT16_MAX)),
		.harm_pods = n->harm_pods < UINT8_MAX ? (uint8_t)n->harm_pods : UINT8_MAX,
		.age = age_code(n->age_s),
		.score = (int16_t)n->verdict.score,
		.reason = (uint8_t)n->verdict.reason,
		.state = (uint8_t)n->state,
		.tier = (uint8_t)n->tier,
		.passes = n->verdict.passes,
		.unresolvable = n->verdict.unresolvable,
	};

	share(before, n->name, &s);
	if ((size_t)(c->end - c->at) < sizeof(s) + s.middle_len) {
		return false;
	}
	(void)put(c, &s, sizeof(s));
	if (s.middle_len > 0) {
		(void)put(c, n->name.text + s.front, s.middle_len);
	}
	return true;
}

void record_encode(const struct km_recorded *d, struct record_slot *out)
{
	struct cursor c = { out->byte + sizeof(struct stored), out->byte + sizeof(out->byte) };
	struct stored s = {
		.id = d->id,
		.prioritize_id = d->prioritize_id,
		.wall_ns = d->wall_ns,
		.model_hash = d->model_hash,
		.rps = d->workload.rps,
		.replicas = d->workload.replicas,
		.max_slowdown = d->workload.max_slowdown,
		.asked = d->asked,
		.passed = d->passed,
		.scored = d->scored,
		.best_count = d->best_count,
		.best = (int16_t)d->best,
		.worst = (int16_t)d->worst,
		.calls = (uint8_t)d->calls,
		.scale = (uint8_t)d->scale,
		.mode = (uint8_t)d->workload.mode,
		.on_stale = (uint8_t)d->workload.on_stale,
		.origin = (uint8_t)d->origin,
	};
	struct km_name before = { "", 0 };
	size_t kept = 0;

	memcpy(s.reason, d->reason, sizeof(s.reason));
	s.namespace_len = put_text(&c, d->pod_namespace.text, d->pod_namespace.len);
	s.name_len = put_text(&c, d->pod_name.text, d->pod_name.len);
	s.uid_len = put_text(&c, d->pod_uid.text, d->pod_uid.len);
	s.class_len = put_text(&c, d->workload.class_name,
	                       strnlen(d->workload.class_name, sizeof(d->workload.class_name)));
	s.policy_len = put_text(&c, d->policy.text, d->policy.len);
	for (size_t i = 0; i < d->count && kept < KM_RECORD_NODES_MAX; i++) {
		if (d->node[i].name.len > RECORD_NAME_MAX || !put_node(&c, &d->node[i], before)) {
			continue;
		}
		before = d->node[i].name;
		kept++;
	}
	s.count = (uint8_t)kept;
	memcpy(out->byte, &s, sizeof(s));
}

static struct km_name take_text(struct cursor *c, char **text, size_t len)
{
	struct km_name name = { *text, (uint32_t)len };

	memcpy(*text, c->at, len);
	*text += len;
	c->at += len;
	return name;
}

static void take_node(struct cursor *c, char **text, struct km_name before,
                      struct km_recorded_node *out)
{
	struct stored_node s;
	char *name = *text;

	memcpy(&s, c->at, sizeof(s));
	c->at += sizeof(s);
	*out = (struct km_recorded_node){
		.name = { name, (uint32_t)s.front + s.middle_len + s.back },
		.verdict = { .passes = s.passes,
		             .unresolvable = s.unresolvable,
		             .reason = (enum km_reason)s.reason,
		             .score = s.score },
		.state = (enum km_data_state)s.state,
		.tier = (enum km_tier)s.tier,
		.age_s = s.age == AGE_NEVER ? NAN : s.age / AGES_PER_S,
		.slowdown = slowdown_of(s.slowdown),
		.low = slowdown_of(s.low),
		.high = slowdown_of(s.high),
		.scored = slowdown_of(s.scored),
		.in_flight = s.in_flight / IN_A_POD,
		.harm_pods = s.harm_pods,
		.harm_worst = slowdown_of(s.harm_worst),
		.harm_limit = slowdown_of(s.harm_limit),
	};
	memcpy(name, before.text, s.front);
	memcpy(name + s.front, c->at, s.middle_len);
	memcpy(name + s.front + s.middle_len, before.text + before.len - s.back, s.back);
	*text += out->name.len;
	c->at += s.middle_len;
}

/* As one reads it: who passes first, then by score, then by slowdown, then as it was picked. */
static bool goes_before(const struct km_recorded_node *a, const struct km_recorded_node *b)
{
	if (a->verdict.passes != b->verdict.passes) {
		return a->verdict.passes;
	}
	if (a->verdict.score != b->verdict.score) {
		return a->verdict.score > b->verdict.score;
	}
	return a->slowdown < b->slowdown || (isnan(b->slowdown) && !isnan(a->slowdown));
}

static void sort_nodes(struct km_recorded *d)
{
	for (size_t i = 1; i < d->count; i++) {
		struct km_recorded_node n = d->node[i];
		size_t at = i;

		while (at > 0 && goes_before(&n, &d->node[at - 1])) {
			d->node[at] = d->node[at - 1];
			at--;
		}
		d->node[at] = n;
	}
}

void record_decode(const struct record_slot *slot, struct km_recorded_copy *out)
{
	struct km_recorded *d = &out->decision;
	struct record_slot copy = *slot;
	struct cursor c = { copy.byte + sizeof(struct stored), copy.byte + sizeof(copy.byte) };
	char *text = out->text;
	struct km_name before = { "", 0 };
	struct km_name class_name;
	struct stored s;

	memcpy(&s, copy.byte, sizeof(s));
	*d = (struct km_recorded){
		.id = s.id,
		.prioritize_id = s.prioritize_id,
		.wall_ns = s.wall_ns,
		.calls = s.calls,
		.workload = { .rps = s.rps,
		              .replicas = s.replicas,
		              .max_slowdown = s.max_slowdown,
		              .mode = (enum km_mode)s.mode,
		              .on_stale = (enum km_on_stale)s.on_stale },
		.origin = (enum km_workload_origin)s.origin,
		.model_hash = s.model_hash,
		.scale = s.scale,
		.asked = s.asked,
		.passed = s.passed,
		.scored = s.scored,
		.best = s.best,
		.worst = s.worst,
		.best_count = s.best_count,
		.count = s.count,
	};
	memcpy(d->reason, s.reason, sizeof(s.reason));
	d->pod_namespace = take_text(&c, &text, s.namespace_len);
	d->pod_name = take_text(&c, &text, s.name_len);
	d->pod_uid = take_text(&c, &text, s.uid_len);
	class_name = take_text(&c, &text, s.class_len);
	memcpy(d->workload.class_name, class_name.text, class_name.len);
	d->policy = take_text(&c, &text, s.policy_len);
	for (size_t i = 0; i < d->count; i++) {
		take_node(&c, &text, before, &d->node[i]);
		before = d->node[i].name;
	}
	sort_nodes(d);
}

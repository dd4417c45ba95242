/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked about: a pod's workload, and how the model is told of it. */
#include <math.h>
#include <string.h>

#include "km/base/hash.h"

#include "decide_internal.h"

#define UID_SEED UINT64_C(0x6b6d706f64756964)

/* Keys are compared and hashed as bytes: there may be none that mean nothing. */
_Static_assert(sizeof(struct decide_key) == 3 * 8 + 2 * 4 + KM_CLASS_NAME_MAX, "no padding");

static double positive_or_unknown(double value)
{
	return isfinite(value) && value > 0 ? value : NAN;
}

void decide_workload_normalise(const struct km_workload *w, struct km_workload *out)
{
	size_t len = strnlen(w->class_name, sizeof(w->class_name) - 1);

	*out = (struct km_workload){
		.rps = positive_or_unknown(w->rps),
		.replicas = positive_or_unknown(w->replicas),
		.max_slowdown = positive_or_unknown(w->max_slowdown),
		.mode = w->mode,
		.on_stale = w->on_stale,
	};
	memcpy(out->class_name, w->class_name, len);
}

static uint64_t bits_of(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

struct decide_key decide_key_of(const struct km_workload *w)
{
	struct decide_key k = {
		.rps = bits_of(w->rps),
		.replicas = bits_of(w->replicas),
		.max_slowdown = bits_of(w->max_slowdown),
		.mode = (uint32_t)w->mode,
		.on_stale = (uint32_t)w->on_stale,
	};

	memcpy(k.class_name, w->class_name, sizeof(k.class_name));
	return k;
}

bool decide_same_key(const struct decide_key *a, const struct decide_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool decide_same_question(const struct decide_key *a, const struct decide_key *b)
{
	return a->rps == b->rps && a->replicas == b->replicas;
}

/* Of others on their way here: a node that the ledger knows some of is predicted apart. */
#define INFLIGHT_KNOWN 0.0f

float decide_now_input(const struct decide_context *c)
{
	return c->feed ? 0 : NAN;
}

static float pod_input(const struct km_workload *w, enum km_pod_input input, float now)
{
	switch (input) {
	case KM_POD_RPS:
		return (float)w->rps;
	case KM_POD_REPLICAS:
		return (float)w->replicas;
	default:
		return now;
	}
}

void decide_fill_row(const struct km_schema *schema, const double *row, const struct km_workload *w,
                     float now, float *out)
{
	for (uint32_t i = 0; i < schema->count; i++) {
		const struct km_feature *f = &schema->feature[i];

		if (f->scope < KM_SCOPE_POD) {
			out[i] = (float)row[i];
		} else if (f->scope == KM_SCOPE_POD) {
			out[i] = pod_input(w, f->input, now);
		} else {
			out[i] = INFLIGHT_KNOWN;
		}
	}
}

void km_decide_default_workload(struct km_decide *d, struct km_workload *out)
{
	struct decide_context *c = decide_context_get(d);

	*out = c->settings.default_workload;
	decide_context_unref(c);
}

uint64_t decide_uid_key(struct km_name uid)
{
	uint64_t key = km_hash64(uid.text, uid.len, UID_SEED);

	return uid.len == 0 ? 0 : key != 0 ? key : 1;
}

static bool tells_load(const struct km_policy *p)
{
	return p != NULL && (isfinite(p->rps) || (p->rps_query != NULL && p->trusted));
}

/* A policy that says the load of its service is about one service, whoever controls its pods. */
static uint64_t service_of(const struct km_pod *pod, const struct km_policy *p)
{
	return tells_load(p) ? km_policy_key(p->namespace, p->name) : km_pod_service(pod);
}

static void complain_of_two(struct km_decide *d, const struct km_policy *p,
                            const struct km_policy *other)
{
	if (p == NULL || other == NULL) {
		return;
	}
	km_counter_add(d->stats.conflicts, 1);
	km_complain(&d->conflicts, km_clock_mono_ns(d->clock), "decide",
	            "several policies match a pod namespace=%s holds=%s not=%s", p->namespace,
	            p->name, other->name);
}

void decide_subject(struct km_decide *d, const struct decide_context *c, const struct km_pod *pod,
                    struct km_subject *out)
{
	const struct km_policy *other = NULL;
	const struct km_policy *p = km_policies_match(c->policies, pod, &other);
	const struct km_policy *says = p;
	struct km_workload *w = &out->workload;
	struct km_policy told; /* a copy that only borrows */
	uint64_t service = service_of(pod, p);
	double ready = NAN;

	complain_of_two(d, p, other);
	if (tells_load(p)) {
		ready = decide_ready_pods(d, c, service);
	}
	if (tells_load(p) && !isfinite(p->rps)) {
		told = *p;
		told.rps = decide_policy_rps(d, service);
		says = &told;
	}
	*out = (struct km_subject){ .uid = decide_uid_key(pod->uid) };
	km_policy_workload(says, pod, &c->settings.default_workload, c->settings.min_max_slowdown,
	                   ready, w);
	out->kind = (struct km_pod_kind){
		.service = service,
		.policy = p != NULL ? km_policy_key(p->namespace, p->name) : 0,
		.rps = w->rps / w->replicas,
	};
	memcpy(out->kind.class_name, w->class_name, strnlen(w->class_name, KM_CLASS_NAME_MAX - 1));
	if (out->kind.class_name[0] != '\0') {
		out->kind.effects =
			km_decide_effects_key(out->kind.class_name, strlen(out->kind.class_name));
	}
	if (p != NULL) {
		(void)km_policy_path(p, out->policy);
	}
}

void km_decide_subject(struct km_decide *d, const struct km_pod *pod, struct km_subject *out)
{
	struct decide_context *c = decide_context_get(d);

	decide_subject(d, c, pod, out);
	decide_context_unref(c);
}

void km_decide_pod_workload(struct km_decide *d, const struct km_pod *pod, struct km_workload *out)
{
	struct km_subject who;

	km_decide_subject(d, pod, &who);
	*out = who.workload;
}

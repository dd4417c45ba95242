/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events about decisions that were made in this process, out of their record: a pod that no node
 * may have, and a pod that was put where the model advised against. Of pods with a policy only, and
 * never twice for the same state of one pod.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"

#include "policy_internal.h"

#define PODS_MAX      4096 /* remembered; a power of two */
#define WAYS          8
#define DECISIONS_MAX 2000 /* looked at in a round */
#define AGAINST       0.3  /* of the scale: so much below the best is against the advice */

struct advised {
	uint64_t pod; /* key of its UID; 0 = free */
	uint64_t decision;
	uint64_t told; /* what was told of it last, as a hash; 0 = nothing */
	int64_t used_ns;
	bool open; /* its place is to be looked at */
};

struct policy_advice {
	uint64_t newest; /* decision looked at */
	size_t open;
	struct advised pod[PODS_MAX];
	struct km_recorded_copy copy;
};

struct policy_advice *advice_create(void)
{
	return calloc(1, sizeof(struct policy_advice));
}

void advice_free(struct policy_advice *a)
{
	free(a);
}

static struct advised *slot_of(struct policy_advice *a, uint64_t pod, bool add)
{
	struct advised *at = &a->pod[pod % (PODS_MAX / WAYS) * WAYS];
	struct advised *oldest = at;

	for (size_t i = 0; i < WAYS; i++) {
		if (at[i].pod == pod) {
			return &at[i];
		}
		if (at[i].used_ns < oldest->used_ns) {
			oldest = &at[i];
		}
	}
	if (!add) {
		return NULL;
	}
	a->open -= oldest->open;
	*oldest = (struct advised){ .pod = pod };
	return oldest;
}

static void set_open(struct policy_advice *a, struct advised *p, bool open)
{
	a->open += (size_t)open - (size_t)p->open;
	p->open = open;
}

/* ---- rejected ---- */

static uint64_t reasons_of(const struct km_recorded *d)
{
	uint64_t set = 1;

	for (int i = 0; i < KM_REASON_N; i++) {
		set |= d->reason[i].rejected > 0 ? UINT64_C(2) << i : 0;
	}
	return set;
}

static void list_reasons(const struct km_recorded *d, char *out, size_t size)
{
	size_t len = (size_t)snprintf(out, size, "none of %u nodes passes: ", d->asked);
	const char *comma = "";

	for (int i = 0; i < KM_REASON_N && len < size; i++) {
		if (d->reason[i].rejected > 0) {
			len += (size_t)snprintf(out + len, size - len, "%s%u %s", comma,
			                        d->reason[i].rejected,
			                        km_reason_text((enum km_reason)i));
			comma = ", ";
		}
	}
}

static void tell(struct km_events *events, const struct km_recorded *d, const char *reason,
                 const char *action, const char *note)
{
	const struct km_event e = { .kind = "Pod",
		                    .api_version = "v1",
		                    .namespace = d->pod_namespace,
		                    .name = d->pod_name,
		                    .uid = d->pod_uid,
		                    .reason = reason,
		                    .action = action,
		                    .note = note,
		                    .warning = true };

	(void)km_events_write(events, &e, NULL); /* counted; nothing depends on it */
}

/* A decision that is new to us: told when nothing passes, else its pod's place is waited for. */
static void look_at(struct policy_advice *a, uint64_t decision, int64_t now_ns,
                    struct km_events *events)
{
	const struct km_recorded *d = &a->copy.decision;
	struct advised *p = slot_of(a, policy_uid_key(d->pod_uid), true);
	bool rejected = (d->calls & KM_RECORD_FILTER) != 0 && d->asked > 0 && d->passed == 0 &&
	                d->workload.mode == KM_MODE_ENFORCE;
	uint64_t state = rejected ? reasons_of(d) : 0;
	char note[512];

	p->used_ns = now_ns;
	p->decision = decision;
	if (rejected && p->told != state) {
		list_reasons(d, note, sizeof(note));
		tell(events, d, "KubeMarlaRejected", "Filter", note);
	}
	p->told = rejected ? state : p->told;
	set_open(a, p, !rejected && d->workload.mode != KM_MODE_OBSERVE);
}

/* Newest first, down to those that were seen before. */
static void look_at_new(struct policy_advice *a, struct km_record *record, int64_t now_ns,
                        struct km_events *events)
{
	const struct km_record_query all = { .id = 0 };
	const uint64_t seen = a->newest;
	uint64_t cursor = 0;

	for (int i = 0; i < DECISIONS_MAX; i++) {
		const struct km_recorded *d = &a->copy.decision;
		struct advised *p;

		if (!km_record_next(record, &all, &cursor, &a->copy) || cursor <= seen) {
			return;
		}
		if (cursor > a->newest) {
			a->newest = cursor;
		}
		if (d->policy.len == 0 || d->pod_uid.len == 0) {
			continue;
		}
		p = slot_of(a, policy_uid_key(d->pod_uid), false);
		if (p == NULL || p->decision < cursor) { /* else its newest has been looked at */
			look_at(a, cursor, now_ns, events);
		}
	}
}

/* ---- placed against the advice ---- */

/* The pod's newest decision, into a->copy. */
static bool find_decision(struct policy_advice *a, struct km_record *record,
                          const struct km_view_pod *pod)
{
	const struct km_record_query q = { .pod_name = pod->pod.name,
		                           .pod_namespace = pod->pod.namespace };
	uint64_t cursor = 0;

	return km_record_next(record, &q, &cursor, &a->copy) &&
	       policy_same_name(a->copy.decision.pod_uid, pod->pod.uid);
}

static void tell_against(const struct km_recorded *d, const struct km_recorded_node *there,
                         struct km_events *events)
{
	const struct km_recorded_node *best = &d->node[0];
	char note[640];

	if (isfinite(there->slowdown) && isfinite(best->slowdown)) {
		(void)snprintf(note, sizeof(note),
		               "placed on %.*s, predicted slowdown %.2f; advised was %.*s, %.2f",
		               (int)there->name.len, there->name.text, there->slowdown,
		               (int)best->name.len, best->name.text, best->slowdown);
	} else {
		(void)snprintf(note, sizeof(note), "placed on %.*s: %s; advised was %.*s",
		               (int)there->name.len, there->name.text,
		               km_reason_text(there->verdict.reason), (int)best->name.len,
		               best->name.text);
	}
	tell(events, d, "PlacedAgainstAdvice", "Prioritize", note);
}

static void check_place(struct policy_advice *a, struct km_record *record,
                        const struct km_view_pod *pod, struct km_events *events)
{
	const struct km_recorded *d = &a->copy.decision;

	if (!find_decision(a, record, pod) || d->count == 0) {
		return;
	}
	for (size_t i = 0; i < d->count; i++) {
		const struct km_recorded_node *n = &d->node[i];

		if (!policy_same_name(n->name, pod->node)) {
			continue;
		}
		if (!n->verdict.passes ||
		    (double)n->verdict.score + AGAINST * d->scale <= (double)d->best) {
			tell_against(d, n, events);
		}
		return;
	}
}

static void look_at_places(struct policy_advice *a, struct km_record *record,
                           const struct policy_round *r, struct km_events *events)
{
	const struct km_view_pod *pod;
	size_t at = 0;

	while (a->open > 0 && (pod = km_view_next_pod(r->view, &at)) != NULL) {
		struct advised *p;

		if (pod->node.len == 0 || pod->pod.uid.len == 0) {
			continue;
		}
		p = slot_of(a, policy_uid_key(pod->pod.uid), false);
		if (p != NULL && p->open) {
			set_open(a, p, false);
			check_place(a, record, pod, events);
		}
	}
}

void advice_round(struct policy_advice *a, struct km_record *record, const struct policy_round *r,
                  struct km_events *events)
{
	if (record == NULL) {
		return;
	}
	look_at_new(a, record, r->mono_ns, events);
	look_at_places(a, record, r, events);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leader's look at every policy: what is so, what the status says, what is to be written; then
 * moves. What a policy's status was before us is read from the object itself, once.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/log.h"

#include "controller_internal.h"

#define OK          200
#define NOT_FOUND   404
#define LOOKS_LEAST 4 /* policies in a round whose pods are looked for a better place */
#define RETRY_NS    (10 * KM_NS_PER_S)
#define LEARN_NS    (60 * KM_NS_PER_S)
#define RISKY_PODS  10 /* told of, when a policy comes to be at risk */

static bool at_risk(const struct km_policy_status *s)
{
	const struct km_condition *c = &s->condition[KM_SLO_AT_RISK];

	return c->there && c->status == KM_CONDITION_TRUE;
}

/* ---- what is kept ---- */

static void kept_fini(struct policy_kept *k)
{
	km_policy_status_fini(&k->status);
	rebalance_free(k->rebalance);
}

void reconcile_forget(struct km_controller *c)
{
	for (size_t i = 0; i < c->kept_count; i++) {
		kept_fini(&c->kept[i]);
	}
	free(c->kept);
	c->kept = NULL;
	c->kept_count = 0;
	c->kept_cap = 0;
}

static struct policy_kept *kept_of(struct km_controller *c, uint64_t key, uint64_t uid)
{
	struct policy_kept *k;

	for (size_t i = 0; i < c->kept_count; i++) {
		if (c->kept[i].key == key && c->kept[i].uid == uid) {
			return &c->kept[i];
		}
	}
	if (c->kept_count == c->kept_cap) {
		size_t cap = c->kept_cap > 0 ? c->kept_cap * 2 : 16;
		struct policy_kept *grown = reallocarray(c->kept, cap, sizeof(*grown));

		if (grown == NULL) {
			return NULL;
		}
		c->kept = grown;
		c->kept_cap = cap;
	}
	k = &c->kept[c->kept_count++];
	*k = (struct policy_kept){ .key = key, .uid = uid };
	km_policy_status_init(&k->status);
	return k;
}

/* Every policy gets what is kept of it; what is of none any more goes. 0 or -ENOMEM. */
static int find_kept(struct km_controller *c, struct policy_round *r)
{
	size_t left = 0;

	for (size_t i = 0; i < c->kept_count; i++) {
		c->kept[i].seen = false;
	}
	for (size_t i = 0; i < r->count; i++) {
		const struct km_view_policy *o = r->policy[i].object;
		const char *namespace =
			km_arena_strndup(r->arena, o->namespace.text, o->namespace.len);
		const char *name = km_arena_strndup(r->arena, o->name.text, o->name.len);
		struct policy_kept *k;

		if (namespace == NULL || name == NULL) {
			return -ENOMEM;
		}
		k = kept_of(c, km_policy_key(namespace, name), policy_uid_key(o->uid));
		if (k == NULL) {
			return -ENOMEM;
		}
		k->seen = true;
	}
	for (size_t i = 0; i < c->kept_count; i++) {
		if (c->kept[i].seen) {
			c->kept[left++] = c->kept[i];
		} else {
			kept_fini(&c->kept[i]);
		}
	}
	c->kept_count = left;
	return 0;
}

/* Once no more of them move in memory. */
static void link_kept(struct km_controller *c, struct policy_round *r)
{
	for (size_t i = 0; i < r->count; i++) {
		struct round_policy *p = &r->policy[i];
		uint64_t uid = policy_uid_key(p->object->uid);

		for (size_t k = 0; k < c->kept_count && p->kept == NULL; k++) {
			if (c->kept[k].uid == uid) {
				p->kept = &c->kept[k];
			}
		}
	}
}

int reconcile_open(struct km_controller *c, struct policy_round *r)
{
	int rc = find_kept(c, r);

	if (rc == 0) {
		link_kept(c, r);
	}
	return rc;
}

/* ---- Events ---- */

static void tell_policy(struct km_controller *c, const struct round_policy *p, const char *note)
{
	const struct km_event e = {
		.kind = "InterferencePolicy",
		.api_version = "kubemarla.io/v1alpha1",
		.namespace = p->object->namespace,
		.name = p->object->name,
		.uid = p->object->uid,
		.reason = "SLOAtRisk",
		.action = "Reconcile",
		.note = note,
		.warning = true,
	};

	(void)km_events_write(c->events, &e, NULL);
}

static void tell_pod(struct km_controller *c, const struct round_policy *p,
                     const struct round_pod *pod, double limit)
{
	char note[640];
	const struct km_event e = {
		.kind = "Pod",
		.api_version = "v1",
		.namespace = pod->at->pod.namespace,
		.name = pod->at->pod.name,
		.uid = pod->at->pod.uid,
		.reason = "SLOAtRisk",
		.action = "Reconcile",
		.note = note,
		.warning = true,
	};

	(void)snprintf(
		note, sizeof(note),
		"predicted slowdown %.2f on %.*s is above the %.2f that policy %.*s tolerates",
		pod->predicted, (int)pod->at->node.len, pod->at->node.text, limit,
		(int)p->object->name.len, p->object->name.text);
	(void)km_events_write(c->events, &e, NULL);
}

/* When a policy comes to be at risk, and not again while it is. */
static void tell_risk(struct km_controller *c, const struct round_policy *p,
                      const struct km_policy_status *next, double limit)
{
	struct km_buf text;
	size_t told = 0;

	km_buf_init(&text);
	km_buf_printf(&text, "%s: ", next->condition[KM_SLO_AT_RISK].message);
	if (isfinite(next->worst_predicted)) {
		km_buf_printf(&text, "predicted %.2f, ", next->worst_predicted);
	}
	if (isfinite(next->observed)) {
		km_buf_printf(&text, "observed %.2f, ", next->observed);
	}
	km_buf_printf(&text, "tolerated %.2f", limit);
	tell_policy(c, p, km_buf_cstr(&text));
	km_buf_fini(&text);
	for (size_t i = 0; i < p->pods && told < RISKY_PODS; i++) {
		if (p->pod[i].predicted > limit) {
			tell_pod(c, p, &p->pod[i], limit);
			told++;
		}
	}
}

/* ---- the status ---- */

static int write_status(struct km_controller *c, const struct round_policy *p,
                        const struct km_policy_status *next)
{
	int64_t timeout_ns = policy_act_ns(&c->acts);
	struct km_err err = { .code = 0 };
	int status;

	if (timeout_ns <= 0) {
		return -ECANCELED;
	}
	km_buf_clear(&c->body);
	km_policy_status_encode(&c->body, next);
	if (!km_buf_ok(&c->body)) {
		return -ENOMEM;
	}
	status = km_kube_patch_policy_status(&c->acts.via, p->object->namespace, p->object->name,
	                                     c->body.data, c->body.len, timeout_ns, &err);
	if (status == OK) {
		km_counter_add(c->stats.statuses, 1);
		km_recovered(&c->status_trouble, POLICY_ROOM, "statuses are written");
		controller_trouble(c, NULL);
		return 0;
	}
	km_counter_add(c->stats.status_failures, 1);
	if (status != NOT_FOUND) { /* it was deleted: the watch will tell */
		controller_trouble(c, &err);
		km_complain(&c->status_trouble, km_clock_mono_ns(c->clock), POLICY_ROOM,
		            "status not written policy=%.*s/%.*s error=\"%s\"",
		            (int)p->object->namespace.len, p->object->namespace.text,
		            (int)p->object->name.len, p->object->name.text, err.text);
	}
	return -EREMOTEIO;
}

/* What the API has, as far as this policy's object shows it. */
static void read_status(struct policy_kept *k, const struct km_view_policy *o)
{
	struct km_policy_status status;

	if (k->read) {
		return;
	}
	if (km_policy_status_decode(o->json.text, o->json.len, &status) == 0) {
		km_policy_status_fini(&k->status);
		k->status = status;
	}
	k->read = true;
}

static void settle(struct km_controller *c, struct policy_round *r, struct round_policy *p,
                   struct policy_facts *facts)
{
	struct policy_kept *k = p->kept;
	struct km_policy_status next;
	enum status_change change;
	bool came_to_risk;

	change = status_next(&k->status, facts, &k->memory, r->mono_ns, r->wall_ns, &next);
	came_to_risk = at_risk(&next) && !at_risk(&k->status);
	if (change == STATUS_SAME ||
	    (change == STATUS_NUMBERS && !status_due(&k->memory, r->mono_ns)) ||
	    r->mono_ns < k->retry_ns) {
		k->waiting_ns = change == STATUS_SAME ? 0
		                : k->waiting_ns != 0  ? k->waiting_ns
		                                      : r->mono_ns;
		km_policy_status_fini(&next);
		return;
	}
	if (write_status(c, p, &next) != 0) {
		k->retry_ns = r->mono_ns + RETRY_NS;
		k->waiting_ns = k->waiting_ns != 0 ? k->waiting_ns : r->mono_ns;
		km_policy_status_fini(&next);
		return;
	}
	k->waiting_ns = 0;
	k->move.there = false;
	status_written(&k->memory, r->mono_ns);
	km_policy_status_fini(&k->status);
	k->status = next;
	if (came_to_risk) {
		tell_risk(c, p, &next, facts->limit);
	}
}

static bool is_to_learn(struct policy_kept *k, int64_t now_ns)
{
	if (k->learned_ns != 0 && now_ns - k->learned_ns < LEARN_NS) {
		return false;
	}
	k->learned_ns = now_ns;
	return true;
}

/* A policy that decisions do not take, but that parses: its turn comes with the next set, unless
 * there are too many. */
static bool is_ready(const struct policy_round *r, const struct round_policy *p)
{
	return p->kept != NULL && (p->policy != NULL || p->object->error.len > 0 || r->full);
}

static bool is_to_move(const struct policy_round *r, const struct round_policy *p)
{
	return is_ready(r, p) && p->policy != NULL && p->holds == NULL &&
	       p->policy->rebalance.enabled && r->feeding;
}

/*
 * Looking for better places asks decide of all nodes. So policies take turns, each often enough for
 * a gain to be followed: three times a window.
 */
struct turns {
	size_t wanted; /* policies that want to */
	size_t first, looks;
	size_t next; /* of them, as they come */
};

static struct turns take_turns(struct km_controller *c, const struct policy_round *r)
{
	struct turns t = { .wanted = 0 };

	for (size_t i = 0; i < r->count; i++) {
		t.wanted += is_to_move(r, &r->policy[i]);
	}
	t.looks = (size_t)ceil((double)t.wanted * 3 * (double)c->interval_ns /
	                       (double)(c->window_ns > 0 ? c->window_ns : 1));
	if (t.looks < LOOKS_LEAST) {
		t.looks = LOOKS_LEAST;
	}
	if (t.wanted > 0) {
		t.first = c->turn % t.wanted;
		c->turn = (t.first + t.looks) % t.wanted;
	}
	return t;
}

/* To be asked of each that wants to, in order. */
static bool is_its_turn(struct turns *t)
{
	size_t wanted = t->wanted > 0 ? t->wanted : 1;
	size_t behind = (t->next + wanted - t->first % wanted) % wanted;

	t->next++;
	return behind < t->looks;
}

static void reconcile_one(struct km_controller *c, struct policy_round *r, struct round_policy *p,
                          struct turns *turns, bool *moved)
{
	const struct policy_mover mover = { .decide = c->decide,
		                            .acts = &c->acts,
		                            .events = c->events,
		                            .stats = &c->stats,
		                            .trouble = &c->evict_trouble,
		                            .window_ns = c->window_ns };
	struct policy_facts facts;

	read_status(p->kept, p->object);
	if (p->kept->generation != p->object->generation && p->kept->rebalance != NULL) {
		rebalance_changed(p->kept->rebalance);
	}
	p->kept->generation = p->object->generation;
	if (judge_policy(c->decide, c->kpi, r, p, &facts) != 0) {
		return; /* short of memory: the next round */
	}
	if (is_to_move(r, p) && is_its_turn(turns)) {
		*moved = move_round(&mover, r, p, !*moved, &facts.move) || *moved;
	}
	/* A move that no status tells yet, perhaps for a write that failed: a leader after us knows
	 * cooldown and budget by it alone. */
	if (facts.move.there) {
		p->kept->move = facts.move;
	} else {
		facts.move = p->kept->move;
	}
	if (p->policy != NULL && is_to_learn(p->kept, r->mono_ns)) {
		learn_round(c->decide, r, p, &facts);
	}
	settle(c, r, p, &facts);
}

void reconcile_round(struct km_controller *c, struct policy_round *r)
{
	struct turns turns = take_turns(c, r);
	int64_t oldest_ns = r->mono_ns;
	bool moved = false;

	for (size_t i = 0; i < r->count; i++) {
		struct round_policy *p = &r->policy[i];

		if (!is_ready(r, p)) {
			continue;
		}
		if (policy_act_ns(&c->acts) <= 0) {
			return;
		}
		reconcile_one(c, r, p, &turns, &moved);
		if (p->kept->waiting_ns != 0 && p->kept->waiting_ns < oldest_ns) {
			oldest_ns = p->kept->waiting_ns;
		}
	}
	km_counter_add(c->stats.rounds, 1);
	km_gauge_set(c->stats.queue_age, (double)(r->mono_ns - oldest_ns) * 1e-9);
}

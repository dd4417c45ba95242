/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rebalancing, carried out: what each of a policy's pods suffers where it is and would suffer
 * elsewhere goes into the pure rules (rebalance.c); the pod that they choose is evicted through
 * the Eviction API, which keeps PodDisruptionBudgets. Where it goes then is the scheduler's
 * business, and our own answer to it.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/log.h"

#include "policy_internal.h"

#define GROUPS_MAX 8   /* nodes of one policy looked at: those where its pods suffer most */
#define UNHARMED   0.9 /* less than this is predicted nowhere: no need to look around */
#define LEAST_PODS 2   /* ready: the last one is not moved */
#define OK         200
#define CREATED    201
#define NOT_FOUND  404
#define CONFLICT   409
#define TOO_MANY   429

/* One pod for all of the policy's pods on a node. */
struct group {
	const struct round_pod *pod;
	size_t best; /* in round.node */
};

struct moving {
	const struct policy_mover *m;
	struct policy_round *r;
	struct round_policy *p;
	struct km_name *names; /* [r->nodes]: all of them */
	struct group group[GROUPS_MAX];
	struct rebalance_candidate candidate[GROUPS_MAX];
	size_t count;
};

/* Who would not come back, or not elsewhere, stays. */
static bool is_movable(const struct km_view_pod *p)
{
	static const char *const stays[] = { "DaemonSet", "Node", "Job" };

	for (size_t i = 0; i < KM_ARRAY_LEN(stays); i++) {
		if (p->pod.owner_kind.len == strlen(stays[i]) &&
		    memcmp(p->pod.owner_kind.text, stays[i], p->pod.owner_kind.len) == 0) {
			return false;
		}
	}
	return p->pod.owner_kind.len > 0 && p->phase == KM_VIEW_RUNNING && p->ready &&
	       !p->deleting && p->running_mono_ns != INT64_MAX;
}

/* One movable pod a node, of the nodes where they suffer most; the same ones at each look. */
static void find_groups(struct moving *g)
{
	double least = UNHARMED / (1 - g->p->policy->rebalance.min_gain_ratio);
	size_t last = SIZE_MAX;

	for (size_t i = 0; i < g->p->pods; i++) {
		const struct round_pod *pod = &g->p->pod[i];
		size_t at;

		if (pod->node == last || pod->node == SIZE_MAX || !(pod->predicted >= least) ||
		    !is_movable(pod->at)) {
			continue;
		}
		last = pod->node;
		at = g->count < GROUPS_MAX ? g->count++ : GROUPS_MAX;
		while (at > 0 && g->group[at - 1].pod->predicted < pod->predicted) {
			if (at < GROUPS_MAX) {
				g->group[at] = g->group[at - 1];
			}
			at--;
		}
		if (at < GROUPS_MAX) {
			g->group[at].pod = pod;
		}
	}
}

static bool has_room(const struct round_node *room, const struct km_view_pod *p)
{
	return !(isfinite(p->cpu_cores) && room->cpu_cores < p->cpu_cores) &&
	       !(isfinite(p->memory_bytes) && room->memory_bytes < p->memory_bytes);
}

static bool is_alike(const struct km_subject *a, const struct km_subject *b)
{
	return a->kind.service == b->kind.service && a->kind.policy == b->kind.policy &&
	       a->kind.effects == b->kind.effects && a->workload.rps == b->workload.rps &&
	       strcmp(a->kind.class_name, b->kind.class_name) == 0;
}

/* The best other node that takes the pod, into the candidate. */
static void look_around(struct moving *g, size_t at, const struct km_decision *d)
{
	const struct km_view_pod *pod = g->group[at].pod->at;
	struct rebalance_candidate *c = &g->candidate[at];

	*c = (struct rebalance_candidate){
		.pod = policy_uid_key(pod->pod.uid),
		.here = g->group[at].pod->predicted,
		.there = NAN,
		.running_ns = g->r->mono_ns - pod->running_mono_ns,
	};
	for (size_t i = 0; i < d->count; i++) {
		const struct km_view_node *n = g->r->node[i].at;
		const struct km_decision_node *p = &d->node[i];
		bool fresh = p->state == KM_DATA_FRESH || p->state == KM_DATA_AGING;
		double slowdown = p->prediction.slowdown;

		if (fresh && isfinite(slowdown) && !(c->there <= slowdown) && p->verdict.passes &&
		    n->ready && !n->unschedulable && !policy_same_name(n->name, pod->node) &&
		    has_room(&g->r->node[i], pod)) {
			c->there = slowdown;
			g->group[at].best = i;
		}
	}
}

/* Pods that are alike would suffer the same elsewhere: they are asked about once. 0 or -ENOMEM. */
static int look_around_all(struct moving *g)
{
	struct km_subject who[GROUPS_MAX];
	bool done[GROUPS_MAX] = { false };
	int rc = 0;

	for (size_t i = 0; i < g->count; i++) {
		km_decide_subject(g->m->decide, &g->group[i].pod->at->pod, &who[i]);
		who[i].uid = 0; /* of no pod: where it is itself is not asked about */
	}
	for (size_t i = 0; i < g->count && rc == 0; i++) {
		struct km_decision d;

		if (done[i]) {
			continue;
		}
		rc = km_decide_run_subject(g->m->decide, &who[i], g->names, g->r->nodes,
		                           g->r->scratch, &d);
		for (size_t k = i; k < g->count && rc == 0; k++) {
			if (!done[k] && is_alike(&who[i], &who[k])) {
				look_around(g, k, &d);
				done[k] = true;
			}
		}
		km_arena_reset(g->r->scratch);
	}
	return rc;
}

static int find_candidates(struct moving *g)
{
	g->names = km_arena_calloc(g->r->arena, g->r->nodes + 1, sizeof(*g->names));
	if (g->names == NULL) {
		return -ENOMEM;
	}
	round_find_room(g->r);
	for (size_t i = 0; i < g->r->nodes; i++) {
		g->names[i] = g->r->node[i].at->name;
	}
	find_groups(g);
	return look_around_all(g);
}

/* Mean ln slowdown over the pods; NaN where none is known. */
static double level_of(const struct round_policy *p, uint32_t *pods)
{
	double sum = 0;

	*pods = 0;
	for (size_t i = 0; i < p->pods; i++) {
		if (isfinite(p->pod[i].predicted) && p->pod[i].predicted > 0) {
			sum += log(p->pod[i].predicted);
			(*pods)++;
		}
	}
	return *pods > 0 ? sum / *pods : NAN;
}

/* Is what was moved last gone, and do as many serve as before? */
static bool is_settled(const struct round_policy *p)
{
	for (size_t i = 0; i < p->pods; i++) {
		if (policy_uid_key(p->pod[i].at->pod.uid) == p->kept->moved_pod) {
			return false;
		}
	}
	return p->ready >= p->kept->ready_before;
}

static void tell(const struct moving *g, size_t chosen, double gain, bool dry_run)
{
	const struct group *group = &g->group[chosen];
	const struct km_view_pod *pod = group->pod->at;
	const struct rebalance_candidate *c = &g->candidate[chosen];
	struct km_name to = g->r->node[group->best].at->name;
	char note[640];
	const struct km_event e = {
		.kind = "Pod",
		.api_version = "v1",
		.namespace = pod->pod.namespace,
		.name = pod->pod.name,
		.uid = pod->pod.uid,
		.reason = dry_run ? "WouldRebalance" : "Rebalanced",
		.action = dry_run ? "DryRun" : "Evict",
		.note = note,
	};

	(void)snprintf(
		note, sizeof(note),
		"predicted slowdown %.2f on %.*s, %.2f on %.*s: a gain of %.0f %% for a whole "
		"window",
		c->here, (int)pod->node.len, pod->node.text, c->there, (int)to.len, to.text,
		gain * 100);
	(void)km_events_write(g->m->events, &e, NULL);
}

/* returns true when the pod will go. */
static bool evict(const struct moving *g, size_t chosen)
{
	const struct km_view_pod *pod = g->group[chosen].pod->at;
	int64_t timeout_ns = policy_act_ns(g->m->acts);
	struct km_err err = { .code = 0 };
	int status;

	if (timeout_ns <= 0) {
		return false;
	}
	status = km_kube_evict(&g->m->acts->via, pod->pod.namespace, pod->pod.name, pod->pod.uid,
	                       timeout_ns, &err);
	if (status == OK || status == CREATED) {
		km_counter_add(g->m->stats->evictions, 1);
		km_recovered(g->m->trouble, POLICY_ROOM, "pods are evicted");
		km_log_info(POLICY_ROOM, "evicted pod=%.*s/%.*s node=%.*s",
		            (int)pod->pod.namespace.len, pod->pod.namespace.text,
		            (int)pod->pod.name.len, pod->pod.name.text, (int)pod->node.len,
		            pod->node.text);
		return true;
	}
	if (status == TOO_MANY) {
		km_counter_add(g->m->stats->refused, 1);
		rebalance_refused(g->p->kept->rebalance, g->r->mono_ns);
	} else if (status != NOT_FOUND && status != CONFLICT) {
		km_counter_add(g->m->stats->eviction_failures, 1);
		rebalance_refused(g->p->kept->rebalance, g->r->mono_ns);
		km_complain(g->m->trouble, g->r->mono_ns, POLICY_ROOM,
		            "pod not evicted pod=%.*s/%.*s error=\"%s\"",
		            (int)pod->pod.namespace.len, pod->pod.namespace.text,
		            (int)pod->pod.name.len, pod->pod.name.text, err.text);
	}
	return false;
}

static void note_move(const struct moving *g, size_t chosen, double gain, bool dry_run,
                      struct km_status_move *out)
{
	const struct km_view_pod *pod = g->group[chosen].pod->at;

	*out = (struct km_status_move){
		.there = true,
		.unix_ns = g->r->wall_ns - g->r->wall_ns % KM_NS_PER_S,
		.gain_ratio = gain,
		.dry_run = dry_run,
		.in_last_hour = rebalance_in_last_hour(g->p->kept->rebalance, g->r->mono_ns),
	};
	(void)snprintf(out->pod, sizeof(out->pod), "%.*s", (int)pod->pod.name.len,
	               pod->pod.name.text);
	(void)snprintf(out->from, sizeof(out->from), "%.*s", (int)pod->node.len, pod->node.text);
}

/* From what the status tells of a leader before us. A move that is still to come, by a clock that
 * was ahead of ours, was just now. */
static struct rebalance *memory_of(struct policy_kept *kept, const struct policy_round *r)
{
	const struct km_status_move *last = &kept->status.move;

	if (kept->rebalance == NULL) {
		kept->rebalance = rebalance_create();
		if (kept->rebalance != NULL && last->there) {
			int64_t ago_ns = r->wall_ns - last->unix_ns;

			rebalance_restore(kept->rebalance, r->mono_ns - (ago_ns > 0 ? ago_ns : 0),
			                  last->in_last_hour);
		}
	}
	return kept->rebalance;
}

bool move_round(const struct policy_mover *m, struct policy_round *r, struct round_policy *p,
                bool may, struct km_status_move *move)
{
	const struct km_policy_rebalance *wanted = &p->policy->rebalance;
	const struct rebalance_rules rules = {
		.min_gain_ratio = wanted->min_gain_ratio,
		.cooldown_ns = wanted->cooldown_ns,
		.per_hour = wanted->max_evictions_per_hour,
		.window_ns = m->window_ns,
		.dry_run = wanted->dry_run || p->policy->mode == KM_MODE_OBSERVE,
	};
	struct moving g = { .m = m, .r = r, .p = p };
	struct rebalance_look look = { .candidate = g.candidate, .now_ns = r->mono_ns };
	struct rebalance *memory = memory_of(p->kept, r);
	double gain = 0;
	size_t chosen = 0;

	if (memory == NULL || (p->ready >= LEAST_PODS && find_candidates(&g) != 0)) {
		return false;
	}
	look.count = g.count;
	look.level = level_of(p, &look.pods);
	look.settled = is_settled(p);
	if (rebalance_choose(memory, &rules, &look, &chosen, &gain) != REBALANCE_MOVE || !may ||
	    (!rules.dry_run && !evict(&g, chosen))) {
		return false;
	}
	km_counter_add(rules.dry_run ? m->stats->dry_runs : NULL, 1);
	rebalance_moved(memory, &rules, &look, chosen);
	if (!rules.dry_run) {
		p->kept->moved_pod = g.candidate[chosen].pod;
		p->kept->ready_before = p->ready;
	}
	tell(&g, chosen, gain, rules.dry_run);
	note_move(&g, chosen, gain, rules.dry_run, move);
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods that were rejected wait until something happens in the cluster; that a node's counters got
 * better is nothing that happens. So when a node's verdict for such a pod turns, an annotation of
 * the node is changed: an event that makes kube-scheduler try again the pods which an extender
 * rejected and which the node admits otherwise.
 *
 * Who was rejected is told by the API: PodScheduled=False with one of our reasons. Pods that are
 * judged alike are judged once. A kind of pods whose nodes are all told and that still waits is
 * tried again, less and less often.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"
#include "km/base/log.h"
#include "km/wire/kube_write.h"

#include "policy_internal.h"

#define KINDS_MAX     32
#define KINDS_AT_ONCE 8 /* judged in one round: each asks decide of all nodes */
#define TOKENS_MAX    50.0
#define TOKENS_PER_S  20.0
#define AGAIN_MIN_NS  (10 * KM_NS_PER_S)
#define AGAIN_MAX_NS  (300 * KM_NS_PER_S)
#define UNSCHEDULABLE "Unschedulable"
#define OK            200
#define NOT_FOUND     404

/* Pods that are judged alike, as they are known between rounds. */
struct waiting {
	uint64_t key; /* 0 = free */
	bool seen;
	uint64_t *told; /* [count], rising: nodes that pass and were told so */
	size_t count;
	int64_t told_ns;
	int64_t again_ns; /* how long to wait before the next try; 0 = nothing was told yet */
};

struct policy_wake {
	struct waiting kind[KINDS_MAX];
	size_t turn; /* which kinds are judged next */
	double tokens;
	int64_t filled_ns;
};

/* One kind in this round. */
struct judged {
	struct km_subject who;
	struct waiting *kept;
	size_t pods;
};

struct wake_run {
	struct policy_wake *w;
	struct km_decide *decide;
	struct policy_round *r;
	const struct policy_acts *acts;
	struct policy_stats *stats;
	struct km_complain *trouble;
	struct judged kind[KINDS_MAX];
	size_t kinds;
	struct km_name *names; /* [r->nodes]: those that could take a pod */
	uint64_t *key;         /* of each */
	bool *flipped;         /* in this round */
	size_t count;
};

struct policy_wake *wake_create(void)
{
	struct policy_wake *w = calloc(1, sizeof(*w));

	if (w != NULL) {
		w->tokens = TOKENS_MAX;
	}
	return w;
}

void wake_free(struct policy_wake *w)
{
	for (size_t i = 0; w != NULL && i < KINDS_MAX; i++) {
		free(w->kind[i].told);
	}
	free(w);
}

/* ---- who waits ---- */

static bool is_rejected(const struct km_view_pod *p)
{
	static const enum km_reason reasons[] = { KM_REASON_TOO_SLOW,   KM_REASON_HARM,
		                                  KM_REASON_STALE_DATA, KM_REASON_NO_DATA,
		                                  KM_REASON_LOW_TIER,   KM_REASON_NO_MODEL };

	if (p->node.len > 0 || p->phase != KM_VIEW_PENDING || p->deleting || p->refused.len == 0 ||
	    p->refused_reason.len != strlen(UNSCHEDULABLE) ||
	    memcmp(p->refused_reason.text, UNSCHEDULABLE, strlen(UNSCHEDULABLE)) != 0) {
		return false;
	}
	for (size_t i = 0; i < KM_ARRAY_LEN(reasons); i++) {
		const char *text = km_reason_text(reasons[i]);

		if (memmem(p->refused.text, p->refused.len, text, strlen(text)) != NULL) {
			return true;
		}
	}
	return false;
}

static uint64_t kind_key(const struct km_subject *who)
{
	const struct km_workload *w = &who->workload;
	const uint64_t modes[] = { (uint64_t)w->mode, (uint64_t)w->on_stale };
	uint64_t key = km_hash64(&who->kind, sizeof(who->kind), 1);

	key = km_hash64(&w->rps, sizeof(w->rps), key);
	key = km_hash64(&w->replicas, sizeof(w->replicas), key);
	key = km_hash64(&w->max_slowdown, sizeof(w->max_slowdown), key);
	key = km_hash64(modes, sizeof(modes), key);
	return key != 0 ? key : 1;
}

static struct waiting *kept_of(struct policy_wake *w, uint64_t key)
{
	struct waiting *vacant = NULL;

	for (size_t i = 0; i < KINDS_MAX; i++) {
		if (w->kind[i].key == key) {
			return &w->kind[i];
		}
		if (w->kind[i].key == 0) {
			vacant = &w->kind[i];
		}
	}
	if (vacant != NULL) {
		vacant->key = key;
	}
	return vacant;
}

/* returns how many pods wait. */
static size_t find_waiting(struct wake_run *run)
{
	const struct km_view_pod *p;
	size_t pods = 0;
	size_t at = 0;

	for (size_t i = 0; i < KINDS_MAX; i++) {
		run->w->kind[i].seen = false;
	}
	while ((p = km_view_next_pod(run->r->view, &at)) != NULL) {
		struct km_subject who;
		struct waiting *kept;

		if (!is_rejected(p)) {
			continue;
		}
		pods++;
		km_decide_subject(run->decide, &p->pod, &who);
		kept = kept_of(run->w, kind_key(&who));
		if (kept != NULL && !kept->seen) {
			kept->seen = true;
			run->kind[run->kinds++] = (struct judged){ .who = who, .kept = kept };
		}
	}
	for (size_t i = 0; i < KINDS_MAX; i++) {
		struct waiting *k = &run->w->kind[i];

		if (k->key != 0 && !k->seen) {
			free(k->told);
			*k = (struct waiting){ .key = 0 };
		}
	}
	return pods;
}

/* ---- where they could go ---- */

static int find_nodes(struct wake_run *run)
{
	struct policy_round *r = run->r;

	if (round_find_nodes(r) != 0) {
		return -ENOMEM;
	}
	run->names = km_arena_calloc(r->arena, r->nodes + 1, sizeof(*run->names));
	run->key = km_arena_calloc(r->arena, r->nodes + 1, sizeof(*run->key));
	run->flipped = km_arena_calloc(r->arena, r->nodes + 1, sizeof(*run->flipped));
	if (run->names == NULL || run->key == NULL || run->flipped == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < r->nodes; i++) {
		const struct km_view_node *n = r->node[i].at;

		if (n->ready && !n->unschedulable) {
			run->key[run->count] = policy_uid_key(n->uid);
			run->names[run->count++] = n->name;
		}
	}
	return 0;
}

static int rising(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool was_told(const struct waiting *k, uint64_t node)
{
	return k->count > 0 &&
	       bsearch(&node, k->told, k->count, sizeof(k->told[0]), rising) != NULL;
}

static bool take_token(struct policy_wake *w, int64_t now_ns)
{
	if (w->filled_ns != 0) {
		w->tokens += (double)(now_ns - w->filled_ns) * 1e-9 * TOKENS_PER_S;
	}
	w->filled_ns = now_ns;
	if (w->tokens > TOKENS_MAX) {
		w->tokens = TOKENS_MAX;
	}
	if (w->tokens < 1) {
		return false;
	}
	w->tokens -= 1;
	return true;
}

/* Another value each time, which says since when. returns whether the API has it. */
static bool flip(struct wake_run *run, size_t node)
{
	char time[KM_TIME_TEXT_MAX];
	char value[KM_TIME_TEXT_MAX + 16];
	struct km_err err = { .code = 0 };
	int64_t timeout_ns;
	int status;

	if (run->flipped[node]) {
		return true;
	}
	timeout_ns = policy_act_ns(run->acts);
	if (timeout_ns <= 0 || !take_token(run->w, run->r->mono_ns)) {
		return false;
	}
	(void)snprintf(value, sizeof(value), "passes since %s",
	               km_time_micro(run->r->wall_ns, time));
	status = km_kube_annotate_node(&run->acts->via, run->names[node],
	                               KM_NODE_VERDICT_ANNOTATION, value, timeout_ns, &err);
	if (status == OK) {
		km_counter_add(run->stats->flips, 1);
		km_recovered(run->trouble, POLICY_ROOM, "nodes are annotated");
		run->flipped[node] = true;
		return true;
	}
	km_counter_add(run->stats->flip_failures, 1);
	if (status != NOT_FOUND) {
		km_complain(run->trouble, run->r->mono_ns, POLICY_ROOM,
		            "node not annotated node=%.*s error=\"%s\"", (int)run->names[node].len,
		            run->names[node].text, err.text);
	}
	return false;
}

struct order {
	uint16_t fine;
	uint32_t at;
};

static int best_first(const void *a, const void *b)
{
	const struct order *p = a;
	const struct order *q = b;

	return p->fine != q->fine ? (p->fine > q->fine ? -1 : 1)
	                          : (p->at > q->at) - (p->at < q->at);
}

/* All that passes was told, and the pods still wait: is it time to try once more? */
static bool is_time_again(const struct waiting *k, int64_t now_ns)
{
	return k->again_ns != 0 && now_ns - k->told_ns >= k->again_ns;
}

static int judge_kind(struct wake_run *run, const struct judged *k)
{
	struct waiting *kept = k->kept;
	struct order *order = km_arena_calloc(run->r->scratch, run->count + 1, sizeof(*order));
	uint64_t *told = malloc((run->count + 1) * sizeof(*told));
	struct km_decision d;
	size_t passing = 0;
	size_t count = 0;
	bool fresh = false;
	int rc;

	if (order == NULL || told == NULL) {
		free(told);
		return -ENOMEM;
	}
	rc = km_decide_run_subject(run->decide, &k->who, run->names, run->count, run->r->scratch,
	                           &d);
	for (size_t i = 0; rc == 0 && i < d.count; i++) {
		if (d.node[i].verdict.passes) {
			order[passing++] = (struct order){ d.node[i].verdict.fine, (uint32_t)i };
		}
	}
	qsort(order, passing, sizeof(order[0]), best_first);
	for (size_t i = 0; i < passing; i++) {
		uint64_t key = run->key[order[i].at];
		bool known = was_told(kept, key);

		if (known || flip(run, order[i].at)) {
			told[count++] = key;
			fresh = fresh || !known;
		}
	}
	qsort(told, count, sizeof(told[0]), rising);
	free(kept->told);
	kept->told = told;
	kept->count = count;
	if (fresh) {
		kept->told_ns = run->r->mono_ns;
		kept->again_ns = AGAIN_MIN_NS;
	} else if (passing > 0 && is_time_again(kept, run->r->mono_ns) && flip(run, order[0].at)) {
		kept->told_ns = run->r->mono_ns;
		kept->again_ns =
			kept->again_ns < AGAIN_MAX_NS / 2 ? kept->again_ns * 2 : AGAIN_MAX_NS;
	}
	return rc;
}

size_t wake_round(struct policy_wake *w, struct km_decide *decide, struct policy_round *r,
                  const struct policy_acts *acts, struct policy_stats *stats,
                  struct km_complain *trouble)
{
	struct wake_run run = {
		.w = w, .decide = decide, .r = r, .acts = acts, .stats = stats, .trouble = trouble
	};
	size_t pods = find_waiting(&run);

	if (run.kinds == 0 || find_nodes(&run) != 0) {
		return pods;
	}
	for (size_t i = 0; i < run.kinds && i < KINDS_AT_ONCE; i++) {
		int rc = judge_kind(&run, &run.kind[w->turn++ % run.kinds]);

		km_arena_reset(r->scratch);
		if (rc != 0) {
			break; /* the next round has more memory, perhaps */
		}
	}
	return pods;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main path: a request's names to verdicts, by one look into the picture and one into the
 * workload's table for each, or into its overlay for nodes with pods in flight; then the
 * reservation. What is in the table, and why, is table.c's and state.c's business; which table it
 * is, cache.c's; what the ledger changes in it, overlay.c's.
 */
#include "km/decide/decide.h"

#include <errno.h>
#include <math.h>

#include "decide_internal.h"

#define NAMES_AT_ONCE 64 /* looked up together; their positions are on the stack */

static void judge_without_table(const struct decide_view *view, const struct km_workload *w,
                                size_t count, struct km_verdict *verdict)
{
	struct km_verdict neutral = decide_judge_without(view->context, w, KM_DATA_NO_MODEL);

	for (size_t i = 0; i < count; i++) {
		verdict[i] = neutral;
	}
}

/* at [count]: positions in the picture, -1 = unknown. returns how many have no trusted data. */
static size_t judge_some(const struct decide_view *view, const int64_t *at, size_t count,
                         int64_t now_ns, struct km_verdict *verdict)
{
	const struct decide_table *t = view->table;
	size_t untrusted = 0;

	for (size_t i = 0; i < count; i++) {
		const struct decide_busy *busy;
		const struct decide_cell *cell;
		enum decide_age age;

		if (at[i] < 0) {
			verdict[i] = decide_unpack(t->unknown);
			untrusted++;
			continue;
		}
		cell = &t->cell[at[i]];
		busy = decide_busy_at(view->overlay, at[i]);
		age = decide_age(view->context, cell->fresh_until_ns, now_ns);
		verdict[i] = decide_unpack(busy != NULL && !busy->plain ? busy->verdict[age]
		                                                        : cell->verdict[age]);
		verdict[i].inflight = busy != NULL ? busy->quarters : 0;
		untrusted += age == DECIDE_AGE_LATE;
	}
	return untrusted;
}

/* names NULL: the picture's nodes. returns how many were judged by trusted data. */
static size_t judge(const struct decide_view *view, const struct km_name *names, size_t count,
                    int64_t now_ns, struct km_verdict *verdict)
{
	int64_t at[NAMES_AT_ONCE];
	size_t untrusted = 0;

	for (size_t done = 0; done < count; done += NAMES_AT_ONCE) {
		size_t some = count - done < NAMES_AT_ONCE ? count - done : NAMES_AT_ONCE;

		if (names != NULL) {
			km_cluster_find_many(view->snapshot, names + done, some, at);
		}
		for (size_t i = 0; names == NULL && i < some; i++) {
			at[i] = (int64_t)(done + i);
		}
		untrusted += judge_some(view, at, some, now_ns, verdict + done);
	}
	if (untrusted > 0) {
		km_place_settle(&view->table->workload, verdict, count);
	}
	if (view->overlay != NULL) {
		km_place_spread(&view->table->workload, verdict, count);
	}
	return count - untrusted;
}

void decide_judge_names(struct km_decide *d, const struct decide_view *view,
                        const struct km_workload *w, const struct km_name *names, size_t count,
                        int64_t now_ns, struct km_verdict *verdict)
{
	size_t predicted;

	if (view->table == NULL) {
		judge_without_table(view, w, count, verdict);
		return;
	}
	predicted = judge(view, names, count, now_ns, verdict);
	km_counter_add(view->waited ? d->stats.misses : d->stats.hits, predicted);
}

int decide_look(struct km_decide *d, const struct km_subject *who, struct km_arena *arena,
                struct decide_view *view)
{
	int rc = decide_view_open(d, &who->workload, view);

	if (rc == 0 && view->table != NULL) {
		rc = decide_overlay_open(d, view, who, arena);
		if (rc != 0) {
			decide_view_close(view);
		}
	}
	return rc;
}

/* ---- the reservation ---- */

/* The names that are expected to be chosen: position [count]; all that tie. */
static size_t expected(enum km_call call, const struct km_verdict *verdict, size_t count,
                       uint32_t *position)
{
	int32_t top = INT32_MIN;
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		if (call == KM_CALL_FILTER) {
			found += verdict[i].passes;
			position[0] = verdict[i].passes ? (uint32_t)i : position[0];
			continue;
		}
		if (verdict[i].score > top) {
			top = verdict[i].score;
			found = 0;
		}
		if (verdict[i].score == top) {
			position[found++] = (uint32_t)i;
		}
	}
	/* kube-scheduler asks for priorities unless one node only is left */
	return call == KM_CALL_FILTER && found != 1 ? 0 : found;
}

/* returns true when the answer stands; false: to be made anew. */
static bool reserve(struct km_decide *d, const struct decide_view *view, const struct km_ask *ask,
                    const uint32_t *position, size_t found, bool anyway)
{
	struct decide_place place[KM_LEDGER_SHARED_MAX];
	size_t drawn[KM_LEDGER_SHARED_MAX];
	size_t count = km_ledger_draw(ask->who->uid, found, drawn);

	for (size_t i = 0; i < count; i++) {
		struct km_name name = ask->names[position[drawn[i]]];

		place[i].key = decide_node_key(name.text, name.len);
		place[i].at = km_cluster_find(view->snapshot, name.text, name.len);
	}
	return decide_reserve(d, view, ask->who, place, count, anyway || view->table == NULL);
}

int km_decide_place_detail(struct km_decide *d, const struct km_ask *ask, struct km_arena *arena,
                           struct km_verdict *verdict, const struct km_detail *detail)
{
	bool reserves = ask->call != KM_CALL_ASK && ask->who->uid != 0 && !decide_ledger_off(d);
	uint32_t *position =
		reserves ? km_arena_alloc(arena, (ask->count + 1) * sizeof(*position)) : NULL;
	struct decide_view view;
	bool stands = false;
	int rc = reserves && position == NULL ? -ENOMEM : 0;

	for (int tries = 0; rc == 0 && !stands; tries++) {
		int64_t now_ns;

		rc = decide_look(d, ask->who, arena, &view);
		if (rc != 0) {
			break;
		}
		now_ns = km_clock_mono_ns(d->clock);
		decide_judge_names(d, &view, &ask->who->workload, ask->names, ask->count, now_ns,
		                   verdict);
		stands = !reserves || reserve(d, &view, ask, position,
		                              expected(ask->call, verdict, ask->count, position),
		                              tries == DECIDE_RESCORE_MAX);
		km_counter_add(d->stats.rescored, !stands);
		if (stands && detail != NULL) {
			rc = decide_detail(&view, ask, now_ns, verdict, arena, detail);
		}
		decide_view_close(&view);
	}
	return rc;
}

int km_decide_place(struct km_decide *d, const struct km_ask *ask, struct km_arena *arena,
                    struct km_verdict *verdict)
{
	return km_decide_place_detail(d, ask, arena, verdict, NULL);
}

int km_decide_verdicts(struct km_decide *d, const struct km_workload *w,
                       const struct km_name *names, size_t count, struct km_arena *arena,
                       struct km_verdict *verdict)
{
	struct km_subject who;
	const struct km_ask ask = { &who, KM_CALL_ASK, names, count };

	decide_no_pod(w, &who);
	return km_decide_place(d, &ask, arena, verdict);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which table a request gets. One thread brings a workload's table up to date; meanwhile others
 *   - take the table of the picture just replaced, with the same settings and model: the very
 *     answer they would have had a moment before, and its cells still know when they are late,
 *   - otherwise wait, for at most wait_ns, and answer neutrally then.
 * So a new picture never makes two threads predict the same rows, and after the first request for a
 * workload nobody waits for the model but the one thread that asks it.
 */
#include <errno.h>
#include <time.h>

#include "km/base/hash.h"

#include "decide_internal.h"

enum found {
	FOUND,   /* the view has its table */
	BUILD,   /* it is for us to build; the slot is marked */
	AGAIN,   /* the picture or the slot changed: look again */
	EXPIRED, /* somebody else is building, still */
};

struct search {
	struct km_workload workload;
	struct decide_key key;
	uint64_t hash;
	struct timespec deadline;     /* CLOCK_MONOTONIC */
	struct decide_slot *slot;     /* BUILD: NULL when none was free */
	struct decide_table *donor;   /* BUILD: a reference, or NULL */
	struct decide_table *evicted; /* a reference to let go once the lock is free */
};

static struct decide_slot *find_slot(struct km_decide *d, const struct search *q)
{
	for (size_t i = 0; i < DECIDE_WORKLOADS; i++) {
		struct decide_slot *s = &d->slot[i];

		if (s->taken && s->hash == q->hash && decide_same_key(&s->key, &q->key)) {
			return s;
		}
	}
	return NULL;
}

/* The workload's slot, or a free one, or the one unused for longest. NULL: all are being built. */
static struct decide_slot *claim_slot(struct km_decide *d, struct search *q)
{
	struct decide_slot *best = find_slot(d, q);

	if (best != NULL) {
		best->used = ++d->uses;
		return best;
	}
	for (size_t i = 0; i < DECIDE_WORKLOADS; i++) {
		struct decide_slot *s = &d->slot[i];

		if (!s->building && (best == NULL || s->used < best->used)) {
			best = s;
		}
	}
	if (best == NULL) {
		return NULL;
	}
	if (best->taken) {
		km_counter_add(d->stats.evicted, 1);
	}
	q->evicted = best->table;
	*best = (struct decide_slot){
		.taken = true, .hash = q->hash, .used = ++d->uses, .key = q->key
	};
	return best;
}

/* The newest table that has asked the same model the same about the same nodes. */
static struct decide_table *find_donor(struct km_decide *d, const struct search *q,
                                       const struct km_cluster_snapshot *s)
{
	struct decide_table *best = q->slot != NULL ? q->slot->table : NULL;

	if (best != NULL &&
	    (!decide_predicts_alike(best->context, d->context) || best->topology != s->topology)) {
		best = NULL;
	}
	for (size_t i = 0; i < DECIDE_WORKLOADS; i++) {
		struct decide_table *t = d->slot[i].table;

		if (t != NULL && (best == NULL || t->generation > best->generation) &&
		    decide_predicts_alike(t->context, d->context) && t->topology == s->topology &&
		    decide_same_question(&t->key, &q->key)) {
			best = t;
		}
	}
	return best != NULL ? decide_table_ref(best) : NULL;
}

/* May a request that sees picture `s` be answered from the slot's table? */
static bool serves(const struct decide_slot *slot, const struct km_cluster_snapshot *s)
{
	const struct decide_table *t = slot->table;

	if (t->topology != s->topology) {
		return false;
	}
	return t->generation >= s->generation ||
	       (slot->building && t->generation + 1 == s->generation);
}

/* Under the lock. */
static enum found look(struct km_decide *d, struct search *q, struct decide_view *view)
{
	struct decide_slot *slot = claim_slot(d, q);
	struct decide_table *t = slot != NULL ? slot->table : NULL;

	if (t != NULL && t->context == d->context) {
		if (serves(slot, view->snapshot)) {
			if (t->generation < view->snapshot->generation) {
				km_counter_add(d->stats.previous, 1);
			}
			view->table = decide_table_ref(t);
			return FOUND;
		}
		if (t->topology > view->snapshot->topology) {
			return AGAIN; /* somebody has seen a newer picture than we have */
		}
	}
	if (slot == NULL || !slot->building) {
		q->slot = slot;
		q->donor = find_donor(d, q, view->snapshot);
		if (slot != NULL) {
			slot->building = true;
		}
		return BUILD;
	}
	view->waited = true;
	if (pthread_cond_timedwait(&d->built, &d->lock, &q->deadline) == ETIMEDOUT) {
		km_counter_add(d->stats.expired, 1);
		return EXPIRED;
	}
	return AGAIN;
}

static int build(struct km_decide *d, struct search *q, struct decide_view *view)
{
	struct decide_table *old = NULL;
	struct decide_table *t =
		decide_table_build(d, view->context, &q->workload, view->snapshot, q->donor);

	view->waited = true;
	view->table = t;
	decide_table_unref(q->donor);
	pthread_mutex_lock(&d->lock);
	if (q->slot != NULL) {
		q->slot->building = false;
		/* Not if the model or the settings changed meanwhile: it answers us alone then. */
		if (t != NULL && view->context == d->context) {
			old = q->slot->table;
			q->slot->table = decide_table_ref(t);
		}
		pthread_cond_broadcast(&d->built);
	}
	pthread_mutex_unlock(&d->lock);
	decide_table_unref(old);
	return t != NULL ? 0 : -ENOMEM;
}

static struct timespec deadline_in(int64_t wait_ns)
{
	/* condition variables know the system's clock only, whatever d->clock is */
	int64_t at_ns = km_clock_mono_ns(km_clock_system()) + wait_ns;

	return (struct timespec){ .tv_sec = (time_t)(at_ns / KM_NS_PER_S),
		                  .tv_nsec = (long)(at_ns % KM_NS_PER_S) };
}

int decide_view_open(struct km_decide *d, const struct km_workload *w, struct decide_view *view)
{
	struct search q = { .deadline = deadline_in(d->wait_ns) };
	enum found found;

	decide_workload_normalise(w, &q.workload);
	q.key = decide_key_of(&q.workload);
	q.hash = km_hash64(&q.key, sizeof(q.key), 0);
	view->table = NULL;
	view->waited = false;
	view->overlay = NULL;
	view->revision = 0;
	for (;;) {
		view->snapshot = km_cluster_get(d->cluster);
		pthread_mutex_lock(&d->lock);
		found = look(d, &q, view);
		view->context = decide_context_ref(d->context);
		pthread_mutex_unlock(&d->lock);
		decide_table_unref(q.evicted);
		q.evicted = NULL;
		if (found != AGAIN) {
			break;
		}
		decide_view_close(view);
	}
	if (found == BUILD && build(d, &q, view) != 0) {
		decide_view_close(view);
		return -ENOMEM;
	}
	return 0;
}

void decide_view_close(struct decide_view *view)
{
	decide_overlay_unref(view->overlay);
	decide_table_unref(view->table);
	decide_context_unref(view->context);
	km_cluster_put(view->snapshot);
	view->overlay = NULL;
	view->table = NULL;
}

void decide_drop_tables(struct km_decide *d)
{
	struct decide_table *dropped[DECIDE_WORKLOADS];

	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < DECIDE_WORKLOADS; i++) {
		dropped[i] = d->slot[i].table;
		d->slot[i].table = NULL;
	}
	pthread_mutex_unlock(&d->lock);
	for (size_t i = 0; i < DECIDE_WORKLOADS; i++) {
		decide_table_unref(dropped[i]);
	}
	decide_drop_overlays(d);
}

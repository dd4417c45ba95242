/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Footprints, learned: when the feed tells that a pod of some class was bound, the counters of its
 * node are noted; once it has run for a while they are looked at again. Only if nothing else came
 * or went on the node meanwhile is the difference the pod's. Runs with the feed's calls, whoever
 * makes them; requests have no part in it.
 */
#include <string.h>

#include "decide_internal.h"

#define SETTLE_NS  (10 * KM_NS_PER_S)  /* a pod's start is not what it does later */
#define GIVE_UP_NS (600 * KM_NS_PER_S) /* pulling images may take long */

/* The node's newest data; false when the picture does not have it, or nothing measured. */
static bool counters_of(struct km_decide *d, uint64_t node, struct km_footprint_base *base,
                        int64_t *began_ns)
{
	const struct km_cluster_snapshot *s = km_cluster_get(d->cluster);
	struct decide_directory *dir = decide_directory_get(d, s);
	const struct km_host_features *f = NULL;
	bool measured;
	uint32_t at;

	if (dir != NULL && km_map_get(&dir->map, (const char *)&node, sizeof(node), &at)) {
		f = s->node[at].features;
	}
	measured = f != NULL && f->readings != NULL;
	if (measured) {
		decide_footprint_base(f, s->node[at].row, base);
		*began_ns = decide_window_end_ns(f) - (int64_t)(f->schema->bin_s * 1e9);
	}
	decide_directory_unref(dir);
	km_cluster_put(s);
	return measured;
}

/* What else is on the node, as a number that is equal as long as it is. */
static uint64_t others_on(struct km_decide *d, uint64_t node, uint64_t uid)
{
	struct km_ledger_busy busy;

	pthread_mutex_lock(&d->ledger_lock);
	(void)km_ledger_items(d->ledger, node, uid, NULL, 0, &busy);
	pthread_mutex_unlock(&d->ledger_lock);
	return busy.digest;
}

/* Under footprints_lock: the pod's, or a free one, or the oldest. */
static struct decide_watch *slot_of(struct km_decide *d, uint64_t uid)
{
	struct decide_watch *best = &d->watch[0];

	for (size_t i = 0; i < DECIDE_WATCHED; i++) {
		struct decide_watch *w = &d->watch[i];

		if (w->uid == uid) {
			return w;
		}
		if (best->uid != 0 && (w->uid == 0 || w->since_ns < best->since_ns)) {
			best = w;
		}
	}
	return best;
}

/* One that has run for long enough: learned from, or found to be of no use, and let go. */
static void look_again(struct km_decide *d, const struct decide_watch *w, int64_t now_ns)
{
	struct km_footprint_base after;
	int64_t began_ns;
	bool due = w->running_ns != KM_DECIDE_NOT_YET &&
	           counters_of(d, w->node, &after, &began_ns) &&
	           began_ns >= w->running_ns + SETTLE_NS;
	bool alone = due && others_on(d, w->node, w->uid) == w->others;
	struct decide_watch *slot;

	if (!due && now_ns - w->since_ns < GIVE_UP_NS) {
		return;
	}
	pthread_mutex_lock(&d->footprints_lock);
	if (alone) {
		km_footprints_learn(d->footprints, w->class_name, &w->before, &after);
	}
	slot = slot_of(d, w->uid);
	if (slot->uid == w->uid) {
		slot->uid = 0;
	}
	pthread_mutex_unlock(&d->footprints_lock);
	km_counter_add(d->stats.footprints_learned, alone);
}

static void look_at_all(struct km_decide *d)
{
	int64_t now_ns = km_clock_mono_ns(d->clock);

	for (size_t i = 0; i < DECIDE_WATCHED; i++) {
		struct decide_watch w;

		pthread_mutex_lock(&d->footprints_lock);
		w = d->watch[i];
		pthread_mutex_unlock(&d->footprints_lock);
		if (w.uid != 0) {
			look_again(d, &w, now_ns);
		}
	}
}

void decide_watch_bound(struct km_decide *d, uint64_t uid, int64_t running_ns)
{
	struct decide_watch w = { .uid = uid, .running_ns = running_ns };
	struct km_pod_kind kind;
	int64_t began_ns;
	bool bound;

	look_at_all(d);
	if (running_ns != KM_DECIDE_NOT_YET) {
		decide_watch_running(d, uid, running_ns);
		return; /* what was there before it ran, nobody noted */
	}
	pthread_mutex_lock(&d->ledger_lock);
	bound = km_ledger_where(d->ledger, uid, &w.node, &kind);
	pthread_mutex_unlock(&d->ledger_lock);
	if (!bound || kind.class_name[0] == '\0' || !counters_of(d, w.node, &w.before, &began_ns)) {
		return;
	}
	w.since_ns = km_clock_mono_ns(d->clock);
	w.others = others_on(d, w.node, uid);
	memcpy(w.class_name, kind.class_name, sizeof(w.class_name));
	pthread_mutex_lock(&d->footprints_lock);
	*slot_of(d, uid) = w;
	pthread_mutex_unlock(&d->footprints_lock);
}

void decide_watch_running(struct km_decide *d, uint64_t uid, int64_t running_ns)
{
	struct decide_watch *slot;

	pthread_mutex_lock(&d->footprints_lock);
	slot = slot_of(d, uid);
	if (uid != 0 && slot->uid == uid) {
		slot->running_ns = running_ns;
	}
	pthread_mutex_unlock(&d->footprints_lock);
	look_at_all(d);
}

void decide_watch_gone(struct km_decide *d, uint64_t uid)
{
	struct decide_watch *slot;

	pthread_mutex_lock(&d->footprints_lock);
	slot = slot_of(d, uid);
	if (uid != 0 && slot->uid == uid) {
		slot->uid = 0;
	}
	pthread_mutex_unlock(&d->footprints_lock);
	look_at_all(d);
}

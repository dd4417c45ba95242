/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changed, as calls: for each changed slot what it holds now is compared with what was told of
 * it. So it does not matter how many changes were missed in between, or whether a watch or a list
 * brought them. Pods are told once nodes, pods, policies and namespaces were all listed (or the
 * latter two are known to be unreadable): a pod told without its policy would be told twice.
 */
#include <stdlib.h>
#include <string.h>

#include "km/base/log.h"

#include "view_internal.h"

#define TAKE 256 /* slots at a time */

/* So long pods are not told for want of policies and namespaces that cannot be read. */
#define PATIENCE_NS (3 * KM_NS_PER_S)

/* A pod that is bound for so long and does not run is not on its way; and how often that is asked.
 */
#define STUCK_NS (600 * KM_NS_PER_S)
#define LOOK_NS  (60 * KM_NS_PER_S)

/* Other policies may cost a tenth of this thread's time: all pods are told anew. */
#define POLICIES_SHARE 10

/* Without the stream of pods for so long, reservations wait for nobody. */
#define LATE_NS (30 * KM_NS_PER_S)

static bool is_bound(const struct view_item *i)
{
	return i != NULL && i->pod.node.len > 0;
}

static bool counts_as_ready(const struct view_item *i)
{
	return is_bound(i) && i->pod.ready && !i->pod.deleting;
}

/* Room for every slot there may be. returns false when out of memory. */
static bool room_for(void **array, size_t *cap, size_t slot, size_t size)
{
	size_t want = *cap == 0 ? 1024 : *cap;
	char *grown;

	if (slot < *cap) {
		return true;
	}
	while (want <= slot) {
		want += want / 2;
	}
	grown = reallocarray(*array, want, size);
	if (grown == NULL) {
		return false;
	}
	memset(grown + *cap * size, 0, (want - *cap) * size);
	*array = grown;
	*cap = want;
	return true;
}

/* ---- pods ---- */

/* What makes decide take a pod for another kind, or look for it elsewhere. */
static bool told_alike(const struct km_view_pod *a, const struct km_view_pod *b)
{
	return view_same_name(a->node, b->node) &&
	       view_same_name(a->pod.owner_kind, b->pod.owner_kind) &&
	       view_same_name(a->pod.owner_name, b->pod.owner_name) &&
	       view_same_name(a->pod.class_name, b->pod.class_name) &&
	       view_same_number(a->pod.rps, b->pod.rps) &&
	       view_same_number(a->pod.max_slowdown, b->pod.max_slowdown) &&
	       view_same_labels(&a->pod, &b->pod);
}

static void tell_bound(struct km_view *v, const struct view_item *i)
{
	if (v->feed.pod_bound != NULL) {
		v->feed.pod_bound(v->feed.ctx, &i->pod.pod, i->pod.node, i->pod.running_mono_ns);
	}
}

static void tell_gone(struct km_view *v, const struct view_item *i)
{
	if (v->feed.pod_gone != NULL) {
		v->feed.pod_gone(v->feed.ctx, i->pod.pod.uid);
	}
}

/* `anew`: whatever was told holds no more, policies for example. */
static void tell_pod(struct km_view *v, const struct view_item *old, const struct view_item *now,
                     bool anew)
{
	bool same = is_bound(old) && is_bound(now) &&
	            view_same_name(old->pod.pod.uid, now->pod.pod.uid);

	if (is_bound(old) && !same) {
		tell_gone(v, old);
	}
	if (!is_bound(now)) {
		return;
	}
	if (!same || anew || !told_alike(&old->pod, &now->pod) ||
	    (now->pod.running_mono_ns == INT64_MAX && old->pod.running_mono_ns != INT64_MAX)) {
		tell_bound(v, now);
	} else if (now->pod.running_mono_ns != old->pod.running_mono_ns &&
	           v->feed.pod_running != NULL) {
		v->feed.pod_running(v->feed.ctx, now->pod.pod.uid, now->pod.running_mono_ns);
	}
}

static void count_pod(struct view_feeder *f, struct view_fed_pod *fed)
{
	const struct km_policy *p = NULL;

	if (fed->ready) {
		view_ready_count(f, fed->policy, -1);
	}
	fed->ready = counts_as_ready(fed->item);
	fed->policy = 0;
	if (is_bound(fed->item)) {
		p = km_policies_match(f->policies, &fed->item->pod.pod, NULL);
	}
	if (p != NULL) {
		fed->policy = km_policy_key(p->namespace, p->name);
	}
	if (fed->ready) {
		view_ready_count(f, fed->policy, 1);
	}
}

static bool is_on_its_way(const struct view_item *i)
{
	return is_bound(i) && i->pod.running_mono_ns == INT64_MAX;
}

static bool goes_on_being_stuck(const struct view_item *old, const struct view_item *now)
{
	return is_on_its_way(now) && view_same_name(old->pod.pod.uid, now->pod.pod.uid);
}

/* Takes the reference on `now`. */
static void feed_pod(struct km_view *v, uint32_t slot, struct view_item *now)
{
	struct view_feeder *f = &v->feeder;
	void *array = f->pod;
	struct view_item *old;
	bool was_stuck;

	if (!room_for(&array, &f->pod_cap, slot, sizeof(f->pod[0]))) {
		km_counter_add(v->no_memory, 1);
		view_item_unref(now);
		return;
	}
	f->pod = array;
	old = f->pod[slot].item;
	was_stuck = f->pod[slot].stuck;
	f->pod[slot].item = now;
	f->pod[slot].stuck = was_stuck && goes_on_being_stuck(old, now);
	if (v->feed.pod != NULL) {
		v->feed.pod(v->feed.ctx, old != NULL ? &old->pod : NULL,
		            now != NULL ? &now->pod : NULL);
	}
	if (!f->pod[slot].stuck) {
		tell_pod(v, was_stuck ? NULL : old, now, false);
	}
	count_pod(f, &f->pod[slot]);
	view_item_unref(old);
}

static void feed_pods(struct km_view *v)
{
	struct view_item *item[TAKE];
	uint32_t slot[TAKE];
	size_t count;

	do {
		count = slots_take_changed(&v->table[KM_VIEW_PODS], slot, item, TAKE);
		for (size_t i = 0; i < count; i++) {
			feed_pod(v, slot[i], item[i]);
		}
	} while (count == TAKE);
}

/* Policies are others: so may be what each pod is. */
static void feed_pods_anew(struct km_view *v)
{
	struct view_feeder *f = &v->feeder;

	for (size_t i = 0; i < f->pod_cap; i++) {
		if (f->pod[i].item != NULL) {
			if (!f->pod[i].stuck) {
				tell_pod(v, f->pod[i].item, f->pod[i].item, true);
			}
			count_pod(f, &f->pod[i]);
		}
	}
}

/* returns when to look again. */
static int64_t look_for_stuck(struct km_view *v)
{
	struct view_feeder *f = &v->feeder;
	int64_t now_ns = km_clock_mono_ns(v->clock);

	if (now_ns - f->looked_ns < LOOK_NS) {
		return f->looked_ns + LOOK_NS;
	}
	f->looked_ns = now_ns;
	for (size_t i = 0; i < f->pod_cap; i++) {
		struct view_fed_pod *fed = &f->pod[i];

		if (!fed->stuck && is_on_its_way(fed->item) &&
		    now_ns - fed->item->pod.bound_mono_ns >= STUCK_NS) {
			fed->stuck = true;
			tell_gone(v, fed->item);
		}
	}
	return now_ns + LOOK_NS;
}

/* ---- nodes ---- */

/* Takes the reference on `now`. */
static void feed_node(struct km_view *v, uint32_t slot, struct view_item *now)
{
	struct view_feeder *f = &v->feeder;
	void *array = f->node;
	struct view_item *old;
	bool same;

	if (!room_for(&array, &f->node_cap, slot, sizeof(f->node[0]))) {
		km_counter_add(v->no_memory, 1);
		view_item_unref(now);
		return;
	}
	f->node = array;
	old = f->node[slot].item;
	f->node[slot].item = now;
	same = old != NULL && now != NULL && view_same_name(old->node.name, now->node.name);
	if (old != NULL && !same && v->feed.node_gone != NULL) {
		v->feed.node_gone(v->feed.ctx, old->node.name);
	}
	f->node[slot].due =
		now != NULL && (!same || f->node[slot].due ||
	                        !view_same_name(old->node.platform, now->node.platform));
	view_item_unref(old);
}

/* A node that was registered anew may be in another slot: who comes is told after who went, or the
 * old slot would take back what the new one brought. */
static void feed_nodes(struct km_view *v)
{
	struct view_feeder *f = &v->feeder;
	struct view_item *item[TAKE];
	uint32_t slot[TAKE];
	bool any = false;
	size_t count;

	do {
		count = slots_take_changed(&v->table[KM_VIEW_NODES], slot, item, TAKE);
		for (size_t i = 0; i < count; i++) {
			feed_node(v, slot[i], item[i]);
		}
		any = any || count > 0;
	} while (count == TAKE);
	for (size_t i = 0; any && i < f->node_cap; i++) {
		if (f->node[i].due && v->feed.node != NULL) {
			v->feed.node(v->feed.ctx, &f->node[i].item->node);
		}
		f->node[i].due = false;
	}
}

/* ---- policies ---- */

/* A status is written all the time; what decisions are made from is the spec. */
static bool same_spec(const struct view_item *a, const struct view_item *b)
{
	return a != NULL && b != NULL && a->policy.generation == b->policy.generation &&
	       view_same_name(a->policy.uid, b->policy.uid);
}

/* Takes the reference on `now`. */
static void note_policy(struct km_view *v, uint32_t slot, struct view_item *now)
{
	struct view_feeder *f = &v->feeder;
	void *array = f->policy;

	if (!room_for(&array, &f->policy_cap, slot, sizeof(struct view_item *))) {
		km_counter_add(v->no_memory, 1);
		view_item_unref(now);
		return;
	}
	f->policy = array;
	f->policies_due = f->policies_due || !same_spec(f->policy[slot], now);
	view_item_unref(f->policy[slot]);
	f->policy[slot] = now;
}

static void note_policies(struct km_view *v)
{
	struct view_item *item[TAKE];
	uint32_t slot[TAKE];
	size_t count;

	do {
		count = slots_take_changed(&v->table[KM_VIEW_POLICIES], slot, item, TAKE);
		for (size_t i = 0; i < count; i++) {
			note_policy(v, slot[i], item[i]);
		}
	} while (count == TAKE);
	do {
		count = slots_take_changed(&v->table[KM_VIEW_NAMESPACES], slot, item, TAKE);
		v->feeder.policies_due = v->feeder.policies_due || count > 0;
		for (size_t i = 0; i < count; i++) {
			view_item_unref(item[i]);
		}
	} while (count == TAKE);
}

/* ---- the whole ---- */

/* Until when a kind is waited for: 0 = it is there. */
static int64_t wanted_until(const struct view_stream *s)
{
	return s->listed ? 0 : s->trouble ? s->lost_ns + PATIENCE_NS : INT64_MAX;
}

/*
 * Until when what pods are told with is waited for (0 = it is there), and since when pods are not
 * heard of (0 = they are).
 */
static int64_t feed_from(struct km_view *v, int64_t *lost_ns)
{
	const struct view_stream *s = v->stream;
	int64_t until_ns = INT64_MAX;

	pthread_mutex_lock(&v->lock);
	if (s[KM_VIEW_NODES].listed && s[KM_VIEW_PODS].listed) {
		int64_t policies_ns = wanted_until(&s[KM_VIEW_POLICIES]);
		int64_t namespaces_ns = wanted_until(&s[KM_VIEW_NAMESPACES]);

		until_ns = policies_ns > namespaces_ns ? policies_ns : namespaces_ns;
	}
	*lost_ns = s[KM_VIEW_PODS].lost_ns;
	v->feeder.policies_due = v->feeder.policies_due || v->renew_policies;
	v->renew_policies = false;
	pthread_mutex_unlock(&v->lock);
	return until_ns;
}

static void go_live(struct km_view *v)
{
	struct km_view_health h;

	v->feeder.live = true;
	v->feeder.policies_due = false;
	view_policies_build(v);
	if (v->feed.live != NULL) {
		v->feed.live(v->feed.ctx, true);
	}
	pthread_mutex_lock(&v->lock);
	v->feeding = true;
	pthread_mutex_unlock(&v->lock);
	km_view_health(v, &h);
	km_log_info("cluster", "what Kubernetes says is known nodes=%zu pods=%zu policies=%zu",
	            h.kind[KM_VIEW_NODES].objects, h.kind[KM_VIEW_PODS].objects,
	            km_policies_count(v->feeder.policies));
}

/* returns when it is to be looked at again. */
static int64_t look_at_stream(struct km_view *v, int64_t lost_ns)
{
	struct view_feeder *f = &v->feeder;
	int64_t late_ns = lost_ns != 0 ? lost_ns + LATE_NS : INT64_MAX;
	bool late = km_clock_mono_ns(v->clock) >= late_ns;

	if (late != f->late) {
		f->late = late;
		if (v->feed.late != NULL) {
			v->feed.late(v->feed.ctx, late);
		}
		pthread_mutex_lock(&v->lock);
		v->late = late;
		pthread_mutex_unlock(&v->lock);
	}
	return late ? INT64_MAX : late_ns;
}

/* returns when they are due; INT64_MAX = they are not. */
static int64_t feed_policies(struct km_view *v)
{
	struct view_feeder *f = &v->feeder;
	int64_t now_ns = km_clock_mono_ns(v->clock);

	if (!f->policies_due || now_ns < f->policies_from_ns) {
		return f->policies_due ? f->policies_from_ns : INT64_MAX;
	}
	f->policies_due = false;
	view_policies_build(v);
	feed_pods_anew(v);
	f->policies_from_ns = now_ns + POLICIES_SHARE * (km_clock_mono_ns(v->clock) - now_ns);
	return INT64_MAX;
}

int64_t view_feed_step(struct km_view *v)
{
	struct view_feeder *f = &v->feeder;
	int64_t lost_ns;
	/* Before the tables are looked at: what was listed then is in them. */
	int64_t from_ns = feed_from(v, &lost_ns);
	int64_t policies_ns;
	int64_t stuck_ns;
	int64_t due_ns;

	note_policies(v);
	feed_nodes(v);
	if (!f->live && km_clock_mono_ns(v->clock) < from_ns) {
		return from_ns;
	}
	if (!f->live) {
		go_live(v);
	}
	policies_ns = feed_policies(v);
	feed_pods(v);
	view_ready_tell(v);
	if (v->feed.settled != NULL) {
		v->feed.settled(v->feed.ctx);
	}
	due_ns = look_at_stream(v, lost_ns);
	due_ns = policies_ns < due_ns ? policies_ns : due_ns;
	stuck_ns = look_for_stuck(v);
	return stuck_ns < due_ns ? stuck_ns : due_ns;
}

void view_feed_fini(struct km_view *v)
{
	struct view_feeder *f = &v->feeder;

	for (size_t i = 0; i < f->pod_cap; i++) {
		view_item_unref(f->pod[i].item);
	}
	for (size_t i = 0; i < f->node_cap; i++) {
		view_item_unref(f->node[i].item);
	}
	for (size_t i = 0; i < f->policy_cap; i++) {
		view_item_unref(f->policy[i]);
	}
	free(f->pod);
	free(f->node);
	free(f->policy);
	km_policies_unref(f->policies);
}

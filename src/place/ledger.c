/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of the ledger: how entries come, move and go. Where its memory is, ledger_pool.c knows,
 * what is told of it, ledger_look.c.
 */
#include "km/place/ledger.h"

#include <math.h>

#include "km/base/hash.h"

#include "ledger_internal.h"

/* Draws are by uid alone: a retry is drawn the same. */
#define DRAW_SEED UINT64_C(0x6b6d647261770000)

static void list_append(struct km_ledger *l, uint32_t e)
{
	struct ledger_list *list = &l->list[l->entry[e].state];

	l->entry[e].older = list->newest;
	l->entry[e].newer = 0;
	if (list->newest != 0) {
		l->entry[list->newest].newer = e;
	} else {
		list->oldest = e;
	}
	list->newest = e;
}

static void list_remove(struct km_ledger *l, uint32_t e)
{
	struct ledger_list *list = &l->list[l->entry[e].state];
	uint32_t older = l->entry[e].older;
	uint32_t newer = l->entry[e].newer;

	*(older != 0 ? &l->entry[older].newer : &list->oldest) = newer;
	*(newer != 0 ? &l->entry[newer].older : &list->newest) = older;
}

static void node_changed(struct km_ledger *l, uint32_t n)
{
	l->node[n].digest_holds = false;
	l->revision++;
}

static void node_release(struct km_ledger *l, uint32_t n)
{
	if (l->node[n].oldest == 0 && l->node[n].platform == 0) {
		ledger_node_remove(l, n);
	}
}

static void place_remove(struct km_ledger *l, uint32_t p)
{
	uint32_t older = l->place[p].older;
	uint32_t newer = l->place[p].newer;
	uint32_t n = l->place[p].node;

	*(older != 0 ? &l->place[older].newer : &l->node[n].oldest) = newer;
	*(newer != 0 ? &l->place[newer].older : &l->node[n].newest) = older;
	node_changed(l, n);
	ledger_place_give(l, p);
	if (l->node[n].oldest == 0) {
		l->stats.nodes--;
		node_release(l, n);
	}
}

static void leave_places(struct km_ledger *l, uint32_t e)
{
	uint32_t p = l->entry[e].place;

	l->entry[e].place = 0;
	while (p != 0) {
		uint32_t next = l->place[p].next;

		place_remove(l, p);
		p = next;
	}
}

static bool counts_as_running(const struct ledger_entry *e)
{
	return e->state == LEDGER_BOUND && e->running_ns != INT64_MAX;
}

static void kind_join(struct km_ledger *l, uint32_t e)
{
	struct ledger_kind *kind = &l->kind[l->entry[e].kind];

	l->entry[e].alike_before = 0;
	l->entry[e].alike_after = kind->first;
	if (kind->first != 0) {
		l->entry[kind->first].alike_before = e;
	}
	kind->first = e;
}

static void kind_leave(struct km_ledger *l, uint32_t e)
{
	uint32_t before = l->entry[e].alike_before;
	uint32_t after = l->entry[e].alike_after;

	*(before != 0 ? &l->entry[before].alike_after : &l->kind[l->entry[e].kind].first) = after;
	if (after != 0) {
		l->entry[after].alike_before = before;
	}
}

static void drop(struct km_ledger *l, uint32_t e)
{
	struct ledger_entry *entry = &l->entry[e];

	leave_places(l, e);
	list_remove(l, e);
	kind_leave(l, e);
	l->kind[entry->kind].running -= counts_as_running(entry);
	l->stats.bound -= entry->state == LEDGER_BOUND;
	ledger_kind_drop(l, entry->kind);
	ledger_entry_remove(l, e);
	l->revision++;
}

/* The entry that nothing has happened to for longest. returns false when there is none. */
static bool evict(struct km_ledger *l, uint32_t keep)
{
	uint32_t oldest = 0;

	for (int s = 0; s < LEDGER_STATE_N; s++) {
		uint32_t e = l->list[s].oldest;

		if (e == keep && e != 0) {
			e = l->entry[e].newer;
		}
		if (e != 0 &&
		    (oldest == 0 || l->entry[e].touched_ns < l->entry[oldest].touched_ns)) {
			oldest = e;
		}
	}
	if (oldest != 0) {
		drop(l, oldest);
		l->stats.evicted++;
	}
	return oldest != 0;
}

/* The newest on its node. A node too many is not counted on: its share is lost, and told. */
static void add_place(struct km_ledger *l, uint32_t e, uint64_t key, double weight)
{
	uint32_t n = ledger_node_add(l, key);
	uint32_t p;

	if (n == 0) {
		l->stats.evicted++;
		return;
	}
	p = ledger_place_take(l);
	while (p == 0 && evict(l, e)) { /* which may empty this very node: it is added anew */
		p = ledger_place_take(l);
		n = ledger_node_add(l, key);
	}
	if (p == 0) {
		node_release(l, n);
		return;
	}
	l->place[p] = (struct ledger_place){ .entry = e,
		                             .node = n,
		                             .next = l->entry[e].place,
		                             .older = l->node[n].newest,
		                             .weight = (float)weight };
	l->entry[e].place = p;
	if (l->node[n].newest != 0) {
		l->place[l->node[n].newest].newer = p;
	} else {
		l->node[n].oldest = p;
		l->stats.nodes++;
	}
	l->node[n].newest = p;
	node_changed(l, n);
}

/* The pod's entry in a new state, without places, newest in its list. 0: no room at all. */
static uint32_t renew(struct km_ledger *l, uint64_t uid, enum ledger_state state,
                      const struct km_pod_kind *kind, int64_t now_ns, int64_t running_ns)
{
	uint32_t e = ledger_entry_find(l, uid);
	struct ledger_entry *entry;

	if (e != 0) {
		drop(l, e);
	}
	e = ledger_entry_add(l, uid);
	while (e == 0 && evict(l, 0)) {
		e = ledger_entry_add(l, uid);
	}
	if (e == 0) {
		return 0;
	}
	entry = &l->entry[e];
	entry->touched_ns = now_ns;
	entry->running_ns = running_ns;
	entry->state = state;
	entry->kind = ledger_kind_add(l, kind);
	kind_join(l, e);
	l->kind[entry->kind].running += counts_as_running(entry);
	l->stats.bound += state == LEDGER_BOUND;
	list_append(l, e);
	l->revision++;
	return e;
}

bool km_ledger_has(const struct km_ledger *l, uint64_t uid)
{
	return uid != 0 && ledger_entry_find(l, uid) != 0;
}

uint64_t km_ledger_revision(const struct km_ledger *l)
{
	return l->revision;
}

size_t km_ledger_draw(uint64_t uid, size_t count, size_t *position)
{
	size_t shares = count < KM_LEDGER_SHARED_MAX ? count : KM_LEDGER_SHARED_MAX;
	double draw = (double)(km_hash64(&uid, sizeof(uid), DRAW_SEED) >> 11) * 0x1p-53;

	for (size_t i = 0; i < shares; i++) {
		/* every one is as likely to be drawn, and none twice */
		size_t at = count == shares
		                    ? i
		                    : (size_t)(((double)i + draw) * (double)count / (double)shares);

		position[i] = at < count ? at : count - 1;
	}
	return shares;
}

void km_ledger_reserve(struct km_ledger *l, uint64_t uid, const struct km_pod_kind *kind,
                       const uint64_t *node, size_t count, int64_t now_ns, int64_t running_ns)
{
	size_t position[KM_LEDGER_SHARED_MAX];
	size_t shares = km_ledger_draw(uid, count, position);
	uint32_t e = uid != 0 ? ledger_entry_find(l, uid) : 0;

	if (uid == 0 || (e != 0 && l->entry[e].state == LEDGER_BOUND)) {
		return;
	}
	if (count == 0) {
		if (e != 0) {
			drop(l, e);
		}
		return;
	}
	e = renew(l, uid, LEDGER_RESERVED, kind, now_ns, running_ns);
	if (e == 0) {
		return;
	}
	for (size_t i = 0; i < shares; i++) {
		add_place(l, e, node[position[i]], 1.0 / (double)shares);
	}
	l->stats.reserved++;
}

void km_ledger_bound(struct km_ledger *l, uint64_t uid, const struct km_pod_kind *kind,
                     uint64_t node, int64_t now_ns, int64_t running_ns)
{
	uint32_t e = uid != 0 ? ledger_entry_find(l, uid) : 0;

	if (uid == 0) {
		return;
	}
	if (e != 0 && l->entry[e].state == LEDGER_BOUND && l->entry[e].place != 0 &&
	    l->node[l->place[l->entry[e].place].node].key == node &&
	    ledger_same_kind(&l->kind[l->entry[e].kind].kind, kind)) {
		km_ledger_running(l, uid, running_ns);
		return;
	}
	l->stats.confirmed += e != 0 && l->entry[e].state == LEDGER_RESERVED;
	e = renew(l, uid, LEDGER_BOUND, kind, now_ns, running_ns);
	if (e != 0) {
		add_place(l, e, node, 1);
	}
}

void km_ledger_running(struct km_ledger *l, uint64_t uid, int64_t running_ns)
{
	uint32_t e = ledger_entry_find(l, uid);
	struct ledger_entry *entry = &l->entry[e];

	if (e == 0 || entry->state != LEDGER_BOUND || entry->running_ns == running_ns) {
		return;
	}
	l->kind[entry->kind].running -= counts_as_running(entry);
	entry->running_ns = running_ns;
	l->kind[entry->kind].running += counts_as_running(entry);
	for (uint32_t p = entry->place; p != 0; p = l->place[p].next) {
		node_changed(l, l->place[p].node);
	}
}

void km_ledger_gone(struct km_ledger *l, uint64_t uid)
{
	uint32_t e = uid != 0 ? ledger_entry_find(l, uid) : 0;

	if (e != 0) {
		drop(l, e);
	}
}

void km_ledger_expire(struct km_ledger *l, int64_t now_ns, int64_t ttl_ns)
{
	uint32_t e;

	while ((e = l->list[LEDGER_RESERVED].oldest) != 0) {
		/* Either way: what is of the far future was made before the clock went back. */
		double age_ns = (double)now_ns - (double)l->entry[e].touched_ns;

		if (fabs(age_ns) <= (double)ttl_ns) {
			return;
		}
		drop(l, e);
		l->stats.expired++;
	}
}

void km_ledger_clear(struct km_ledger *l)
{
	for (int s = 0; s < LEDGER_STATE_N; s++) {
		while (l->list[s].oldest != 0) {
			drop(l, l->list[s].oldest);
		}
	}
}

void km_ledger_set_platform(struct km_ledger *l, uint64_t node, uint64_t platform)
{
	uint32_t n = node != 0 ? ledger_node_add(l, node) : 0;

	if (n != 0 && l->node[n].platform != platform) {
		l->node[n].platform = platform;
		node_changed(l, n);
		node_release(l, n);
	} else if (n != 0) {
		node_release(l, n);
	}
}

void km_ledger_tag(struct km_ledger *l, uint64_t node, uint64_t tag)
{
	uint32_t n = ledger_node_find(l, node);

	if (n != 0) {
		l->node[n].tag = tag;
	}
}

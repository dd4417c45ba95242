/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger's memory. Pools are zeroed by the system and first touched when used, so a ledger that
 * holds little takes little; buckets hold positions, so zero is empty.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"

#include "ledger_internal.h"

_Static_assert(sizeof(struct km_pod_kind) == 4 * 8 + KM_CLASS_NAME_MAX, "no padding");

struct km_ledger *km_ledger_create(void)
{
	struct km_ledger *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		return NULL;
	}
	l->entries.max = KM_LEDGER_ENTRIES_MAX;
	l->places.max = KM_LEDGER_PLACES_MAX;
	l->nodes.max = KM_LEDGER_NODES_MAX;
	l->kinds.max = KM_LEDGER_KINDS_MAX;
	l->entry = calloc(KM_LEDGER_ENTRIES_MAX + 1, sizeof(*l->entry));
	l->place = calloc(KM_LEDGER_PLACES_MAX + 1, sizeof(*l->place));
	l->node = calloc(KM_LEDGER_NODES_MAX + 1, sizeof(*l->node));
	l->kind = calloc(KM_LEDGER_KINDS_MAX + 1, sizeof(*l->kind));
	l->entry_bucket = calloc(LEDGER_ENTRY_BUCKETS, sizeof(*l->entry_bucket));
	l->node_bucket = calloc(LEDGER_NODE_BUCKETS, sizeof(*l->node_bucket));
	l->kind_bucket = calloc(LEDGER_KIND_BUCKETS, sizeof(*l->kind_bucket));
	if (l->entry == NULL || l->place == NULL || l->node == NULL || l->kind == NULL ||
	    l->entry_bucket == NULL || l->node_bucket == NULL || l->kind_bucket == NULL) {
		km_ledger_free(l);
		return NULL;
	}
	(void)ledger_kind_add(l, &(struct km_pod_kind){ .rps = NAN });
	return l;
}

void km_ledger_free(struct km_ledger *l)
{
	if (l == NULL) {
		return;
	}
	free(l->entry);
	free(l->place);
	free(l->node);
	free(l->kind);
	free(l->entry_bucket);
	free(l->node_bucket);
	free(l->kind_bucket);
	free(l);
}

/* A position never used, unless one was given back; *next of a free one is the next free one. */
static uint32_t take(struct ledger_pool *p, uint32_t next_free)
{
	uint32_t at = p->free;

	if (at != 0) {
		p->free = next_free;
	} else if (p->top < p->max) {
		at = ++p->top;
	} else {
		return 0;
	}
	p->used++;
	return at;
}

/* returns what the given one is to point to. */
static uint32_t give(struct ledger_pool *p, uint32_t at)
{
	uint32_t next = p->free;

	p->free = at;
	p->used--;
	return next;
}

static uint32_t *entry_head(const struct km_ledger *l, uint64_t uid)
{
	return &l->entry_bucket[km_hash64(&uid, sizeof(uid), 0) & (LEDGER_ENTRY_BUCKETS - 1)];
}

uint32_t ledger_entry_find(const struct km_ledger *l, uint64_t uid)
{
	uint32_t e = *entry_head(l, uid);

	while (e != 0 && l->entry[e].uid != uid) {
		e = l->entry[e].next;
	}
	return e;
}

uint32_t ledger_entry_add(struct km_ledger *l, uint64_t uid)
{
	uint32_t *head = entry_head(l, uid);
	uint32_t e = take(&l->entries, l->entry[l->entries.free].next);

	if (e != 0) {
		l->entry[e] = (struct ledger_entry){ .uid = uid, .next = *head };
		*head = e;
	}
	return e;
}

void ledger_entry_remove(struct km_ledger *l, uint32_t e)
{
	uint32_t *at = entry_head(l, l->entry[e].uid);

	while (*at != e) {
		at = &l->entry[*at].next;
	}
	*at = l->entry[e].next;
	l->entry[e].next = give(&l->entries, e);
}

static uint32_t *node_head(const struct km_ledger *l, uint64_t key)
{
	return &l->node_bucket[km_hash64(&key, sizeof(key), 0) & (LEDGER_NODE_BUCKETS - 1)];
}

uint32_t ledger_node_find(const struct km_ledger *l, uint64_t key)
{
	uint32_t n = *node_head(l, key);

	while (n != 0 && l->node[n].key != key) {
		n = l->node[n].next;
	}
	return n;
}

uint32_t ledger_node_add(struct km_ledger *l, uint64_t key)
{
	uint32_t *head = node_head(l, key);
	uint32_t n = ledger_node_find(l, key);

	if (n == 0) {
		n = take(&l->nodes, l->node[l->nodes.free].next);
		if (n != 0) {
			l->node[n] = (struct ledger_node){ .key = key, .next = *head };
			*head = n;
		}
	}
	return n;
}

void ledger_node_remove(struct km_ledger *l, uint32_t n)
{
	uint32_t *at = node_head(l, l->node[n].key);

	while (*at != n) {
		at = &l->node[*at].next;
	}
	*at = l->node[n].next;
	l->node[n] = (struct ledger_node){ .next = give(&l->nodes, n) };
}

static uint64_t bits_of(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* By bits: a rate that is not known equals itself. */
bool ledger_same_kind(const struct km_pod_kind *a, const struct km_pod_kind *b)
{
	return a->service == b->service && a->policy == b->policy && a->effects == b->effects &&
	       bits_of(a->rps) == bits_of(b->rps) &&
	       memcmp(a->class_name, b->class_name, sizeof(a->class_name)) == 0;
}

static uint32_t *kind_head(const struct km_ledger *l, const struct km_pod_kind *kind)
{
	return &l->kind_bucket[km_hash64(kind, sizeof(*kind), 0) & (LEDGER_KIND_BUCKETS - 1)];
}

uint32_t ledger_kind_add(struct km_ledger *l, const struct km_pod_kind *kind)
{
	uint32_t *head = kind_head(l, kind);
	uint32_t k = *head;

	while (k != 0 && !ledger_same_kind(&l->kind[k].kind, kind)) {
		k = l->kind[k].next;
	}
	if (k == 0) {
		k = take(&l->kinds, l->kind[l->kinds.free].next);
		if (k == 0) {
			k = LEDGER_KIND_UNKNOWN;
		} else {
			l->kind[k] = (struct ledger_kind){ .kind = *kind,
				                           .id = ++l->next_kind_id,
				                           .next = *head };
			*head = k;
		}
	}
	l->kind[k].entries++;
	return k;
}

void ledger_kind_drop(struct km_ledger *l, uint32_t k)
{
	uint32_t *at = kind_head(l, &l->kind[k].kind);

	if (--l->kind[k].entries > 0) {
		return;
	}
	while (*at != k) {
		at = &l->kind[*at].next;
	}
	*at = l->kind[k].next;
	l->kind[k].next = give(&l->kinds, k);
}

uint32_t ledger_place_take(struct km_ledger *l)
{
	return take(&l->places, l->place[l->places.free].next);
}

void ledger_place_give(struct km_ledger *l, uint32_t p)
{
	l->place[p].next = give(&l->places, p);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the ledger. Four pools, all of fixed size; what refers to what by position, 0 = none:
 *
 *   entry (a pod) ──> its places ──> node       a place hangs in two lists: of its entry, and of
 *     └─> kind                                  its node, oldest first
 *
 * Entries also hang in one of two lists by age: reserved, bound.
 */
#ifndef KM_PLACE_LEDGER_INTERNAL_H
#define KM_PLACE_LEDGER_INTERNAL_H

#include "km/place/ledger.h"

#define LEDGER_ENTRY_BUCKETS 131072 /* powers of two */
#define LEDGER_NODE_BUCKETS  32768
#define LEDGER_KIND_BUCKETS  4096

enum ledger_state { LEDGER_RESERVED, LEDGER_BOUND, LEDGER_STATE_N };

struct ledger_entry {
	uint64_t uid;
	int64_t touched_ns;
	int64_t running_ns;
	uint32_t kind;
	uint32_t place;                     /* the first one */
	uint32_t older, newer;              /* in the list of its state */
	uint32_t alike_before, alike_after; /* entries of its kind */
	uint32_t next;                      /* in its bucket, or among the free */
	uint32_t state;                     /* enum ledger_state */
};

struct ledger_place {
	uint32_t entry;
	uint32_t node;
	uint32_t next;         /* of the entry, or among the free */
	uint32_t older, newer; /* on the node */
	float weight;
};

struct ledger_node {
	uint64_t key;
	uint64_t platform;
	uint64_t digest;
	uint64_t tag;
	uint32_t oldest, newest; /* places */
	uint32_t next;           /* in its bucket, or among the free */
	bool digest_holds;
};

struct ledger_kind {
	struct km_pod_kind kind;
	uint64_t id;    /* never the same again, unlike its position */
	uint32_t first; /* of its entries */
	uint32_t entries;
	uint32_t running; /* of them bound and running */
	uint32_t next;    /* in its bucket, or among the free */
};

/* What is taken of a pool, and what was given back. */
struct ledger_pool {
	uint32_t top; /* positions 1 .. top were taken once */
	uint32_t free;
	uint32_t used;
	uint32_t max;
};

struct ledger_list {
	uint32_t oldest, newest;
};

struct km_ledger {
	uint64_t revision;
	uint64_t next_kind_id;
	struct km_ledger_stats stats;
	struct ledger_list list[LEDGER_STATE_N];
	struct ledger_pool entries, places, nodes, kinds;
	struct ledger_entry *entry;
	struct ledger_place *place;
	struct ledger_node *node;
	struct ledger_kind *kind; /* [1] is of pods unknown and stays */
	uint32_t *entry_bucket, *node_bucket, *kind_bucket;
};

#define LEDGER_KIND_UNKNOWN 1u

/* ---- ledger_pool.c: memory, and the tables by key. Positions; 0 = none, or full. ---- */
uint32_t ledger_entry_find(const struct km_ledger *l, uint64_t uid);
uint32_t ledger_entry_add(struct km_ledger *l, uint64_t uid);
void ledger_entry_remove(struct km_ledger *l, uint32_t e);
uint32_t ledger_node_find(const struct km_ledger *l, uint64_t key);
uint32_t ledger_node_add(struct km_ledger *l, uint64_t key); /* or the one that is there */
void ledger_node_remove(struct km_ledger *l, uint32_t n);
bool ledger_same_kind(const struct km_pod_kind *a, const struct km_pod_kind *b);
uint32_t ledger_kind_add(struct km_ledger *l, const struct km_pod_kind *kind); /* never 0 */
void ledger_kind_drop(struct km_ledger *l, uint32_t k);
uint32_t ledger_place_take(struct km_ledger *l);
void ledger_place_give(struct km_ledger *l, uint32_t p);

#endif

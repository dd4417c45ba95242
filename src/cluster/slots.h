/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of immutable, reference-counted items, for one writer and many readers:
 *
 *   slots --> block[0..n]   BLOCK_ITEMS pointers each; shared with snapshots, copied on write
 *         --> buckets       namespace and name to slot: the writer's alone
 *         --> changed[]     slots that the feeder has not looked at
 *
 * so a snapshot of 50,000 pods copies 800 pointers. The lock is the caller's; what must be held is
 * said at each function. Memory is taken outside of it.
 */
#ifndef KM_CLUSTER_SLOTS_H
#define KM_CLUSTER_SLOTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/cluster/view.h"

#define SLOTS_BLOCK 64
#define SLOTS_NONE  UINT32_MAX

/* One object; labels and texts lie behind it in the same piece of memory. */
struct view_item {
	_Atomic uint32_t refs;
	enum km_view_kind kind;
	union {
		struct km_view_node node;
		struct km_view_pod pod;
		struct km_view_policy policy;
		struct km_view_namespace namespace;
	};
	struct km_policy *parsed; /* of a policy: owned */
};

struct view_item *view_item_ref(struct view_item *i); /* NULL allowed, as below */
void view_item_unref(struct view_item *i);
void view_item_key(const struct view_item *i, struct km_name *namespace, struct km_name *name);

/* Copies; NULL when out of memory. */
struct view_item *view_item_of_node(const struct km_view_node *n);
struct view_item *view_item_of_pod(const struct km_view_pod *p);
struct view_item *view_item_of_policy(const struct km_view_policy *p);
struct view_item *view_item_of_namespace(const struct km_view_namespace *n);

bool view_same_name(struct km_name a, struct km_name b);
bool view_same_number(double a, double b); /* NaN is as NaN: not said */
bool view_same_labels(const struct km_pod *a, const struct km_pod *b);
/* Is everything that is kept equal? */
bool view_item_same_node(const struct km_view_node *a, const struct km_view_node *b);
bool view_item_same_pod(const struct km_view_pod *a, const struct km_view_pod *b);

struct slots_block {
	_Atomic uint32_t refs;
	struct view_item *item[SLOTS_BLOCK];
};

/* What only the writer touches. */
struct slots_meta {
	uint64_t hash;
	uint32_t epoch; /* of the list that last named it */
};

struct slots {
	pthread_mutex_t *lock; /* borrowed: guards the next block of members */
	struct slots_block **block;
	size_t block_count;
	uint32_t count;    /* items */
	uint32_t *changed; /* [changed_count]; room for every slot */
	bool *is_changed;  /* [slot] */
	size_t changed_count;
	uint64_t revision; /* of any change */

	struct slots_meta *meta; /* [slot]; from here on the writer's */
	uint32_t *bucket;        /* [bucket_count]: slot + 1, 0 = free */
	size_t bucket_count;     /* a power of two */
	uint32_t *vacant;        /* [vacant_count] */
	size_t vacant_count;
	uint32_t epoch;
	uint64_t seed;
};

void slots_init(struct slots *s, pthread_mutex_t *lock, uint64_t seed);
void slots_fini(struct slots *s);

/* ---- the writer ---- */

/* The slot of that name, or SLOTS_NONE. */
uint32_t slots_find(const struct slots *s, struct km_name namespace, struct km_name name);
struct view_item *slots_at(const struct slots *s, uint32_t slot); /* borrowed */

/*
 * Puts an item, which is taken (also on error), where its name is or belongs.
 * returns 0 or -ENOMEM (nothing changed).
 */
int slots_set(struct slots *s, struct view_item *i);
/* returns 0, or -ENOMEM: the item is still there. Nothing there is fine. */
int slots_remove(struct slots *s, struct km_name namespace, struct km_name name);

/* The list that goes on named it, and it is as it was. */
void slots_seen(struct slots *s, struct km_name namespace, struct km_name name);

void slots_list_begin(struct slots *s);
int slots_list_end(struct slots *s); /* removes what the list did not name */

/* ---- readers ---- */

/* Under the lock: references on all blocks. block [s->block_count]. */
void slots_share(struct slots *s, struct slots_block **block);
void slots_block_unref(struct slots_block *b); /* NULL allowed */

/*
 * Takes up to `max` changed slots, with a reference on what each holds now (NULL = nothing). Takes
 * the lock. returns how many.
 */
size_t slots_take_changed(struct slots *s, uint32_t *slot, struct view_item **item, size_t max);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of decisions. What is looked through, hashes and times, lies apart from the slots, side
 * by side: all 10,000 are seen in microseconds, and so is the lock held.
 */
#include "km/decide/record.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/clock.h"
#include "km/base/hash.h"

#include "record_internal.h"

#define JOIN_DECISIONS 256
#define JOIN_NS        (10 * KM_NS_PER_S)
#define NO_HASH        0

struct key {
	uint64_t who; /* the pod as /prioritize will name it; NO_HASH = never joined, or joined */
	uint64_t name_hash;
	int64_t mono_ns;
};

struct km_record {
	pthread_mutex_t lock; /* all below */
	uint64_t added;       /* decision n, from 0, is in slot n % KM_RECORD_DECISIONS */
	struct key *key;
	struct record_slot *slot;
};
_Static_assert(sizeof(struct key) + sizeof(struct record_slot) ==
                       KM_RECORD_BYTES / KM_RECORD_DECISIONS,
               "what the header says");

static const char *const origin_names[KM_ORIGIN_N] = {
	[KM_ORIGIN_DEFAULT] = "default",
	[KM_ORIGIN_ANNOTATIONS] = "annotations",
	[KM_ORIGIN_POLICY] = "policy",
};

const char *km_workload_origin_name(enum km_workload_origin o)
{
	return origin_names[o];
}

int km_record_create(struct km_record **out, struct km_err *err)
{
	struct km_record *r = calloc(1, sizeof(*r));

	*out = NULL;
	if (r != NULL) {
		/* Not touched before they are used: a ring costs what it holds. */
		r->key = calloc(KM_RECORD_DECISIONS, sizeof(*r->key));
		r->slot = calloc(KM_RECORD_DECISIONS, sizeof(*r->slot));
	}
	if (r == NULL || r->key == NULL || r->slot == NULL) {
		km_record_free(r);
		return km_err_set(err, ENOMEM, "decisions: out of memory");
	}
	(void)pthread_mutex_init(&r->lock, NULL); /* never fails with default attributes */
	*out = r;
	return 0;
}

void km_record_free(struct km_record *r)
{
	if (r == NULL) {
		return;
	}
	free(r->key);
	free(r->slot);
	(void)pthread_mutex_destroy(&r->lock);
	free(r);
}

static uint64_t hash_of(struct km_name name, uint64_t seed)
{
	uint64_t h = km_hash64(name.text, name.len, seed);

	return h != NO_HASH ? h : 1;
}

static uint64_t hash_of_pod(const struct km_recorded *d)
{
	if (d->pod_uid.len > 0) {
		return hash_of(d->pod_uid, 1);
	}
	if (d->pod_name.len == 0) {
		return NO_HASH;
	}
	return hash_of(d->pod_name, hash_of(d->pod_namespace, 2));
}

static uint64_t hash_of_name(struct km_name name)
{
	if (name.len > RECORD_NAME_MAX) {
		name.len = RECORD_NAME_MAX;
	}
	return hash_of(name, 3);
}

/* Under the lock. The newest /filter of that pod that waits for its /prioritize; -1 = none. */
static int64_t find_filter(const struct km_record *r, uint64_t who, int64_t now_ns)
{
	for (uint64_t back = 1; back <= JOIN_DECISIONS && back <= r->added; back++) {
		const struct key *k = &r->key[(r->added - back) % KM_RECORD_DECISIONS];

		if (k->who == who) {
			return now_ns - k->mono_ns <= JOIN_NS ? (int64_t)(r->added - back) : -1;
		}
	}
	return -1;
}

/* Behind the best of /prioritize come examples of what /filter had dropped. */
static void merge_nodes(struct km_recorded *d, const struct km_recorded *filter)
{
	struct km_recorded_node node[KM_RECORD_NODES_MAX];
	size_t first = d->count < 3 ? d->count : 3;
	size_t count = first;

	memcpy(node, d->node, first * sizeof(node[0]));
	for (size_t i = 0; i < filter->count && count < KM_RECORD_NODES_MAX; i++) {
		if (!filter->node[i].verdict.passes) {
			node[count++] = filter->node[i];
		}
	}
	for (size_t i = first; i < d->count && count < KM_RECORD_NODES_MAX; i++) {
		node[count++] = d->node[i];
	}
	memcpy(d->node, node, count * sizeof(node[0]));
	d->count = count;
}

/* Who was asked about and dropped is /filter's to say; what the rest scored, /prioritize's. */
static void merge(struct km_recorded *d, const struct km_recorded *filter)
{
	d->prioritize_id = d->id;
	d->id = filter->id;
	d->wall_ns = filter->wall_ns;
	d->calls |= filter->calls;
	d->asked = filter->asked;
	d->passed = filter->passed;
	memcpy(d->reason, filter->reason, sizeof(d->reason));
	merge_nodes(d, filter);
}

static void push(struct km_record *r, const struct key *key, const struct record_slot *slot)
{
	uint64_t at = r->added % KM_RECORD_DECISIONS;

	r->key[at] = *key;
	r->slot[at] = *slot;
	r->added++;
}

/* returns true when `d` has become part of its /filter's decision. */
static bool join(struct km_record *r, const struct km_recorded *d, uint64_t who, int64_t now_ns)
{
	struct km_recorded_copy filter;
	struct km_recorded both = *d;
	struct record_slot slot = { .byte = { 0 } };
	struct key *key = NULL;
	int64_t at;

	pthread_mutex_lock(&r->lock);
	at = find_filter(r, who, now_ns);
	if (at >= 0) {
		slot = r->slot[(uint64_t)at % KM_RECORD_DECISIONS];
	}
	pthread_mutex_unlock(&r->lock);
	if (at < 0) {
		return false;
	}
	record_decode(&slot, &filter);
	merge(&both, &filter.decision);
	record_encode(&both, &slot);
	pthread_mutex_lock(&r->lock);
	/* Unless it was joined, or overwritten by 10,000 others, meanwhile. */
	if (r->added - (uint64_t)at <= KM_RECORD_DECISIONS) {
		key = &r->key[(uint64_t)at % KM_RECORD_DECISIONS];
	}
	if (key != NULL && key->who == who) {
		key->who = NO_HASH;
		r->slot[(uint64_t)at % KM_RECORD_DECISIONS] = slot;
	} else {
		key = NULL;
	}
	pthread_mutex_unlock(&r->lock);
	return key != NULL;
}

void km_record_add(struct km_record *r, const struct km_recorded *d, int64_t now_ns)
{
	uint64_t who = hash_of_pod(d);
	struct key key = { .name_hash = hash_of_name(d->pod_name), .mono_ns = now_ns };
	struct record_slot slot = { .byte = { 0 } };

	if ((d->calls & KM_RECORD_FILTER) != 0) {
		key.who = who;
	} else if (who != NO_HASH && join(r, d, who, now_ns)) {
		return;
	}
	record_encode(d, &slot);
	pthread_mutex_lock(&r->lock);
	push(r, &key, &slot);
	pthread_mutex_unlock(&r->lock);
}

static bool same(struct km_name a, struct km_name b)
{
	return a.len == b.len && memcmp(a.text, b.text, a.len) == 0;
}

static bool matches(const struct km_recorded *d, const struct km_record_query *q)
{
	if (q->id != 0 && d->id != q->id && d->prioritize_id != q->id) {
		return false;
	}
	return (q->pod_name.len == 0 || same(d->pod_name, q->pod_name)) &&
	       (q->pod_namespace.len == 0 || same(d->pod_namespace, q->pod_namespace));
}

/* The newest slot older than *cursor of a pod of that name. */
static bool find_next(struct km_record *r, const struct km_record_query *q, uint64_t *cursor,
                      struct record_slot *out)
{
	uint64_t hash = q->pod_name.len > 0 ? hash_of_name(q->pod_name) : NO_HASH;
	bool found = false;
	uint64_t oldest;
	uint64_t at;

	pthread_mutex_lock(&r->lock);
	oldest = r->added > KM_RECORD_DECISIONS ? r->added - KM_RECORD_DECISIONS : 0;
	at = *cursor != 0 && *cursor - 1 < r->added ? *cursor - 1 : r->added;
	while (!found && at > oldest) {
		at--;
		found = hash == NO_HASH || r->key[at % KM_RECORD_DECISIONS].name_hash == hash;
	}
	if (found) {
		*out = r->slot[at % KM_RECORD_DECISIONS];
		*cursor = at + 1;
	}
	pthread_mutex_unlock(&r->lock);
	return found;
}

bool km_record_next(struct km_record *r, const struct km_record_query *q, uint64_t *cursor,
                    struct km_recorded_copy *out)
{
	struct record_slot slot = { .byte = { 0 } };

	while (find_next(r, q, cursor, &slot)) {
		record_decode(&slot, out);
		if (matches(&out->decision, q)) {
			return true;
		}
	}
	return false;
}

size_t km_record_held(struct km_record *r, int64_t *oldest_wall_ns)
{
	struct km_recorded_copy oldest;
	struct record_slot slot = { .byte = { 0 } };
	size_t held;

	pthread_mutex_lock(&r->lock);
	held = r->added < KM_RECORD_DECISIONS ? (size_t)r->added : KM_RECORD_DECISIONS;
	if (held > 0) {
		slot = r->slot[(r->added - held) % KM_RECORD_DECISIONS];
	}
	pthread_mutex_unlock(&r->lock);
	*oldest_wall_ns = 0;
	if (held > 0) {
		record_decode(&slot, &oldest);
		*oldest_wall_ns = oldest.decision.wall_ns;
	}
	return held;
}

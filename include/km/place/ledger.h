/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The in-flight ledger: which pods are on which node although its counters do not show them yet, or
 * not in full; and, with a pod feed, which are there at all. Between two samples every pod sees the
 * same counters; without this, all pods of a burst would go to the one node that looks best.
 *
 *   RESERVED   our last answer said so; shared out over the nodes that tied
 *   BOUND      the feed says it is there; in flight until it has run for a whole window
 *
 * One entry per pod, replaced by its next call. Pure: time is an argument, nodes and pods are keys
 * (hashes of their names; 0 = none). All memory is taken at creation and touched as it is used;
 * calls allocate nothing. One thread at a time.
 */
#ifndef KM_PLACE_LEDGER_H
#define KM_PLACE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/core/schema.h"

#define KM_LEDGER_ENTRIES_MAX 131072 /* pods; then the one unchanged for longest goes */
#define KM_LEDGER_PLACES_MAX  262144 /* of all entries together */
#define KM_LEDGER_NODES_MAX   32768  /* with an entry, at once */
#define KM_LEDGER_KINDS_MAX   4096   /* told apart at once; further ones are pods unknown */
#define KM_LEDGER_SHARED_MAX  32     /* nodes that share one reservation */

struct km_ledger;

/* What tells pods apart for those who have to live with them. Without padding: compared as bytes.
 */
struct km_pod_kind {
	uint64_t service;                   /* equal = replicas of one service; 0 = of none */
	uint64_t policy;                    /* km_policy_key of what matches it; 0 = none */
	uint64_t effects;                   /* what learned effects know it as; 0 = nothing */
	double rps;                         /* requests/s of this one pod; NaN = not known */
	char class_name[KM_CLASS_NAME_MAX]; /* "" = none, zeroes behind the end */
};

/* One pod, or a share of one, on a node. */
struct km_ledger_item {
	struct km_pod_kind kind;
	double weight;      /* 1; of a reservation that several nodes share, its part */
	bool bound;         /* else reserved */
	int64_t running_ns; /* since when it runs and counters see it; INT64_MAX = it does not yet
	                     */
};

/* A node with entries, and a number that is equal as long as they are. */
struct km_ledger_busy {
	uint64_t node;
	uint64_t platform; /* as km_ledger_set_platform said; 0 = not known */
	uint64_t digest;
	uint64_t tag; /* as km_ledger_tag said; 0 = nothing */
};

struct km_ledger_stats {
	uint64_t reserved, confirmed, expired, evicted; /* entries, since creation */
	uint32_t entries, bound, nodes, kinds;          /* now */
};

struct km_ledger *km_ledger_create(void); /* NULL when out of memory */
void km_ledger_free(struct km_ledger *l); /* NULL allowed */

bool km_ledger_has(const struct km_ledger *l, uint64_t uid);

/* Changes with every change of any entry. */
uint64_t km_ledger_revision(const struct km_ledger *l);

/*
 * Which of `count` nodes share the pod's reservation: all of them, or so many drawn, by uid alone,
 * that the shares are right on average. position [KM_LEDGER_SHARED_MAX], ascending. returns how
 * many.
 */
size_t km_ledger_draw(uint64_t uid, size_t count, size_t *position);

/*
 * Pod `uid` is expected on one of node [count], each as likely: replaces its reservation. Of more
 * than KM_LEDGER_SHARED_MAX nodes so many are drawn. count 0 drops its reservation. A bound pod is
 * not reserved again.
 * running_ns: when counters are taken to see it (without a feed: now); INT64_MAX = the feed tells.
 */
void km_ledger_reserve(struct km_ledger *l, uint64_t uid, const struct km_pod_kind *kind,
                       const uint64_t *node, size_t count, int64_t now_ns, int64_t running_ns);

/*
 * The feed: the pod is on `node`, wherever it was expected; again for each change. running_ns as
 * above. After a restart the pods that are there are told the same way: those that have run for a
 * window are not in flight.
 */
void km_ledger_bound(struct km_ledger *l, uint64_t uid, const struct km_pod_kind *kind,
                     uint64_t node, int64_t now_ns, int64_t running_ns);
void km_ledger_running(struct km_ledger *l, uint64_t uid, int64_t running_ns);
void km_ledger_gone(struct km_ledger *l, uint64_t uid);

/* Drops reservations that are older than ttl_ns; bound pods stay until they are gone. */
void km_ledger_expire(struct km_ledger *l, int64_t now_ns, int64_t ttl_ns);

/* Forgets everything but platforms. */
void km_ledger_clear(struct km_ledger *l);

/* Which machine the node is of, for learned effects. Kept while the node has entries or a platform.
 */
void km_ledger_set_platform(struct km_ledger *l, uint64_t node, uint64_t platform);

/* A note of the caller's on a node with entries, so that it need not look it up again. */
void km_ledger_tag(struct km_ledger *l, uint64_t node, uint64_t tag);

/*
 * Nodes with entries, without those of pod `except` (0 = none): out [max], in an order that stays
 * the same while they do. returns how many there are, which may be more than max.
 */
size_t km_ledger_busy(struct km_ledger *l, uint64_t except, struct km_ledger_busy *out, size_t max);

/*
 * What is on `node`, oldest first, without pod `except`: item [max]; *busy as above.
 * returns how many there are, which may be more than max.
 */
size_t km_ledger_items(struct km_ledger *l, uint64_t node, uint64_t except,
                       struct km_ledger_item *item, size_t max, struct km_ledger_busy *busy);

/* Where a bound pod is, and what it is. returns false when it is not bound. */
bool km_ledger_where(const struct km_ledger *l, uint64_t uid, uint64_t *node,
                     struct km_pod_kind *kind);

/* Pods of that service that are bound and run, anywhere. */
uint32_t km_ledger_service_count(const struct km_ledger *l, uint64_t service);

/*
 * Nodes with pods of that service, bound or expected: node [max], some of them more than once.
 * returns how many, which may be more than max.
 */
size_t km_ledger_service_nodes(const struct km_ledger *l, uint64_t service, uint64_t *node,
                               size_t max);

void km_ledger_stats(const struct km_ledger *l, struct km_ledger_stats *out);

/*
 * How much of an item counters do not show: its weight, less the share of the window that it has
 * been running in. The window is the window_s seconds up to end_ns, the time the data is of.
 */
double km_ledger_unseen(const struct km_ledger_item *item, int64_t end_ns, double window_s);

#endif

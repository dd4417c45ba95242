/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the view: tables that watchers fill under one lock, and what was told of them already. */
#ifndef KM_VIEW_INTERNAL_H
#define KM_VIEW_INTERNAL_H

#include "km/cluster/view.h"

#include "slots.h"

#define VIEW_READY_SLOTS ((size_t)2 * KM_POLICIES_MAX) /* a power of two */

struct view_stream {
	bool listed, live, trouble; /* trouble: was ever told that it does not work */
	int64_t lost_ns;            /* monotonic, since when; 0 = it is there */
	char why[96];
};

/* What the receiver knows of a pod. */
struct view_fed_pod {
	struct view_item *item; /* a reference; NULL = nothing */
	uint64_t policy;        /* that holds for it; 0 = none */
	bool ready;             /* counted so */
	bool stuck;             /* bound, and told gone: it does not come to run */
};

struct view_fed_node {
	struct view_item *item; /* a reference; NULL = nothing */
	bool due;               /* to be told, once all that went is */
};

/* Pods of a policy that are ready. */
struct view_ready {
	uint64_t policy; /* 0 = never taken: a search ends here */
	uint32_t count, told;
	bool known; /* told at all */
};

/* Of the one thread that feeds. */
struct view_feeder {
	struct view_fed_pod *pod; /* [pod_cap], by slot */
	size_t pod_cap;
	struct view_fed_node *node; /* [node_cap], by slot */
	size_t node_cap;
	struct view_item **policy; /* [policy_cap], by slot */
	size_t policy_cap;
	bool live, late;
	bool policies_due;
	int64_t policies_from_ns;     /* not before */
	int64_t looked_ns;            /* for pods that do not come to run, when last */
	struct km_policies *policies; /* that hold: theirs and others' */
	struct view_ready ready[VIEW_READY_SLOTS];
};

struct km_view {
	const struct km_clock *clock;
	struct km_view_feed feed;
	km_view_parse_policy parse_policy;
	struct km_counter *no_memory;

	pthread_mutex_t lock; /* the shared part of tables, streams, and the next */
	pthread_cond_t wake;
	bool changed, stop, renew_policies;
	struct slots table[KM_VIEW_KINDS];
	struct view_stream stream[KM_VIEW_KINDS];
	bool feeding, late; /* the feeder's, for others to see */

	pthread_t thread;
	bool started;
	struct view_feeder feeder;
};

/* view.c: "NAMESPACE/NAME", as policies are called in texts. returns out [size]. */
const char *view_policy_path(const struct km_view_policy *p, char *out, size_t size);

/* view_feed.c: tells what changed. returns the monotonic time of the next look; INT64_MAX = none.
 */
int64_t view_feed_step(struct km_view *v);
void view_feed_fini(struct km_view *v);

/* view_policies.c: policies as the set that holds, made anew from what the tables say. */
void view_policies_build(struct km_view *v);

/* view_ready.c */
void view_ready_count(struct view_feeder *f, uint64_t policy, int by);
void view_ready_tell(struct km_view *v);

#endif

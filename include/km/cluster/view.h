/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Kubernetes says: nodes, pods, policies and namespaces, as watchers hear it, kept as small as
 * decisions allow (a pod is some 700 bytes). Two things are made of it: a feed that tells decide
 * what changed, call by call, and snapshots for whoever wants to read all of it.
 *
 *	watchers --set, remove, listing, listed--> tables --changed slots--> feed (thread km-view)
 *	                                              \--km_view_get--> snapshot (any thread)
 *
 * An object is immutable once it is in; what changes is which one a slot holds. Names are borrowed
 * from the object, which lives as long as a snapshot that shows it.
 */
#ifndef KM_CLUSTER_VIEW_H
#define KM_CLUSTER_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/clock.h"
#include "km/base/err.h"
#include "km/core/name.h"
#include "km/core/pod.h"
#include "km/core/policy.h"
#include "km/metrics/metrics.h"

enum km_view_kind {
	KM_VIEW_NODES,
	KM_VIEW_PODS,
	KM_VIEW_POLICIES,
	KM_VIEW_NAMESPACES,
	KM_VIEW_KINDS,
};

const char *km_view_kind_name(enum km_view_kind kind); /* "nodes", "pods", ... */

struct km_view_node {
	struct km_name name, uid;
	struct km_name verdict;         /* annotation kubemarla.io/verdict; len 0 = none */
	struct km_name platform;        /* what kind of machine it is, in the words of its labels */
	double cpu_cores, memory_bytes; /* allocatable; NaN = not said */
	bool ready, unschedulable;
};

enum km_view_phase { KM_VIEW_PENDING, KM_VIEW_RUNNING, KM_VIEW_ENDED };

struct km_view_pod {
	struct km_pod pod;        /* who it is; its labels and what its annotations ask */
	struct km_name node;      /* len 0 = not bound */
	struct km_name ip;        /* len 0 = none yet */
	struct km_name scheduler; /* spec.schedulerName */
	struct km_name refused;   /* message of PodScheduled=False; len 0 = none. Cut at
	                             KM_VIEW_TEXT_MAX */
	struct km_name refused_reason;
	double cpu_cores, memory_bytes; /* requested; NaN = nothing */
	enum km_view_phase phase;
	bool ready;
	bool deleting;
	int64_t running_wall_ns; /* since when it runs: Ready, else start; 0 = not said */
	int64_t running_mono_ns; /* the view's: the same by the monotonic clock; INT64_MAX = it
	                            does not run */
	int64_t bound_mono_ns;   /* the view's: when it was first seen bound; 0 = it is not */
};

struct km_view_policy {
	struct km_name namespace, name, uid;
	struct km_name resource_version;
	struct km_name json;  /* the whole object, as it came */
	struct km_name error; /* why it does not parse; len 0 = it does */
	int64_t generation;
	/* The view's: as parsed, NULL with an error. Whether it is trusted, only
	 * km_decide_get_policies tells: that is its namespace's, not its own. */
	const struct km_policy *policy;
};

struct km_view_namespace {
	struct km_name name;
	bool trusted; /* label kubemarla.io/trusted: "true" */
};

#define KM_VIEW_TEXT_MAX 1024 /* bytes of a text that is not a name */

/*
 * Whom the view tells; thread km-view, one call at a time, no lock held. What a pointer names lives
 * for the call. Any member may be NULL. Between live(true) and live(false) the receiver knows every
 * pod that is bound and has not ended.
 */
struct km_view_feed {
	void (*live)(void *ctx, bool live);
	/* A pod that is bound and does not run for ten minutes (its image cannot be pulled, say) is
	 * on its way no more: told gone, and bound again should it run after all. */
	/* The pod stream was lost for so long that nothing confirms what happens; or is back. */
	void (*late)(void *ctx, bool late);
	void (*pod_bound)(void *ctx, const struct km_pod *pod, struct km_name node,
	                  int64_t running_mono_ns); /* INT64_MAX = does not run yet */
	void (*pod_running)(void *ctx, struct km_name uid, int64_t running_mono_ns);
	void (*pod_gone)(void *ctx, struct km_name uid);
	/* How many pods that the policy of that key holds for are ready. */
	void (*ready_pods)(void *ctx, uint64_t policy, uint32_t ready);
	/* Those of the API, each with the trust of its namespace; the receiver takes a reference if
	 * it keeps them. returns the set that holds, with a reference: theirs and others'. */
	struct km_policies *(*policies)(void *ctx, struct km_policies *p);
	void (*node)(void *ctx, const struct km_view_node *node); /* new, or its platform changed */
	void (*node_gone)(void *ctx, struct km_name name);
	/* Every change of a pod, bound or not: came (old NULL), changed, went (now NULL). */
	void (*pod)(void *ctx, const struct km_view_pod *old, const struct km_view_pod *now);
	void (*settled)(void *ctx); /* all of what changed so far is told */
	void *ctx;
};

/* As km_policy_parse (km/config/policy_file.h). */
typedef int (*km_view_parse_policy)(const char *name, const char *json, size_t len, bool trusted,
                                    struct km_policy *out, struct km_err *err);

struct km_view_options {
	const struct km_clock *clock;      /* borrowed, as the next; both outlive the view */
	struct km_metrics *metrics;        /* NULL allowed */
	const struct km_view_feed *feed;   /* copied */
	km_view_parse_policy parse_policy; /* NULL: policies are kept unparsed */
};

struct km_view;

/* returns 0 and *out owned; -ENOMEM. */
int km_view_create(const struct km_view_options *options, struct km_view **out,
                   struct km_err *err) KM_MUST_CHECK;
void km_view_free(struct km_view *v); /* after km_view_stop; NULL allowed */

/* Thread km-view: feeds until stopped. Without it, km_view_step feeds what has changed so far. */
int km_view_start(struct km_view *v, struct km_err *err) KM_MUST_CHECK;
void km_view_stop(struct km_view *v); /* joins; NULL and not started are fine */
void km_view_step(struct km_view *v);

/* feed->policies is to be asked again: those that are not of the API are others. Any thread. */
void km_view_renew_policies(struct km_view *v);

/*
 * ---- what watchers tell; for each kind one thread at a time ----
 *
 * Everything is copied. An object replaces the one of its namespace and name; with another UID it
 * is another object, and the old one is told gone. A pod that ended is removed.
 * return 0, or -ENOMEM: the old object stays, counted; the next list makes up for it.
 */
int km_view_set_node(struct km_view *v, const struct km_view_node *node);
int km_view_set_pod(struct km_view *v, const struct km_view_pod *pod);
int km_view_set_policy(struct km_view *v, const struct km_view_policy *policy);
int km_view_set_namespace(struct km_view *v, const struct km_view_namespace *ns);
void km_view_remove(struct km_view *v, enum km_view_kind kind, struct km_name namespace,
                    struct km_name name);

/* A list begins; what is not set until it is whole is removed then. */
void km_view_listing(struct km_view *v, enum km_view_kind kind);
void km_view_listed(struct km_view *v, enum km_view_kind kind);
/* The stream of that kind was lost (why: copied, NULL allowed), or is back. */
void km_view_stream(struct km_view *v, enum km_view_kind kind, bool live, const char *why);

/* ---- reading; any thread ---- */

struct km_view_snapshot;

/* What there is now, with a reference for the caller; NULL when out of memory. */
const struct km_view_snapshot *km_view_get(struct km_view *v);
void km_view_put(const struct km_view_snapshot *s); /* NULL allowed */

/* Grows with every change of any object: equal = nothing has changed. */
uint64_t km_view_generation(const struct km_view_snapshot *s);
/* Has every kind been listed whole once? */
bool km_view_synced(const struct km_view_snapshot *s);
size_t km_view_count(const struct km_view_snapshot *s, enum km_view_kind kind);

/* Begin with *at = 0; NULL = that was the last. The order says nothing. Borrowed from s. */
const struct km_view_node *km_view_next_node(const struct km_view_snapshot *s, size_t *at);
const struct km_view_pod *km_view_next_pod(const struct km_view_snapshot *s, size_t *at);
const struct km_view_policy *km_view_next_policy(const struct km_view_snapshot *s, size_t *at);
const struct km_view_namespace *km_view_next_namespace(const struct km_view_snapshot *s,
                                                       size_t *at);

/* How it stands, for /readyz and metrics. */
struct km_view_health {
	struct {
		size_t objects;
		bool listed;   /* whole at least once */
		bool live;     /* the stream is there */
		double lost_s; /* for how long it is not; NaN = it is */
		char why[96];  /* what was last wrong with it; "" = nothing */
	} kind[KM_VIEW_KINDS];
	bool feeding; /* live(true) was told */
	bool late;
};

void km_view_health(struct km_view *v, struct km_view_health *out);

#endif

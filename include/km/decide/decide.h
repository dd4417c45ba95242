/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins the cluster picture, the model and the engine into a decision. The only place that says
 * what happens when something is missing: no model, no data, old data, a tier too low all end as a
 * verdict with a reason, never as an error to the scheduler.
 *
 * A prediction is made once per (workload, node, feature version): each known workload has a table
 * of predictions over all nodes, brought up to date by the first request after a new picture was
 * published; an LRU of 64. Nodes with pods in flight, or with pods to be protected, are predicted
 * apart, once for each change of what is on them (overlay.c).
 *
 * The model is told of the pod: pod.rps and pod.replicas are the workload's, taken as what the node
 * carries for the service once the pod is there. Replicas of its service that the in-flight ledger
 * knows to be there come on top. What the node carries before (pod.rps_now, pod.replicas_now) is
 * known with a pod feed only, else NaN. Other pods in flight count into inflight.<class>.
 */
#ifndef KM_DECIDE_DECIDE_H
#define KM_DECIDE_DECIDE_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/arena.h"
#include "km/base/clock.h"
#include "km/base/err.h"
#include "km/cluster/cluster.h"
#include "km/core/name.h"
#include "km/core/pod.h"
#include "km/core/policy.h"
#include "km/core/settings.h"
#include "km/metrics/metrics.h"
#include "km/model/model.h"
#include "km/place/effects.h"
#include "km/place/ledger.h"
#include "km/place/place.h"

struct km_decide;

/* Who asks: one pod as a decision sees it. */
struct km_subject {
	struct km_workload workload;
	struct km_pod_kind kind;
	uint64_t uid;                    /* a key of the pod's UID; 0 = none: reserves nothing */
	char policy[KM_POLICY_PATH_MAX]; /* "namespace/name" of what matches it; "" = none */
};

/* Pods on a node that its counters do not show, in pods, by how the prediction takes them in. */
struct km_inflight_counts {
	double service;   /* replicas of the pod's own service: by their load */
	double model;     /* by the model's input for their class */
	double footprint; /* by what pods of their class add to counters */
	double effects;   /* by learned effects */
	double unknown;   /* by decide.unknownSlowdown */
};

/* What the pod would do to those that are there already and protected. */
struct km_harm {
	uint32_t pods;      /* protected pods on the node; 0 = none, the rest is NaN then */
	double worst;       /* slowdown of the one that comes nearest to, or is furthest over, .. */
	double worst_limit; /* .. what it tolerates */
	double mean;        /* weighted geometric mean of their slowdowns */
	const char *worst_of; /* its policy, "namespace/name"; lives as long as the decision */
};

struct km_decision_node {
	size_t asked;  /* position in the names asked for */
	int64_t index; /* in the snapshot, -1 = unknown to us */
	enum km_tier tier;
	double age_s; /* since its data was measured; NaN = never */
	/*
	 * With pods in flight taken in, but not age; slowdown NaN = none.
	 */
	struct km_prediction prediction;
	double scored; /* the slowdown that was scored: at decide.risk of the interval, widened by
	                  age, with harm on top; NaN = none */
	enum km_data_state state;
	bool by_effects; /* no counters: the prediction is of learned effects alone */
	struct km_inflight_counts inflight;
	bool monotone_bound; /* fewer pods in flight predict more: that was taken */
	struct km_harm harm;
	struct km_verdict verdict;
};

struct km_decision {
	struct km_workload workload;
	char policy[KM_POLICY_PATH_MAX]; /* of the pod; "" = none */
	uint32_t scale;
	double risk;                   /* quantile of the interval that is scored */
	size_t count;                  /* of node[] */
	struct km_decision_node *node; /* [count], in the order asked; in the request's arena */
	uint64_t generation;           /* of the picture it was made from */
	uint64_t model_hash;           /* 0 = no model */
};

/*
 * settings are copied; cluster, clock and metrics (NULL allowed) are borrowed and outlive *out.
 * returns 0 and *out owned; -ENOMEM.
 */
int km_decide_create(const struct km_decide_settings *settings, struct km_cluster *cluster,
                     const struct km_clock *clock, struct km_metrics *metrics,
                     struct km_decide **out, struct km_err *err) KM_MUST_CHECK;
void km_decide_free(struct km_decide *d); /* NULL allowed */

/*
 * Swap the model (NULL = none), the policies (NULL = none; each takes its own reference) or the
 * settings (copied). Requests in progress finish with what they began with. Another model drops all
 * predictions; the same one, or settings equal to those in use, change nothing. Nodes change in the
 * cluster itself. Should memory be short, the old ones stay (logged). Any thread.
 */
void km_decide_set_model(struct km_decide *d, struct km_model *m);
void km_decide_set_policies(struct km_decide *d, struct km_policies *p);
void km_decide_set_settings(struct km_decide *d, const struct km_decide_settings *settings);

/* The model in use with a reference for the caller, or NULL. Any thread. */
struct km_model *km_decide_get_model(struct km_decide *d);

/* The policies in use with a reference for the caller, or NULL. Any thread. */
struct km_policies *km_decide_get_policies(struct km_decide *d);

/* The default workload now. Any thread. */
void km_decide_default_workload(struct km_decide *d, struct km_workload *out);

/*
 * The workload of one pod: its policy, then its annotations, then the default workload, by
 * km_policy_workload with decide.minMaxSlowdown. Any thread.
 */
void km_decide_pod_workload(struct km_decide *d, const struct km_pod *pod, struct km_workload *out);

/* The same with who it is. Policies that contradict each other are complained about here. */
void km_decide_subject(struct km_decide *d, const struct km_pod *pod, struct km_subject *out);

/* Who asked a workload once, of whom no more is known than that and its UID. Any thread. */
void km_decide_recorded_subject(const struct km_workload *w, struct km_name uid,
                                struct km_subject *out);

enum km_call {
	KM_CALL_FILTER,     /* reserves when exactly one node passes */
	KM_CALL_PRIORITIZE, /* reserves on the top answer, shared by those that tie */
	KM_CALL_ASK,        /* reserves nothing */
};

/* One request for a pod; all borrowed. */
struct km_ask {
	const struct km_subject *who;
	enum km_call call;
	const struct km_name *names; /* [count] */
	size_t count;
};

/* Which nodes of a decision are wanted with everything that led to their verdicts. */
struct km_detail {
	/* positions in ask->names, at most `max`, in the order they are wanted; returns how many */
	size_t (*pick)(void *ctx, const struct km_verdict *verdict, size_t count,
	               uint32_t *position);
	void *ctx;
	size_t max;
	struct km_decision *out; /* node[] of those picked; lives in the arena */
};

/*
 * The hot path of /filter and /prioritize: verdict[i] for ask->names[i]. Costs a hash look-up and a
 * copy per name once the workload is known; whether data is fresh is judged now, not when it was
 * predicted. Names that occur twice are judged twice. The subject's own entry in the ledger is not
 * seen; at the end it is replaced. Two pods decided at once see each other: who comes to reserve
 * and finds another reservation on one of its nodes scores anew, twice at most.
 *
 * The first request after a new picture predicts what changed in it; requests beside it are
 * answered from the picture before, or wait for at most 100 ms, then are answered as without model.
 *
 * The details are of the very data that the verdicts were made from.
 * verdict [ask->count] is the caller's; scratch comes from `arena`.
 * returns 0 or -ENOMEM (the caller then answers neutrally). Any thread that called
 * km_model_thread_init.
 */
int km_decide_place(struct km_decide *d, const struct km_ask *ask, struct km_arena *arena,
                    struct km_verdict *verdict);
int km_decide_place_detail(struct km_decide *d, const struct km_ask *ask, struct km_arena *arena,
                           struct km_verdict *verdict, const struct km_detail *detail);

/* The same for a workload that is no pod. */
int km_decide_verdicts(struct km_decide *d, const struct km_workload *w,
                       const struct km_name *names, size_t count, struct km_arena *arena,
                       struct km_verdict *verdict);

/*
 * The same judgement with everything that led to it, for /v1/predict, /v1/explain and /v1/nodes.
 * A STALE node keeps its last prediction; other states than FRESH, AGING and STALE have none.
 * names NULL: every node of the picture, in its order. Everything in *out lives in `arena`.
 * returns 0 or -ENOMEM.
 */
int km_decide_run(struct km_decide *d, const struct km_workload *w, const struct km_name *names,
                  size_t count, struct km_arena *arena, struct km_decision *out);
int km_decide_run_subject(struct km_decide *d, const struct km_subject *who,
                          const struct km_name *names, size_t count, struct km_arena *arena,
                          struct km_decision *out);

/*
 * The slowdown, now, of pods of `who` on each of those nodes, where there are some already: all
 * that the feed told to be there is there, and nobody comes. In *out the predictions, states, tiers
 * and ages count; there are no verdicts. returns 0 or -ENOMEM.
 */
int km_decide_run_there(struct km_decide *d, const struct km_subject *who,
                        const struct km_name *names, size_t count, struct km_arena *arena,
                        struct km_decision *out);

/* One feature's share in a prediction. */
struct km_contribution {
	const char *feature; /* borrowed from the model */
	double value;        /* NaN = missing */
	double log_slowdown; /* its SHAP contribution */
	double slowdown;     /* the same as a part of the slowdown; see below */
};

/*
 * SHAP contributions c are parts of ln(slowdown): ln s = ln typical + sum of c, where typical is
 * what the model says on average. People read slowdowns, so each becomes c x (s - typical) /
 * (ln s - ln typical), by the logarithmic mean of s and typical. These have the signs and the
 * proportions of c, do not depend on any order, and add up: s = typical + sum.
 */
struct km_explanation {
	double typical;
	double slowdown; /* s */
	double others;   /* the sum over all features that are not among the largest */
};

/*
 * The `max` largest contributions to the prediction for the node of that name, by magnitude; about
 * 1 ms a node. Asks the newest row: a bin closed since km_decide_run shows here first. Without pods
 * in flight.
 * returns how many, 0 without model, node or data, or a negative errno. When > 0, *sum (NULL
 * allowed) is filled, and *model keeps the names alive and the caller unrefs it; otherwise it is
 * NULL.
 */
int km_decide_explain(struct km_decide *d, const struct km_workload *w, struct km_name name,
                      struct km_contribution *out, size_t max, struct km_explanation *sum,
                      struct km_model **model);

/*
 * ---- the pod feed: what is where, from whoever watches pods. Any thread ----
 *
 * With a live feed a reservation that is not confirmed within 2 s goes; without, after
 * decide.reservationTTL, and pods are taken to run from their reservation on. Incumbents exist with
 * a feed only. Times are monotonic.
 */
#define KM_DECIDE_CONFIRM_NS INT64_C(2000000000)
#define KM_DECIDE_NOT_YET    INT64_MAX /* running_ns of a pod that does not run yet */

/* A feed is there from now on, or is gone: then what it told is forgotten. */
void km_decide_set_feed(struct km_decide *d, bool live);

/*
 * The feed hears nothing for now: what it told stands, but nothing will confirm reservations, so
 * they last as they do without a feed.
 */
void km_decide_set_feed_late(struct km_decide *d, bool late);

/*
 * How many ready pods the policy of that key (km_policy_key) holds for: its rps is shared out over
 * them. Until this is told, or when it is 0, those count that the feed told to be running.
 */
void km_decide_ready_pods(struct km_decide *d, uint64_t policy, uint32_t ready);

/*
 * The load of the service of the policy with that key, in requests/s, where the policy has a query
 * for it; NaN = not known. Each other number is another workload, and predicted anew: tell it only
 * when it has changed for good. Any thread.
 */
void km_decide_policy_rps(struct km_decide *d, uint64_t policy, double rps);

/*
 * The pod is bound to `node`; runs since running_ns. Again whenever that changes, and for every pod
 * that is there after a restart, or whose policy or labels changed. A pod without UID is ignored.
 */
void km_decide_pod_bound(struct km_decide *d, const struct km_pod *pod, struct km_name node,
                         int64_t running_ns);
void km_decide_pod_running(struct km_decide *d, struct km_name uid, int64_t running_ns);
void km_decide_pod_gone(struct km_decide *d, struct km_name uid); /* ended or deleted */

/* ---- learned effects: for classes that the model does not know, and nodes without counters ----
 */

/*
 * From now on `e` (borrowed; NULL = none) is asked where nothing else is known. While no node
 * has counters it gives slowdowns, own and harm, once it was told of one. Only decide touches it
 * while it is attached.
 */
void km_decide_attach_effects(struct km_decide *d, struct km_effects *e);

/*
 * Everything that is attached as bytes (km_effects_write); appends, nothing when nothing is. Holds
 * up who asks or observes for some milliseconds. _learned: observations taken since creation, to
 * tell whether there is anything new. Any thread.
 */
void km_decide_write_effects(struct km_decide *d, struct km_buf *out);
uint64_t km_decide_learned_effects(struct km_decide *d);

/* What learned effects know a name as. Never 0. */
uint64_t km_decide_effects_key(const char *name, size_t len);

/* Which kind of machine a node is; 0 = not known. */
void km_decide_set_platform(struct km_decide *d, struct km_name node, uint64_t platform);

/* km_effects_observe on what is attached. returns its result; -ENOENT when nothing is attached. */
int km_decide_observe_effect(struct km_decide *d, uint64_t platform, uint64_t subject,
                             uint64_t neighbour, double log_slowdown, double weight);

/* What the ledger holds, for metrics and tests. */
void km_decide_ledger_stats(struct km_decide *d, struct km_ledger_stats *out);

#endif

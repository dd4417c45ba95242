/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins the cluster picture, the model and the engine into a decision. The only place that says
 * what happens when something is missing: no model, no data, old data, a tier too low all end as a
 * verdict with a reason, never as an error to the scheduler.
 *
 * A prediction is made once per (workload, node, feature version): each known workload has a table
 * of predictions over all nodes, brought up to date by the first request after a new picture was
 * published; an LRU of 64.
 *
 * The model is told of the pod: pod.rps and pod.replicas are the workload's, taken as what the node
 * carries for the service once the pod is there. What it carries before (pod.rps_now,
 * pod.replicas_now) is unknown without a pod watch: NaN; nobody else is known to be on the way:
 * inflight.* is 0.
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
#include "km/core/settings.h"
#include "km/metrics/metrics.h"
#include "km/model/model.h"
#include "km/place/place.h"

struct km_decide;

struct km_decision_node {
	int64_t index; /* in the snapshot, -1 = unknown to us */
	enum km_tier tier;
	double age_s;                    /* since its data was measured; NaN = never */
	struct km_prediction prediction; /* slowdown NaN = none */
	enum km_data_state state;
	struct km_verdict verdict;
};

struct km_decision {
	struct km_workload workload;
	uint32_t scale;
	size_t count;
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
 * Swap the model (NULL = none; takes its own reference) or the settings (copied). Requests in
 * progress finish with what they began with. Another model drops all predictions; the same one, or
 * settings equal to those in use, change nothing. Nodes change in the cluster itself. Should memory
 * be short, the old ones stay (logged). Any thread.
 */
void km_decide_set_model(struct km_decide *d, struct km_model *m);
void km_decide_set_settings(struct km_decide *d, const struct km_decide_settings *settings);

/* The model in use with a reference for the caller, or NULL. Any thread. */
struct km_model *km_decide_get_model(struct km_decide *d);

/* The default workload now. Any thread. */
void km_decide_default_workload(struct km_decide *d, struct km_workload *out);

/*
 * The workload of one pod: its annotations over the default workload, by km_pod_workload with
 * decide.minMaxSlowdown. (Later: the matching policy first.) Any thread.
 */
void km_decide_pod_workload(struct km_decide *d, const struct km_pod *pod, struct km_workload *out);

/*
 * The hot path of /filter and /prioritize: verdict[i] for names[i], nothing else. Costs a hash
 * look-up and a copy per name once the workload is known; whether data is fresh is judged now, not
 * when it was predicted. Names that occur twice are judged twice.
 * The first request after a new picture predicts what changed in it; requests beside it are
 * answered from the picture before, or wait for at most 100 ms, then are answered as without model.
 * verdict [count] and *w are the caller's; scratch comes from `arena`.
 * returns 0 or -ENOMEM (the caller then answers neutrally). Any thread that called
 * km_model_thread_init.
 */
int km_decide_verdicts(struct km_decide *d, const struct km_workload *w,
                       const struct km_name *names, size_t count, struct km_arena *arena,
                       struct km_verdict *verdict);

/*
 * The same judgement with everything that led to it, for /v1/predict, /v1/explain and /v1/nodes.
 * A STALE node keeps its last prediction; other states than FRESH and STALE have none.
 * names NULL: every node of the picture, in its order. Everything in *out lives in `arena`.
 * returns 0 or -ENOMEM.
 */
int km_decide_run(struct km_decide *d, const struct km_workload *w, const struct km_name *names,
                  size_t count, struct km_arena *arena, struct km_decision *out);

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
 * 1 ms a node. Asks the newest row: a bin closed since km_decide_run shows here first.
 * returns how many, 0 without model, node or data, or a negative errno. When > 0, *sum (NULL
 * allowed) is filled, and *model keeps the names alive and the caller unrefs it; otherwise it is
 * NULL.
 */
int km_decide_explain(struct km_decide *d, const struct km_workload *w, struct km_name name,
                      struct km_contribution *out, size_t max, struct km_explanation *sum,
                      struct km_model **model);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins the cluster picture, the model and the engine into a decision. The only place that says
 * what happens when something is missing: no model, no data, old data, a tier too low all end as a
 * verdict with a reason, never as an error to the scheduler.
 *
 * A prediction is made once per (workload, node, feature version): each known workload has a table
 * of predictions over all nodes, brought up to date when a new picture is published; an LRU of 64.
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
	double age_s;                    /* of its data; NaN = never measured */
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

/* settings are copied, clock is borrowed. returns 0 and *out; -ENOMEM. */
int km_decide_create(const struct km_decide_settings *settings, struct km_cluster *cluster,
                     const struct km_clock *clock, struct km_metrics *metrics,
                     struct km_decide **out, struct km_err *err) KM_MUST_CHECK;
void km_decide_free(struct km_decide *d); /* NULL allowed */

/* Swap the model (NULL = none; takes its own reference) or the settings (copied). Any thread. */
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
 * look-up and a copy per name while all data is fresh and the workload is known.
 * verdict [count] and *w are the caller's; scratch comes from `arena`.
 * returns 0 or -ENOMEM (the caller then answers neutrally). Any thread that called
 * km_model_thread_init.
 */
int km_decide_verdicts(struct km_decide *d, const struct km_workload *w,
                       const struct km_name *names, size_t count, struct km_arena *arena,
                       struct km_verdict *verdict);

/*
 * The same judgement with everything that led to it, for /v1/predict, /v1/explain and /v1/nodes.
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
};

/*
 * The `max` largest contributions to node `index`'s prediction, by magnitude; about 1 ms a node.
 * returns how many, 0 without model or data, or a negative errno. *model keeps the names alive:
 * the caller unrefs it.
 */
int km_decide_explain(struct km_decide *d, const struct km_workload *w, int64_t index,
                      struct km_contribution *out, size_t max, struct km_model **model);

#endif

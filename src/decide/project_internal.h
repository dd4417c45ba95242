/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Predictions for a node with pods in flight: plan.c makes a plan of which rows the model is to be
 * asked, evaluate.c asks, and fold.c makes one prediction of the answers.
 */
#ifndef KM_DECIDE_PROJECT_INTERNAL_H
#define KM_DECIDE_PROJECT_INTERNAL_H

#include "km/place/footprint.h"

#include "decide_internal.h"

#define PROJECT_DIMS_MAX   8  /* ways in which pods are in flight at once; others are unknown */
#define PROJECT_JOINT_MAX  3  /* of them looked at in every combination */
#define PROJECT_LEVELS_MAX 16 /* pods looked at in one way; further ones are unknown */
#define PROJECT_POINTS_MAX (8 * 4 * 4 + PROJECT_DIMS_MAX * PROJECT_LEVELS_MAX)

/* Who is predicted for. */
struct project_subject {
	struct km_workload workload; /* normalised; of a pod to come: with it there */
	struct km_pod_kind kind;
	bool there; /* it is on the node already: rps and replicas are what is there */
};

/* The node, as its data has it. */
struct project_node {
	const struct decide_context *context;
	const struct km_host_features *features; /* NULL: without counters */
	const double *row;
	uint32_t index; /* in the host's rows */
	uint64_t platform;
};

/* In ln slowdown. */
struct project_result {
	bool known;
	double slowdown, high, low;
	double width;                        /* high above slowdown, without anybody in flight */
	uint32_t outside, missing;           /* of the row with all in flight */
	bool bound;                          /* fewer in flight predict more */
	struct km_inflight_counts in_flight; /* as they were taken in */
};

enum project_way { PROJECT_SERVICE, PROJECT_CLASS, PROJECT_FOOTPRINT };

/* One way in which pods are in flight. */
struct project_dim {
	enum project_way way;
	uint32_t class_index;               /* PROJECT_CLASS */
	char class_name[KM_CLASS_NAME_MAX]; /* PROJECT_FOOTPRINT, with policy */
	uint64_t policy;
	double amount;             /* pods */
	uint32_t cap;              /* whole pods that the model can tell apart */
	double add[KM_QUANTITY_N]; /* PROJECT_FOOTPRINT: of one pod */
};

struct project_plan {
	const struct project_subject *who;
	struct project_node node;
	struct km_footprint_base base; /* filled when a footprint is among dims */
	double here;                   /* pods of its service that counters show */
	uint32_t dims;
	struct project_dim dim[PROJECT_DIMS_MAX];
	double learned, learned_var; /* by effects: ln slowdown and its variance, both added up */
	struct km_inflight_counts in_flight;
	uint32_t
		level[PROJECT_DIMS_MAX]; /* whole pods in the joint grid; 0 behind the joint ones */
	uint32_t grid;                   /* points of the grid */
	uint32_t points; /* with those on the axes beyond it; 0 = the model is not asked */
	const struct km_prediction *origin; /* of the first point, where it has been predicted */
	uint32_t first;                     /* in the batch */
	struct project_result *out;
};

/*
 * What is on the node besides, items [count], becomes a plan: everything but the rows.
 * `add` (NULL = none): one more pod, not there yet.
 */
void project_plan(struct km_decide *d, const struct project_node *node,
                  const struct project_subject *who, const struct km_ledger_item *item,
                  size_t count, const struct km_pod_kind *add, struct project_plan *plan);

/* The load of one replica; replicas on the node before any of those in flight, a pod to come
 * included. */
double project_rps(const struct project_subject *who);
double project_replicas(const struct project_plan *p);
/* Whole pods looked at: all of them, rounded up, up to what the model can tell apart. */
uint32_t project_whole(const struct project_dim *d);

/* The model's row of one point: out [schema->count]; scratch [schema->count] of doubles. */
void project_row(const struct project_plan *plan, uint32_t point, double *scratch, float *out);

/* Rows to be asked: all points, or all but the first. */
uint32_t project_rows(const struct project_plan *plan);

/* From the model's answers [project_rows(plan)] (NULL: it gave none) to plan->out. */
void project_finish(const struct project_plan *plan, const struct km_prediction *answer);

#endif

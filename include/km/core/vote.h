/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of kube-scheduler's choice is ours. It adds to the sum of its plugins' scores (each 0 to
 * 100, times the plugin's weight) an extender's score times its weight times 10; nobody clamps it.
 * Source: pkg/scheduler/schedule_one.go (MaxNodeScore / MaxExtenderPriority).
 */
#ifndef KM_CORE_VOTE_H
#define KM_CORE_VOTE_H

#include <stdint.h>

/*
 * Weights of the plugins that score by default: TaintToleration 3, NodeAffinity, PodTopologySpread
 * and InterPodAffinity 2 each, NodeResourcesFit, NodeResourcesBalancedAllocation and ImageLocality
 * 1 each (pkg/scheduler/apis/config/v1/default_plugins.go).
 */
#define KM_VOTE_IN_TREE_WEIGHT 12

/* As deploy/examples/scheduler-config.yaml has it. */
#define KM_VOTE_WEIGHT_ASSUMED 10
#define KM_VOTE_WEIGHT_MAX     1000000

struct km_vote {
	double weight;           /* of the extender */
	double points_per_score; /* what one more of our score adds */
	double points;           /* most that we can add to a node */
	double in_tree_points;   /* most that the plugins can */
	double share;            /* points of both together */
};

void km_vote_count(double weight, uint32_t scale, double in_tree_weight, struct km_vote *out);

#endif

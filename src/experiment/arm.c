/* SPDX-License-Identifier: Apache-2.0 */
/* An arm is a cost of a node; what it takes is the cheapest. */
#include "km/experiment/arm.h"

#include <math.h>

#include "km/core/least.h"

static double nothing(const struct km_arm_node *n)
{
	(void)n;
	return 0;
}

static double placed(const struct km_arm_node *n)
{
	return n->placed;
}

static double busy(const struct km_arm_node *n)
{
	return n->busy_ratio;
}

static double worst_score(const struct km_arm_node *n)
{
	return -n->score;
}

static const struct {
	const char *help;
	double (*cost)(const struct km_arm_node *n);
	bool asks;
} arms[KM_PLAN_ARM_N] = {
	[KM_PLAN_ARM_RANDOM] = { "any node, by the plan's seed", nothing, false },
	[KM_PLAN_ARM_SPREAD] = { "the node it has used least in this repeat", placed, false },
	[KM_PLAN_ARM_LEAST_CPU] = { "the node whose CPUs were least busy in the window before",
	                            busy, false },
	[KM_PLAN_ARM_KUBEMARLA] = { "the best score of a live kubemarlad's /filter and /prioritize",
	                            worst_score, true },
};

size_t km_arm_choose(enum km_plan_arm arm, const struct km_arm_node *node, size_t nodes,
                     double luck)
{
	double cost[KM_PLAN_NODES_MAX];
	size_t filtered = 0;

	for (size_t i = 0; i < nodes; i++)
		filtered += node[i].filtered;
	for (size_t i = 0; i < nodes; i++) {
		cost[i] = arms[arm].cost(&node[i]);
		/* A node without a number still goes before one that was filtered out. */
		if (filtered > 0 && filtered < nodes)
			cost[i] = node[i].filtered ? INFINITY : fmin(cost[i], 1e300);
	}
	return km_least(cost, nodes, luck);
}

const char *km_arm_help(enum km_plan_arm arm)
{
	return arms[arm].help;
}

bool km_arm_asks(enum km_plan_arm arm)
{
	return arms[arm].asks;
}

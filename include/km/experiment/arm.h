/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arms of a trial: each looks at nodes and takes one. None of them sees what was measured after
 * an earlier choice, its own or another's. Pure; any thread.
 */
#ifndef KM_EXPERIMENT_ARM_H
#define KM_EXPERIMENT_ARM_H

#include <stdbool.h>
#include <stddef.h>

#include "km/plan/plan.h"

/* What an arm may know of a node before it chooses. */
struct km_arm_node {
	double busy_ratio; /* of its CPUs, over the window before; NaN = not measured */
	double score;      /* of /prioritize; NaN = none was given */
	bool filtered;     /* by /filter */
	unsigned placed;   /* replicas this arm has placed here in this repeat */
};

/*
 * The node that the arm takes, of node [nodes >= 1]. luck in [0, 1): draws among equals, and
 * everything where nothing is known. Filtered nodes are taken only when all are.
 */
size_t km_arm_choose(enum km_plan_arm arm, const struct km_arm_node *node, size_t nodes,
                     double luck);

const char *km_arm_help(enum km_plan_arm arm); /* what it does, one line */
bool km_arm_asks(enum km_plan_arm arm);        /* the daemon, before it chooses */

#endif

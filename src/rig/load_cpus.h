/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the local backend: the load generator's CPUs. Pure. */
#ifndef KM_RIG_LOAD_CPUS_H
#define KM_RIG_LOAD_CPUS_H

#include "km/plan/plan.h"

/*
 * The plan's own; else those of no node; else, where nodes take all, those of the nodes without a
 * replica of the service; else all. allowed: this process' CPUs; target: those of the nodes with a
 * replica. *out is never empty unless allowed is.
 */
void rig_load_cpus(const struct km_plan *plan, const struct km_cpuset *allowed,
                   const struct km_cpuset *target, struct km_cpuset *out);

#endif

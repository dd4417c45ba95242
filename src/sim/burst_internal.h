/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the synthetic burst: a world that is made up, and a model that knows it well. */
#ifndef KM_SIM_BURST_INTERNAL_H
#define KM_SIM_BURST_INTERNAL_H

#include "km/model/model.h"

#include "sim_internal.h"

#define BURST_CLASS    "job"
#define BURST_SHARE    0.04 /* of a node that one pod keeps awake */
#define BURST_WINDOW_S 10.0
#define BURST_BIN_S    5.0

/* What a pod suffers on a node that is asked for `demand` of its time: 1 when it is idle. */
static inline double burst_slowdown(double demand)
{
	return 1 + 2 * demand * demand;
}

/* Trees over node.c0_ratio.mean and inflight.job, fitted to burst_slowdown. */
int burst_model(struct km_model **out, struct km_err *err) KM_MUST_CHECK;

#endif

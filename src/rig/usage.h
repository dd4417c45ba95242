/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU time between two moments: everybody's by what /proc/stat calls idle, ours by control group,
 * or where there are none by process group.
 */
#ifndef KM_RIG_USAGE_H
#define KM_RIG_USAGE_H

#include "km/base/err.h"
#include "km/rig/rig.h"
#include "km/sources/procstat.h"

struct rig_usage {
	bool known; /* begin is */
	int64_t begin_ns;
	double own_begin_ns;
	struct km_procstat begin, end;
};

/* Takes the baseline. returns 0 or the error of /proc/stat. */
int rig_usage_begin(struct km_rig *rig, struct km_err *err) KM_MUST_CHECK;

/* Since then. out NULL = not wanted; what cannot be known is NaN. */
void rig_usage_end(struct km_rig *rig, struct km_rig_usage *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* From a pod's own words to the workload a decision is made for. Pure. */
#include "km/core/pod.h"

#include <math.h>
#include <string.h>

void km_pod_init(struct km_pod *pod)
{
	*pod = (struct km_pod){ .rps = NAN, .max_slowdown = NAN };
}

void km_pod_workload(const struct km_pod *pod, const struct km_workload *base,
                     double min_max_slowdown, struct km_workload *out)
{
	*out = *base;
	if (isfinite(pod->rps))
		out->rps = pod->rps * base->replicas;
	if (isfinite(pod->max_slowdown))
		out->max_slowdown = fmax(pod->max_slowdown, min_max_slowdown);
	if (pod->class_name.len > 0 && pod->class_name.len < sizeof(out->class_name)) {
		memcpy(out->class_name, pod->class_name.text, pod->class_name.len);
		out->class_name[pod->class_name.len] = '\0';
	}
}

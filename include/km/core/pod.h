/* SPDX-License-Identifier: Apache-2.0 */
/* What a decision needs of a v1.Pod: who it is, and what its annotations ask for. */
#ifndef KM_CORE_POD_H
#define KM_CORE_POD_H

#include <stdint.h>

#include "km/core/name.h"

struct km_pod {
	struct km_name name; /* len 0 = not given; all borrowed from the request */
	struct km_name namespace;
	struct km_name uid;
	double rps;          /* kubemarla.io/rps, requests/s of this one pod, > 0; NaN = none */
	double max_slowdown; /* kubemarla.io/max-slowdown, >= 1.05; NaN = none */
	struct km_name class_name; /* kubemarla.io/class; len 0 = none */
	uint32_t bad_annotations;  /* ours, but unusable: ignored, counted */
};

#endif

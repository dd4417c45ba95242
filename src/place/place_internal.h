/* SPDX-License-Identifier: Apache-2.0 */
/* Inside place. */
#ifndef KM_PLACE_INTERNAL_H
#define KM_PLACE_INTERNAL_H

#include <stdbool.h>

#include "km/place/place.h"

/* score.c: what a workload tolerates, at least KM_PLACE_MAX_SLOWDOWN_MIN. */
double km_place_limit(double max_slowdown);

/* judge.c: the verdict is of data that the model could be asked about. */
bool place_is_trusted(const struct km_verdict *v);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Inside place. */
#ifndef KM_PLACE_INTERNAL_H
#define KM_PLACE_INTERNAL_H

/* score.c: what a workload tolerates, at least KM_PLACE_MAX_SLOWDOWN_MIN. */
double km_place_limit(double max_slowdown);

#endif

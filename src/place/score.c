/* SPDX-License-Identifier: Apache-2.0 */
/* From a slowdown to an integer score: the one formula, with its edges. */
#include <math.h>

#include "km/place/place.h"

#include "place_internal.h"

/* What is left at the tolerated limit; above it the rest is shared out by how far above. */
#define SCORE_AT_LIMIT 0.2

double km_place_limit(double max_slowdown)
{
	return max_slowdown >= KM_PLACE_MAX_SLOWDOWN_MIN ? max_slowdown : KM_PLACE_MAX_SLOWDOWN_MIN;
}

double km_place_worth(double slowdown, double max_slowdown)
{
	double r;

	if (!(slowdown >= 0)) {
		return 0.5;
	}
	if (isinf(slowdown)) {
		return 0; /* whatever the limit: infinite by infinite is no number */
	}
	r = slowdown > 1 ? log(slowdown) / log(km_place_limit(max_slowdown)) : 0;
	return r <= 1 ? 1 - (1 - SCORE_AT_LIMIT) * r : SCORE_AT_LIMIT / r;
}

int32_t km_place_score(double slowdown, double max_slowdown, uint32_t scale)
{
	double top = scale < KM_PLACE_SCALE_MAX ? scale : KM_PLACE_SCALE_MAX;

	if (!(slowdown >= 0)) {
		return (int32_t)top / 2;
	}
	return (int32_t)lround(top * km_place_worth(slowdown, max_slowdown));
}

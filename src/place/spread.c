/* SPDX-License-Identifier: Apache-2.0 */
/* Ties for the best score, told apart by what is in flight. */
#include <math.h>

#include "km/place/place.h"

#include "place_internal.h"

#define HALF_A_POD 2 /* in quarters */

uint8_t km_place_quarters(double pods)
{
	double quarters = floor(pods * 4 + 0.5);

	return quarters >= UINT8_MAX ? UINT8_MAX : quarters > 0 ? (uint8_t)quarters : 0;
}

/* The highest score, and whether anything is in flight at all. */
static int32_t best_score(const struct km_verdict *v, size_t count, bool *in_flight)
{
	int32_t top = -1;
	uint8_t any = 0;

	for (size_t i = 0; i < count; i++) {
		top = v[i].score > top ? v[i].score : top;
		any |= v[i].inflight;
	}
	*in_flight = any != 0;
	return top;
}

/* Of the trusted that tie: how fast the fastest is, and how little is in flight there. */
static bool fastest(const struct km_verdict *v, size_t count, int32_t top, uint16_t *fine,
                    uint8_t *inflight)
{
	bool found = false;

	for (size_t i = 0; i < count; i++) {
		if (v[i].score != top || !place_is_trusted(&v[i])) {
			continue;
		}
		if (!found || v[i].fine > *fine ||
		    (v[i].fine == *fine && v[i].inflight < *inflight)) {
			*fine = v[i].fine;
			*inflight = v[i].inflight;
			found = true;
		}
	}
	return found;
}

static bool crowded(const struct km_verdict *v, uint8_t least)
{
	return v->inflight >= least + HALF_A_POD;
}

/* How fast the fastest of the crowded is; -1 = none is crowded. */
static int32_t fastest_crowded(const struct km_verdict *v, size_t count, int32_t top, uint8_t least)
{
	int32_t cut = -1;

	for (size_t i = 0; i < count; i++) {
		if (v[i].score == top && place_is_trusted(&v[i]) && crowded(&v[i], least) &&
		    v[i].fine > cut) {
			cut = v[i].fine;
		}
	}
	return cut;
}

void km_place_spread(const struct km_workload *w, struct km_verdict *v, size_t count)
{
	bool in_flight;
	int32_t top = best_score(v, count, &in_flight);
	uint16_t fine = 0;
	uint8_t least = 0;
	int32_t cut;

	if (!in_flight || w->mode == KM_MODE_OBSERVE || !fastest(v, count, top, &fine, &least)) {
		return;
	}
	cut = fastest_crowded(v, count, top, least);
	if (cut < 0) {
		return;
	}
	for (size_t i = 0; i < count; i++) {
		/* Data that is not trusted never wins by it. */
		bool behind = !place_is_trusted(&v[i]) || v[i].fine < cut ||
		              (v[i].fine == cut && crowded(&v[i], least));

		if (v[i].score == top) {
			v[i].score += top > 0 ? -behind : !behind;
		}
	}
}

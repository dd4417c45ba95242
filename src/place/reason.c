/* SPDX-License-Identifier: Apache-2.0 */
/* The words for reasons: one row per reason, so a new one cannot be forgotten. */
#include "km/place/place.h"

static const struct {
	const char *text;
	const char *code;
} reasons[] = {
	[KM_REASON_FITS] = { "predicted slowdown is within what the pod tolerates", "Fits" },
	[KM_REASON_TOO_SLOW] = { "predicted slowdown is above what the pod tolerates",
	                         "PredictedSlowdown" },
	[KM_REASON_HARM] = { "pods on the node would be slowed down beyond what they tolerate",
	                     "IncumbentHarm" },
	[KM_REASON_STALE_DATA] = { "node's counters are too old to predict from", "StaleData" },
	[KM_REASON_NO_DATA] = { "node has no counters to predict from", "NoData" },
	[KM_REASON_LOW_TIER] = { "node lacks counters that the model needs", "LowTier" },
	[KM_REASON_NO_MODEL] = { "no model gives a prediction", "NoModel" },
	[KM_REASON_OBSERVE_ONLY] = { "policy only observes", "ObserveOnly" },
};
_Static_assert(sizeof(reasons) / sizeof(reasons[0]) == KM_REASON_N, "a row per reason");

const char *km_reason_text(enum km_reason r)
{
	return reasons[r].text;
}

const char *km_reason_code(enum km_reason r)
{
	return reasons[r].code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pure engine: from predicted slowdowns to verdicts and scores. No clock, no randomness, no
 * globals, no I/O; everything is an argument, so every rule is a property test.
 */
#ifndef KM_PLACE_PLACE_H
#define KM_PLACE_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/core/workload.h"

/* How far a node's data can be trusted now. */
enum km_data_state {
	KM_DATA_FRESH,
	KM_DATA_STALE,    /* older than decide.maxAge */
	KM_DATA_ABSENT,   /* never measured, or a node we do not know */
	KM_DATA_LOW_TIER, /* measured, but not what the model needs */
	KM_DATA_NO_MODEL, /* measured, but there is no model, or it gave no number */
	KM_DATA_STATE_N,
};

enum km_reason {
	KM_REASON_FITS,            /* predicted slowdown within what the workload tolerates */
	KM_REASON_TOO_SLOW,        /* above maxSlowdown */
	KM_REASON_STALE_DATA,
	KM_REASON_NO_DATA,
	KM_REASON_LOW_TIER,
	KM_REASON_NO_MODEL,
	KM_REASON_OBSERVE_ONLY,    /* the policy only observes: neutral answer */
	KM_REASON_N,
};

struct km_candidate {
	enum km_data_state state;
	double slowdown; /* predicted; NaN unless FRESH or STALE */
	double low;
	double high;
};

struct km_verdict {
	bool passes;
	bool unresolvable; /* rejected for a reason that evicting pods cannot help */
	enum km_reason reason;
	int32_t score; /* 0 .. scale */
};

/*
 * Fixed texts, identical for every node and without numbers: kube-scheduler aggregates
 * FailedScheduling messages by identical text (extender protocol, section 3). Static storage.
 */
const char *km_reason_text(enum km_reason r); /* for people and FailedNodes */
const char *km_reason_code(enum km_reason r); /* "PredictedSlowdown": for metrics and JSON */

/*
 * score = scale (1 - 0.8 r) for r <= 1, scale 0.2 / r above, r = max(0, ln s / ln max_slowdown):
 * 1.0 gives scale, the tolerated limit a fifth of it, and hopeless nodes still rank.
 * returns 0..scale, rounded; s is NaN or < 0: scale/2.
 */
int32_t km_place_score(double slowdown, double max_slowdown, uint32_t scale);

/*
 * Judges all candidates of one pod together: c [count] -> out [count], same order. Nodes whose data
 * cannot be trusted follow w->on_stale; Neutral is the lowest of the middle score, the median of
 * the fresh ones, and the score of the last known upper bound, so that stale never beats
 * fresh-and-better. scratch [count] is the caller's. Never fails.
 */
void km_place_judge(const struct km_workload *w, const struct km_candidate *c, size_t count,
                    uint32_t scale, int32_t *scratch, struct km_verdict *out);

#endif

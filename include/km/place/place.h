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
	KM_REASON_FITS,     /* predicted slowdown within what the workload tolerates */
	KM_REASON_TOO_SLOW, /* above maxSlowdown */
	KM_REASON_STALE_DATA,
	KM_REASON_NO_DATA,
	KM_REASON_LOW_TIER,
	KM_REASON_NO_MODEL,
	KM_REASON_OBSERVE_ONLY, /* the policy only observes: neutral answer */
	KM_REASON_N,
};

struct km_candidate {
	enum km_data_state state;
	double slowdown; /* predicted; NaN unless FRESH or STALE */
	double high;     /* upper bound of it; NaN = not known */
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

/* No workload tolerates less: ln of the limit divides. */
#define KM_PLACE_MAX_SLOWDOWN_MIN 1.05
/* Scores are counted by value; a higher scale is taken for this one. */
#define KM_PLACE_SCALE_MAX 100

/*
 * score = scale (1 - 0.8 r) for r <= 1, scale 0.2 / r above, r = max(0, ln s / ln max_slowdown):
 * 1.0 gives scale, the tolerated limit a fifth of it, and hopeless nodes still rank.
 * A max_slowdown that is NaN or below the least is taken for the least.
 * returns 0..scale, rounded; s is NaN or < 0: scale/2, s is infinite: 0.
 */
int32_t km_place_score(double slowdown, double max_slowdown, uint32_t scale);

/*
 * Judges one node without looking at the others. Final for a FRESH one with a slowdown >= 0; FRESH
 * without one counts as NO_MODEL. For any other, w->on_stale says:
 *   Neutral  passes, scores the middle or less: the score of a STALE one's upper bound `high` (of
 *            `slowdown` where `high` is NaN); km_place_settle may lower it further,
 *   Avoid    passes, scores 0,
 *   Reject   in mode Enforce rejected as unresolvable, otherwise as Avoid.
 * Too slow is a rejection (a resolvable one) in mode Enforce only; the score stays the formula's.
 * Mode Observe: passes with the middle score whatever the data.
 */
void km_place_judge_one(const struct km_workload *w, const struct km_candidate *c, uint32_t scale,
                        struct km_verdict *out);

/*
 * Once all candidates of one pod are judged: lowers those that w->on_stale Neutral applies to, to
 * the lower median of the fresh ones' scores. With it a node whose data cannot be trusted never
 * scores above
 *   - the middle,
 *   - a fresh candidate in the better half (the median one included),
 *   - a fresh candidate whose slowdown is at most its own last known upper bound.
 * Without fresh candidates there is no median. v [count] in place.
 */
void km_place_settle(const struct km_workload *w, struct km_verdict *v, size_t count);

/*
 * Both steps for all candidates of one pod: c [count] -> out [count], same order. Permuting c
 * permutes out. Never fails.
 */
void km_place_judge(const struct km_workload *w, const struct km_candidate *c, size_t count,
                    uint32_t scale, struct km_verdict *out);

#endif

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
	KM_DATA_AGING,    /* older than half of decide.maxAge: less certain, still trusted */
	KM_DATA_STALE,    /* older than decide.maxAge */
	KM_DATA_ABSENT,   /* never measured, or a node we do not know */
	KM_DATA_LOW_TIER, /* measured, but not what the model needs */
	KM_DATA_NO_MODEL, /* measured, but there is no model, or it gave no number */
	KM_DATA_STATE_N,
};

enum km_reason {
	KM_REASON_FITS,     /* predicted slowdown within what the workload tolerates */
	KM_REASON_TOO_SLOW, /* above maxSlowdown */
	KM_REASON_HARM,     /* a pod that is there would be above its own maxSlowdown */
	KM_REASON_STALE_DATA,
	KM_REASON_NO_DATA,
	KM_REASON_LOW_TIER,
	KM_REASON_NO_MODEL,
	KM_REASON_OBSERVE_ONLY, /* the policy only observes: neutral answer */
	KM_REASON_N,
};

/* What holds for every candidate of a pod. */
struct km_place_rules {
	uint32_t scale; /* highest score */
	double risk;    /* quantile of the interval that is scored, 0.5 (the prediction itself, also
	                   for anything below and NaN) to 0.95 (the upper bound) */
	bool harm_filter; /* harm to incumbents may reject */
	bool harm_score;  /* harm to incumbents lowers the score */
};

/*
 * Harm is told as ln(slowdown) / ln(what is tolerated): 0 = unharmed, 1 = at the limit.
 * 0 too where there is nobody to harm.
 */
struct km_candidate {
	enum km_data_state state;
	double slowdown; /* predicted; NaN unless FRESH, AGING or STALE */
	double high;     /* upper bound of it, 95 % quantile; NaN = not known */
	double harm_worst;
	double harm_mean; /* by weight */
};

struct km_verdict {
	bool passes;
	bool unresolvable; /* rejected for a reason that evicting pods cannot help */
	enum km_reason reason;
	int32_t score;    /* 0 .. scale */
	uint16_t fine;    /* the same before rounding, in 1/65535 of the scale */
	uint8_t inflight; /* pods on their way that were counted, in quarters, 255 = 63.75 or more:
	                     the caller's, km_place_spread reads it */
};

/* Pods as `inflight` has them. */
uint8_t km_place_quarters(double pods);

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

/* The score before rounding, 0 .. 1; 0.5 for no number. */
double km_place_worth(double slowdown, double max_slowdown);

/*
 * score = scale (1 - 0.8 r) for r <= 1, scale 0.2 / r above, r = max(0, ln s / ln max_slowdown):
 * 1.0 gives scale, the tolerated limit a fifth of it, and hopeless nodes still rank.
 * A max_slowdown that is NaN or below the least is taken for the least.
 * returns 0..scale, rounded; s is NaN or < 0: scale/2, s is infinite: 0.
 */
int32_t km_place_score(double slowdown, double max_slowdown, uint32_t scale);

/*
 * The quantile `risk` of a prediction between itself and its upper bound, as if ln slowdown were
 * normal: ln s + z(risk)/z(0.95) x (ln high - ln s). high NaN or below s: s itself.
 */
double km_place_risk(double slowdown, double high, double risk);

/* z(risk)/z(0.95): 0 for 0.5, 1 for 0.95. */
double km_place_risk_share(double risk);

/* The upper bound of older data: further off by `share` of how far it was (>= 0) in ln slowdown. */
double km_place_widen(double slowdown, double high, double share);

/*
 * The slowdown that is scored: the pod's own at risk, and on top what the harm is beyond 1, as a
 * slowdown that w would find as bad.
 */
double km_place_scored(const struct km_workload *w, const struct km_candidate *c,
                       const struct km_place_rules *rules);

/* One protected pod, or several alike, that would have the newcomer for a neighbour. */
struct km_incumbent {
	double slowdown; /* of its own, with the newcomer there; NaN = not known: not counted */
	double high;
	double max_slowdown;
	double weight;    /* > 0; of all it stands for */
	double in_flight; /* that part of the weight which counters do not show yet */
};

struct km_place_harm {
	double worst;    /* the largest ln(slowdown) / ln(max_slowdown), >= 0 */
	double mean;     /* weighted, each at `risk` of its interval, >= 0; see below */
	double slowdown; /* weighted geometric mean of the slowdowns; NaN without any */
	size_t worst_of; /* position of the worst; count without any */
};

/*
 * A pod that comes and suffers little would make the mean smaller, and the node look better than
 * without it. So of those in flight as many count as make it largest: one more never lowers it.
 */
void km_place_harm(const struct km_incumbent *i, size_t count, double risk,
                   struct km_place_harm *out);

/*
 * Judges one node without looking at the others. Final for a FRESH or AGING one with a slowdown
 * >= 0; without one it counts as NO_MODEL. For any other, w->on_stale says:
 *   Neutral  passes, scores the middle or less: the score of a STALE one's upper bound `high` (of
 *            `slowdown` where `high` is NaN); km_place_settle may lower it further,
 *   Avoid    passes, scores 0,
 *   Reject   in mode Enforce rejected as unresolvable, otherwise as Avoid.
 * Too slow, or too much harm (with rules->harm_filter), is a rejection (a resolvable one) in mode
 * Enforce only; the predicted slowdowns count, not their intervals. The score stays the formula's.
 * Mode Observe: passes with the middle score whatever the data.
 */
void km_place_judge_one(const struct km_workload *w, const struct km_candidate *c,
                        const struct km_place_rules *rules, struct km_verdict *out);

/*
 * Once all candidates of one pod are judged: lowers those that w->on_stale Neutral applies to, to
 * the lower median of the fresh ones' scores. With it a node whose data cannot be trusted never
 * scores above
 *   - the middle,
 *   - a fresh candidate in the better half (the median one included),
 *   - a fresh candidate whose scored slowdown is at most its own last known upper bound.
 * Without fresh candidates there is no median. v [count] in place.
 */
void km_place_settle(const struct km_workload *w, struct km_verdict *v, size_t count);

/*
 * Integer scores make ties, and of those a scheduler takes one at random; in a burst that undoes
 * part of what the ledger knows. So of the nodes that tie for the best score, those with at least
 * half a pod more in flight than the fastest of them lose a point, and with them whatever is
 * slower: a slower node never scores higher by it. At 0 the others gain one. v [count] in place,
 * settled.
 */
void km_place_spread(const struct km_workload *w, struct km_verdict *v, size_t count);

/*
 * All steps for all candidates of one pod: c [count] -> out [count], same order. Permuting c
 * permutes out. Never fails.
 */
void km_place_judge(const struct km_workload *w, const struct km_candidate *c, size_t count,
                    const struct km_place_rules *rules, struct km_verdict *out);

#endif

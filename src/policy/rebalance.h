/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a pod of a policy should be moved now, and which. Pure: time and what is predicted are
 * arguments. One pod at a time, the one with the most to gain, when
 *
 *   - its gain, 1 - slowdown there / slowdown here, has been at least minGainRatio at every look
 *     of a whole window,
 *   - nothing of the policy was moved during its cooldown, and fewer than its budget in an hour,
 *   - what was moved last is gone, and its replacement serves.
 *
 * A move that did not bring at least half of what was predicted doubles the cooldown; the third in
 * a row ends moving, until nothing is to be gained any more or the policy is changed: a model that
 * is wrong must not keep pods on their feet. In a dry run a pod is told once for as long as it is
 * to be moved.
 */
#ifndef KM_POLICY_REBALANCE_H
#define KM_POLICY_REBALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REBALANCE_REFUSED_NS   INT64_C(30000000000)  /* after a 429; doubles .. */
#define REBALANCE_REFUSED_MAX  INT64_C(600000000000) /* .. up to this */
#define REBALANCE_SETTLE_NS    INT64_C(600000000000) /* waits no longer for a replacement */
#define REBALANCE_FAILURES_MAX 3

struct rebalance_rules {
	double min_gain_ratio;
	int64_t cooldown_ns;
	uint32_t per_hour;
	int64_t window_ns;
	bool dry_run;
};

struct rebalance_candidate {
	uint64_t pod;       /* a key of its UID */
	double here, there; /* slowdown predicted where it is, and on the best other node */
	int64_t running_ns; /* for how long it runs */
};

/* What is so now. */
struct rebalance_look {
	const struct rebalance_candidate *candidate; /* [count] */
	size_t count;
	double level;  /* mean ln slowdown over the policy's pods; NaN = not known */
	uint32_t pods; /* how many */
	bool settled;  /* the pod moved last is gone, and as many are ready as were before */
	int64_t now_ns;
};

enum rebalance_why {
	REBALANCE_MOVE,
	REBALANCE_NO_GAIN,
	REBALANCE_WINDOW,   /* not for long enough */
	REBALANCE_SETTLING, /* what was moved last */
	REBALANCE_COOLDOWN,
	REBALANCE_BUDGET,
	REBALANCE_REFUSED,   /* by a PodDisruptionBudget, lately */
	REBALANCE_FRUITLESS, /* moves did not bring what was predicted */
	REBALANCE_WHY_N,
};

const char *rebalance_why_name(enum rebalance_why w); /* "Cooldown", ...: a metric's label */

struct rebalance;

struct rebalance *rebalance_create(void); /* NULL: out of memory */
void rebalance_free(struct rebalance *r); /* NULL allowed */

/* The policy has changed: what was learned of it is of another. Times stay. */
void rebalance_changed(struct rebalance *r);
/* From a leader before: `count` were moved in the hour up to last_ns, the last one then. */
void rebalance_restore(struct rebalance *r, int64_t last_ns, uint32_t count);

/* *chosen, *gain: of REBALANCE_MOVE. To be called at every look, whatever it returned before. */
enum rebalance_why rebalance_choose(struct rebalance *r, const struct rebalance_rules *rules,
                                    const struct rebalance_look *look, size_t *chosen,
                                    double *gain);

/* The chosen one was moved (or told, in a dry run), or refused. */
void rebalance_moved(struct rebalance *r, const struct rebalance_rules *rules,
                     const struct rebalance_look *look, size_t chosen);
void rebalance_refused(struct rebalance *r, int64_t now_ns);

/* How many were moved in the hour up to now. */
uint32_t rebalance_in_last_hour(const struct rebalance *r, int64_t now_ns);

#endif

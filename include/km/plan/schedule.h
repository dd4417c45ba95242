/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens in a trial, and when: episodes of interference, the same for every arm, and plays in
 * their order. All of it follows from the plan and its seed, repeat by repeat: more repeats append,
 * and nobody can choose an order after having seen a number. Pure; any thread.
 */
#ifndef KM_PLAN_SCHEDULE_H
#define KM_PLAN_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/base/rng.h"
#include "km/plan/plan.h"

#define KM_PLAN_PLAYS_MAX 10000 /* of a whole trial */

struct km_episode_node {
	bool stressed;
	enum km_stress_kind kind;
	unsigned level_pct;
};

struct km_episode {
	unsigned repeat, number; /* from 1; number 0 = no interference anywhere */
	struct km_episode_node node[KM_PLAN_NODES_MAX];
};

/* One thing to do: an arm plays an episode, or the service runs alone on a node. */
struct km_play {
	unsigned repeat;  /* from 1 */
	unsigned episode; /* from 1; 0 = alone: no interference, every replica on `node` */
	unsigned order;   /* in the repeat, from 1 */
	enum km_plan_arm arm;
	size_t node;
};

/*
 * Can there be a trial? returns 0, or -EINVAL with what is missing: two nodes, a stressor and a
 * level, two arms, not more than KM_PLAN_PLAYS_MAX plays.
 */
int km_plan_trial_check(const struct km_plan *p, struct km_err *err) KM_MUST_CHECK;

/*
 * In a share of the episodes (trial.quiet) one node is left quiet, which is a different one equally
 * often, and at least one is not; in the others all nodes are stressed, not all alike: elsewhere no
 * choice could matter. Kinds and levels come from shuffled decks of all of them; with a single kind
 * and level every episode has its quiet node. p has passed km_plan_trial_check; number from 1.
 */
void km_plan_episode(const struct km_plan *p, unsigned repeat, unsigned number,
                     struct km_episode *out);

/*
 * All plays in their order: within a repeat episodes, and between them one play alone on each
 * node, in an order of the seed; within an episode the arms, in another. returns 0 and *out owned
 * (free); -ENOMEM.
 */
int km_plan_plays(const struct km_plan *p, struct km_play **out, size_t *count) KM_MUST_CHECK;

/* What is random in an arm's choice in that play: the same however often it is played. */
void km_plan_luck(const struct km_plan *p, const struct km_play *play, struct km_rng *out);

/* Seconds of one play, as planned: window_s of counters, which may be longer than the plan's. */
double km_plan_play_seconds(const struct km_plan *p, double window_s);

/* Of what defines the plays, without the number of repeats. 0 = out of memory. */
uint64_t km_plan_trial_hash(const struct km_plan *p);

#endif

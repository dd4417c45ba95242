/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays of a trial that nobody played: two nodes, one of them beside interference, where p99 is ten
 * times that of the quiet one. Belongs to the including test.
 */
#ifndef KM_TESTS_TRIAL_WORLD_H
#define KM_TESTS_TRIAL_WORLD_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "km/base/rng.h"
#include "km/experiment/plays.h"

#define WORLD_EPISODES 4

/* One play of an arm: on node `at`, with node `stressed` beside interference. */
static inline struct km_trial_record world_play(unsigned repeat, unsigned episode, const char *arm,
                                                size_t stressed, size_t at, double p99_ms)
{
	static const char *const names[] = { "node-a", "node-b" };
	struct km_trial_record r;

	km_trial_record_init(&r);
	r.plan_hash = 0x1234;
	r.repeat = repeat;
	r.episode = episode;
	r.attempt = 1;
	(void)snprintf(r.arm, sizeof(r.arm), "%s", arm);
	r.rps = 500;
	r.node_count = 2;
	for (size_t i = 0; i < 2; i++)
		(void)snprintf(r.node[i].name, sizeof(r.node[i].name), "%s", names[i]);
	if (episode > 0) {
		(void)snprintf(r.node[stressed].stress, sizeof(r.node[stressed].stress), "cpu");
		r.node[stressed].level_pct = 100;
		r.node[stressed].busy_ratio = 0.99;
		r.node[1 - stressed].busy_ratio = 0.02;
	}
	r.placed[0] = at;
	r.replicas = 1;
	r.load.p99_ms = p99_ms;
	r.load.requests = 2500;
	r.slo_p99_ms = 2;
	return r;
}

/* A list that km_plays_read might have given. cap: of the memory behind it. */
static inline void world_add(struct km_plays *p, struct km_trial_record r)
{
	struct km_trial_record *grown = reallocarray(p->play, p->count + 1, sizeof(*p->play));

	if (grown == NULL)
		return;
	r.order = (unsigned)p->count + 1;
	p->play = grown;
	p->play[p->count++] = r;
}

/*
 * `repeats` repeats in which kubemarla is always right, least-cpu as well, and random half of the
 * time; noise is the spread of ln p99.
 */
static inline void world_fill(struct km_plays *p, unsigned repeats, double noise)
{
	struct km_rng rng;

	km_plays_init(p);
	km_rng_init(&rng, 4);
	for (unsigned r = 1; r <= repeats; r++) {
		for (size_t n = 0; n < 2; n++)
			world_add(p, world_play(r, 0, KM_TRIAL_ALONE, 0, n,
			                        0.4 * exp(noise * km_rng_normal(&rng))));
		for (unsigned e = 1; e <= WORLD_EPISODES; e++) {
			size_t stressed = (r + e) % 2;
			size_t any = km_rng_below(&rng, 2);
			const struct {
				const char *arm;
				size_t at;
			} arms[] = {
				{ "kubemarla", 1 - stressed },
				{ "random", any },
				{ "least-cpu", 1 - stressed },
			};

			for (size_t a = 0; a < 3; a++) {
				double alone = arms[a].at == stressed ? 4 : 0.4;

				world_add(p, world_play(r, e, arms[a].arm, stressed, arms[a].at,
				                        alone * exp(noise * km_rng_normal(&rng))));
			}
		}
	}
}

#endif

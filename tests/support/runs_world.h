/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs that nobody made: p99 0.4 ms, beside a stressor at level L on the target's node 0.4 ms times
 * 1 + L/10, elsewhere as alone. Belongs to the including test.
 */
#ifndef KM_TESTS_RUNS_WORLD_H
#define KM_TESTS_RUNS_WORLD_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/rng.h"
#include "km/experiment/run_result.h"

/* level 0: unstressed. on: "target" or "other". */
static inline struct km_run_record runs_one(unsigned repeat, const char *stressor, unsigned level,
                                            const char *on, double p99_ms)
{
	struct km_run_record r;

	km_run_record_init(&r);
	r.repeat = repeat;
	r.attempt = 1;
	r.stressed = level > 0;
	r.level_pct = level;
	r.replicas = 1;
	r.rps = 500;
	(void)snprintf(r.plan, sizeof(r.plan), "0123456789abcdef");
	(void)snprintf(r.target_node, sizeof(r.target_node), "node-a");
	if (level > 0) {
		(void)snprintf(r.id, sizeof(r.id), "r%u__%s%u_on-%s__1replicas_500rps", repeat,
		               stressor, level, on);
		(void)snprintf(r.stressor, sizeof(r.stressor), "%s", stressor);
		(void)snprintf(r.on, sizeof(r.on), "%s", on);
		(void)snprintf(r.stress_node, sizeof(r.stress_node), "%s",
		               strcmp(on, "target") == 0 ? "node-a" : "node-b");
	} else {
		(void)snprintf(r.id, sizeof(r.id), "r%u__none1__1replicas_500rps", repeat);
	}
	(void)snprintf(r.trace_before, sizeof(r.trace_before), "traces/%s__before.csv", r.id);
	(void)snprintf(r.trace_during, sizeof(r.trace_during), "traces/%s__during.csv", r.id);
	(void)snprintf(r.load.generator, sizeof(r.load.generator), "vegeta");
	r.load.p99_ms = p99_ms;
	r.load.requests = 4000;
	r.load.achieved_rps = 499.9;
	r.server_requests = 4000;
	r.before.busy_cpus = level > 0 ? 1.02 : 0.02;
	r.before.foreign_cpus = 0.01;
	r.during.foreign_cpus = 0.02;
	r.during.target_utilisation = level > 0 && strcmp(on, "target") == 0 ? 0.95 : 0.1;
	return r;
}

static inline void runs_add(struct km_runs *all, struct km_run_record r)
{
	struct km_run_record *grown = reallocarray(all->run, all->count + 1, sizeof(*all->run));

	if (grown == NULL)
		abort();
	r.start_unix_ms = 1790000000000 + (int64_t)all->count * 20000;
	all->run = grown;
	all->run[all->count++] = r;
}

static inline void runs_fill(struct km_runs *all, unsigned repeats, double noise)
{
	static const char *const stressors[] = { "cpu", "l3" };
	static const char *const places[] = { "target", "other" };
	struct km_rng rng;

	*all = (struct km_runs){ .count = 0 };
	km_rng_init(&rng, 6);
	for (unsigned r = 1; r <= repeats; r++) {
		runs_add(all, runs_one(r, "", 0, "", 0.4 * exp(noise * km_rng_normal(&rng))));
		for (size_t i = 0; i < 8; i++) {
			unsigned level = i & 1 ? 100 : 50;
			const char *on = places[i >> 1 & 1];
			double slow = strcmp(on, "target") == 0 ? 1 + level / 10.0 : 1;

			runs_add(all, runs_one(r, stressors[i >> 2], level, on,
			                       0.4 * slow * exp(noise * km_rng_normal(&rng))));
		}
	}
}

#endif

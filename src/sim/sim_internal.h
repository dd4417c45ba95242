/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the simulator. A world makes decisions, all arms in the same situation, and logs what came
 * of each; statistics know nothing of worlds.
 */
#ifndef KM_SIM_INTERNAL_H
#define KM_SIM_INTERNAL_H

#include "km/base/rng.h"
#include "km/core/least.h"
#include "km/core/settings.h"
#include "km/sim/sim.h"

/* ---- what came of decisions: stats.c ---- */

struct sim_outcome {
	float cost;   /* what is minimised */
	float own;    /* slowdown of what was placed */
	float others; /* of the incumbent; NaN = there is none */
	float tail;   /* what the 95 % quantile is taken of */
	bool broken;  /* somebody is beyond the limit */
	bool right;   /* hindsight chooses the same */
	bool moved;   /* another node than the decision before */
};

struct sim_log {
	size_t count, cap;
	uint32_t *cluster;           /* [count]: decisions that stand or fall together */
	struct sim_outcome *outcome; /* [count][KM_SIM_ARM_N]; of arms that are there */
	bool there[KM_SIM_ARM_N];
	bool no_time; /* decisions are apart: none comes before another */
};

void sim_log_init(struct sim_log *l);
void sim_log_fini(struct sim_log *l);
/* outcome [KM_SIM_ARM_N], copied. returns 0 or -ENOMEM. */
int sim_log_add(struct sim_log *l, uint32_t cluster,
                const struct sim_outcome *outcome) KM_MUST_CHECK;

#define SIM_BOOTSTRAP_ROUNDS 1000

/*
 * Fills arm[], decisions, clusters of the setting: intervals by `rounds` bootstrap samples of
 * clusters, seeded. returns 0, -ENODATA (no decision), -ENOMEM.
 */
int sim_log_summarise(const struct sim_log *l, uint32_t rounds, uint64_t seed,
                      struct km_sim_setting *out, struct km_err *err) KM_MUST_CHECK;

/* ---- the run: run.c ---- */

struct sim_run {
	const struct km_sim_options *options;
	struct km_sim_report *report;
};

/* returns 0 or -EINTR. */
int sim_progress(const struct sim_run *r, const char *what, size_t done, size_t all,
                 struct km_err *err) KM_MUST_CHECK;

/* A line for the notes. */
void sim_note(struct sim_run *r, const char *fmt, ...) KM_PRINTF(2, 3);

/* Room for one more setting, zeroed. NULL: out of memory. */
struct km_sim_setting *sim_add_setting(struct sim_run *r);
void sim_name_setting(struct km_sim_setting *s, const char *name, const char *title,
                      const char *unit, const char *cluster);
struct km_sim_burst *sim_add_burst(struct sim_run *r);

/* What a daemon without a file decides by, but for the options' scale and limit. No text in it. */
int sim_decide_settings(const struct km_sim_options *o, struct km_decide_settings *out,
                        struct km_err *err) KM_MUST_CHECK;

/* The worlds. Each adds settings. */
int sim_corun(struct sim_run *r, struct km_err *err) KM_MUST_CHECK;
int sim_nginx(struct sim_run *r, struct km_err *err) KM_MUST_CHECK;
int sim_burst(struct sim_run *r, struct km_err *err) KM_MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A trial in progress: trial.c goes through the schedule, trial_play.c plays. */
#ifndef KM_EXPERIMENT_TRIAL_INTERNAL_H
#define KM_EXPERIMENT_TRIAL_INTERNAL_H

#include "km/experiment/daemon.h"
#include "km/experiment/trial.h"
#include "km/rig/rig.h"

struct trial {
	const struct km_trial_options *o;
	const struct km_plan *plan;
	const struct km_clock *clock;
	uint64_t hash;
	struct km_rig *rig;
	struct km_trial_daemon *daemon; /* NULL = no arm asks one */
	double window_s, bin_s;         /* of what the daemon decides from */
	struct km_plays plays;
};

/*
 * Plays once, whatever came before; the record is whole when it returns 0. The rig is reset before
 * and after. returns what the rig and the daemon return.
 */
int trial_play(struct trial *t, const struct km_play *play, unsigned attempt,
               struct km_trial_record *r, struct km_err *err) KM_MUST_CHECK;

/* Busy share of each node's CPUs in a trace [plan's nodes]; NaN where it was not measured. */
int trial_busy(const struct km_plan *plan, const struct km_buf *trace, double *busy,
               struct km_err *err) KM_MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The closed loop: the same schedule of interference under every arm, each play whole on disk or
 * not there at all. The same call goes on where an earlier one ended. One thread.
 */
#ifndef KM_EXPERIMENT_TRIAL_H
#define KM_EXPERIMENT_TRIAL_H

#include <stddef.h>

#include "km/base/clock.h"
#include "km/base/err.h"
#include "km/experiment/plays.h"
#include "km/plan/plan.h"

struct km_trial_progress {
	size_t done, all;                   /* plays */
	const struct km_trial_record *play; /* the one just finished; NULL = the trial begins */
	double left_s;                      /* until all are played, gates aside */
};

/* All borrowed for the call. */
struct km_trial_options {
	const struct km_plan *plan;
	const char *plan_text; /* the file as it was given, to be kept */
	size_t plan_len;
	const char *dir;              /* the results folder; made when it is not there */
	const char *scratch_dir;      /* of rig and daemon */
	const char *self;             /* program of the stressors */
	const char *version;          /* of this program */
	const char *model;            /* for the daemon that is started */
	const char *daemon_url;       /* one that runs; NULL = start one */
	const char *daemon_program;   /* NULL = beside this program */
	const struct km_clock *clock; /* NULL = the system's */
	int stop_fd;                  /* readable = stop; -1 = none */
	void (*say)(void *ctx, const char *line); /* for people; may be NULL */
	void (*progress)(void *ctx, const struct km_trial_progress *p); /* may be NULL */
	void *ctx;
};

/*
 * Plays what is not played yet. returns 0 when all are; -EINTR (stopped: what is finished stays),
 * -ECANCELED (a gate whose action is abort), -EINVAL (no trial in that plan), -EEXIST (plays of
 * another plan are there), -EBUSY, what km_rig_* and km_trial_daemon_* return, errnos of files.
 */
int km_trial_run(const struct km_trial_options *options, struct km_err *err) KM_MUST_CHECK;

#endif

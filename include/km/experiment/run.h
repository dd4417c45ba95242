/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan's runs, one after the other, into a results folder. Whatever stops it (a signal, a full
 * disk, a process that died), finished runs stay, and the same call goes on from there. One thread.
 */
#ifndef KM_EXPERIMENT_RUN_H
#define KM_EXPERIMENT_RUN_H

#include <stddef.h>

#include "km/base/err.h"
#include "km/plan/plan.h"
#include "km/wire/run_record.h"

enum km_experiment_event {
	KM_EXPERIMENT_OPENED,   /* once, the folder is read: finished says how many are there */
	KM_EXPERIMENT_STARTED,  /* an attempt at a run */
	KM_EXPERIMENT_LOADED,   /* it is under load */
	KM_EXPERIMENT_GATED,    /* it does not count, record->gate says why */
	KM_EXPERIMENT_FINISHED, /* it is on disk */
};

struct km_experiment_progress {
	enum km_experiment_event event;
	size_t count, finished;             /* runs of the plan, those on disk */
	const struct km_run_spec *spec;     /* NULL: OPENED */
	unsigned attempt;                   /* from 1 */
	const struct km_run_record *record; /* GATED, FINISHED; else NULL */
	double remaining_s;                 /* at the pace so far; as planned before there is one */
};

struct km_experiment_options {
	const struct km_plan *plan;
	const char *text; /* [len] the plan's file, kept in the folder */
	size_t len;
	const char *dir;
	const char *self;    /* path of kubemarla-lab, for stressors */
	const char *scratch; /* an existing directory */
	const char *version; /* of kubemarla-lab */
	int stop_fd;         /* readable = stop; -1 = none */
	void (*progress)(void *ctx, const struct km_experiment_progress *p); /* NULL = none */
	void (*say)(void *ctx, const char *line); /* what is otherwise than asked; NULL = none */
	void *ctx;
};

/*
 * Makes the runs that are not finished. returns 0: all are; -EINTR: stop_fd; -ECANCELED: stopped at
 * a gate; -EEXIST, -EBUSY: km_folder_open; another errno, with the run's name where it was one's.
 * *finished = how many are, also after an error.
 */
int km_experiment_run(const struct km_experiment_options *o, size_t *finished,
                      struct km_err *err) KM_MUST_CHECK;

#endif

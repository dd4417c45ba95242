/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A live kubemarlad for a trial: started with the plan's nodes and a model and live counters of
 * this machine, or one that runs already; asked as kube-scheduler would ask it. Whatever it does
 * wrong is counted in the record of the play, and never ends the trial, but its end does.
 * Thread: the one that started it.
 */
#ifndef KM_EXPERIMENT_DAEMON_H
#define KM_EXPERIMENT_DAEMON_H

#include <stddef.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/base/macros.h"
#include "km/base/rng.h"
#include "km/plan/plan.h"
#include "km/wire/trial_record.h"

struct km_trial_daemon;

/* All borrowed for the call. */
struct km_trial_daemon_options {
	const struct km_plan *plan; /* borrowed until _stop */
	const char *url;            /* one that runs: nothing is started; NULL = start one */
	const char *program;        /* kubemarlad; NULL = beside this program, or in PATH */
	const char *model;          /* its file; what is started needs one */
	const char *scratch_dir;    /* where its configuration goes */
	const char *const *group;   /* [node_count] control groups, "" = none; NULL = none */
};

/*
 * Starts it and waits for its readiness, or looks whether the one at the URL answers. returns 0 and
 * *out owned; -ENOENT (no program, no model), -EIO (it ended: its last words), -ETIMEDOUT,
 * -EBADMSG (no kubemarlad there, or one without the plan's nodes), another errno.
 */
int km_trial_daemon_start(const struct km_trial_daemon_options *options,
                          struct km_trial_daemon **out, struct km_err *err) KM_MUST_CHECK;

/* Ends what was started. NULL allowed. */
void km_trial_daemon_stop(struct km_trial_daemon *d);

const char *km_trial_daemon_url(const struct km_trial_daemon *d);   /* borrowed */
const char *km_trial_daemon_model(const struct km_trial_daemon *d); /* name and hash; "" = none */

/* What it says of its model, the answer of /v1/model as it came; borrowed. */
const struct km_buf *km_trial_daemon_card(const struct km_trial_daemon *d);

int km_trial_daemon_pid(const struct km_trial_daemon *d); /* 0 = it was not started here */

/* Seconds of counters that it decides from; the plan's window without a model. */
double km_trial_daemon_window_s(const struct km_trial_daemon *d);
/* Its newest counters may be older than its newest sample by so much: those of the last whole bin.
 */
double km_trial_daemon_bin_s(const struct km_trial_daemon *d);

/*
 * How old the counters of its oldest node are: age_s, INFINITY when one has none. returns 0; -EIO
 * when it does not answer; -ECHILD with its last words when it has ended.
 */
int km_trial_daemon_age(struct km_trial_daemon *d, double *age_s, struct km_err *err) KM_MUST_CHECK;

/*
 * Chooses nodes for r->replicas replicas, one after another, as kube-scheduler would: /filter, then
 * /prioritize with what passed, then the best score, ties drawn. Fills placed, asked, failed,
 * neutral, all_filtered, trouble and what was said of each node. Without a usable answer it is luck
 * that chooses, and `failed` says so. returns 0; -ECHILD; -ENOMEM.
 */
int km_trial_daemon_choose(struct km_trial_daemon *d, struct km_rng *luck,
                           struct km_trial_record *r, struct km_err *err) KM_MUST_CHECK;

#endif

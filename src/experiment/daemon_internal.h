/* SPDX-License-Identifier: Apache-2.0 */
/* A trial's daemon inside: daemon.c has its life, ask.c what it is asked. */
#ifndef KM_EXPERIMENT_DAEMON_INTERNAL_H
#define KM_EXPERIMENT_DAEMON_INTERNAL_H

#include "km/base/child.h"
#include "km/experiment/daemon.h"
#include "km/net/client.h"

struct km_trial_daemon {
	const struct km_plan *plan;
	struct km_child *child; /* NULL = it was not started by us */
	struct km_client *client;
	struct km_buf url; /* without a slash at its end; NUL-terminated */
	char model[KM_TRIAL_MODEL_MAX];
	struct km_buf card; /* what it says of its model: JSON */
	double window_s, bin_s;
};

/* -ECHILD with its last words when it has ended, else 0. */
int daemon_lives(struct km_trial_daemon *d, struct km_err *err) KM_MUST_CHECK;

/*
 * GET, or POST of a body; out is cleared first. returns 0 for a 200; -EIO with the status and what
 * it says; -ECHILD; as km_client_do.
 */
int daemon_fetch(struct km_trial_daemon *d, const char *path, const struct km_buf *body,
                 struct km_buf *out, struct km_err *err) KM_MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a cluster gets beside placements: the status of policies, Events, the wake-up of pods that
 * were rejected, and rebalancing. Of several processes one acts, by a Lease; the others look on.
 *
 *   km-lease       renews the Lease every 2 s
 *   km-controller  a round each second: what decisions came to (each process for its own); then,
 *                  while the Lease is held: nodes to be woken up for, and each `interval` statuses
 *                  and moves
 *   km-queries     asks Prometheus what policies want to know, each `query_interval`
 *
 * Needs no memory of another process: rejected pods are told by the API (PodScheduled=False with
 * one of our reasons), their verdicts are computed anew.
 */
#ifndef KM_POLICY_CONTROLLER_H
#define KM_POLICY_CONTROLLER_H

#include <stdbool.h>

#include "km/base/clock.h"
#include "km/base/err.h"
#include "km/cluster/view.h"
#include "km/core/settings.h"
#include "km/decide/decide.h"
#include "km/decide/record.h"
#include "km/kube/credentials.h"
#include "km/metrics/metrics.h"

struct km_controller;

/* All borrowed until _free; settings are copied. */
struct km_controller_options {
	const struct km_controller_settings *settings;
	struct km_view *view;
	struct km_decide *decide;
	struct km_record *record; /* of the decisions made here; NULL = none are */
	const struct km_kube_credentials *credentials;
	const struct km_clock *clock;
	struct km_metrics *metrics;
	double window_s; /* of telemetry: a gain has to last for as long */
};

/* returns 0 and *out owned; -EINVAL, -ENOMEM. No thread runs yet. */
int km_controller_create(const struct km_controller_options *options, struct km_controller **out,
                         struct km_err *err) KM_MUST_CHECK;
int km_controller_start(struct km_controller *c, struct km_err *err) KM_MUST_CHECK;

/* Ends the threads, then lets the Lease go. Within a second or two. NULL and not started are fine.
 */
void km_controller_stop(struct km_controller *c);
void km_controller_free(struct km_controller *c); /* stops; NULL allowed */

struct km_controller_health {
	bool leading;
	char holder[256];       /* of the Lease; "" = nobody, or not known yet */
	double round_age_s;     /* since the last round began; NaN = none did */
	char trouble[192];      /* what the API server last refused us; "" = nothing */
	size_t queries_failing; /* of policies */
	char query_error[192];  /* of the first of them */
};

/* Any thread. */
void km_controller_health(struct km_controller *c, struct km_controller_health *out);

#endif

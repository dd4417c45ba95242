/* SPDX-License-Identifier: Apache-2.0 */
/* The controller itself: its threads, and what its rounds share. */
#ifndef KM_POLICY_CONTROLLER_INTERNAL_H
#define KM_POLICY_CONTROLLER_INTERNAL_H

#include <pthread.h>

#include "km/kube/api.h"

#include "policy_internal.h"

struct km_controller {
	struct km_view *view;
	struct km_decide *decide;
	struct km_record *record;
	const struct km_clock *clock;
	int64_t interval_ns;
	int64_t window_ns;
	struct policy_stats stats;

	struct km_kube *lease_kube; /* thread km-lease's */
	struct km_lease *lease;

	/* Thread km-controller's own. */
	struct km_kube *kube;
	struct policy_acts acts;
	struct km_events *events;
	struct policy_wake *wake;
	struct policy_advice *advice;
	struct km_arena arena, scratch;
	struct km_buf body;
	struct policy_kept *kept; /* [kept_count] */
	size_t kept_count, kept_cap;
	bool was_leading;
	size_t turn;           /* which of the policies with rebalancing are looked at next */
	int64_t reconciled_ns; /* 0 = never */
	struct km_complain status_trouble, wake_trouble, evict_trouble;

	struct policy_kpi *kpi;

	pthread_t lease_thread, thread;
	bool lease_running, running; /* whoever starts and stops */

	pthread_mutex_t lock; /* all below */
	pthread_cond_t change;
	bool stopping;
	bool lease_ended; /* thread km-lease */
	int64_t round_ns; /* when the last one began; 0 = none did */
	char trouble[192];
};

/* For /readyz: NULL = none any more. */
void controller_trouble(struct km_controller *c, const struct km_err *err);

/* One round: everything that the thread does between two waits. */
void controller_round(struct km_controller *c);

/* ---- reconcile.c ---- */
void reconcile_forget(struct km_controller *c);
/* What is kept of each policy, into the round. 0 or -ENOMEM. */
int reconcile_open(struct km_controller *c, struct policy_round *r);
void reconcile_round(struct km_controller *c, struct policy_round *r);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the API server says, into a view: a reflector each for nodes, pods, policies and namespaces,
 * on threads km-watch-nodes, -pods, -policies, -namespac.
 */
#ifndef KM_CLUSTER_WATCHERS_H
#define KM_CLUSTER_WATCHERS_H

#include "km/base/arena.h"
#include "km/base/clock.h"
#include "km/base/err.h"
#include "km/cluster/view.h"
#include "km/kube/credentials.h"
#include "km/metrics/metrics.h"

struct km_watchers;

struct km_watchers_options {
	struct km_view *view; /* borrowed, as all here; they outlive the watchers */
	const struct km_kube_credentials *credentials;
	const struct km_clock *clock;
	struct km_metrics *metrics; /* NULL allowed */
};

/* returns 0 and *out owned; -ENOMEM, and what km_kube_create returns. */
int km_watchers_create(const struct km_watchers_options *options, struct km_watchers **out,
                       struct km_err *err) KM_MUST_CHECK;
int km_watchers_start(struct km_watchers *all, struct km_err *err) KM_MUST_CHECK;
/* Ends requests in progress and joins; NULL and not started are fine. */
void km_watchers_stop(struct km_watchers *all);
void km_watchers_free(struct km_watchers *all); /* stops; NULL allowed */

/* One object as a watcher hears it, for tests and fuzzers: returns 0, -EINVAL or -ENOMEM. */
int km_watchers_object(struct km_view *v, enum km_view_kind kind, bool deleted, const char *json,
                       size_t len, struct km_arena *arena) KM_MUST_CHECK;

#endif

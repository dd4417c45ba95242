/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events about objects, as client-go's recorder writes them: the same event again within six
 * minutes becomes one with a count (a series), which is written when the count doubles; of one
 * object at most 25 at once and then one in 30 s; of all at most 20 a second. What is over that, or
 * comes within 5 s of a request without answer, is dropped and counted: events tell, nothing
 * depends on them.
 *
 * Metric: kubemarla_controller_events_total{reason,result="written|counted|dropped|failed"}.
 */
#ifndef KM_KUBE_EVENT_H
#define KM_KUBE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "km/base/clock.h"
#include "km/base/err.h"
#include "km/core/name.h"
#include "km/kube/via.h"
#include "km/metrics/metrics.h"

struct km_events;

struct km_events_options {
	const char *instance; /* who reports: this process; copied */
	struct km_kube_via via;
	const struct km_clock *clock; /* borrowed, as metrics */
	struct km_metrics *metrics;   /* NULL allowed */
	uint64_t seed;                /* of names */
};

/* returns 0 and *out owned; -ENOMEM. One thread. */
int km_events_create(const struct km_events_options *options, struct km_events **out,
                     struct km_err *err) KM_MUST_CHECK;
void km_events_free(struct km_events *e); /* NULL allowed */

/* All borrowed for the call. */
struct km_event {
	const char *kind, *api_version; /* of the object: "Pod", "v1" */
	struct km_name namespace, name, uid;
	const char *reason; /* "KubeMarlaRejected": CamelCase, static storage */
	const char *action; /* what was done: "Filter", "Evict" */
	const char *note;
	bool warning;
};

/* One request at most, two for a series that the server forgot. What fails is complained about.
 * returns 0 (written, counted or dropped), or a negative errno (failed). */
int km_events_write(struct km_events *e, const struct km_event *v, struct km_err *told);

#endif

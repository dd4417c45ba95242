/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we write into the Kubernetes API, as JSON: a Lease, Events, an eviction, an annotation.
 * Appends to `out`, whose failure sticks. Texts are escaped. Any thread.
 */
#ifndef KM_WIRE_KUBE_WRITE_H
#define KM_WIRE_KUBE_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/core/name.h"

#define KM_TIME_TEXT_MAX 40

/* RFC 3339 in UTC with microseconds: a MicroTime. At or before 1970: "". returns out. */
const char *km_time_micro(int64_t unix_ns, char out[KM_TIME_TEXT_MAX]);
/* The same in whole seconds: a Time. */
const char *km_time_seconds(int64_t unix_ns, char out[KM_TIME_TEXT_MAX]);

/* coordination.k8s.io/v1 Lease. */
struct km_lease_text {
	const char *namespace, *name;
	struct km_name resource_version; /* len 0 = it is new */
	const char *holder;              /* "" = nobody */
	int64_t duration_s;
	int64_t acquired_unix_ns, renewed_unix_ns;
	int64_t transitions;
};
void km_lease_encode(struct km_buf *out, const struct km_lease_text *l);

/* events.k8s.io/v1 Event. */
struct km_event_text {
	const char *namespace, *name;       /* its own */
	const char *controller, *instance;  /* who reports */
	const char *reason, *action, *note; /* note: 1 KiB at most, cut */
	bool warning;                       /* else Normal */
	const char *kind, *api_version;     /* of what it is about */
	struct km_name about_namespace, about_name, about_uid;
	int64_t unix_ns;
};
#define KM_EVENT_NOTE_MAX 1023
void km_event_encode(struct km_buf *out, const struct km_event_text *e);
/* A merge patch: it happened `count` times by now. */
void km_event_series_encode(struct km_buf *out, uint64_t count, int64_t last_unix_ns);

/* policy/v1 Eviction of the pod with that UID. */
void km_eviction_encode(struct km_buf *out, struct km_name namespace, struct km_name name,
                        struct km_name uid);

/* A merge patch of one annotation. */
void km_annotation_encode(struct km_buf *out, const char *key, const char *value);

#endif

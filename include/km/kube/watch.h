/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reflector: lists a resource in pages, then watches it, for ever; hands every object on as the
 * bytes of one JSON value, checked to be well-formed. Memory is bounded by the largest object.
 *
 *   list (no resourceVersion: the newest; limit/continue) ─▶ watch from the list's version, with
 *   bookmarks ─▶ ends in time: on from the last version seen; ends with 410 Gone, as status or as
 *   ERROR event, or with what is no event twice in a row: list again; fails: back-off (0.5 to 30 s,
 *   full jitter, or what Retry-After says), then on; is silent for 90 s: another one in its place.
 *
 * Metrics, all with label resource: kubemarla_kube_watch_restarts_total{reason}; of lists after the
 * first kubemarla_kube_relists_total; kubemarla_kube_objects_skipped_total;
 * kubemarla_kube_watch_silence_seconds, since the server last said anything;
 * kubemarla_kube_watch_events_total{type}: added, modified, deleted, bookmark.
 */
#ifndef KM_KUBE_WATCH_H
#define KM_KUBE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/clock.h"
#include "km/kube/api.h"
#include "km/metrics/metrics.h"

/* Larger objects are skipped and counted. etcd takes no more than 1.5 MiB. */
#define KM_KUBE_OBJECT_MAX_BYTES ((size_t)4 << 20)

enum km_kube_event { KM_KUBE_LISTED, KM_KUBE_ADDED, KM_KUBE_MODIFIED, KM_KUBE_DELETED };

struct km_kube_watch_options {
	const char *path;           /* "/api/v1/pods" */
	const char *label_selector; /* as in a URL before escaping; NULL or "" = all */
	const char *field_selector;
	uint32_t page; /* objects of a list at once; 0 = 500 */
	/*
	 * One object. returns 0; -ENOMEM: the picture has a hole, the list is made again; any other
	 * negative errno: it is counted as skipped. After 410 or an outage an object may be told as
	 * ADDED that was LISTED, and a MODIFIED may jump several versions.
	 */
	int (*object)(void *ctx, enum km_kube_event event, const char *json, size_t len);
	void (*listing)(void *ctx); /* a list begins (perhaps again): what is not LISTED until... */
	void (*listed)(void *ctx);  /* ...here is gone. The picture is whole */
	/* The stream is lost, and why; or it is (back) there, "". Told when that, or why,
	 * changes. */
	void (*state)(void *ctx, bool live, const char *why);
	void *ctx;
	const struct km_clock *clock; /* NULL = the system's; the same for all, until metrics go */
	struct km_metrics *metrics;   /* NULL = none */
	const char *resource;         /* metric label: "pods"; static storage */
	/* For tests; 0 = as above. */
	int64_t backoff_min_ns, backoff_max_ns;
	uint32_t timeout_s; /* after which the server ends a watch; 0 = 300 to 600, at random */
	int64_t silence_ns; /* nothing came for so long: the stream is dead; 0 = 90 s */
};

/*
 * Runs on the caller's thread until km_kube_stop(k); everything in `o` is borrowed until then.
 * Callbacks come on this thread; `listing`, `listed`, `state` may be NULL. returns -ECANCELED, or
 * -ENOMEM when there is no memory to begin with.
 */
int km_kube_watch_run(struct km_kube *k, const struct km_kube_watch_options *o) KM_MUST_CHECK;

#endif

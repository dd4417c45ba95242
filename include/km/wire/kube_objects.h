/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of the Kubernetes API -> the few members that somebody here uses. An object is the bytes
 * of one JSON value as they come out of a list or a watch (wire/kube_stream.h). What is absent or
 * of an unexpected type is "not given", never an error: newer API servers add, older ones lack.
 *
 * All decoders: texts borrow from `json` or live in the arena; returns 0, -EINVAL (no JSON object
 * at all) or -ENOMEM. Any thread.
 */
#ifndef KM_WIRE_KUBE_OBJECTS_H
#define KM_WIRE_KUBE_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/arena.h"
#include "km/base/macros.h"
#include "km/core/name.h"
#include "km/core/pod.h"

#define KM_KUBE_DEPTH_MAX 128 /* nesting of an object; the API server's own types need some 30 */

/* metadata. A name of len 0 is one that is not given; so is a resource version. */
struct km_kube_meta {
	struct km_name name, namespace, uid, resource_version;
	int64_t generation;           /* 0 = not given: generations count from 1 */
	int64_t created_unix_ns;      /* 0 = not given */
	bool deleting;                /* a deletionTimestamp is set */
	const struct km_label *label; /* [label_count] */
	size_t label_count;
};

int km_kube_meta_decode(const char *json, size_t len, struct km_arena *arena,
                        struct km_kube_meta *out) KM_MUST_CHECK;

/* The value of a label, or NULL. */
const struct km_name *km_kube_label(const struct km_kube_meta *m, const char *key);

/* -1 in a number of this header = not given, or no number. */
struct km_kube_node {
	struct km_kube_meta meta;
	struct km_name verdict;       /* annotation kubemarla.io/verdict */
	bool has_verdict;             /* which may be "" */
	bool unschedulable;           /* cordoned */
	bool ready;                   /* condition Ready is True */
	int64_t cpu_millis;           /* allocatable */
	int64_t memory_bytes;         /* allocatable */
	int64_t pods;                 /* allocatable */
	struct km_name instance_type; /* label node.kubernetes.io/instance-type */
	struct km_name cpu_vendor, cpu_family, cpu_model; /* of node-feature-discovery's labels */
	struct km_name architecture;                      /* status.nodeInfo */
	struct km_name internal_ip;                       /* the first of that type */
};

int km_kube_node_decode(const char *json, size_t len, struct km_arena *arena,
                        struct km_kube_node *out) KM_MUST_CHECK;

enum km_kube_phase {
	KM_KUBE_PHASE_UNKNOWN, /* not given, "Unknown", or one that nobody here has heard of */
	KM_KUBE_PHASE_PENDING,
	KM_KUBE_PHASE_RUNNING,
	KM_KUBE_PHASE_SUCCEEDED,
	KM_KUBE_PHASE_FAILED,
};

struct km_kube_pod {
	struct km_pod pod; /* name, namespace, uid, labels, owner, annotations of ours */
	struct km_name resource_version;
	struct km_name node_name; /* len 0 = not bound yet */
	struct km_name scheduler_name;
	struct km_name pod_ip;
	enum km_kube_phase phase;
	bool deleting;
	bool ready;              /* condition Ready is True */
	int64_t created_unix_ns; /* 0 = not given, as all times here */
	int64_t started_unix_ns; /* status.startTime: the kubelet saw it */
	int64_t ready_unix_ns;   /* last transition of condition Ready, when that is True */
	int64_t running_unix_ns; /* the last of its containers began to run; 0 = not all run */
	/* What the scheduler counts: containers, init containers, sidecars, overhead together.
	 * 0 = it asks for nothing. */
	int64_t cpu_millis, memory_bytes;
	bool unschedulable;           /* condition PodScheduled is False */
	struct km_name sched_reason;  /* of that condition: "Unschedulable" */
	struct km_name sched_message; /* of that condition: the scheduler's words */
	int64_t sched_unix_ns;        /* its last transition */
};

int km_kube_pod_decode(const char *json, size_t len, struct km_arena *arena,
                       struct km_kube_pod *out) KM_MUST_CHECK;

struct km_kube_lease {
	struct km_kube_meta meta;
	struct km_name holder;    /* len 0 = nobody */
	int64_t duration_s;       /* -1 */
	int64_t acquired_unix_ns; /* 0 = not given */
	int64_t renewed_unix_ns;  /* 0 = not given */
	int64_t transitions;      /* -1 */
};

int km_kube_lease_decode(const char *json, size_t len, struct km_arena *arena,
                         struct km_kube_lease *out) KM_MUST_CHECK;

/* v1.Status: the body of every answer over 400, and the object of an ERROR event. */
struct km_kube_status {
	struct km_name reason; /* "Expired", "Conflict", ... */
	struct km_name message;
	int64_t code;          /* HTTP; -1 */
	int64_t retry_after_s; /* details.retryAfterSeconds; -1 */
};

int km_kube_status_decode(const char *json, size_t len, struct km_arena *arena,
                          struct km_kube_status *out) KM_MUST_CHECK;

/*
 * A resource.Quantity ("500m", "1.5Gi", "2", "1e3", "12E") in units of 1/per_one: 1000 gives
 * milli-cores, 1 bytes. Rounded up (away from zero), as Kubernetes rounds; beyond int64_t it is the
 * nearest bound. per_one: 1 to 1000. returns 0 or -EINVAL (*out unchanged).
 */
int km_kube_quantity_parse(const char *text, size_t len, int64_t per_one,
                           int64_t *out) KM_MUST_CHECK;

/*
 * RFC 3339, with or without a fraction, Z or an offset. returns 0 and the time since 1970-01-01
 * UTC; -EINVAL, also for years before 1970 and after 2261 (*out unchanged).
 */
int km_kube_time_parse(const char *text, size_t len, int64_t *unix_ns) KM_MUST_CHECK;

/* Room for km_kube_time_format's text with its NUL. */
#define KM_KUBE_TIME_MAX 32

/* "2026-01-02T03:04:05.123456Z" (micro: as Leases and events want it) or "2026-01-02T03:04:05Z". */
void km_kube_time_format(int64_t unix_ns, bool micro, char out[KM_KUBE_TIME_MAX]);

#endif

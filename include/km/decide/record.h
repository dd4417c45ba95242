/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last decisions, to answer "why there, why not the others": a ring of fixed slots, so its
 * memory is known: KM_RECORD_BYTES, touched as it fills. Of a few nodes everything is kept, of
 * thousands those that matter: the best, the next, the worst, and examples of each reason; all are
 * counted. /filter and /prioritize of one pod are one decision. Of a pod in mode Observe it is not
 * the neutral answer that is kept but what mode Enforce would have said.
 *
 * Recording is part of a request: encoded aside, then copied under one lock, without allocation or
 * I/O. Numbers are kept to 0.02 %, ages to 0.1 s.
 */
#ifndef KM_DECIDE_RECORD_H
#define KM_DECIDE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/base/macros.h"
#include "km/core/metric.h"
#include "km/core/name.h"
#include "km/core/workload.h"
#include "km/place/place.h"

#define KM_RECORD_DECISIONS  10000
#define KM_RECORD_SLOT_BYTES 768
#define KM_RECORD_BYTES      (KM_RECORD_DECISIONS * (KM_RECORD_SLOT_BYTES + 24))

/* At most so many nodes of a decision; long names leave room for fewer. */
#define KM_RECORD_NODES_MAX 16

/* A decision's texts: a pod's name, namespace, UID and policy, and its nodes' names. */
#define KM_RECORD_TEXT_BYTES 5120

struct km_record;

/* The calls that a decision consists of. */
enum { KM_RECORD_FILTER = 1, KM_RECORD_PRIORITIZE = 2 };

/* Where a workload came from. */
enum km_workload_origin { KM_ORIGIN_DEFAULT, KM_ORIGIN_ANNOTATIONS, KM_ORIGIN_POLICY, KM_ORIGIN_N };
const char *km_workload_origin_name(enum km_workload_origin o); /* "default", "policy", ... */

struct km_recorded_node {
	struct km_name name;
	struct km_verdict verdict; /* as it was answered; in mode Observe as it would have been */
	enum km_data_state state;
	enum km_tier tier;
	double age_s;    /* NaN = never measured */
	double slowdown; /* NaN = no prediction */
	double low;
	double high;
	double scored;      /* the slowdown that the score is of; NaN = none */
	double in_flight;   /* pods on their way there, in pods; to 0.01, 655 at most */
	uint32_t harm_pods; /* protected pods there; 255 at most */
	double harm_worst;  /* slowdown of the one worst off with the pod there; NaN = none */
	double harm_limit;  /* what that one tolerates */
};

/* How many nodes were judged so, and how many of them were filtered out for it. */
struct km_recorded_reason {
	uint32_t judged;
	uint32_t rejected;
};

struct km_recorded {
	uint64_t id;            /* of the request that began it, as in the log */
	uint64_t prioritize_id; /* of its /prioritize; 0 = none */
	int64_t wall_ns;
	unsigned calls; /* KM_RECORD_FILTER, KM_RECORD_PRIORITIZE */
	struct km_name pod_namespace;
	struct km_name pod_name;
	struct km_name pod_uid;
	struct km_workload workload;
	enum km_workload_origin origin;
	struct km_name policy; /* "namespace/name"; len 0 = none */
	uint64_t model_hash;   /* 0 = no model */
	uint32_t scale;
	uint32_t asked;      /* nodes at /filter, or at /prioritize when it came alone */
	uint32_t passed;     /* of them */
	uint32_t scored;     /* nodes at /prioritize */
	int32_t best;        /* the highest score of a node that passes; -1 = none does */
	int32_t worst;       /* the lowest of one that passes; -1 = none does */
	uint32_t best_count; /* nodes with the highest */
	struct km_recorded_reason reason[KM_REASON_N];
	size_t count;
	struct km_recorded_node node[KM_RECORD_NODES_MAX]; /* best first */
};

/* A decision as read, with its texts. */
struct km_recorded_copy {
	struct km_recorded decision;
	char text[KM_RECORD_TEXT_BYTES];
};

/* returns 0 and *out owned; -ENOMEM. */
int km_record_create(struct km_record **out, struct km_err *err) KM_MUST_CHECK;
void km_record_free(struct km_record *r); /* NULL allowed */

/*
 * Counts verdicts [count] into *d (asked, passed, best, worst, best_count, reason) and picks the
 * nodes to keep: pick [KM_RECORD_NODES_MAX], positions in `verdict`, the most important first.
 * Pure. returns how many.
 */
size_t km_record_pick(const struct km_verdict *verdict, size_t count, struct km_recorded *d,
                      uint32_t *pick);

/*
 * Keeps a copy of *d, in place of the oldest. d->node: the most important first; those for which
 * there is no room, or whose name is over 253 bytes, are counted only. A decision of
 * KM_RECORD_PRIORITIZE joins that of KM_RECORD_FILTER for the same pod (by UID, else by name) when
 * it was among the last 256 and at most 10 s ago. now_ns is monotonic. Any thread.
 */
void km_record_add(struct km_record *r, const struct km_recorded *d, int64_t now_ns);

/* Which decisions are asked for; empty names and 0 match all. */
struct km_record_query {
	struct km_name pod_name;
	struct km_name pod_namespace;
	uint64_t id; /* of either request */
};

/*
 * The newest decision that matches and is older than *cursor (0 = from the newest on). Holds the
 * lock for microseconds. returns true with *out and *cursor, false when there is none. Any thread.
 */
bool km_record_next(struct km_record *r, const struct km_record_query *q, uint64_t *cursor,
                    struct km_recorded_copy *out);

/* How many decisions it holds, and when the oldest of them was made (wall time; 0 = none). */
size_t km_record_held(struct km_record *r, int64_t *oldest_wall_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision log: JSON lines with what decisions were made from, so that they can be made again.
 * A file may begin anew in the middle (another process, another picture): `settings` starts it.
 *
 *   {"kind":"settings","time":..,"maxAgeSeconds":15,"onStale":"Neutral","scoreScale":10,...}
 *   {"kind":"schema","windowSeconds":60,"binSeconds":5,"features":["node.ipc.mean",...]}
 *   {"kind":"nodes","names":["a","b"]}             from here on a node is its position in this
 *   {"kind":"row","node":0,"version":7,"windowEndNs":..,"tier":"core","values":[0.8,null,...]}
 *   {"kind":"decision","id":17,"call":"prioritize","time":..,"atNs":..,"pod":{..},"says":{..},
 *    "workload":{..},"workloadFrom":"annotations","policy":null,"service":"..","podRps":1500,"modelHash":"..",
 *    "nodes":[0,1,"ghost"],"agesUs":[1200,900,null],"scores":[9,4,5],"rejected":[]}
 *
 * A row is written when a decision needs it and it changed; the newest one before a decision is the
 * one that it was made from. What a decision brings along (pod.*, inflight.*) is in no row.
 * `says` are the pod's labels, its owner and our annotations: what policies are found by.
 * `rejected` holds positions in `nodes`; ...Ns are of the monotonic clock of the process that
 * decided.
 */
#ifndef KM_WIRE_DECISION_LINES_H
#define KM_WIRE_DECISION_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/arena.h"
#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/base/macros.h"
#include "km/core/metric.h"
#include "km/core/name.h"
#include "km/core/pod.h"
#include "km/core/schema.h"
#include "km/core/settings.h"
#include "km/core/workload.h"

/* One line; a longer one is skipped by the reader. */
#define KM_DECISION_LINE_MAX ((size_t)32 << 20)

enum km_decision_line_kind {
	KM_LINE_SETTINGS,
	KM_LINE_SCHEMA,
	KM_LINE_NODES,
	KM_LINE_ROW,
	KM_LINE_DECISION,
	KM_LINE_KIND_N,
};

enum km_decision_call { KM_DECISION_FILTER, KM_DECISION_PRIORITIZE, KM_DECISION_CALL_N };

struct km_logged_row {
	uint32_t node;
	uint64_t version;      /* > 0; another one of the same node means other values */
	int64_t window_end_ns; /* monotonic, of the newest bin in it; 0 = not known */
	enum km_tier tier;
	size_t count;
	const double *value; /* [count], NaN = not measured */
};

/* All texts and arrays are borrowed when written, in the arena when read. */
struct km_logged_decision {
	uint64_t id;
	enum km_decision_call call;
	int64_t wall_ns;
	int64_t at_ns; /* monotonic, of the process that decided */
	struct km_pod pod;
	struct km_workload workload;
	const char *workload_from;
	struct km_name policy; /* "namespace/name"; len 0 = none */
	uint64_t service;      /* equal = replicas of one service; 0 = of none */
	double pod_rps;        /* requests/s of this one pod; NaN = not known */
	uint64_t model_hash;   /* 0 = no model */
	size_t count;
	const int64_t *node;        /* [count], position in the nodes; -1 = not one of them */
	const struct km_name *name; /* [count], of those that are not; else unused */
	const int64_t *age_us;      /* [count], of the data; -1 = never measured */
	const int32_t *score;       /* [count], as answered */
	const bool *rejected;       /* [count], /filter's answer; NULL = none was */
};

/*
 * Each appends one line, with its newline. schema: the features that are measured, in the order of
 * `value` of the rows (scopes before KM_SCOPE_POD).
 */
void km_decision_line_settings(struct km_buf *out, const struct km_decide_settings *s,
                               int64_t wall_ns);
void km_decision_line_schema(struct km_buf *out, const struct km_schema *schema);
void km_decision_line_nodes(struct km_buf *out, const struct km_name *name, size_t count);
void km_decision_line_row(struct km_buf *out, const struct km_logged_row *row);
void km_decision_line_decision(struct km_buf *out, const struct km_logged_decision *d);

/* What a line says; the member of its kind is filled. */
struct km_decision_line {
	enum km_decision_line_kind kind;
	struct km_decide_settings settings; /* default_workload and paths are not in the log */
	double window_s;
	double bin_s;
	size_t count;               /* schema: features; nodes: names */
	const char *const *feature; /* [count] */
	const struct km_name *name; /* [count] */
	struct km_logged_row row;
	struct km_logged_decision decision;
};

/*
 * Reads one line. What it does not know of, kinds included, is refused: a log is as old as its
 * program. returns 0; -EINVAL with the member, what was seen and what is wanted; -ENOMEM. Texts and
 * arrays live in the arena.
 */
int km_decision_line_read(const char *text, size_t len, struct km_arena *arena,
                          struct km_decision_line *out, struct km_err *err) KM_MUST_CHECK;

#endif

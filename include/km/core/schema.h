/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feature names and the ordered list of them that a model was trained on.
 *
 *   scope.metric.stat     node.ipc.mean   node_min.ipc.p5   node_vs_peer.c0_ratio.mean
 *   pod.<input>           pod.rps   pod.replicas   pod.rps_now   pod.replicas_now
 *   inflight.<class>      other pods on their way to the node that counters do not show yet
 *
 * A schema is immutable after creation; any thread may read it.
 */
#ifndef KM_CORE_SCHEMA_H
#define KM_CORE_SCHEMA_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/core/metric.h"

#define KM_FEATURE_NAME_MAX 64
#define KM_FEATURES_MAX     1024
#define KM_CLASSES_MAX      16
#define KM_CLASS_NAME_MAX   32
#define KM_WINDOW_BINS_MAX  1200 /* window_s / bin_s: a model file may not ask for gigabytes */

enum km_scope {
	KM_SCOPE_NODE,         /* the Kubernetes node's own CPUs */
	KM_SCOPE_NODE_MIN,     /* the lowest of its CPUs, each CPU's statistic taken first */
	KM_SCOPE_NODE_MAX,     /* the highest of them */
	KM_SCOPE_NODE_SPREAD,  /* highest minus lowest */
	KM_SCOPE_REST,         /* the host's other CPUs */
	KM_SCOPE_PEER,         /* those of other Kubernetes nodes on this host */
	KM_SCOPE_SPARE,        /* those of no Kubernetes node */
	KM_SCOPE_NODE_VS_PEER, /* ln(node / peer) of the same statistic */
	KM_SCOPE_NODE_VS_REST,
	KM_SCOPE_NODE_VS_SPARE,
	KM_SCOPE_HOST, /* all CPUs, or the memory controller / system where the metric is theirs */
	KM_SCOPE_POD,  /* not measured: what the decision brings along */
	KM_SCOPE_INFLIGHT,
	KM_SCOPE_N,
};

enum km_stat { KM_STAT_MEAN, KM_STAT_STD, KM_STAT_P95, KM_STAT_P5, KM_STAT_MAX, KM_STAT_N };

enum km_pod_input {
	KM_POD_RPS,      /* requests/s the node carries for the service with the pod there */
	KM_POD_REPLICAS, /* replicas of the service on the node with the pod there */
	KM_POD_RPS_NOW,  /* what it carries before */
	KM_POD_REPLICAS_NOW,
	KM_POD_INPUT_N,
};

struct km_feature {
	char name[KM_FEATURE_NAME_MAX];
	enum km_scope scope;
	enum km_metric metric;   /* scopes before KM_SCOPE_POD */
	enum km_stat stat;       /* scopes before KM_SCOPE_POD */
	enum km_pod_input input; /* KM_SCOPE_POD */
	uint32_t class_index;    /* KM_SCOPE_INFLIGHT: into the schema's classes */
};

struct km_schema {
	_Atomic uint32_t refs;
	uint32_t count;
	uint32_t class_count;
	double window_s;
	double bin_s;
	enum km_tier tier; /* what a host must have */
	uint64_t hash;     /* of names, window and bin: equal hash = same meaning of a row */
	char (*classes)[KM_CLASS_NAME_MAX];
	struct km_feature feature[]; /* [count] */
};

/*
 * Parses one name by the grammar above; `inflight.` classes are taken as they come (class_index 0).
 * returns 0, or -EINVAL with the part that is wrong and what is known there.
 */
int km_feature_parse(const char *name, struct km_feature *out, struct km_err *err) KM_MUST_CHECK;

const char *km_scope_name(enum km_scope s);
const char *km_stat_name(enum km_stat s);
const char *km_pod_input_name(enum km_pod_input p);

/*
 * Builds a schema of `count` names in the given order. The tier is derived: uncore when a
 * bandwidth metric is among them, core for other counters, os for OS metrics only, none for none.
 * window_s in [1, 3600], bin_s in [0.1, window_s], at most KM_WINDOW_BINS_MAX bins in a window.
 * returns 0 and an owned reference in *out; -EINVAL (unknown or doubled name, bad range), -E2BIG,
 * -ENOMEM.
 */
int km_schema_create(const char *const *names, size_t count, double window_s, double bin_s,
                     struct km_schema **out, struct km_err *err) KM_MUST_CHECK;

struct km_schema *km_schema_ref(const struct km_schema *s); /* returns s with one more reference */
void km_schema_unref(const struct km_schema *s);            /* NULL allowed */

#endif

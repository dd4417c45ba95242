/* SPDX-License-Identifier: Apache-2.0 */
/*
 * InterferencePolicy as plain data: which pods it is about (a label selector), and what it asks for
 * them. From the API server or from a file, the same here. A set is immutable after creation and
 * reference-counted; any thread may read it.
 */
#ifndef KM_CORE_POLICY_H
#define KM_CORE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/core/name.h"
#include "km/core/pod.h"
#include "km/core/workload.h"

#define KM_POLICIES_MAX          1024
#define KM_POLICY_NAMESPACE_MAX  64  /* a DNS label, and its end */
#define KM_POLICY_NAME_MAX       254 /* a DNS subdomain, and its end */
#define KM_POLICY_PATH_MAX       (KM_POLICY_NAMESPACE_MAX + KM_POLICY_NAME_MAX)
#define KM_POLICY_QUERY_MAX      1024 /* characters of a query */
#define KM_SELECTOR_TERMS_MAX    64
#define KM_SELECTOR_VALUES_MAX   64
#define KM_POLICY_FOOTPRINTS_MAX 8

enum km_selector_op {
	KM_SELECTOR_IN,
	KM_SELECTOR_NOT_IN, /* true of pods without the label, as in Kubernetes */
	KM_SELECTOR_EXISTS,
	KM_SELECTOR_NOT_EXISTS,
	KM_SELECTOR_OP_N,
};

/* One requirement; all of a selector's must hold. matchLabels are IN with one value. */
struct km_selector_term {
	char *key;
	enum km_selector_op op;
	char **value; /* [value_count] */
	size_t value_count;
};

/* A quantity of a declared footprint: its name as place/footprint.h has it. */
struct km_policy_footprint {
	char quantity[24];
	double per_s;
};

/* What its pods' clients see, to be compared with what was predicted. */
struct km_policy_kpi {
	char *latency_query;  /* PromQL, in seconds; NULL = no kpi */
	char *baseline_query; /* the same alone, in seconds; NULL = baseline_s says it */
	double baseline_s;    /* NaN = baseline_query says it */
};

/* Whether, when and how often a pod of it may be moved by eviction. */
struct km_policy_rebalance {
	bool enabled;
	bool dry_run;          /* Events only; true unless said otherwise */
	double min_gain_ratio; /* 1 - slowdown there / slowdown here, at least */
	int64_t cooldown_ns;   /* between two evictions of the policy */
	uint32_t max_evictions_per_hour;
};

/* Everything it points to belongs to it. */
struct km_policy {
	char namespace[KM_POLICY_NAMESPACE_MAX];
	char name[KM_POLICY_NAME_MAX];
	struct km_selector_term *term; /* [term_count]; none: every pod of the namespace */
	size_t term_count;
	enum km_mode mode;
	double max_slowdown; /* NaN = not said */
	double rps;          /* of the whole service, requests/s; NaN = not said */
	char *rps_query;     /* PromQL, in requests/s; NULL = none. Only of trusted namespaces */
	char class_name[KM_CLASS_NAME_MAX];
	bool on_stale_given;
	enum km_on_stale on_stale;
	double weight; /* of its pods among the incumbents of a node; 1 unless said */
	struct km_policy_footprint footprint[KM_POLICY_FOOTPRINTS_MAX];
	size_t footprint_count;
	struct km_policy_kpi kpi; /* only of trusted namespaces */
	struct km_policy_rebalance rebalance;
	bool trusted; /* its namespace is: incumbents are protected, queries are asked */
};

#define KM_POLICY_MIN_GAIN_RATIO 0.15
#define KM_POLICY_COOLDOWN_NS    INT64_C(600000000000)
#define KM_POLICY_PER_HOUR       6

void km_policy_init(struct km_policy *p); /* what the CRD's defaults say: Observe, weight 1, .. */
/* All of it anew. returns 0, or -ENOMEM: *out is zeroed. */
int km_policy_copy(struct km_policy *out, const struct km_policy *in) KM_MUST_CHECK;
void km_policy_fini(struct km_policy *p); /* frees what it points to and zeroes it */

/* Never 0; equal for equal namespace and name. */
uint64_t km_policy_key(const char *namespace, const char *name);

/* "namespace/name" into out [KM_POLICY_PATH_MAX]. returns out. */
char *km_policy_path(const struct km_policy *p, char *out);

const char *km_selector_op_name(enum km_selector_op op); /* "In", "NotIn", "Exists", ... */
int km_selector_op_parse(const char *text);              /* -1 when unknown */

/* Does the policy's selector match the pod? Namespaces are compared first. */
bool km_policy_matches(const struct km_policy *p, const struct km_pod *pod);

struct km_policies;

/*
 * Takes policy [count], also on error (then freed); the array itself stays the caller's.
 * returns 0 and an owned reference; -EEXIST (a namespace and name twice), -E2BIG, -ENOMEM.
 */
int km_policies_create(struct km_policy *policy, size_t count, struct km_policies **out,
                       struct km_err *err) KM_MUST_CHECK;
struct km_policies *km_policies_ref(struct km_policies *p);
void km_policies_unref(struct km_policies *p); /* NULL allowed */

size_t km_policies_count(const struct km_policies *p); /* NULL: 0 */
const struct km_policy *km_policies_at(const struct km_policies *p, size_t i);

/*
 * The one policy that holds for a pod, or NULL: of those that match, the one whose selector has
 * most requirements, then the one whose name comes first. *other (NULL allowed): the next of them,
 * which lost; NULL when there was no choice. Borrowed. Cost: the policies of one namespace.
 */
const struct km_policy *km_policies_match(const struct km_policies *p, const struct km_pod *pod,
                                          const struct km_policy **other);

const struct km_policy *km_policies_find(const struct km_policies *p, uint64_t key); /* or NULL */

/*
 * Two policies of one namespace with the same requirements match the same pods, always: the later
 * name is dead. Fills pairs [max] of positions, winner first. returns how many there are.
 */
size_t km_policies_conflicts(const struct km_policies *p, size_t (*pair)[2], size_t max);

/*
 * The workload of a pod: its policy's word (NULL = none), then its annotations, then base. `ready`
 * is how many ready pods the policy's service has: its rps is shared out over them, and NaN (not
 * known) leaves it whole. What a policy demands is bounded like a pod's own demand. A policy sets
 * the mode; without one it is base's.
 */
void km_policy_workload(const struct km_policy *p, const struct km_pod *pod,
                        const struct km_workload *base, double min_max_slowdown, double ready,
                        struct km_workload *out);

#endif

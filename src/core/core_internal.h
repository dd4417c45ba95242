/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside core: the open bin and how metrics are derived from a closed one. feature.c owns both and
 * keeps what comes out in rings.
 */
#ifndef KM_CORE_INTERNAL_H
#define KM_CORE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "km/base/cpuset.h"
#include "km/base/macros.h"
#include "km/core/metric.h"
#include "km/core/readings.h"
#include "km/core/ring.h"
#include "km/core/sample.h"
#include "km/core/schema.h"

/* Levels are averaged over time; every other count of a host is summed. */
extern const bool km_host_is_level[KM_HOST_COUNT_N];

/* A list of logical CPUs, ascending, each below the host's cpu_count. */
struct km_cpu_list {
	uint16_t *cpu;
	uint32_t count;
};

/*
 * Samples merged into one. While open, `sum` grows; km_bin_settle turns it into what the whole bin
 * counted, NaN where too little of it was measured.
 */
struct km_bin {
	uint32_t cpu_count, node_count;
	uint32_t sample_count;
	int64_t start_ns, end_ns; /* source time */
	double elapsed_ns;        /* measured time: without gaps between samples */
	double last_sample_ns;
	double *sum;         /* [cpu_count][KM_COUNT_CPU_N] */
	double *measured_ns; /* same shape: how long each count was measured */
	double *node_sum;    /* [node_count][KM_NODE_COUNT_N] */
	double *node_measured_ns;
	double host_sum[KM_HOST_COUNT_N];
	double host_measured_ns[KM_HOST_COUNT_N];
};

/* Which kinds of metric a bin holds; or-ed over the window they give the tier. */
enum km_bin_kind { KM_BIN_CORE = 1, KM_BIN_BANDWIDTH = 2, KM_BIN_OS = 4 };

int km_bin_init(struct km_bin *b, uint32_t cpu_count, uint32_t node_count) KM_MUST_CHECK;
void km_bin_fini(struct km_bin *b);
void km_bin_clear(struct km_bin *b);

/* The sample must be plausible and have at most b->cpu_count CPUs. */
void km_bin_add(struct km_bin *b, const struct km_sample *s);

/* Is it as long as bins of bin_s should be? */
bool km_bin_full(const struct km_bin *b, double bin_s);

void km_bin_settle(struct km_bin *b);

/* Of a settled bin; node_cpus [b->node_count]. returns one reference, NULL without memory. */
struct km_readings *km_bin_readings(const struct km_bin *b, const struct km_cpuset *node_cpus);
unsigned km_bin_kinds(const struct km_bin *b);

#define KM_NO_NODE UINT32_MAX

/* What a metric is asked of: CPUs, and the node they are, if they are one. */
struct km_subject {
	struct km_cpu_list cpus;
	uint32_t node; /* KM_NO_NODE: none, and pressure is the host's */
	bool is_host;  /* all CPUs there are */
};

/*
 * The metric of a subject in a settled bin (its CPUs are ignored for metrics of host and nodes).
 * returns NaN when not measured; *implausible is set, and NaN returned, outside the bounds.
 */
double km_bin_metric(const struct km_bin *b, const struct km_subject *of, enum km_metric m,
                     bool *implausible);

/*
 * Which CPU sets the schema's scopes read. Kinds coincide on many hosts (one-CPU nodes, no spare
 * CPUs): such sets are kept once.
 */
enum km_set_kind {
	KM_SET_HOST,  /* all CPUs */
	KM_SET_SPARE, /* those of no node */
	KM_SET_NODE,
	KM_SET_REST,
	KM_SET_PEER,
	KM_SET_CPU, /* one CPU of a node */
	KM_SET_KIND_N,
};

#define KM_SET_NONE UINT32_MAX

/* One CPU set and the rings of the metrics read of it. */
struct km_set {
	struct km_subject of;
	uint32_t metrics; /* bit per enum km_metric */
	uint32_t first;   /* its rings: [first, first + bits set) in order of the metric */
};

struct km_layout {
	uint32_t cpu_count;
	uint32_t set_count;
	uint32_t ring_count;
	struct km_set *set;   /* [set_count], each with at least one CPU, but that of the host */
	uint32_t *node_set;   /* [node_count][KM_SET_KIND_N]; KM_SET_NONE = no such CPUs */
	uint32_t *cpu_set;    /* [cpu_count]: the set of that CPU alone, or KM_SET_NONE */
	uint16_t *cpu_pool;   /* memory of all lists */
	struct km_ring *ring; /* [ring_count] */
	double *ring_pool;    /* memory of all rings: there are tens of thousands of short ones */
};

/* One kind of set per scope; `versus` is the divisor of the node_vs_* scopes. */
struct km_scope_sets {
	enum km_set_kind kind, versus;
	bool has_versus;
};
const struct km_scope_sets *km_scope_sets(enum km_scope s);

/*
 * Lays out sets and rings for a host of cpu_count CPUs. Zeroed memory in `l`.
 * returns 0 or -ENOMEM (l is then empty).
 */
int km_layout_init(struct km_layout *l, const struct km_schema *schema, uint32_t ring_cap,
                   const struct km_cpuset *node_cpus, size_t node_count,
                   uint32_t cpu_count) KM_MUST_CHECK;
void km_layout_fini(struct km_layout *l);

/* The ring of a metric of a set, NULL when the set does not exist. */
const struct km_ring *km_layout_ring(const struct km_layout *l, uint32_t set, enum km_metric m);

#endif

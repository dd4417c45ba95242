/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary of measurement: what a source may count, what is derived from it, and which tier
 * a host is in. A metric means the same number whichever source it comes from; the table of which
 * source gives which is in docs/COUNTERS.md.
 */
#ifndef KM_CORE_METRIC_H
#define KM_CORE_METRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Raw, additive quantities of one logical CPU over one sample. Everything here can be summed over
 * time and over CPUs; ratios and rates are derived in core/feature.c and nowhere else.
 */
enum km_count {
	KM_COUNT_INSTRUCTIONS, /* retired */
	KM_COUNT_CYCLES,       /* unhalted core cycles */
	KM_COUNT_IPC_NS, /* ipc x weight, for sources that give IPC but no cycles (PCM's CSV) */
	KM_COUNT_IPC_WEIGHT_NS, /* the weight: C0 time, or elapsed time where C0 is unknown */
	KM_COUNT_L2_MISS,
	KM_COUNT_L3_MISS,
	KM_COUNT_C0_NS, /* residency: reference cycles / invariant TSC x elapsed */
	KM_COUNT_C1_NS,
	KM_COUNT_C6_NS,
	KM_COUNT_BUSY_NS,  /* OS accounting: not idle, from /proc/stat; not C0 */
	KM_COUNT_STEAL_NS, /* taken by the hypervisor */
	KM_COUNT_CONTEXT_SWITCHES,
	KM_COUNT_CPU_N,
};

/* Raw quantities of a host (socket, memory controller, whole system) over one sample. */
enum km_host_count {
	KM_HOST_MEM_READ_BYTES,
	KM_HOST_MEM_WRITE_BYTES,
	KM_HOST_L3_OCCUPANCY_BYTES, /* a level, not a sum: the sample's mean */
	KM_HOST_MBM_TOTAL_BYTES, /* L3 with memory as RDT counts it: no telling of reads and writes
	                          */
	KM_HOST_MBM_LOCAL_BYTES, /* the part with the memory of the own socket */
	KM_HOST_CPU_PSI_NS,      /* "some" stall time, system-wide */
	KM_HOST_MEMORY_PSI_NS,
	KM_HOST_IO_PSI_NS,
	KM_HOST_RUNNABLE,         /* a level */
	KM_HOST_CONTEXT_SWITCHES, /* of all CPUs, where they are not counted apart */
	KM_HOST_COUNT_N,
};

/* Raw quantities of one Kubernetes node as such, by its control group, over one sample. */
enum km_node_count {
	KM_NODE_CPU_PSI_NS, /* "some" stall time of the group's tasks */
	KM_NODE_MEMORY_PSI_NS,
	KM_NODE_IO_PSI_NS,
	KM_NODE_THROTTLED_NS, /* held back by the group's own CPU quota, summed over CPUs */
	KM_NODE_COUNT_N,
};

/* Derived metrics; the unit is in the name (km_metric_name). */
enum km_metric {
	KM_METRIC_IPC,
	KM_METRIC_L2_MPKI,
	KM_METRIC_L3_MPKI,
	KM_METRIC_L3_PER_L2,
	KM_METRIC_L2_MISS_PER_S,
	KM_METRIC_L3_MISS_PER_S,
	KM_METRIC_INSTRUCTIONS_PER_S,
	KM_METRIC_C0_RATIO,
	KM_METRIC_C1_RATIO,
	KM_METRIC_C6_RATIO,
	KM_METRIC_MEM_READ_BYTES_PER_S,
	KM_METRIC_MEM_WRITE_BYTES_PER_S,
	KM_METRIC_L3_OCCUPANCY_BYTES,
	KM_METRIC_MBM_TOTAL_BYTES_PER_S,
	KM_METRIC_MBM_LOCAL_BYTES_PER_S,
	KM_METRIC_L2_MISS_PER_ACTIVE_S,
	KM_METRIC_L3_MISS_PER_ACTIVE_S,
	KM_METRIC_WORK_RATIO,
	KM_METRIC_CPU_PSI_RATIO,
	KM_METRIC_MEMORY_PSI_RATIO,
	KM_METRIC_IO_PSI_RATIO,
	KM_METRIC_BUSY_RATIO,
	KM_METRIC_STEAL_RATIO,
	KM_METRIC_THROTTLED_RATIO,
	KM_METRIC_RUNNABLE_PER_CPU,
	KM_METRIC_CONTEXT_SWITCHES_PER_S,
	KM_METRIC_N,
};

/* What a metric is said of, which decides the scopes it exists in. */
enum km_metric_of {
	KM_OF_CPUS,     /* any set of CPUs: every scope */
	KM_OF_HOST,     /* the whole host: scope host */
	KM_OF_PRESSURE, /* the host, and a node by its control group: scopes host and node */
	KM_OF_NODE,     /* a node by its control group: scope node */
};

struct km_metric_info {
	const char *name; /* as in feature names: "l2_miss_per_s" */
	const char *unit; /* as people read it: "misses/s"; "" for a ratio */
	const char *help; /* one sentence */
	enum km_metric_of of;
	double min, max; /* a bin outside is implausible: dropped and counted */
};

/* Static storage; index by enum km_metric. */
const struct km_metric_info *km_metric_info(enum km_metric m);

/* returns the metric, or -1 when `name` (len bytes) is none. */
int km_metric_parse(const char *name, size_t len);

/* What a host can measure, best first. A model states the tier it needs. */
enum km_tier {
	KM_TIER_UNCORE, /* core counters and memory bandwidth */
	KM_TIER_CORE,   /* core counters */
	KM_TIER_OS,     /* PSI, steal, throttling: no PMU */
	KM_TIER_NONE,   /* nothing: answers are neutral */
	KM_TIER_N,
};

const char *km_tier_name(enum km_tier t); /* "uncore", "core", "os", "none" */
int km_tier_parse(const char *name);      /* -1 when unknown */

/* true when a host of tier `have` gives everything a model of tier `need` reads. */
bool km_tier_suffices(enum km_tier have, enum km_tier need);

#endif

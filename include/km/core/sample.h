/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a source delivers: raw quantities per logical CPU and per host since its previous sample,
 * with the source's own timestamps. NaN = not measured. Rates are nobody's business here.
 */
#ifndef KM_CORE_SAMPLE_H
#define KM_CORE_SAMPLE_H

#include <stdint.h>

#include "km/base/macros.h"
#include "km/core/metric.h"

struct km_sample {
	int64_t start_ns; /* source time (trace time for a replay), any epoch, increasing */
	int64_t end_ns;   /* > start_ns */
	uint32_t cpu_count;
	const double *cpu; /* [cpu_count][KM_COUNT_CPU_N], row i = logical CPU i; borrowed */
	double host[KM_HOST_COUNT_N];
	uint32_t node_count; /* 0: nothing of nodes as such */
	const double *node; /* [node_count][KM_NODE_COUNT_N], the host's nodes in order; borrowed */
};

/*
 * Memory to build a sample in. A zeroed one is empty; `cpu` and `node` are what the sample points
 * at, writable. Belongs to its user; km_sample_space_fini frees.
 */
struct km_sample_space {
	struct km_sample sample;
	double *cpu, *node;
	uint32_t cpu_cap, node_cap;
};

/*
 * Room for cpu_count CPUs and no nodes, every count NaN, times 0.
 * returns 0, or -ENOMEM (as it was then).
 */
int km_sample_space_reset(struct km_sample_space *sp, uint32_t cpu_count) KM_MUST_CHECK;

/* After a reset: room for node_count nodes too, NaN. The same returns. */
int km_sample_space_nodes(struct km_sample_space *sp, uint32_t node_count) KM_MUST_CHECK;
void km_sample_space_fini(struct km_sample_space *sp);

/* The value of one count of one CPU. */
static inline double km_sample_cpu(const struct km_sample *s, uint32_t cpu, enum km_count c)
{
	return s->cpu[(size_t)cpu * KM_COUNT_CPU_N + (size_t)c];
}

/*
 * Is the sample possible at all? Not if time does not advance, a count is negative or infinite,
 * IPC is outside [0, 16], a residency or busy share exceeds the elapsed time by more than 2 %
 * (rounding). NaN is fine: it is absence.
 * returns NULL when plausible, else a static reason ("negative count", "ipc out of range", ...).
 */
const char *km_sample_implausible(const struct km_sample *s);

#endif

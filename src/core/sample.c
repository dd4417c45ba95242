/* SPDX-License-Identifier: Apache-2.0 */
/* Samples: memory for one, and whether it is possible at all. Bounds are physical. */
#include "km/core/sample.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core_internal.h"

#define IPC_MAX 16.0
/* Residencies are printed with two decimals and the interval is itself measured. */
#define SHARE_SLACK 1.02
/* No CPU retires or misses 1e11 a second; no memory system moves 1e13 bytes. */
#define CPU_COUNT_PER_S_MAX  1e11
#define HOST_BYTES_PER_S_MAX 1e13
#define HOST_LEVEL_MAX       1e15
/* The year 2116; differences of two such times cannot overflow. */
#define TIME_NS_MAX (INT64_C(1) << 62)

enum check { CHECK_RATE, CHECK_SHARE, CHECK_WEIGHTED };

static const enum check cpu_check[KM_COUNT_CPU_N] = {
	[KM_COUNT_INSTRUCTIONS] = CHECK_RATE, [KM_COUNT_CYCLES] = CHECK_RATE,
	[KM_COUNT_IPC_NS] = CHECK_WEIGHTED,   [KM_COUNT_IPC_WEIGHT_NS] = CHECK_SHARE,
	[KM_COUNT_L2_MISS] = CHECK_RATE,      [KM_COUNT_L3_MISS] = CHECK_RATE,
	[KM_COUNT_C0_NS] = CHECK_SHARE,       [KM_COUNT_C1_NS] = CHECK_SHARE,
	[KM_COUNT_C6_NS] = CHECK_SHARE,       [KM_COUNT_BUSY_NS] = CHECK_SHARE,
	[KM_COUNT_STEAL_NS] = CHECK_SHARE,    [KM_COUNT_CONTEXT_SWITCHES] = CHECK_RATE,
};

static const struct {
	double per_s_max; /* 0: a level, bounded by HOST_LEVEL_MAX */
	const char *reason;
} host_check[KM_HOST_COUNT_N] = {
	[KM_HOST_MEM_READ_BYTES] = { HOST_BYTES_PER_S_MAX, "memory bandwidth out of range" },
	[KM_HOST_MEM_WRITE_BYTES] = { HOST_BYTES_PER_S_MAX, "memory bandwidth out of range" },
	[KM_HOST_L3_OCCUPANCY_BYTES] = { 0, "cache occupancy out of range" },
	[KM_HOST_MBM_TOTAL_BYTES] = { HOST_BYTES_PER_S_MAX, "memory bandwidth out of range" },
	[KM_HOST_MBM_LOCAL_BYTES] = { HOST_BYTES_PER_S_MAX, "memory bandwidth out of range" },
	[KM_HOST_CPU_PSI_NS] = { SHARE_SLACK * 1e9, "stall time beyond elapsed time" },
	[KM_HOST_MEMORY_PSI_NS] = { SHARE_SLACK * 1e9, "stall time beyond elapsed time" },
	[KM_HOST_IO_PSI_NS] = { SHARE_SLACK * 1e9, "stall time beyond elapsed time" },
	[KM_HOST_RUNNABLE] = { 0, "runnable tasks out of range" },
	[KM_HOST_CONTEXT_SWITCHES] = { KM_CPU_MAX * CPU_COUNT_PER_S_MAX,
	                               "context switches out of range" },
};

static const double node_per_s_max[KM_NODE_COUNT_N] = {
	[KM_NODE_CPU_PSI_NS] = SHARE_SLACK * 1e9,
	[KM_NODE_MEMORY_PSI_NS] = SHARE_SLACK * 1e9,
	[KM_NODE_IO_PSI_NS] = SHARE_SLACK * 1e9,
	[KM_NODE_THROTTLED_NS] = KM_CPU_MAX * 1e9,
};

static const char *check_nodes(const struct km_sample *s, double elapsed_s)
{
	size_t values = (size_t)s->node_count * KM_NODE_COUNT_N;

	for (size_t i = 0; i < values; i++) {
		if (s->node[i] < 0) {
			return "negative count";
		}
		if (s->node[i] > node_per_s_max[i % KM_NODE_COUNT_N] * elapsed_s) {
			return "stall time of a node beyond elapsed time";
		}
	}
	return NULL;
}

static const char *check_cpu(const double *count, double elapsed_ns)
{
	double instructions = count[KM_COUNT_INSTRUCTIONS];
	double cycles = count[KM_COUNT_CYCLES];

	for (size_t c = 0; c < KM_COUNT_CPU_N; c++) {
		double v = count[c];

		/* comparisons with NaN are false: absence passes */
		if (v < 0) {
			return "negative count";
		}
		if (isinf(v)) {
			return "infinite count";
		}
		if (cpu_check[c] == CHECK_SHARE && v > SHARE_SLACK * elapsed_ns) {
			return "residency beyond elapsed time";
		}
		if (cpu_check[c] == CHECK_RATE && v > CPU_COUNT_PER_S_MAX * (elapsed_ns * 1e-9)) {
			return "count out of range";
		}
	}
	if (count[KM_COUNT_IPC_NS] > IPC_MAX * count[KM_COUNT_IPC_WEIGHT_NS] ||
	    instructions > IPC_MAX * cycles) {
		return "ipc out of range";
	}
	return NULL;
}

const char *km_sample_implausible(const struct km_sample *s)
{
	double elapsed_ns;

	if (s->start_ns <= -TIME_NS_MAX || s->end_ns >= TIME_NS_MAX) {
		return "time out of range";
	}
	if (s->end_ns <= s->start_ns) {
		return "time does not advance";
	}
	elapsed_ns = (double)(s->end_ns - s->start_ns);
	for (size_t h = 0; h < KM_HOST_COUNT_N; h++) {
		double max = host_check[h].per_s_max;

		if (s->host[h] < 0) {
			return "negative count";
		}
		if (s->host[h] > (max > 0 ? max * (elapsed_ns * 1e-9) : HOST_LEVEL_MAX)) {
			return host_check[h].reason;
		}
	}
	for (uint32_t cpu = 0; cpu < s->cpu_count; cpu++) {
		const char *why = check_cpu(s->cpu + (size_t)cpu * KM_COUNT_CPU_N, elapsed_ns);

		if (why != NULL) {
			return why;
		}
	}
	return check_nodes(s, elapsed_ns * 1e-9);
}

int km_sample_space_reset(struct km_sample_space *sp, uint32_t cpu_count)
{
	size_t values = (size_t)cpu_count * KM_COUNT_CPU_N;

	if (cpu_count > sp->cpu_cap) {
		double *grown = reallocarray(sp->cpu, values, sizeof(sp->cpu[0]));

		if (grown == NULL) {
			return -ENOMEM;
		}
		sp->cpu = grown;
		sp->cpu_cap = cpu_count;
	}
	for (size_t i = 0; i < values; i++) {
		sp->cpu[i] = NAN;
	}
	for (size_t h = 0; h < KM_HOST_COUNT_N; h++) {
		sp->sample.host[h] = NAN;
	}
	sp->sample.start_ns = 0;
	sp->sample.end_ns = 0;
	sp->sample.cpu_count = cpu_count;
	sp->sample.cpu = sp->cpu;
	sp->sample.node_count = 0;
	sp->sample.node = NULL;
	return 0;
}

int km_sample_space_nodes(struct km_sample_space *sp, uint32_t node_count)
{
	size_t values = (size_t)node_count * KM_NODE_COUNT_N;

	if (node_count > sp->node_cap) {
		double *grown = reallocarray(sp->node, values, sizeof(sp->node[0]));

		if (grown == NULL) {
			return -ENOMEM;
		}
		sp->node = grown;
		sp->node_cap = node_count;
	}
	for (size_t i = 0; i < values; i++) {
		sp->node[i] = NAN;
	}
	sp->sample.node_count = node_count;
	sp->sample.node = sp->node;
	return 0;
}

void km_sample_space_fini(struct km_sample_space *sp)
{
	free(sp->cpu);
	free(sp->node);
	memset(sp, 0, sizeof(*sp));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts to metrics: the one table of formulae. Everything is per second or a ratio, never per
 * interval. A division by zero is "not known", not infinity.
 */
#include <math.h>

#include "core_internal.h"

enum form {
	FORM_RATE,     /* sum / elapsed */
	FORM_SWITCHES, /* the same; of the host by its own count where CPUs have none */
	FORM_SHARE,    /* sum / (elapsed x CPUs) */
	FORM_QUOTIENT, /* sum of one count / sum of another, over the CPUs that have both */
	FORM_IPC,
	FORM_WORK, /* IPC x C0 share */
	FORM_HOST_RATE,
	FORM_PRESSURE,   /* ns / elapsed ns: of the node by the second count, else the host's */
	FORM_NODE_SHARE, /* a node's ns / elapsed ns */
	FORM_HOST_LEVEL,
	FORM_HOST_PER_CPU,
};

static const struct {
	enum form form;
	int of; /* enum km_count; enum km_host_count for a host's, km_node_count for a node's */
	int by; /* FORM_QUOTIENT: divisor; FORM_PRESSURE: enum km_node_count */
	double scale;
} formula[KM_METRIC_N] = {
	[KM_METRIC_IPC] = { FORM_IPC, 0, 0, 1 },
	[KM_METRIC_L2_MPKI] = { FORM_QUOTIENT, KM_COUNT_L2_MISS, KM_COUNT_INSTRUCTIONS, 1e3 },
	[KM_METRIC_L3_MPKI] = { FORM_QUOTIENT, KM_COUNT_L3_MISS, KM_COUNT_INSTRUCTIONS, 1e3 },
	[KM_METRIC_L3_PER_L2] = { FORM_QUOTIENT, KM_COUNT_L3_MISS, KM_COUNT_L2_MISS, 1 },
	[KM_METRIC_L2_MISS_PER_S] = { FORM_RATE, KM_COUNT_L2_MISS, 0, 1 },
	[KM_METRIC_L3_MISS_PER_S] = { FORM_RATE, KM_COUNT_L3_MISS, 0, 1 },
	[KM_METRIC_INSTRUCTIONS_PER_S] = { FORM_RATE, KM_COUNT_INSTRUCTIONS, 0, 1 },
	[KM_METRIC_C0_RATIO] = { FORM_SHARE, KM_COUNT_C0_NS, 0, 1 },
	[KM_METRIC_C1_RATIO] = { FORM_SHARE, KM_COUNT_C1_NS, 0, 1 },
	[KM_METRIC_C6_RATIO] = { FORM_SHARE, KM_COUNT_C6_NS, 0, 1 },
	[KM_METRIC_MEM_READ_BYTES_PER_S] = { FORM_HOST_RATE, KM_HOST_MEM_READ_BYTES, 0, 1 },
	[KM_METRIC_MEM_WRITE_BYTES_PER_S] = { FORM_HOST_RATE, KM_HOST_MEM_WRITE_BYTES, 0, 1 },
	[KM_METRIC_L3_OCCUPANCY_BYTES] = { FORM_HOST_LEVEL, KM_HOST_L3_OCCUPANCY_BYTES, 0, 1 },
	[KM_METRIC_MBM_TOTAL_BYTES_PER_S] = { FORM_HOST_RATE, KM_HOST_MBM_TOTAL_BYTES, 0, 1 },
	[KM_METRIC_MBM_LOCAL_BYTES_PER_S] = { FORM_HOST_RATE, KM_HOST_MBM_LOCAL_BYTES, 0, 1 },
	[KM_METRIC_L2_MISS_PER_ACTIVE_S] = { FORM_QUOTIENT, KM_COUNT_L2_MISS, KM_COUNT_C0_NS, 1e9 },
	[KM_METRIC_L3_MISS_PER_ACTIVE_S] = { FORM_QUOTIENT, KM_COUNT_L3_MISS, KM_COUNT_C0_NS, 1e9 },
	[KM_METRIC_WORK_RATIO] = { FORM_WORK, 0, 0, 1 },
	[KM_METRIC_CPU_PSI_RATIO] = { FORM_PRESSURE, KM_HOST_CPU_PSI_NS, KM_NODE_CPU_PSI_NS, 1 },
	[KM_METRIC_MEMORY_PSI_RATIO] = { FORM_PRESSURE, KM_HOST_MEMORY_PSI_NS,
	                                 KM_NODE_MEMORY_PSI_NS, 1 },
	[KM_METRIC_IO_PSI_RATIO] = { FORM_PRESSURE, KM_HOST_IO_PSI_NS, KM_NODE_IO_PSI_NS, 1 },
	[KM_METRIC_BUSY_RATIO] = { FORM_SHARE, KM_COUNT_BUSY_NS, 0, 1 },
	[KM_METRIC_STEAL_RATIO] = { FORM_SHARE, KM_COUNT_STEAL_NS, 0, 1 },
	[KM_METRIC_THROTTLED_RATIO] = { FORM_NODE_SHARE, KM_NODE_THROTTLED_NS, 0, 1 },
	[KM_METRIC_RUNNABLE_PER_CPU] = { FORM_HOST_PER_CPU, KM_HOST_RUNNABLE, 0, 1 },
	[KM_METRIC_CONTEXT_SWITCHES_PER_S] = { FORM_SWITCHES, KM_COUNT_CONTEXT_SWITCHES, 0, 1 },
};

static const double *counts_of(const struct km_bin *b, const struct km_cpu_list *cpus, uint32_t i)
{
	return b->sum + (size_t)cpus->cpu[i] * KM_COUNT_CPU_N;
}

/*
 * Mean of one count over the CPUs that have it; at least half of the set must. A set's sum is this
 * times its size: a CPU that is not measured is taken to be like its neighbours, not idle.
 */
static double mean_per_cpu(const struct km_bin *b, const struct km_cpu_list *cpus, int count)
{
	double sum = 0;
	uint32_t known = 0;

	for (uint32_t i = 0; i < cpus->count; i++) {
		double v = counts_of(b, cpus, i)[count];

		if (!isnan(v)) {
			sum += v;
			known++;
		}
	}
	return known > 0 && 2 * known >= cpus->count ? sum / known : NAN;
}

static double quotient(const struct km_bin *b, const struct km_cpu_list *cpus, int of, int by)
{
	double above = 0;
	double below = 0;

	for (uint32_t i = 0; i < cpus->count; i++) {
		const double *v = counts_of(b, cpus, i);

		if (!isnan(v[of]) && !isnan(v[by])) {
			above += v[of];
			below += v[by];
		}
	}
	return below > 0 ? above / below : NAN;
}

/* By cycles where the source counts them, else weighted by C0 time: the same number if it could. */
static double ipc(const struct km_bin *b, const struct km_cpu_list *cpus)
{
	double v = quotient(b, cpus, KM_COUNT_INSTRUCTIONS, KM_COUNT_CYCLES);

	return isnan(v) ? quotient(b, cpus, KM_COUNT_IPC_NS, KM_COUNT_IPC_WEIGHT_NS) : v;
}

static double node_share(const struct km_bin *b, uint32_t node, int count)
{
	return node < b->node_count
	               ? b->node_sum[(size_t)node * KM_NODE_COUNT_N + (size_t)count] / b->elapsed_ns
	               : NAN;
}

static double switches_per_s(const struct km_bin *b, const struct km_subject *s)
{
	double sum = mean_per_cpu(b, &s->cpus, KM_COUNT_CONTEXT_SWITCHES) * s->cpus.count;

	if (isnan(sum) && s->is_host) {
		sum = b->host_sum[KM_HOST_CONTEXT_SWITCHES];
	}
	return sum / (b->elapsed_ns * 1e-9);
}

static double derive(const struct km_bin *b, const struct km_subject *subject, enum km_metric m)
{
	const struct km_cpu_list *cpus = &subject->cpus;
	int of = formula[m].of;
	double elapsed_s = b->elapsed_ns * 1e-9;

	switch (formula[m].form) {
	case FORM_RATE:
		return mean_per_cpu(b, cpus, of) * cpus->count / elapsed_s;
	case FORM_SWITCHES:
		return switches_per_s(b, subject);
	case FORM_SHARE:
		return mean_per_cpu(b, cpus, of) / b->elapsed_ns;
	case FORM_QUOTIENT:
		return quotient(b, cpus, of, formula[m].by) * formula[m].scale;
	case FORM_IPC:
		return ipc(b, cpus);
	case FORM_WORK:
		return ipc(b, cpus) * mean_per_cpu(b, cpus, KM_COUNT_C0_NS) / b->elapsed_ns;
	case FORM_HOST_RATE:
		return b->host_sum[of] / elapsed_s;
	case FORM_PRESSURE:
		return subject->node == KM_NO_NODE ? b->host_sum[of] / b->elapsed_ns
		                                   : node_share(b, subject->node, formula[m].by);
	case FORM_NODE_SHARE:
		return node_share(b, subject->node, of);
	case FORM_HOST_LEVEL:
		return b->host_sum[of];
	case FORM_HOST_PER_CPU:
		return b->cpu_count > 0 ? b->host_sum[of] / b->cpu_count : NAN;
	}
	return NAN;
}

double km_bin_metric(const struct km_bin *b, const struct km_subject *of, enum km_metric m,
                     bool *implausible)
{
	const struct km_metric_info *info = km_metric_info(m);
	double v = derive(b, of, m);

	*implausible = v < info->min || v > info->max;
	return *implausible ? NAN : v;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bins: samples merged to one length, because std, p95 and extremes depend on the sampling interval
 * (measured on real traces: a factor of 0.57-0.66 between 1 s and 5 s). A model trained at 5 s
 * may be served at 1 s because both are folded to the same bins here.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core_internal.h"

/* A count measured for less of the bin than this is not known. */
#define MEASURED_MIN_RATIO 0.5
/* A bin may fall short of bin_s by this, or by half a sample if that is less: clocks jitter. */
#define BIN_SHORT_RATIO 0.1

const bool km_host_is_level[KM_HOST_COUNT_N] = {
	[KM_HOST_L3_OCCUPANCY_BYTES] = true,
	[KM_HOST_RUNNABLE] = true,
};

/*
 * IPC carries its own weight, so it needs no minimum: a CPU that slept through most of the bin ran
 * no instructions then, and what it did run is all there was.
 */
static const bool carries_weight[KM_COUNT_CPU_N] = {
	[KM_COUNT_IPC_NS] = true,
	[KM_COUNT_IPC_WEIGHT_NS] = true,
};

int km_bin_init(struct km_bin *b, uint32_t cpu_count, uint32_t node_count)
{
	memset(b, 0, sizeof(*b));
	b->sum = calloc((size_t)cpu_count + 1, sizeof(double) * 2 * KM_COUNT_CPU_N);
	b->node_sum = calloc((size_t)node_count + 1, sizeof(double) * 2 * KM_NODE_COUNT_N);
	if (b->sum == NULL || b->node_sum == NULL) {
		km_bin_fini(b);
		return -ENOMEM;
	}
	b->node_measured_ns = b->node_sum + (size_t)node_count * KM_NODE_COUNT_N;
	b->node_count = node_count;
	b->measured_ns = b->sum + (size_t)cpu_count * KM_COUNT_CPU_N;
	b->cpu_count = cpu_count;
	return 0;
}

void km_bin_fini(struct km_bin *b)
{
	free(b->sum);
	free(b->node_sum);
	memset(b, 0, sizeof(*b));
}

void km_bin_clear(struct km_bin *b)
{
	size_t values = (size_t)b->cpu_count * KM_COUNT_CPU_N;

	memset(b->sum, 0, 2 * values * sizeof(double));
	memset(b->node_sum, 0,
	       (size_t)b->node_count * 2 * KM_NODE_COUNT_N * sizeof(b->node_sum[0]));
	memset(b->host_sum, 0, sizeof(b->host_sum));
	memset(b->host_measured_ns, 0, sizeof(b->host_measured_ns));
	b->sample_count = 0;
	b->elapsed_ns = 0;
}

/* Adds what is known of `values` counts. */
static void add_known(double *sum, double *measured_ns, const double *from, size_t values,
                      double elapsed_ns)
{
	for (size_t i = 0; i < values; i++) {
		bool known = !isnan(from[i]);

		sum[i] += known ? from[i] : 0;
		measured_ns[i] += known ? elapsed_ns : 0;
	}
}

void km_bin_add(struct km_bin *b, const struct km_sample *s)
{
	uint32_t nodes = s->node_count < b->node_count ? s->node_count : b->node_count;
	size_t values = (size_t)s->cpu_count * KM_COUNT_CPU_N;
	double elapsed_ns = (double)(s->end_ns - s->start_ns);

	add_known(b->sum, b->measured_ns, s->cpu, values, elapsed_ns);
	add_known(b->node_sum, b->node_measured_ns, s->node, (size_t)nodes * KM_NODE_COUNT_N,
	          elapsed_ns);
	for (size_t h = 0; h < KM_HOST_COUNT_N; h++) {
		double v = s->host[h];

		if (!isnan(v)) {
			b->host_sum[h] += km_host_is_level[h] ? v * elapsed_ns : v;
			b->host_measured_ns[h] += elapsed_ns;
		}
	}
	if (b->sample_count == 0) {
		b->start_ns = s->start_ns;
	}
	b->end_ns = s->end_ns;
	b->sample_count++;
	b->elapsed_ns += elapsed_ns;
	b->last_sample_ns = elapsed_ns;
}

bool km_bin_full(const struct km_bin *b, double bin_s)
{
	double bin_ns = bin_s * 1e9;
	double slack_ns = fmin(BIN_SHORT_RATIO * bin_ns, b->last_sample_ns / 2);

	return b->elapsed_ns >= bin_ns - slack_ns;
}

/* What the whole bin counted: NaN, or scaled up from the part of it that was measured. */
static double settle(double sum, double measured_ns, double elapsed_ns)
{
	if (measured_ns < MEASURED_MIN_RATIO * elapsed_ns) {
		return NAN;
	}
	return measured_ns < elapsed_ns ? sum * (elapsed_ns / measured_ns) : sum;
}

void km_bin_settle(struct km_bin *b)
{
	for (uint32_t cpu = 0; cpu < b->cpu_count; cpu++) {
		double *sum = b->sum + (size_t)cpu * KM_COUNT_CPU_N;
		const double *measured_ns = b->measured_ns + (size_t)cpu * KM_COUNT_CPU_N;

		for (size_t c = 0; c < KM_COUNT_CPU_N; c++) {
			if (!carries_weight[c]) {
				sum[c] = settle(sum[c], measured_ns[c], b->elapsed_ns);
			} else if (!(measured_ns[c] > 0)) {
				sum[c] = NAN;
			}
		}
	}
	for (size_t i = 0; i < (size_t)b->node_count * KM_NODE_COUNT_N; i++) {
		b->node_sum[i] = settle(b->node_sum[i], b->node_measured_ns[i], b->elapsed_ns);
	}
	for (size_t h = 0; h < KM_HOST_COUNT_N; h++) {
		double measured_ns = b->host_measured_ns[h];

		if (km_host_is_level[h]) {
			b->host_sum[h] = measured_ns < MEASURED_MIN_RATIO * b->elapsed_ns
			                         ? NAN
			                         : b->host_sum[h] / measured_ns;
		} else {
			b->host_sum[h] = settle(b->host_sum[h], measured_ns, b->elapsed_ns);
		}
	}
}

unsigned km_bin_kinds(const struct km_bin *b)
{
	unsigned kinds = 0;

	for (uint32_t cpu = 0; cpu < b->cpu_count; cpu++) {
		const double *v = b->sum + (size_t)cpu * KM_COUNT_CPU_N;

		if (!isnan(v[KM_COUNT_CYCLES]) || !isnan(v[KM_COUNT_IPC_NS]) ||
		    !isnan(v[KM_COUNT_L2_MISS]) || !isnan(v[KM_COUNT_L3_MISS])) {
			kinds |= KM_BIN_CORE;
		}
		/* C0 alone says how busy a CPU is, as the kernel does, not how well it gets on */
		if (!isnan(v[KM_COUNT_BUSY_NS]) || !isnan(v[KM_COUNT_STEAL_NS]) ||
		    !isnan(v[KM_COUNT_C0_NS])) {
			kinds |= KM_BIN_OS;
		}
	}
	if (!isnan(b->host_sum[KM_HOST_MEM_READ_BYTES]) ||
	    !isnan(b->host_sum[KM_HOST_MEM_WRITE_BYTES])) {
		kinds |= KM_BIN_BANDWIDTH;
	}
	for (size_t i = 0; i < (size_t)b->node_count * KM_NODE_COUNT_N; i++) {
		if (!isnan(b->node_sum[i])) {
			kinds |= KM_BIN_OS;
		}
	}
	if (!isnan(b->host_sum[KM_HOST_CPU_PSI_NS]) || !isnan(b->host_sum[KM_HOST_RUNNABLE])) {
		kinds |= KM_BIN_OS;
	}
	return kinds;
}

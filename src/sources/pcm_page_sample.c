/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two pages of pcm-sensor-server make a sample. Residencies are ratios to the TSC, as PCM has them;
 * what the page prints as 0 for want of a counter is not measured.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "pcm_page.h"

#define BIT(n) (UINT32_C(1) << (n))

/* A hair inside the bounds of core/sample.c: a sample over those would be dropped whole. */
#define SHARE_MAX        1.0199
#define IPC_MAX          16.0
#define CPU_PER_S_MAX    0.99e11
#define HOST_BYTES_S_MAX 0.99e13
#define LEVEL_MAX        1e15
/* The server read its counters when its clock says; ours is only to tell nonsense apart. */
#define CLOCK_FACTOR 10.0

#define MIB          0x1p20
#define KIB          0x1p10

/* The difference of two totals; NaN, and a fault, when it is none that can be. */
static double difference(double before, double after, double most, struct km_source_stats *stats)
{
	double v = after - before;

	if (v < 0 || v > most) {
		stats->fault[KM_FAULT_BACKWARDS]++;
		return NAN;
	}
	return v;
}

static double share(double ticks, double tsc, struct km_source_stats *stats)
{
	double v = tsc > 0 ? ticks / tsc : NAN;

	if (v > SHARE_MAX) {
		stats->fault[KM_FAULT_GARBLED]++;
		return NAN;
	}
	return v;
}

/* What C0 and the deeper states leave; a bit less than nothing is rounding. */
static double c1_share(double c0, double c6, double deep)
{
	double left = 1 - c0 - c6 - deep;

	if (left < 1 - SHARE_MAX) {
		return NAN;
	}
	return left < 0 ? 0 : left;
}

static void fill_cpu(const struct km_pcm_page *before, const struct km_pcm_page *after,
                     uint32_t cpu, double elapsed_ns, double *row, struct km_source_stats *stats)
{
	const double *was = before->total + (size_t)cpu * KM_PAGE_TOTAL_N;
	const double *is = after->total + (size_t)cpu * KM_PAGE_TOTAL_N;
	double most = CPU_PER_S_MAX * elapsed_ns * 1e-9;
	double d[KM_PAGE_TOTAL_N];
	double c0;
	double c6;

	/* the TSC stands still, or is not there, for a CPU that PCM holds for offline */
	if (!(is[KM_PAGE_TSC] > 0)) {
		stats->fault[KM_FAULT_VANISHED] += was[KM_PAGE_TSC] > 0;
		return;
	}
	if (!(was[KM_PAGE_TSC] > 0)) {
		return; /* the baseline */
	}
	for (int t = 0; t < KM_PAGE_TOTAL_N; t++) {
		bool known = t == KM_PAGE_C_DEEP || (after->measured[t] && before->measured[t]);

		d[t] = known ? difference(was[t], is[t], most, stats) : NAN;
	}
	if (d[KM_PAGE_INSTRUCTIONS] > IPC_MAX * d[KM_PAGE_CYCLES]) {
		stats->fault[KM_FAULT_GARBLED]++;
		d[KM_PAGE_INSTRUCTIONS] = NAN;
		d[KM_PAGE_CYCLES] = NAN;
	}
	c0 = share(d[KM_PAGE_REF_CYCLES], d[KM_PAGE_TSC], stats);
	c6 = share(d[KM_PAGE_C6], d[KM_PAGE_TSC], stats);
	row[KM_COUNT_INSTRUCTIONS] = d[KM_PAGE_INSTRUCTIONS];
	row[KM_COUNT_CYCLES] = d[KM_PAGE_CYCLES];
	row[KM_COUNT_L2_MISS] = d[KM_PAGE_L2_MISS];
	row[KM_COUNT_L3_MISS] = d[KM_PAGE_L3_MISS];
	row[KM_COUNT_C0_NS] = c0 * elapsed_ns;
	row[KM_COUNT_C6_NS] = c6 * elapsed_ns;
	row[KM_COUNT_C1_NS] =
		c1_share(c0, c6, share(d[KM_PAGE_C_DEEP], d[KM_PAGE_TSC], stats)) * elapsed_ns;
}

static void fill_host(const struct km_pcm_page *before, const struct km_pcm_page *after,
                      double elapsed_ns, double *host, struct km_source_stats *stats)
{
	double most = HOST_BYTES_S_MAX * elapsed_ns * 1e-9;
	double d[KM_PAGE_HOST_TOTAL_N];
	double total_mib;

	for (int h = 0; h < KM_PAGE_L3_KIB; h++) {
		bool in_mib = h == KM_PAGE_LOCAL_MIB || h == KM_PAGE_REMOTE_MIB;

		d[h] = difference(before->host[h], after->host[h], in_mib ? most / MIB / 2 : most,
		                  stats);
	}
	host[KM_HOST_MEM_READ_BYTES] = d[KM_PAGE_READ_BYTES];
	host[KM_HOST_MEM_WRITE_BYTES] = d[KM_PAGE_WRITE_BYTES];
	host[KM_HOST_MBM_LOCAL_BYTES] = d[KM_PAGE_LOCAL_MIB] * MIB;
	/* one socket has nothing remote, and PCM prints 0 */
	total_mib = d[KM_PAGE_LOCAL_MIB];
	if (!isnan(after->host[KM_PAGE_REMOTE_MIB])) {
		total_mib += d[KM_PAGE_REMOTE_MIB];
	}
	host[KM_HOST_MBM_TOTAL_BYTES] = total_mib * MIB;
	if (after->host[KM_PAGE_L3_KIB] * KIB <= LEVEL_MAX) {
		host[KM_HOST_L3_OCCUPANCY_BYTES] = after->host[KM_PAGE_L3_KIB] * KIB;
	} else if (!isnan(after->host[KM_PAGE_L3_KIB])) {
		stats->fault[KM_FAULT_UNAVAILABLE]++; /* 2^64 - 1 of some core: RDT had no value */
	}
}

int km_pcm_page_sample(const struct km_pcm_page *before, const struct km_pcm_page *after,
                       int64_t own_ns, int64_t end_ns, struct km_sample_space *out,
                       struct km_source_stats *stats)
{
	double server_ns = (after->clock_us - before->clock_us) * 1e3;
	double elapsed_ns = (double)own_ns;

	if (own_ns <= 0 || server_ns == 0) {
		return 0;
	}
	if (server_ns * CLOCK_FACTOR >= elapsed_ns && server_ns <= elapsed_ns * CLOCK_FACTOR) {
		elapsed_ns = server_ns;
	}
	if (km_sample_space_reset(out, after->cpu_count) != 0) {
		return -ENOMEM;
	}
	for (uint32_t cpu = 0; cpu < after->cpu_count; cpu++) {
		if (cpu < before->cpu_count) {
			fill_cpu(before, after, cpu, elapsed_ns,
			         out->cpu + (size_t)cpu * KM_COUNT_CPU_N, stats);
		}
	}
	fill_host(before, after, elapsed_ns, out->sample.host, stats);
	stats->fault[KM_FAULT_GARBLED] += (after->bad_lines > 0) + (after->ambiguous > 0);
	out->sample.end_ns = end_ns;
	out->sample.start_ns = end_ns - (int64_t)(elapsed_ns + 0.5);
	return 1;
}

void km_pcm_page_offer(const struct km_pcm_page *page, struct km_source_offer *out)
{
	const bool *has = page->measured;

	out->owns_pmu = true; /* somebody gave it the PMU */
	out->cpu |= has[KM_PAGE_INSTRUCTIONS] ? BIT(KM_COUNT_INSTRUCTIONS) : 0;
	out->cpu |= has[KM_PAGE_CYCLES] ? BIT(KM_COUNT_CYCLES) : 0;
	out->cpu |= has[KM_PAGE_L2_MISS] ? BIT(KM_COUNT_L2_MISS) : 0;
	out->cpu |= has[KM_PAGE_L3_MISS] ? BIT(KM_COUNT_L3_MISS) : 0;
	if (has[KM_PAGE_TSC]) {
		out->cpu |= has[KM_PAGE_REF_CYCLES] ? BIT(KM_COUNT_C0_NS) : 0;
		out->cpu |= has[KM_PAGE_C6] ? BIT(KM_COUNT_C6_NS) : 0;
		out->cpu |= has[KM_PAGE_REF_CYCLES] && has[KM_PAGE_C6] ? BIT(KM_COUNT_C1_NS) : 0;
	}
	out->host |= page->host[KM_PAGE_READ_BYTES] > 0 ? BIT(KM_HOST_MEM_READ_BYTES) : 0;
	out->host |= page->host[KM_PAGE_WRITE_BYTES] > 0 ? BIT(KM_HOST_MEM_WRITE_BYTES) : 0;
	out->host |= page->host[KM_PAGE_L3_KIB] > 0 ? BIT(KM_HOST_L3_OCCUPANCY_BYTES) : 0;
	if (page->host[KM_PAGE_LOCAL_MIB] > 0) {
		out->host |= BIT(KM_HOST_MBM_LOCAL_BYTES) | BIT(KM_HOST_MBM_TOTAL_BYTES);
	}
}

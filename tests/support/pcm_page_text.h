/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages as pcm-sensor-server's /metrics has them, made from the names and labels of its source: a
 * host that does the same every second, seen after so many of them.
 */
#ifndef KM_TESTS_SUPPORT_PCM_PAGE_TEXT_H
#define KM_TESTS_SUPPORT_PCM_PAGE_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "km/base/buf.h"

#define PAGE_TSC_HZ 2e9

struct pcm_host {
	unsigned sockets, cores, threads; /* cores of a socket, threads of a core */
	double seconds;                   /* since the counters began */
	double clock_s;                   /* the server's monotonic clock */
	bool no_l2, no_dram, no_rdt, no_cstates;
	int offline_cpu; /* -1 = none */
};

static inline struct pcm_host pcm_host_at(double seconds)
{
	return (struct pcm_host){ .sockets = 2,
		                  .cores = 2,
		                  .threads = 2,
		                  .seconds = seconds,
		                  .clock_s = 5000 + seconds,
		                  .offline_cpu = -1 };
}

/* Linux's usual order: first threads of all cores, then second ones. */
static inline unsigned pcm_host_cpu(const struct pcm_host *h, unsigned socket, unsigned core,
                                    unsigned thread)
{
	return thread * h->sockets * h->cores + socket * h->cores + core;
}

static inline void page_line(struct km_buf *b, const char *name, const char *labels, double value)
{
	km_buf_printf(b, "%s{%s} %.0f\n", name, labels, value);
}

/* The counters of one CPU, or of `cpus` of them together; `work` is how busy they are in all. */
static inline void page_core(struct km_buf *b, const struct pcm_host *h, const char *labels,
                             double work, double cpus)
{
	static const double residency[11] = { [3] = 0.1, [6] = 0.4 };
	double s = h->seconds;
	char with[160];

	(void)snprintf(with, sizeof(with), "%s,source=\"core\"", labels);
	page_line(b, "Instructions_Retired_Any", with, 1.5e8 * work * s);
	page_line(b, "Clock_Unhalted_Thread", with, 1e8 * work * s);
	page_line(b, "Clock_Unhalted_Ref", with, 0.25 * PAGE_TSC_HZ * cpus * s);
	page_line(b, "L3_Cache_Misses", with, 1e5 * work * s);
	page_line(b, "L3_Cache_Hits", with, 3e5 * work * s);
	page_line(b, "L2_Cache_Misses", with, h->no_l2 ? 0 : 1e6 * work * s);
	page_line(b, "L2_Cache_Hits", with, 4e6 * work * s);
	page_line(b, "L3_Cache_Occupancy", with, h->no_rdt ? 0 : 512 * cpus);
	page_line(b, "Invariant_TSC", with, PAGE_TSC_HZ * cpus * s);
	page_line(b, "SMI_Count", with, 0);
	page_line(b, "Thermal_Headroom", with, 40);
	for (unsigned i = 0; i < 11; i++) {
		double ticks = h->no_cstates ? 0 : residency[i] * PAGE_TSC_HZ * cpus * s;

		(void)snprintf(with, sizeof(with), "%s,source=\"core\",index=\"%u\"", labels, i);
		km_buf_printf(b, "CStateResidency{%s} %.3f\n", with, residency[i]);
		page_line(b, "RawCStateResidency", with,
		          i == 0 ? 0.25 * PAGE_TSC_HZ * cpus * s : ticks);
	}
	(void)snprintf(with, sizeof(with), "%s,source=\"core\"", labels);
	page_line(b, "Local_Memory_Bandwidth", with, h->no_rdt ? 0 : 100 * cpus * s);
	page_line(b, "Remote_Memory_Bandwidth", with, h->no_rdt ? 0 : 20 * cpus * s);
}

static inline void page_uncore(struct km_buf *b, const struct pcm_host *h, const char *labels,
                               double sockets)
{
	char with[160];

	(void)snprintf(with, sizeof(with), "%s,source=\"uncore\"", labels);
	page_line(b, "DRAM_Writes", with, h->no_dram ? 0 : 1e9 * sockets * h->seconds);
	page_line(b, "DRAM_Reads", with, h->no_dram ? 0 : 3e9 * sockets * h->seconds);
	page_line(b, "Persistent_Memory_Writes", with, 7);
	km_buf_printf(b, "Package_Joules_Consumed{%s} %.3f\n", with, 50.5 * h->seconds);
	for (unsigned i = 0; i < 11; i++) {
		(void)snprintf(with, sizeof(with), "%s,source=\"uncore\",index=\"%u\"", labels, i);
		/* the package's, by the name of the cores' */
		page_line(b, "RawCStateResidency", with, 123456 * h->seconds);
	}
}

static inline void page_of(struct km_buf *b, const struct pcm_host *h)
{
	double all = 0;

	km_buf_printf(b, "Measurement_Interval_in_us %.0f\n", h->clock_s * 1e6);
	km_buf_printf(b, "Number_of_sockets %u\n", h->sockets);
	for (unsigned s = 0; s < h->sockets; s++) {
		char labels[96];
		double work = 0;

		km_buf_printf(b, "# Core Counters Socket %u\n", s);
		for (unsigned c = 0; c < h->cores; c++) {
			for (unsigned t = 0; t < h->threads; t++) {
				unsigned cpu = pcm_host_cpu(h, s, c, t);
				struct pcm_host one = *h;

				(void)snprintf(labels, sizeof(labels),
				               "socket=\"%u\",core=\"%u\",thread=\"%u\"", s, c, t);
				km_buf_printf(b, "OS_ID{%s} %u\n", labels, cpu);
				/* PCM reads nothing of an offline thread: all 0 */
				one.seconds = (int)cpu == h->offline_cpu ? 0 : h->seconds;
				page_core(b, &one, labels, cpu + 1, 1);
				work += cpu + 1;
			}
		}
		all += work;
		(void)snprintf(labels, sizeof(labels), "socket=\"%u\"", s);
		km_buf_printf(b, "# Uncore Counters Socket %u\n", s);
		page_uncore(b, h, labels, 1);
		(void)snprintf(labels, sizeof(labels), "socket=\"%u\",aggregate=\"socket\"", s);
		km_buf_printf(b, "# Core Counters Aggregate Socket %u\n", s);
		page_core(b, h, labels, work, h->cores * h->threads);
	}
	km_buf_str(b, "# UPI/QPI Counters\n");
	km_buf_str(b, "Utilization_Incoming_Data_Traffic_On_Link_0{aggregate=\"system\",source="
	              "\"uncore\",socket=\"0\"} 0.013\n");
	km_buf_str(b, "# Core Counters Aggregate System\n");
	page_core(b, h, "aggregate=\"system\"", all, h->sockets * h->cores * h->threads);
	km_buf_str(b, "# Uncore Counters Aggregate System\n");
	page_uncore(b, h, "aggregate=\"system\"", h->sockets);
}

#endif

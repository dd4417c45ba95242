/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside sources: a page of pcm-sensor-server's /metrics, and the sample between two of them. Pure.
 * All counters on that page are totals since the counters were started (PCM prints the difference
 * to nothing); names and labels are those of PCM's src/pcm-sensor-server.cpp, units those of its
 * src/cpucounters.h.
 */
#ifndef KM_SOURCES_PCM_PAGE_H
#define KM_SOURCES_PCM_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/core/sample.h"
#include "km/sources/source.h"

/* Totals of one logical CPU. */
enum km_page_total {
	KM_PAGE_INSTRUCTIONS,
	KM_PAGE_CYCLES,
	KM_PAGE_REF_CYCLES, /* in C0, at the rate of the TSC */
	KM_PAGE_TSC,
	KM_PAGE_L2_MISS,
	KM_PAGE_L3_MISS,
	KM_PAGE_C6,     /* at the rate of the TSC, of the CPU's core */
	KM_PAGE_C_DEEP, /* the same of all states below C1 but C6 */
	KM_PAGE_TOTAL_N,
};

/* Totals of the host, and one level. */
enum km_page_host_total {
	KM_PAGE_READ_BYTES,
	KM_PAGE_WRITE_BYTES,
	KM_PAGE_LOCAL_MIB,
	KM_PAGE_REMOTE_MIB,
	KM_PAGE_L3_KIB, /* the level */
	KM_PAGE_HOST_TOTAL_N,
};

struct km_pcm_page {
	double clock_us;    /* the server's monotonic clock when it read the counters; NaN = none */
	uint32_t cpu_count; /* highest logical CPU on the page, plus 1 */
	double *total;      /* [cpu_count][KM_PAGE_TOTAL_N]; NaN = not on the page */
	uint32_t cpu_cap;
	/* PCM prints 0 for what it cannot measure: on some CPU it is more than that */
	bool measured[KM_PAGE_TOTAL_N];
	double host[KM_PAGE_HOST_TOTAL_N]; /* NaN = not on the page, or 0 */
	uint32_t bad_lines;                /* with a name that is wanted */
	uint32_t ambiguous;                /* CPUs that two sets of labels claim */
};

/*
 * Reads a page; *page keeps its memory between calls, a zeroed one is empty.
 * returns 0; -EBADMSG when it is no page of PCM's (no CPU on it); -ENOMEM.
 */
int km_pcm_page_parse(struct km_pcm_page *page, const char *text, size_t len,
                      struct km_err *err) KM_MUST_CHECK;
void km_pcm_page_fini(struct km_pcm_page *page);

/*
 * What was counted between two pages, own_ns apart by our own clock; the server's is taken when it
 * agrees by a factor of 10. Faults are counted. The sample ends at end_ns and is always plausible.
 * returns 1; 0 when the second is the first again (no sample); -ENOMEM.
 */
int km_pcm_page_sample(const struct km_pcm_page *before, const struct km_pcm_page *after,
                       int64_t own_ns, int64_t end_ns, struct km_sample_space *out,
                       struct km_source_stats *stats) KM_MUST_CHECK;

/* What samples between pages like this one hold. */
void km_pcm_page_offer(const struct km_pcm_page *page, struct km_source_offer *out);

#endif

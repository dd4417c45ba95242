/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside sources: which events perf counts, by CPU family and by what sysfs describes. Pure, but
 * for the functions that take a path.
 */
#ifndef KM_SOURCES_PERF_EVENT_H
#define KM_SOURCES_PERF_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/cpuset.h"
#include "km/base/err.h"
#include "km/base/macros.h"

/* What an event is counted for. */
enum km_perf_role {
	KM_PERF_CYCLES,
	KM_PERF_INSTRUCTIONS,
	KM_PERF_REF_CYCLES,
	KM_PERF_L2_MISS,
	KM_PERF_L3_MISS,
	KM_PERF_TSC,    /* ticks of the time stamp counter */
	KM_PERF_MPERF,  /* the same while in C0 */
	KM_PERF_C6,     /* the same while the core is in C6 */
	KM_PERF_C_DEEP, /* ... in any other state deeper than C1 */
	KM_PERF_READ_BYTES,
	KM_PERF_WRITE_BYTES,
	KM_PERF_ROLE_N,
};

/* perf_event_attr's type and config*, what it is for, and what one count is worth. */
struct km_perf_event {
	uint32_t type;
	uint64_t config[3];
	uint8_t role;
	uint8_t pmu; /* only events of one number may share a group */
	double scale;
};

#define KM_PERF_CORE_EVENTS_MAX 5

struct km_perf_cpu_id {
	char vendor[16]; /* "GenuineIntel" */
	unsigned family, model;
};

/*
 * The first CPU's vendor, family and model in the text of cpuinfo, of which the beginning is
 * enough. returns 0 or -EBADMSG.
 */
int km_perf_cpu_id_parse(const char *text, size_t len, struct km_perf_cpu_id *out) KM_MUST_CHECK;

/* How L3 misses are counted. */
enum km_perf_l3 {
	KM_PERF_L3_NONE,
	KM_PERF_L3_AS_PCM,  /* the event that PCM counts on this model */
	KM_PERF_L3_GENERIC, /* the kernel's cache-misses: speculation and prefetch count too */
};

/*
 * The core events of a CPU, from the allow-list; L2 misses only where the model's code is known.
 * returns how many were written to out[KM_PERF_CORE_EVENTS_MAX], with pmu 0.
 */
size_t km_perf_core_events(const struct km_perf_cpu_id *cpu, struct km_perf_event *out,
                           enum km_perf_l3 *l3);

/* Do its ref-cycles tick with the time stamp counter? */
bool km_perf_ref_is_tsc(const struct km_perf_cpu_id *cpu);

/*
 * Do its memory controllers have two schedulers a channel, of which a kernel's plain cas_count_*
 * counts the first only? (Linux commit 6a8a48644c4b.)
 */
bool km_perf_imc_is_halved(const struct km_perf_cpu_id *cpu);

/* Puts a value into config bits as a format file says: "config:0-7,32-35". */
int km_perf_format_apply(const char *format, uint64_t value,
                         struct km_perf_event *event) KM_MUST_CHECK;

#define KM_PERF_TERMS_MAX 16

/* "event=0x04,umask=0x03" taken apart; a term without "=" is 1. */
struct km_perf_terms {
	size_t count;
	struct {
		char name[32];
		uint64_t value;
	} term[KM_PERF_TERMS_MAX];
};
/* returns 0; -EBADMSG, -E2BIG. */
int km_perf_terms_parse(const char *text, struct km_perf_terms *out) KM_MUST_CHECK;

/* Bytes in one of "Bytes", "KiB", "MiB", "GiB"; 0 for anything else. */
double km_perf_unit_bytes(const char *unit);

/* A PMU that sysfs describes. */
struct km_perf_pmu {
	char name[64];
	uint32_t type;
	struct km_cpuset cpus; /* where its events are opened, or may be; empty = any */
};

/* returns 0; -ENOENT when there is no such PMU; -EBADMSG. */
int km_perf_pmu_read(const char *sysfs, const char *name, struct km_perf_pmu *out,
                     struct km_err *err) KM_MUST_CHECK;

/*
 * One of a PMU's events with its scale; in_bytes: there must be a unit, which goes into the scale.
 * role and pmu of *out stay. returns 0; -ENOENT when it has none of that name; -EBADMSG.
 */
int km_perf_pmu_event(const char *sysfs, const struct km_perf_pmu *pmu, const char *name,
                      bool in_bytes, struct km_perf_event *out, struct km_err *err) KM_MUST_CHECK;

#endif

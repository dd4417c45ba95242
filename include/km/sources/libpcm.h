/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel's libpcm, loaded at run time: the only code that calls it, used by kubemarla-pcm and, with
 * collect.pcm.isolation: thread, by a thread of the daemon. Knows nothing of pipes and processes.
 *
 * libpcm keeps its state in globals: one thread of a process may use this, and never two at a time.
 * A call may take long, hang, print, or end the process; who calls must be able to bear that.
 */
#ifndef KM_SOURCES_LIBPCM_H
#define KM_SOURCES_LIBPCM_H

#include <stdint.h>

#include "km/base/cpuset.h"
#include "km/base/err.h"
#include "km/base/macros.h"

/* ---- which processor, and what to count on it ---------------------------------------------- */

struct km_pcm_cpu {
	char vendor[13]; /* "GenuineIntel" */
	uint32_t family, model;
	uint32_t perfmon;  /* version of architectural performance monitoring, 0 = no PMU */
	uint32_t counters; /* general-purpose counters of a logical CPU */
};

/*
 * Asks CPUID. The environment's KUBEMARLA_PCM_CPU, VENDOR/FAMILY/MODEL in decimal, stands in for
 * it: for tests, and where a hypervisor hides what is there.
 */
void km_pcm_cpu_identify(struct km_pcm_cpu *out);

#define KM_PCM_SLOTS 4 /* libpcm's C interface takes events 0..3 */

/* What is programmed on a family of processors, and which slots add up to what. */
struct km_pcm_events {
	const char *family;              /* "Sapphire Rapids" */
	const char *event[KM_PCM_SLOTS]; /* in libpcm's syntax; NULL = slot left alone */
	uint8_t l2_slots, l3_slots;      /* bit per slot whose sum is the misses; 0 = not counted */
};

/*
 * The row of the allow-list for this processor; slots beyond its counters are cut off. An Intel
 * processor that is not in the list has a row without events: cycles and instructions only.
 * returns 0, or -ENOTSUP with the reason: another vendor, or no PMU.
 */
int km_pcm_events_find(const struct km_pcm_cpu *cpu, struct km_pcm_events *out,
                       struct km_err *err) KM_MUST_CHECK;

/* ---- one reading --------------------------------------------------------------------------- */

/* Since libpcm was started, modulo 2^64. */
struct km_pcm_counts {
	uint64_t cycles, instructions, l2_miss, l3_miss;
};

enum { KM_PCM_HAS_L2 = 1, KM_PCM_HAS_L3 = 2 }; /* of km_pcm_reading.counted */

struct km_pcm_reading {
	uint32_t run;      /* who started libpcm: counts of two runs have nothing in common */
	uint32_t counted;  /* KM_PCM_HAS_*, or-ed; cycles and instructions always are */
	uint64_t sequence; /* 1, 2, ... of this run */
	int64_t time_ns;   /* monotonic */
	uint32_t cpu_count;
	struct km_cpuset measured; /* the CPUs whose counts are counts; others' mean nothing */
	struct km_pcm_counts cpu[KM_CPU_MAX];
};

/* ---- the library --------------------------------------------------------------------------- */

struct km_libpcm_options {
	const char *file;   /* "" = libpcm.so where the loader finds it */
	const char *procfs; /* roots, for the NMI watchdog and the list of CPUs; libpcm itself */
	const char *sysfs;  /* looks into /proc and /sys whatever these say */
};

struct km_libpcm;

/*
 * What libpcm must find in its environment so that it does no harm: counters through perf instead
 * of writing registers others may own, the NMI watchdog left alone, no resctrl groups. `_set` is
 * for a process that has one thread yet; `_check` returns 0, or -EPERM naming what is not set.
 */
void km_libpcm_environment_set(void);
int km_libpcm_environment_check(struct km_err *err) KM_MUST_CHECK;

/*
 * Looks at the processor, loads the library and its seven functions; starts nothing. Options are
 * copied. returns 0 and *out owned; -ENOTSUP (this processor), -ENOENT (library or function not
 * there), -ENOMEM.
 */
int km_libpcm_load(const struct km_libpcm_options *options, struct km_libpcm **out,
                   struct km_err *err) KM_MUST_CHECK;

const struct km_pcm_events *km_libpcm_events(const struct km_libpcm *p);
const struct km_pcm_cpu *km_libpcm_cpu(const struct km_libpcm *p);

/*
 * Programs the events, initialises, and starts counting. Limits and the NMI watchdog are as before
 * when it returns. May take seconds. returns 0; -EACCES when libpcm refuses, -EINVAL for an event
 * it does not take, -ENOENT without a list of CPUs.
 */
int km_libpcm_start(struct km_libpcm *p, struct km_err *err) KM_MUST_CHECK;

/*
 * Reads all counters. out->run is left to the caller. returns 0; -ENODATA after
 * KM_LIBPCM_ZERO_READINGS of them in a row in which no CPU counted a cycle.
 */
int km_libpcm_read(struct km_libpcm *p, struct km_pcm_reading *out,
                   struct km_err *err) KM_MUST_CHECK;

#define KM_LIBPCM_ZERO_READINGS 3

/* NULL allowed. The library itself stays loaded: its destructors expect to run at exit only. */
void km_libpcm_free(struct km_libpcm *p);

#endif

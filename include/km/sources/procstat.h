/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/stat as numbers. Busy time is what the timer tick sampled: work in bursts shorter than a
 * tick is missed or counted whole. Idle time is measured where the kernel has tickless idle.
 * source: proc(5)
 */
#ifndef KM_SOURCES_PROCSTAT_H
#define KM_SOURCES_PROCSTAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/cpuset.h"
#include "km/base/err.h"
#include "km/base/macros.h"

/* Of one CPU since boot, in ticks of USER_HZ. */
struct km_procstat_cpu {
	uint64_t busy; /* user, nice, system, irq, softirq; a guest's time is in user */
	uint64_t idle; /* idle and iowait */
	uint64_t steal;
	bool online; /* has a line: the kernel leaves offline CPUs out */
};

struct km_procstat {
	uint32_t cpu_count; /* highest CPU with a line, plus 1 */
	struct km_procstat_cpu cpu[KM_CPU_MAX];
	bool has_switches, has_running;
	uint64_t switches; /* of all CPUs since boot */
	uint64_t running;  /* tasks on a run queue now, the reader among them */
};

/* /proc/stat. returns 0; -EBADMSG (no CPU line, or one that is none), -E2BIG (CPU numbers). */
int km_procstat_parse(const char *text, size_t len, struct km_procstat *out,
                      struct km_err *err) KM_MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUs of two kinds in one machine (Intel's hybrid processors): each kind has a PMU of its own in
 * place of the one named "cpu", and a generic event has to say which of them it is for, or it is
 * for the first and another kind's CPUs have no such event (Linux commit 55bcf6ef314a). Where all
 * CPUs are alike there are none of these PMUs, and nothing is changed.
 */
#include <linux/perf_event.h>
#include <string.h>

#include "perf.h"

/* The upper half of a generic event's config: uapi/linux/perf_event.h, PERF_PMU_TYPE_SHIFT. */
#define PMU_TYPE_SHIFT 32

void km_perf_kinds_read(struct km_perf *p)
{
	static const char *const names[KM_PERF_KINDS_MAX] = { "cpu_core", "cpu_atom",
		                                              "cpu_lowpower" };

	p->kind_count = 0;
	for (size_t i = 0; i < KM_ARRAY_LEN(names); i++) {
		p->kind_count +=
			km_perf_pmu_read(p->sysfs, names[i], &p->kind[p->kind_count], NULL) == 0;
	}
}

size_t km_perf_events_of(const struct km_perf *p, unsigned cpu,
                         struct km_perf_event out[KM_PERF_CPU_EVENTS])
{
	memcpy(out, p->cpu_event, p->cpu_event_count * sizeof(out[0]));
	for (size_t k = 0; k < p->kind_count; k++) {
		if (!km_cpuset_has(&p->kind[k].cpus, cpu)) {
			continue;
		}
		for (size_t i = 0; i < p->cpu_event_count; i++) {
			if (out[i].type == PERF_TYPE_HARDWARE) {
				out[i].config[0] |= (uint64_t)p->kind[k].type << PMU_TYPE_SHIFT;
			} else if (out[i].type == PERF_TYPE_RAW) {
				out[i].type = p->kind[k].type;
			}
		}
	}
	return p->cpu_event_count;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside sources: perf's parts. CPUs (core events, TSC), cores (C-states) and memory controllers
 * each have their sets; perf.c asks them in turn. All belongs to one source, on its thread.
 */
#ifndef KM_SOURCES_PERF_H
#define KM_SOURCES_PERF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/cpuset.h"
#include "km/core/sample.h"
#include "km/sources/source.h"

#include "perf_event.h"
#include "perf_group.h"

#define KM_PERF_BIT(n)      (UINT32_C(1) << (n))
#define KM_PERF_CPU_EVENTS  (KM_PERF_CORE_EVENTS_MAX + 2)
#define KM_PERF_CORE_STATES 3
#define KM_PERF_KINDS_MAX   3
#define KM_PERF_RETRY_NS    INT64_C(10000000000)
/* Residencies are ratios of counters that are read one after the other. */
#define KM_PERF_SHARE_MAX 1.02

struct km_perf_cpu {
	struct km_perf_set set;
	int64_t retry_ns; /* when not open: not before */
	double c0_ratio;  /* of the read in progress; NaN = not known */
};

struct km_perf_core {
	struct km_perf_set set;
	unsigned cpu;          /* that stands for it */
	struct km_cpuset cpus; /* its hyper-threads */
	int64_t retry_ns;      /* when not open: not before */
};

struct km_perf {
	struct km_source base;
	const struct km_perf_sys *sys;
	struct km_perf_budget budget;
	char *sysfs, *procfs;
	bool first_only; /* a probe: one CPU, one core, one memory controller will do */
	struct km_perf_cpu_id id;

	/* The TSC by the clock that events are timed with: what residencies are divided by. */
	struct km_perf_event tsc_event;
	bool has_tsc;
	struct km_perf_set tsc;
	int64_t tsc_retry_ns;
	double tsc_per_ns; /* 0 = not known yet */

	struct km_perf_event cpu_event[KM_PERF_CPU_EVENTS];
	size_t cpu_event_count; /* 0: CPUs have nothing to count */
	enum km_perf_l3 l3;
	struct km_cpuset online;
	uint32_t cpu_count;
	struct km_perf_cpu *cpu; /* [KM_CPU_MAX] */
	uint32_t cpu_roles;      /* what one CPU gives */

	struct km_perf_pmu kind[KM_PERF_KINDS_MAX]; /* of CPUs, where they are not all alike */
	size_t kind_count;

	struct km_perf_pmu core_pmu;
	struct km_perf_event core_event[KM_PERF_CORE_STATES];
	size_t core_event_count;
	struct km_perf_core *core; /* [core_count] */
	size_t core_count;
	uint32_t core_roles;

	struct km_perf_set *imc; /* [imc_count] */
	size_t imc_count;
	uint32_t imc_roles;
	const char *imc_note; /* why there is none, "" otherwise */
	int64_t imc_retry_ns;

	int why; /* the first refusal: negative errno, 0 = none */
	bool started;
	int64_t last_ns;
	struct km_sample_space space;
	struct km_source_stats stats;
};

/*
 * Creates a source over `sys`, which must outlive it; first_only for a probe. Fails when nothing
 * can be counted, with the reason. returns 0 and *out owned; -ENOENT, -EACCES, -ENOMEM, ...
 */
int km_perf_create(const struct km_source_args *args, const struct km_perf_sys *sys,
                   bool first_only, struct km_perf **out, struct km_err *err) KM_MUST_CHECK;
void km_perf_free(struct km_perf *p); /* NULL allowed */
/* What it gives. */
void km_perf_offer(const struct km_perf *p, struct km_source_offer *out);
/* As the row's read. */
int km_perf_read(struct km_perf *p, int64_t now_ns, km_sample_fn *emit, void *ctx,
                 struct km_err *err) KM_MUST_CHECK;

/* perf_cpu.c: what CPUs and cores will count, by the CPU's family and by sysfs. */
void km_perf_cpus_plan(struct km_perf *p, bool core_events);
/* Opens it. returns 0, also when there is nothing (p->why); -ENOMEM, -EMFILE, ... for now. */
int km_perf_cpus_open(struct km_perf *p) KM_MUST_CHECK;
void km_perf_cpus_close(struct km_perf *p);
/* Follows CPUs that went offline or came, and tries again those that failed. */
void km_perf_cpus_refresh(struct km_perf *p, int64_t now_ns);
/* Reads all into the sample's rows. returns how many sets gave something. */
size_t km_perf_cpus_read(struct km_perf *p, double elapsed_ns, int64_t now_ns);

/* perf_kinds.c: which kinds of CPUs there are now. */
void km_perf_kinds_read(struct km_perf *p);
/* The CPU's events as its kind takes them. returns how many: cpu_event_count. */
size_t km_perf_events_of(const struct km_perf *p, unsigned cpu,
                         struct km_perf_event out[KM_PERF_CPU_EVENTS]);

/* perf_imc.c: the same for memory controllers. returns 0 or -ENOMEM. */
int km_perf_imcs_open(struct km_perf *p) KM_MUST_CHECK;
void km_perf_imcs_close(struct km_perf *p);
size_t km_perf_imcs_read(struct km_perf *p, int64_t now_ns);

#endif

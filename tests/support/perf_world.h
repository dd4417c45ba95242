/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host for tests of perf: a sysfs of four CPUs on two cores with TSC, MPERF, C-states and two
 * memory controllers, over the fake of the kernel's events.
 */
#ifndef KM_TESTS_SUPPORT_PERF_WORLD_H
#define KM_TESTS_SUPPORT_PERF_WORLD_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/clock.h"

#include "sources/perf.h"
#include "support/fake_perf.h"
#include "support/tree.h"

#define PMUS       "sys/bus/event_source/devices/"
#define TYPE_MSR   9
#define TYPE_CORE  20
#define TYPE_IMC   30 /* and 31 */
#define TSC_HZ     2e9
#define IMC_READ   0x0304
#define IMC_WRITE  0x0c04
#define SCH0_READ  0xcf05
#define SCH1_READ  0xcf06
#define SCH0_WRITE 0xf005
#define SCH1_WRITE 0xf006

struct perf_world {
	struct tree tree;
	char sysfs[80], procfs[80];
	struct km_live_settings live;
	struct km_source_settings settings;
	struct km_source_args args;
	struct fake_perf *fake;
	struct km_perf *perf;
	unsigned samples;
	double cpu[KM_CPU_MAX][KM_COUNT_CPU_N]; /* of the last sample */
	struct km_sample last;
	struct km_err err;
};

/* What the fake machine does in a second; CPU n works (n + 1) times as much as CPU 0. */
static inline double busy_rate(uint32_t type, uint64_t config, int cpu)
{
	double work = cpu + 1;

	if (type == PERF_TYPE_HARDWARE && config == PERF_COUNT_HW_CPU_CYCLES)
		return 1e8 * work;
	if (type == PERF_TYPE_HARDWARE && config == PERF_COUNT_HW_INSTRUCTIONS)
		return 1.5e8 * work;
	if (type == PERF_TYPE_HARDWARE && config == PERF_COUNT_HW_REF_CPU_CYCLES)
		return 0.15 * TSC_HZ;
	if (type == PERF_TYPE_HARDWARE && config == PERF_COUNT_HW_CACHE_MISSES)
		return 7e5 * work;
	if (type == PERF_TYPE_RAW && config == 0x10d1)
		return 1e6 * work;
	if (type == PERF_TYPE_RAW && config == 0x20d1)
		return 1e5 * work;
	if (type == PERF_TYPE_RAW && config == 0x3f24) /* L2 of Haswell */
		return 2e6 * work;
	if (type == PERF_TYPE_RAW && config == 0x412e)
		return 3e5 * work;
	if (type == TYPE_MSR && config == 0)
		return TSC_HZ;
	if (type == TYPE_MSR && config == 2)
		return 0.25 * TSC_HZ;
	if (type == TYPE_CORE && config == 1) /* C3 */
		return 0.1 * TSC_HZ;
	if (type == TYPE_CORE && config == 2) /* C6 */
		return cpu == 0 ? 0.4 * TSC_HZ : 0.6 * TSC_HZ;
	if (type == TYPE_IMC || type == TYPE_IMC + 1) {
		double one = type == TYPE_IMC ? 1e6 : 3e6;

		return config == IMC_READ || config == SCH0_READ     ? one
		       : config == IMC_WRITE || config == SCH0_WRITE ? one / 2
		       : config == SCH1_READ                         ? one * 10
		       : config == SCH1_WRITE                        ? one * 20
		                                                     : -1;
	}
	return -1;
}

/* The same without a core PMU. */
static inline double no_pmu_rate(uint32_t type, uint64_t config, int cpu)
{
	return fake_perf_is_core(type) ? -1 : busy_rate(type, config, cpu);
}

static inline void put_cpu(struct perf_world *w, const char *vendor, unsigned family,
                           unsigned model)
{
	tree_put(&w->tree, "proc/cpuinfo",
	         "processor\t: 0\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n", vendor,
	         family, model);
}

static inline void put_event(struct perf_world *w, const char *pmu, const char *name,
                             const char *terms, bool bytes)
{
	char path[256];

	(void)snprintf(path, sizeof(path), PMUS "%s/events/%s", pmu, name);
	tree_put(&w->tree, path, "%s\n", terms);
	if (!bytes)
		return;
	(void)snprintf(path, sizeof(path), PMUS "%s/events/%s.scale", pmu, name);
	tree_put(&w->tree, path, "6.103515625e-5\n");
	(void)snprintf(path, sizeof(path), PMUS "%s/events/%s.unit", pmu, name);
	tree_put(&w->tree, path, "MiB\n");
}

static inline void put_pmu(struct perf_world *w, const char *pmu, unsigned type, const char *cpus,
                           const char *event_bits)
{
	char path[256];

	(void)snprintf(path, sizeof(path), PMUS "%s/type", pmu);
	tree_put(&w->tree, path, "%u\n", type);
	(void)snprintf(path, sizeof(path), PMUS "%s/format/event", pmu);
	tree_put(&w->tree, path, "config:%s\n", event_bits);
	(void)snprintf(path, sizeof(path), PMUS "%s/format/umask", pmu);
	tree_put(&w->tree, path, "config:8-15\n");
	if (cpus != NULL) {
		(void)snprintf(path, sizeof(path), PMUS "%s/cpumask", pmu);
		tree_put(&w->tree, path, "%s\n", cpus);
	}
}

static inline void put_online(struct perf_world *w, const char *cpus)
{
	tree_put(&w->tree, "sys/devices/system/cpu/online", "%s\n", cpus);
}

static inline void perf_world_init(struct perf_world *w)
{
	memset(w, 0, sizeof(*w));
	w->fake = malloc(sizeof(*w->fake));
	assert_non_null(w->fake);
	fake_perf_init(w->fake, 4, busy_rate);
	tree_init(&w->tree);
	(void)snprintf(w->sysfs, sizeof(w->sysfs), "%s/sys", w->tree.root);
	(void)snprintf(w->procfs, sizeof(w->procfs), "%s/proc", w->tree.root);
	w->live = (struct km_live_settings){ .sysfs = w->sysfs,
		                             .procfs = w->procfs,
		                             .perf_core_events = true };
	strcpy(w->settings.kind, "perf");
	w->args = (struct km_source_args){ .settings = &w->settings, .live = &w->live };
	put_cpu(w, "GenuineIntel", 6, 143);
	tree_put(&w->tree, "proc/sys/kernel/perf_event_paranoid", "2\n");
	put_online(w, "0-3");
	for (unsigned cpu = 0; cpu < 4; cpu++) {
		char path[128];

		(void)snprintf(path, sizeof(path),
		               "sys/devices/system/cpu/cpu%u/topology/core_cpus_list", cpu);
		tree_put(&w->tree, path, "%u,%u\n", cpu % 2, cpu % 2 + 2);
	}
	put_pmu(w, "msr", TYPE_MSR, NULL, "0-63");
	put_event(w, "msr", "tsc", "event=0x00", false);
	put_event(w, "msr", "mperf", "event=0x02", false);
	put_pmu(w, "cstate_core", TYPE_CORE, "0-1", "0-63");
	put_event(w, "cstate_core", "c3-residency", "event=0x01", false);
	put_event(w, "cstate_core", "c6-residency", "event=0x02", false);
	put_pmu(w, "uncore_imc_0", TYPE_IMC, "0", "0-7");
	put_pmu(w, "uncore_imc_1", TYPE_IMC + 1, "0", "0-7");
	for (unsigned i = 0; i < 2; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "uncore_imc_%u", i);
		put_event(w, name, "cas_count_read", "event=0x04,umask=0x03", true);
		put_event(w, name, "cas_count_write", "event=0x04,umask=0x0c", true);
	}
}

static inline void perf_world_fini(struct perf_world *w)
{
	km_perf_free(w->perf);
	assert_int_equal(w->fake->open_now, 0);
	tree_fini(&w->tree);
	free(w->fake);
}

static inline int perf_world_create(struct perf_world *w, bool first_only)
{
	w->args.now_ns = w->fake->now_ns;
	w->err.text[0] = '\0';
	return km_perf_create(&w->args, &w->fake->sys, first_only, &w->perf, &w->err);
}

static inline void perf_world_take(void *ctx, const struct km_sample *sample)
{
	struct perf_world *w = ctx;

	assert_null(km_sample_implausible(sample));
	w->samples++;
	w->last = *sample;
	if (sample->cpu_count > 0)
		memcpy(w->cpu, sample->cpu, sizeof(w->cpu[0]) * sample->cpu_count);
}

/* Some seconds later; returns how many samples came. */
static inline unsigned perf_world_tick(struct perf_world *w, double seconds)
{
	unsigned before = w->samples;

	w->fake->now_ns += (int64_t)(seconds * 1e9);
	assert_int_equal(km_perf_read(w->perf, w->fake->now_ns, perf_world_take, w, &w->err),
	                 KM_SOURCE_LIVE);
	return w->samples - before;
}

/* Opened, and past the baseline. */
static inline void perf_world_open(struct perf_world *w)
{
	if (perf_world_create(w, false) != 0)
		fail_msg("%s", w->err.text);
	assert_int_equal(perf_world_tick(w, 1), 0);
}

/* Within a millionth: counts are whole numbers. */
static inline void check_near(double got, double want, const char *what)
{
	if (isnan(want) ? !isnan(got) : !(fabs(got - want) <= 1e-6 * fabs(want)))
		fail_msg("%s: %.17g, want %.17g", what, got, want);
}

#endif

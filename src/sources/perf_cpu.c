/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUs and cores under perf. A CPU's set has the core events and MPERF, of the kernel's PMU "msr",
 * in one group where they fit: each group costs that CPU an interrupt a tick. C-states are counted
 * once a core, by the PMU "cstate_core", and hold for its hyper-threads. Residencies tick with the
 * TSC; how fast that is, is counted on one CPU, by the same clock as all events' times.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "perf.h"
#include "sysdir.h"

#define CPU_DIR "%s/devices/system/cpu"

/* No TSC is slower or faster: a count that says so is broken. */
#define TSC_PER_NS_MIN 0.1
#define TSC_PER_NS_MAX 10.0

#define MISS_OR_CYCLE                                                                              \
	(KM_PERF_BIT(KM_PERF_CYCLES) | KM_PERF_BIT(KM_PERF_INSTRUCTIONS) |                         \
	 KM_PERF_BIT(KM_PERF_L2_MISS) | KM_PERF_BIT(KM_PERF_L3_MISS))

static bool has(uint32_t roles, enum km_perf_role role)
{
	return (roles & KM_PERF_BIT(role)) != 0;
}

static void read_cpu_id(struct km_perf *p)
{
	char path[PATH_MAX];
	char text[2048]; /* the first CPU's first lines */
	int len = km_sysdir_path(path, sizeof(path), "%s/cpuinfo", p->procfs);

	if (len == 0) {
		len = km_sysdir_head(path, text, sizeof(text));
	}
	if (len <= 0 || km_perf_cpu_id_parse(text, (size_t)len, &p->id) != 0) {
		memset(&p->id, 0, sizeof(p->id)); /* nobody's: no code of the allow-list is its */
	}
}

static void drop_event(struct km_perf *p, enum km_perf_role role)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->cpu_event_count; i++) {
		if (p->cpu_event[i].role != role) {
			p->cpu_event[kept++] = p->cpu_event[i];
		}
	}
	p->cpu_event_count = kept;
}

static void plan_cpus(struct km_perf *p, bool core_events)
{
	struct km_perf_event mperf = { .role = KM_PERF_MPERF };
	struct km_perf_pmu pmu;

	p->tsc_event = (struct km_perf_event){ .role = KM_PERF_TSC };
	p->cpu_event_count = core_events ? km_perf_core_events(&p->id, p->cpu_event, &p->l3) : 0;
	if (km_perf_pmu_read(p->sysfs, "msr", &pmu, NULL) != 0 ||
	    km_perf_pmu_event(p->sysfs, &pmu, "tsc", false, &p->tsc_event, NULL) != 0) {
		drop_event(p, KM_PERF_REF_CYCLES);
		return;
	}
	p->has_tsc = true;
	if (km_perf_pmu_event(p->sysfs, &pmu, "mperf", false, &mperf, NULL) == 0) {
		p->cpu_event[p->cpu_event_count++] = mperf;
		drop_event(p, KM_PERF_REF_CYCLES); /* the same thing, at the price of a counter */
	}
	if (!km_perf_ref_is_tsc(&p->id)) {
		drop_event(p, KM_PERF_REF_CYCLES);
	}
}

static void plan_cores(struct km_perf *p)
{
	static const struct {
		const char *name;
		enum km_perf_role role;
	} states[KM_PERF_CORE_STATES] = { { "c3-residency", KM_PERF_C_DEEP },
		                          { "c6-residency", KM_PERF_C6 },
		                          { "c7-residency", KM_PERF_C_DEEP } };

	p->core_event_count = 0;
	if (km_perf_pmu_read(p->sysfs, "cstate_core", &p->core_pmu, NULL) != 0) {
		return;
	}
	for (size_t i = 0; i < KM_ARRAY_LEN(states); i++) {
		struct km_perf_event *e = &p->core_event[p->core_event_count];

		memset(e, 0, sizeof(*e));
		e->role = (uint8_t)states[i].role;
		p->core_event_count += km_perf_pmu_event(p->sysfs, &p->core_pmu, states[i].name,
		                                         false, e, NULL) == 0;
	}
}

/* A list of CPUs in a file. returns 0 or a negative errno. */
static int read_cpus(const char *path, struct km_cpuset *out)
{
	char text[4096];
	int len = km_sysdir_value(path, text, sizeof(text));

	return len < 0 ? len : km_cpuset_parse(text, out, NULL);
}

static int read_online(const struct km_perf *p, struct km_cpuset *out)
{
	char path[PATH_MAX];
	int ret = km_sysdir_path(path, sizeof(path), CPU_DIR "/online", p->sysfs);

	ret = ret == 0 ? read_cpus(path, out) : ret;
	return ret == 0 && km_cpuset_count(out) == 0 ? -EBADMSG : ret;
}

static void read_threads(const struct km_perf *p, unsigned cpu, struct km_cpuset *out)
{
	/* the same under a new and an old name (Documentation/admin-guide/cputopology.rst) */
	static const char *const names[] = { "core_cpus_list", "thread_siblings_list" };

	for (size_t i = 0; i < KM_ARRAY_LEN(names); i++) {
		char path[PATH_MAX];

		if (km_sysdir_path(path, sizeof(path), CPU_DIR "/cpu%u/topology/%s", p->sysfs, cpu,
		                   names[i]) == 0 &&
		    read_cpus(path, out) == 0 && km_cpuset_has(out, cpu)) {
			return;
		}
	}
	memset(out, 0, sizeof(*out));
	km_cpuset_add(out, cpu);
}

/* Only what the first CPU has is asked of the others. */
static void keep_roles(struct km_perf_event *event, size_t *count, uint32_t roles)
{
	size_t kept = 0;

	for (size_t i = 0; i < *count; i++) {
		if (has(roles, (enum km_perf_role)event[i].role)) {
			event[kept++] = event[i];
		}
	}
	*count = kept;
}

static void open_cpu(struct km_perf *p, unsigned cpu, int64_t now_ns)
{
	struct km_perf_cpu *c = &p->cpu[cpu];
	struct km_perf_event event[KM_PERF_CPU_EVENTS];
	size_t count = km_perf_events_of(p, cpu, event);
	int why;

	if (km_perf_set_open(&p->budget, cpu, event, count, &c->set, &why) != 0) {
		c->retry_ns = now_ns + KM_PERF_RETRY_NS;
		p->stats.fault[KM_FAULT_UNAVAILABLE]++;
	}
}

static void close_cores(struct km_perf *p)
{
	for (size_t i = 0; i < p->core_count; i++) {
		km_perf_set_close(&p->budget, &p->core[i].set);
	}
	free(p->core);
	p->core = NULL;
	p->core_count = 0;
}

static void open_core(struct km_perf *p, struct km_perf_core *core, int64_t now_ns)
{
	int why;
	int ret = km_perf_set_open(&p->budget, core->cpu, p->core_event, p->core_event_count,
	                           &core->set, &why);

	if (p->why == 0) {
		p->why = why;
	}
	if (ret != 0) {
		/* a core that has no such event will not get one */
		core->retry_ns = ret == -ENOENT ? INT64_MAX : now_ns + KM_PERF_RETRY_NS;
		p->stats.fault[KM_FAULT_UNAVAILABLE]++;
		return;
	}
	p->core_roles |= core->set.roles;
}

/* Which CPU stands for a core changes when CPUs go. returns 0 or -ENOMEM. */
static int open_cores(struct km_perf *p, int64_t now_ns)
{
	struct km_perf_pmu pmu;

	close_cores(p);
	if (p->core_event_count == 0 ||
	    km_perf_pmu_read(p->sysfs, "cstate_core", &pmu, NULL) != 0) {
		return 0;
	}
	p->core = calloc((size_t)km_cpuset_count(&pmu.cpus) + 1, sizeof(*p->core));
	if (p->core == NULL) {
		return -ENOMEM;
	}
	km_cpuset_each (cpu, &pmu.cpus) {
		struct km_perf_core *core = &p->core[p->core_count++];

		core->cpu = cpu;
		read_threads(p, cpu, &core->cpus);
		open_core(p, core, now_ns);
		if (p->first_only && core->set.roles != 0) {
			break;
		}
	}
	return 0;
}

/* Is there anything in what a CPU counts beside what other counts are divided by? */
static bool worth_counting(const struct km_perf *p)
{
	return (p->cpu_roles & (MISS_OR_CYCLE | KM_PERF_BIT(KM_PERF_MPERF))) != 0;
}

void km_perf_cpus_plan(struct km_perf *p, bool core_events)
{
	read_cpu_id(p);
	km_perf_kinds_read(p);
	plan_cpus(p, core_events);
	if (p->has_tsc) { /* what C-states are a share of */
		plan_cores(p);
	}
}

/* On any CPU: the TSC of all of them is one. */
static void open_tsc(struct km_perf *p, int64_t now_ns)
{
	int why;

	km_perf_set_close(&p->budget, &p->tsc);
	if (p->has_tsc && km_perf_set_open(&p->budget, km_cpuset_next(&p->online, 0), &p->tsc_event,
	                                   1, &p->tsc, &why) != 0) {
		p->tsc_retry_ns = now_ns + KM_PERF_RETRY_NS;
		p->stats.fault[KM_FAULT_UNAVAILABLE]++;
	}
}

/* What the first CPU has decides. returns 0, or why it cannot be asked now. */
static int open_first(struct km_perf *p, unsigned cpu)
{
	struct km_perf_event event[KM_PERF_CPU_EVENTS];
	size_t count = km_perf_events_of(p, cpu, event);
	int why;
	int ret = km_perf_set_open(&p->budget, cpu, event, count, &p->cpu[cpu].set, &why);

	if (p->why == 0) {
		p->why = why;
	}
	if (ret != 0 && ret != -ENOENT && ret != -EACCES && ret != -EPERM && ret != -ENOSYS) {
		return ret;
	}
	p->cpu_roles = p->cpu[cpu].set.roles;
	keep_roles(p->cpu_event, &p->cpu_event_count, p->cpu_roles);
	if (!worth_counting(p)) {
		km_perf_set_close(&p->budget, &p->cpu[cpu].set);
		p->cpu_event_count = 0;
		p->cpu_roles = 0;
	}
	return 0;
}

int km_perf_cpus_open(struct km_perf *p)
{
	int ret;

	p->cpu = calloc(KM_CPU_MAX, sizeof(*p->cpu));
	if (p->cpu == NULL) {
		return -ENOMEM;
	}
	ret = read_online(p, &p->online);
	if (ret != 0) {
		p->why = p->why == 0 ? ret : p->why;
		p->cpu_event_count = 0;
		return 0;
	}
	open_tsc(p, p->last_ns);
	ret = open_cores(p, p->last_ns);
	if (ret == 0 && p->cpu_event_count > 0) {
		ret = open_first(p, km_cpuset_next(&p->online, 0));
	}
	if (ret != 0) {
		return ret;
	}
	km_cpuset_each (cpu, &p->online) {
		p->cpu_count = cpu + 1;
		if (p->cpu_event_count > 0 && p->cpu[cpu].set.roles == 0 && !p->first_only) {
			open_cpu(p, cpu, p->last_ns);
		}
	}
	return 0;
}

void km_perf_cpus_close(struct km_perf *p)
{
	close_cores(p);
	km_perf_set_close(&p->budget, &p->tsc);
	for (unsigned cpu = 0; p->cpu != NULL && cpu < KM_CPU_MAX; cpu++) {
		km_perf_set_close(&p->budget, &p->cpu[cpu].set);
	}
	free(p->cpu);
	p->cpu = NULL;
}

static void follow_cpu(struct km_perf *p, unsigned cpu, bool was, bool is, int64_t now_ns)
{
	struct km_perf_cpu *c = &p->cpu[cpu];

	if (was && !is) {
		/* the kernel takes its events out of service for good */
		km_perf_set_close(&p->budget, &c->set);
		p->stats.fault[KM_FAULT_VANISHED]++;
	}
	if (is && p->cpu_event_count > 0 && c->set.roles == 0 && (!was || now_ns >= c->retry_ns)) {
		open_cpu(p, cpu, now_ns);
	}
	if (is && cpu >= p->cpu_count) {
		p->cpu_count = cpu + 1;
	}
}

void km_perf_cpus_refresh(struct km_perf *p, int64_t now_ns)
{
	struct km_cpuset now;
	bool changed;

	if (p->cpu_event_count == 0 && p->core_event_count == 0) {
		return;
	}
	if (read_online(p, &now) != 0) {
		p->stats.fault[KM_FAULT_GARBLED]++;
		now = p->online;
	}
	changed = memcmp(&now, &p->online, sizeof(now)) != 0;
	if (changed) {
		km_perf_kinds_read(p); /* their lists have no CPU that was never online */
	}
	for (unsigned cpu = 0; cpu < KM_CPU_MAX; cpu++) {
		bool was = km_cpuset_has(&p->online, cpu);
		bool is = km_cpuset_has(&now, cpu);

		follow_cpu(p, cpu, was, is, now_ns);
	}
	p->online = now;
	if (changed && open_cores(p, now_ns) != 0) {
		p->stats.fault[KM_FAULT_UNAVAILABLE]++;
	}
	for (size_t i = 0; i < p->core_count; i++) {
		if (p->core[i].set.roles == 0 && now_ns >= p->core[i].retry_ns) {
			open_core(p, &p->core[i], now_ns);
		}
	}
	if (p->has_tsc && (changed || (p->tsc.roles == 0 && now_ns >= p->tsc_retry_ns))) {
		open_tsc(p, now_ns);
	}
}

/* Once it is known it stays: the TSC is invariant wherever C-states are counted by it. */
static void read_tsc(struct km_perf *p, int64_t now_ns)
{
	struct km_perf_counts v;
	double per_ns;

	if (p->tsc.roles == 0) {
		return;
	}
	if (km_perf_set_read(p->sys, &p->tsc, &v, &p->stats) != 0) {
		open_tsc(p, now_ns);
		return;
	}
	per_ns = v.count[KM_PERF_TSC] / v.ns[KM_PERF_TSC];
	if (per_ns >= TSC_PER_NS_MIN && per_ns <= TSC_PER_NS_MAX) {
		p->tsc_per_ns = per_ns;
	}
}

/* A role's ticks as a share of its time; NaN, and a fault, for what no clock can give. */
static double share(struct km_perf *p, const struct km_perf_counts *v, enum km_perf_role role)
{
	double ticks = p->tsc_per_ns > 0 ? v->ns[role] * p->tsc_per_ns : NAN;
	double ratio = v->count[role] / ticks;

	if (ratio > KM_PERF_SHARE_MAX) {
		p->stats.fault[KM_FAULT_GARBLED]++;
		return NAN;
	}
	return ratio;
}

static double *row_of(struct km_perf *p, unsigned cpu)
{
	return p->space.cpu + (size_t)cpu * KM_COUNT_CPU_N;
}

static size_t read_cpu(struct km_perf *p, unsigned cpu, double elapsed_ns, int64_t now_ns)
{
	struct km_perf_cpu *c = &p->cpu[cpu];
	double *row = row_of(p, cpu);
	struct km_perf_counts v;

	c->c0_ratio = NAN;
	if (c->set.roles == 0) {
		return 0;
	}
	if (km_perf_set_read(p->sys, &c->set, &v, &p->stats) != 0) {
		km_perf_set_close(&p->budget, &c->set);
		c->retry_ns = now_ns;
		return 0;
	}
	c->c0_ratio =
		share(p, &v, has(c->set.roles, KM_PERF_MPERF) ? KM_PERF_MPERF : KM_PERF_REF_CYCLES);
	row[KM_COUNT_CYCLES] = v.count[KM_PERF_CYCLES];
	row[KM_COUNT_INSTRUCTIONS] = v.count[KM_PERF_INSTRUCTIONS];
	row[KM_COUNT_L2_MISS] = v.count[KM_PERF_L2_MISS];
	row[KM_COUNT_L3_MISS] = v.count[KM_PERF_L3_MISS];
	row[KM_COUNT_C0_NS] = c->c0_ratio * elapsed_ns;
	return !isnan(c->c0_ratio) || !isnan(v.count[KM_PERF_CYCLES]);
}

/* As PCM has it: C1 is what C0 and the deeper states leave, where those are known. */
static double c1_ratio(double c0, double c6, double deep)
{
	double left = 1 - c0 - c6 - deep;

	if (left < 1 - KM_PERF_SHARE_MAX) {
		return NAN;
	}
	return left < 0 ? 0 : left;
}

static size_t read_core(struct km_perf *p, struct km_perf_core *core, double elapsed_ns,
                        int64_t now_ns)
{
	struct km_perf_counts v;
	double c6;
	double deep;

	if (core->set.roles == 0) {
		return 0;
	}
	if (km_perf_set_read(p->sys, &core->set, &v, &p->stats) != 0) {
		km_perf_set_close(&p->budget, &core->set);
		core->retry_ns = now_ns;
		return 0;
	}
	c6 = share(p, &v, KM_PERF_C6);
	deep = has(core->set.roles, KM_PERF_C_DEEP) ? share(p, &v, KM_PERF_C_DEEP) : 0;
	km_cpuset_each (cpu, &core->cpus) {
		if (cpu < p->cpu_count && km_cpuset_has(&p->online, cpu)) {
			double c1 = c1_ratio(p->cpu[cpu].c0_ratio, c6, deep);

			row_of(p, cpu)[KM_COUNT_C6_NS] = c6 * elapsed_ns;
			row_of(p, cpu)[KM_COUNT_C1_NS] = c1 * elapsed_ns;
		}
	}
	return !isnan(c6);
}

size_t km_perf_cpus_read(struct km_perf *p, double elapsed_ns, int64_t now_ns)
{
	size_t given = 0;

	read_tsc(p, now_ns);
	for (unsigned cpu = 0; cpu < p->cpu_count; cpu++) {
		given += read_cpu(p, cpu, elapsed_ns, now_ns);
	}
	for (size_t i = 0; i < p->core_count; i++) {
		given += read_core(p, &p->core[i], elapsed_ns, now_ns);
	}
	return given;
}

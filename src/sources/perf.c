/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf: counters by perf_event_open, with CAP_PERFMON alone. What the kernel has no event for, or
 * gave no counter to, is NaN; CPUs may come and go. Reading a CPU's counters interrupts that CPU:
 * a read a tick for each CPU, and one for each core with C-states.
 */
#include "perf.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sources_internal.h"
#include "sysdir.h"

#define CORE_ROLES                                                                                 \
	(KM_PERF_BIT(KM_PERF_CYCLES) | KM_PERF_BIT(KM_PERF_INSTRUCTIONS) |                         \
	 KM_PERF_BIT(KM_PERF_REF_CYCLES) | KM_PERF_BIT(KM_PERF_L2_MISS) |                          \
	 KM_PERF_BIT(KM_PERF_L3_MISS))

static bool has(uint32_t roles, enum km_perf_role role)
{
	return (roles & KM_PERF_BIT(role)) != 0;
}

static bool knows_c0(const struct km_perf *p)
{
	return p->tsc.roles != 0 &&
	       (has(p->cpu_roles, KM_PERF_MPERF) || has(p->cpu_roles, KM_PERF_REF_CYCLES));
}

static void describe(const struct km_perf *p, char *out, size_t size)
{
	static const char *const l3[] = { "", "", ", L3 by the generic event" };
	const char *how = has(p->cpu_roles, KM_PERF_L3_MISS) ? l3[p->l3] : "";
	unsigned cpus = 0;
	unsigned cores = 0;

	if (p->first_only) {
		(void)snprintf(out, size, "%s %u/%u: %zu events a CPU%s%s%s%s%s", p->id.vendor,
		               p->id.family, p->id.model, p->cpu_event_count,
		               p->kind_count > 1 ? ", CPUs of several kinds" : "",
		               p->core_roles != 0 ? ", C-states" : "",
		               p->imc_count > 0 ? ", uncore_imc" : "", p->imc_note, how);
		return;
	}
	for (unsigned cpu = 0; cpu < p->cpu_count; cpu++) {
		cpus += p->cpu[cpu].set.roles != 0;
	}
	for (size_t i = 0; i < p->core_count; i++) {
		cores += p->core[i].set.roles != 0;
	}
	(void)snprintf(out, size, "%u of %u CPUs, %u cores, %zu uncore_imc%s%s", cpus,
	               km_cpuset_count(&p->online), cores, p->imc_count, p->imc_note, how);
}

void km_perf_offer(const struct km_perf *p, struct km_source_offer *out)
{
	static const struct {
		enum km_perf_role role;
		enum km_count count;
	} counts[] = {
		{ KM_PERF_CYCLES, KM_COUNT_CYCLES },
		{ KM_PERF_INSTRUCTIONS, KM_COUNT_INSTRUCTIONS },
		{ KM_PERF_L2_MISS, KM_COUNT_L2_MISS },
		{ KM_PERF_L3_MISS, KM_COUNT_L3_MISS },
	};

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < KM_ARRAY_LEN(counts); i++) {
		if (has(p->cpu_roles, counts[i].role)) {
			out->cpu |= KM_PERF_BIT(counts[i].count);
		}
	}
	if (knows_c0(p)) {
		out->cpu |= KM_PERF_BIT(KM_COUNT_C0_NS);
	}
	if (p->tsc.roles != 0 && has(p->core_roles, KM_PERF_C6)) {
		out->cpu |= KM_PERF_BIT(KM_COUNT_C6_NS);
		out->cpu |= knows_c0(p) ? KM_PERF_BIT(KM_COUNT_C1_NS) : 0;
	}
	if (p->imc_roles != 0) {
		out->host |=
			KM_PERF_BIT(KM_HOST_MEM_READ_BYTES) | KM_PERF_BIT(KM_HOST_MEM_WRITE_BYTES);
	}
	out->owns_pmu = (p->cpu_roles & CORE_ROLES) != 0;
	describe(p, out->note, sizeof(out->note));
}

/* Says what to do when the kernel said no. */
static int refused(const struct km_perf *p, int code, struct km_err *err)
{
	char path[PATH_MAX];
	char paranoid[16] = "unknown";

	if (km_sysdir_path(path, sizeof(path), "%s/sys/kernel/perf_event_paranoid", p->procfs) !=
	            0 ||
	    km_sysdir_value(path, paranoid, sizeof(paranoid)) < 0) {
		memcpy(paranoid, "unknown", sizeof("unknown"));
	}
	return km_err_set(err, code,
	                  "perf_event_open: %s, with kernel.perf_event_paranoid %s: want 0 or "
	                  "less, or CAP_PERFMON%s",
	                  code == EACCES ? "EACCES" : "EPERM", paranoid,
	                  code == EPERM ? " (and a seccomp profile that lets it pass)" : "");
}

static int nothing_there(const struct km_perf *p, bool core_events, struct km_err *err)
{
	switch (p->why) {
	case -EACCES:
	case -EPERM:
		return refused(p, -p->why, err);
	case 0:
	case -ENOENT:
	case -EINVAL:
	case -EOPNOTSUPP:
		if (p->imc_note[0] != '\0') {
			return km_err_set(err, ENOENT, "no PMU for core events%s", p->imc_note);
		}
		return km_err_set(
			err, ENOENT, "%s%.80s has no uncore_imc* and no cstate_core",
			core_events ? "no PMU in this machine (the kernel knows no event cycles); "
				    : "core events are not wanted, and ",
			p->sysfs);
	case -ENOSYS:
		return km_err_set(err, ENOSYS, "this kernel has no perf_event_open");
	default:
		return km_err_errno(err, -p->why, "perf_event_open");
	}
}

static bool gives_something(const struct km_perf *p, bool core_events)
{
	struct km_source_offer offer;

	km_perf_offer(p, &offer);
	if (core_events && offer.host == 0 && offer.cpu == KM_PERF_BIT(KM_COUNT_C0_NS)) {
		return false; /* MPERF alone does not make this a machine with counters */
	}
	return offer.cpu != 0 || offer.host != 0;
}

int km_perf_create(const struct km_source_args *args, const struct km_perf_sys *sys,
                   bool first_only, struct km_perf **out, struct km_err *err)
{
	bool core_events = args->live->perf_core_events;
	struct km_perf *p = calloc(1, sizeof(*p));
	int ret = -ENOMEM;

	*out = NULL;
	if (p == NULL) {
		(void)km_err_set(err, ENOMEM, "perf: out of memory");
		return -ENOMEM;
	}
	p->sys = sys;
	p->first_only = first_only;
	p->imc_note = "";
	p->last_ns = args->now_ns;
	km_perf_budget_init(&p->budget, sys);
	p->sysfs = strdup(args->live->sysfs);
	p->procfs = strdup(args->live->procfs);
	if (p->sysfs != NULL && p->procfs != NULL) {
		km_perf_cpus_plan(p, core_events);
		/* few descriptors for much, so first */
		ret = km_perf_imcs_open(p);
		ret = ret == 0 ? km_perf_cpus_open(p) : ret;
	}
	if (ret != 0) {
		ret = km_err_errno(err, -ret, "perf");
	} else if (!gives_something(p, core_events)) {
		ret = nothing_there(p, core_events, err);
	} else {
		*out = p;
		return 0;
	}
	km_perf_free(p);
	return ret;
}

void km_perf_free(struct km_perf *p)
{
	if (p == NULL) {
		return;
	}
	km_perf_imcs_close(p);
	km_perf_cpus_close(p);
	km_sample_space_fini(&p->space);
	free(p->sysfs);
	free(p->procfs);
	free(p);
}

int km_perf_read(struct km_perf *p, int64_t now_ns, km_sample_fn *emit, void *ctx,
                 struct km_err *err)
{
	double elapsed_ns = (double)(now_ns - p->last_ns);
	size_t given;

	km_perf_cpus_refresh(p, now_ns);
	if (km_sample_space_reset(&p->space, p->cpu_count) != 0) {
		return km_err_set(err, ENOMEM, "perf: out of memory");
	}
	given = km_perf_cpus_read(p, elapsed_ns, now_ns);
	given += km_perf_imcs_read(p, now_ns);
	p->space.sample.start_ns = p->last_ns;
	p->space.sample.end_ns = now_ns;
	if (p->started && given > 0 && now_ns > p->last_ns) {
		emit(ctx, &p->space.sample);
		p->stats.rows++;
	}
	p->started = true;
	p->last_ns = now_ns;
	describe(p, p->stats.note, sizeof(p->stats.note));
	return KM_SOURCE_LIVE;
}

static int perf_probe(const struct km_source_args *args, struct km_source_offer *out,
                      struct km_err *err)
{
	struct km_perf *p = NULL;
	int ret = km_perf_create(args, km_perf_sys_kernel(), true, &p, err);

	if (p != NULL) {
		km_perf_offer(p, out);
	}
	km_perf_free(p);
	return ret;
}

static int perf_open(const struct km_source_args *args, struct km_source **out, struct km_err *err)
{
	struct km_perf *p = NULL;
	int ret = km_perf_create(args, km_perf_sys_kernel(), false, &p, err);

	*out = p != NULL ? &p->base : NULL;
	return ret;
}

static int perf_read(struct km_source *s, int64_t now_ns, km_sample_fn *emit, void *ctx,
                     struct km_err *err)
{
	return km_perf_read((struct km_perf *)s, now_ns, emit, ctx, err);
}

static void perf_close(struct km_source *s)
{
	km_perf_free((struct km_perf *)s);
}

static void perf_stats(const struct km_source *s, struct km_source_stats *out)
{
	*out = ((const struct km_perf *)s)->stats;
}

const struct km_source_ops km_source_perf = {
	.name = "perf",
	.help = "core events, memory bandwidth and C-states by perf_event_open (CAP_PERFMON)",
	.live = true,
	.probe = perf_probe,
	.open = perf_open,
	.read = perf_read,
	.close = perf_close,
	.stats = perf_stats,
};

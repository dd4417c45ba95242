/* SPDX-License-Identifier: Apache-2.0 */
/* Whose CPU time it was. */
#include "usage.h"

#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "proc.h"
#include "rig_internal.h"

static double seconds_of(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec * 1e-6;
}

static double rusage_ns(int who)
{
	struct rusage r;

	if (getrusage(who, &r) != 0)
		return 0;
	return (seconds_of(&r.ru_utime) + seconds_of(&r.ru_stime)) * (double)KM_NS_PER_S;
}

/*
 * Of what the rig started, and of the lab itself. With groups, those of children that ended are in
 * the group's count; without, in that of the children waited for.
 */
static double own_ns(const struct km_rig *rig)
{
	double own = rusage_ns(RUSAGE_SELF);

	if (rig->groups.count > 0)
		return own + rig_groups_cpu_ns(&rig->groups);
	own += rusage_ns(RUSAGE_CHILDREN);
	for (size_t i = 0; i < rig->watched_count; i++)
		own += rig_proc_group_cpu_ns(rig->plan->collect.live.procfs,
		                             km_child_pid(rig->watched[i].child));
	for (size_t i = 0; i < rig->adopted_count; i++)
		own += rig_proc_cpu_ns(rig->plan->collect.live.procfs, rig->adopted[i]);
	return own;
}

static int open_os(struct km_rig *rig, struct km_err *err)
{
	static const struct km_source_settings settings = { .kind = "os" };
	const struct km_source_args args = {
		.settings = &settings,
		.live = &rig->plan->collect.live,
		.interval_ns = rig->plan->collect.interval_ns,
		.now_ns = rig_now_ns(),
	};

	return km_source_open(&args, &rig->usage.os, err);
}

static void nobody(void *ctx, const struct km_sample *sample)
{
	(void)ctx;
	(void)sample;
}

/* Do the experiment's nodes have their CPUs on this host? */
static bool here(const struct km_rig *rig)
{
	return rig->plan->mode == KM_PLAN_LOCAL || rig->plan->cluster.recorder_local;
}

int rig_usage_begin(struct km_rig *rig, struct km_err *err)
{
	struct rig_usage *u = &rig->usage;
	int rc = 0;

	if (!here(rig))
		return 0;
	/* anew each time: what lies between two windows is in none */
	km_source_close(u->os);
	u->os = NULL;
	rc = open_os(rig, err);
	if (rc == 0)
		rc = km_source_read(u->os, rig_now_ns(), nobody, NULL, err);
	if (rc < 0)
		return km_err_prefix(err, "usage of CPUs");
	u->begin_ns = rig_now_ns();
	u->own_begin_ns = own_ns(rig);
	return 0;
}

struct busy {
	const struct km_cpuset *target;
	double all_ns, target_ns;
};

static void add_busy(void *ctx, const struct km_sample *sample)
{
	struct busy *b = ctx;

	for (uint32_t cpu = 0; cpu < sample->cpu_count; cpu++) {
		double ns = km_sample_cpu(sample, cpu, KM_COUNT_BUSY_NS);

		if (isnan(ns))
			continue; /* offline */
		b->all_ns = (isnan(b->all_ns) ? 0 : b->all_ns) + ns;
		if (km_cpuset_has(b->target, cpu))
			b->target_ns = (isnan(b->target_ns) ? 0 : b->target_ns) + ns;
	}
}

void rig_usage_end(struct km_rig *rig, struct km_rig_usage *out)
{
	struct busy busy = { &rig->target_cpus, NAN, NAN };
	int64_t now = rig_now_ns();
	double elapsed = (double)(now - rig->usage.begin_ns);
	double own = own_ns(rig) - rig->usage.own_begin_ns;
	double cpus = (double)km_cpuset_count(&rig->target_cpus);

	if (out == NULL)
		return;
	*out = (struct km_rig_usage){ NAN, NAN, NAN, NAN, NAN };
	if (rig->usage.os == NULL || !(elapsed > 0))
		return;
	if (km_source_read(rig->usage.os, now, add_busy, &busy, NULL) < 0)
		busy = (struct busy){ &rig->target_cpus, NAN, NAN };
	out->seconds = elapsed / (double)KM_NS_PER_S;
	out->busy_cpus = busy.all_ns / elapsed;
	/* pods are nobody's children here: theirs and foreign time cannot be told apart */
	out->own_cpus = rig->plan->mode == KM_PLAN_LOCAL ? own / elapsed : NAN;
	out->foreign_cpus = out->busy_cpus - out->own_cpus;
	if (out->foreign_cpus < 0)
		out->foreign_cpus = 0;
	if (cpus > 0)
		out->target_utilisation = fmin(busy.target_ns / elapsed / cpus, 1);
}

void rig_usage_free(struct km_rig *rig)
{
	km_source_close(rig->usage.os);
	rig->usage.os = NULL;
}

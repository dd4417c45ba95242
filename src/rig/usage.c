/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose CPU time it was. Busy is what is not idle: the ticks that /proc/stat counts as busy miss
 * most of what a service does in bursts far shorter than a tick (measured at 500 requests a second
 * on an idle machine: 0.04 CPUs by ticks, 0.25 by idle time, 0.20 of them ours by control group).
 */
#include "usage.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "km/sources/cgroup.h"

#include "proc.h"
#include "rig_internal.h"

#define STAT_MAX ((size_t)4 << 20) /* interrupts of many CPUs make it long */

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

static int read_stat(const struct km_rig *rig, struct km_procstat *out, struct km_err *err)
{
	char path[PATH_MAX];
	struct km_buf text;
	int rc;

	(void)snprintf(path, sizeof(path), "%s/stat", rig->plan->collect.live.procfs);
	km_buf_init(&text);
	rc = km_pseudo_read(path, STAT_MAX, &text, err);
	if (rc == 0)
		rc = km_procstat_parse(text.data, text.len, out, err);
	km_buf_fini(&text);
	return rc;
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
	u->known = false;
	rc = read_stat(rig, &u->begin, err);
	if (rc != 0)
		return km_err_prefix(err, "usage of CPUs");
	u->known = true;
	u->begin_ns = rig_now_ns();
	u->own_begin_ns = own_ns(rig);
	return 0;
}

/* Seconds that the CPUs of a set, NULL = all, were idle, and that the hypervisor gave others. */
static void idle_of(const struct rig_usage *u, const struct km_cpuset *set, double *idle_s,
                    double *steal_s, double *cpus)
{
	const double tick_s = 1 / (double)sysconf(_SC_CLK_TCK);

	*idle_s = *steal_s = *cpus = 0;
	for (uint32_t cpu = 0; cpu < u->begin.cpu_count && cpu < u->end.cpu_count; cpu++) {
		const struct km_procstat_cpu *b = &u->begin.cpu[cpu];
		const struct km_procstat_cpu *e = &u->end.cpu[cpu];

		if (!b->online || !e->online || (set != NULL && !km_cpuset_has(set, cpu)))
			continue;
		/* either may step back by a tick */
		*idle_s += e->idle > b->idle ? (double)(e->idle - b->idle) * tick_s : 0;
		*steal_s += e->steal > b->steal ? (double)(e->steal - b->steal) * tick_s : 0;
		*cpus += 1;
	}
}

static double not_below_zero(double value)
{
	return value < 0 ? 0 : value; /* NaN stays */
}

void rig_usage_end(struct km_rig *rig, struct km_rig_usage *out)
{
	struct rig_usage *u = &rig->usage;
	double own_s = (own_ns(rig) - u->own_begin_ns) / (double)KM_NS_PER_S;
	double seconds = (double)(rig_now_ns() - u->begin_ns) / (double)KM_NS_PER_S;
	double idle_s;
	double steal_s;
	double cpus;

	if (out == NULL)
		return;
	*out = (struct km_rig_usage){ NAN, NAN, NAN, NAN, NAN };
	if (!u->known || !(seconds > 0) || read_stat(rig, &u->end, NULL) != 0)
		return;
	out->seconds = seconds;
	idle_of(u, NULL, &idle_s, &steal_s, &cpus);
	out->busy_cpus = not_below_zero(cpus - (idle_s + steal_s) / seconds);
	/* pods are nobody's children here: theirs and foreign time cannot be told apart */
	out->own_cpus = rig->plan->mode == KM_PLAN_LOCAL ? own_s / seconds : NAN;
	out->foreign_cpus = not_below_zero(out->busy_cpus - out->own_cpus);
	idle_of(u, &rig->target_cpus, &idle_s, &steal_s, &cpus);
	/* what the hypervisor took is not there to be used */
	if (cpus > 0)
		out->target_utilisation = not_below_zero(1 - idle_s / seconds / cpus);
}

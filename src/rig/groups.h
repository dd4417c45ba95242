/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups of one rig: kubemarla-lab-PID-START/NODE in every hierarchy that may be written,
 * v1 (cpuset, cpuacct, cpu), v2, or both. Named by the lab's process and its start, so that those
 * of a dead lab are known by anybody and removed. Where none may be made there are none, and why.
 */
#ifndef KM_RIG_GROUPS_H
#define KM_RIG_GROUPS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/core/settings.h"

#define RIG_HIERARCHIES_MAX 5
#define RIG_BASE_MAX        64
#define RIG_GROUP_PREFIX    "kubemarla-lab-"
#define RIG_GROUP_LOAD      "_load" /* no node is called so, nor as the next */
#define RIG_GROUP_LAB       "_lab"  /* what else is ours */

struct rig_hierarchy {
	char root[128]; /* "/sys/fs/cgroup/cpuset" */
	bool v2;
	bool cpuset;  /* CPUs may be set */
	bool usage;   /* CPU time may be read */
	bool no_load; /* SCHED_RR may be refused in a group of it: the generator stays out */
};

struct rig_groups {
	char base[RIG_BASE_MAX]; /* "" = there are none */
	struct rig_hierarchy hierarchy[RIG_HIERARCHIES_MAX];
	size_t count;
	bool cpuset;       /* CPUs are set by a group, not by affinity alone */
	char why_not[160]; /* nothing, or no cpuset: what the first one said */
};

/* cgroup.procs files of one group in all hierarchies, for km_child_spec. */
struct rig_entrance {
	char path[RIG_HIERARCHIES_MAX][PATH_MAX];
	const char *list[RIG_HIERARCHIES_MAX + 1];
};

/*
 * Makes the groups of node [node_count] and of the generator (load_cpus, NULL = anywhere) below
 * cgroupfs. base: rig_base_name's. Cannot fail: what is not possible is missing, and why_not says
 * why.
 */
void rig_groups_open(struct rig_groups *g, const char *cgroupfs, const char *base,
                     const struct km_node_settings *node, size_t node_count,
                     const struct km_cpuset *load_cpus);

/* Kills what is left in them, and removes them. */
void rig_groups_close(struct rig_groups *g);

/* Removes the groups of labs that are no more, with what still runs in them. */
void rig_groups_clear_dead(const char *cgroupfs, const char *procfs);

/* group: a node's name or RIG_GROUP_LOAD. returns out->list; empty when there are no groups. */
const char *const *rig_groups_entrance(const struct rig_groups *g, const char *group,
                                       struct rig_entrance *out);

/* Moves a process that runs already into RIG_GROUP_LAB. returns 0 or a negative errno. */
int rig_groups_adopt(const struct rig_groups *g, int pid, struct km_err *err) KM_MUST_CHECK;

/* CPU time of all groups together, in ns; NaN = not known. */
double rig_groups_cpu_ns(const struct rig_groups *g);

/* "cgroup v1 cpuset cpuacct cpu, v2" for people; "no control groups: CPU affinity only". */
void rig_groups_describe(const struct rig_groups *g, char *out, size_t size);

/* "kubemarla-lab-PID-START" of this process. returns 0 or a negative errno. */
int rig_base_name(const char *procfs, char *out, size_t size, struct km_err *err);

/* Is `name` such a name, and its process gone? */
bool rig_base_is_dead(const char *procfs, const char *name);

#endif

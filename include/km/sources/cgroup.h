/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A control group's files, wherever this machine mounts its hierarchies: v2 alone, v1 alone, or v1
 * with v2 under `unified`. A group is named by its path below the hierarchy's root, the same in all
 * of them ("kubepods.slice", "/docker/4f5e..."). Reads only; no file here can block.
 */
#ifndef KM_SOURCES_CGROUP_H
#define KM_SOURCES_CGROUP_H

#include <stddef.h>

#include "km/base/buf.h"
#include "km/base/cpuset.h"
#include "km/base/err.h"
#include "km/base/macros.h"

/*
 * Reads the text of a file of procfs, sysfs, cgroupfs or resctrl into out, which is cleared first.
 * Never waits: a FIFO in its place reads as empty. returns 0; -EFBIG beyond max_bytes; -ENOMEM;
 * another negative errno with the path in the text (-ENODEV: the group is being removed).
 */
int km_pseudo_read(const char *path, size_t max_bytes, struct km_buf *out,
                   struct km_err *err) KM_MUST_CHECK;

/* What of a group one can read. */
enum km_cgroup_file {
	KM_CGROUP_CPU_PRESSURE,
	KM_CGROUP_MEMORY_PRESSURE,
	KM_CGROUP_IO_PRESSURE,
	KM_CGROUP_CPU_STAT, /* of the hierarchy that has the CPU controller */
	KM_CGROUP_CPUS,     /* the CPUs the group may use, as a list */
	KM_CGROUP_FILE_N,
};

/*
 * Reads one of them into out. root: where cgroupfs is mounted (the parent of the v1 hierarchies).
 * returns 0; -ENOENT when no hierarchy has it, with the places looked at.
 */
int km_cgroup_read(const char *root, const char *group, enum km_cgroup_file file,
                   struct km_buf *out, struct km_err *err) KM_MUST_CHECK;

/* The group's CPUs. returns 0; -ENOENT; -EBADMSG for a text that is no CPU list. */
int km_cgroup_cpus(const char *root, const char *group, struct km_cpuset *out,
                   struct km_err *err) KM_MUST_CHECK;

#endif

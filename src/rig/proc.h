/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/stat: whose process, since when, how much CPU. */
#ifndef KM_RIG_PROC_H
#define KM_RIG_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "km/base/err.h"
#include "km/base/macros.h"

struct rig_proc {
	int64_t pgrp;
	int64_t cpu_ticks;   /* of USER_HZ; its own and its reaped children's */
	int64_t start_ticks; /* after boot: with the pid, unique until the next one */
};

/* The text of /proc/PID/stat; the command's name may hold anything. returns 0 or -EBADMSG. */
int rig_proc_parse(const char *text, size_t len, struct rig_proc *out) KM_MUST_CHECK;

/* returns 0; -ENOENT or -ESRCH when there is no such process. */
int rig_proc_read(const char *procfs, int64_t pid, struct rig_proc *out) KM_MUST_CHECK;

/* CPU time of one process, in ns; 0 when it is gone. */
double rig_proc_cpu_ns(const char *procfs, int64_t pid);

/* CPU time of all processes of a process group, in ns. */
double rig_proc_group_cpu_ns(const char *procfs, pid_t pgrp);

#endif

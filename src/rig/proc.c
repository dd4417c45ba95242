/* SPDX-License-Identifier: Apache-2.0 */
/* proc(5), /proc/PID/stat: fields by number after the command's last parenthesis. */
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "km/base/buf.h"
#include "km/base/clock.h"
#include "km/base/num.h"
#include "km/sources/cgroup.h"

#define STAT_MAX 4096

enum { FIELD_STATE = 3, FIELD_PGRP = 5, FIELD_UTIME = 14, FIELD_CSTIME = 17, FIELD_START = 22 };

int rig_proc_parse(const char *text, size_t len, struct rig_proc *out)
{
	const char *end = text + len;
	const char *p = memrchr(text, ')', len);
	int field = FIELD_STATE - 1;

	*out = (struct rig_proc){ .pgrp = 0 };
	while (p != NULL && p < end && field < FIELD_START) {
		const char *from;
		int64_t value;

		p++; /* the parenthesis, or a blank */
		from = p;
		while (p < end && *p != ' ' && *p != '\n')
			p++;
		if (p == from && field >= FIELD_STATE)
			return -EBADMSG;
		if (p == from)
			continue;
		field++;
		if (field == FIELD_STATE)
			continue;
		/* some of those in between are unsigned, and larger */
		if (km_num_int(from, (size_t)(p - from), &value) != 0)
			value = -1;
		if (field == FIELD_PGRP)
			out->pgrp = value;
		else if (field == FIELD_START)
			out->start_ticks = value;
		else if (field >= FIELD_UTIME && field <= FIELD_CSTIME)
			if (value < 0 ||
			    __builtin_add_overflow(out->cpu_ticks, value, &out->cpu_ticks))
				return -EBADMSG;
	}
	return field == FIELD_START && out->start_ticks >= 0 && out->pgrp >= 0 ? 0 : -EBADMSG;
}

int rig_proc_read(const char *procfs, int64_t pid, struct rig_proc *out)
{
	char path[PATH_MAX];
	struct km_buf text;
	int rc;

	(void)snprintf(path, sizeof(path), "%s/%lld/stat", procfs, (long long)pid);
	km_buf_init(&text);
	rc = km_pseudo_read(path, STAT_MAX, &text, NULL);
	if (rc == 0)
		rc = rig_proc_parse(text.len > 0 ? text.data : "", text.len, out);
	km_buf_fini(&text);
	return rc;
}

static double ticks_ns(int64_t ticks)
{
	return (double)ticks / (double)sysconf(_SC_CLK_TCK) * (double)KM_NS_PER_S;
}

double rig_proc_cpu_ns(const char *procfs, int64_t pid)
{
	struct rig_proc p;

	return rig_proc_read(procfs, pid, &p) == 0 ? ticks_ns(p.cpu_ticks) : 0;
}

double rig_proc_group_cpu_ns(const char *procfs, pid_t pgrp)
{
	DIR *dir = opendir(procfs);
	int64_t ticks = 0;
	struct dirent *e;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is our own */
	while (dir != NULL && (e = readdir(dir)) != NULL) {
		struct rig_proc p;
		int64_t pid;

		if (km_num_int(e->d_name, strlen(e->d_name), &pid) == 0 && pid > 0 &&
		    rig_proc_read(procfs, pid, &p) == 0 && p.pgrp == pgrp)
			ticks += p.cpu_ticks;
	}
	if (dir != NULL)
		(void)closedir(dir);
	return ticks_ns(ticks);
}

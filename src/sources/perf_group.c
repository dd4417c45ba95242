/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of perf events: opened with as few groups as the PMU allows, read with their times. */
#include "perf_group.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* 512 connections by default (limits.connections), and some for everything else. */
#define FDS_RESERVED ((size_t)640)

static int kernel_open(void *ctx, struct perf_event_attr *attr, int cpu, int group_fd)
{
	long fd = syscall(SYS_perf_event_open, attr, -1, cpu, group_fd,
	                  (unsigned long)PERF_FLAG_FD_CLOEXEC);

	(void)ctx;
	return fd < 0 ? -errno : (int)fd;
}

static ssize_t kernel_read(void *ctx, int fd, void *out, size_t size)
{
	ssize_t got;

	(void)ctx;
	do {
		got = read(fd, out, size);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static int kernel_enable(void *ctx, int fd)
{
	(void)ctx;
	return ioctl(fd, PERF_EVENT_IOC_ENABLE, PERF_IOC_FLAG_GROUP) == 0 ? 0 : -errno;
}

static void kernel_close(void *ctx, int fd)
{
	(void)ctx;
	(void)close(fd); /* nothing was written */
}

static size_t kernel_fd_limit(void *ctx)
{
	struct rlimit limit;

	(void)ctx;
	return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (size_t)limit.rlim_cur : 1024;
}

const struct km_perf_sys *km_perf_sys_kernel(void)
{
	static const struct km_perf_sys kernel = {
		.open = kernel_open,
		.enable = kernel_enable,
		.read = kernel_read,
		.close = kernel_close,
		.fd_limit = kernel_fd_limit,
	};
	return &kernel;
}

void km_perf_budget_init(struct km_perf_budget *b, const struct km_perf_sys *sys)
{
	size_t limit = sys->fd_limit(sys->ctx);

	b->sys = sys;
	b->used = 0;
	b->limit = limit > 2 * FDS_RESERVED ? limit - FDS_RESERVED : limit / 2;
}

/* returns 0 or a negative errno. */
static int open_event(struct km_perf_budget *b, struct km_perf_group *g, unsigned cpu,
                      const struct km_perf_event *event)
{
	struct perf_event_attr attr;
	int fd;

	if (b->used >= b->limit) {
		return -EMFILE;
	}
	memset(&attr, 0, sizeof(attr));
	attr.size = sizeof(attr);
	attr.type = event->type;
	attr.config = event->config[0];
	attr.config1 = event->config[1];
	attr.config2 = event->config[2];
	attr.disabled = g->count == 0; /* a leader waits until its group is complete */
	attr.read_format =
		PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
	fd = b->sys->open(b->sys->ctx, &attr, (int)cpu, g->count > 0 ? g->fd[0] : -1);
	if (fd < 0) {
		return fd;
	}
	b->used++;
	g->fd[g->count] = fd;
	g->role[g->count] = event->role;
	g->scale[g->count] = event->scale;
	g->pmu = event->pmu;
	g->count++;
	return 0;
}

static int add_group(struct km_perf_set *set)
{
	struct km_perf_group *grown =
		reallocarray(set->group, set->group_count + 1, sizeof(*grown));

	if (grown == NULL) {
		return -ENOMEM;
	}
	set->group = grown;
	memset(&grown[set->group_count++], 0, sizeof(*grown));
	return 0;
}

/* Into the last group if it goes there, else into one of its own. */
static int place_event(struct km_perf_budget *b, struct km_perf_set *set,
                       const struct km_perf_event *event)
{
	struct km_perf_group *last =
		set->group_count > 0 ? &set->group[set->group_count - 1] : NULL;
	int ret;

	if (last != NULL && last->pmu == event->pmu && last->count < KM_PERF_GROUP_MAX) {
		ret = open_event(b, last, set->cpu, event);
		/* more events than the PMU can count at once, or a PMU that has no groups */
		if (ret != -EINVAL && ret != -ENOSPC) {
			return ret;
		}
	}
	ret = add_group(set);
	if (ret == 0) {
		ret = open_event(b, &set->group[set->group_count - 1], set->cpu, event);
		if (ret != 0) {
			set->group_count--;
		}
	}
	return ret;
}

/* Does the code say that this PMU has no such event? */
static bool is_unsupported(int code)
{
	return code == -ENOENT || code == -EOPNOTSUPP || code == -EINVAL || code == -ENOSPC;
}

/*
 * Only once they are complete, as perf_event_open(2) has it: Linux 6.18 never starts some members
 * that join a leader which runs already, and reads them as 0 (test_sources_perf_kernel).
 */
static int enable_groups(struct km_perf_budget *b, struct km_perf_set *set)
{
	int ret = 0;

	for (uint32_t g = 0; ret == 0 && g < set->group_count; g++) {
		ret = b->sys->enable(b->sys->ctx, set->group[g].fd[0]);
	}
	if (ret != 0) {
		km_perf_set_close(b, set);
	}
	return ret;
}

int km_perf_set_open(struct km_perf_budget *b, unsigned cpu, const struct km_perf_event *events,
                     size_t count, struct km_perf_set *set, int *why)
{
	memset(set, 0, sizeof(*set));
	set->cpu = cpu;
	*why = 0;
	for (size_t i = 0; i < count; i++) {
		int ret = place_event(b, set, &events[i]);

		if (ret == 0) {
			set->roles |= UINT32_C(1) << events[i].role;
			continue;
		}
		*why = *why == 0 ? ret : *why;
		if (!is_unsupported(ret)) {
			km_perf_set_close(b, set);
			return ret;
		}
	}
	if (set->roles == 0) {
		km_perf_set_close(b, set);
		return -ENOENT;
	}
	return enable_groups(b, set);
}

void km_perf_set_close(struct km_perf_budget *b, struct km_perf_set *set)
{
	for (uint32_t g = 0; g < set->group_count; g++) {
		struct km_perf_group *group = &set->group[g];

		/* members before their leader, which would hand them on */
		for (uint32_t i = group->count; i > 0; i--) {
			b->sys->close(b->sys->ctx, group->fd[i - 1]);
			b->used--;
		}
	}
	free(set->group);
	set->group = NULL;
	set->group_count = 0;
	set->roles = 0;
}

/* returns 0; 1 for the baseline; -ENODEV when it cannot go on; else as km_perf_scale. */
static int read_group(const struct km_perf_sys *sys, struct km_perf_group *group, double *values,
                      double *elapsed_ns)
{
	uint64_t words[3 + KM_PERF_GROUP_MAX];
	struct km_perf_reading now;
	ssize_t got = sys->read(sys->ctx, group->fd[0], words, sizeof(words));
	int ret;

	if (got <= 0) {
		return -ENODEV; /* 0: the event is in error, ENODEV: its PMU is gone */
	}
	/* a CPU that went offline takes the members out of their group */
	if (km_perf_reading_parse(words, (size_t)got, group->count, &now) != 0) {
		return -ENODEV;
	}
	ret = group->have_last ? km_perf_scale(&group->last, &now, group->count, values) : 1;
	*elapsed_ns = (double)(now.enabled_ns - group->last.enabled_ns);
	group->last = now;
	group->have_last = true;
	return ret;
}

int km_perf_set_read(const struct km_perf_sys *sys, struct km_perf_set *set,
                     struct km_perf_counts *out, struct km_source_stats *stats)
{
	uint32_t unknown = ~set->roles;
	int gone = 0;

	memset(out, 0, sizeof(*out));
	for (uint32_t g = 0; g < set->group_count; g++) {
		struct km_perf_group *group = &set->group[g];
		double values[KM_PERF_GROUP_MAX];
		double elapsed_ns = 0;
		int ret = read_group(sys, group, values, &elapsed_ns);

		if (ret == -ENODEV) {
			stats->fault[KM_FAULT_VANISHED]++;
			unknown = UINT32_MAX;
			gone = -ENODEV;
			break;
		}
		stats->fault[KM_FAULT_UNAVAILABLE] += ret == -EAGAIN;
		stats->fault[KM_FAULT_BACKWARDS] += ret == -ERANGE;
		for (uint32_t i = 0; i < group->count; i++) {
			if (ret == 0) {
				out->count[group->role[i]] += values[i] * group->scale[i];
				out->ns[group->role[i]] = elapsed_ns;
			} else {
				unknown |= UINT32_C(1) << group->role[i];
			}
		}
	}
	for (unsigned r = 0; r < KM_PERF_ROLE_N; r++) {
		if ((unknown & UINT32_C(1) << r) != 0) {
			out->count[r] = NAN;
			out->ns[r] = NAN;
		}
	}
	return gone;
}

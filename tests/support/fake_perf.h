/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fake of the kernel's perf events, behind struct km_perf_sys. Its events count at the rates that
 * the test gives, by its clock; a PMU may be missing, crowded or refused, a CPU offline.
 */
#ifndef KM_TESTS_SUPPORT_FAKE_PERF_H
#define KM_TESTS_SUPPORT_FAKE_PERF_H

#include <errno.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "km/base/cpuset.h"

#include "sources/perf_group.h"

#define FAKE_PERF_EVENTS 16384
#define FAKE_PERF_FD     1000 /* the first descriptor */

struct fake_perf_event {
	bool open;
	bool dead;    /* its CPU went away */
	bool running; /* a member that joins a running leader never is */
	uint32_t type;
	uint64_t config;
	int cpu, leader; /* index of the group's leader, perhaps its own */
	uint32_t members;
	int member[KM_PERF_GROUP_MAX]; /* of a leader: in order, itself first */
	int64_t since_ns;
};

struct fake_perf {
	struct km_perf_sys sys;
	int64_t now_ns;
	/* counts a second while running; negative = the PMU has no such event */
	double (*rate)(uint32_t type, uint64_t config, int cpu);
	struct km_cpuset online;
	int refuse;            /* errno for every open, 0 = none */
	size_t fds_max;        /* of the process; open fails beyond what it says */
	size_t kernel_fds_max; /* of the system */
	uint32_t counters;     /* core events that fit into one group */
	double running_ratio;  /* of core events */
	size_t open_now, opens, reads;
	int next; /* where to look for a free event */
	struct fake_perf_event event[FAKE_PERF_EVENTS];
};

static inline bool fake_perf_is_core(uint32_t type)
{
	return type == PERF_TYPE_HARDWARE || type == PERF_TYPE_RAW;
}

static inline int fake_perf_open(void *ctx, struct perf_event_attr *attr, int cpu, int group_fd)
{
	struct fake_perf *f = ctx;
	int leader = group_fd - FAKE_PERF_FD;

	f->opens++;
	if (f->refuse != 0)
		return -f->refuse;
	if (!km_cpuset_has(&f->online, (unsigned)cpu))
		return -ENODEV;
	if (f->rate(attr->type, attr->config, cpu) < 0)
		return -ENOENT;
	if (f->open_now >= f->kernel_fds_max)
		return -ENFILE;
	if (group_fd >= 0 && fake_perf_is_core(attr->type) &&
	    f->event[leader].members >= f->counters)
		return -EINVAL;
	for (int k = 0; k < FAKE_PERF_EVENTS; k++) {
		int i = (f->next + k) % FAKE_PERF_EVENTS;
		struct fake_perf_event *e = &f->event[i];
		struct fake_perf_event *l;

		if (e->open)
			continue;
		*e = (struct fake_perf_event){ .open = true,
			                       .running = !attr->disabled && group_fd < 0,
			                       .type = attr->type,
			                       .config = attr->config,
			                       .cpu = cpu,
			                       .leader = group_fd >= 0 ? leader : i,
			                       .since_ns = f->now_ns };
		l = &f->event[e->leader];
		l->member[l->members++] = i;
		f->next = i + 1;
		f->open_now++;
		return FAKE_PERF_FD + i;
	}
	return -EMFILE;
}

/* A leader with its group. */
static inline int fake_perf_enable(void *ctx, int fd)
{
	struct fake_perf *f = ctx;
	const struct fake_perf_event *l = &f->event[fd - FAKE_PERF_FD];

	if (l->running)
		return 0;
	for (uint32_t i = 0; i < l->members; i++) {
		f->event[l->member[i]].running = true;
		f->event[l->member[i]].since_ns = f->now_ns;
	}
	return 0;
}

static inline ssize_t fake_perf_read(void *ctx, int fd, void *out, size_t size)
{
	struct fake_perf *f = ctx;
	int leader = fd - FAKE_PERF_FD;
	const struct fake_perf_event *l = &f->event[leader];
	uint64_t *words = out;
	uint64_t enabled = l->running ? (uint64_t)(f->now_ns - l->since_ns) : 0;
	double running = fake_perf_is_core(l->type) ? f->running_ratio : 1;

	f->reads++;
	if (l->dead)
		return -ENODEV;
	if (size < (3 + (size_t)l->members) * sizeof(words[0]))
		return -ENOSPC;
	for (uint32_t i = 0; i < l->members; i++) {
		const struct fake_perf_event *e = &f->event[l->member[i]];

		words[3 + i] = !e->running ? 0
		                           : (uint64_t)(f->rate(e->type, e->config, e->cpu) *
		                                        (double)enabled * 1e-9 * running);
	}
	words[0] = l->members;
	words[1] = enabled;
	words[2] = (uint64_t)((double)enabled * running);
	return (ssize_t)((3 + l->members) * sizeof(words[0]));
}

static inline void fake_perf_close(void *ctx, int fd)
{
	struct fake_perf *f = ctx;
	struct fake_perf_event *e = &f->event[fd - FAKE_PERF_FD];
	struct fake_perf_event *l = &f->event[e->leader];

	for (uint32_t i = 0, kept = 0; i < l->members; i++) {
		if (l->member[i] != fd - FAKE_PERF_FD)
			l->member[kept++] = l->member[i];
	}
	l->members--;
	e->open = false;
	f->open_now--;
}

static inline size_t fake_perf_fd_limit(void *ctx)
{
	return ((struct fake_perf *)ctx)->fds_max;
}

/* An idle kernel with CPUs 0..cpus-1, room for all events, at second 1. */
static inline void fake_perf_init(struct fake_perf *f, unsigned cpus,
                                  double (*rate)(uint32_t, uint64_t, int))
{
	memset(f, 0, sizeof(*f));
	f->sys = (struct km_perf_sys){ fake_perf_open,  fake_perf_enable,   fake_perf_read,
		                       fake_perf_close, fake_perf_fd_limit, f };
	f->now_ns = 1000000000;
	f->rate = rate;
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		km_cpuset_add(&f->online, cpu);
	f->fds_max = 1 << 20;
	f->kernel_fds_max = 1 << 20;
	f->counters = 8;
	f->running_ratio = 1;
}

/* A CPU goes offline: its events are dead for good. */
static inline void fake_perf_offline(struct fake_perf *f, unsigned cpu)
{
	f->online.word[cpu / 64] &= ~(UINT64_C(1) << cpu % 64);
	for (int i = 0; i < FAKE_PERF_EVENTS; i++)
		f->event[i].dead = f->event[i].dead || f->event[i].cpu == (int)cpu;
}

#endif

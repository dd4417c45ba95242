/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside sources: perf events opened and read. A set is all events of one kind on one CPU; it has
 * as many groups as the PMU makes it take. Everything goes through struct km_perf_sys.
 */
#ifndef KM_SOURCES_PERF_GROUP_H
#define KM_SOURCES_PERF_GROUP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "km/base/macros.h"
#include "km/sources/source.h"

#include "perf_event.h"
#include "perf_scale.h"

struct perf_event_attr;

/* What is asked of the kernel. Each function returns what it says, or a negative errno. */
struct km_perf_sys {
	int (*open)(void *ctx, struct perf_event_attr *attr, int cpu, int group_fd); /* fd */
	int (*enable)(void *ctx, int fd);                           /* a leader with its group: 0 */
	ssize_t (*read)(void *ctx, int fd, void *out, size_t size); /* bytes */
	void (*close)(void *ctx, int fd);
	size_t (*fd_limit)(void *ctx); /* how many descriptors the process may have open */
	void *ctx;
};

/* The kernel itself. */
const struct km_perf_sys *km_perf_sys_kernel(void);

struct km_perf_group {
	uint32_t count;
	int fd[KM_PERF_GROUP_MAX]; /* [0] leads */
	uint8_t role[KM_PERF_GROUP_MAX];
	double scale[KM_PERF_GROUP_MAX];
	uint8_t pmu;
	bool have_last;
	struct km_perf_reading last;
};

struct km_perf_set {
	unsigned cpu;
	uint32_t group_count;
	struct km_perf_group *group; /* [group_count], owned; NULL = not open */
	uint32_t roles;              /* bit per enum km_perf_role that is counted */
};

/* Descriptors that perf may still open. */
struct km_perf_budget {
	const struct km_perf_sys *sys;
	size_t used, limit;
};

/*
 * Leaves the rest of the process (listeners, connections, watches) 640 descriptors, or half of a
 * limit that is smaller.
 */
void km_perf_budget_init(struct km_perf_budget *b, const struct km_perf_sys *sys);

/*
 * Opens events on a CPU; *set is overwritten. What the PMU does not have is left out of roles.
 * returns 0 when at least one is open; -ENOENT when the PMU has none of them, with the reason of
 * the first; -EMFILE, -EACCES, -EPERM, -ENODEV, ... when it cannot be asked: nothing is open then.
 */
int km_perf_set_open(struct km_perf_budget *b, unsigned cpu, const struct km_perf_event *events,
                     size_t count, struct km_perf_set *set, int *why) KM_MUST_CHECK;
void km_perf_set_close(struct km_perf_budget *b, struct km_perf_set *set);

/* What a set counted since it was read before, by role; NaN = not counted, or not known. */
struct km_perf_counts {
	double count[KM_PERF_ROLE_N]; /* times the events' scales, summed over the set's events */
	double ns[KM_PERF_ROLE_N];    /* the time it was counted in, by the kernel's own clock */
};

/*
 * The first call takes the baseline. Faults are counted.
 * returns 0; -ENODEV when the set has to be closed: its CPU or PMU went away.
 */
int km_perf_set_read(const struct km_perf_sys *sys, struct km_perf_set *set,
                     struct km_perf_counts *out, struct km_source_stats *stats) KM_MUST_CHECK;

#endif

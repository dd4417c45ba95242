/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside sources: the arithmetic of perf's groups, pure. A group that had to share the PMU ran for
 * a part of the time it was enabled; what it counted then is scaled up to the whole, as the kernel
 * documents it for PERF_FORMAT_TOTAL_TIME_ENABLED and _RUNNING (perf_event_open(2)).
 */
#ifndef KM_SOURCES_PERF_SCALE_H
#define KM_SOURCES_PERF_SCALE_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/macros.h"

#define KM_PERF_GROUP_MAX 8

/*
 * A group that ran for less than this share of a tick is not known. Turns change every few
 * milliseconds: a twentieth of a second in a tick of one is some ten samples of it.
 */
#define KM_PERF_RUNNING_MIN_RATIO 0.05

/* One read of a group, since its events were opened. */
struct km_perf_reading {
	uint64_t enabled_ns, running_ns;
	uint64_t value[KM_PERF_GROUP_MAX];
};

/*
 * What read(2) gave for a group of `count` events: { nr, enabled, running, value[nr] }, 64 bits
 * each. returns 0; -EBADMSG for another size or number of events.
 */
int km_perf_reading_parse(const void *bytes, size_t len, uint32_t count,
                          struct km_perf_reading *out) KM_MUST_CHECK;

/*
 * out[count]: what each event counted between two readings, scaled to the time it was enabled.
 * returns 0; -ENODEV when it was not enabled for a moment (its CPU went away), -EAGAIN when it ran
 * for too small a part of it, -ERANGE when a count or a time ran backwards; out is NaN after each.
 */
int km_perf_scale(const struct km_perf_reading *before, const struct km_perf_reading *after,
                  uint32_t count, double *out) KM_MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts of procfs and of control groups, as numbers: pure functions over a buffer, which need
 * not end in NUL. Sources of the formats: proc(5), Documentation/accounting/psi.rst,
 * Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/cpuacct, scheduler/sched-bwc.rst.
 */
#ifndef KM_SOURCES_OS_PARSE_H
#define KM_SOURCES_OS_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/base/macros.h"
#include "km/sources/procstat.h"

/* The total of the "some" line of a pressure file, in microseconds. returns 0 or -EBADMSG. */
int km_pressure_parse(const char *text, size_t len, uint64_t *some_us,
                      struct km_err *err) KM_MUST_CHECK;

/*
 * Throttled time of a group's cpu.stat, v2 (throttled_usec) or v1 (throttled_time), in ns.
 * returns 0; -ENODATA when it has no such line (no CPU controller there); -EBADMSG.
 */
int km_throttled_parse(const char *text, size_t len, uint64_t *throttled_ns,
                       struct km_err *err) KM_MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A set of logical CPU numbers, in the kernel's list notation ("0-2,5"). */
#ifndef KM_BASE_CPUSET_H
#define KM_BASE_CPUSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/base/macros.h"

#define KM_CPU_MAX 1024

struct km_cpuset {
	uint64_t word[KM_CPU_MAX / 64];
};

/* Parses `text` (kernel cpuset(7) list format; "" = empty set). returns 0 or -EINVAL/-ERANGE. */
int km_cpuset_parse(const char *text, struct km_cpuset *out, struct km_err *err) KM_MUST_CHECK;

/* Appends the set in list notation. */
void km_cpuset_format(const struct km_cpuset *s, struct km_buf *out);

void km_cpuset_add(struct km_cpuset *s, unsigned cpu);
bool km_cpuset_has(const struct km_cpuset *s, unsigned cpu);
unsigned km_cpuset_count(const struct km_cpuset *s);
bool km_cpuset_intersects(const struct km_cpuset *a, const struct km_cpuset *b);

/* Lowest member >= from, or KM_CPU_MAX when there is none. */
unsigned km_cpuset_next(const struct km_cpuset *s, unsigned from);

/* NOLINTBEGIN(bugprone-macro-parentheses): `cpu` is the name of a variable to declare */
#define km_cpuset_each(cpu, set)                                                                   \
	for (unsigned cpu = km_cpuset_next((set), 0); cpu < KM_CPU_MAX;                            \
	     cpu = km_cpuset_next((set), cpu + 1))
/* NOLINTEND(bugprone-macro-parentheses) */

#endif

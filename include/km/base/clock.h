/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time as an argument: rooms get a clock, tests give them a fake one. Monotonic time measures
 * durations and ages; wall time appears only at the edges (logs, answers).
 */
#ifndef KM_BASE_CLOCK_H
#define KM_BASE_CLOCK_H

#include <stdint.h>

#define KM_NS_PER_S  INT64_C(1000000000)
#define KM_NS_PER_MS INT64_C(1000000)

struct km_clock {
	int64_t (*mono_ns)(void *ctx);
	int64_t (*wall_ns)(void *ctx); /* since 1970-01-01 UTC */
	void *ctx;
};

/* The system's clock; always valid, shared, never freed. */
const struct km_clock *km_clock_system(void);

static inline int64_t km_clock_mono_ns(const struct km_clock *c)
{
	return c->mono_ns(c->ctx);
}

static inline int64_t km_clock_wall_ns(const struct km_clock *c)
{
	return c->wall_ns(c->ctx);
}

#endif

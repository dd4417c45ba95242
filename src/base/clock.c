/* SPDX-License-Identifier: Apache-2.0 */
/* The system's two clocks behind struct km_clock. */
#include "km/base/clock.h"

#include <time.h>

static int64_t read_ns(clockid_t id)
{
	struct timespec now;

	(void)clock_gettime(id, &now); /* cannot fail for these two ids */
	return (int64_t)now.tv_sec * KM_NS_PER_S + now.tv_nsec;
}

static int64_t system_mono_ns(void *ctx)
{
	(void)ctx;
	return read_ns(CLOCK_MONOTONIC);
}

static int64_t system_wall_ns(void *ctx)
{
	(void)ctx;
	return read_ns(CLOCK_REALTIME);
}

const struct km_clock *km_clock_system(void)
{
	static const struct km_clock system_clock = {
		.mono_ns = system_mono_ns,
		.wall_ns = system_wall_ns,
	};

	return &system_clock;
}

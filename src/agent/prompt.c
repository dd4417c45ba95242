/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ticks that begin on time on a machine whose CPUs are all busy. Who may is a real-time thread of
 * the lowest priority: it runs for less than a millisecond a tick, waits for nothing, and the
 * kernel keeps a share of every CPU from all such threads. An ordinary thread waits its turn: some
 * milliseconds where the load is in another scheduling group, as other services and containers are,
 * tens where it is in ours (bench_agent). Asking for short turns (EEVDF's slice, Linux 6.12) was
 * tried twice: ticks are on time more often, and the worst are no better. Rates do not suffer:
 * samples carry their own times.
 */
#include <sched.h>

#include "km/base/log.h"

#include "agent_internal.h"

void agent_prompt(void)
{
	const struct sched_param lowest = { .sched_priority = sched_get_priority_min(SCHED_RR) };

	/* CAP_SYS_NICE or RLIMIT_RTPRIO. What sources start, threads and programs, is ordinary. */
	bool granted = sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &lowest) == 0;

	km_log_info("agent", "sampler scheduling=%s", granted ? "real-time" : "ordinary");
}

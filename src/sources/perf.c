/* SPDX-License-Identifier: Apache-2.0 */
/* The row of the source "perf". Without open() it is known by name and not in this build. */
#include "sources_internal.h"

const struct km_source_ops km_source_perf = {
	.name = "perf",
	.help = "perf_event_open: core events, memory bandwidth, C-states",
	.live = true,
};

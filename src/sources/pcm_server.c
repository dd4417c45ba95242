/* SPDX-License-Identifier: Apache-2.0 */
/* The row of the source "pcm-server". Without open() it is known by name and not in this build. */
#include "sources_internal.h"

const struct km_source_ops km_source_pcm_server = {
	.name = "pcm-server",
	.help = "a running pcm-sensor-server's /metrics",
	.live = true,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* The row of the source "resctrl". Without open() it is known by name and not in this build. */
#include "sources_internal.h"

const struct km_source_ops km_source_resctrl = {
	.name = "resctrl",
	.help = "L3 occupancy and memory bandwidth of resctrl's monitoring",
	.live = true,
};

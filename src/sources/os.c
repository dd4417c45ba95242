/* SPDX-License-Identifier: Apache-2.0 */
/* The row of the source "os". Without open() it is known by name and not in this build. */
#include "sources_internal.h"

const struct km_source_ops km_source_os = {
	.name = "os",
	.help = "the kernel's own accounting: /proc/stat, PSI, cgroups",
	.live = true,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* The row of the source "pcm". Without open() it is known by name and not in this build. */
#include "sources_internal.h"

const struct km_source_ops km_source_pcm = {
	.name = "pcm",
	.help = "Intel PCM through libpcm, in the helper kubemarla-pcm",
	.live = true,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/stat, any bytes; a command's name may be any. The text ends with its heap block. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rig/proc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size > 0 ? size : 1);
	struct rig_proc p;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	if (rig_proc_parse(text, size, &p) == 0 &&
	    (p.cpu_ticks < 0 || p.start_ticks < 0 || p.pgrp < 0))
		abort();
	free(text);
	return 0;
}

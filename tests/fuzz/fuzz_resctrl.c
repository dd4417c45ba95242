/* SPDX-License-Identifier: Apache-2.0 */
/* A monitoring value of resctrl, any bytes: what is taken for a number must print as it was. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sources/resctrl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	uint64_t value = 0;

	if (km_resctrl_parse(text, size, &value) == 0) {
		char again[32];
		size_t len;

		(void)snprintf(again, sizeof(again), "%" PRIu64, value);
		len = strlen(again);
		while (size > 1 && *text == '0') { /* leading zeros are legal */
			text++;
			size--;
		}
		if (size > 0 && text[size - 1] == '\n')
			size--;
		if (value != 0 && (size != len || memcmp(text, again, len) != 0))
			abort();
	}
	return 0;
}

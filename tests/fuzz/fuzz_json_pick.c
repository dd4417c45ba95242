/* SPDX-License-Identifier: Apache-2.0 */
/* wire/pick.c: any bytes; what is one value is walked by paths and as lists. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/wire/pick.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[] = { "a", "items", "metadata/name", "a/b/c", "", "/" };
	struct km_json_slice from;

	if (km_json_whole((const char *)data, size, &from, NULL) != 0)
		return 0;
	for (size_t i = 0; i < KM_ARRAY_LEN(paths); i++) {
		const struct km_json_slice value = km_json_pick(&from, paths[i]);
		struct km_json_items items = km_json_items(&value);
		struct km_json_slice item;
		char text[16];

		if (strlen(km_json_text(&value, text, sizeof(text))) >= sizeof(text))
			abort();
		(void)km_json_pick_integer(&from, paths[i], 0);
		while (km_json_next(&items, &item)) {
			if (item.text < value.text || item.text + item.len > value.text + value.len)
				abort();
		}
	}
	return 0;
}

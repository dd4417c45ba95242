/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON text of unknown shape as leaves: whatever comes, paths and values are printable and within
 * their bounds, and no JSON has none.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/wire/leaves.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void want_printable(const char *text, size_t max)
{
	size_t len = strlen(text);

	if (len >= max)
		abort();
	for (size_t i = 0; i < len; i++) {
		if (text[i] < ' ' || text[i] > '~')
			abort();
	}
}

static void look(void *ctx, const char *path, const char *value)
{
	++*(size_t *)ctx;
	want_printable(path, KM_LEAVES_PATH_MAX);
	want_printable(value, KM_LEAVES_VALUE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t count = 0;

	if (km_json_leaves((const char *)data, size, look, &count, NULL) == 0 && count > size)
		abort();
	return 0;
}

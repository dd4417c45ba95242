/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes config/tree.c, walk.c, values.c, items.c, validate.c: any bytes as a configuration. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "km/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct km_settings s;
	struct km_settings again;
	struct km_buf names;
	struct km_err err;

	if (km_config_parse("fuzz.yaml", (const char *)data, size, &s, &err) != 0)
		return 0;
	/* What is accepted once is accepted again and means the same. */
	if (km_config_parse("fuzz.yaml", (const char *)data, size, &again, &err) != 0)
		abort();
	km_buf_init(&names);
	if (km_config_frozen_changes(&s, &again, &names) != 0)
		abort();
	km_buf_fini(&names);
	km_settings_fini(&s);
	km_settings_fini(&again);
	return 0;
}

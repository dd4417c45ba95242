/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a run's record: what is accepted is written and read again as the same text. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/wire/run_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct km_err err = { .code = 0 };
	struct km_run_record r;
	struct km_buf first;
	struct km_buf second;

	if (km_run_record_decode((const char *)data, size, &r, &err) != 0) {
		if (err.text[0] == '\0')
			abort();
		return 0;
	}
	if (r.id[0] == '\0' || strchr(r.id, '/') != NULL || strchr(r.target_node, ',') != NULL)
		abort();
	km_buf_init(&first);
	km_buf_init(&second);
	km_run_record_encode(&r, &first);
	if (km_run_record_decode(first.data, first.len, &r, &err) != 0)
		abort();
	km_run_record_encode(&r, &second);
	if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0)
		abort();
	km_buf_fini(&first);
	km_buf_fini(&second);
	return 0;
}

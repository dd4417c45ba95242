/* SPDX-License-Identifier: Apache-2.0 */
/* The tool's reading of a daemon's answers: the daemon is trusted no more than anybody. */
#include <stdint.h>
#include <stdlib.h>

#include "km/wire/client_answers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_table(const char *body, size_t len)
{
	struct km_client_table t;

	km_client_table_init(&t);
	(void)!km_client_read_filter(&t, body, len, NULL);
	(void)!km_client_read_priorities(&t, body, len, NULL);
	(void)!km_client_read_nodes(&t, body, len, NULL);
	for (size_t i = 0; i < t.count; i++) {
		if (t.node[i].name == NULL)
			abort();
	}
	km_client_table_fini(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct km_client_decisions *d = malloc(sizeof(*d));

	if (d == NULL)
		return 0;
	km_client_decisions_init(d);
	if (km_client_read_decisions(d, (const char *)data, size, NULL) == 0) {
		if (d->count > KM_CLIENT_DECISIONS_MAX)
			abort();
		for (size_t i = 0; i < d->count; i++) {
			if (d->decision[i].reason_count > KM_CLIENT_REASONS_MAX)
				abort();
		}
	}
	km_client_decisions_fini(d);
	free(d);
	read_table((const char *)data, size);
	return 0;
}

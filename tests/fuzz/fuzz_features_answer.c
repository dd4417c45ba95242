/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's /v1/features: whatever it says, rows are of the schema's shape and hold numbers. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "km/base/macros.h"
#include "km/wire/features.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "node.ipc.mean", "node.c0_ratio.p95", "pod.rps",
		                             "host.mem_read_bytes_per_s.mean" };
	struct km_features_answer a;
	struct km_features_reader *r;
	struct km_schema *schema;
	struct km_arena arena;

	if (km_schema_create(names, KM_ARRAY_LEN(names), 60, 5, &schema, NULL) != 0 ||
	    km_features_reader_create(schema, &r) != 0)
		abort();
	km_arena_init(&arena, 0);
	if (km_features_read_answer(r, (const char *)data, size, &arena, &a, NULL) == 0) {
		for (size_t i = 0; i < a.count; i++) {
			const struct km_features_node *n = &a.node[i];

			if (n->name.len == 0 || n->age_s < 0 || n->tier > KM_TIER_NONE ||
			    !isnan(n->row[2]))
				abort();
			for (size_t f = 0; f < KM_ARRAY_LEN(names); f++) {
				if (isinf(n->row[f]))
					abort();
			}
		}
	}
	km_arena_fini(&arena);
	km_features_reader_free(r);
	km_schema_unref(schema);
	return 0;
}

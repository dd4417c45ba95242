/* SPDX-License-Identifier: Apache-2.0 */
/* Reference-counted feature rows of one host. */
#include "km/core/host_features.h"

#include <math.h>
#include <stdlib.h>

struct km_host_features *km_host_features_create(const struct km_schema *schema,
                                                 uint32_t node_count)
{
	size_t values = (size_t)node_count * schema->count;
	struct km_host_features *h;

	if (node_count != 0 && values / node_count != schema->count) {
		return NULL;
	}
	if (values > (SIZE_MAX - sizeof(*h)) / sizeof(h->row[0])) {
		return NULL;
	}
	h = calloc(1, sizeof(*h) + values * sizeof(h->row[0]));
	if (h == NULL) {
		return NULL;
	}
	atomic_init(&h->refs, 1);
	h->schema = km_schema_ref(schema);
	h->node_count = node_count;
	h->tier = KM_TIER_NONE;
	for (size_t i = 0; i < values; i++) {
		h->row[i] = NAN;
	}
	return h;
}

struct km_host_features *km_host_features_ref(struct km_host_features *h)
{
	atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
	return h;
}

void km_host_features_unref(struct km_host_features *h)
{
	/* acq_rel: the last holder must see every write made under the other references */
	if (h == NULL || atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) != 1) {
		return;
	}
	km_readings_unref(h->readings);
	km_schema_unref(h->schema);
	free(h);
}

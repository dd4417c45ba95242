/* SPDX-License-Identifier: Apache-2.0 */
/* Reference-counted readings of one host. */
#include "km/core/readings.h"

#include <math.h>
#include <stdlib.h>

struct km_readings *km_readings_create(uint32_t node_count, uint32_t cpu_count)
{
	size_t values = ((size_t)1 + node_count + cpu_count) * KM_METRIC_N;
	struct km_readings *r = calloc(1, sizeof(*r) + values * sizeof(r->value[0]));

	if (r == NULL) {
		return NULL;
	}
	atomic_init(&r->refs, 1);
	r->node_count = node_count;
	r->cpu_count = cpu_count;
	for (size_t i = 0; i < values; i++) {
		r->value[i] = NAN;
	}
	return r;
}

struct km_readings *km_readings_ref(struct km_readings *r)
{
	atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
	return r;
}

void km_readings_unref(struct km_readings *r)
{
	/* acq_rel: the last holder must see every write made under the other references */
	if (r != NULL && atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1) {
		free(r);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an answer of Prometheus: its texts are within the body or the arena. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "km/wire/prometheus.h"

#define SERIES_MAX 50

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads each byte of a text, for whoever watches memory. */
static size_t sum(struct km_name n)
{
	size_t total = 0;

	for (uint32_t i = 0; i < n.len; i++)
		total += (unsigned char)n.text[i];
	return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct km_prometheus_answer a;
	struct km_err err = { .code = 0 };
	struct km_arena arena;
	size_t total = 0;
	bool several;
	int rc;

	km_arena_init(&arena, 0);
	rc = km_prometheus_decode((const char *)data, size, SERIES_MAX, &arena, &a, &err);
	if ((rc != 0) != (err.text[0] != '\0') || (rc != 0 && a.count != 0) || a.count > SERIES_MAX)
		abort();
	for (size_t i = 0; i < a.count; i++) {
		if (a.series[i].label_count > KM_PROMETHEUS_LABELS_MAX)
			abort();
		for (size_t k = 0; k < a.series[i].label_count; k++)
			total += sum(a.series[i].label[k].name) + sum(a.series[i].label[k].value);
		(void)km_prometheus_label(&a.series[i], "node");
	}
	if (isinf(km_prometheus_number(&a, &several)) || (several && a.count + a.left_out < 2))
		abort();
	km_arena_fini(&arena);
	return total == SIZE_MAX;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCM's CSV, any bytes: split into lines as replay does, fed to the reader, and what it takes for
 * samples folded into windows and read as features. Looks for crashes, for samples whose time goes
 * back, and for rows that are neither NaN nor finite.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/macros.h"
#include "km/core/feature.h"
#include "km/sources/pcm_csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
	"node.ipc.mean",
	"node.ipc.std",
	"node_min.l2_miss_per_s.p5",
	"node_spread.c0_ratio.max",
	"rest.l3_per_l2.p95",
	"node_vs_peer.l2_miss_per_active_s.mean",
	"spare.work_ratio.mean",
	"host.mem_read_bytes_per_s.std",
	"host.l3_occupancy_bytes.mean",
	"node.l2_mpki.mean",
};

static struct km_features *make_features(void)
{
	static struct km_schema *schema;
	struct km_features *f = NULL;
	struct km_cpuset nodes[2];

	if (schema == NULL &&
	    km_schema_create(names, KM_ARRAY_LEN(names), 10, 1, &schema, NULL) != 0) {
		abort();
	}
	if (km_cpuset_parse("0", &nodes[0], NULL) != 0 ||
	    km_cpuset_parse("1-2", &nodes[1], NULL) != 0 ||
	    km_features_create(schema, nodes, 2, &f, NULL) != 0) {
		abort();
	}
	return f;
}

static void check_rows(const struct km_features *f)
{
	for (size_t node = 0; node < 2; node++) {
		double row[KM_ARRAY_LEN(names)];

		(void)km_features_read(f, node, row);
		for (size_t i = 0; i < KM_ARRAY_LEN(names); i++) {
			if (isinf(row[i])) {
				abort();
			}
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data;
	const char *end = at + size;
	struct km_features *f = make_features();
	struct km_pcm_csv *p = NULL;
	int64_t last_end_ns = INT64_MIN;

	if (km_pcm_csv_create(&p) != 0) {
		abort();
	}
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline != NULL ? newline : end;
		struct km_sample sample;
		struct km_err err;
		int row = km_pcm_csv_line(p, at, (size_t)(stop - at), &sample, &err);

		if (row < 0) {
			break;
		}
		if (row == KM_PCM_ROW_SAMPLE) {
			if (sample.end_ns <= last_end_ns) {
				abort();
			}
			last_end_ns = sample.end_ns;
			if (km_features_push(f, &sample) > 0) {
				check_rows(f);
			}
		}
		at = newline != NULL ? newline + 1 : end;
	}
	km_pcm_csv_free(p);
	km_features_free(f);
	return 0;
}

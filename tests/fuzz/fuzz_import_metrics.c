/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nginx_metrics.csv, any bytes. Looks for crashes, for runs whose names could leave a folder, and
 * for tables that are made of runs without a trace.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "experiment/import_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void skip(void *ctx, const char *what, const char *why)
{
	(*(size_t *)ctx)++;
	must(what[0] != '\0' && why[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct km_import_options o = { .cpus = { "0-2", "3,5" }, .single_on = 2 };
	struct km_import_stats stats = { .runs = 0 };
	size_t skipped = 0;
	struct import_set set = { .skip = skip, .ctx = &skipped };
	struct km_buf runs;
	struct km_buf pairs;
	size_t usable = 0;

	km_buf_init(&runs);
	km_buf_init(&pairs);
	/* relating runs is quadratic: few of them find what many would */
	if (size < 8192 && import_metrics("fuzz", 2, (const char *)data, size, &set, NULL) == 0) {
		for (size_t i = 0; i < set.count; i++) {
			struct import_run *r = &set.run[i];

			must(strchr(r->test, '/') == NULL && r->test[0] != '.' && r->rps > 0 &&
			     r->replicas[0] + r->replicas[1] > 0);
			r->traced = i % 5 != 4;
			r->c0[0] = i % 3 == 0 ? 0.5 : 0.1;
			r->c0[1] = i % 3 == 1 ? 0.5 : 0.1;
			usable += r->traced;
		}
		import_relate(&set);
		import_tables(&set, &o, &runs, &pairs, &stats);
		must(stats.runs <= usable && stats.rows <= 2 * stats.runs);
		must(km_buf_ok(&runs) && km_buf_ok(&pairs));
	}
	free(set.run);
	km_buf_fini(&runs);
	km_buf_fini(&pairs);
	return 0;
}

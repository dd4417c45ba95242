/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a file of co-runs. What opens has finite numbers, rows in order, ids in range, names
 * that end, and mirrors that mirror; what does not says file and reason in one line.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "km/dataset/corun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_row(const struct km_corun *c, const struct km_corun_row *row, size_t count,
                      size_t i)
{
	const struct km_corun_row *r = &row[i];

	if (r->platform >= km_corun_platforms(c) || r->workload >= km_corun_workloads(c) ||
	    r->neighbour >= km_corun_workloads(c))
		abort();
	if (!isfinite(r->log_alone) || !isfinite(r->log_slowdown))
		abort();
	if (i > 0 && (r->platform < r[-1].platform ||
	              (r->platform == r[-1].platform && r->workload < r[-1].workload)))
		abort();
	if (r->mirror != KM_CORUN_NONE &&
	    (r->mirror >= count || row[r->mirror].workload != r->neighbour ||
	     row[r->mirror].neighbour != r->workload || row[r->mirror].mirror != i))
		abort();
	if (isnan(km_corun_alone(c, r->platform, r->workload)) ||
	    strlen(km_corun_workload(c, r->workload)) > KM_CORUN_NAME_MAX ||
	    strlen(km_corun_platform(c, r->platform)) > KM_CORUN_NAME_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int file = -1;
	static char path[64];
	struct km_err err = { .code = 0 };
	struct km_corun *c = NULL;
	int rc;

	if (file < 0) {
		file = memfd_create("co-runs", 0);
		if (file < 0)
			abort();
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	}
	if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != (ssize_t)size)
		abort();
	rc = km_corun_open(path, &c, &err);
	if (rc == 0) {
		size_t count;
		const struct km_corun_row *row = km_corun_rows(c, &count);

		for (size_t i = 0; i < count; i++)
			check_row(c, row, count, i);
	} else if (c != NULL || err.code != -rc || err.text[0] == '\0' ||
	           strchr(err.text, '\n') != NULL) {
		abort();
	}
	km_corun_free(c);
	return 0;
}

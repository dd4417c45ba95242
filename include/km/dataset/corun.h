/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recorded co-runs: how long a workload takes alone on a platform and beside one neighbour. A CSV
 * file, plain or gzip, with the columns platform, workload, neighbour, alone_ms, with_neighbour_ms;
 * further ones are not read. Names are any texts.
 *
 * Immutable once open; any thread may read it.
 */
#ifndef KM_DATASET_CORUN_H
#define KM_DATASET_CORUN_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"

#define KM_CORUN_ROWS_MAX (4u << 20)
#define KM_CORUN_NAME_MAX 64 /* bytes of a platform's or workload's name, at most */
#define KM_CORUN_NONE     UINT32_MAX

struct km_corun;

struct km_corun_row {
	uint32_t platform, workload, neighbour; /* ids */
	uint32_t mirror;     /* the row of the same two the other way round, or KM_CORUN_NONE */
	double log_alone;    /* ln ms */
	double log_slowdown; /* ln (with_neighbour_ms / alone_ms) */
};

struct km_corun_stats {
	size_t lines;
	size_t repeated;  /* lines of a pair that was there already: the mean of ln is taken */
	size_t differ;    /* of them, with another result, of two workloads: measured again */
	size_t unusable;  /* a time is empty or 0 */
	double repeat_sd; /* of one measurement of ln slowdown, from those; NaN = none */
};

/*
 * returns 0 and *out owned; -ENOENT, -EBADMSG (file, line, column, what was seen and wanted),
 * -ENODATA (not one usable row), -E2BIG, -ENOMEM.
 */
int km_corun_open(const char *path, struct km_corun **out, struct km_err *err) KM_MUST_CHECK;
void km_corun_free(struct km_corun *c); /* NULL allowed */

/* By platform, then workload, then neighbour, each by id. */
const struct km_corun_row *km_corun_rows(const struct km_corun *c, size_t *count);
void km_corun_stats(const struct km_corun *c, struct km_corun_stats *out);

/* Ids are 0 .. count - 1, in the order in which the file names them. Names are borrowed. */
uint32_t km_corun_platforms(const struct km_corun *c);
uint32_t km_corun_workloads(const struct km_corun *c);
const char *km_corun_platform(const struct km_corun *c, uint32_t id);
const char *km_corun_workload(const struct km_corun *c, uint32_t id);

/* ln ms that a workload takes alone on a platform; NaN = the file does not say. */
double km_corun_alone(const struct km_corun *c, uint32_t platform, uint32_t workload);

#endif

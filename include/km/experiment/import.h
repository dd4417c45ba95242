/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Others' recordings as a dataset of ours: the folder layout of G. Georgakopoulos' diploma thesis
 * (NTUA 2025), which this project began with. The data itself is not ours and not here.
 *
 *   <campaign>/nginx_metrics.csv              a line a run: load, latencies, what interfered
 *   <campaign>/pcm_core_<Test_ID>.csv         its counters by core
 *   <campaign>/pcm_system_<Test_ID>.csv       and of the memory
 *
 * What is not said there is found or left out: on which node interference ran is told by whose C0
 * share rose (docs/MODEL.md). One thread.
 */
#ifndef KM_EXPERIMENT_IMPORT_H
#define KM_EXPERIMENT_IMPORT_H

#include <stddef.h>

#include "km/base/err.h"
#include "km/base/macros.h"

struct km_import_options {
	const char *from;    /* a campaign's folder, or one of such */
	const char *out;     /* made if it is not there; must hold no runs.csv */
	const char *cpus[2]; /* of node1 and node2, as CPU lists */
	unsigned single_on;  /* 1 or 2: the node that hosts a service of one node */
	/* What is not used, and why; in the order of the folder. NULL = nobody asks. */
	void (*skipped)(void *ctx, const char *what, const char *why);
	/* Before each trace; other than 0 stops with -EINTR. NULL = never. */
	int (*progress)(void *ctx, size_t done, size_t all);
	void *ctx;
};

struct km_import_stats {
	size_t campaigns, runs, rows, pairs, skipped;
	size_t no_memory_traffic; /* runs without a system file: their rows have no bandwidth */
};

/*
 * Reads `from`, writes out/runs.csv, out/pairs.csv and out/traces/. The tables come last, so a
 * folder with runs.csv is whole.
 * returns 0; -ENOENT when there is no campaign; -ENODATA when not one run can be used; -EEXIST when
 * out has a runs.csv; -EINTR; another errno.
 */
int km_import(const struct km_import_options *options, struct km_import_stats *stats,
              struct km_err *err) KM_MUST_CHECK;

#endif

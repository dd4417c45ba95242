/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the import: a run as its lines tell it, then with what its trace adds. */
#ifndef KM_EXPERIMENT_IMPORT_INTERNAL_H
#define KM_EXPERIMENT_IMPORT_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/cpuset.h"
#include "km/experiment/import.h"

#define IMPORT_NAME_MAX  96 /* of a campaign, a test or an interference; with its NUL */
#define IMPORT_KINDS     3  /* cpu, l3, membw */
#define IMPORT_PODS_MAX  99
#define IMPORT_RUNS_MAX  20000
#define IMPORT_BYTES_MAX ((size_t)64 << 20) /* of one nginx_metrics.csv */

enum import_place { IMPORT_QUIET, IMPORT_NODE1, IMPORT_NODE2, IMPORT_UNKNOWN };

struct import_run {
	char campaign[IMPORT_NAME_MAX], test[IMPORT_NAME_MAX], name[IMPORT_NAME_MAX];
	unsigned pods[IMPORT_KINDS];
	unsigned replicas[2]; /* on node1, on node2 */
	double rps, throughput, errors;
	double avg_ms, p50_ms, p90_ms, p95_ms, p99_ms, max_ms;
	/* by its trace */
	bool traced;
	double c0[2]; /* mean C0 share of each node's cores; NaN = not measured */
	double interval_s;
	int64_t start_ns;
	/* by all runs together */
	enum import_place place;             /* of the interference */
	double baseline_ms, own_baseline_ms; /* NaN = none */
};

typedef void import_skip_fn(void *ctx, const char *what, const char *why);

struct import_set {
	struct import_run *run; /* [count] */
	size_t count, cap;
	import_skip_fn *skip; /* is told what is not used */
	void *ctx;
};

/*
 * Adds the runs of an nginx_metrics.csv; lines that cannot be used are told to skip.
 * returns 0; -EBADMSG when a column is missing; -E2BIG; -ENOMEM.
 */
int import_metrics(const char *campaign, unsigned single_on, const char *text, size_t len,
                   struct import_set *set, struct km_err *err) KM_MUST_CHECK;

/* "2_iBench_CPU_pods", "1_CPU_2_MemBW", "Baseline1". returns false for anything else. */
bool import_pods(const char *name, size_t len, unsigned *pods);

/* "3", "balanced_2" (on each node), "weighted_1_2". returns false for anything else. */
bool import_replicas(const char *text, size_t len, unsigned single_on, unsigned *replicas);

/*
 * Both files of PCM's as one trace of ours, appended to csv; system NULL = there is none. The first
 * and the last row are left out: they are partial. Fills r->c0, interval_s and start_ns.
 */
int import_trace(const char *core, const char *system, const struct km_cpuset *node,
                 struct import_run *r, struct km_buf *csv, struct km_err *err) KM_MUST_CHECK;

/* Baselines, and where the interference was: by the runs that have a trace. */
void import_relate(struct import_set *set);

/* runs.csv and pairs.csv of what is known well enough; the rest is told to skip. Counts rows. */
void import_tables(const struct import_set *set, const struct km_import_options *o,
                   struct km_buf *runs, struct km_buf *pairs, struct km_import_stats *stats);

static inline bool import_is_quiet(const struct import_run *r)
{
	return r->pods[0] + r->pods[1] + r->pods[2] == 0;
}

#endif

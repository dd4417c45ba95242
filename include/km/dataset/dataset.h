/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recorded runs as labelled rows: a folder with runs.csv, traces (`pcm -csv`, or our own) and, for
 * placement, pairs.csv. Every counter feature comes from core/feature.c, the code the daemon runs.
 *
 *   runs.csv --> runs --> traces --> views (feature rows by host layout and window)
 *   pairs.csv --> rows: which view a scheduler would have seen, and what came of it
 *
 * A folder is read once; what is unusable is counted, with the first reason. One thread at a time
 * while it opens; afterwards it is read-only, for any thread.
 */
#ifndef KM_DATASET_DATASET_H
#define KM_DATASET_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/core/schema.h"

/*
 * The tables are read as a stream: what stays is sizeof(struct km_dataset_row) = 68 bytes a row, in
 * an array that doubles, and windows x layouts x features x 4 bytes for each node of a trace that a
 * row needs. Ten million pairs over the recorded traces are below 1 GB.
 */
#define KM_DATASET_ROWS_MAX    (16u << 20)
#define KM_DATASET_WINDOWS_MAX 16 /* feature rows kept of one trace */

struct km_dataset;

/* What the host around a node looks like: the same trace, seen as other clusters would see it. */
enum km_layout_kind {
	KM_LAYOUT_RECORDED, /* another node on the host (peer), and CPUs of no node (spare) */
	KM_LAYOUT_ONE_NODE, /* the other node's CPUs count as spare */
	KM_LAYOUT_ALONE,    /* the node is the host: nothing outside; bandwidth stays the machine's,
	                       counts of all its tasks are not known */
	KM_LAYOUT_N,
};

const char *km_layout_kind_name(enum km_layout_kind l); /* "recorded", "oneNode", "alone" */

enum km_row_kind {
	KM_ROW_DIAGNOSIS, /* counters while the pod ran */
	KM_ROW_LIGHTER,   /* before: the same node and mix with less of the service on it */
	KM_ROW_EMPTY,     /* before: a node without the service */
	KM_ROW_INFLIGHT,  /* before: as LIGHTER, and with 1..3 pods fewer, which are on their way */
	KM_ROW_KIND_N,
};

const char *km_row_kind_name(enum km_row_kind k);

/* One labelled decision. Names are ids: km_dataset_name. */
struct km_dataset_row {
	uint32_t view;                       /* of the counters seen before */
	uint32_t campaign, family, scenario; /* of the run that gives the label */
	/* of the run the counters are from */
	uint32_t before_campaign, before_family, before_scenario;
	uint8_t kind;                /* enum km_row_kind */
	bool score;                  /* for evaluation too; else for training only */
	bool remote;                 /* the interference is on the other node of the host */
	uint8_t inflight[3];         /* pods on their way: cpu, l3, membw */
	float rps, replicas;         /* of the service on the node once the pod is there */
	float rps_now, replicas_now; /* before; 0 = none of it */
	float slowdown;              /* measured p99 / p99 without interference */
	float norm_perf; /* for scoring: 1/slowdown, but exactly 1 for runs without interference */
	float weight;
	float p99_ms; /* measured with the label; NaN = the table does not say */
};

struct km_dataset_options {
	const char *dir;
	const char *pairs; /* NULL = dir/pairs.csv; read for placement only */
	const struct km_schema *schema;
	bool placement; /* rows are pairs; else the runs themselves */
	bool inflight;  /* add INFLIGHT rows, made from runs of one campaign */
	/* Called now and then, with how much of the traces is read. NULL = never. */
	void (*progress)(void *ctx, size_t done, size_t all);
	void *ctx;
};

/* What became of the folder's lines. */
struct km_dataset_stats {
	size_t runs;         /* lines of runs.csv */
	size_t traces;       /* read */
	size_t windows;      /* feature rows made from them */
	size_t no_trace;     /* runs whose trace is missing, unreadable or too short */
	size_t no_label;     /* lines without baseline or measured latency */
	size_t no_run;       /* pairs that name an unknown run */
	char first_bad[192]; /* why the first of them is not used; "" = none */
};

/*
 * Reads a folder. returns 0 and *out owned; -ENOENT (no such file), -EBADMSG (a column is missing,
 * a number is none: with file, line, column), -ENODATA (not one usable row), -E2BIG, -EINTR (the
 * progress function cannot stop it; a signal can), -ENOMEM.
 */
int km_dataset_open(const struct km_dataset_options *options, struct km_dataset **out,
                    struct km_err *err) KM_MUST_CHECK;
void km_dataset_free(struct km_dataset *d); /* NULL allowed */

const struct km_dataset_row *km_dataset_rows(const struct km_dataset *d, size_t *count);
const struct km_schema *km_dataset_schema(const struct km_dataset *d);
void km_dataset_stats(const struct km_dataset *d, struct km_dataset_stats *out);

/* Of ids, labels and loads of all runs: tells whether two folders hold the same recordings. */
uint64_t km_dataset_fingerprint(const struct km_dataset *d);

/* A campaign's, family's or scenario's name; borrowed. */
const char *km_dataset_name(const struct km_dataset *d, uint32_t id);

/* Whole windows that the row's trace has: 1..KM_DATASET_WINDOWS_MAX. */
size_t km_dataset_windows(const struct km_dataset *d, const struct km_dataset_row *row);

/*
 * The model's input for a row: counters of one window (0 = oldest) in one layout, and what the
 * decision brings along. out [schema->count], NaN = missing.
 */
void km_dataset_features(const struct km_dataset *d, const struct km_dataset_row *row,
                         enum km_layout_kind layout, size_t window, float *out);

#endif

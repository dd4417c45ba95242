/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the dataset room: runs are the lines of runs.csv, views the feature rows of one trace seen
 * from one node of its host. Everything is built while the folder opens and does not change after.
 */
#ifndef KM_DATASET_INTERNAL_H
#define KM_DATASET_INTERNAL_H

#include <string.h>

#include "km/base/arena.h"
#include "km/base/map.h"
#include "km/core/name.h"
#include "km/dataset/dataset.h"

#define DATASET_CLASSES 3 /* cpu, l3, membw: the kinds of interference that runs.csv counts */

enum placement { PLACEMENT_NONE, PLACEMENT_LOCAL, PLACEMENT_REMOTE };

/* One line of runs.csv: a run as seen from one node that hosted the service. */
struct run {
	const char *id;    /* unique per run; two lines may share it (replicas on both nodes) */
	const char *trace; /* path relative to the folder */
	const char *target, *other;           /* CPU lists */
	const char *target_name, *other_name; /* in the trace; "" = not stated */
	uint32_t campaign, family, scenario;
	uint8_t placement;
	uint8_t pods[DATASET_CLASSES];
	float replicas_here, replicas_all, rps_all, interval_s;
	float slowdown, norm_perf; /* NaN = no label */
	float p99_ms;
	uint32_t next_same_id; /* index + 1, 0 = none */
};

/* A trace, and the node of its host that it is seen from. */
struct sight {
	const char *trace;          /* path relative to the folder */
	const char *target, *other; /* CPU lists */
	const char *target_name, *other_name;
	float interval_s;
};

/* windows x layouts x features, from the dataset's pool. */
struct view {
	size_t first;     /* into the pool, in floats */
	uint32_t windows; /* 0 = unusable */
};

struct km_dataset {
	const char *dir;
	struct km_schema *schema;
	struct km_arena arena; /* every text */
	struct km_map names;   /* text -> id */
	const char **name;     /* [name_count] */
	size_t name_count, name_cap;
	struct run *run; /* [run_count] */
	size_t run_count, run_cap;
	struct km_map run_by_id; /* id -> index of its first line */
	struct view *view;       /* [view_count] */
	size_t view_count, view_cap;
	struct km_map view_by_key; /* "trace|target|other" -> index */
	float *pool;               /* [pool_count] */
	size_t pool_count, pool_cap;
	struct km_dataset_row *row; /* [row_count] */
	size_t row_count, row_cap;
	struct km_dataset_stats stats;
	const struct km_dataset_options *options; /* while it opens */
};

/* p99 there / p99 alone beyond this is no measurement, and its logarithm no label. */
#define DATASET_SLOWDOWN_MAX 1e6f

static inline bool dataset_is_label(float slowdown)
{
	return slowdown >= 1 / DATASET_SLOWDOWN_MAX && slowdown <= DATASET_SLOWDOWN_MAX;
}

/* A folder is somebody's download: its traces are inside of it. */
static inline bool dataset_is_inside(const char *path)
{
	return path[0] != '/' && strstr(path, "..") == NULL;
}

/* A growing array: room for one more of `size` bytes. returns 0 or -ENOMEM. */
int dataset_grow(void **array, size_t *cap, size_t count, size_t size) KM_MUST_CHECK;

/* The id of a text; made at its first use. returns 0 or -ENOMEM. */
int dataset_name_id(struct km_dataset *d, struct km_name text, uint32_t *id) KM_MUST_CHECK;

/* Notes why a line is not used, if it is the first. */
void dataset_note(struct km_dataset *d, size_t *counter, const char *fmt, ...) KM_PRINTF(3, 4);

/* runs.c: fills run[]. */
int dataset_read_runs(struct km_dataset *d, struct km_err *err) KM_MUST_CHECK;

/* pairs.c: rows from pairs.csv. */
int dataset_read_pairs(struct km_dataset *d, const char *path, struct km_err *err) KM_MUST_CHECK;

/* inflight.c: rows of runs with fewer pods before. */
int dataset_add_inflight(struct km_dataset *d, struct km_err *err) KM_MUST_CHECK;

/* The run's own trace from its target, or from its other node. */
struct sight dataset_sight(const struct run *run, bool from_other);

/*
 * The view of a trace; it is read at its first use. returns 0 and *view; -ENODATA when the trace is
 * unusable (noted and counted once); -ENOMEM.
 */
int dataset_view(struct km_dataset *d, const struct sight *sight, uint32_t *view,
                 struct km_err *err) KM_MUST_CHECK;

/* Adds a row; KM_DATASET_ROWS_MAX is the most. */
int dataset_add_row(struct km_dataset *d, const struct km_dataset_row *row,
                    struct km_err *err) KM_MUST_CHECK;

/*
 * trace.c: reads one trace and appends its feature rows to the pool. returns the number of windows
 * (>= 1), -ENODATA or another errno when it cannot be used.
 */
int dataset_read_trace(struct km_dataset *d, const struct sight *sight,
                       struct km_err *err) KM_MUST_CHECK;

#endif

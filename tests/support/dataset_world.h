/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A SYNTHETIC dataset folder for tests: runs.csv, pairs.csv and PCM traces with the columns of the
 * recorded one and values in its ranges; nothing in it was measured. Eight CPUs, node1 = 0-2, node2
 * = 3-5. The same calls give the same bytes.
 *
 * A test adds runs and pairs (or takes the standard plan), changes what it likes in run[] and
 * pair[], writes, and may then break the text of the files.
 */
#ifndef KM_TESTS_DATASET_WORLD_H
#define KM_TESTS_DATASET_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/arena.h"
#include "km/dataset/dataset.h"

#define DATASET_CPUS       8
#define DATASET_INTERVAL_S 5
#define DATASET_SAMPLES    39 /* rows of a standard trace: 37 whole samples, 185 s */

enum dataset_place { DATASET_NONE, DATASET_LOCAL, DATASET_REMOTE };

/* One line of runs.csv, and its trace. */
struct dataset_run {
	char id[96];
	char campaign[48];
	char trace[128];     /* below the folder; a name ending in .gz is written so */
	uint8_t pods[3];     /* iBench pods: cpu, l3, membw */
	uint8_t place;       /* enum dataset_place */
	uint8_t target;      /* node 1 or 2 */
	uint8_t here, on[2]; /* replicas on the target, on node1, on node2 */
	bool whole_end;      /* the last row is not partial */
	bool no_file;        /* the trace is not written */
	int rps;
	double slowdown;        /* NaN = blank, with norm_perf and norm_perf_thesis */
	double baseline_ms;     /* baseline_p99_ms; p99_ms is slowdown times this */
	double own_baseline_ms; /* baseline_campaign_p99_ms; NaN = blank */
	double p99_ms;          /* NaN = slowdown x baseline_ms */
	int interval_s, samples;
	int cpus; /* columns of the trace; fewer than DATASET_CPUS: `first_cpu` on */
	int first_cpu;
	double read_gb; /* a second; NaN = blank cells */
	uint64_t seed;  /* of the trace's noise */
};

/* One line of pairs.csv. */
struct dataset_pair {
	size_t before, after; /* into run[] */
	char before_id[96];   /* of run[before], unless a test writes another */
	char candidate[16];   /* CPU list */
	char family[48];
	bool empty, augment;
	int before_replicas, before_rps;
	int replicas, rps;
	double slowdown, weight;
};

struct dataset_world {
	char dir[64]; /* removed by dataset_world_fini */
	struct km_arena *paths;
	struct dataset_run *run;
	size_t run_count, run_cap;
	struct dataset_pair *pair;
	size_t pair_count, pair_cap;
	bool crlf, bom, quotes; /* of the two tables */
};

void dataset_world_init(struct dataset_world *w);
void dataset_world_fini(struct dataset_world *w);

/*
 * A run of c<cpu>_l<l3>_m<membw> (`mix`: three digits) with one replica, on node2 unless changed.
 * Its label and counters follow from load and mix. Borrowed until the next one is added.
 */
struct dataset_run *dataset_world_run(struct dataset_world *w, const char *campaign,
                                      const char *mix, enum dataset_place place, int rps);

/* A lighter pair: the after run's own node is the candidate. An empty one: before's other node. */
struct dataset_pair *dataset_world_pair(struct dataset_world *w, size_t before, size_t after);
struct dataset_pair *dataset_world_empty_pair(struct dataset_world *w, size_t before, size_t after);

/*
 * The standard plan: `campaigns` (of the families Alpha, Beta, Gamma; at most 6), six mixes, local
 * and remote, three loads; each load from 500 on as a lighter pair, and an empty candidate from
 * another campaign. Every third trace is plain, the others gzip.
 */
void dataset_world_plan(struct dataset_world *w, unsigned campaigns);

/* Writes all of it. */
void dataset_world_write(const struct dataset_world *w);

/* The trace of one run alone. */
void dataset_world_trace(const struct dataset_world *w, const struct dataset_run *r);

/* In the file `name` of the folder: the first `what` becomes `by`. The test fails without one. */
void dataset_world_replace(const struct dataset_world *w, const char *name, const char *what,
                           const char *by);
/* The file's bytes, or a file of other bytes. */
void dataset_world_put(const struct dataset_world *w, const char *name, const void *bytes,
                       size_t len);
/* dir/name; lives as long as the world. */
const char *dataset_world_path(const struct dataset_world *w, const char *name);

/* features.yaml in the folder: `training` are lines of that mapping ("  rounds: 20\n"), features
 * [count]. returns its path, as dataset_world_path. */
const char *dataset_world_features(const struct dataset_world *w, const char *task,
                                   const char *training, const char *const *features, size_t count);

/* The dataset the folder makes with these features; fails the test when it does not open. */
struct km_dataset *dataset_world_open(const struct dataset_world *w, bool placement,
                                      const char *const *features, size_t count);

/*
 * The recorded runs: DATASET from the environment. NULL when they are absent: then call skip();
 * with KM_REQUIRE_DATASET=1 it fails the test instead of returning.
 */
const char *dataset_recorded(void);

#endif

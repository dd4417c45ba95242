/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the nginx world. What was measured, by situation: views (counters of a node without the
 * service, under one mix of interference) and runs (what the service's p99 was under one mix and
 * load). Both know their campaign; what is seen and what happens come from different ones.
 */
#ifndef KM_SIM_NGINX_INTERNAL_H
#define KM_SIM_NGINX_INTERNAL_H

#include "km/eval/holdout.h"

#include "sim_internal.h"

#define NGINX_NODES_MAX 64
#define NGINX_FOLDS     8

enum nginx_place { NGINX_LOCAL, NGINX_REMOTE, NGINX_PLACES };

struct nginx_view {
	uint32_t row; /* of the dataset: any one with this view */
	uint32_t campaign;
};

struct nginx_run {
	uint32_t campaign, load;
	float p99_ms, slowdown;
};

/* One mix of interference, on the node itself or on the other one of its host. */
struct nginx_state {
	uint32_t scenario;
	struct nginx_view *view;
	size_t view_count;
	struct nginx_run *run;
	size_t run_count;
};

struct nginx_load {
	float replicas, rps;
};

struct nginx_tables {
	const struct km_dataset *data;
	uint32_t campaigns; /* ids are below */
	struct nginx_load *load;
	size_t load_count;
	struct nginx_state *state[NGINX_PLACES]; /* [state_count[place]] */
	size_t state_count[NGINX_PLACES];
};

int nginx_tables_init(struct nginx_tables *t, const struct km_dataset *data,
                      struct km_err *err) KM_MUST_CHECK;
void nginx_tables_fini(struct nginx_tables *t);

/* Two campaigns that are judged together and learned from by nobody then. */
struct nginx_fold {
	uint32_t campaign[2];
	bool skipped; /* nothing was left to learn from */
};

/*
 * Up to NGINX_FOLDS pairs of campaigns in which as many situations as possible have a view of one
 * and a run of the other; a campaign that is in a pair already counts half. Nothing is looked at
 * but what there is. returns how many; 0: no pair has any.
 */
uint32_t nginx_pair(const struct nginx_tables *t, struct nginx_fold fold[NGINX_FOLDS]);

/* Campaigns that have a run of the state under the load. */
uint32_t nginx_campaigns(const struct nginx_state *s, uint32_t load);

/* ---- the daemon's decision: nginx_decide.c ---- */

struct nginx_decider;

/* feed: pods are told of, so that it is known what of the service is on a machine already. */
int nginx_decider_create(const struct km_sim_options *o, struct km_model *m, bool feed,
                         struct nginx_decider **out, struct km_err *err) KM_MUST_CHECK;
void nginx_decider_free(struct nginx_decider *d);

/*
 * The machines' counters as they are in `view` [nodes], a minute later than before, then the
 * service with this load asked about. score [nodes]. returns 0 or -ENOMEM.
 */
int nginx_decider_ask(struct nginx_decider *d, const struct km_dataset *data,
                      const struct km_dataset_row *row, const size_t *window, size_t nodes,
                      const struct nginx_load *load, double *score) KM_MUST_CHECK;

/* ---- one schedule: nginx_play.c ---- */

/* Inputs of a model among the dataset's columns. */
struct nginx_asked {
	struct km_model *model;
	uint32_t *column; /* [columns] */
	uint32_t columns;
};

/* What decides in one fold. */
struct nginx_deciders {
	struct nginx_asked thesis, pressure;
	struct nginx_decider *ours, *no_ledger;
};

struct nginx_game {
	const char *name, *title;
	enum nginx_place place;
	unsigned hold; /* minutes that a mix holds */
	bool permuted; /* labels of ours were */
};

struct nginx_world {
	struct sim_run *run;
	struct km_holdout *holdout;
	const struct km_dataset *data;
	struct nginx_tables tables;
	struct nginx_fold fold[NGINX_FOLDS];
	uint32_t folds;
	int rule[4]; /* columns of the simple rules: C0 mean and std, read and write bandwidth */
	uint64_t minutes, skipped;
	bool untrained; /* thesis and pressure could not be */
};

/* A schedule of an hour in one fold; every minute's outcomes go to the log. 0 or -ENOMEM, -EIO. */
int nginx_play(struct nginx_world *w, const struct nginx_deciders *d, const struct nginx_game *game,
               uint32_t fold, uint32_t seed, uint32_t cluster, struct sim_log *log) KM_MUST_CHECK;

#endif

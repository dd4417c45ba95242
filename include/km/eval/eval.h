/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training and honest judgement: grouped cross-validation, baselines in the same run, intervals
 * from held-out residuals. Everything a command prints is in one report. The daemon never calls
 * this.
 */
#ifndef KM_EVAL_EVAL_H
#define KM_EVAL_EVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/core/recipe.h"
#include "km/dataset/dataset.h"
#include "km/eval/metrics.h"
#include "km/report/plot.h"

/* Which rows were never seen in training when they were judged. */
enum km_protocol {
	KM_PROTOCOL_CAMPAIGN, /* each campaign by a model trained without it */
	KM_PROTOCOL_FAMILY,   /* campaigns that repeat one another are left out together */
	KM_PROTOCOL_SCENARIO, /* each mix of interference */
	KM_PROTOCOL_GIVEN,    /* a given model as it is: honest on a folder it was not trained on */
	KM_PROTOCOL_N,
};

const char *km_protocol_name(enum km_protocol p); /* "leave-campaign-out" ... "given-model" */
int km_protocol_parse(const char *text);          /* "campaign", "family", "scenario"; -1 */

/* returns other than 0 to stop with -EINTR. */
typedef int km_eval_progress_fn(void *ctx, const char *what, size_t done, size_t all);

struct km_eval_options {
	const char *dataset;
	const char *pairs;         /* NULL = dataset/pairs.csv */
	const char *features;      /* features.yaml; NULL: beside the model */
	const char *model;         /* a model file; for KM_PROTOCOL_GIVEN */
	unsigned threads;          /* 0 = one a CPU */
	uint32_t bootstrap_rounds; /* 0 = no intervals of scores */
	bool no_baselines;
	bool gain;                     /* cross-validating: fit to everything too, for the gain */
	bool mask_now;                 /* judge without knowing what the node carries now */
	km_eval_progress_fn *progress; /* NULL = none */
	void *ctx;
};

/* Scores of some rows. */
struct km_eval_part {
	char name[160];
	char help[96];
	struct km_scores scores, low, high; /* low, high: bootstrap; NaN without */
};

/* One row as a point in a plot. */
struct km_eval_point {
	float measured, predicted; /* NP */
	float low, high;           /* NP, NaN = none */
	float slowdown;            /* measured; measured NP is 1 where nothing interferes */
	uint32_t scenario;         /* index in by_scenario */
	uint32_t decision;         /* points with the same number compete with one another... */
	uint32_t situation;        /* ...if these differ */
	uint8_t kind;              /* enum km_row_kind */
	uint8_t inflight;          /* pods on their way */
};

struct km_eval_gain {
	char feature[KM_FEATURE_NAME_MAX];
	double share; /* of the total gain */
};

struct km_eval_report {
	char model[128];
	bool placement;
	enum km_protocol protocol;
	bool in_sample; /* the given model says it was trained on this folder */
	bool mask_now;
	size_t rows;           /* labelled, those for training only too */
	enum km_row_kind kind; /* that the figures are of: in placement lighter, or where a folder
	                          has none of that, empty */
	struct km_eval_part metrics;      /* role score, of that kind */
	struct km_eval_part empty;        /* beside lighter; rows = 0: none */
	struct km_eval_part inflight[3];  /* 1, 2, 3 pods on their way; rows = 0: none */
	struct km_eval_part *by_scenario; /* [scenario_count] */
	size_t scenario_count;
	struct km_eval_part *by_campaign; /* [campaign_count] */
	size_t campaign_count;
	struct km_eval_part by_layout[KM_LAYOUT_N];
	struct km_eval_part baseline[5]; /* [baseline_count] */
	size_t baseline_count;
	char baseline_protocol[160]; /* how they were judged, and which were left out */
	struct km_eval_gain *gain;   /* [gain_count], largest first */
	size_t gain_count;
	struct km_eval_point *point; /* [point_count] */
	size_t point_count;
	struct km_dataset_stats stats;
	double seconds;
};

/*
 * Judges a given model, or the recipe of a feature list, on a folder. *out is owned;
 * km_eval_report_fini frees. returns 0; -ENOENT, -EBADMSG, -ENODATA, -EINVAL, -EINTR, -ENOMEM.
 */
int km_evaluate(const struct km_eval_options *options, enum km_protocol protocol,
                struct km_eval_report *out, struct km_err *err) KM_MUST_CHECK;
void km_eval_report_fini(struct km_eval_report *r);

/* The report for machines and for people. Appends. */
void km_eval_report_json(const struct km_eval_report *r, struct km_buf *out);
void km_eval_report_text(const struct km_eval_report *r, struct km_buf *out);

/*
 * The report as a page with plots; appends. plotter NULL = gnuplot. A plot that cannot be drawn
 * leaves the reason in its place, and the first reason in *missing (code 0 = all are there).
 * returns 0 or -ENOMEM.
 */
int km_eval_report_html(const struct km_eval_report *r, const struct km_plotter *plotter,
                        struct km_buf *out, struct km_err *missing) KM_MUST_CHECK;

/* A recipe that was tried. */
struct km_search_trial {
	struct km_recipe recipe; /* rounds: where the held-out loss was least */
	double mae, mae_empty;   /* of NP, held out; mae_empty NaN for diagnosis */
	double pair_accuracy125;
	double score; /* what is least: the mean of the MAEs */
};

/*
 * Tries `count` recipes: the feature list's own first, then seeded draws around it. Each is trained
 * without every group of the protocol in turn; the number of rounds is the one at which the loss on
 * what was left out is least, taken over all groups. out [count], best first.
 * returns as km_evaluate.
 */
int km_search(const struct km_eval_options *options, enum km_protocol protocol, size_t count,
              uint64_t seed, struct km_search_trial *out, struct km_err *err) KM_MUST_CHECK;

struct km_train_job {
	struct km_eval_options options; /* dataset, pairs, features; model is where it goes */
	const char *provenance;         /* NULL: the folder's name and its counts */
};

/*
 * Cross-validates the recipe by campaign (for the interval and the report), trains on everything,
 * and writes the model. On any error nothing is overwritten. *report is owned.
 */
int km_train_model(const struct km_train_job *job, struct km_eval_report *report,
                   struct km_err *err) KM_MUST_CHECK;

#endif

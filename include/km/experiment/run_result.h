/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a results folder's runs say: baselines, slowdown by stressor and level, and what was gated.
 * From the folder's files alone; nothing of them is left out. One thread.
 */
#ifndef KM_EXPERIMENT_RUN_RESULT_H
#define KM_EXPERIMENT_RUN_RESULT_H

#include <stdbool.h>
#include <stddef.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/report/plot.h"
#include "km/wire/run_record.h"

/* Runs and gated attempts as they were read. */
struct km_runs {
	struct km_run_record *run; /* [count], by time */
	size_t count, cap;
	struct km_run_record *gated; /* [gated_count] attempts that do not count */
	size_t gated_count, gated_cap;
	size_t unreadable; /* files that are no record */
	struct km_err why; /* of the first of them */
};

/* Are there runs below this folder? */
bool km_runs_there(const char *dir);
/* returns 0 (none at all included); -ENOMEM, another errno of the folder. */
int km_runs_read(const char *dir, struct km_runs *out, struct km_err *err) KM_MUST_CHECK;
void km_runs_fini(struct km_runs *r);

/* Beyond this share, the service and the generator do not agree on how many requests there were. */
#define KM_RUN_SERVED_APART 0.01

/* Runs that differ in nothing but repeat. Spreads are over repeats: least and most. */
struct km_run_condition {
	const struct km_run_record *example; /* borrowed from km_runs */
	char title[128];                     /* "cpu 50 % on target", "no interference" */
	size_t runs, repeats;
	double median_ms, least_ms, most_ms; /* of p99, all runs */
	double baseline_ms; /* median p99 of unstressed runs: same node, replicas, rps; NaN */
	double slowdown;    /* geometric mean of p99 / baseline */
	double slowdown_low, slowdown_high; /* of the repeats' own; NaN with one repeat */
	double utilisation;                 /* mean, during the load */
	double busy_before;                 /* mean CPUs busy in the window before */
	size_t saturated;
};

struct km_run_result {
	struct km_run_condition *condition; /* [conditions] by replicas, rps, stressor, level */
	size_t conditions;
	size_t runs, gated, kept; /* kept: although a gate speaks against them */
	size_t saturated, with_errors, served_apart, no_p99;
	const struct km_runs *source; /* borrowed */
};

/* returns 0; -ENODATA (no run that can be read), -ENOMEM. *out borrows `runs`. */
int km_run_summarise(const struct km_runs *runs, struct km_run_result *out,
                     struct km_err *err) KM_MUST_CHECK;
void km_run_result_fini(struct km_run_result *r);

/* p99 over the median of unstressed runs on the same node with the same load; NaN = none. */
double km_run_slowdown(const struct km_run_result *r, const struct km_run_record *run);
/* Of the service's own count to the generator's, as a share of these; NaN = not known. */
double km_run_served_difference(const struct km_run_record *run);

/* Reports: each appends. dir: where provenance and traces are. */
void km_run_result_text(const struct km_run_result *r, struct km_buf *out);
void km_run_result_json(const struct km_run_result *r, struct km_buf *out);
/* As km_trial_result_html. */
int km_run_result_html(const struct km_run_result *r, const char *dir,
                       const struct km_plotter *plotter, struct km_buf *out,
                       struct km_err *missing) KM_MUST_CHECK;

#endif

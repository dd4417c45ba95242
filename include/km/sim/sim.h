/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator: what would have happened, from what was measured. What a policy sees and what then
 * happens come from different recordings, for oracles too; all policies ("arms") of a setting see
 * the same and draw the same luck. Our own arms are km_decide with a cluster of its own, as the
 * daemon runs it. Nothing here is part of the daemon.
 *
 *   nginx   independent machines whose interference follows a schedule (a dataset folder)
 *   corun   equal nodes with one incumbent each (a file of co-runs)
 *   large   a synthetic burst on many nodes with old counters: not measured, and never mixed in
 */
#ifndef KM_SIM_SIM_H
#define KM_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/report/plot.h"

enum km_sim_arm {
	KM_SIM_RANDOM,
	KM_SIM_SPREAD,
	KM_SIM_LEAST_CPU,
	KM_SIM_LEAST_BANDWIDTH,
	KM_SIM_LOWEST_C0,
	KM_SIM_NODE_AVERAGE,
	KM_SIM_PRESSURE,
	KM_SIM_ADDITIVE,
	KM_SIM_THESIS,
	KM_SIM_NO_LEDGER,
	KM_SIM_NO_HARM,
	KM_SIM_OURS,
	KM_SIM_ONE_SIDED_ORACLE,
	KM_SIM_LATE_ORACLE,
	KM_SIM_ORACLE,
	KM_SIM_ARM_N,
};

const char *km_sim_arm_name(enum km_sim_arm a); /* "random", "least-cpu", ... */
const char *km_sim_arm_help(enum km_sim_arm a); /* what it does, one line */

/* An estimate and its 95 % bootstrap interval; NaN = none. */
struct km_sim_number {
	double value, low, high;
};

enum km_sim_metric {
	KM_SIM_COST,       /* what is minimised: mean p99 in ms; own + incumbent's slowdown */
	KM_SIM_OWN,        /* mean slowdown of what was placed */
	KM_SIM_OTHERS,     /* mean slowdown of incumbents */
	KM_SIM_P95,        /* 95 % quantile of p99 in ms; of the worse slowdown of the two */
	KM_SIM_VIOLATIONS, /* share of decisions after which somebody is beyond the limit */
	KM_SIM_REGRET,     /* cost / the oracle's - 1 */
	KM_SIM_CLOSED,     /* of the gap from random to the oracle; the oracle has 1 */
	KM_SIM_RIGHT,      /* share of decisions that hindsight would not change */
	KM_SIM_MOVES,      /* share of decisions that differ from the one before */
	KM_SIM_AGAINST,    /* cost of ours / this arm's - 1: below 0, ours is better */
	KM_SIM_METRIC_N,
};

const char *km_sim_metric_name(enum km_sim_metric m); /* for JSON: "cost", "own", ... */
const char *km_sim_metric_title(enum km_sim_metric m);

struct km_sim_arm_result {
	bool there; /* false: this arm has no meaning in this setting */
	struct km_sim_number metric[KM_SIM_METRIC_N];
};

/* One comparison: all arms in the same situations. */
struct km_sim_setting {
	char name[64];   /* "corun-pairs", "nginx-local-10min", ... */
	char title[160]; /* for people */
	char unit[24];   /* of the cost: "ms", "x" */
	bool null_check; /* labels were permuted: nothing may be gained */
	uint64_t decisions;
	size_t clusters; /* that the bootstrap draws from */
	char cluster[32];
	struct km_sim_arm_result arm[KM_SIM_ARM_N];
};

/* The synthetic burst, one row: what one kind of decider did. */
struct km_sim_burst {
	char name[48];
	uint32_t nodes, pods;
	double lag_s, pods_per_s;
	bool ledger;
	double max_over_mean; /* pods on the fullest node / on the mean node */
	double slowdown;      /* mean over pods, when all of them run */
	double regret;        /* that over the least possible, - 1 */
	double us_per_pod;    /* of our own decisions */
};

struct km_sim_report {
	struct km_sim_setting *setting; /* [setting_count] */
	size_t setting_count;
	struct km_sim_burst *burst; /* [burst_count] */
	size_t burst_count;
	struct km_buf notes; /* lines: what was left out, and what is borrowed */
	uint64_t first_seed;
	uint32_t seeds;
	uint32_t score_scale;
	double seconds;
};

/* returns other than 0 to stop with -EINTR. */
typedef int km_sim_progress_fn(void *ctx, const char *what, size_t done, size_t all);

struct km_sim_options {
	const char *dataset;  /* of the nginx world; NULL = skipped */
	const char *corun;    /* of the corun world; NULL = skipped */
	const char *learn;    /* co-runs to learn from; NULL: of `corun`, without what is judged */
	const char *model;    /* used as it is; NULL: trained without the campaigns judged */
	const char *features; /* recipe of that training; NULL: beside the model */
	bool burst;           /* run the synthetic one */
	uint32_t seeds;       /* >= 1 */
	uint64_t first_seed;
	uint32_t score_scale;         /* 10 or 100 */
	double max_slowdown;          /* that every pod tolerates */
	uint32_t nodes;               /* machines of the nginx world */
	double lag_s;                 /* by which its counters are later still, 0 to 60 */
	unsigned threads;             /* for training; 0 = one a CPU */
	km_sim_progress_fn *progress; /* NULL = none */
	void *ctx;
};

/* returns 0 and *out owned; -ENOENT, -EBADMSG, -ENODATA, -EINVAL, -EINTR, -ENOMEM. */
int km_sim_run(const struct km_sim_options *options, struct km_sim_report *out,
               struct km_err *err) KM_MUST_CHECK;
void km_sim_report_fini(struct km_sim_report *r);

/* For people, for machines, as a page (as km_eval_report_html). Each appends. */
void km_sim_report_text(const struct km_sim_report *r, struct km_buf *out);
void km_sim_report_json(const struct km_sim_report *r, struct km_buf *out);
int km_sim_report_html(const struct km_sim_report *r, const struct km_plotter *plotter,
                       struct km_buf *out, struct km_err *missing) KM_MUST_CHECK;

#endif

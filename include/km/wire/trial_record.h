/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One play of a trial as a file of JSON: the interference, what was known before, what an arm
 * chose, and what was then measured. Written once, read again to go on and to judge: every number
 * reads back the same, and what was not measured is null.
 */
#ifndef KM_WIRE_TRIAL_RECORD_H
#define KM_WIRE_TRIAL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/base/macros.h"
#include "km/wire/load_report.h"
#include "km/wire/run_record.h"

#define KM_TRIAL_NODES_MAX    32
#define KM_TRIAL_REPLICAS_MAX 16
#define KM_TRIAL_NAME_MAX     254 /* of a node, with its NUL */
#define KM_TRIAL_WORD_MAX     24  /* of an arm or a kind of stress */
#define KM_TRIAL_TEXT_MAX     192 /* why */

#define KM_TRIAL_MODEL_MAX    96

/* The arm of plays without interference, which slowdowns are against. */
#define KM_TRIAL_ALONE "alone"

/* A node during one play. Numbers are NaN where nobody measured or said them. */
struct km_trial_node {
	char name[KM_TRIAL_NAME_MAX];
	char stress[KM_TRIAL_WORD_MAX]; /* "" = none */
	unsigned level_pct;
	double duty_ratio, ops_per_s; /* that the stressor achieved */
	double busy_ratio;            /* 0 to 1, in the window before: what least-cpu sees */
	/* Of the daemon, asked by the arm kubemarla alone. */
	double age_s; /* of its counters */
	double slowdown, low, high, score;
	char filter[KM_TRIAL_TEXT_MAX]; /* why it was filtered out; "" = it passed, or not asked */
};

struct km_trial_record {
	uint64_t plan_hash;
	unsigned repeat;  /* from 1 */
	unsigned episode; /* from 1; 0: alone */
	unsigned order;   /* the place among the plays of the repeat, from 1 */
	unsigned attempt; /* from 1: how often it was played */
	char arm[KM_TRIAL_WORD_MAX];
	int64_t started_unix_ms;
	double rps;
	struct km_trial_node node[KM_TRIAL_NODES_MAX];
	size_t node_count;
	size_t placed[KM_TRIAL_REPLICAS_MAX]; /* [replicas], positions in node */
	unsigned replicas;
	double window_s;                /* of counters, before anybody chose */
	char model[KM_TRIAL_MODEL_MAX]; /* that the daemon decided by; "" = nobody asked it */
	unsigned asked;                 /* requests to the daemon */
	unsigned failed;                /* of these, without a usable answer: chosen at random */
	unsigned neutral;               /* answered without a prediction of every node */
	unsigned stale;        /* the daemon was late: its window was not all of this play */
	unsigned all_filtered; /* no node passed: the best score was taken all the same */
	char trouble[KM_TRIAL_TEXT_MAX]; /* the last of these in words; "" */
	struct km_load_result load;
	double served;            /* requests by nginx' own count */
	double served_difference; /* of it to the generator's, as a share */
	double prometheus_p99_ms, prometheus_rps;
	struct km_run_usage before, during;
	double slo_p99_ms;            /* NaN = none */
	bool saturated;               /* the target's CPUs were too busy for its p99 to count */
	char gate[KM_TRIAL_TEXT_MAX]; /* what a gate says against it; "" = nothing */
	bool discarded;               /* by that gate, or it failed: it was played again */
};

/* Nothing measured: NaN, 0 and "". */
void km_trial_record_init(struct km_trial_record *r);

/* "r2__e3__spread", "r1__alone__node-b": the name of its file, without an ending. returns out. */
#define KM_TRIAL_ID_MAX 320
const char *km_trial_record_id(const struct km_trial_record *r, char out[KM_TRIAL_ID_MAX]);

/* Appends one JSON object and a newline. */
void km_trial_record_encode(struct km_buf *out, const struct km_trial_record *r);

/*
 * Reads one. returns 0; -EBADMSG with what is wrong: no JSON, a member that decides something (who,
 * where, how many, p99) is missing or impossible; -ENOMEM. One that was discarded may have
 * failed before anything was placed or measured. Any thread.
 */
int km_trial_record_decode(const char *text, size_t len, struct km_trial_record *out,
                           struct km_err *err) KM_MUST_CHECK;

#endif

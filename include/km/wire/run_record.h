/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One finished run of an experiment, as the JSON object that its results folder keeps: what was
 * asked for, what the generator measured, what the machine did meanwhile. NaN and null = not
 * measured.
 */
#ifndef KM_WIRE_RUN_RECORD_H
#define KM_WIRE_RUN_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/wire/load_report.h"

#define KM_RUN_ID_MAX     96
#define KM_RUN_NODE_MAX   254
#define KM_RUN_WORD_MAX   33
#define KM_RUN_TEXT_MAX   192
#define KM_RUN_TRACE_MAX  128
#define KM_RUN_STRESS_MAX 8
#define KM_RUN_RECORD_MAX (1u << 16) /* bytes of one */

/* What the machine did in one window; CPUs are numbers of busy ones on average. */
struct km_run_usage {
	double seconds;
	double busy_cpus, own_cpus, foreign_cpus;
	double target_utilisation; /* busy share of the target node's CPUs */
};

/* What a stressor says it achieved. */
struct km_run_stress {
	char kind[KM_RUN_WORD_MAX];
	double seconds, duty_ratio, ops_per_s, bytes_per_s;
};

struct km_run_record {
	char id[KM_RUN_ID_MAX];
	char plan[17];    /* km_plan_hash, 16 hexadecimal digits */
	unsigned repeat;  /* from 1 */
	unsigned attempt; /* from 1: gated ones before it are counted */
	bool stressed;
	char stressor[KM_RUN_WORD_MAX]; /* "" unless stressed, as the next three */
	unsigned level_pct;
	char on[KM_RUN_WORD_MAX];
	char stress_node[KM_RUN_NODE_MAX];
	char target_node[KM_RUN_NODE_MAX];
	unsigned replicas;
	double rps;
	int64_t start_unix_ms;
	double interval_s; /* of the traces' samples */
	char tier[KM_RUN_WORD_MAX];
	char trace_before[KM_RUN_TRACE_MAX], trace_during[KM_RUN_TRACE_MAX]; /* below the folder */
	struct km_load_result load;
	struct km_run_usage before, during;
	struct km_run_stress stress[KM_RUN_STRESS_MAX];
	size_t stress_count;
	double server_requests;     /* by the service's own count, during the load */
	double kpi_p99_ms, kpi_rps; /* by Prometheus */
	bool saturated;             /* the target's CPUs were busier than the plan's gate */
	char gate[KM_RUN_TEXT_MAX]; /* why it should have been made again; "" = nothing to say */
};

/* Everything empty, numbers NaN. */
void km_run_record_init(struct km_run_record *r);

/* Appends the object and a newline. */
void km_run_record_encode(const struct km_run_record *r, struct km_buf *out);

/*
 * text [len] -> *out, initialised here. Names are such as can be parts of paths and of CSV.
 * returns 0, or -EINVAL with the key that is missing or of the wrong kind. Any thread.
 */
int km_run_record_decode(const char *text, size_t len, struct km_run_record *out,
                         struct km_err *err) KM_MUST_CHECK;

#endif

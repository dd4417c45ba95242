/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of one experiment: stressors, the target's replicas, the load generator, and what
 * is recorded meanwhile, on CPU sets of this machine or as pods of a cluster. One thread: the one
 * that opened it, and the process must not lose that thread before km_rig_close. Whatever it
 * started is gone afterwards; after a crash of the lab the kernel ends its processes, and the next
 * km_rig_open removes the control groups and files they left.
 *
 *	open -> (stress_start)* -> wait -> record_begin, wait, record_end ("before")
 *	     -> target_start -> wait -> record_begin, load, record_end ("during")
 *	     -> stress_stop, target_stop -> ... -> close
 *
 * Every call that waits returns -EINTR once stop_fd is readable, and -ECHILD (name and last words
 * in err) once a process that should run has ended. The rig is then still to be used: the caller
 * stops what it wants stopped (km_rig_reset), and may begin again.
 */
#ifndef KM_RIG_RIG_H
#define KM_RIG_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/core/sample.h"
#include "km/plan/plan.h"
#include "km/stress/stress.h"
#include "km/wire/load_report.h"

#define KM_RIG_STRESSORS_MAX KM_PLAN_NODES_MAX

struct km_rig;

struct km_rig_options {
	const char *self;        /* program of the stressors, as kubemarla-lab; borrowed, as all */
	const char *scratch_dir; /* an existing directory for configuration and pages */
	int stop_fd;             /* readable = stop; -1 = none */
	/* One line for the log or the terminal: what works otherwise than asked. May be NULL. */
	void (*say)(void *ctx, const char *line);
	void *ctx;
};

/* One load: `rps` over all replicas together, shaped by the plan's profile. */
struct km_load_spec {
	double rps;
	int64_t duration_ns;
	int64_t warm_up_ns; /* the same load before, its latencies thrown away; 0 = none */
};

/* What CPUs did between record_begin and record_end. NaN = not known. In CPUs of this machine. */
struct km_rig_usage {
	double seconds;
	double busy_cpus;          /* by anybody */
	double own_cpus;           /* by what the rig started, and by the lab itself */
	double foreign_cpus;       /* the rest, not below 0 */
	double target_utilisation; /* 0 to 1: busy share of the CPUs of the target's nodes */
};

/* What the service says itself, beside the generator. NaN = not known. */
struct km_rig_kpi {
	double served;     /* requests by nginx' stub_status during the last load, warm-up out */
	double difference; /* of it to the generator's requests, as a share of these */
	double prometheus_p99_ms, prometheus_rps; /* by the plan's queries, at the load's end */
};

/* Which versions and ways a rig uses, for the provenance. "" = not known. */
struct km_rig_facts {
	char target[64];    /* "nginx/1.22.1" */
	char generator[64]; /* "vegeta v12.12.0" */
	char groups[64];    /* "cgroup v1 cpuset, cpuacct", "affinity only" */
	bool realtime;      /* the generator runs with real-time priority */
};

/*
 * Opens the plan's backend: looks for the programs (an absent one says which package or command
 * brings it), checks that the CPU sets exist and may be used, clears what a dead lab left, makes
 * the nodes' groups. plan is borrowed until _close. returns 0 and *out owned; -ENOENT (a program),
 * -ERANGE (CPUs), -EPERM, -EINVAL, -ENOMEM, -EIO.
 */
int km_rig_open(const struct km_plan *plan, const struct km_rig_options *options,
                struct km_rig **out, struct km_err *err) KM_MUST_CHECK;

/* Ends and removes everything it started or made. NULL allowed. */
void km_rig_close(struct km_rig *rig);

const struct km_rig_facts *km_rig_facts(const struct km_rig *rig); /* borrowed */

/*
 * Starts one stressor on all CPUs of a node; several may run. It is at work afterwards, its memory
 * prepared. -EBUSY: too many; -ECHILD: it ended; -ETIMEDOUT; -EINTR.
 */
int km_rig_stress_start(struct km_rig *rig, size_t node, enum km_stress_kind kind,
                        unsigned level_pct, struct km_err *err) KM_MUST_CHECK;

/*
 * Stops all of them. out [max], in order of their starts, NULL allowed; *count how many there were.
 * returns 0; -ECHILD: one had ended by itself (its last words); -EINVAL: a report that is none.
 */
int km_rig_stress_stop(struct km_rig *rig, struct km_stress_result *out, size_t max, size_t *count,
                       struct km_err *err) KM_MUST_CHECK;

/* Starts a replica on each node of node_of_replica [replicas] and waits until all answer 200. */
int km_rig_target_start(struct km_rig *rig, const size_t *node_of_replica, unsigned replicas,
                        struct km_err *err) KM_MUST_CHECK;
void km_rig_target_stop(struct km_rig *rig);

/* The last load's. */
void km_rig_kpi(const struct km_rig *rig, struct km_rig_kpi *out);

/*
 * Runs the generator over all replicas, and meanwhile what km_rig_wait does. A load of which
 * nothing was answered is an error. returns 0, -EINTR, -ECHILD, -EIO (a generator that fails, or
 * whose report is none: its last words), -ETIMEDOUT.
 */
int km_rig_load(struct km_rig *rig, const struct km_load_spec *spec, struct km_load_result *out,
                struct km_err *err) KM_MUST_CHECK;

/* Lets duration_ns pass, watching all processes and serving the recorder. */
int km_rig_wait(struct km_rig *rig, int64_t duration_ns, struct km_err *err) KM_MUST_CHECK;

/*
 * Between the two the recorder reads its sources, inside _wait and _load. _end appends our own
 * trace as CSV to trace_csv (NULL = nothing is recorded but usage) and fills *usage (NULL allowed).
 */
int km_rig_record_begin(struct km_rig *rig, struct km_err *err) KM_MUST_CHECK;
int km_rig_record_end(struct km_rig *rig, struct km_buf *trace_csv, struct km_rig_usage *usage,
                      struct km_err *err) KM_MUST_CHECK;

/* What the recorder's sources give together. */
enum km_tier km_rig_tier(const struct km_rig *rig);

/*
 * Counts a running process of the caller's (a scheduler under test) as the rig's own. It is ended
 * by km_rig_close at the latest. returns 0; -E2BIG; -ESRCH and others of its control group.
 */
int km_rig_adopt(struct km_rig *rig, int pid, struct km_err *err) KM_MUST_CHECK;

/* Stops stressors, target, generator and recorder, whatever state they are in. */
void km_rig_reset(struct km_rig *rig);

/* The node's control group below the hierarchies' roots, without a leading slash; "" = none. */
const char *km_rig_group(const struct km_rig *rig, size_t node);

#endif

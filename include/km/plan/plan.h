/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An experiment as data: the YAML plan, validated, and the runs it stands for. Pure: no clock, no
 * process, no randomness but the plan's seed; files are read by km_plan_load alone.
 * Keys, defaults and ranges: docs/PLANS.md. Entry: km_plan_load.
 */
#ifndef KM_PLAN_PLAN_H
#define KM_PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/cpuset.h"
#include "km/base/err.h"
#include "km/core/settings.h"
#include "km/stress/kind.h"

#define KM_PLAN_MAX_BYTES    (1u << 20)
#define KM_PLAN_NAME_MAX     49 /* with its NUL: part of file names and of labels of Kubernetes */
#define KM_PLAN_NODES_MAX    32
#define KM_PLAN_LIST_MAX     16 /* entries of one list of the matrix */
#define KM_PLAN_REPLICAS_MAX 16
#define KM_PLAN_STEPS_MAX    1000  /* changes of the rate in one run */
#define KM_PLAN_PARTS_MAX    2000  /* of a run's load, each at one rate */
#define KM_PLAN_RUNS_MAX     10000 /* of a whole plan */
#define KM_PLAN_ID_MAX       96    /* of a run, with its NUL */
#define KM_PLAN_ON_MAX       33    /* a word of matrix.on, with its NUL */

enum km_plan_mode { KM_PLAN_LOCAL, KM_PLAN_CLUSTER };
enum km_plan_target_kind { KM_PLAN_NGINX };
enum km_plan_generator { KM_PLAN_VEGETA, KM_PLAN_WRK };
enum km_plan_profile { KM_PLAN_STEADY, KM_PLAN_STEPPED, KM_PLAN_BURSTY, KM_PLAN_TRACE };
enum km_plan_gate_action { KM_PLAN_GATE_REPEAT, KM_PLAN_GATE_ABORT, KM_PLAN_GATE_KEEP };
enum km_plan_arm {
	KM_PLAN_ARM_RANDOM,
	KM_PLAN_ARM_SPREAD,
	KM_PLAN_ARM_LEAST_CPU,
	KM_PLAN_ARM_KUBEMARLA,
	KM_PLAN_ARM_N
};

struct km_plan_target {
	enum km_plan_target_kind kind;
	size_t node;   /* index in the plan's nodes */
	char *program; /* name to look for in PATH, or a path */
	size_t body_bytes;
	uint16_t port; /* of the first replica; 0 = the kernel picks */
};

/* From at_s on, the rate is factor times the run's. */
struct km_plan_step {
	double at_s, factor;
};

struct km_plan_load {
	enum km_plan_generator generator;
	char *program; /* "" = the generator's name, looked for in PATH */
	bool cpus_given;
	struct km_cpuset cpus; /* where the generator runs; not given: out of the service's way */
	bool realtime;         /* SCHED_RR, where allowed */
	enum km_plan_profile profile;
	uint32_t connections;          /* the most at a time */
	double step[KM_PLAN_LIST_MAX]; /* [step_count] stepped: factors, each an equal share of the
	                                  run */
	size_t step_count;
	double burst_factor;                     /* bursty */
	int64_t burst_length_ns, burst_every_ns; /* bursty: at the start of each period */
	char *trace_path;                        /* "" = none */
	struct km_plan_step *trace;              /* [trace_count], rising at_s from 0 */
	size_t trace_count;
};

/* Where a run's stressor is, as matrix.on says it: "target", "other" (the first node that is not
 * the target's) or a node's name. */
struct km_plan_on {
	char word[KM_PLAN_ON_MAX];
	size_t node;
};

struct km_plan_matrix {
	enum km_stress_kind stressor[KM_STRESS_KIND_N];
	size_t stressor_count;                /* 0: baselines alone */
	unsigned level_pct[KM_PLAN_LIST_MAX]; /* 1 to 100 */
	size_t level_count;
	struct km_plan_on on[KM_PLAN_NODES_MAX];
	size_t on_count;
	unsigned replicas[KM_PLAN_LIST_MAX];
	size_t replicas_count;
	double rps[KM_PLAN_LIST_MAX]; /* of all replicas together */
	size_t rps_count;
	unsigned repeats;
	unsigned baselines; /* unstressed runs of each (replicas, rps), in each repeat */
};

struct km_plan_times {
	int64_t warm_up_ns, before_ns, settle_ns, during_ns, cool_down_ns;
};

struct km_plan_gates {
	double foreign_cpus; /* CPUs busy with what is not ours, above which a run is gated */
	enum km_plan_gate_action action;
	unsigned repeats;   /* of one run, before it is kept as it is */
	double utilisation; /* of the target's CPUs, above which its p99 is marked saturated */
};

struct km_plan_kpi {
	char *prometheus; /* base URL; "" = none */
	char *p99_query;  /* in seconds; "" = not asked */
	char *rps_query;
};

struct km_plan_trial {
	unsigned repeats, episodes;
	enum km_plan_arm arm[KM_PLAN_ARM_N];
	size_t arm_count;
	unsigned replicas;
	double rps;
	double quiet_share; /* of episodes in which one node is left without interference */
	enum km_stress_kind stressor[KM_STRESS_KIND_N]; /* not given: the matrix's */
	size_t stressor_count;
	unsigned level_pct[KM_PLAN_LIST_MAX];
	size_t level_count;
	int64_t window_ns; /* of counters, before an arm chooses */
	int64_t during_ns; /* of load */
};

struct km_plan_cluster {
	char *namespace;
	char *kubectl;
	char *context;       /* of the kubeconfig; "" = its current one */
	char *image;         /* of the target; "" = the manifests' own */
	char *load_image;    /* of the generator */
	char *lab_image;     /* of the stressors: with kubemarla-lab in it */
	uint16_t node_port;  /* 0 = Kubernetes picks */
	bool recorder_local; /* counters of this host; else none */
};

struct km_plan {
	char name[KM_PLAN_NAME_MAX];
	enum km_plan_mode mode;
	uint64_t seed;
	struct km_node_settings *node; /* [node_count]; cpus_given in local mode */
	size_t node_count;
	struct km_plan_target target;
	struct km_plan_load load;
	struct km_plan_matrix matrix;
	struct km_plan_times times;
	struct km_plan_gates gates;
	struct km_collect_settings collect; /* as the daemon's own */
	int64_t slo_p99_ns;                 /* 0 = none */
	struct km_plan_kpi kpi;
	struct km_plan_trial trial;
	struct km_plan_cluster cluster;
};

/* One run: the service with its load, and at most one stressor on one node. */
struct km_run_spec {
	char id[KM_PLAN_ID_MAX]; /* "r2__cpu100_on-target__1replicas_500rps", "r2__none3__..." */
	unsigned repeat;         /* from 1 */
	bool stressed;           /* false: kind, level_pct, stress_node and on mean nothing */
	enum km_stress_kind kind;
	unsigned level_pct;
	char on[KM_PLAN_ON_MAX]; /* the plan's word for stress_node; "" */
	size_t stress_node, target_node;
	unsigned replicas;
	double rps;
};

/* A part of a run's load at one rate. */
struct km_load_part {
	int64_t duration_ns; /* > 0 */
	double rps;          /* 0 = a pause */
};

/*
 * Reads and validates a plan. A load trace is looked for beside the plan; the load has to be one
 * that can be made.
 * returns 0 and *out owned (km_plan_free); -EINVAL "FILE:LINE: key: saw ..., want ..."; -ENOMEM;
 * another errno of a file.
 */
int km_plan_load(const char *path, struct km_plan **out, struct km_err *err) KM_MUST_CHECK;

/* The same from memory, without the load trace's file (plan->load.trace_count is 0). */
int km_plan_parse(const char *name, const char *text, size_t len, struct km_plan **out,
                  struct km_err *err) KM_MUST_CHECK;

void km_plan_free(struct km_plan *p); /* NULL allowed */

/*
 * The runs in the order they are to be made: repeat by repeat, each in an order of its own that the
 * seed gives, so that more repeats append and drift hits every condition alike.
 * returns 0 and *out owned (free); -ENOMEM.
 */
int km_plan_runs(const struct km_plan *p, struct km_run_spec **out, size_t *count) KM_MUST_CHECK;

/* Seconds from a run's start to the next one's, as planned. */
double km_plan_run_seconds(const struct km_plan *p);

/*
 * The load profile at `rps` over duration_ns as parts of constant rate, in order; they add up to
 * the duration. parts: [max]. returns 0 and *count (1 at least); -E2BIG when max is too small.
 */
int km_plan_load_parts(const struct km_plan *p, double rps, int64_t duration_ns,
                       struct km_load_part *parts, size_t max, size_t *count) KM_MUST_CHECK;

/*
 * Appends what defines a run, "key: value" a line: two plans of the same text may share a results
 * folder. Repeats, gates, objectives, KPIs and the trial are not in it.
 */
void km_plan_identity(const struct km_plan *p, struct km_buf *out);

/* Of that text. returns 0 without memory, which no plan hashes to. */
uint64_t km_plan_hash(const struct km_plan *p);

const char *km_plan_mode_name(enum km_plan_mode mode);
const char *km_plan_generator_name(enum km_plan_generator generator);
const char *km_plan_profile_name(enum km_plan_profile profile);
const char *km_plan_gate_action_name(enum km_plan_gate_action action);
const char *km_plan_arm_name(enum km_plan_arm arm);

#endif

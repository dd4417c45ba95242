/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answers of our own routes, all camelCase. Each is written piece by piece into a buffer, so
 * that 5,000 nodes with 40 features each need no second copy. What was not measured is null.
 */
#ifndef KM_WIRE_ANSWERS_H
#define KM_WIRE_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/core/metric.h"
#include "km/core/name.h"
#include "km/core/pod.h"
#include "km/core/schema.h"
#include "km/core/triage.h"
#include "km/core/vote.h"
#include "km/core/workload.h"
#include "km/wire/json.h"

/* The model behind an answer; name NULL = none. All borrowed. */
struct km_answer_model {
	const char *name;
	uint64_t hash;
};

/* Of a prediction of `slowdown`: the 90 % interval around it. */
struct km_answer_interval {
	double slowdown, low, high;
};

/* Everything /v1/model says; strings may be NULL or "". */
struct km_answer_model_card {
	const char *name;
	const char *task;
	const char *provenance;
	const char *library;
	const char *metrics_json;
	uint64_t hash;
	uint32_t tree_count;
	uint32_t max_depth;
	size_t file_bytes;
	double residual_sd;
	double interval_low;
	double interval_high;
	/* how far the interval goes from predictions of these sizes; [interval_count] */
	const struct km_answer_interval *interval;
	size_t interval_count;
	const double *gain;       /* [schema->count], shares; NULL = not asked for */
	const double *range_low;  /* [schema->count] */
	const double *range_high; /* [schema->count] */
	const struct km_schema *schema;
};

/* Pods on their way to a node, in pods, by how a prediction takes them in. */
struct km_answer_in_flight {
	double service;   /* replicas of the same service: by their load */
	double model;     /* by the model's input for their class */
	double footprint; /* by what their class adds to counters */
	double effects;   /* by learned effects */
	double unknown;   /* as decide.unknownSlowdown has it */
};

/* What the pod would do to those that are there and protected. */
struct km_answer_harm {
	uint32_t pods;        /* 0 = none are, nothing below means anything */
	double worst;         /* slowdown of the one worst off */
	double limit;         /* what that one tolerates */
	double mean;          /* weighted, of all; 0 = not kept */
	const char *worst_of; /* its policy; NULL = not kept */
};

/* One node of an answer. */
struct km_answer_node {
	struct km_name name;
	enum km_tier tier;
	double age_s;
	double slowdown; /* NaN = no prediction; low and high are its 90 % interval */
	double low;
	double high;
	uint32_t outside;               /* features outside what the model was trained on */
	uint32_t missing;               /* features not measured */
	const struct km_triage *triage; /* of /v1/nodes and /v1/explain; NULL = nothing known */
	/* of explanations and decisions */
	const char *state;             /* "fresh", "stale", ... */
	double scored;                 /* the slowdown that the score is of; NaN = none */
	double in_flight;              /* pods */
	struct km_answer_in_flight by; /* of explanations */
	struct km_answer_harm harm;
};

/* Why a node was judged as it was. */
struct km_answer_verdict {
	bool passes;
	int32_t score;
	const char *code; /* "PredictedSlowdown" */
	const char *text; /* for people */
};

/* One feature's share in a prediction. */
struct km_answer_contribution {
	const char *feature;
	double value;        /* NaN = not measured */
	double log_slowdown; /* SHAP: what it adds to ln(slowdown) */
	double slowdown;     /* its part of slowdown - typical */
};

/* How a prediction comes about: typical + the shares' slowdowns + others = the slowdown. */
struct km_answer_explanation {
	double typical; /* what the model says on average; NaN = no explanation, no shares */
	double others;  /* of all features that are not in share[] */
	const struct km_answer_contribution *share; /* [count], largest first */
	size_t count;
};

/* {"model":...,"workload":...,"predictions":[ node... ]} */
void km_answer_predict_begin(struct km_json *j, const struct km_answer_model *model,
                             const struct km_workload *w);
void km_answer_predict_node(struct km_json *j, const struct km_answer_node *node);

/* {"model":...,"workload":...,"nodes":[ node... ]}: row [schema->count], NULL without features. */
void km_answer_nodes_begin(struct km_json *j, const struct km_answer_model *model,
                           const struct km_workload *w);
void km_answer_nodes_node(struct km_json *j, const struct km_answer_node *node,
                          const struct km_answer_verdict *verdict, const struct km_schema *schema,
                          const double *row);

/* What an explanation is about. */
struct km_answer_question {
	struct km_name pod_namespace;
	struct km_name pod_name;
	struct km_name pod_uid;
	struct km_name policy; /* "namespace/name"; len 0 = none */
	const struct km_workload *workload;
	uint32_t scale;
	double risk;                /* the quantile of the interval that is scored */
	uint64_t decision;          /* its id; 0 = none, asked by a body */
	const struct km_vote *vote; /* of the extender with this weight: */
	bool weight_given;          /* false: assumed */
	size_t explained;
	bool cut;
};

/*
 * {"pod":...,"model":...,"workload":...,"scoreScale":10,"vote":...,"explained":20,"cut":false,
 * "nodes":[...]}:
 * `explained` nodes, the best, come with contributions; `cut` says that more would have had some.
 * A node has "typicalSlowdown", "contributions" and "otherContributions", which add up to what is
 * predicted from the newest data: they are in units of slowdown. A contribution's text is for
 * people: "memory writes 4.1 GB/s: +0.31 slowdown".
 */
void km_answer_explain_begin(struct km_json *j, const struct km_answer_question *q,
                             const struct km_answer_model *model);
void km_answer_explain_node(struct km_json *j, const struct km_answer_node *node,
                            const struct km_answer_verdict *verdict,
                            const struct km_answer_explanation *why);

/* How many nodes were judged for a reason, and how many of them filtered out. */
struct km_answer_reason {
	const char *code;
	const char *text;
	uint32_t judged;
	uint32_t rejected;
};

/* A decision as it was made; all borrowed. */
struct km_answer_decision {
	uint64_t id;            /* of the request that began it */
	uint64_t prioritize_id; /* with `prioritize` */
	int64_t wall_ns;
	bool filter;
	bool prioritize;
	struct km_name pod_namespace;
	struct km_name pod_name;
	struct km_name pod_uid;
	const struct km_workload *workload;
	const char *workload_from; /* "default", "annotations", "policy" */
	struct km_name policy;     /* "namespace/name"; len 0 = none */
	uint64_t model_hash;       /* 0 = no model */
	uint32_t scale;
	uint32_t asked; /* nodes, and how many of them passed and were scored */
	uint32_t passed;
	uint32_t scored;
	int32_t best; /* score of those that pass; -1 = none does */
	int32_t worst;
	uint32_t best_count;                   /* nodes that share the best */
	const struct km_answer_reason *reason; /* [reason_count] */
	size_t reason_count;
};

/*
 * {"held":..,"capacity":..,"oldest":..,"decisions":[ decision, ... ],"cut":false}: newest first; a
 * decision is begun, its nodes follow, best first, and it is ended. `cut`: more would have matched.
 */
void km_answer_decisions_begin(struct km_json *j, size_t held, size_t capacity,
                               int64_t oldest_wall_ns);
void km_answer_decision_begin(struct km_json *j, const struct km_answer_decision *d);
void km_answer_decision_node(struct km_json *j, const struct km_answer_node *node,
                             const struct km_answer_verdict *verdict);
void km_answer_decision_end(struct km_json *j);
void km_answer_decisions_end(struct km_json *j, bool cut);

/* A source of counters: {"source":"os","state":"live","detail":"..."}. */
struct km_answer_source {
	const char *name;
	const char *state;  /* "live", "starting", "ended" or "absent" */
	const char *detail; /* why it is absent, or what else to know; "" = nothing */
};

/*
 * {"windowSeconds":...,"binSeconds":...,"sources":[...],"nodes":[...]} of this agent.
 * schema NULL = none; source [count].
 */
struct km_answer_measured {
	struct km_name name;
	uint32_t host;
	uint64_t sequence; /* grows with every change of the row; 0 = no data yet */
	enum km_tier tier;
	double age_s;
	double bin_age_s; /* since the newest bin closed */
	double covered_s; /* of the window */
	uint32_t outside_cpus;
	const struct km_triage *triage; /* NULL = nothing known */
	/* The newest bin, [KM_METRIC_N] each, and how many CPUs that is of; NULL = none. */
	const double *node_reading, *host_reading;
	uint32_t node_cpus, host_cpus;
};
void km_answer_features_begin(struct km_json *j, const struct km_schema *schema,
                              const struct km_answer_source *source, size_t count);
void km_answer_features_node(struct km_json *j, const struct km_answer_measured *m,
                             const struct km_schema *schema, const double *row);

/* Closes what any *_begin above opened: "]}" and a newline. */
void km_answer_end(struct km_json *j);

/* card NULL: {"loaded":false}. */
void km_answer_model(struct km_buf *out, const struct km_answer_model_card *card);

/* {"status":"ready","reasons":["...",...]}; reasons [count]. */
void km_answer_status(struct km_buf *out, const char *status, const char *const *reasons,
                      size_t count);

/*
 * A feature's value as people read it: "4.1 GB/s", "42 %", "1.3x" (a ratio of scopes), "unknown".
 * Appends to out.
 */
void km_answer_human(struct km_buf *out, const char *feature, double value);

#endif

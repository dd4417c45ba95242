/* SPDX-License-Identifier: Apache-2.0 */
/* What the routes share. A handler decodes, calls and encodes; it has no state of its own. */
#ifndef KM_API_INTERNAL_H
#define KM_API_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "km/api/routes.h"
#include "km/wire/answers.h"
#include "km/wire/extender.h"

#define KM_API_ROOM "api"

typedef void km_api_handler(struct km_api *api, const struct km_http_request *req,
                            struct km_http_reply *reply);

/* Methods of a route. */
enum { KM_API_GET = 1, KM_API_POST = 2 };

enum {
	KM_API_OBSERVE = 1, /* also on the second listener */
	KM_API_ASIDE = 2,   /* takes long: not on the threads that schedulers wait for */
};

struct km_api_route {
	const char *path;
	unsigned methods; /* KM_API_GET (answers HEAD too), KM_API_POST */
	unsigned roles;   /* enum km_role; 0 = every role */
	unsigned flags;   /* KM_API_OBSERVE, KM_API_ASIDE */
	km_api_handler *handle;
	const char *help;
};

/* Ended by a NULL path. */
extern const struct km_api_route km_api_routes[];

km_api_handler km_api_filter;
km_api_handler km_api_prioritize;
km_api_handler km_api_predict;
km_api_handler km_api_explain;
km_api_handler km_api_decisions;
km_api_handler km_api_nodes;
km_api_handler km_api_features;
km_api_handler km_api_model;
km_api_handler km_api_metrics;
km_api_handler km_api_healthz;
km_api_handler km_api_readyz;
km_api_handler km_api_index;

/* An error body with a status; code as in "badRequest". */
void km_api_error(struct km_http_reply *reply, int status, const char *code, const char *message);

/* stats.c: the slot of a status in km_api_stats.route[].code, and the slots' names. */
size_t km_api_code_slot(int status);

/*
 * judge.c: what /filter, /prioritize and /v1/explain do alike. Decodes the body and finds
 * out who asks; on trouble writes the refusal. returns 0, or negative when answered already.
 */
int km_api_decode_args(struct km_api *api, const struct km_http_request *req,
                       struct km_http_reply *reply, struct km_extender_args *args,
                       struct km_subject *who) KM_MUST_CHECK;

/* What came of one call; all of it lives in the request's arena. */
struct km_api_judged {
	const struct km_verdict *verdict; /* [args->count]; NULL when memory ran out: be neutral */
	struct km_recorded record;        /* counts, when decisions are remembered */
	struct km_decision detail;        /* the nodes to remember */
};

/* Judges, counts, and makes the pod's reservation, which follows from the verdicts. */
void km_api_judge(struct km_api *api, const struct km_http_request *req,
                  const struct km_extender_args *args, const struct km_subject *who,
                  enum km_call call, struct km_api_judged *out);

/* remember.c: one call (KM_RECORD_FILTER, KM_RECORD_PRIORITIZE) into the ring of decisions. */
void km_api_remember(struct km_api *api, const struct km_http_request *req,
                     const struct km_extender_args *args, const struct km_subject *who,
                     struct km_api_judged *judged, unsigned call);

/*
 * query.c: a whole number of the query string; *out stays when it is absent. returns false when it
 * is none from 1 to `most`: answered already.
 */
bool km_api_query_number(const struct km_http_request *req, struct km_http_reply *reply,
                         const char *name, int64_t most, int64_t *out);

/* query.c: a text of it; len 0 = absent. */
struct km_name km_api_query_name(const struct km_http_request *req, const char *name);

/* view.c: all pods in flight on a node together, however they were taken in. */
double km_api_in_flight(const struct km_decision_node *node);

/* view.c: "fresh", "stale", ... */
const char *km_api_state_name(enum km_data_state s);

/* view.c: seconds since a node's newest sample was read; NaN = never. */
double km_api_age_s(const struct km_api *api, const struct km_host_features *f);

/* readings.c: gauges of the newest bin, of the first `count` nodes, their hosts and CPUs. */
void km_api_expose_readings(struct km_metrics_writer *w, const struct km_cluster_snapshot *s,
                            size_t count);

/* Why tasks of the node wait for a CPU: fills *out and returns it; NULL = nothing is known. */
const struct km_triage *km_api_triage(const struct km_cluster_snapshot *s, struct km_name name,
                                      struct km_triage *out);

/* One node of a decision as answers show it. */
void km_api_view_node(struct km_name name, const struct km_decision_node *node,
                      struct km_answer_node *out);
void km_api_view_verdict(const struct km_verdict *verdict, struct km_answer_verdict *out);

/*
 * The model in use as answers name it; *held keeps its texts alive (km_model_unref; NULL when there
 * is none).
 */
void km_api_view_model(struct km_api *api, struct km_answer_model *out, struct km_model **held);

/* The names of all nodes of a snapshot, borrowed from it. NULL when memory ran out. */
struct km_name *km_api_all_names(const struct km_cluster_snapshot *s, struct km_arena *arena);

/* Writes 503 when the reply's buffer ran out of memory. The last thing a writing handler does. */
void km_api_finish(struct km_http_reply *reply);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's HTTP interface: a table of routes, a file per route: decode -> call -> encode.
 */
#ifndef KM_API_ROUTES_H
#define KM_API_ROUTES_H

#include <pthread.h>
#include <stdbool.h>

#include "km/agent/agent.h"
#include "km/cluster/cluster.h"
#include "km/cluster/view.h"
#include "km/core/settings.h"
#include "km/decide/decide.h"
#include "km/decide/decision_log.h"
#include "km/decide/record.h"
#include "km/metrics/metrics.h"
#include "km/net/server.h"

#define KM_API_ROUTES_MAX 16
#define KM_API_CODES      7

/* The routes' metrics; a zeroed struct counts nothing. km_api_register_metrics fills it. */
struct km_api_stats {
	struct {
		struct km_counter *code[KM_API_CODES]; /* answers by status */
		struct km_histogram *duration_s;       /* in the handler, without the network */
	} route[KM_API_ROUTES_MAX];
	struct km_histogram *names;               /* of a request to /filter or /prioritize */
	struct km_counter *judged[KM_REASON_N];   /* nodes, by reason of the verdict */
	struct km_counter *rejected[KM_REASON_N]; /* nodes filtered out, by reason */
	struct km_counter *neutral[KM_REASON_N];  /* answers without any prediction */
	struct km_counter *neutral_no_memory;     /* answers neutral for want of memory */
	struct km_counter *nodes_form;            /* requests with whole Node objects */
	struct km_counter *bad_annotations;
	struct km_counter *decode_errors;
};

#define KM_API_TROUBLES_MAX 3

/* What the routes work on; all borrowed, all outliving the servers (but see `agent`). */
struct km_api {
	unsigned roles;              /* enum km_role: routes of other roles answer 404 */
	_Atomic uint32_t json_depth; /* a reload may change it */
	struct km_decide *decide;    /* NULL without the extender role */
	struct km_record *record;    /* the last decisions; NULL without the extender role */
	struct km_decision_log *decision_log; /* likewise */
	struct km_cluster *cluster;           /* NULL without any node */
	struct km_cluster *own; /* what our own agent measures: often the same; NULL likewise */
	struct km_view *view;   /* NULL without Kubernetes */
	/* What else is to be said on /readyz, for each `at` below KM_API_TROUBLES_MAX, "" =
	 * nothing; NULL = nothing ever. Any thread. */
	void (*more_trouble)(void *ctx, size_t at, char *out, size_t size);
	void *more_trouble_ctx;
	pthread_mutex_t agent_lock; /* held for the microseconds of copying its status */
	struct km_agent *agent;     /* NULL without the agent role; through km_api_agent_* */
	struct km_metrics *metrics;
	const struct km_clock *clock;
	const char *version;
	_Atomic int ready; /* 0 while starting or stopping: /readyz says so */
	struct km_api_stats stats;
};

/* Handlers for the two listeners; ctx is a struct km_api. `observe` serves its own short list. */
void km_api_handle(void *ctx, const struct km_http_request *req, struct km_http_reply *reply);
void km_api_handle_observe(void *ctx, const struct km_http_request *req,
                           struct km_http_reply *reply);
bool km_api_aside(void *ctx, const struct km_http_request *req); /* of the first listener */
void km_api_refuse(void *ctx, int status, const char *message, struct km_http_reply *reply);

/*
 * The agent may be exchanged by a reload: a route reads it between _begin (NULL: no agent) and
 * _end, does not block in between and keeps no pointer to it. _set returns when no route uses the
 * old one. _init before anything else. Any thread.
 */
void km_api_agent_init(struct km_api *api);
void km_api_agent_fini(struct km_api *api);
struct km_agent *km_api_agent_begin(struct km_api *api);
void km_api_agent_end(struct km_api *api);
void km_api_agent_set(struct km_api *api, struct km_agent *agent);

/*
 * Registers the metrics of the routes, and a collector for the per-node gauges (the first 1,000
 * nodes). Once, at start-up, before serving; api->metrics may be NULL. returns 0 or -ENOMEM.
 */
int km_api_register_metrics(struct km_api *api) KM_MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The routes' metrics, and the gauges per node, which are computed when somebody asks. */
#include <math.h>

#include "km/base/macros.h"

#include "api_internal.h"

#define NODES_EXPOSED_MAX 1000

static const struct {
	int status;
	const char *label;
} codes[KM_API_CODES] = {
	{ 200, "200" }, { 304, "304" }, { 400, "400" }, { 404, "404" },
	{ 405, "405" }, { 413, "413" }, { 503, "503" },
};

size_t km_api_code_slot(int status)
{
	for (size_t i = 0; i < KM_API_CODES; i++) {
		if (codes[i].status == status)
			return i;
	}
	return KM_API_CODES - 1;
}

/* Can a route answer so? Series that can never count anything are not exposed. */
static bool may_answer(const struct km_api_route *r, int status)
{
	if (!r)
		return status == 404 || status == 413 || status == 503;
	switch (status) {
	case 304:
		return r->handle == km_api_features;
	case 404:
		return r->handle == km_api_features || r->handle == km_api_explain;
	case 400:
		return (r->methods & KM_API_POST) || r->handle == km_api_decisions;
	case 413:
		return false; /* the body is refused before its route is known */
	default:
		return true;
	}
}

static void register_route(struct km_api *api, size_t slot, const struct km_api_route *r)
{
	static const char help[] = "Requests answered, by route and status; route none: refused "
				   "before or without a route.";
	const char *path = r ? r->path : "none";

	for (size_t i = 0; i < KM_API_CODES; i++) {
		if (!may_answer(r, codes[i].status))
			continue;
		api->stats.route[slot].code[i] =
			km_metrics_counter(api->metrics, "kubemarla_http_answers_total", help,
		                           "route", path, "code", codes[i].label, KM_LABELS_END);
	}
	if (!r)
		return;
	api->stats.route[slot].duration_s = km_metrics_histogram(
		api->metrics, "kubemarla_http_handler_seconds",
		"Time from a whole request to its whole answer, without the network.",
		km_latency_bounds_s, KM_LATENCY_BOUNDS_COUNT, "route", path, KM_LABELS_END);
}

static void register_reasons(struct km_api *api)
{
	for (int r = 0; r < KM_REASON_N; r++) {
		const char *code = km_reason_code((enum km_reason)r);

		api->stats.judged[r] = km_metrics_counter(
			api->metrics, "kubemarla_extender_nodes_judged_total",
			"Verdicts over nodes in /filter and /prioritize, by reason.", "reason",
			code, KM_LABELS_END);
		if (r == KM_REASON_FITS)
			continue;
		api->stats.rejected[r] = km_metrics_counter(
			api->metrics, "kubemarla_extender_nodes_rejected_total",
			"Nodes that /filter dropped, by reason.", "reason", code, KM_LABELS_END);
		if (r == KM_REASON_TOO_SLOW || r == KM_REASON_HARM)
			continue;
		api->stats.neutral[r] = km_metrics_counter(
			api->metrics, "kubemarla_extender_neutral_answers_total",
			"Answers of /filter and /prioritize without a prediction for any node, by "
			"reason.",
			"reason", code, KM_LABELS_END);
	}
	api->stats.neutral_no_memory = km_metrics_counter(
		api->metrics, "kubemarla_extender_neutral_answers_total",
		"Answers of /filter and /prioritize without a prediction for any node, by reason.",
		"reason", "OutOfMemory", KM_LABELS_END);
}

static double prediction_of(const struct km_decision *d, size_t i)
{
	return d && i < d->count ? d->node[i].prediction.slowdown : NAN;
}

/* NaN where nothing was predicted: no sample then. */
static double outside_of(const struct km_decision *d, size_t i)
{
	if (!d || isnan(prediction_of(d, i)))
		return NAN;
	return d->node[i].prediction.outside;
}

/* One family over the first `count` nodes. */
static void expose_nodes(struct km_metrics_writer *w, struct km_api *api,
                         const struct km_cluster_snapshot *s, size_t count,
                         const struct km_decision *d)
{
	km_metrics_family(w, KM_METRIC_GAUGE, "kubemarla_node_predicted_slowdown_ratio",
	                  "Predicted p99 latency there / alone, for the default workload.");
	for (size_t i = 0; i < count; i++)
		km_metrics_sample(w, prediction_of(d, i), "node", s->node[i].name, KM_LABELS_END);
	km_metrics_family(w, KM_METRIC_GAUGE, "kubemarla_node_features_outside_training",
	                  "Features of that prediction outside of what the model was trained on.");
	for (size_t i = 0; i < count; i++)
		km_metrics_sample(w, outside_of(d, i), "node", s->node[i].name, KM_LABELS_END);
	km_metrics_family(w, KM_METRIC_GAUGE, "kubemarla_node_data_age_seconds",
	                  "Time since the node's newest counters were read.");
	for (size_t i = 0; i < count; i++)
		km_metrics_sample(w, km_api_age_s(api, s->node[i].features), "node",
		                  s->node[i].name, KM_LABELS_END);
	km_metrics_family(w, KM_METRIC_GAUGE, "kubemarla_node_tier_info",
	                  "1, with what the node can measure: uncore, core, os or none.");
	for (size_t i = 0; i < count; i++) {
		const struct km_host_features *f = s->node[i].features;

		km_metrics_sample(w, 1, "node", s->node[i].name, "tier",
		                  km_tier_name(f ? f->tier : KM_TIER_NONE), KM_LABELS_END);
	}
}

/* Readings of what we measure ourselves: those of other agents are theirs to show. */
static void expose_own(struct km_metrics_writer *w, struct km_api *api)
{
	const struct km_cluster_snapshot *s;

	if (!api->own)
		return;
	s = km_cluster_get(api->own);
	km_api_expose_readings(
		w, s, s->node_count < NODES_EXPOSED_MAX ? s->node_count : NODES_EXPOSED_MAX);
	km_cluster_put(s);
}

/* Runs on the HTTP thread that serves /metrics. */
static void collect_nodes(struct km_metrics_writer *w, void *ctx)
{
	struct km_api *api = ctx;
	const struct km_cluster_snapshot *s;
	struct km_decision decision;
	struct km_workload workload;
	struct km_arena arena;
	struct km_name *names;
	bool decided = false;
	size_t count;

	if (!api->cluster)
		return;
	s = km_cluster_get(api->cluster);
	count = s->node_count < NODES_EXPOSED_MAX ? s->node_count : NODES_EXPOSED_MAX;
	km_metrics_family(w, KM_METRIC_GAUGE, "kubemarla_nodes",
	                  "Nodes known; the families per node show the first 1,000.");
	km_metrics_sample(w, s->node_count, KM_LABELS_END);
	km_arena_init(&arena, 0);
	names = km_api_all_names(s, &arena);
	if (api->decide && names) {
		km_decide_default_workload(api->decide, &workload);
		decided =
			km_decide_run(api->decide, &workload, names, count, &arena, &decision) == 0;
	}
	expose_nodes(w, api, s, count, decided ? &decision : NULL);
	expose_own(w, api);
	km_arena_fini(&arena);
	km_cluster_put(s);
}

int km_api_register_metrics(struct km_api *api)
{
	static const double name_bounds[] = { 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000 };
	struct km_api_stats *stats = &api->stats;
	size_t slot = 0;

	for (; km_api_routes[slot].path; slot++) {
		unsigned roles = km_api_routes[slot].roles;

		if (roles == 0 || (roles & api->roles))
			register_route(api, slot, &km_api_routes[slot]);
	}
	register_route(api, KM_API_ROUTES_MAX - 1, NULL);
	if (api->roles & KM_ROLE_EXTENDER) {
		register_reasons(api);
		stats->names = km_metrics_histogram(
			api->metrics, "kubemarla_extender_request_nodes",
			"Distinct nodes in a request to /filter or /prioritize.", name_bounds,
			KM_ARRAY_LEN(name_bounds), KM_LABELS_END);
		stats->nodes_form = km_metrics_counter(
			api->metrics, "kubemarla_extender_nodes_form_total",
			"Requests with whole Node objects: nodeCacheCapable is false, which costs "
			"kube-scheduler and us dearly.",
			KM_LABELS_END);
		stats->bad_annotations = km_metrics_counter(
			api->metrics, "kubemarla_extender_bad_annotations_total",
			"kubemarla.io/ annotations of pods that were ignored as unusable.",
			KM_LABELS_END);
		stats->decode_errors =
			km_metrics_counter(api->metrics, "kubemarla_extender_decode_errors_total",
		                           "Bodies refused as no ExtenderArgs.", KM_LABELS_END);
	}
	if (api->metrics)
		km_metrics_collect(api->metrics, collect_nodes, api);
	return api->metrics ? km_metrics_check(api->metrics, NULL) : 0;
}

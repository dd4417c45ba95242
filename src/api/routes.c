/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of routes and the way through it. Paths may end in one slash; query strings and content
 * types are nobody's business here. Runs on the HTTP pool's threads, several at once.
 */
#include "km/api/routes.h"

#include <string.h>

#include "km/base/complain.h"
#include "km/wire/json.h"

#include "api_internal.h"

#define EXTENDER KM_ROLE_EXTENDER
#define AGENT    KM_ROLE_AGENT

const struct km_api_route km_api_routes[] = {
	{ "/filter", KM_API_POST, EXTENDER, 0, km_api_filter,
	  "scheduler extender v1: ExtenderArgs in, ExtenderFilterResult out" },
	{ "/prioritize", KM_API_POST, EXTENDER, 0, km_api_prioritize,
	  "scheduler extender v1: ExtenderArgs in, HostPriorityList out" },
	{ "/v1/predict", KM_API_POST, EXTENDER, 0, km_api_predict,
	  "predicted slowdown of a described pod on each node" },
	{ "/v1/explain", KM_API_POST | KM_API_GET, EXTENDER, KM_API_ASIDE, km_api_explain,
	  "for each node its prediction, score, verdict and main reasons: of an ExtenderArgs, or "
	  "of "
	  "a decision (GET ?id=); ?weight= of the extender" },
	{ "/v1/decisions", KM_API_GET, EXTENDER, KM_API_ASIDE, km_api_decisions,
	  "the last decisions, newest first (?pod=NAME, ?namespace=, ?id=, ?limit=)" },
	{ "/v1/nodes", KM_API_GET, EXTENDER, 0, km_api_nodes,
	  "all nodes: data, features, prediction for the default workload" },
	{ "/v1/features", KM_API_GET, AGENT, KM_API_OBSERVE, km_api_features,
	  "features of this host's nodes (?node=NAME; ETag)" },
	{ "/v1/model", KM_API_GET, EXTENDER, 0, km_api_model, "the model that is loaded" },
	{ "/metrics", KM_API_GET, 0, KM_API_OBSERVE, km_api_metrics, "Prometheus text" },
	{ "/healthz", KM_API_GET, 0, KM_API_OBSERVE, km_api_healthz, "alive" },
	{ "/readyz", KM_API_GET, 0, KM_API_OBSERVE, km_api_readyz, "ready to answer" },
	{ "/", KM_API_GET, 0, 0, km_api_index, "this list" },
	{ .path = NULL },
};

#define ROUTE_COUNT (KM_ARRAY_LEN(km_api_routes) - 1)
_Static_assert(ROUTE_COUNT < KM_API_ROUTES_MAX, "the last slot counts what is no route");

static bool path_is(const char *path, size_t len, const char *route)
{
	return strlen(route) == len && memcmp(path, route, len) == 0;
}

/* returns the route's position, or -1. */
static int find(const struct km_api *api, const char *path, bool observe)
{
	size_t len = strlen(path);

	if (len > 1 && path[len - 1] == '/')
		len--;
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		const struct km_api_route *r = &km_api_routes[i];

		if (path_is(path, len, r->path) && (!observe || (r->flags & KM_API_OBSERVE)) &&
		    (r->roles == 0 || (r->roles & api->roles)))
			return (int)i;
	}
	return -1;
}

static bool allowed(const struct km_api_route *r, enum km_http_method method)
{
	switch (method) {
	case KM_HTTP_GET:
	case KM_HTTP_HEAD:
		return r->methods & KM_API_GET;
	case KM_HTTP_POST:
		return r->methods & KM_API_POST;
	default:
		return false;
	}
}

void km_api_error(struct km_http_reply *reply, int status, const char *code, const char *message)
{
	reply->status = status;
	reply->content_type = "application/json";
	km_buf_clear(&reply->body);
	km_json_error(&reply->body, code, message);
}

void km_api_finish(struct km_http_reply *reply)
{
	if (!km_buf_ok(&reply->body))
		km_api_error(reply, 503, "outOfMemory", "out of memory writing the answer");
}

static void refuse_method(const struct km_api_route *r, struct km_http_reply *reply)
{
	static const struct {
		const char *allow, *message;
	} only[] = {
		[KM_API_GET] = { "GET, HEAD", "this route takes GET and HEAD only" },
		[KM_API_POST] = { "POST", "this route takes POST only" },
		[KM_API_GET | KM_API_POST] = { "GET, HEAD, POST",
		                               "this route takes GET, HEAD and POST only" },
	};

	reply->allow = only[r->methods].allow;
	km_api_error(reply, 405, "methodNotAllowed", only[r->methods].message);
}

static void dispatch(struct km_api *api, const struct km_http_request *req,
                     struct km_http_reply *reply, bool observe)
{
	int64_t start_ns = km_clock_mono_ns(api->clock);
	int at = find(api, req->path, observe);
	const struct km_api_route *r = at >= 0 ? &km_api_routes[at] : NULL;
	size_t slot = at >= 0 ? (size_t)at : KM_API_ROUTES_MAX - 1;

	if (!r) {
		km_api_error(reply, 404, "notFound", "no such route; GET / lists them");
	} else if (!allowed(r, req->method)) {
		refuse_method(r, reply);
	} else {
		r->handle(api, req, reply);
		km_api_finish(reply);
		km_histogram_observe(api->stats.route[slot].duration_s,
		                     (double)(km_clock_mono_ns(api->clock) - start_ns) * 1e-9);
	}
	km_counter_add(api->stats.route[slot].code[km_api_code_slot(reply->status)], 1);
}

void km_api_handle(void *ctx, const struct km_http_request *req, struct km_http_reply *reply)
{
	dispatch(ctx, req, reply, false);
}

bool km_api_aside(void *ctx, const struct km_http_request *req)
{
	int at = find(ctx, req->path, false);

	return at >= 0 && (km_api_routes[at].flags & KM_API_ASIDE) &&
	       allowed(&km_api_routes[at], req->method);
}

void km_api_handle_observe(void *ctx, const struct km_http_request *req,
                           struct km_http_reply *reply)
{
	dispatch(ctx, req, reply, true);
}

static const char *refusal_code(int status)
{
	if (status == 413)
		return "bodyTooLarge";
	return status == 403 ? "forbidden" : "unavailable";
}

void km_api_refuse(void *ctx, int status, const char *message, struct km_http_reply *reply)
{
	static struct km_complain refusals = KM_COMPLAIN_INIT;
	struct km_api *api = ctx;

	/* A scheduler that sends whole Nodes of a large cluster gets here, and says little of it.
	 */
	km_complain(&refusals, km_clock_mono_ns(api->clock), KM_API_ROOM,
	            "refused a request status=%d: %s%s", status, message,
	            status == 413 ? "; nodeCacheCapable:true makes them small" : "");
	km_api_error(reply, status, refusal_code(status), message);
	km_counter_add(api->stats.route[KM_API_ROUTES_MAX - 1].code[km_api_code_slot(status)], 1);
}

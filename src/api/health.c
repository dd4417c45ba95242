/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /healthz and /readyz. A daemon without model or data is ready: it answers neutrally, and
 * taking it out of service would only turn neutral answers into errors. It says so in the reasons.
 * Until Kubernetes was listed once it is not: it would not know which pods are where.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "km/base/macros.h"
#include "km/model/model.h"

#include "api_internal.h"

#define REASONS_MAX     (4 + KM_API_TROUBLES_MAX + KM_VIEW_KINDS)
#define REASON_MAX      192
#define LOST_FOR_LONG_S 30

struct reasons {
	const char *reason[REASONS_MAX];
	size_t count;
	bool ready;
	char text[KM_VIEW_KINDS][REASON_MAX];
	char more[KM_API_TROUBLES_MAX][REASON_MAX + 64];
};

static bool any_data(struct km_api *api)
{
	const struct km_cluster_snapshot *s;
	bool found = false;

	if (!api->cluster)
		return false;
	s = km_cluster_get(api->cluster);
	for (uint32_t i = 0; i < s->node_count && !found; i++)
		found = s->node[i].features && s->node[i].features->version > 0;
	km_cluster_put(s);
	return found;
}

/* What is wrong with what Kubernetes says, a line a kind of object. */
static void add_kubernetes(struct km_api *api, struct reasons *r)
{
	struct km_view_health h;

	km_view_health(api->view, &h);
	for (size_t k = 0; k < KM_VIEW_KINDS; k++) {
		const char *name = km_view_kind_name((enum km_view_kind)k);
		const char *why = h.kind[k].why;
		const char *dash = why[0] != '\0' ? ": " : "";

		if (!h.kind[k].listed) {
			(void)snprintf(r->text[k], REASON_MAX,
			               "Kubernetes: %s are not listed yet%s%s", name, dash, why);
		} else if (h.kind[k].lost_s > LOST_FOR_LONG_S) {
			(void)snprintf(r->text[k], REASON_MAX,
			               "Kubernetes: no news of %s for %.0f s%s%s", name,
			               h.kind[k].lost_s, dash, why);
		} else {
			continue;
		}
		r->reason[r->count++] = r->text[k];
	}
	r->ready = r->ready && h.feeding;
}

static void find_reasons(struct km_api *api, struct reasons *r)
{
	r->count = 0;
	r->ready = atomic_load(&api->ready);
	if (!r->ready)
		r->reason[r->count++] = "starting or stopping";
	if (api->view)
		add_kubernetes(api, r);
	for (size_t i = 0; api->more_trouble && i < KM_API_TROUBLES_MAX; i++) {
		api->more_trouble(api->more_trouble_ctx, i, r->more[i], sizeof(r->more[i]));
		if (r->more[i][0] != '\0')
			r->reason[r->count++] = r->more[i];
	}
	if (api->decide) {
		struct km_model *model = km_decide_get_model(api->decide);

		if (!model)
			r->reason[r->count++] = "no model is loaded: answers are neutral";
		km_model_unref(model);
	}
	if (!any_data(api))
		r->reason[r->count++] = "no node has data yet: answers are neutral";
}

void km_api_healthz(struct km_api *api, const struct km_http_request *req,
                    struct km_http_reply *reply)
{
	struct reasons r;

	(void)req;
	find_reasons(api, &r);
	km_answer_status(&reply->body, "ok", r.reason, r.count);
}

void km_api_readyz(struct km_api *api, const struct km_http_request *req,
                   struct km_http_reply *reply)
{
	struct reasons r;

	(void)req;
	find_reasons(api, &r);
	reply->status = r.ready ? 200 : 503;
	km_answer_status(&reply->body, r.ready ? "ready" : "notReady", r.reason, r.count);
}

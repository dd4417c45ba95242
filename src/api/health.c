/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /healthz and /readyz. A daemon without model or data is ready: it answers neutrally, and
 * taking it out of service would only turn neutral answers into errors. It says so in the reasons.
 */
#include <stdatomic.h>

#include "km/base/macros.h"
#include "km/model/model.h"

#include "api_internal.h"

#define REASONS_MAX 4

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

/* reason [REASONS_MAX]. returns how many. */
static size_t reasons_of(struct km_api *api, const char **reason)
{
	size_t count = 0;

	if (!atomic_load(&api->ready))
		reason[count++] = "starting or stopping";
	if (api->decide) {
		struct km_model *model = km_decide_get_model(api->decide);

		if (!model)
			reason[count++] = "no model is loaded: answers are neutral";
		km_model_unref(model);
	}
	if (!any_data(api))
		reason[count++] = "no node has data yet: answers are neutral";
	return count;
}

void km_api_healthz(struct km_api *api, const struct km_http_request *req,
                    struct km_http_reply *reply)
{
	const char *reason[REASONS_MAX];

	(void)req;
	km_answer_status(&reply->body, "ok", reason, reasons_of(api, reason));
}

void km_api_readyz(struct km_api *api, const struct km_http_request *req,
                   struct km_http_reply *reply)
{
	const char *reason[REASONS_MAX];
	bool ready = atomic_load(&api->ready);

	(void)req;
	reply->status = ready ? 200 : 503;
	km_answer_status(&reply->body, ready ? "ready" : "notReady", reason,
	                 reasons_of(api, reason));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* GET /metrics: the Prometheus text of everything registered. */
#include "api_internal.h"

void km_api_metrics(struct km_api *api, const struct km_http_request *req,
                    struct km_http_reply *reply)
{
	(void)req;
	reply->content_type = KM_METRICS_CONTENT_TYPE;
	if (api->metrics && km_metrics_expose(api->metrics, &reply->body) != 0)
		km_api_error(reply, 503, "outOfMemory", "out of memory writing metrics");
}

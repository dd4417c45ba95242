/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/model: what is loaded, what it was trained on, and how good it was then. */
#include "km/model/model.h"

#include "api_internal.h"

void km_api_model(struct km_api *api, const struct km_http_request *req,
                  struct km_http_reply *reply)
{
	struct km_model *model = km_decide_get_model(api->decide);
	struct km_answer_model_card card;
	struct km_model_info info;

	(void)req;
	if (!model) {
		km_answer_model(&reply->body, NULL);
		return;
	}
	km_model_info(model, &info);
	card = (struct km_answer_model_card){
		.name = info.name,
		.task = info.task,
		.provenance = info.provenance,
		.library = info.library,
		.metrics_json = info.metrics_json,
		.hash = info.hash,
		.tree_count = info.tree_count,
		.max_depth = info.max_depth,
		.file_bytes = info.file_bytes,
		.residual_sd = info.residual_sd,
		.interval_low = info.interval_low,
		.interval_high = info.interval_high,
		.range_low = info.range_low,
		.range_high = info.range_high,
		.schema = km_model_schema(model),
	};
	km_answer_model(&reply->body, &card);
	km_model_unref(model);
}

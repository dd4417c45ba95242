/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/model: what is loaded, what it was trained on, and how good it was then. */
#include "km/api/card.h"

#include "api_internal.h"

void km_api_model(struct km_api *api, const struct km_http_request *req,
                  struct km_http_reply *reply)
{
	struct km_model *model = km_decide_get_model(api->decide);
	struct km_api_card card;

	(void)req;
	if (!model) {
		km_answer_model(&reply->body, NULL);
		return;
	}
	km_api_card_fill(model, &card);
	km_answer_model(&reply->body, &card.card);
	km_model_unref(model);
}

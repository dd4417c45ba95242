/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/predict: what would a pod like this suffer there? Reserves nothing. */
#include "km/wire/predict.h"

#include <errno.h>

#include "api_internal.h"

static void answer(struct km_api *api, const struct km_name *names, const struct km_decision *d,
                   struct km_http_reply *reply)
{
	struct km_json j = km_json_to(&reply->body);
	struct km_answer_model model;
	struct km_model *held;

	km_api_view_model(api, &model, &held);
	km_answer_predict_begin(&j, &model, &d->workload);
	for (size_t i = 0; i < d->count; i++) {
		struct km_answer_node node;

		km_api_view_node(names[i], &d->node[i], &node);
		km_answer_predict_node(&j, &node);
	}
	km_answer_end(&j);
	km_model_unref(held);
}

void km_api_predict(struct km_api *api, const struct km_http_request *req,
                    struct km_http_reply *reply)
{
	const struct km_cluster_snapshot *s = NULL;
	struct km_predict_args args;
	struct km_decision decision;
	struct km_workload base;
	struct km_workload w;
	struct km_err err = { .code = 0 };
	int rc = km_predict_decode(req->body, req->body_len, api->json_depth, req->arena, &args,
	                           &err);

	if (rc == -EINVAL) {
		km_api_error(reply, 400, "badRequest", err.text);
		return;
	}
	if (rc == 0 && args.all_nodes && api->cluster) {
		s = km_cluster_get(api->cluster);
		args.count = s->node_count;
		args.name = km_api_all_names(s, req->arena);
		rc = args.name ? 0 : -ENOMEM;
	}
	if (rc == 0) {
		km_decide_default_workload(api->decide, &base);
		km_predict_workload(&args, &base, &w);
		rc = km_decide_run(api->decide, &w,
		                   args.count > 0 ? args.name : &(struct km_name){ 0 }, args.count,
		                   req->arena, &decision);
	}
	if (rc == 0)
		answer(api, args.name, &decision, reply);
	else
		km_api_error(reply, 503, "outOfMemory", "out of memory predicting");
	km_cluster_put(s);
}

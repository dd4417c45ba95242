/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/explain: an ExtenderArgs body, answered with everything that led to each verdict.
 * Contributions cost about a millisecond a node, so only the first nodes get them.
 */
#include <math.h>

#include "api_internal.h"

#define EXPLAINED_NODES_MAX 20
#define CONTRIBUTIONS_MAX   5

static void explain_node(struct km_api *api, const struct km_cluster_snapshot *s,
                         const struct km_decision *d, size_t i, struct km_name name,
                         struct km_json *j)
{
	struct km_answer_contribution shown[CONTRIBUTIONS_MAX];
	struct km_contribution share[CONTRIBUTIONS_MAX];
	struct km_explanation sum = { NAN, NAN, NAN };
	struct km_answer_explanation why;
	struct km_answer_verdict verdict;
	struct km_answer_node node;
	struct km_model *held = NULL;
	struct km_triage triage;
	int count = 0;

	if (i < EXPLAINED_NODES_MAX && d->node[i].index >= 0)
		count = km_decide_explain(api->decide, &d->workload, name, share, CONTRIBUTIONS_MAX,
		                          &sum, &held);
	for (int k = 0; k < count; k++)
		shown[k] =
			(struct km_answer_contribution){ share[k].feature, share[k].value,
			                                 share[k].log_slowdown, share[k].slowdown };
	why = (struct km_answer_explanation){ sum.typical, sum.others, shown,
		                              count > 0 ? (size_t)count : 0 };
	km_api_view_node(name, &d->node[i], &node);
	node.triage = km_api_triage(s, name, &triage);
	km_api_view_verdict(&d->node[i].verdict, &verdict);
	km_answer_explain_node(j, &node, &verdict, &why);
	km_model_unref(held);
}

void km_api_explain(struct km_api *api, const struct km_http_request *req,
                    struct km_http_reply *reply)
{
	struct km_json j = km_json_to(&reply->body);
	const struct km_cluster_snapshot *s;
	struct km_answer_model model;
	struct km_extender_args args;
	struct km_decision d;
	struct km_workload w;
	struct km_model *held;
	size_t explained;

	if (km_api_decode_args(api, req, reply, &args, &w) != 0)
		return;
	if (km_decide_run(api->decide, &w, args.name, args.count, req->arena, &d) != 0) {
		km_api_error(reply, 503, "outOfMemory", "out of memory explaining");
		return;
	}
	explained = d.count < EXPLAINED_NODES_MAX ? d.count : EXPLAINED_NODES_MAX;
	km_api_view_model(api, &model, &held);
	km_answer_explain_begin(&j, &args.pod, &model, &d.workload, d.scale, explained,
	                        d.count > explained);
	s = api->cluster ? km_cluster_get(api->cluster) : NULL;
	for (size_t i = 0; i < d.count; i++)
		explain_node(api, s, &d, i, args.name[i], &j);
	km_cluster_put(s);
	km_answer_end(&j);
	km_model_unref(held);
}

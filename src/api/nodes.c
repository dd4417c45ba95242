/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/nodes: every node with its data and what the default workload would suffer there. */
#include "api_internal.h"

static void answer(struct km_api *api, const struct km_cluster_snapshot *s,
                   const struct km_name *names, const struct km_decision *d,
                   struct km_http_reply *reply)
{
	struct km_json j = km_json_to(&reply->body);
	struct km_answer_model model;
	struct km_model *held;

	km_api_view_model(api, &model, &held);
	km_answer_nodes_begin(&j, &model, &d->workload);
	for (size_t i = 0; i < d->count && i < s->node_count; i++) {
		const struct km_host_features *f = s->node[i].features;
		const struct km_schema *schema = NULL;
		const double *row = NULL;
		struct km_answer_verdict verdict;
		struct km_answer_node node;
		struct km_triage triage;

		km_api_view_node(names[i], &d->node[i], &node);
		node.triage = km_api_triage(s, names[i], &triage);
		km_api_view_verdict(&d->node[i].verdict, &verdict);
		if (f) {
			schema = f->schema;
			row = km_host_features_row(f, s->node[i].row);
		}
		km_answer_nodes_node(&j, &node, &verdict, schema, row);
	}
	km_answer_end(&j);
	km_model_unref(held);
}

void km_api_nodes(struct km_api *api, const struct km_http_request *req,
                  struct km_http_reply *reply)
{
	static const struct km_cluster_snapshot nothing = { .node_count = 0 };
	const struct km_cluster_snapshot *s =
		api->cluster ? km_cluster_get(api->cluster) : &nothing;
	struct km_name *names = km_api_all_names(s, req->arena);
	struct km_decision decision;
	struct km_workload w;

	km_decide_default_workload(api->decide, &w);
	/* The names are given, not left to decide: both halves of the answer are of one picture. */
	if (names &&
	    km_decide_run(api->decide, &w, names, s->node_count, req->arena, &decision) == 0)
		answer(api, s, names, &decision, reply);
	else
		km_api_error(reply, 503, "outOfMemory", "out of memory judging all nodes");
	if (s != &nothing)
		km_cluster_put(s);
}

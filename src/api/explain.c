/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /v1/explain: everything that leads to each verdict now. What is asked about is an ExtenderArgs
 * body, or a decision in the ring with the nodes that it kept. Contributions cost about a
 * millisecond a node, so only the best nodes get them.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api_internal.h"

#define EXPLAINED_NODES_MAX 20
#define CONTRIBUTIONS_MAX   5

/* What is asked about; in the request's arena. */
struct subject {
	struct km_answer_question question;
	struct km_subject who;
	const struct km_name *name; /* [count] */
	size_t count;
};

static void explain_node(struct km_api *api, const struct km_cluster_snapshot *s,
                         const struct km_decision *d, size_t i, const struct subject *subject,
                         bool explained, struct km_json *j)
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

	if (explained && d->node[i].index >= 0)
		count = km_decide_explain(api->decide, &d->workload, subject->name[i], share,
		                          CONTRIBUTIONS_MAX, &sum, &held);
	for (int k = 0; k < count; k++)
		shown[k] =
			(struct km_answer_contribution){ share[k].feature, share[k].value,
			                                 share[k].log_slowdown, share[k].slowdown };
	why = (struct km_answer_explanation){ sum.typical, sum.others, shown,
		                              count > 0 ? (size_t)count : 0 };
	km_api_view_node(subject->name[i], &d->node[i], &node);
	node.triage = km_api_triage(s, subject->name[i], &triage);
	km_api_view_verdict(&d->node[i].verdict, &verdict);
	km_answer_explain_node(j, &node, &verdict, &why);
	km_model_unref(held);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Marks the best: they pass, then by score, then in the order asked. NULL: no memory. */
static const bool *mark_best(const struct km_decision *d, struct km_arena *arena, size_t *marked)
{
	uint64_t *rank = km_arena_alloc(arena, (d->count + 1) * sizeof(*rank));
	bool *best = km_arena_calloc(arena, d->count + 1, sizeof(*best));

	if (!rank || !best)
		return NULL;
	for (size_t i = 0; i < d->count; i++) {
		const struct km_verdict *v = &d->node[i].verdict;

		rank[i] = (uint64_t)!v->passes << 63 |
		          (uint64_t)(KM_PLACE_SCALE_MAX - v->score) << 32 | i;
	}
	qsort(rank, d->count, sizeof(*rank), by_value);
	*marked = d->count < EXPLAINED_NODES_MAX ? d->count : EXPLAINED_NODES_MAX;
	for (size_t i = 0; i < *marked; i++)
		best[rank[i] & UINT32_MAX] = true;
	return best;
}

/* A body. returns 0, or negative when answered. */
static int read_body(struct km_api *api, const struct km_http_request *req,
                     struct km_http_reply *reply, struct subject *out)
{
	struct km_extender_args args;
	int rc = km_api_decode_args(api, req, reply, &args, &out->who);

	if (rc != 0)
		return rc;
	out->question.pod_namespace = args.pod.namespace;
	out->question.pod_name = args.pod.name;
	out->question.pod_uid = args.pod.uid;
	out->name = args.name;
	out->count = args.count;
	return 0;
}

/* A decision by its id. returns 0, or negative when answered. */
static int read_decision(struct km_api *api, const struct km_http_request *req,
                         struct km_http_reply *reply, struct subject *out)
{
	struct km_recorded_copy *copy = km_arena_alloc(req->arena, sizeof(*copy));
	struct km_record_query query = { .id = 0 };
	struct km_name *name = NULL;
	uint64_t cursor = 0;
	int64_t id = 0;

	if (!km_api_query_number(req, reply, "id", INT64_MAX, &id))
		return -1;
	if (id == 0) {
		km_api_error(reply, 400, "badRequest",
		             "id: saw none, want that of a decision, or a POST of an ExtenderArgs");
		return -1;
	}
	query.id = (uint64_t)id;
	if (copy)
		name = km_arena_alloc(req->arena, sizeof(*name) * KM_RECORD_NODES_MAX);
	if (!name) {
		km_api_error(reply, 503, "outOfMemory", "out of memory explaining");
		return -1;
	}
	if (!km_record_next(api->record, &query, &cursor, copy)) {
		km_api_error(reply, 404, "notFound",
		             "no such decision; the last 10,000 are remembered");
		return -1;
	}
	for (size_t i = 0; i < copy->decision.count; i++)
		name[i] = copy->decision.node[i].name;
	out->question.decision = copy->decision.id;
	out->question.policy = copy->decision.policy;
	out->question.pod_namespace = copy->decision.pod_namespace;
	out->question.pod_name = copy->decision.pod_name;
	out->question.pod_uid = copy->decision.pod_uid;
	km_decide_recorded_subject(&copy->decision.workload, copy->decision.pod_uid, &out->who);
	out->name = name;
	out->count = copy->decision.count;
	return 0;
}

static void answer(struct km_api *api, struct subject *subject, const struct km_decision *d,
                   const bool *best, struct km_http_reply *reply)
{
	struct km_json j = km_json_to(&reply->body);
	const struct km_cluster_snapshot *s = api->cluster ? km_cluster_get(api->cluster) : NULL;
	struct km_answer_model model;
	struct km_model *held;

	km_api_view_model(api, &model, &held);
	km_answer_explain_begin(&j, &subject->question, &model);
	for (size_t i = 0; i < d->count; i++)
		explain_node(api, s, d, i, subject, best[i], &j);
	km_answer_end(&j);
	km_model_unref(held);
	km_cluster_put(s);
}

void km_api_explain(struct km_api *api, const struct km_http_request *req,
                    struct km_http_reply *reply)
{
	struct subject subject = { .count = 0 };
	int64_t weight = 0;
	struct km_vote vote;
	struct km_decision d;
	const bool *best = NULL;

	if (!km_api_query_number(req, reply, "weight", KM_VOTE_WEIGHT_MAX, &weight) ||
	    (req->method == KM_HTTP_POST ? read_body(api, req, reply, &subject)
	                                 : read_decision(api, req, reply, &subject)) != 0)
		return;
	if (km_decide_run_subject(api->decide, &subject.who, subject.name, subject.count,
	                          req->arena, &d) == 0)
		best = mark_best(&d, req->arena, &subject.question.explained);
	if (!best) {
		km_api_error(reply, 503, "outOfMemory", "out of memory explaining");
		return;
	}
	km_vote_count(weight > 0 ? (double)weight : KM_VOTE_WEIGHT_ASSUMED, d.scale,
	              KM_VOTE_IN_TREE_WEIGHT, &vote);
	subject.question.workload = &d.workload;
	subject.question.risk = d.risk;
	if (subject.question.policy.len == 0)
		subject.question.policy = (struct km_name){ d.policy, (uint32_t)strlen(d.policy) };
	subject.question.scale = d.scale;
	subject.question.vote = &vote;
	subject.question.weight_given = weight > 0;
	subject.question.cut = d.count > subject.question.explained;
	answer(api, &subject, &d, best, reply);
}

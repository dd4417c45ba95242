/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/decisions: what was decided, from the ring: newest first, of one pod or of all. */
#include "api_internal.h"

#define LIMIT_DEFAULT 20
#define LIMIT_MAX     200 /* some 4 KB each */

static size_t view_reasons(const struct km_recorded *d, struct km_answer_reason *out)
{
	size_t count = 0;

	for (int r = 0; r < KM_REASON_N; r++) {
		const struct km_recorded_reason *n = &d->reason[r];

		if (n->judged == 0)
			continue;
		out[count].code = km_reason_code((enum km_reason)r);
		out[count].text = km_reason_text((enum km_reason)r);
		out[count].judged = n->judged;
		out[count++].rejected = n->rejected;
	}
	return count;
}

static void put_node(struct km_json *j, const struct km_recorded_node *n)
{
	struct km_answer_node node = {
		.name = n->name,
		.tier = n->tier,
		.age_s = n->age_s,
		.slowdown = n->slowdown,
		.low = n->low,
		.high = n->high,
		.state = km_api_state_name(n->state),
		.scored = n->scored,
		.in_flight = n->in_flight,
		.harm = { .pods = n->harm_pods, .worst = n->harm_worst, .limit = n->harm_limit },
	};
	struct km_answer_verdict verdict;

	km_api_view_verdict(&n->verdict, &verdict);
	km_answer_decision_node(j, &node, &verdict);
}

static void put_decision(struct km_json *j, const struct km_recorded *d)
{
	struct km_answer_reason reason[KM_REASON_N];
	const struct km_answer_decision shown = {
		.id = d->id,
		.prioritize_id = d->prioritize_id,
		.wall_ns = d->wall_ns,
		.filter = (d->calls & KM_RECORD_FILTER) != 0,
		.prioritize = (d->calls & KM_RECORD_PRIORITIZE) != 0,
		.pod_namespace = d->pod_namespace,
		.pod_name = d->pod_name,
		.pod_uid = d->pod_uid,
		.workload = &d->workload,
		.policy = d->policy,
		.workload_from = km_workload_origin_name(d->origin),
		.model_hash = d->model_hash,
		.scale = d->scale,
		.asked = d->asked,
		.passed = d->passed,
		.scored = d->scored,
		.best = d->best,
		.worst = d->worst,
		.best_count = d->best_count,
		.reason = reason,
		.reason_count = view_reasons(d, reason),
	};

	km_answer_decision_begin(j, &shown);
	for (size_t i = 0; i < d->count; i++)
		put_node(j, &d->node[i]);
	km_answer_decision_end(j);
}

void km_api_decisions(struct km_api *api, const struct km_http_request *req,
                      struct km_http_reply *reply)
{
	struct km_recorded_copy *copy = km_arena_alloc(req->arena, sizeof(*copy));
	struct km_json j = km_json_to(&reply->body);
	int64_t limit = LIMIT_DEFAULT;
	int64_t id = 0;
	struct km_record_query query;
	uint64_t cursor = 0;
	int64_t oldest_ns;
	size_t held;
	bool more;

	if (!copy) {
		km_api_error(reply, 503, "outOfMemory", "out of memory reading decisions");
		return;
	}
	if (!km_api_query_number(req, reply, "limit", LIMIT_MAX, &limit) ||
	    !km_api_query_number(req, reply, "id", INT64_MAX, &id))
		return;
	query = (struct km_record_query){ km_api_query_name(req, "pod"),
		                          km_api_query_name(req, "namespace"), (uint64_t)id };
	held = km_record_held(api->record, &oldest_ns);
	km_answer_decisions_begin(&j, held, KM_RECORD_DECISIONS, oldest_ns);
	while ((more = km_record_next(api->record, &query, &cursor, copy)) && limit-- > 0)
		put_decision(&j, &copy->decision);
	km_answer_decisions_end(&j, more);
}

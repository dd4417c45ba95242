/* SPDX-License-Identifier: Apache-2.0 */
/* POST /prioritize: a score for each node. Never an error for lack of our own data. */
#include "km/base/macros.h"

#include "api_internal.h"

/* MaxExtenderPriority / 2 (kube-scheduler's types.go): equal for all nodes, so it moves none. */
#define NEUTRAL_SCORE 5

void km_api_prioritize(struct km_api *api, const struct km_http_request *req,
                       struct km_http_reply *reply)
{
	struct km_extender_args args;
	struct km_api_judged judged;
	struct km_subject who;
	int32_t *score;

	if (km_api_decode_args(api, req, reply, &args, &who) != 0)
		return;
	score = km_arena_alloc(req->arena, (args.count + 1) * sizeof(*score));
	if (!score) {
		/* No opinion, as the protocol has it: an empty list. */
		km_counter_add(api->stats.neutral_no_memory, 1);
		km_buf_str(&reply->body, "[]");
		return;
	}
	km_api_judge(api, req, &args, &who, KM_CALL_PRIORITIZE, &judged);
	for (size_t i = 0; i < args.count; i++)
		score[i] = judged.verdict ? judged.verdict[i].score : NEUTRAL_SCORE;
	km_extender_write_priorities(&reply->body, &args, score);
	km_api_remember(api, req, &args, &who, &judged, KM_RECORD_PRIORITIZE);
}

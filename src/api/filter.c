/* SPDX-License-Identifier: Apache-2.0 */
/* POST /filter: the nodes where the pod may go. Never an error for lack of our own data. */
#include "api_internal.h"

/* Reasons come in two kinds, resolvable or not: outcome = reason * 2 + unresolvable. */
#define OUTCOMES ((size_t)KM_REASON_N * 2)
_Static_assert(OUTCOMES < KM_EXTENDER_PASS, "an outcome is one byte");

static const uint8_t *outcomes_of(struct km_api *api, const struct km_http_request *req,
                                  const struct km_verdict *verdict, size_t count)
{
	uint64_t rejected[KM_REASON_N] = { 0 };
	uint8_t *outcome = km_arena_alloc(req->arena, count + 1);

	for (size_t i = 0; outcome && i < count; i++) {
		const struct km_verdict *v = &verdict[i];

		if (v->passes) {
			outcome[i] = KM_EXTENDER_PASS;
			continue;
		}
		outcome[i] = (uint8_t)((unsigned)v->reason * 2 + (v->unresolvable ? 1 : 0));
		rejected[v->reason]++;
	}
	for (int r = 0; outcome && r < KM_REASON_N; r++) {
		if (rejected[r] > 0)
			km_counter_add(api->stats.rejected[r], rejected[r]);
	}
	return outcome;
}

void km_api_filter(struct km_api *api, const struct km_http_request *req,
                   struct km_http_reply *reply)
{
	struct km_extender_reason reasons[OUTCOMES];
	struct km_extender_args args;
	struct km_api_judged judged;
	struct km_subject who;

	if (km_api_decode_args(api, req, reply, &args, &who) != 0)
		return;
	for (unsigned i = 0; i < OUTCOMES; i++) {
		reasons[i].text = km_reason_text((enum km_reason)(i / 2));
		reasons[i].unresolvable = i % 2 == 1;
	}
	km_api_judge(api, req, &args, &who, KM_CALL_FILTER, &judged);
	km_extender_write_filter(&reply->body, &args,
	                         judged.verdict ? outcomes_of(api, req, judged.verdict, args.count)
	                                        : NULL,
	                         reasons, OUTCOMES);
	km_api_remember(api, req, &args, &who, &judged, KM_RECORD_FILTER);
}

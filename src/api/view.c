/* SPDX-License-Identifier: Apache-2.0 */
/* From decisions and pictures to what answers show. */
#include <math.h>
#include <string.h>

#include "km/model/model.h"

#include "api_internal.h"

double km_api_age_s(const struct km_api *api, const struct km_host_features *f)
{
	if (!f || f->measured_mono_ns == 0)
		return NAN;
	return (double)(km_clock_mono_ns(api->clock) - f->measured_mono_ns) * 1e-9;
}

const char *km_api_state_name(enum km_data_state s)
{
	static const char *const names[KM_DATA_STATE_N] = {
		[KM_DATA_FRESH] = "fresh",      [KM_DATA_AGING] = "aging",
		[KM_DATA_STALE] = "stale",      [KM_DATA_ABSENT] = "absent",
		[KM_DATA_LOW_TIER] = "lowTier", [KM_DATA_NO_MODEL] = "noModel",
	};

	return names[s];
}

double km_api_in_flight(const struct km_decision_node *node)
{
	const struct km_inflight_counts *n = &node->inflight;

	return n->service + n->model + n->footprint + n->effects + n->unknown;
}

void km_api_view_node(struct km_name name, const struct km_decision_node *node,
                      struct km_answer_node *out)
{
	*out = (struct km_answer_node){
		.name = name,
		.tier = node->tier,
		.age_s = node->age_s,
		.slowdown = node->prediction.slowdown,
		.low = node->prediction.low,
		.high = node->prediction.high,
		.outside = node->prediction.outside,
		.missing = node->prediction.missing,
		.state = km_api_state_name(node->state),
		.scored = node->scored,
		.in_flight = km_api_in_flight(node),
		.by = { .service = node->inflight.service,
		        .model = node->inflight.model,
		        .footprint = node->inflight.footprint,
		        .effects = node->inflight.effects,
		        .unknown = node->inflight.unknown },
		.harm = { .pods = node->harm.pods,
		          .worst = node->harm.worst,
		          .limit = node->harm.worst_limit,
		          .mean = node->harm.mean,
		          .worst_of = node->harm.worst_of },
	};
	if (isnan(out->slowdown)) {
		/* An interval around nothing means nothing. */
		out->low = NAN;
		out->high = NAN;
	}
}

void km_api_view_verdict(const struct km_verdict *verdict, struct km_answer_verdict *out)
{
	*out = (struct km_answer_verdict){
		.passes = verdict->passes,
		.score = verdict->score,
		.code = km_reason_code(verdict->reason),
		.text = km_reason_text(verdict->reason),
	};
}

void km_api_view_model(struct km_api *api, struct km_answer_model *out, struct km_model **held)
{
	struct km_model_info info;

	*out = (struct km_answer_model){ .name = NULL };
	*held = api->decide ? km_decide_get_model(api->decide) : NULL;
	if (!*held)
		return;
	km_model_info(*held, &info);
	out->name = info.name;
	out->hash = info.hash;
}

struct km_name *km_api_all_names(const struct km_cluster_snapshot *s, struct km_arena *arena)
{
	struct km_name *names = km_arena_calloc(arena, (size_t)s->node_count + 1, sizeof(*names));

	for (uint32_t i = 0; names && i < s->node_count; i++)
		names[i] = (struct km_name){ s->node[i].name, s->node[i].name_len };
	return names;
}

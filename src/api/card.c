/* SPDX-License-Identifier: Apache-2.0 */
#include "km/api/card.h"

#include <math.h>

static void fill_intervals(const struct km_model_info *info, struct km_api_card *out)
{
	const struct km_interval_knot all = { 0, info->interval_low, info->interval_high };
	const struct km_interval_knot *knot = info->knot_count > 0 ? info->knot : &all;
	size_t count = info->knot_count > 0 ? info->knot_count : 1;

	for (size_t i = 0; i < count && !isnan(knot[i].low + knot[i].high); i++) {
		/* as predictions have it: they are always within */
		out->interval[out->card.interval_count++] = (struct km_answer_interval){
			.slowdown = exp(knot[i].margin),
			.low = exp(knot[i].margin + fmin(knot[i].low, 0)),
			.high = exp(knot[i].margin + fmax(knot[i].high, 0)),
		};
	}
}

void km_api_card_fill(const struct km_model *model, struct km_api_card *out)
{
	struct km_model_info info;

	km_model_info(model, &info);
	out->card = (struct km_answer_model_card){
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
		.interval = out->interval,
		.range_low = info.range_low,
		.range_high = info.range_high,
		.schema = km_model_schema(model),
	};
	fill_intervals(&info, out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pods suffer where they are. Asked of a few nodes and of every policy in turn, so no table of
 * the workload is made: it would predict for all nodes, and take the place of one that requests
 * use.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "decide_internal.h"

/* All but the prediction. returns whether there can be one. */
static bool describe(const struct decide_view *view, struct km_name name, int64_t now_ns,
                     struct km_decision_node *out)
{
	const struct km_host_features *f = NULL;
	enum decide_age age = DECIDE_AGE_LATE;

	*out = (struct km_decision_node){
		.index = km_cluster_find(view->snapshot, name.text, name.len),
		.tier = KM_TIER_NONE,
		.age_s = NAN,
		.prediction = { .slowdown = NAN, .low = NAN, .high = NAN },
		.scored = NAN,
		.harm = { .worst = NAN, .worst_limit = NAN, .mean = NAN, .worst_of = "" },
	};
	if (out->index >= 0) {
		f = view->snapshot->node[out->index].features;
	}
	out->state = decide_data_state(view->context, f);
	if (f == NULL || f->measured_mono_ns == 0) {
		return false;
	}
	age = decide_age(view->context, decide_fresh_until_ns(view->context, f->measured_mono_ns),
	                 now_ns);
	out->state = decide_aged_state(out->state, age);
	out->tier = f->tier;
	out->age_s =
		now_ns > f->measured_mono_ns ? (double)(now_ns - f->measured_mono_ns) * 1e-9 : 0;
	return out->state == KM_DATA_FRESH || out->state == KM_DATA_AGING;
}

static int run(struct km_decide *d, const struct decide_view *view, const struct km_subject *who,
               const struct km_name *names, struct km_arena *arena, struct km_decision *out)
{
	struct decide_busy *busy = km_arena_calloc(arena, out->count + 1, sizeof(*busy));
	struct decide_miss *miss = km_arena_calloc(arena, out->count + 1, sizeof(*miss));
	int64_t now_ns = km_clock_mono_ns(d->clock);
	size_t misses = 0;
	int rc;

	out->node = km_arena_calloc(arena, out->count + 1, sizeof(*out->node));
	if (busy == NULL || miss == NULL || out->node == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < out->count; i++) {
		busy[i].plain = true;
		if (describe(view, names[i], now_ns, &out->node[i])) {
			miss[misses++] =
				(struct decide_miss){ (uint32_t)out->node[i].index,
				                      decide_node_key(names[i].text, names[i].len),
				                      &busy[i] };
		}
		out->node[i].asked = i;
	}
	rc = decide_evaluate_there(d, view, who, miss, misses, arena);
	for (size_t i = 0; i < out->count && rc == 0; i++) {
		if (!busy[i].plain) {
			out->node[i].prediction = busy[i].prediction;
		}
	}
	return rc;
}

int km_decide_run_there(struct km_decide *d, const struct km_subject *who,
                        const struct km_name *names, size_t count, struct km_arena *arena,
                        struct km_decision *out)
{
	struct decide_view view = { .snapshot = km_cluster_get(d->cluster),
		                    .context = decide_context_get(d) };
	int rc;

	*out = (struct km_decision){
		.workload = who->workload,
		.scale = view.context->settings.score_scale,
		.risk = view.context->settings.risk,
		.count = count,
		.generation = view.snapshot->generation,
		.model_hash = view.context->model_hash,
	};
	memcpy(out->policy, who->policy, sizeof(out->policy));
	rc = run(d, &view, who, names, arena, out);
	decide_view_close(&view);
	return rc;
}

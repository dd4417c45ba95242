/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens on missing data: the one place that says so.
 *
 *   never published, no bin closed yet, rows of another schema than the model's   ABSENT
 *   no model, or it gave no number                                                NO_MODEL
 *   fewer kinds of counters than the model reads                                  LOW_TIER
 *   measured more than decide.maxAge ago                                          STALE
 *
 * From there on place/judge.c follows the workload's onStale.
 */
#include <math.h>

#include "decide_internal.h"

enum km_data_state decide_data_state(const struct decide_context *c,
                                     const struct km_host_features *f)
{
	if (f == NULL || f->version == 0 || f->measured_mono_ns == 0) {
		return KM_DATA_ABSENT;
	}
	if (c->model == NULL) {
		return KM_DATA_NO_MODEL;
	}
	/* After a reload the windows of the new model's schema fill up first. */
	if (f->schema->hash != c->schema->hash || f->schema->count != c->schema->count) {
		return KM_DATA_ABSENT;
	}
	return km_tier_suffices(f->tier, c->schema->tier) ? KM_DATA_FRESH : KM_DATA_LOW_TIER;
}

int64_t decide_fresh_until_ns(const struct decide_context *c, int64_t measured_ns)
{
	int64_t until_ns;

	if (__builtin_add_overflow(measured_ns, c->settings.max_age_ns, &until_ns)) {
		return INT64_MAX;
	}
	return until_ns;
}

static struct decide_packed judge(const struct decide_context *c, const struct km_workload *w,
                                  enum km_data_state state, const struct km_prediction *p)
{
	struct km_candidate candidate = { state, p->slowdown, p->high, 0, 0 };
	struct km_verdict v;

	km_place_judge_one(w, &candidate, &c->rules, &v);
	return decide_pack(v);
}

void decide_judge(const struct decide_context *c, const struct km_workload *w,
                  const struct decide_known *k, struct decide_cell *out)
{
	enum km_data_state state = (enum km_data_state)k->state;

	if (state == KM_DATA_FRESH) {
		out->fresh_until_ns = decide_fresh_until_ns(c, k->measured_ns);
		out->fresh = judge(c, w, KM_DATA_FRESH, &k->prediction);
		out->late = judge(c, w, KM_DATA_STALE, &k->prediction);
	} else {
		out->fresh_until_ns = DECIDE_NEVER_FRESH;
		out->late = judge(c, w, state, &k->prediction);
		out->fresh = out->late;
	}
}

struct km_verdict decide_judge_without(const struct decide_context *c, const struct km_workload *w,
                                       enum km_data_state state)
{
	struct km_candidate candidate = { state, NAN, NAN, 0, 0 };
	struct km_verdict v;

	km_place_judge_one(w, &candidate, &c->rules, &v);
	return v;
}

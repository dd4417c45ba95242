/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens on missing data: the one place that says so.
 *
 *   never published, no bin closed yet, rows of another schema than the model's   ABSENT
 *   no model, or it gave no number                                                NO_MODEL
 *   fewer kinds of counters than the model reads                                  LOW_TIER
 *   measured more than decide.maxAge ago                                          STALE
 *   measured more than half of it ago                                             AGING
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

/* Half of maxAge, and three quarters of it, before data is stale. */
enum decide_age decide_age(const struct decide_context *c, int64_t fresh_until_ns, int64_t now_ns)
{
	int64_t max_age_ns = c->settings.max_age_ns;

	if (now_ns > fresh_until_ns) {
		return DECIDE_AGE_LATE;
	}
	if (now_ns <= fresh_until_ns - max_age_ns / 2) {
		return DECIDE_AGE_FRESH;
	}
	return now_ns <= fresh_until_ns - max_age_ns / 4 ? DECIDE_AGE_AGING : DECIDE_AGE_OLD;
}

enum km_data_state decide_aged_state(enum km_data_state state, enum decide_age age)
{
	static const enum km_data_state aged[DECIDE_AGE_N] = {
		[DECIDE_AGE_FRESH] = KM_DATA_FRESH,
		[DECIDE_AGE_AGING] = KM_DATA_AGING,
		[DECIDE_AGE_OLD] = KM_DATA_AGING,
		[DECIDE_AGE_LATE] = KM_DATA_STALE,
	};

	return state == KM_DATA_FRESH ? aged[age] : state;
}

/*
 * By how much of its width the interval is wider. A rule of caution, not calibrated: a node seldom
 * changes within seconds, but when it does, the prediction is of another node. Stale data keeps the
 * bound it had: it is not scored by it, only held below the fresh.
 */
static const double widened[DECIDE_AGE_N] = {
	[DECIDE_AGE_AGING] = 0.5,
	[DECIDE_AGE_OLD] = 1,
};

/*
 * Aging data is scored at this quantile at least, whatever decide.risk is: at 0.5 a wider interval
 * alone would not matter, and a node would keep its score until the moment its data is stale.
 */
#define AGING_RISK 0.8

static struct km_place_rules rules_at(const struct decide_context *c, enum decide_age age)
{
	struct km_place_rules rules = c->rules;

	if (widened[age] > 0 && !(rules.risk > AGING_RISK)) {
		rules.risk = AGING_RISK;
	}
	return rules;
}

static struct km_candidate candidate_of(enum km_data_state state, const struct km_prediction *p,
                                        double width, const struct decide_harm *h,
                                        enum decide_age age)
{
	struct km_candidate c = { .state = decide_aged_state(state, age),
		                  .slowdown = p->slowdown,
		                  .high = p->high,
		                  .harm_worst = (double)h->worst,
		                  .harm_mean = (double)h->mean };

	if (widened[age] > 0 && isfinite(width)) {
		c.high *= exp(widened[age] * width);
	}
	return c;
}

static double width_of(const struct km_prediction *p)
{
	return p->slowdown > 0 && p->high > p->slowdown ? log(p->high / p->slowdown) : 0;
}

const struct decide_harm decide_no_harm = { .slowdown = NAN,
	                                    .worst_slowdown = NAN,
	                                    .worst_limit = NAN };

static void judge_ages(const struct decide_context *c, const struct km_workload *w,
                       enum km_data_state state, const struct km_prediction *p, double width,
                       const struct decide_harm *h, struct decide_packed *out)
{
	for (int age = 0; age < DECIDE_AGE_N; age++) {
		struct km_candidate candidate =
			candidate_of(state, p, width, h, (enum decide_age)age);
		struct km_place_rules rules = rules_at(c, (enum decide_age)age);
		struct km_verdict v;

		km_place_judge_one(w, &candidate, &rules, &v);
		out[age] = decide_pack(v);
	}
}

void decide_judge(const struct decide_context *c, const struct km_workload *w,
                  const struct decide_known *k, struct decide_cell *out)
{
	enum km_data_state state = (enum km_data_state)k->state;

	out->fresh_until_ns = state == KM_DATA_FRESH ? decide_fresh_until_ns(c, k->measured_ns)
	                                             : DECIDE_NEVER_FRESH;
	judge_ages(c, w, state, &k->prediction, width_of(&k->prediction), &decide_no_harm,
	           out->verdict);
}

void decide_judge_busy(const struct decide_context *c, const struct km_workload *w,
                       struct decide_busy *b)
{
	judge_ages(c, w, (enum km_data_state)b->state, &b->prediction, (double)b->width, &b->harm,
	           b->verdict);
}

double decide_scored(const struct decide_context *c, const struct km_workload *w,
                     const struct km_prediction *p, double width, const struct decide_harm *h,
                     enum decide_age age)
{
	struct km_candidate candidate =
		candidate_of(KM_DATA_FRESH, p, isnan(width) ? width_of(p) : width, h, age);

	struct km_place_rules rules = rules_at(c, age);

	return km_place_scored(w, &candidate, &rules);
}

struct km_verdict decide_judge_without(const struct decide_context *c, const struct km_workload *w,
                                       enum km_data_state state)
{
	struct km_candidate candidate = { state, NAN, NAN, 0, 0 };
	struct km_verdict v;

	km_place_judge_one(w, &candidate, &c->rules, &v);
	return v;
}

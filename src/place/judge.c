/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From candidates to verdicts. Each is judged alone first, so that verdicts can be kept and looked
 * up; then those without trusted data are put in their place among the others.
 */
#include <math.h>

#include "km/place/place.h"

#include "place_internal.h"

static const enum km_reason reason_of[] = {
	[KM_DATA_FRESH] = KM_REASON_FITS,        [KM_DATA_AGING] = KM_REASON_FITS,
	[KM_DATA_STALE] = KM_REASON_STALE_DATA,  [KM_DATA_ABSENT] = KM_REASON_NO_DATA,
	[KM_DATA_LOW_TIER] = KM_REASON_LOW_TIER, [KM_DATA_NO_MODEL] = KM_REASON_NO_MODEL,
};
_Static_assert(sizeof(reason_of) / sizeof(reason_of[0]) == KM_DATA_STATE_N, "a reason per state");

static int32_t middle(uint32_t scale)
{
	return km_place_score(NAN, NAN, scale);
}

bool place_is_trusted(const struct km_verdict *v)
{
	return v->reason == KM_REASON_FITS || v->reason == KM_REASON_TOO_SLOW ||
	       v->reason == KM_REASON_HARM;
}

static uint16_t fine_of(double worth)
{
	return (uint16_t)lround(worth * UINT16_MAX);
}

static void judge_trusted(const struct km_workload *w, const struct km_candidate *c,
                          const struct km_place_rules *rules, struct km_verdict *out)
{
	bool too_slow = c->slowdown > km_place_limit(w->max_slowdown);
	bool harms = rules->harm_filter && c->harm_worst > 1;
	double scored = km_place_scored(w, c, rules);

	*out = (struct km_verdict){
		.passes = (!too_slow && !harms) || w->mode != KM_MODE_ENFORCE,
		.reason = too_slow ? KM_REASON_TOO_SLOW
		          : harms  ? KM_REASON_HARM
		                   : KM_REASON_FITS,
		.score = km_place_score(scored, w->max_slowdown, rules->scale),
		.fine = fine_of(km_place_worth(scored, w->max_slowdown)),
	};
}

/* The middle, or what a node with old data scored at worst. */
static int32_t neutral_score(const struct km_workload *w, const struct km_candidate *c,
                             uint32_t scale)
{
	double upper = isnan(c->high) ? c->slowdown : c->high;
	int32_t score = middle(scale);

	if (c->state == KM_DATA_STALE) {
		int32_t worst = km_place_score(upper, w->max_slowdown, scale);

		score = worst < score ? worst : score;
	}
	return score;
}

static void judge_untrusted(const struct km_workload *w, const struct km_candidate *c,
                            enum km_data_state state, uint32_t scale, struct km_verdict *out)
{
	bool rejected = w->on_stale == KM_ON_STALE_REJECT && w->mode == KM_MODE_ENFORCE;
	bool neutral = w->on_stale == KM_ON_STALE_NEUTRAL;

	*out = (struct km_verdict){
		.passes = !rejected,
		.unresolvable = rejected,
		.reason = reason_of[state],
		.score = neutral ? neutral_score(w, c, scale) : 0,
	};
}

void km_place_judge_one(const struct km_workload *w, const struct km_candidate *c,
                        const struct km_place_rules *rules, struct km_verdict *out)
{
	bool trusted = c->state == KM_DATA_FRESH || c->state == KM_DATA_AGING;

	if (w->mode == KM_MODE_OBSERVE) {
		*out = (struct km_verdict){ .passes = true,
			                    .reason = KM_REASON_OBSERVE_ONLY,
			                    .score = middle(rules->scale) };
	} else if (!trusted) {
		judge_untrusted(w, c, c->state, rules->scale, out);
	} else if (c->slowdown >= 0) {
		judge_trusted(w, c, rules, out);
	} else {
		judge_untrusted(w, c, KM_DATA_NO_MODEL, rules->scale, out);
	}
}

/* The lower median of trusted scores, or the highest score where there is none. */
static int32_t median_of_trusted(const struct km_verdict *v, size_t count)
{
	size_t with_score[KM_PLACE_SCALE_MAX + 1] = { 0 };
	size_t trusted = 0;
	size_t below = 0;
	int32_t score = 0;

	for (size_t i = 0; i < count; i++) {
		if (place_is_trusted(&v[i])) {
			with_score[v[i].score]++;
			trusted++;
		}
	}
	if (trusted == 0) {
		return KM_PLACE_SCALE_MAX;
	}
	for (;; score++) {
		below += with_score[score];
		if (below > (trusted - 1) / 2) {
			return score;
		}
	}
}

void km_place_settle(const struct km_workload *w, struct km_verdict *v, size_t count)
{
	int32_t median;

	if (w->mode == KM_MODE_OBSERVE || w->on_stale != KM_ON_STALE_NEUTRAL) {
		return;
	}
	median = median_of_trusted(v, count);
	for (size_t i = 0; i < count; i++) {
		if (!place_is_trusted(&v[i]) && v[i].score > median) {
			v[i].score = median;
		}
	}
}

void km_place_judge(const struct km_workload *w, const struct km_candidate *c, size_t count,
                    const struct km_place_rules *rules, struct km_verdict *out)
{
	for (size_t i = 0; i < count; i++) {
		km_place_judge_one(w, &c[i], rules, &out[i]);
	}
	km_place_settle(w, out, count);
	km_place_spread(w, out, count);
}

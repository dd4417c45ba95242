/* SPDX-License-Identifier: Apache-2.0 */
/* place: the score's formula, verdicts by mode and data, and what holds for any candidates. */
#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/base/rng.h"
#include "km/place/place.h"

#define ROUNDS     3000
#define COUNT_MAX  40
#define MIDDLE(sc) ((int32_t)(sc) / 2)

static const uint32_t scales[] = { 10, 100 };

static void the_score_follows_the_formula(void **state)
{
	static const struct {
		double slowdown, max_slowdown;
		int32_t of10, of100;
		const char *why;
	} rows[] = {
		{ 1.0, 2.0, 10, 100, "unharmed" },
		{ 0.7, 2.0, 10, 100, "faster than alone is no more than unharmed" },
		{ 0.0, 2.0, 10, 100, "zero is faster still" },
		{ 2.0, 2.0, 2, 20, "the limit is a fifth" },
		{ 1.4142135623730951, 2.0, 6, 60, "half the way in ln" },
		{ 4.0, 2.0, 1, 10, "twice the limit in ln: half of the fifth" },
		{ 1e9, 2.0, 0, 1, "hopeless" },
		{ 16.0, 2.0, 1, 5, "hopeless nodes still rank" },
		{ 1.05, 1.0, 2, 20, "a limit below 1.05 counts as 1.05" },
		{ 1.05, NAN, 2, 20, "so does none" },
		{ 1.05, -3.0, 2, 20, "and a negative one" },
		{ 1e300, INFINITY, 10, 100, "everything is tolerated" },
		{ INFINITY, 2.0, 0, 0, "never answers" },
		{ INFINITY, INFINITY, 0, 0, "never answers, whatever is tolerated" },
		{ NAN, 2.0, 5, 50, "no number: the middle" },
		{ -0.1, 2.0, 5, 50, "impossible: the middle" },
		{ -INFINITY, 2.0, 5, 50, "impossible: the middle" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		int32_t of10 = km_place_score(rows[i].slowdown, rows[i].max_slowdown, 10);
		int32_t of100 = km_place_score(rows[i].slowdown, rows[i].max_slowdown, 100);

		if (of10 != rows[i].of10 || of100 != rows[i].of100)
			fail_msg("%s: %d and %d", rows[i].why, of10, of100);
	}
	assert_int_equal(km_place_score(1, 2, 0), 0);
	assert_int_equal(km_place_score(1, 2, 4000000000u), KM_PLACE_SCALE_MAX);
}

static double any_slowdown(struct km_rng *rng)
{
	static const double edges[] = { NAN, -1, 0, 1, 1.05, 2, 1e300, INFINITY, -INFINITY };

	if (km_rng_below(rng, 4) == 0)
		return edges[km_rng_below(rng, KM_ARRAY_LEN(edges))];
	return exp(3 * km_rng_normal(rng));
}

static void slower_never_scores_higher_and_scores_stay_in_range(void **state)
{
	struct km_rng rng;

	(void)state;
	km_rng_init(&rng, 1);
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t scale = scales[km_rng_below(&rng, 2)];
		double limit = any_slowdown(&rng);
		double a = fabs(any_slowdown(&rng));
		double b = fabs(any_slowdown(&rng));
		int32_t score_a = km_place_score(a, limit, scale);
		int32_t score_b = km_place_score(b, limit, scale);

		assert_in_range(score_a, 0, scale);
		if (a <= b && score_a < score_b)
			fail_msg("%g scores %d, %g scores %d (limit %g)", a, score_a, b, score_b,
			         limit);
	}
}

/* ---- verdicts ---- */
struct pod {
	struct km_workload w;
	struct km_place_rules rules;
	size_t count;
	struct km_candidate c[COUNT_MAX];
	struct km_verdict v[COUNT_MAX];
};

static void judge(struct pod *p)
{
	km_place_judge(&p->w, p->c, p->count, &p->rules, p->v);
}

static struct km_candidate any_candidate(struct km_rng *rng)
{
	struct km_candidate c = { .state = (enum km_data_state)km_rng_below(rng, KM_DATA_STATE_N),
		                  .slowdown = NAN,
		                  .high = NAN };

	if (c.state <= KM_DATA_STALE) {
		c.slowdown = any_slowdown(rng);
		c.high = km_rng_below(rng, 3) == 0 ? NAN : c.slowdown * (1 + km_rng_unit(rng));
		c.harm_worst = km_rng_below(rng, 2) == 0 ? 0 : 2 * km_rng_unit(rng);
		c.harm_mean = c.harm_worst * km_rng_unit(rng);
	}
	return c;
}

static void any_pod(struct km_rng *rng, struct pod *p)
{
	*p = (struct pod){
		.w = { .rps = 100,
		       .replicas = 1,
		       .max_slowdown = 1 + 2 * km_rng_unit(rng),
		       .mode = (enum km_mode)km_rng_below(rng, KM_MODE_N),
		       .on_stale = (enum km_on_stale)km_rng_below(rng, KM_ON_STALE_N) },
		.rules = { .scale = scales[km_rng_below(rng, 2)],
		           .risk = km_rng_unit(rng),
		           .harm_filter = km_rng_below(rng, 2) == 0,
		           .harm_score = km_rng_below(rng, 2) == 0 },
		.count = km_rng_below(rng, COUNT_MAX + 1),
	};
	for (size_t i = 0; i < p->count; i++)
		p->c[i] = any_candidate(rng);
}

static bool is_fresh(const struct km_candidate *c)
{
	return c->state <= KM_DATA_AGING && c->slowdown >= 0;
}

static void check_mode(const struct pod *p, size_t i)
{
	const struct km_verdict *v = &p->v[i];
	bool enforce = p->w.mode == KM_MODE_ENFORCE;

	assert_in_range(v->score, 0, p->rules.scale);
	assert_in_range(v->reason, 0, KM_REASON_N - 1);
	assert_true(enforce || v->passes);
	assert_false(v->passes && v->unresolvable);
	if (p->w.mode == KM_MODE_OBSERVE) {
		assert_int_equal(v->score, MIDDLE(p->rules.scale));
		assert_int_equal(v->reason, KM_REASON_OBSERVE_ONLY);
	} else if (is_fresh(&p->c[i])) {
		bool slow = p->c[i].slowdown > fmax(p->w.max_slowdown, 1.05);
		bool harms = p->rules.harm_filter && p->c[i].harm_worst > 1;

		assert_int_equal(v->reason, slow    ? KM_REASON_TOO_SLOW
		                            : harms ? KM_REASON_HARM
		                                    : KM_REASON_FITS);
		assert_int_equal(v->passes, !((slow || harms) && enforce));
		assert_false(v->unresolvable);
	} else {
		bool reject = p->w.on_stale == KM_ON_STALE_REJECT;

		assert_true(v->reason > KM_REASON_HARM && v->reason < KM_REASON_OBSERVE_ONLY);
		assert_int_equal(v->unresolvable, reject && enforce);
		assert_true(p->w.on_stale == KM_ON_STALE_NEUTRAL || v->score == 0);
	}
}

static void every_verdict_keeps_to_its_mode(void **state)
{
	struct km_rng rng;
	struct pod p;

	(void)state;
	km_rng_init(&rng, 2);
	for (int round = 0; round < ROUNDS; round++) {
		any_pod(&rng, &p);
		judge(&p);
		for (size_t i = 0; i < p.count; i++)
			check_mode(&p, i);
	}
}

static void permuting_candidates_permutes_verdicts(void **state)
{
	struct km_rng rng;
	struct pod p;
	struct pod q;

	(void)state;
	km_rng_init(&rng, 3);
	for (int round = 0; round < ROUNDS; round++) {
		size_t from[COUNT_MAX];

		any_pod(&rng, &p);
		q = p;
		for (size_t i = 0; i < p.count; i++)
			from[i] = i;
		for (size_t i = p.count; i > 1; i--) {
			size_t other = km_rng_below(&rng, (uint32_t)i);
			size_t swap = from[i - 1];

			from[i - 1] = from[other];
			from[other] = swap;
		}
		for (size_t i = 0; i < p.count; i++)
			q.c[i] = p.c[from[i]];
		judge(&p);
		judge(&q);
		for (size_t i = 0; i < p.count; i++) {
			assert_int_equal(q.v[i].score, p.v[from[i]].score);
			assert_int_equal(q.v[i].reason, p.v[from[i]].reason);
			assert_int_equal(q.v[i].passes, p.v[from[i]].passes);
		}
	}
}

/* The promise of km_place_settle, from the definition of the median and not from its code. */
static void check_stale_against_fresh(const struct pod *p, size_t stale)
{
	double bound = isnan(p->c[stale].high) ? p->c[stale].slowdown : p->c[stale].high;
	int32_t score = p->v[stale].score;
	size_t fresh = 0;

	assert_true(score <= MIDDLE(p->rules.scale));
	for (size_t i = 0; i < p->count; i++)
		fresh += is_fresh(&p->c[i]);
	for (size_t i = 0; i < p->count; i++) {
		size_t below = 0;

		if (!is_fresh(&p->c[i]))
			continue;
		for (size_t k = 0; k < p->count; k++)
			below += is_fresh(&p->c[k]) && p->v[k].score < p->v[i].score;
		if (below >= fresh / 2)
			assert_true(p->v[i].score >= score);
		if (p->c[stale].state == KM_DATA_STALE &&
		    bound >= km_place_scored(&p->w, &p->c[i], &p->rules))
			assert_true(p->v[i].score >= score);
	}
}

static void stale_never_beats_fresh_and_better(void **state)
{
	struct km_rng rng;
	struct pod p;

	(void)state;
	km_rng_init(&rng, 4);
	for (int round = 0; round < ROUNDS; round++) {
		any_pod(&rng, &p);
		if (p.w.mode == KM_MODE_OBSERVE)
			continue;
		judge(&p);
		for (size_t i = 0; i < p.count; i++) {
			if (!is_fresh(&p.c[i]))
				check_stale_against_fresh(&p, i);
		}
	}
}

/* One pod, its candidates in short: slowdown, with the state before it. */
#define FRESH(s)                                                                                   \
	{                                                                                          \
		KM_DATA_FRESH, s, s, 0, 0                                                          \
	}
#define STALE(s, h)                                                                                \
	{                                                                                          \
		KM_DATA_STALE, s, h, 0, 0                                                          \
	}
#define GONE(what)                                                                                 \
	{                                                                                          \
		what, NAN, NAN, 0, 0                                                               \
	}

static void what_untrusted_data_scores(void **state)
{
	static const struct {
		enum km_on_stale on_stale;
		size_t count;
		struct km_candidate c[4];
		int32_t want[4];
		const char *why;
	} rows[] = {
		{ KM_ON_STALE_NEUTRAL,
		  3,
		  { GONE(KM_DATA_ABSENT), GONE(KM_DATA_LOW_TIER), GONE(KM_DATA_NO_MODEL) },
		  { 5, 5, 5 },
		  "no data at all: everyone the middle" },
		{ KM_ON_STALE_NEUTRAL,
		  4,
		  { FRESH(2), FRESH(1), FRESH(2), GONE(KM_DATA_ABSENT) },
		  { 2, 10, 2, 2 },
		  "the median of the fresh" },
		{ KM_ON_STALE_NEUTRAL,
		  3,
		  { FRESH(1), FRESH(2), GONE(KM_DATA_ABSENT) },
		  { 10, 2, 2 },
		  "of two the lower" },
		{ KM_ON_STALE_NEUTRAL,
		  2,
		  { FRESH(1), GONE(KM_DATA_ABSENT) },
		  { 10, 5 },
		  "never above the middle" },
		{ KM_ON_STALE_NEUTRAL,
		  3,
		  { FRESH(1), STALE(1, 2), STALE(1, 1) },
		  { 10, 2, 5 },
		  "the last known upper bound" },
		{ KM_ON_STALE_NEUTRAL,
		  2,
		  { STALE(2, NAN), STALE(NAN, NAN) },
		  { 2, 5 },
		  "without bound the prediction, without either the middle" },
		{ KM_ON_STALE_NEUTRAL, 2, { FRESH(1), FRESH(NAN) }, { 10, 5 }, "fresh, no number" },
		{ KM_ON_STALE_AVOID, 2, { FRESH(4), GONE(KM_DATA_ABSENT) }, { 1, 0 }, "avoided" },
		{ KM_ON_STALE_REJECT,
		  2,
		  { FRESH(4), STALE(1, 1) },
		  { 1, 0 },
		  "Prefer rejects not" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct pod p = { .w = { .max_slowdown = 2,
			                .mode = KM_MODE_PREFER,
			                .on_stale = rows[i].on_stale },
			         .rules = { .scale = 10 },
			         .count = rows[i].count };

		memcpy(p.c, rows[i].c, sizeof(rows[i].c));
		judge(&p);
		for (size_t k = 0; k < p.count; k++) {
			if (!p.v[k].passes || p.v[k].score != rows[i].want[k])
				fail_msg("%s: candidate %zu scores %d, want %d", rows[i].why, k,
				         p.v[k].score, rows[i].want[k]);
		}
	}
}

static void each_state_has_its_reason(void **state)
{
	static const struct {
		struct km_candidate c;
		enum km_reason want;
	} rows[] = {
		{ FRESH(1.9), KM_REASON_FITS },
		{ FRESH(2), KM_REASON_FITS }, /* the limit is tolerated */
		{ FRESH(2.1), KM_REASON_TOO_SLOW },
		{ FRESH(INFINITY), KM_REASON_TOO_SLOW },
		{ FRESH(NAN), KM_REASON_NO_MODEL },
		{ FRESH(-1), KM_REASON_NO_MODEL },
		{ STALE(1, 1), KM_REASON_STALE_DATA },
		{ GONE(KM_DATA_ABSENT), KM_REASON_NO_DATA },
		{ GONE(KM_DATA_LOW_TIER), KM_REASON_LOW_TIER },
		{ GONE(KM_DATA_NO_MODEL), KM_REASON_NO_MODEL },
	};
	struct km_workload w = { .max_slowdown = 2,
		                 .mode = KM_MODE_ENFORCE,
		                 .on_stale = KM_ON_STALE_REJECT };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		const struct km_place_rules rules = { .scale = 10 };
		struct km_verdict v;

		km_place_judge(&w, &rows[i].c, 1, &rules, &v);
		assert_int_equal(v.reason, rows[i].want);
		assert_int_equal(v.passes, rows[i].want == KM_REASON_FITS);
		assert_int_equal(v.unresolvable, rows[i].want > KM_REASON_HARM);
	}
}

/* kube-scheduler counts nodes by equal text. */
static void reasons_are_distinct_and_without_numbers(void **state)
{
	(void)state;
	for (int r = 0; r < KM_REASON_N; r++) {
		const char *text = km_reason_text((enum km_reason)r);
		const char *code = km_reason_code((enum km_reason)r);

		assert_true(strlen(text) > 8 && islower((unsigned char)text[0]));
		assert_true(strlen(code) > 3);
		for (const char *p = text; *p != '\0'; p++)
			assert_true(isalpha((unsigned char)*p) || *p == ' ' || *p == '\'');
		for (const char *p = code; *p != '\0'; p++)
			assert_true(isalpha((unsigned char)*p));
		for (int other = 0; other < r; other++) {
			assert_string_not_equal(text, km_reason_text((enum km_reason)other));
			assert_string_not_equal(code, km_reason_code((enum km_reason)other));
		}
	}
	assert_string_equal(km_reason_code(KM_REASON_TOO_SLOW), "PredictedSlowdown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_score_follows_the_formula),
		cmocka_unit_test(slower_never_scores_higher_and_scores_stay_in_range),
		cmocka_unit_test(every_verdict_keeps_to_its_mode),
		cmocka_unit_test(permuting_candidates_permutes_verdicts),
		cmocka_unit_test(stale_never_beats_fresh_and_better),
		cmocka_unit_test(what_untrusted_data_scores),
		cmocka_unit_test(each_state_has_its_reason),
		cmocka_unit_test(reasons_are_distinct_and_without_numbers),
	};

	return cmocka_run_group_tests_name("place", tests, NULL, NULL);
}

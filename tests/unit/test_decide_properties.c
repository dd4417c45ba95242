/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide: what holds for any pods on any nodes under any model, however wild; and what becomes of
 * bad input.
 */
#include "km/base/hash.h"

#include "support/inflight_world.h"

#define NODES  6
#define ROUNDS 300

/* A model without any sense: a hash of what it is told. */
static uint64_t wild_seed;

static double wild_model(const float *row)
{
	uint64_t h = km_hash64(row, INPUTS * sizeof(*row), wild_seed);

	return 0.8 + 4 * (double)(h >> 11) * 0x1p-53;
}

static const char *const classes[] = { "", "cpu", "l3", "odd", "other" };
static const char *const services[] = { "", "web", "db" };

/* `serial` makes the UID: a new pod each time. */
static struct km_pod any_pod(struct km_rng *rng, char *uid, size_t size, uint32_t serial)
{
	(void)snprintf(uid, size, "pod-%u", serial);
	return pod_of(uid, services[km_rng_below(rng, KM_ARRAY_LEN(services))],
	              classes[km_rng_below(rng, KM_ARRAY_LEN(classes))]);
}

static void any_settings(struct km_rng *rng, struct world *w)
{
	w->settings.score_scale = km_rng_below(rng, 2) == 0 ? 10 : 100;
	w->settings.risk = km_rng_unit(rng);
	w->settings.unknown_slowdown = 1 + 0.5 * km_rng_unit(rng);
	w->settings.default_workload.max_slowdown = 1.1 + 3 * km_rng_unit(rng);
	w->settings.default_workload.mode = (enum km_mode)km_rng_below(rng, KM_MODE_N);
	w->settings.on_stale = (enum km_on_stale)km_rng_below(rng, KM_ON_STALE_N);
	world_set(w);
	w->model.high_over = 1 + km_rng_unit(rng);
	wild_seed = km_rng_u64(rng);
}

static void any_feed(struct km_rng *rng, struct world *w, uint32_t *serial)
{
	char uid[24];
	struct km_pod pod = any_pod(rng, uid, sizeof(uid), (*serial)++);

	bind_pod(w, &pod, km_rng_below(rng, NODES),
	         km_rng_below(rng, 2) == 0 ? KM_DECIDE_NOT_YET
	                                   : w->now_ns - (int64_t)km_rng_below(rng, 90) * S);
}

/* Of every pair of classes something is known, also that one makes the other faster. */
static void learn_anything(struct km_rng *rng, struct world *w)
{
	for (size_t a = 1; a < KM_ARRAY_LEN(classes); a++) {
		for (size_t b = 1; b < KM_ARRAY_LEN(classes); b++) {
			(void)km_decide_observe_effect(
				w->decide, 0, km_decide_effects_key(classes[a], strlen(classes[a])),
				km_decide_effects_key(classes[b], strlen(classes[b])),
				km_rng_unit(rng) - 0.5, 5);
		}
	}
}

/* Adding an in-flight pod never raises a node's score, nor lowers what is predicted. */
static void one_more_in_flight_never_raises_a_score(void **state)
{
	struct km_effects *effects = km_effects_create(NULL);
	struct km_rng rng;
	struct world w;
	uint32_t serial = 0;
	uint64_t bound;

	(void)state;
	km_rng_init(&rng, 21);
	world_init(&w, NODES);
	w.model.slowdown = wild_model;
	km_decide_set_feed(w.decide, true);
	km_decide_attach_effects(w.decide, effects);
	for (int round = 0; round < ROUNDS; round++) {
		char uid[24];
		char more_uid[24];
		struct km_pod pod = any_pod(&rng, uid, sizeof(uid), serial++);
		struct km_pod more = any_pod(&rng, more_uid, sizeof(more_uid), serial++);
		uint32_t node = km_rng_below(&rng, NODES);
		struct km_decision_node before;
		struct km_decision_node after;

		if (round % 20 == 0) {
			any_settings(&rng, &w);
			learn_anything(&rng, &w);
			km_decide_set_feed(w.decide, false);
			km_decide_set_feed(w.decide, true);
		}
		w.now_ns += km_rng_below(&rng, 5) * S;
		publish_all(&w, km_rng_unit(&rng));
		any_feed(&rng, &w, &serial);
		before = look(&w, &pod, node);
		bind_pod(&w, &more, node, KM_DECIDE_NOT_YET);
		after = look(&w, &pod, node);
		if (after.verdict.score > before.verdict.score ||
		    after.prediction.slowdown < before.prediction.slowdown * (1 - 1e-12) ||
		    (after.verdict.passes && !before.verdict.passes))
			fail_msg("round %d: %d of %g before, %d of %g with one more", round,
			         before.verdict.score, before.prediction.slowdown,
			         after.verdict.score, after.prediction.slowdown);
	}
	bound = km_counter_value(w.decide->stats.bound);
	assert_true(bound > ROUNDS / 4); /* the model being what it is */
	km_decide_attach_effects(w.decide, NULL);
	km_effects_free(effects);
	world_fini(&w);
}

static void scores_are_in_range_and_every_host_is_judged(void **state)
{
	struct km_rng rng;
	struct world w;
	uint32_t serial = 0;

	(void)state;
	km_rng_init(&rng, 22);
	world_init(&w, NODES);
	w.model.slowdown = wild_model;
	for (int round = 0; round < ROUNDS; round++) {
		struct km_verdict v[NODES];
		char uid[24];
		struct km_pod pod = any_pod(&rng, uid, sizeof(uid), serial++ % 7);
		struct km_subject who;

		if (round % 10 == 0)
			any_settings(&rng, &w);
		if (round % 30 == 0)
			km_decide_set_feed(w.decide, km_rng_below(&rng, 2) == 0);
		w.now_ns += km_rng_below(&rng, 12) * S;
		publish(&w, km_rng_below(&rng, NODES), km_rng_unit(&rng));
		if (km_rng_below(&rng, 2) == 0)
			any_feed(&rng, &w, &serial);
		memset(v, 0xff, sizeof(v));
		who = subject_of(&w, &pod);
		call(&w, &who, (enum km_call)km_rng_below(&rng, 3), v);
		for (int n = 0; n < NODES; n++) {
			assert_in_range(v[n].score, 0, w.settings.score_scale);
			assert_in_range(v[n].reason, 0, KM_REASON_N - 1);
			assert_true(v[n].passes || who.workload.mode == KM_MODE_ENFORCE);
		}
	}
	world_fini(&w);
}

/* The scored slowdown orders the scores, whatever led to it; the fresh and better never lose. */
static void slower_never_scores_higher_with_data_as_fresh(void **state)
{
	struct km_rng rng;
	struct world w;
	uint32_t serial = 0;

	(void)state;
	km_rng_init(&rng, 23);
	world_init(&w, NODES);
	w.model.slowdown = wild_model;
	km_decide_set_feed(w.decide, true);
	for (int round = 0; round < ROUNDS; round++) {
		struct km_decision d;
		char uid[24];
		struct km_pod pod = any_pod(&rng, uid, sizeof(uid), serial++);
		struct km_subject who;

		if (round % 20 == 0) {
			any_settings(&rng, &w);
			w.settings.default_workload.mode = KM_MODE_PREFER;
			world_set(&w);
		}
		w.now_ns += km_rng_below(&rng, 12) * S;
		publish(&w, km_rng_below(&rng, NODES), km_rng_unit(&rng));
		any_feed(&rng, &w, &serial);
		who = subject_of(&w, &pod);
		km_arena_reset(&w.arena);
		assert_int_equal(
			km_decide_run_subject(w.decide, &who, w.names, NODES, &w.arena, &d), 0);
		for (int a = 0; a < NODES; a++) {
			for (int b = 0; b < NODES; b++) {
				const struct km_decision_node *x = &d.node[a];
				const struct km_decision_node *y = &d.node[b];

				if (x->scored <= y->scored)
					assert_true(x->verdict.score >= y->verdict.score);
				if (x->state == KM_DATA_FRESH && y->state == KM_DATA_STALE &&
				    w.settings.on_stale == KM_ON_STALE_NEUTRAL &&
				    x->scored <= y->prediction.high)
					assert_true(x->verdict.score >= y->verdict.score);
			}
		}
	}
	world_fini(&w);
}

static void permuting_names_permutes_answers(void **state)
{
	struct km_rng rng;
	struct world w;
	uint32_t serial = 0;

	(void)state;
	km_rng_init(&rng, 24);
	world_init(&w, NODES);
	w.model.slowdown = wild_model;
	km_decide_set_feed(w.decide, true);
	any_settings(&rng, &w);
	publish_all(&w, 0.5);
	for (int i = 0; i < 12; i++)
		any_feed(&rng, &w, &serial);
	for (int round = 0; round < 50; round++) {
		char uid[24];
		struct km_pod pod = any_pod(&rng, uid, sizeof(uid), serial++);
		struct km_subject who = subject_of(&w, &pod);
		struct km_verdict plain[NODES];
		struct km_verdict turned[NODES];
		struct km_name names[NODES];
		const struct km_ask ask = { &who, KM_CALL_ASK, names, NODES };

		call(&w, &who, KM_CALL_ASK, plain);
		for (uint32_t i = 0; i < NODES; i++)
			names[i] = w.names[(i + (uint32_t)round) % NODES];
		assert_int_equal(km_decide_place(w.decide, &ask, &w.arena, turned), 0);
		for (uint32_t i = 0; i < NODES; i++) {
			const struct km_verdict *same = &plain[(i + (uint32_t)round) % NODES];

			assert_int_equal(turned[i].score, same->score);
			assert_int_equal(turned[i].reason, same->reason);
			assert_int_equal(turned[i].passes, same->passes);
		}
	}
	world_fini(&w);
}

/* A cache is no memory: what it says is what would be said without. */
static void what_is_kept_is_what_would_be_predicted(void **state)
{
	struct km_rng rng;
	struct world w;
	uint32_t serial = 0;

	(void)state;
	km_rng_init(&rng, 25);
	world_init(&w, NODES);
	w.model.slowdown = wild_model;
	km_decide_set_feed(w.decide, true);
	any_settings(&rng, &w);
	for (int round = 0; round < ROUNDS; round++) {
		uint32_t node = km_rng_below(&rng, NODES);
		char uid[24];
		struct km_pod pod = any_pod(&rng, uid, sizeof(uid), serial++);
		struct km_decision_node kept;
		struct km_decision_node anew;

		w.now_ns += km_rng_below(&rng, 3) * S;
		publish(&w, km_rng_below(&rng, NODES), km_rng_unit(&rng));
		any_feed(&rng, &w, &serial);
		if (serial % 3 == 0)
			km_decide_pod_gone(w.decide, name_of("pod-4"));
		(void)look(&w, &pod, node);
		kept = look(&w, &pod, node);
		decide_drop_tables(w.decide);
		anew = look(&w, &pod, node);
		assert_memory_equal(&kept.prediction, &anew.prediction, sizeof(kept.prediction));
		assert_int_equal(kept.verdict.score, anew.verdict.score);
		assert_true(kept.inflight.unknown == anew.inflight.unknown);
	}
	world_fini(&w);
}

/* ---- bad input ---- */
static void any_number_of_candidates_is_answered(void **state)
{
	static const uint32_t counts[] = { 0, 1, 15000 };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(counts); i++) {
		struct km_verdict *v = calloc(counts[i] + 1, sizeof(*v));
		struct km_pod pod = pod_of("a", "web", "l3");
		struct km_subject who;
		struct world w;

		world_init(&w, counts[i]);
		publish_all(&w, 0.5);
		who = subject_of(&w, &pod);
		for (int k = 0; k < 3; k++) {
			call(&w, &who, KM_CALL_FILTER, v);
			call(&w, &who, KM_CALL_PRIORITIZE, v);
		}
		assert_int_equal(ledger(&w).entries, counts[i] > 0);
		assert_true(ledger(&w).nodes <= KM_LEDGER_SHARED_MAX);
		for (uint32_t n = 0; n < counts[i]; n++)
			assert_true(v[n].passes && v[n].reason == KM_REASON_FITS);
		world_fini(&w);
		free(v);
	}
}

static double no_number(const float *row)
{
	(void)row;
	return NAN;
}

static void go_away(void *ctx)
{
	struct world *w = ctx;

	km_decide_set_model(w->decide, NULL);
}

static void without_numbers_answers_are_neutral(void **state)
{
	struct km_pod pod = pod_of("a", "web", "l3");
	struct km_pod other = pod_of("b", "db", "cpu");
	struct km_subject who;
	struct km_verdict v[3];
	struct world w;

	(void)state;
	world_init(&w, 3);
	km_decide_set_feed(w.decide, true);
	bind_pod(&w, &other, 1, KM_DECIDE_NOT_YET);
	who = subject_of(&w, &pod);
	call(&w, &who, KM_CALL_PRIORITIZE, v); /* no data at all */
	for (int i = 0; i < 3; i++)
		assert_true(v[i].score == 50 && v[i].reason == KM_REASON_NO_DATA);
	publish_all(&w, 0.5);
	w.model.slowdown = no_number;
	call(&w, &who, KM_CALL_PRIORITIZE, v);
	for (int i = 0; i < 3; i++)
		assert_true(v[i].score == 50 && v[i].reason == KM_REASON_NO_MODEL);
	w.model.slowdown = plain_model;
	publish_all(&w, 0.5);
	call(&w, &who, KM_CALL_PRIORITIZE, v);
	assert_int_equal(v[0].reason, KM_REASON_FITS);
	w.model.fails = -EIO; /* from now on, in the middle of it: the table stands */
	bind_pod(&w, &other, 2, KM_DECIDE_NOT_YET);
	call(&w, &who, KM_CALL_PRIORITIZE, v);
	for (int i = 0; i < 3; i++)
		assert_int_equal(v[i].reason, KM_REASON_FITS); /* by counters alone */
	w.model.fails = 0;
	w.model.before = go_away;
	w.model.before_ctx = &w;
	publish_all(&w, 0.6);
	call(&w, &who, KM_CALL_PRIORITIZE, v); /* finishes with what it began with */
	assert_int_equal(v[0].reason, KM_REASON_FITS);
	call(&w, &who, KM_CALL_PRIORITIZE, v);
	assert_int_equal(v[0].reason, KM_REASON_NO_MODEL);
	w.now_ns += 1000 * S;
	call(&w, &who, KM_CALL_FILTER, v);
	assert_true(v[0].passes);
	world_fini(&w);
}

static void all_stale_is_neutral_and_clocks_may_jump(void **state)
{
	static const int64_t jumps[] = { 1000 * S, -500 * S, -2000 * S, INT64_MAX / 2,
		                         INT64_MIN / 2 };
	struct km_pod pod = pod_of("a", "web", "l3");
	struct km_subject who;
	struct km_verdict v[3];
	struct world w;
	int64_t start_ns;

	(void)state;
	world_init(&w, 3);
	start_ns = w.now_ns;
	publish_all(&w, 0.5);
	who = subject_of(&w, &pod);
	who.workload.mode = KM_MODE_ENFORCE;
	for (size_t i = 0; i < KM_ARRAY_LEN(jumps); i++) {
		w.now_ns = start_ns + jumps[i];
		call(&w, &who, KM_CALL_PRIORITIZE, v);
		for (int n = 0; n < 3; n++)
			assert_true(v[n].passes && v[n].score >= 0 && v[n].score <= 100);
		bind_pod(&w, &pod, 1, w.now_ns + 1000 * S); /* will have run */
		(void)look(&w, &pod, 1);
		km_decide_pod_gone(w.decide, pod.uid);
	}
	w.now_ns = start_ns + 1000 * S;
	call(&w, &who, KM_CALL_FILTER, v);
	for (int n = 0; n < 3; n++)
		assert_int_equal(v[n].reason, KM_REASON_STALE_DATA);
	who.workload.on_stale = KM_ON_STALE_REJECT;
	call(&w, &who, KM_CALL_FILTER, v);
	for (int n = 0; n < 3; n++)
		assert_true(!v[n].passes && v[n].unresolvable);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_more_in_flight_never_raises_a_score),
		cmocka_unit_test(scores_are_in_range_and_every_host_is_judged),
		cmocka_unit_test(slower_never_scores_higher_with_data_as_fresh),
		cmocka_unit_test(permuting_names_permutes_answers),
		cmocka_unit_test(what_is_kept_is_what_would_be_predicted),
		cmocka_unit_test(any_number_of_candidates_is_answered),
		cmocka_unit_test(without_numbers_answers_are_neutral),
		cmocka_unit_test(all_stale_is_neutral_and_clocks_may_jump),
	};

	return cmocka_run_group_tests_name("decide properties", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* decide: what becomes of a pod and its candidates, with data, without, and across reloads. */
#include "km/base/rng.h"

#include "support/decide_world.h"

static void the_answer_is_the_models_own(void **state)
{
	static const char *const names[] = { "mid", "idle", "busy" };
	const double *const rows[] = { mid_row, idle_row, busy_row };
	struct km_decision d;
	struct km_name asked[3];
	struct world w;

	(void)state;
	world_init_ready(&w);
	for (size_t i = 0; i < 3; i++)
		asked[i] = name_of(names[i]);
	assert_int_equal(
		km_decide_run(w.decide, &w.settings.default_workload, asked, 3, &w.arena, &d), 0);
	assert_int_equal(d.count, 3);
	assert_int_equal(d.scale, 10);
	assert_true(d.model_hash != 0);
	for (size_t i = 0; i < 3; i++) {
		struct km_prediction p = ask_model(&w, rows[i], 1000);

		/* bit for bit: tables change when a prediction is made, not what it is */
		assert_memory_equal(&d.node[i].prediction, &p, sizeof(p));
		assert_int_equal(d.node[i].state, KM_DATA_FRESH);
		assert_int_equal(d.node[i].tier, KM_TIER_UNCORE);
		assert_true(d.node[i].age_s == 0);
		assert_int_equal(d.node[i].verdict.score, km_place_score(p.slowdown, 2, 10));
	}
	assert_true(d.node[1].verdict.score > d.node[0].verdict.score);
	assert_true(d.node[0].verdict.score > d.node[2].verdict.score);
	world_fini(&w);
}

static void the_pods_load_reaches_the_model(void **state)
{
	struct km_workload light;
	struct km_workload heavy;
	struct world w;

	(void)state;
	world_init_ready(&w);
	light = w.settings.default_workload;
	light.max_slowdown = 4; /* busy nodes do harm: a scale that tells much from very much */
	heavy = light;
	light.rps = 200;
	heavy.rps = 3800;
	assert_true(verdict_of(&w, &light, "busy").score > verdict_of(&w, &heavy, "busy").score);
	heavy.mode = KM_MODE_ENFORCE;
	assert_false(verdict_of(&w, &heavy, "busy").passes);
	assert_false(verdict_of(&w, &heavy, "busy").unresolvable);
	assert_int_equal(verdict_of(&w, &heavy, "busy").reason, KM_REASON_TOO_SLOW);
	heavy.mode = KM_MODE_OBSERVE;
	assert_true(verdict_of(&w, &heavy, "busy").passes);
	assert_int_equal(verdict_of(&w, &heavy, "busy").score, 5);
	world_fini(&w);
}

static void what_nobody_knows_is_nan_and_nobody_is_on_the_way(void **state)
{
	const char *names[] = { "pod.rps",          "node.ipc.mean", "pod.replicas_now",
		                "inflight.batch",   "pod.replicas",  "pod.rps_now",
		                "node.c0_ratio.p95" };
	const struct km_workload pod = { .rps = 1500, .replicas = 2 };
	const double row[] = { 9, 1.5, 9, 9, 9, 9, NAN };
	struct km_schema *s = NULL;
	float out[7];

	(void)state;
	assert_int_equal(km_schema_create(names, 7, 60, 5, &s, NULL), 0);
	decide_fill_row(s, row, &pod, NAN, out);
	assert_true(out[0] == 1500 && out[1] == 1.5F && out[4] == 2);
	assert_true(isnan(out[2]) && isnan(out[5]));
	assert_true(out[3] == 0);
	assert_true(isnan(out[6]));
	km_schema_unref(s);
}

/* ---- missing data ---- */
static void each_kind_of_missing_data_has_its_state(void **state)
{
	const double *const row[] = { mid_row };
	const char *other_names[] = { "node.ipc.mean", "pod.rps" };
	struct km_schema *other = NULL;
	struct km_host_features *f;
	struct km_workload pod;
	struct world w;

	(void)state;
	world_init_ready(&w);
	pod = w.settings.default_workload;
	assert_int_equal(km_schema_create(other_names, 2, 60, 5, &other, NULL), 0);
	assert_int_equal(verdict_of(&w, &pod, "dark").reason, KM_REASON_NO_DATA);
	assert_int_equal(verdict_of(&w, &pod, "nobody").reason, KM_REASON_NO_DATA);
	assert_int_equal(verdict_of(&w, &pod, "").reason, KM_REASON_NO_DATA);

	f = host_rows(&w, km_model_schema(w.model), 2, 0, row);
	publish(&w, f); /* no bin closed yet */
	assert_int_equal(verdict_of(&w, &pod, "dark").reason, KM_REASON_NO_DATA);

	publish(&w, host_rows(&w, other, 2, 1, row)); /* the windows of another model */
	assert_int_equal(verdict_of(&w, &pod, "dark").reason, KM_REASON_NO_DATA);

	f = host_rows(&w, km_model_schema(w.model), 2, 2, row);
	f->tier = KM_TIER_CORE; /* the model reads bandwidth */
	publish(&w, f);
	assert_int_equal(verdict_of(&w, &pod, "dark").reason, KM_REASON_LOW_TIER);

	publish(&w, host_rows(&w, km_model_schema(w.model), 2, 3, row));
	assert_int_equal(verdict_of(&w, &pod, "dark").reason, KM_REASON_FITS);
	assert_int_equal(verdict_of(&w, &pod, "dark").score, verdict_of(&w, &pod, "mid").score);
	km_schema_unref(other);
	world_fini(&w);
}

static void without_a_model_everyone_gets_the_middle(void **state)
{
	struct km_workload pod;
	struct km_decision d;
	struct world w;

	(void)state;
	world_init(&w);
	publish_known(&w, 1);
	pod = w.settings.default_workload;
	pod.mode = KM_MODE_ENFORCE;
	assert_int_equal(km_decide_run(w.decide, &pod, NULL, 0, &w.arena, &d), 0);
	assert_int_equal(d.count, NODES);
	assert_true(d.model_hash == 0);
	for (size_t i = 0; i < NODES; i++) {
		bool dark = i == 3;

		assert_true(d.node[i].verdict.passes);
		assert_int_equal(d.node[i].verdict.score, 5);
		assert_int_equal(d.node[i].index, i);
		assert_int_equal(d.node[i].state, dark ? KM_DATA_ABSENT : KM_DATA_NO_MODEL);
		assert_int_equal(d.node[i].tier, dark ? KM_TIER_NONE : KM_TIER_UNCORE);
		assert_true(isnan(d.node[i].prediction.slowdown));
		assert_true(dark ? isnan(d.node[i].age_s) : d.node[i].age_s == 0);
	}
	assert_null(km_decide_get_model(w.decide));
	world_fini(&w);
}

static void data_goes_stale_with_time_alone(void **state)
{
	struct km_workload pod;
	struct km_decision d;
	struct world w;

	(void)state;
	world_init_ready(&w);
	pod = w.settings.default_workload;
	assert_int_equal(verdict_of(&w, &pod, "idle").reason, KM_REASON_FITS);
	w.now_ns += MAX_AGE_S * KM_NS_PER_S;
	assert_int_equal(verdict_of(&w, &pod, "idle").reason, KM_REASON_FITS);
	w.now_ns += 1; /* older than maxAge: no publication, no prediction */
	assert_int_equal(verdict_of(&w, &pod, "idle").reason, KM_REASON_STALE_DATA);
	assert_int_equal(verdict_of(&w, &pod, "idle").score, 5);
	assert_true(verdict_of(&w, &pod, "busy").score < 5); /* its last known upper bound */
	assert_int_equal(km_decide_run(w.decide, &pod, NULL, 0, &w.arena, &d), 0);
	assert_int_equal(d.node[0].state, KM_DATA_STALE);
	assert_true(d.node[0].age_s > MAX_AGE_S && d.node[0].age_s < MAX_AGE_S + 1);
	assert_true(d.node[0].prediction.slowdown > 0.8); /* the last known one */
	pod.mode = KM_MODE_ENFORCE;
	pod.on_stale = KM_ON_STALE_REJECT;
	assert_false(verdict_of(&w, &pod, "idle").passes);
	assert_true(verdict_of(&w, &pod, "idle").unresolvable);
	publish_known(&w, 1); /* the same rows, measured now */
	assert_int_equal(verdict_of(&w, &pod, "idle").reason, KM_REASON_FITS);
	assert_int_equal(predicted(&w), 3);
	world_fini(&w);
}

static void data_from_the_future_is_fresh_and_no_younger_than_new(void **state)
{
	struct km_decision d;
	struct world w;

	(void)state;
	world_init_ready(&w);
	w.now_ns -= KM_NS_PER_S; /* a clock read before the publication it then sees */
	assert_int_equal(
		km_decide_run(w.decide, &w.settings.default_workload, NULL, 0, &w.arena, &d), 0);
	assert_int_equal(d.node[0].state, KM_DATA_FRESH);
	assert_true(d.node[0].age_s == 0);
	world_fini(&w);
}

/* ---- both ways of asking, against the engine asked directly ---- */
#define ASKED 6

static struct km_candidate expected(const struct world *w, const struct km_decision_node *n,
                                    const double *row, double rps)
{
	struct km_candidate c = { .state = n->state, .slowdown = NAN, .high = NAN };

	if (n->state <= KM_DATA_STALE) {
		struct km_prediction p = ask_model(w, row, rps);

		c.slowdown = p.slowdown;
		c.high = p.high;
		if (n->state == KM_DATA_AGING)
			c.high = km_place_widen(p.slowdown, p.high,
			                        n->age_s > 0.75 * MAX_AGE_S ? 1 : 0.5);
	}
	return c;
}

static void check_agreement(struct world *w, const struct km_workload *pod)
{
	static const char *const names[ASKED] = { "busy", "nobody", "idle", "dark", "mid", "idle" };
	const double *const row[ASKED] = { busy_row, NULL, idle_row, mid_row, mid_row, idle_row };
	struct km_candidate c[ASKED];
	struct km_verdict want[ASKED];
	struct km_verdict got[ASKED];
	struct km_name asked[ASKED];
	const struct km_place_rules rules = { .scale = w->settings.score_scale };
	const struct km_place_rules aging = { .scale = w->settings.score_scale, .risk = 0.8 };
	struct km_decision d;

	for (size_t i = 0; i < ASKED; i++)
		asked[i] = name_of(names[i]);
	assert_int_equal(km_decide_verdicts(w->decide, pod, asked, ASKED, &w->arena, got), 0);
	assert_int_equal(km_decide_run(w->decide, pod, asked, ASKED, &w->arena, &d), 0);
	for (size_t i = 0; i < ASKED; i++)
		c[i] = expected(w, &d.node[i], row[i], pod->rps);
	for (size_t i = 0; i < ASKED; i++)
		km_place_judge_one(pod, &c[i], c[i].state == KM_DATA_AGING ? &aging : &rules,
		                   &want[i]);
	km_place_settle(pod, want, ASKED);
	for (size_t i = 0; i < ASKED; i++) {
		const struct km_verdict *v = &d.node[i].verdict;

		if (got[i].score != want[i].score || got[i].reason != want[i].reason ||
		    got[i].passes != want[i].passes ||
		    got[i].unresolvable != want[i].unresolvable || v->score != want[i].score ||
		    v->reason != want[i].reason || v->passes != want[i].passes)
			fail_msg("%s: score %d, in detail %d, want %d", names[i], got[i].score,
			         v->score, want[i].score);
	}
	km_arena_reset(&w->arena);
}

static void verdicts_details_and_engine_agree(void **state)
{
	const double *const row[] = { mid_row };
	struct km_rng rng;
	struct world w;

	(void)state;
	world_init_ready(&w);
	km_rng_init(&rng, 5);
	for (uint64_t round = 1; round < 400; round++) {
		struct km_workload pod = {
			.rps = 100 + 100 * km_rng_below(&rng, 30),
			.replicas = 1,
			.max_slowdown = 1.1 + km_rng_unit(&rng),
			.mode = (enum km_mode)km_rng_below(&rng, KM_MODE_N),
			.on_stale = (enum km_on_stale)km_rng_below(&rng, KM_ON_STALE_N),
		};

		w.now_ns += km_rng_below(&rng, 8) * KM_NS_PER_S;
		if (km_rng_below(&rng, 3) == 0)
			publish_known(&w, round);
		if (km_rng_below(&rng, 3) == 0) {
			struct km_host_features *f =
				host_rows(&w, km_model_schema(w.model), 2, round, row);

			f->tier = (enum km_tier)km_rng_below(&rng, KM_TIER_N);
			publish(&w, f);
		}
		check_agreement(&w, &pod);
	}
	world_fini(&w);
}

static void odd_workloads_are_judged_all_the_same(void **state)
{
	static const double odd[] = { NAN, INFINITY, -INFINITY, -1, 0, 1e300 };
	struct world w;

	(void)state;
	world_init_ready(&w);
	for (size_t i = 0; i < KM_ARRAY_LEN(odd); i++) {
		struct km_workload pod = { .rps = odd[i],
			                   .replicas = odd[i],
			                   .max_slowdown = odd[i],
			                   .mode = KM_MODE_ENFORCE };
		struct km_verdict v;

		memset(pod.class_name, 'x', sizeof(pod.class_name)); /* not even an end */
		v = verdict_of(&w, &pod, "busy");
		assert_in_range(v.score, 0, 10);
		v = verdict_of(&w, &pod, "dark");
		assert_true(v.passes && v.score <= 5);
	}
	world_fini(&w);
}

/* ---- reloads ---- */
static void a_model_comes_and_goes_between_requests(void **state)
{
	struct km_workload pod;
	struct km_model *held;
	struct world w;

	(void)state;
	world_init(&w);
	publish_known(&w, 1);
	pod = w.settings.default_workload;
	assert_int_equal(verdict_of(&w, &pod, "idle").reason, KM_REASON_NO_MODEL);
	km_decide_set_model(w.decide, w.model);
	assert_int_equal(verdict_of(&w, &pod, "idle").reason, KM_REASON_FITS);
	held = km_decide_get_model(w.decide);
	assert_ptr_equal(held, w.model);
	km_decide_set_model(w.decide, NULL);
	assert_int_equal(verdict_of(&w, &pod, "idle").reason, KM_REASON_NO_MODEL);
	km_model_unref(held);
	world_fini(&w);
}

static void settings_hold_from_the_next_request_on(void **state)
{
	struct km_workload pod;
	int32_t of10;
	struct world w;

	(void)state;
	world_init_ready(&w);
	pod = w.settings.default_workload;
	of10 = verdict_of(&w, &pod, "mid").score;
	w.settings.score_scale = 100;
	w.settings.default_workload.rps = 777;
	w.settings.on_stale = KM_ON_STALE_AVOID;
	km_decide_set_settings(w.decide, &w.settings);
	assert_in_range(verdict_of(&w, &pod, "mid").score, of10 * 10 - 5, of10 * 10 + 5);
	km_decide_default_workload(w.decide, &pod);
	assert_true(pod.rps == 777 && pod.on_stale == KM_ON_STALE_AVOID);
	w.settings.max_age_ns = 0;
	km_decide_set_settings(w.decide, &w.settings);
	w.now_ns++;
	assert_int_equal(verdict_of(&w, &pod, "mid").reason, KM_REASON_STALE_DATA);
	assert_int_equal(verdict_of(&w, &pod, "mid").score, 0);
	w.settings.max_age_ns = INT64_MAX; /* no overflow into the past */
	km_decide_set_settings(w.decide, &w.settings);
	assert_int_equal(verdict_of(&w, &pod, "mid").reason, KM_REASON_FITS);
	world_fini(&w);
}

static void another_layout_is_judged_by_its_own_rows(void **state)
{
	const struct km_cluster_host turned[] = { { host_nodes[1], 1 }, { host_nodes[0], 2 } };
	const double *const row[] = { busy_row };
	struct km_host_features *f;
	struct km_workload pod;
	struct world w;
	int32_t busy;

	(void)state;
	world_init_ready(&w);
	pod = w.settings.default_workload;
	busy = verdict_of(&w, &pod, "busy").score;
	assert_int_equal(km_cluster_set_hosts(w.cluster, turned, 2, NULL), 0);
	assert_int_equal(verdict_of(&w, &pod, "busy").reason, KM_REASON_NO_DATA);
	assert_int_equal(verdict_of(&w, &pod, "dark").reason, KM_REASON_NO_DATA);
	f = host_rows(&w, km_model_schema(w.model), 1, 1, row);
	f->host = 0;
	publish(&w, f); /* mid is now where idle was, and as busy as busy was */
	assert_int_equal(verdict_of(&w, &pod, "mid").score, busy);
	assert_int_equal(verdict_of(&w, &pod, "idle").reason, KM_REASON_NO_DATA);
	world_fini(&w);
}

static void a_pod_speaks_for_itself_within_bounds(void **state)
{
	struct km_workload out;
	struct km_pod pod;
	struct world w;

	(void)state;
	world_init(&w);
	km_pod_init(&pod);
	km_decide_pod_workload(w.decide, &pod, &out);
	assert_true(out.rps == 1000 && out.max_slowdown == 2);
	assert_int_equal(out.mode, KM_MODE_PREFER);
	pod.rps = 300;
	pod.max_slowdown = 1.06;
	pod.class_name = name_of("web");
	km_decide_pod_workload(w.decide, &pod, &out);
	assert_true(out.rps == 300 && out.max_slowdown == 1.2);
	assert_string_equal(out.class_name, "web");
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_answer_is_the_models_own),
		cmocka_unit_test(the_pods_load_reaches_the_model),
		cmocka_unit_test(what_nobody_knows_is_nan_and_nobody_is_on_the_way),
		cmocka_unit_test(each_kind_of_missing_data_has_its_state),
		cmocka_unit_test(without_a_model_everyone_gets_the_middle),
		cmocka_unit_test(data_goes_stale_with_time_alone),
		cmocka_unit_test(data_from_the_future_is_fresh_and_no_younger_than_new),
		cmocka_unit_test(verdicts_details_and_engine_agree),
		cmocka_unit_test(odd_workloads_are_judged_all_the_same),
		cmocka_unit_test(a_model_comes_and_goes_between_requests),
		cmocka_unit_test(settings_hold_from_the_next_request_on),
		cmocka_unit_test(another_layout_is_judged_by_its_own_rows),
		cmocka_unit_test(a_pod_speaks_for_itself_within_bounds),
	};

	return cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}

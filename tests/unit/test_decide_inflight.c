/* SPDX-License-Identifier: Apache-2.0 */
/* decide: how pods in flight are taken into predictions, and who reserves what. */
#include "support/inflight_world.h"

#define NEAR(a, b) (fabs((a) - (b)) < 1e-6)

/* ---- what a pod in flight is to the model ---- */
static void pods_of_a_known_class_are_counted_for_the_model(void **state)
{
	struct km_pod web = pod_of("web-1", "web", "");
	struct km_pod l3 = pod_of("l3-1", "batch", "l3");
	struct km_decision_node n;
	struct world w;

	(void)state;
	world_init(&w, 2);
	publish_all(&w, 0.5);
	km_decide_set_feed(w.decide, true);
	bind_pod(&w, &l3, 0, KM_DECIDE_NOT_YET);
	n = look(&w, &web, 0);
	assert_true(NEAR(log(n.prediction.slowdown), 0.3 + 0.2));
	assert_true(n.inflight.model == 1 && n.inflight.unknown == 0);
	assert_true(n.verdict.score < look(&w, &web, 1).verdict.score);
	n = look(&w, &web, 1);
	assert_true(NEAR(log(n.prediction.slowdown), 0.3) && n.inflight.model == 0);
	l3 = pod_of("l3-2", "batch", "l3");
	bind_pod(&w, &l3, 0, KM_DECIDE_NOT_YET);
	assert_true(NEAR(log(look(&w, &web, 0).prediction.slowdown), 0.3 + 0.4));
	world_fini(&w);
}

static void replicas_of_the_service_are_told_as_load(void **state)
{
	struct km_pod a = pod_of("web-1", "web", "");
	struct km_pod b = pod_of("web-2", "web", "");
	struct km_pod c = pod_of("web-3", "web", "");
	struct km_decision_node n;
	struct world w;

	(void)state;
	world_init(&w, 1);
	publish_all(&w, 0.5);
	(void)look(&w, &c, 0);
	assert_true(isnan(w.model.last[IN_RPS_NOW]) && isnan(w.model.last[IN_REPLICAS_NOW]));
	assert_true(w.model.last[IN_RPS] == 1000 && w.model.last[IN_REPLICAS] == 1);
	km_decide_set_feed(w.decide, true);
	(void)look(&w, &c, 0);
	assert_true(w.model.last[IN_RPS_NOW] == 0 && w.model.last[IN_REPLICAS_NOW] == 0);
	bind_pod(&w, &a, 0, w.now_ns - 1000 * S); /* counters have it */
	bind_pod(&w, &b, 0, KM_DECIDE_NOT_YET);
	n = look(&w, &c, 0);
	assert_true(w.model.last[IN_RPS] == 3000 && w.model.last[IN_REPLICAS] == 3);
	assert_true(w.model.last[IN_RPS_NOW] == 2000 && w.model.last[IN_REPLICAS_NOW] == 2);
	assert_true(w.model.last[IN_CPU] == 0 && w.model.last[IN_L3] == 0);
	assert_true(n.inflight.service == 1);
	assert_true(NEAR(log(n.prediction.slowdown), 0.3 + 0.2));
	/* another service sees neither the one that counters show nor, as no class, the other */
	c = pod_of("db-1", "db", "");
	n = look(&w, &c, 0);
	assert_true(n.inflight.service == 0 && n.inflight.unknown == 1);
	world_fini(&w);
}

static void what_nothing_is_known_of_costs_what_the_setting_says(void **state)
{
	struct km_pod web = pod_of("web-1", "web", "");
	struct km_pod odd = pod_of("odd-1", "", "odd");
	struct world w;

	(void)state;
	world_init(&w, 1);
	publish_all(&w, 0.5);
	km_decide_set_feed(w.decide, true);
	bind_pod(&w, &odd, 0, KM_DECIDE_NOT_YET);
	assert_true(NEAR(look(&w, &web, 0).prediction.slowdown, exp(0.3) * 1.1));
	assert_true(look(&w, &web, 0).inflight.unknown == 1);
	w.settings.unknown_slowdown = 1;
	world_set(&w);
	assert_true(NEAR(look(&w, &web, 0).prediction.slowdown, exp(0.3)));
	world_fini(&w);
}

/* Trees are flat beyond what they were trained on: what they cannot tell apart is not free. */
static void pods_beyond_the_training_range_are_unknown(void **state)
{
	struct km_pod web = pod_of("web-1", "web", "");
	char uid[16];
	struct world w;

	(void)state;
	world_init(&w, 1);
	publish_all(&w, 0.5);
	km_decide_set_feed(w.decide, true);
	for (int i = 0; i < 5; i++) {
		struct km_pod cpu;

		(void)snprintf(uid, sizeof(uid), "c%d", i);
		cpu = pod_of(uid, "burner", "cpu");
		bind_pod(&w, &cpu, 0, KM_DECIDE_NOT_YET);
	}
	assert_true(look(&w, &web, 0).inflight.model == 3);
	assert_true(look(&w, &web, 0).inflight.unknown == 2);
	assert_true(NEAR(look(&w, &web, 0).prediction.slowdown, exp(0.3 + 0.3) * 1.1 * 1.1));
	world_fini(&w);
}

static struct km_policies *policies(struct km_policy *p, size_t count)
{
	struct km_policies *set = NULL;

	assert_int_equal(km_policies_create(p, count, &set, NULL), 0);
	return set;
}

/* A policy for the pods of a Deployment, by a label that they all have. */
static struct km_policy policy_of(const char *name, const char *app)
{
	struct km_policy p;

	km_policy_init(&p);
	(void)snprintf(p.namespace, sizeof(p.namespace), "shop");
	(void)snprintf(p.name, sizeof(p.name), "%s", name);
	p.term = calloc(1, sizeof(*p.term));
	p.term[0] = (struct km_selector_term){ .key = strdup("app"), .value_count = 1 };
	p.term[0].value = calloc(1, sizeof(char *));
	p.term[0].value[0] = strdup(app);
	p.term_count = 1;
	p.mode = KM_MODE_PREFER;
	p.trusted = true;
	return p;
}

static void declared_footprints_are_added_to_counters(void **state)
{
	static const struct km_label label[] = { { { "app", 3 }, { "odd", 3 } } };
	struct km_pod web = pod_of("web-1", "web", "");
	struct km_pod odd = pod_of("odd-1", "odd", "");
	struct km_policy p = policy_of("odd", "odd");
	struct km_policies *set;
	struct km_decision_node n;
	struct world w;

	(void)state;
	world_init(&w, 1);
	publish_all(&w, 0.5);
	p.footprint_count = 1;
	p.footprint[0] = (struct km_policy_footprint){ "activeCpus", 1 };
	set = policies(&p, 1);
	km_decide_set_policies(w.decide, set);
	km_policies_unref(set);
	km_decide_set_feed(w.decide, true);
	odd.label = label;
	odd.label_count = 1;
	bind_pod(&w, &odd, 0, KM_DECIDE_NOT_YET);
	n = look(&w, &web, 0);
	/* one CPU of four more: c0 0.5 -> 0.75 */
	assert_true(NEAR(log(n.prediction.slowdown), 0.6 * 0.75));
	assert_true(n.inflight.footprint == 1);
	world_fini(&w);
}

/* Three pods of a class came to nodes where nothing else changed: what they add is known then. */
static void footprints_are_learned_from_pods_that_start(void **state)
{
	struct km_pod web = pod_of("web-1", "web", "");
	struct km_pod noise = pod_of("noise", "", "noise");
	char uid[16];
	struct world w;

	(void)state;
	world_init(&w, 6);
	publish_all(&w, 0.25);
	km_decide_set_feed(w.decide, true);
	for (uint32_t i = 0; i < 4; i++) {
		struct km_pod odd;

		(void)snprintf(uid, sizeof(uid), "odd-%u", i);
		odd = pod_of(uid, "odd", "odd");
		bind_pod(&w, &odd, i, KM_DECIDE_NOT_YET);
		w.now_ns += S;
		km_decide_pod_running(w.decide, odd.uid, w.now_ns);
		if (i == 0)
			bind_pod(&w, &noise, 0, KM_DECIDE_NOT_YET); /* whose is the difference? */
		w.now_ns += 5 * S;
		publish(&w, i, 0.9); /* it has not settled yet */
		w.now_ns += 15 * S;
		publish(&w, i, 0.5); /* one of four CPUs more */
	}
	assert_int_equal(km_counter_value(w.decide->stats.footprints_learned), 2);
	km_decide_pod_gone(w.decide, noise.uid); /* any word of the feed */
	assert_int_equal(km_counter_value(w.decide->stats.footprints_learned), 3);
	publish(&w, 5, 0.5);
	(void)snprintf(uid, sizeof(uid), "odd-9");
	noise = pod_of(uid, "odd", "odd");
	bind_pod(&w, &noise, 5, KM_DECIDE_NOT_YET);
	assert_true(look(&w, &web, 5).inflight.footprint == 1);
	assert_true(NEAR(log(look(&w, &web, 5).prediction.slowdown), 0.6 * 0.75));
	world_fini(&w);
}

static void counters_take_over_as_their_window_does(void **state)
{
	struct km_pod web = pod_of("web-1", "web", "");
	struct km_pod l3 = pod_of("l3-1", "batch", "l3");
	struct world w;

	(void)state;
	world_init(&w, 1);
	publish_all(&w, 0.5);
	km_decide_set_feed(w.decide, true);
	bind_pod(&w, &l3, 0, w.now_ns);
	assert_true(NEAR(look(&w, &web, 0).inflight.model, 1));
	w.now_ns += 15 * S;
	assert_true(NEAR(look(&w, &web, 0).inflight.model, 1)); /* the data is as old as before */
	publish_all(&w, 0.5);
	assert_true(NEAR(look(&w, &web, 0).inflight.model, 0.75));
	assert_true(NEAR(log(look(&w, &web, 0).prediction.slowdown), 0.3 + 0.15));
	w.now_ns += 15 * S;
	publish_all(&w, 0.5);
	assert_true(NEAR(look(&w, &web, 0).inflight.model, 0.5));
	w.now_ns += 30 * S;
	publish_all(&w, 0.5);
	assert_true(look(&w, &web, 0).inflight.model == 0);
	assert_true(NEAR(log(look(&w, &web, 0).prediction.slowdown), 0.3));
	world_fini(&w);
}

/* ---- who reserves what ---- */
static void the_top_answer_is_reserved_and_ties_share_it(void **state)
{
	struct km_pod a = pod_of("a", "", "l3");
	struct km_pod b = pod_of("b", "", "l3");
	struct km_subject who;
	struct km_verdict v[3];
	struct world w;

	(void)state;
	world_init(&w, 3);
	publish(&w, 0, 0.2);
	publish(&w, 1, 0.2);
	publish(&w, 2, 0.8);
	who = subject_of(&w, &a);
	call(&w, &who, KM_CALL_PRIORITIZE, v);
	assert_int_equal(v[0].score, v[1].score);
	assert_int_equal(ledger(&w).entries, 1);
	assert_true(look(&w, &b, 0).inflight.model == 0.5);
	assert_true(look(&w, &b, 1).inflight.model == 0.5);
	assert_true(look(&w, &b, 2).inflight.model == 0);
	publish(&w, 0, 0.1); /* now one is best */
	call(&w, &who, KM_CALL_PRIORITIZE, v);
	assert_true(look(&w, &b, 0).inflight.model == 1);
	assert_true(look(&w, &b, 1).inflight.model == 0);
	assert_true(look(&w, &a, 0).inflight.model == 0); /* its own it does not see */
	world_fini(&w);
}

static void filter_reserves_where_nothing_is_left_to_prioritize(void **state)
{
	struct km_pod a = pod_of("a", "", "l3");
	struct km_pod b = pod_of("b", "", "l3");
	struct km_subject who;
	struct km_verdict v[2];
	struct world w;

	(void)state;
	world_init(&w, 2);
	publish(&w, 0, 0.2);
	publish(&w, 1, 0.2);
	who = subject_of(&w, &a);
	who.workload.mode = KM_MODE_ENFORCE;
	call(&w, &who, KM_CALL_FILTER, v);
	assert_int_equal(ledger(&w).entries, 0); /* two pass: prioritize will be asked */
	w.model.slowdown = plain_model;
	publish(&w, 1, 2.5);
	call(&w, &who, KM_CALL_FILTER, v);
	assert_true(v[0].passes && !v[1].passes);
	assert_true(look(&w, &b, 0).inflight.model == 1);
	publish(&w, 0, 2.5);
	call(&w, &who, KM_CALL_FILTER, v); /* nowhere now */
	assert_int_equal(ledger(&w).entries, 0);
	world_fini(&w);
}

static void only_pods_with_a_uid_that_are_placed_reserve(void **state)
{
	struct km_pod a = pod_of("", "web", "l3");
	struct km_subject who;
	struct km_verdict v[1];
	struct world w;

	(void)state;
	world_init(&w, 1);
	publish_all(&w, 0.2);
	who = subject_of(&w, &a);
	assert_true(who.uid == 0);
	call(&w, &who, KM_CALL_PRIORITIZE, v);
	call(&w, &who, KM_CALL_FILTER, v);
	a = pod_of("a", "web", "l3");
	who = subject_of(&w, &a);
	call(&w, &who, KM_CALL_ASK, v);
	assert_int_equal(km_decide_verdicts(w.decide, &who.workload, w.names, 1, &w.arena, v), 0);
	assert_int_equal(ledger(&w).entries, 0);
	world_fini(&w);
}

static void retries_change_nothing(void **state)
{
	struct km_pod a = pod_of("a", "web", "l3");
	struct km_pod b = pod_of("b", "db", "cpu");
	struct km_verdict first[4];
	struct km_verdict again[4];
	struct km_subject other;
	struct km_subject who;
	struct world w;

	(void)state;
	world_init(&w, 4);
	for (uint32_t i = 0; i < 4; i++)
		publish(&w, i, 0.2 + 0.01 * i);
	other = subject_of(&w, &b);
	call(&w, &other, KM_CALL_PRIORITIZE, first);
	who = subject_of(&w, &a);
	call(&w, &who, KM_CALL_PRIORITIZE, first);
	for (int i = 0; i < 5; i++) {
		call(&w, &who, i % 2 == 0 ? KM_CALL_PRIORITIZE : KM_CALL_FILTER, again);
		for (int n = 0; n < 4; n++)
			assert_int_equal(again[n].score, first[n].score);
		assert_true(ledger(&w).entries <= 2);
	}
	world_fini(&w);
}

/* An explanation of the one does not see its own entry; the other, of the same kind, does. */
static void what_one_pod_is_told_again_hides_nothing_from_the_next(void **state)
{
	struct km_pod a = pod_of("a", "", "l3");
	struct km_pod b = pod_of("b", "", "l3");
	struct km_pod c = pod_of("c", "", "cpu");
	struct km_decision_node n;
	struct km_subject who;
	struct km_verdict v[1];
	struct world w;

	(void)state;
	world_init(&w, 1);
	publish_all(&w, 0.2);
	who = subject_of(&w, &c);
	call(&w, &who, KM_CALL_PRIORITIZE, v);
	who = subject_of(&w, &a);
	call(&w, &who, KM_CALL_PRIORITIZE, v);
	assert_true(look(&w, &a, 0).inflight.model == 1);
	n = look(&w, &b, 0);
	assert_true(n.inflight.model == 2);
	assert_true(n.verdict.score < v[0].score);
	world_fini(&w);
}

static void reservations_expire_by_feed_or_by_time(void **state)
{
	struct km_pod a = pod_of("a", "", "l3");
	struct km_pod b = pod_of("b", "", "l3");
	struct km_subject who;
	struct km_verdict v[1];
	struct world w;

	(void)state;
	world_init(&w, 1);
	publish_all(&w, 0.2);
	who = subject_of(&w, &a);
	call(&w, &who, KM_CALL_PRIORITIZE, v);
	w.now_ns += WINDOW_S * S; /* no setting: one window */
	assert_int_equal(look(&w, &b, 0).verdict.passes, true);
	assert_int_equal(ledger(&w).entries, 1);
	w.now_ns += 1;
	(void)look(&w, &b, 0);
	assert_int_equal(ledger(&w).entries, 0);
	w.settings.reservation_ttl_ns = 5 * S;
	world_set(&w);
	call(&w, &who, KM_CALL_PRIORITIZE, v);
	w.now_ns += 5 * S + 1;
	(void)look(&w, &b, 0);
	assert_int_equal(ledger(&w).expired, 2);
	km_decide_set_feed(w.decide, true);
	publish_all(&w, 0.2);
	call(&w, &who, KM_CALL_PRIORITIZE, v);
	w.now_ns += 2 * S;
	assert_true(look(&w, &b, 0).inflight.model == 1);
	w.now_ns += 1;
	assert_true(look(&w, &b, 0).inflight.model == 0);
	assert_int_equal(ledger(&w).expired, 3);
	call(&w, &who, KM_CALL_PRIORITIZE, v);
	bind_pod(&w, &a, 0, KM_DECIDE_NOT_YET);
	w.now_ns += 100 * S;
	publish_all(&w, 0.2);
	assert_true(look(&w, &b, 0).inflight.model == 1); /* confirmed: until it runs */
	km_decide_pod_running(w.decide, name_of("a"), w.now_ns - 30 * S);
	assert_true(NEAR(look(&w, &b, 0).inflight.model, 0.5));
	km_decide_pod_gone(w.decide, name_of("a"));
	assert_true(look(&w, &b, 0).inflight.model == 0);
	bind_pod(&w, &a, 0, KM_DECIDE_NOT_YET);
	km_decide_set_feed(w.decide, false); /* nobody tells any more */
	assert_int_equal(ledger(&w).entries, 0);
	world_fini(&w);
}

/* ---- two at once ---- */
struct other {
	struct world *w;
	struct km_pod pod;
};

static void place_other(void *ctx)
{
	struct other *o = ctx;
	struct km_subject who;
	struct km_verdict v[3];
	struct km_arena arena;
	const struct km_ask ask = { &who, KM_CALL_PRIORITIZE, o->w->names, o->w->nodes };

	km_arena_init(&arena, 0);
	km_decide_subject(o->w->decide, &o->pod, &who);
	assert_int_equal(km_decide_place(o->w->decide, &ask, &arena, v), 0);
	km_arena_fini(&arena);
}

/* While the first waits for the model, a second pod is decided from beginning to end. */
static void a_pod_decided_meanwhile_is_seen(void **state)
{
	struct km_pod first = pod_of("first", "", "l3");
	struct km_pod there = pod_of("there", "", "cpu");
	struct km_pod third = pod_of("third", "", "l3");
	struct other o;
	struct km_subject who;
	struct km_verdict v[3];
	struct world w;

	(void)state;
	world_init(&w, 3);
	publish(&w, 0, 0.20);
	publish(&w, 1, 0.25); /* a little worse: the second choice */
	publish(&w, 2, 0.90);
	o = (struct other){ &w, pod_of("second", "", "l3") };
	who = subject_of(&w, &first);
	call(&w, &who, KM_CALL_ASK, v);
	assert_true(v[0].score > v[1].score);
	/* Somebody on n2: the model is asked again, after the ledger was read. */
	w.model.slowdown = plain_model;
	km_decide_set_feed(w.decide, true);
	call(&w, &who, KM_CALL_ASK, v);
	bind_pod(&w, &there, 2, KM_DECIDE_NOT_YET);
	w.model.before_ctx = &o;
	w.model.before = place_other;
	call(&w, &who, KM_CALL_PRIORITIZE, v);
	assert_int_equal(km_counter_value(w.decide->stats.rescored), 1);
	assert_true(v[1].score > v[0].score); /* the second is on n0 */
	assert_true(look(&w, &third, 0).inflight.model == 1);
	assert_true(look(&w, &third, 1).inflight.model == 1);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pods_of_a_known_class_are_counted_for_the_model),
		cmocka_unit_test(replicas_of_the_service_are_told_as_load),
		cmocka_unit_test(what_nothing_is_known_of_costs_what_the_setting_says),
		cmocka_unit_test(pods_beyond_the_training_range_are_unknown),
		cmocka_unit_test(declared_footprints_are_added_to_counters),
		cmocka_unit_test(footprints_are_learned_from_pods_that_start),
		cmocka_unit_test(counters_take_over_as_their_window_does),
		cmocka_unit_test(the_top_answer_is_reserved_and_ties_share_it),
		cmocka_unit_test(filter_reserves_where_nothing_is_left_to_prioritize),
		cmocka_unit_test(only_pods_with_a_uid_that_are_placed_reserve),
		cmocka_unit_test(retries_change_nothing),
		cmocka_unit_test(what_one_pod_is_told_again_hides_nothing_from_the_next),
		cmocka_unit_test(reservations_expire_by_feed_or_by_time),
		cmocka_unit_test(a_pod_decided_meanwhile_is_seen),
	};

	return cmocka_run_group_tests_name("decide inflight", tests, NULL, NULL);
}

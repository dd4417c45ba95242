/* SPDX-License-Identifier: Apache-2.0 */
/* decide: harm to those who are there, nodes without counters, and data that gets old. */
#include "support/inflight_world.h"

#define NEAR(a, b) (fabs((a) - (b)) < 1e-6)

static const struct km_label of_web[] = { { { "app", 3 }, { "web", 3 } } };
static const struct km_label of_db[] = { { { "app", 3 }, { "db", 2 } } };

static struct km_policy policy_of(const char *name, const char *app, double max_slowdown)
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
	p.mode = KM_MODE_ENFORCE;
	p.max_slowdown = max_slowdown;
	p.trusted = true;
	return p;
}

static void use_policies(struct world *w, struct km_policy *p, size_t count)
{
	struct km_policies *set = NULL;

	assert_int_equal(km_policies_create(p, count, &set, NULL), 0);
	km_decide_set_policies(w->decide, set);
	km_policies_unref(set);
}

static struct km_pod labelled(const char *uid, const char *service, const char *class_name,
                              const struct km_label *label)
{
	struct km_pod pod = pod_of(uid, service, class_name);

	pod.label = label;
	pod.label_count = 1;
	return pod;
}

/* n0 has a web pod that has been there for long, n1 nobody. */
static void world_with_web(struct world *w, double max_slowdown, bool trusted)
{
	struct km_pod web = labelled("web-1", "web", "", of_web);
	struct km_policy p = policy_of("web-slo", "web", max_slowdown);

	world_init(w, 2);
	p.trusted = trusted;
	use_policies(w, &p, 1);
	publish_all(w, 0.5);
	km_decide_set_feed(w->decide, true);
	bind_pod(w, &web, 0, w->now_ns - 1000 * S);
}

static void who_is_there_is_not_harmed_beyond_what_it_tolerates(void **state)
{
	struct km_pod l3 = pod_of("l3-1", "batch", "l3");
	struct km_decision_node n;
	struct km_subject who;
	struct km_verdict v[2];
	struct world w;

	(void)state;
	world_with_web(&w, 1.5, true);
	/* web at 0.3 in ln now, 0.5 with an l3 pod beside it: x1.65 */
	n = look(&w, &l3, 0);
	assert_int_equal(n.harm.pods, 1);
	assert_true(NEAR(log(n.harm.worst), 0.5) && NEAR(log(n.harm.mean), 0.5));
	assert_true(n.harm.worst_limit == 1.5);
	assert_string_equal(n.harm.worst_of, "shop/web-slo");
	assert_int_equal(n.verdict.reason, KM_REASON_HARM);
	assert_true(n.verdict.passes); /* the newcomer has no policy: mode Prefer */
	assert_true(NEAR(log(n.prediction.slowdown), 0.3)); /* nobody is in flight */
	who = subject_of(&w, &l3);
	who.workload.mode = KM_MODE_ENFORCE;
	call(&w, &who, KM_CALL_FILTER, v);
	assert_true(!v[0].passes && !v[0].unresolvable && v[1].passes);
	assert_int_equal(v[0].reason, KM_REASON_HARM);
	assert_true(v[0].score < v[1].score);
	n = look(&w, &l3, 1);
	assert_int_equal(n.harm.pods, 0);
	assert_true(isnan(n.harm.worst) && isnan(n.harm.mean));
	assert_true(km_counter_value(w.decide->stats.harm) > 0);
	world_fini(&w);
}

static void each_part_of_harm_can_be_switched_off(void **state)
{
	struct km_pod l3 = pod_of("l3-1", "batch", "l3");
	struct km_subject who;
	struct km_verdict v[2];
	struct world w;

	(void)state;
	world_with_web(&w, 1.5, true);
	who = subject_of(&w, &l3);
	who.workload.mode = KM_MODE_ENFORCE;
	w.settings.harm_filter = false;
	world_set(&w);
	call(&w, &who, KM_CALL_FILTER, v);
	assert_true(v[0].passes && v[0].score < v[1].score);
	w.settings.harm_score = false;
	world_set(&w);
	call(&w, &who, KM_CALL_ASK, v);
	assert_true(v[0].passes && v[0].score == v[1].score);
	w.settings.harm_filter = true;
	world_set(&w);
	call(&w, &who, KM_CALL_ASK, v);
	assert_true(!v[0].passes && v[0].score == v[1].score);
	world_fini(&w);
}

static void only_trusted_policies_protect(void **state)
{
	struct km_pod l3 = pod_of("l3-1", "batch", "l3");
	struct km_pod odd = pod_of("odd-1", "odd", "");
	struct world w;

	(void)state;
	world_with_web(&w, 1.5, false);
	bind_pod(&w, &odd, 0, w.now_ns - 1000 * S); /* without a policy: nobody's incumbent */
	assert_int_equal(look(&w, &l3, 0).harm.pods, 0);
	assert_int_equal(look(&w, &l3, 0).verdict.reason, KM_REASON_FITS);
	world_fini(&w);
}

static void without_a_feed_there_are_no_incumbents(void **state)
{
	struct km_pod l3 = pod_of("l3-1", "batch", "l3");
	struct world w;

	(void)state;
	world_with_web(&w, 1.5, true);
	km_decide_set_feed(w.decide, false);
	assert_int_equal(look(&w, &l3, 0).harm.pods, 0);
	assert_int_equal(look(&w, &l3, 0).verdict.score, look(&w, &l3, 1).verdict.score);
	world_fini(&w);
}

static void replicas_of_the_newcomer_are_no_incumbents(void **state)
{
	struct km_pod web = labelled("web-2", "web", "l3", of_web);
	struct world w;

	(void)state;
	world_with_web(&w, 1.5, true);
	assert_int_equal(look(&w, &web, 0).harm.pods, 0);
	world_fini(&w);
}

static void weights_and_the_worst_are_told_apart(void **state)
{
	struct km_pod l3 = pod_of("l3-1", "batch", "l3");
	struct km_pod db = labelled("db-1", "db", "", of_db);
	struct km_pod web = labelled("web-1", "web", "", of_web);
	struct km_pod web2 = labelled("web-2", "web", "", of_web);
	struct km_policy p[2] = { policy_of("web", "web", 4), policy_of("db", "db", 1.7) };
	struct km_decision_node n;
	struct world w;

	(void)state;
	world_init(&w, 1);
	p[0].weight = 2;
	use_policies(&w, p, 2);
	publish_all(&w, 0.5);
	km_decide_set_feed(w.decide, true);
	bind_pod(&w, &db, 0, w.now_ns - 1000 * S);
	bind_pod(&w, &web, 0, w.now_ns - 1000 * S);
	bind_pod(&w, &web2, 0, w.now_ns - 1000 * S);
	n = look(&w, &l3, 0);
	assert_int_equal(n.harm.pods, 3);
	/* db: 0.3 + 0.2; web with twice the load: 0.1 more, but it tolerates much */
	assert_true(NEAR(log(n.harm.worst), 0.5) && NEAR(n.harm.worst_limit, 1.7));
	assert_string_equal(n.harm.worst_of, "shop/db");
	assert_true(NEAR(log(n.harm.mean), (1 * 0.5 + 2 * 2 * 0.6) / 5));
	assert_int_equal(n.verdict.reason, KM_REASON_FITS);
	world_fini(&w);
}

/* A pod that comes and is hardly harmed itself makes what the others suffer no smaller. */
static void a_protected_pod_in_flight_never_raises_a_score(void **state)
{
	struct km_pod l3 = pod_of("l3-1", "batch", "l3");
	struct km_pod db = labelled("db-1", "db", "", of_db);
	struct km_pod web = labelled("web-1", "web", "", of_web);
	struct km_policy p[2] = { policy_of("web", "web", 1.5), policy_of("db", "db", 50) };
	struct km_decision_node before;
	struct km_decision_node after;
	struct world w;

	(void)state;
	world_init(&w, 1);
	w.settings.unknown_slowdown = 1;
	world_set(&w);
	use_policies(&w, p, 2);
	publish_all(&w, 0.5);
	km_decide_set_feed(w.decide, true);
	bind_pod(&w, &web, 0, w.now_ns - 1000 * S);
	before = look(&w, &l3, 0);
	bind_pod(&w, &db, 0, KM_DECIDE_NOT_YET);
	after = look(&w, &l3, 0);
	assert_int_equal(after.harm.pods, 2);
	assert_true(after.scored >= before.scored);
	assert_true(after.verdict.score <= before.verdict.score);
	km_decide_pod_running(w.decide, db.uid, w.now_ns - 1000 * S);
	assert_true(look(&w, &l3, 0).scored < before.scored); /* it is there: the mean of both */
	world_fini(&w);
}

/* ---- where there are no counters ---- */
static void learned_effects_stand_in_for_counters(void **state)
{
	static const struct km_label none[] = { { { "app", 3 }, { "x", 1 } } };
	struct km_effects *e = km_effects_create(NULL);
	struct km_pod web = labelled("web-1", "web", "web", of_web);
	struct km_pod loud = labelled("loud-1", "loud", "loud", none);
	struct km_pod calm = labelled("calm-1", "calm", "calm", none);
	struct km_policy p = policy_of("web", "web", 1.5);
	uint64_t web_key = km_decide_effects_key("web", 3);
	uint64_t loud_key = km_decide_effects_key("loud", 4);
	uint64_t calm_key = km_decide_effects_key("calm", 4);
	struct km_decision_node n;
	struct km_effect want;
	struct world w;

	(void)state;
	world_init(&w, 3);
	use_policies(&w, &p, 1);
	assert_int_equal(look(&w, &loud, 0).state, KM_DATA_ABSENT);
	assert_int_equal(km_decide_observe_effect(w.decide, 1, web_key, loud_key, 0.9, 1), -ENOENT);
	km_decide_attach_effects(w.decide, e);
	assert_int_equal(look(&w, &loud, 0).state, KM_DATA_ABSENT); /* nobody tells who is there */
	km_decide_set_feed(w.decide, true);
	km_decide_set_platform(w.decide, w.names[0], 1);
	km_decide_set_platform(w.decide, w.names[1], 1);
	km_decide_set_platform(w.decide, w.names[2], 1);
	for (int i = 0; i < 30; i++) {
		(void)km_decide_observe_effect(w.decide, 1, web_key, loud_key, 0.9, 1);
		(void)km_decide_observe_effect(w.decide, 1, web_key, calm_key, 0.05, 1);
		(void)km_decide_observe_effect(w.decide, 1, loud_key, web_key, 0.3, 1);
		(void)km_decide_observe_effect(w.decide, 1, calm_key, web_key, 0.3, 1);
	}
	bind_pod(&w, &web, 0, w.now_ns - 1000 * S);
	n = look(&w, &loud, 1);
	assert_int_equal(n.state, KM_DATA_FRESH);
	assert_true(n.by_effects && isnan(n.age_s) && n.prediction.slowdown == 1);
	n = look(&w, &loud, 0);
	km_effects_predict(e, 1, loud_key, web_key, &want);
	assert_true(NEAR(log(n.prediction.slowdown), want.log_slowdown));
	km_effects_predict(e, 1, web_key, loud_key, &want);
	assert_true(NEAR(log(n.harm.worst) / 10, want.log_slowdown / 10));
	assert_int_equal(n.verdict.reason, KM_REASON_HARM);
	assert_int_equal(look(&w, &calm, 0).verdict.reason, KM_REASON_FITS);
	assert_true(look(&w, &calm, 0).verdict.score > look(&w, &loud, 0).verdict.score);
	/* where counters are measured they are believed; effects only tell of pods in flight */
	publish(&w, 2, 0.5);
	assert_false(look(&w, &loud, 2).by_effects);
	assert_true(NEAR(log(look(&w, &loud, 2).prediction.slowdown), 0.3));
	web = labelled("web-2", "web", "web", of_web);
	bind_pod(&w, &web, 2, KM_DECIDE_NOT_YET);
	km_effects_predict(e, 1, loud_key, web_key, &want);
	n = look(&w, &loud, 2);
	assert_true(n.inflight.effects == 1 && n.inflight.unknown == 0);
	assert_true(want.log_slowdown > 0.1);
	assert_true(NEAR(log(n.prediction.slowdown), 0.3 + want.log_slowdown));
	km_decide_attach_effects(w.decide, NULL);
	assert_int_equal(look(&w, &loud, 0).state, KM_DATA_ABSENT);
	km_effects_free(e);
	world_fini(&w);
}

/* What is known of others, on average, is not known of a pod that nobody has observed. */
static void pods_that_effects_never_met_cost_what_unknown_ones_do(void **state)
{
	struct km_effects *e = km_effects_create(NULL);
	struct km_pod loud = pod_of("loud-1", "loud", "loud");
	struct km_pod calm = pod_of("calm-1", "calm", "calm");
	struct km_pod strange = pod_of("strange-1", "strange", "strange");
	struct km_pod plain = pod_of("plain-1", "plain", "");
	uint64_t loud_key = km_decide_effects_key("loud", 4);
	uint64_t calm_key = km_decide_effects_key("calm", 4);
	double alone;
	struct world w;

	(void)state;
	world_init(&w, 3);
	w.settings.unknown_slowdown = 1.3;
	world_set(&w);
	publish_all(&w, 0.5);
	km_decide_set_feed(w.decide, true);
	km_decide_attach_effects(w.decide, e);
	for (int i = 0; i < 20; i++)
		(void)km_decide_observe_effect(w.decide, 0, loud_key, calm_key, -0.2, 1);
	alone = log(look(&w, &loud, 0).prediction.slowdown);
	bind_pod(&w, &strange, 0, KM_DECIDE_NOT_YET);
	bind_pod(&w, &plain, 1, KM_DECIDE_NOT_YET);
	bind_pod(&w, &calm, 2, KM_DECIDE_NOT_YET);
	assert_true(NEAR(log(look(&w, &loud, 0).prediction.slowdown), alone + log(1.3)));
	assert_true(NEAR(log(look(&w, &loud, 1).prediction.slowdown), alone + log(1.3)));
	assert_true(NEAR(log(look(&w, &loud, 2).prediction.slowdown), alone)); /* known: no harm */
	assert_true(look(&w, &loud, 2).inflight.effects == 1);
	km_decide_attach_effects(w.decide, NULL);
	km_effects_free(e);
	world_fini(&w);
}

/* Not measured is no reason to be preferred: not by what is known of pods, nor by knowing nothing.
 */
static void effects_put_no_unmeasured_node_before_measured_ones(void **state)
{
	struct km_effects *e = km_effects_create(NULL);
	struct km_pod loud = pod_of("loud-1", "loud", "loud");
	uint64_t loud_key = km_decide_effects_key("loud", 4);
	struct world w;

	(void)state;
	world_init(&w, 2);
	km_decide_set_feed(w.decide, true);
	km_decide_attach_effects(w.decide, e);
	assert_int_equal(look(&w, &loud, 0).state, KM_DATA_ABSENT); /* nothing is learned */
	publish(&w, 1, 0.1);
	for (int learned = 0; learned < 2; learned++) {
		assert_int_equal(look(&w, &loud, 0).verdict.reason, KM_REASON_NO_DATA);
		assert_int_equal(look(&w, &loud, 1).verdict.reason, KM_REASON_FITS);
		assert_true(look(&w, &loud, 0).verdict.score < look(&w, &loud, 1).verdict.score);
		assert_int_equal(km_decide_observe_effect(w.decide, 0, loud_key, loud_key, 0.3, 1),
		                 0);
	}
	km_decide_attach_effects(w.decide, NULL);
	world_fini(&w);
	world_init(&w, 2);
	km_decide_set_feed(w.decide, true);
	km_decide_attach_effects(w.decide, e);
	assert_true(look(&w, &loud, 0).by_effects); /* where nobody is measured they tell */
	km_decide_attach_effects(w.decide, NULL);
	world_fini(&w);
	km_effects_free(e);
	e = km_effects_create(NULL);
	world_init(&w, 2);
	km_decide_set_feed(w.decide, true);
	km_decide_attach_effects(w.decide, e);
	assert_false(look(&w, &loud, 0).by_effects);
	assert_int_equal(km_decide_observe_effect(w.decide, 0, loud_key, loud_key, 0.3, 1), 0);
	assert_true(look(&w, &loud, 0).by_effects); /* from the first observation on */
	km_decide_attach_effects(w.decide, NULL);
	km_effects_free(e);
	world_fini(&w);
}

/* ---- data that gets old ---- */
static void old_data_is_less_certain_then_stale(void **state)
{
	struct km_pod pod = pod_of("a", "", "");
	double fresh;
	double aging;
	double old;
	struct world w;

	(void)state;
	world_init(&w, 1);
	w.settings.risk = 0.8;
	world_set(&w);
	publish_all(&w, 0.5);
	fresh = look(&w, &pod, 0).scored;
	/* the model's bound is 1.2 times: 0.8 of the interval is about half of that in ln */
	assert_true(fabs(log(fresh) - (0.3 + 0.5117 * log(1.2))) < 1e-3);
	w.now_ns += MAX_AGE_S / 2 * S;
	assert_int_equal(look(&w, &pod, 0).state, KM_DATA_FRESH);
	assert_true(look(&w, &pod, 0).scored == fresh);
	w.now_ns += 1;
	assert_int_equal(look(&w, &pod, 0).state, KM_DATA_AGING);
	assert_int_equal(look(&w, &pod, 0).verdict.reason, KM_REASON_FITS);
	aging = look(&w, &pod, 0).scored;
	assert_true(NEAR(log(aging) - log(fresh), 0.5 * (log(fresh) - 0.3)));
	w.now_ns += MAX_AGE_S / 4 * S;
	old = look(&w, &pod, 0).scored;
	assert_int_equal(look(&w, &pod, 0).state, KM_DATA_AGING);
	assert_true(NEAR(log(old) - log(fresh), log(fresh) - 0.3));
	assert_true(
		NEAR(log(look(&w, &pod, 0).prediction.slowdown), 0.3)); /* it says what it said */
	w.now_ns += MAX_AGE_S / 4 * S;
	assert_int_equal(look(&w, &pod, 0).state, KM_DATA_STALE);
	assert_true(isnan(look(&w, &pod, 0).scored));
	assert_int_equal(look(&w, &pod, 0).verdict.reason, KM_REASON_STALE_DATA);
	world_fini(&w);
}

static void older_data_never_scores_higher(void **state)
{
	struct km_pod pod = pod_of("a", "", "");
	struct km_pod other = pod_of("b", "", "l3");
	struct world w;

	(void)state;
	world_init(&w, 1);
	w.settings.risk = 0.7;
	world_set(&w);
	for (int busy = 0; busy < 2; busy++) {
		int32_t last = 100;

		publish_all(&w, 0.5);
		km_decide_set_feed(w.decide, busy != 0);
		if (busy != 0)
			bind_pod(&w, &other, 0, KM_DECIDE_NOT_YET);
		for (int s = 0; s < MAX_AGE_S + 5; s++) {
			int32_t score = look(&w, &pod, 0).verdict.score;

			assert_true(score <= last);
			last = score;
			w.now_ns += S;
		}
	}
	world_fini(&w);
}

/* ---- who a pod is ---- */
static void policies_that_contradict_each_other_are_told(void **state)
{
	struct km_policy p[2] = { policy_of("b", "web", 1.5), policy_of("a", "web", 3) };
	struct km_pod web = labelled("web-1", "web", "", of_web);
	struct km_subject who;
	struct world w;

	(void)state;
	world_init(&w, 1);
	p[1].mode = KM_MODE_OBSERVE;
	use_policies(&w, p, 2);
	who = subject_of(&w, &web);
	assert_string_equal(who.policy, "shop/a"); /* as specific: the first name */
	assert_true(who.workload.max_slowdown == 3);
	assert_int_equal(who.workload.mode, KM_MODE_OBSERVE);
	assert_int_equal(km_counter_value(w.decide->stats.conflicts), 1);
	web.label_count = 0;
	who = subject_of(&w, &web);
	assert_string_equal(who.policy, "");
	assert_int_equal(km_counter_value(w.decide->stats.conflicts), 1);
	world_fini(&w);
}

static void a_policys_load_is_shared_by_pods_that_run(void **state)
{
	struct km_policy p = policy_of("web", "web", 3);
	struct km_pod one = labelled("web-1", "web", "", of_web);
	struct km_pod two = labelled("web-2", "other", "", of_web);
	struct km_subject who;
	struct world w;

	(void)state;
	world_init(&w, 2);
	publish_all(&w, 0.5);
	p.rps = 6000;
	use_policies(&w, &p, 1);
	assert_true(subject_of(&w, &one).workload.rps == 6000); /* nobody knows of how many */
	km_decide_set_feed(w.decide, true);
	bind_pod(&w, &one, 0, w.now_ns - 100 * S);
	bind_pod(&w, &two, 1, w.now_ns - 100 * S);
	one = labelled("web-3", "web", "", of_web);
	who = subject_of(&w, &one);
	assert_true(who.workload.rps == 3000);
	/* both Deployments are one service, the policy says: one replica is on n0, its load known
	 */
	(void)look(&w, &one, 0);
	assert_true(w.model.last[IN_REPLICAS] == 2 && w.model.last[IN_RPS] == 6000);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_there_is_not_harmed_beyond_what_it_tolerates),
		cmocka_unit_test(each_part_of_harm_can_be_switched_off),
		cmocka_unit_test(only_trusted_policies_protect),
		cmocka_unit_test(without_a_feed_there_are_no_incumbents),
		cmocka_unit_test(replicas_of_the_newcomer_are_no_incumbents),
		cmocka_unit_test(weights_and_the_worst_are_told_apart),
		cmocka_unit_test(a_protected_pod_in_flight_never_raises_a_score),
		cmocka_unit_test(learned_effects_stand_in_for_counters),
		cmocka_unit_test(effects_put_no_unmeasured_node_before_measured_ones),
		cmocka_unit_test(pods_that_effects_never_met_cost_what_unknown_ones_do),
		cmocka_unit_test(old_data_is_less_certain_then_stale),
		cmocka_unit_test(older_data_never_scores_higher),
		cmocka_unit_test(policies_that_contradict_each_other_are_told),
		cmocka_unit_test(a_policys_load_is_shared_by_pods_that_run),
	};

	return cmocka_run_group_tests_name("decide harm", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* policy: Events about decisions made here, and what observations teach. */
#include "km/place/effects.h"

#include "support/controller_world.h"

static const double calm[NODES_MAX] = { 0.2, 0.2, 0.2 };

static struct km_recorded decision(uint64_t id, const char *pod)
{
	return (struct km_recorded){ .id = id,
		                     .calls = KM_RECORD_FILTER | KM_RECORD_PRIORITIZE,
		                     .pod_namespace = name_of("shop"),
		                     .pod_name = name_of(pod),
		                     .pod_uid = name_of(pod),
		                     .workload = { .rps = 1,
		                                   .replicas = 1,
		                                   .max_slowdown = 1.5,
		                                   .mode = KM_MODE_ENFORCE },
		                     .policy = name_of("shop/slo"),
		                     .scale = 10,
		                     .asked = 3,
		                     .best = -1,
		                     .worst = -1 };
}

static void rejected(struct cluster *k, uint64_t id, const char *pod, enum km_reason reason)
{
	struct km_recorded d = decision(id, pod);

	d.reason[reason] = (struct km_recorded_reason){ 3, 3 };
	km_record_add(k->c->record, &d, k->w.now_ns);
}

/* n0 is advised, n1 is bad. */
static void placed(struct cluster *k, uint64_t id, const char *pod, const char *policy,
                   enum km_mode mode)
{
	struct km_recorded d = decision(id, pod);

	d.policy = name_of(policy);
	d.workload.mode = mode;
	d.passed = 2;
	d.best = 9;
	d.worst = 2;
	d.count = 2;
	d.node[0] = (struct km_recorded_node){ .name = name_of("n0"),
		                               .verdict = { .passes = true, .score = 9 },
		                               .slowdown = 1.1 };
	d.node[1] = (struct km_recorded_node){ .name = name_of("n1"),
		                               .verdict = { .passes = true, .score = 2 },
		                               .slowdown = 1.9 };
	km_record_add(k->c->record, &d, k->w.now_ns);
}

static void open_with_record(struct cluster *k)
{
	cluster_open(k, 3);
	assert_int_equal(km_record_create(&k->c->record, NULL), 0);
}

static void close_with_record(struct cluster *k)
{
	struct km_record *record = k->c->record;

	cluster_close(k);
	km_record_free(record);
}

static void a_pod_that_no_node_may_have_is_told_once(void **state)
{
	struct cluster k;

	(void)state;
	open_with_record(&k);
	for (uint64_t i = 1; i <= 20; i++) {
		rejected(&k, i, "web-0", KM_REASON_TOO_SLOW);
		ticks(&k, calm, 2);
	}
	assert_int_equal(asked(&k, "/events", "\"KubeMarlaRejected\""), 1);
	assert_int_equal(asked(&k, "/events",
	                       "none of 3 nodes passes: 3 predicted slowdown is above what the pod "
	                       "tolerates"),
	                 1);
	rejected(&k, 21, "web-0", KM_REASON_HARM); /* for another reason */
	rejected(&k, 22, "web-1", KM_REASON_HARM); /* another pod */
	tick(&k, calm);
	assert_int_equal(asked(&k, "/events", "\"KubeMarlaRejected\""), 3);
	close_with_record(&k);
}

static void whoever_decided_tells_leader_or_not(void **state)
{
	struct cluster k;

	(void)state;
	open_with_record(&k);
	k.lease_taken = true;
	rejected(&k, 1, "web-0", KM_REASON_TOO_SLOW);
	ticks(&k, calm, 3);
	assert_int_equal(asked(&k, "/events", "\"KubeMarlaRejected\""), 1);
	close_with_record(&k);
}

static void a_place_against_the_advice_is_told(void **state)
{
	struct cluster k;

	(void)state;
	open_with_record(&k);
	placed(&k, 1, "good", "shop/slo", KM_MODE_PREFER);
	placed(&k, 2, "bad", "shop/slo", KM_MODE_PREFER);
	placed(&k, 3, "observed", "shop/slo", KM_MODE_OBSERVE);
	placed(&k, 4, "anybody", "", KM_MODE_PREFER);
	ticks(&k, calm, 3);
	assert_int_equal(asked(&k, "/events", ""), 0); /* nobody is anywhere yet */
	set_pod(&k, "good", "web", 0, "");
	set_pod(&k, "bad", "web", 1, "");
	set_pod(&k, "observed", "web", 1, "");
	set_pod(&k, "anybody", "web", 1, "");
	ticks(&k, calm, 20);
	assert_int_equal(asked(&k, "/events", "\"PlacedAgainstAdvice\""), 1);
	assert_int_equal(
		asked(&k, "/events", "placed on n1, predicted slowdown 1.90; advised was n0, 1.10"),
		1);
	close_with_record(&k);
}

static void many_decisions_are_no_trouble(void **state)
{
	struct cluster k;
	char pod[16];

	(void)state;
	open_with_record(&k);
	for (uint64_t i = 1; i <= 12000; i++) {
		(void)snprintf(pod, sizeof(pod), "web-%d", (int)i);
		placed(&k, i, pod, "shop/slo", KM_MODE_PREFER);
		if (i % 1000 == 0)
			tick(&k, calm);
	}
	set_pod(&k, "web-12000", "web", 1, "");
	ticks(&k, calm, 3);
	assert_int_equal(asked(&k, "/events", "\"name\":\"web-12000\""), 1);
	close_with_record(&k);
}

/* ---- lessons ---- */

/* What a round learns when its first policy's pods were seen to suffer 1.5 on n0. */
static uint64_t learned(struct cluster *k)
{
	uint64_t before = km_decide_learned_effects(k->w.decide);
	struct policy_facts facts;
	struct policy_round r;

	km_arena_reset(&k->c->arena);
	assert_int_equal(
		round_open(&r, k->view, k->w.decide, &k->w.clock, &k->c->arena, &k->c->scratch), 0);
	assert_int_equal(round_read(&r, true), 0);
	assert_int_equal(reconcile_open(k->c, &r), 0);
	for (size_t i = 0; i < r.count; i++) {
		if (r.policy[i].object->name.text[0] != 's')
			continue;
		assert_int_equal(judge_policy(k->w.decide, k->c->kpi, &r, &r.policy[i], &facts), 0);
		for (size_t n = 0; n < facts.nodes; n++)
			facts.node[n].observed = strcmp(facts.node[n].name, "n0") == 0 ? 1.5 : NAN;
		learn_round(k->w.decide, &r, &r.policy[i], &facts);
	}
	round_close(&r);
	return km_decide_learned_effects(k->w.decide) - before;
}

static void one_neighbour_is_a_lesson_and_two_are_none(void **state)
{
	struct km_effects *effects = km_effects_create(NULL);
	struct km_effect e;
	struct cluster k;

	(void)state;
	assert_non_null(effects);
	cluster_open(&k, 3);
	km_decide_attach_effects(k.w.decide, effects);
	set_policy(&k, "slo", "web", ", \"workload\": {\"class\": \"web\"}");
	set_policy(&k, "db", "db", ", \"workload\": {\"class\": \"db\"}");
	set_pod(&k, "web-0", "web", 0, "");
	set_pod(&k, "web-1", "web", 0, "");
	set_pod(&k, "agent-0", "agent", 0, ""); /* of no class */
	assert_int_equal(learned(&k), 0);       /* alone */
	set_pod(&k, "db-0", "db", 0, "");
	set_pod(&k, "db-9", "db", 1, "");
	assert_int_equal(learned(&k), 1);
	km_effects_predict(effects, km_decide_effects_key("m5", 2), km_decide_effects_key("web", 3),
	                   km_decide_effects_key("db", 2), &e);
	assert_true(e.count == 1 && e.log_slowdown > 0);
	set_pod(&k, "db-1", "db", 0, "");
	assert_int_equal(learned(&k), 0);
	km_decide_attach_effects(k.w.decide, NULL);
	cluster_close(&k);
	km_effects_free(effects);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pod_that_no_node_may_have_is_told_once),
		cmocka_unit_test(whoever_decided_tells_leader_or_not),
		cmocka_unit_test(a_place_against_the_advice_is_told),
		cmocka_unit_test(many_decisions_are_no_trouble),
		cmocka_unit_test(one_neighbour_is_a_lesson_and_two_are_none),
	};

	return cmocka_run_group_tests_name("policy advice", tests, NULL, NULL);
}

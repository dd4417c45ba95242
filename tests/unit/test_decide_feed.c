/* SPDX-License-Identifier: Apache-2.0 */
/* decide: what a pod feed tells beside pods: ready replicas, that it hears nothing for now; and
 * counters of other agents under pods in flight. */
#include "support/inflight_world.h"

static const struct km_label of_web[] = { { { "app", 3 }, { "web", 3 } } };

/* Pods with app=web of namespace shop serve 6,000 requests/s together. */
static void use_policy(struct world *w)
{
	struct km_policies *set = NULL;
	struct km_policy p;

	km_policy_init(&p);
	(void)snprintf(p.namespace, sizeof(p.namespace), "shop");
	(void)snprintf(p.name, sizeof(p.name), "web");
	p.term = calloc(1, sizeof(*p.term));
	p.term[0] = (struct km_selector_term){ .key = strdup("app"), .value_count = 1 };
	p.term[0].value = calloc(1, sizeof(char *));
	p.term[0].value[0] = strdup("web");
	p.term_count = 1;
	p.mode = KM_MODE_PREFER;
	p.rps = 6000;
	assert_int_equal(km_policies_create(&p, 1, &set, NULL), 0);
	km_decide_set_policies(w->decide, set);
	km_policies_unref(set);
}

static double rps_of_a_web_pod(struct world *w)
{
	struct km_pod pod = pod_of("new", "", "");

	pod.label = of_web;
	pod.label_count = 1;
	return subject_of(w, &pod).workload.rps;
}

static void the_load_is_shared_by_the_pods_that_are_ready(void **state)
{
	const uint64_t web = km_policy_key("shop", "web");
	struct km_pod pod = pod_of("a", "", "");
	struct world w;

	(void)state;
	world_init(&w, 1);
	publish_all(&w, 0.2);
	use_policy(&w);
	km_decide_ready_pods(w.decide, web, 3);
	assert_true(rps_of_a_web_pod(&w) == 6000); /* no feed: nobody knows */
	km_decide_set_feed(w.decide, true);
	assert_true(rps_of_a_web_pod(&w) == 2000);
	km_decide_ready_pods(w.decide, web, 6);
	assert_true(rps_of_a_web_pod(&w) == 1000);
	/* none is ready: those count that run */
	km_decide_ready_pods(w.decide, web, 0);
	pod.label = of_web;
	pod.label_count = 1;
	bind_pod(&w, &pod, 0, w.now_ns);
	assert_true(rps_of_a_web_pod(&w) == 6000);
	pod.uid = name_of("b");
	bind_pod(&w, &pod, 0, w.now_ns);
	assert_true(rps_of_a_web_pod(&w) == 3000);
	world_fini(&w);
}

/* As another agent's answer has it: no CPUs one by one, but how many they are. */
static void publish_told(struct world *w, uint32_t node_cpus)
{
	struct km_host_features *f = km_host_features_create(w->model.schema, 1);

	f->version = ++w->version;
	f->measured_mono_ns = w->now_ns;
	f->tier = KM_TIER_CORE;
	f->row[IN_C0] = 0.5;
	f->readings = km_readings_create(1, 0);
	f->readings->told_host_cpus = 64;
	f->readings->told_node_cpus = node_cpus;
	km_readings_node(f->readings, 0)[KM_METRIC_C0_RATIO] = 0.5;
	assert_int_equal(km_cluster_publish(w->cluster, &f, 1), 0);
	km_host_features_unref(f);
}

static void footprints_are_added_to_what_other_agents_tell(void **state)
{
	struct km_pod odd = pod_of("odd-1", "odd", "");
	struct km_pod web = pod_of("web-1", "web", "");
	struct km_policies *set = NULL;
	struct km_decision_node n;
	struct km_policy p;
	struct world w;

	(void)state;
	world_init(&w, 1);
	publish_told(&w, 4);
	km_policy_init(&p);
	(void)snprintf(p.namespace, sizeof(p.namespace), "shop");
	(void)snprintf(p.name, sizeof(p.name), "odd");
	p.footprint_count = 1;
	p.footprint[0] = (struct km_policy_footprint){ "activeCpus", 1 };
	assert_int_equal(km_policies_create(&p, 1, &set, NULL), 0);
	km_decide_set_policies(w.decide, set);
	km_policies_unref(set);
	km_decide_set_feed(w.decide, true);
	bind_pod(&w, &odd, 0, KM_DECIDE_NOT_YET);
	n = look(&w, &web, 0);
	assert_true(n.inflight.footprint == 1);
	/* one CPU of four more: c0 0.5 -> 0.75 */
	assert_true(fabs(log(n.prediction.slowdown) - 0.6 * 0.75) < 1e-6);
	publish_told(&w, 8);
	n = look(&w, &web, 0);
	assert_true(fabs(log(n.prediction.slowdown) - 0.6 * 0.625) < 1e-6);
	world_fini(&w);
}

static void policies_that_come_and_go_leave_room(void **state)
{
	const uint64_t web = km_policy_key("shop", "web");
	struct world w;

	(void)state;
	world_init(&w, 1);
	use_policy(&w);
	km_decide_set_feed(w.decide, true);
	for (uint64_t i = 1; i < 100000; i++) {
		km_decide_ready_pods(w.decide, i * 977, 1);
		km_decide_ready_pods(w.decide, i * 977, 0);
	}
	km_decide_ready_pods(w.decide, 0, 1);
	km_decide_ready_pods(w.decide, web, 6);
	assert_true(rps_of_a_web_pod(&w) == 1000);
	km_decide_set_feed(w.decide, false);
	km_decide_set_feed(w.decide, true);
	assert_true(rps_of_a_web_pod(&w) == 6000); /* forgotten with the rest */
	world_fini(&w);
}

static void a_late_feed_lets_reservations_last(void **state)
{
	struct km_pod a = pod_of("a", "", "cpu");
	struct km_pod b = pod_of("b", "", "cpu");
	struct km_verdict v[1];
	struct km_subject who;
	struct world w;

	(void)state;
	world_init(&w, 1);
	publish_all(&w, 0.2);
	km_decide_set_feed(w.decide, true);
	who = subject_of(&w, &a);
	km_decide_set_feed_late(w.decide, true);
	call(&w, &who, KM_CALL_PRIORITIZE, v);
	w.now_ns += WINDOW_S * S;
	assert_true(look(&w, &b, 0).inflight.model == 1);
	w.now_ns += 1;
	assert_true(look(&w, &b, 0).inflight.model == 0);
	publish_all(&w, 0.2);
	call(&w, &who, KM_CALL_PRIORITIZE, v);
	w.now_ns += 10 * S;
	assert_true(look(&w, &b, 0).inflight.model == 1);
	km_decide_set_feed_late(w.decide, false);
	assert_true(look(&w, &b, 0).inflight.model == 0);
	assert_int_equal(ledger(&w).expired, 2);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_load_is_shared_by_the_pods_that_are_ready),
		cmocka_unit_test(footprints_are_added_to_what_other_agents_tell),
		cmocka_unit_test(policies_that_come_and_go_leave_room),
		cmocka_unit_test(a_late_feed_lets_reservations_last),
	};

	return cmocka_run_group_tests_name("decide feed", tests, NULL, NULL);
}

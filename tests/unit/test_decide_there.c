/* SPDX-License-Identifier: Apache-2.0 */
/* decide: what pods suffer where they are, and a policy's load by its query. */
#include "support/inflight_world.h"

/* Grows with the load that the node carries for the service. */
static double by_load(const float *row)
{
	return 1 + (double)row[IN_C0] + (double)row[IN_RPS] / 10000;
}

static struct km_pod web_pod(const char *uid)
{
	struct km_pod pod = pod_of(uid, "web", "");

	pod.rps = 1000;
	return pod;
}

static struct km_decision there(struct world *w, const struct km_pod *pod)
{
	struct km_subject who = subject_of(w, pod);
	struct km_decision d;

	km_arena_reset(&w->arena);
	assert_int_equal(km_decide_run_there(w->decide, &who, w->names, w->nodes, &w->arena, &d),
	                 0);
	assert_int_equal(d.count, w->nodes);
	return d;
}

static void pods_that_are_there_carry_what_is_there(void **state)
{
	struct km_pod a = web_pod("a");
	struct km_pod b = web_pod("b");
	struct km_pod c = web_pod("c");
	struct km_pod on_its_way = web_pod("d");
	struct km_pod newcomer = web_pod("e");
	struct km_decision d;
	struct world w;

	(void)state;
	world_init(&w, 3);
	w.model.slowdown = by_load;
	km_decide_set_feed(w.decide, true);
	bind_pod(&w, &a, 0, w.now_ns - 1000 * S);
	bind_pod(&w, &b, 0, w.now_ns - 1000 * S);
	bind_pod(&w, &c, 1, w.now_ns - 1000 * S);
	publish(&w, 0, 0.25);
	publish(&w, 1, 0.5);
	d = there(&w, &a);
	for (size_t i = 0; i < DECIDE_WORKLOADS; i++)
		assert_null(w.decide->slot[i].table); /* requests keep theirs */
	assert_float_equal(d.node[0].prediction.slowdown, 1.25 + 0.2, 1e-6); /* both, no third */
	assert_float_equal(d.node[1].prediction.slowdown, 1.5 + 0.1, 1e-6);
	assert_true(isnan(d.node[2].prediction.slowdown)); /* nothing is measured there */
	assert_int_equal(d.node[2].state, KM_DATA_ABSENT);
	assert_int_equal(d.node[0].tier, KM_TIER_CORE);
	/* one on its way counts as much as those that are seen */
	bind_pod(&w, &on_its_way, 1, KM_DECIDE_NOT_YET);
	assert_float_equal(there(&w, &a).node[1].prediction.slowdown, 1.5 + 0.2, 1e-6);
	/* a newcomer comes on top */
	assert_float_equal(look(&w, &newcomer, 0).prediction.slowdown, 1.25 + 0.3, 1e-6);
	w.now_ns += (MAX_AGE_S + 1) * S;
	d = there(&w, &a);
	assert_true(isnan(d.node[0].prediction.slowdown));
	assert_int_equal(d.node[0].state, KM_DATA_STALE);
	world_fini(&w);
}

static void without_a_model_nothing_is_told(void **state)
{
	struct km_pod a = web_pod("a");
	struct km_decision d;
	struct world w;

	(void)state;
	world_init(&w, 1);
	km_decide_set_model(w.decide, NULL);
	km_decide_set_feed(w.decide, true);
	publish_all(&w, 0.2);
	bind_pod(&w, &a, 0, w.now_ns);
	d = there(&w, &a);
	assert_true(isnan(d.node[0].prediction.slowdown));
	assert_int_equal(d.model_hash, 0);
	world_fini(&w);
}

static void use_policy(struct world *w, bool trusted)
{
	struct km_policies *set = NULL;
	struct km_policy p;

	km_policy_init(&p);
	(void)snprintf(p.namespace, sizeof(p.namespace), "shop");
	(void)snprintf(p.name, sizeof(p.name), "web");
	p.rps_query = strdup("sum(x)");
	p.trusted = trusted;
	assert_int_equal(km_policies_create(&p, 1, &set, NULL), 0);
	km_decide_set_policies(w->decide, set);
	km_policies_unref(set);
}

static double load_of_a_pod(struct world *w)
{
	struct km_pod pod = pod_of("new", "", "");

	return subject_of(w, &pod).workload.rps;
}

static void a_query_tells_the_load(void **state)
{
	const uint64_t web = km_policy_key("shop", "web");
	struct world w;

	(void)state;
	world_init(&w, 1);
	km_decide_set_feed(w.decide, true);
	km_decide_policy_rps(w.decide, web, 6000);
	assert_true(load_of_a_pod(&w) == 1000); /* no such policy: the default */
	use_policy(&w, true);
	assert_true(load_of_a_pod(&w) == 6000);
	km_decide_ready_pods(w.decide, web, 3);
	assert_true(load_of_a_pod(&w) == 2000);
	km_decide_policy_rps(w.decide, web, 9000);
	assert_true(load_of_a_pod(&w) == 3000);
	km_decide_ready_pods(w.decide, web, 0);
	assert_true(load_of_a_pod(&w) == 9000);
	km_decide_policy_rps(w.decide, web, NAN);
	assert_true(load_of_a_pod(&w) == 1000);
	km_decide_policy_rps(w.decide, web, 6000);
	use_policy(&w, false);
	assert_true(load_of_a_pod(&w) == 1000); /* whose queries are not asked */
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pods_that_are_there_carry_what_is_there),
		cmocka_unit_test(without_a_model_nothing_is_told),
		cmocka_unit_test(a_query_tells_the_load),
	};

	return cmocka_run_group_tests_name("decide there", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* decide: a prediction is made once per workload, node and feature version, by one thread. */
#include <stdio.h>

#include "support/decide_world.h"

static uint64_t hits(const struct world *w)
{
	return km_counter_value(w->decide->stats.hits);
}

static void a_prediction_is_made_once_per_feature_version(void **state)
{
	const double *const mid[] = { mid_row };
	struct km_workload pod;
	struct world w;

	(void)state;
	world_init_ready(&w);
	pod = w.settings.default_workload;
	(void)verdict_of(&w, &pod, "idle");
	assert_int_equal(predicted(&w), 3); /* all nodes with data, asked for or not */
	for (int i = 0; i < 10; i++)
		(void)verdict_of(&w, &pod, "mid");
	assert_int_equal(predicted(&w), 3);
	assert_int_equal(hits(&w), 10);
	w.now_ns += KM_NS_PER_S;
	publish_known(&w, 1); /* only time went on */
	(void)verdict_of(&w, &pod, "busy");
	assert_int_equal(predicted(&w), 3);
	assert_int_equal(km_counter_value(w.decide->stats.reused), 3);
	publish(&w, host_rows(&w, km_model_schema(w.model), 1, 2, mid)); /* one bin closed */
	(void)verdict_of(&w, &pod, "busy");
	assert_int_equal(predicted(&w), 4);
	world_fini(&w);
}

static void only_what_the_model_is_asked_tells_workloads_apart(void **state)
{
	struct km_workload pod;
	struct world w;

	(void)state;
	world_init_ready(&w);
	pod = w.settings.default_workload;
	(void)verdict_of(&w, &pod, "idle");
	pod.max_slowdown = 3;
	pod.mode = KM_MODE_ENFORCE;
	(void)verdict_of(&w, &pod, "idle"); /* another table, the same predictions */
	assert_int_equal(predicted(&w), 3);
	strcpy(pod.class_name, "web");
	memset(pod.class_name + 4, 'x', 8); /* what is behind the end means nothing */
	(void)verdict_of(&w, &pod, "idle");
	memset(pod.class_name + 4, 'y', 8);
	(void)verdict_of(&w, &pod, "idle");
	assert_int_equal(hits(&w), 1);
	pod.rps *= 2;
	(void)verdict_of(&w, &pod, "idle");
	assert_int_equal(predicted(&w), 6);
	world_fini(&w);
}

static void the_workload_unused_for_longest_is_forgotten(void **state)
{
	struct km_workload pod;
	struct world w;

	(void)state;
	world_init_ready(&w);
	pod = w.settings.default_workload;
	for (int i = 0; i < DECIDE_WORKLOADS; i++) {
		pod.rps = 100 + i;
		(void)verdict_of(&w, &pod, "idle");
	}
	assert_int_equal(predicted(&w), 3 * DECIDE_WORKLOADS);
	assert_int_equal(km_counter_value(w.decide->stats.evicted), 0);
	pod.rps = 100;
	(void)verdict_of(&w, &pod, "idle"); /* now 101 is the one */
	pod.rps = 5000;
	(void)verdict_of(&w, &pod, "idle");
	assert_int_equal(km_counter_value(w.decide->stats.evicted), 1);
	pod.rps = 100;
	(void)verdict_of(&w, &pod, "idle");
	assert_int_equal(predicted(&w), 3 * (DECIDE_WORKLOADS + 1));
	pod.rps = 101;
	(void)verdict_of(&w, &pod, "idle");
	assert_int_equal(predicted(&w), 3 * (DECIDE_WORKLOADS + 2));
	world_fini(&w);
}

static void a_reload_predicts_again_only_with_another_model(void **state)
{
	struct km_model *same_file = open_model();
	struct km_workload pod;
	struct world w;

	(void)state;
	world_init_ready(&w);
	pod = w.settings.default_workload;
	(void)verdict_of(&w, &pod, "idle");
	km_decide_set_settings(w.decide, &w.settings); /* nothing new */
	km_decide_set_model(w.decide, w.model);
	(void)verdict_of(&w, &pod, "idle");
	assert_int_equal(hits(&w), 1);
	w.settings.score_scale = 100;
	km_decide_set_settings(w.decide, &w.settings);
	assert_true(verdict_of(&w, &pod, "idle").score > 10); /* new verdicts, old predictions */
	assert_int_equal(predicted(&w), 3);
	km_decide_set_model(w.decide, same_file);
	(void)verdict_of(&w, &pod, "idle");
	assert_int_equal(predicted(&w), 6);
	km_model_unref(same_file);
	world_fini(&w);
}

/* ---- while another thread is at it ---- */
static struct decide_slot *slot_of(struct world *w, const struct km_workload *pod)
{
	struct decide_key key = decide_key_of(pod);

	for (size_t i = 0; i < DECIDE_WORKLOADS; i++) {
		if (w->decide->slot[i].taken && decide_same_key(&w->decide->slot[i].key, &key))
			return &w->decide->slot[i];
	}
	fail_msg("no slot");
	return NULL;
}

static void the_picture_before_answers_while_another_thread_predicts(void **state)
{
	const double *const now_busy[] = { busy_row };
	struct km_workload pod;
	struct world w;
	int32_t before;
	int32_t neutral;

	(void)state;
	world_init_ready(&w);
	pod = w.settings.default_workload;
	w.decide->wait_ns = 0;
	before = verdict_of(&w, &pod, "mid").score;
	slot_of(&w, &pod)->building = true;
	publish(&w, host_rows(&w, km_model_schema(w.model), 1, 2, now_busy));
	assert_int_equal(verdict_of(&w, &pod, "mid").score, before);
	assert_int_equal(km_counter_value(w.decide->stats.previous), 1);
	/* but not once it is two pictures old: then nobody knows what it missed */
	publish(&w, host_rows(&w, km_model_schema(w.model), 1, 3, now_busy));
	neutral = verdict_of(&w, &pod, "mid").score;
	assert_int_equal(neutral, 5);
	assert_int_equal(verdict_of(&w, &pod, "mid").reason, KM_REASON_NO_MODEL);
	assert_int_equal(km_counter_value(w.decide->stats.expired), 2);
	slot_of(&w, &pod)->building = false;
	assert_true(verdict_of(&w, &pod, "mid").score < before);
	world_fini(&w);
}

static void a_wait_that_is_too_long_ends_neutrally(void **state)
{
	struct km_decision d;
	struct km_workload pod;
	struct world w;

	(void)state;
	world_init_ready(&w);
	pod = w.settings.default_workload;
	w.decide->wait_ns = 0;
	(void)verdict_of(&w, &pod, "mid");
	slot_of(&w, &pod)->building = true;
	decide_drop_tables(w.decide);
	assert_int_equal(km_decide_run(w.decide, &pod, NULL, 0, &w.arena, &d), 0);
	assert_int_equal(d.count, NODES);
	for (size_t i = 0; i < NODES; i++) {
		assert_int_equal(d.node[i].state, KM_DATA_NO_MODEL);
		assert_true(isnan(d.node[i].prediction.slowdown));
		assert_int_equal(d.node[i].verdict.score, 5);
		assert_true(d.node[i].verdict.passes);
	}
	slot_of(&w, &pod)->building = false;
	world_fini(&w);
}

/* ---- threads ---- */
#define THREADS 4

struct asker {
	struct world *w;
	pthread_barrier_t *start;
	int failed;
};

static void *ask_once(void *asker)
{
	struct asker *a = asker;
	struct km_name name = name_of("mid");
	struct km_verdict v;

	(void)pthread_barrier_wait(a->start);
	a->failed = km_decide_verdicts(a->w->decide, &a->w->settings.default_workload, &name, 1,
	                               NULL, &v) != 0 ||
	            v.reason != KM_REASON_FITS;
	return NULL;
}

static void threads_that_ask_at_once_predict_once(void **state)
{
	struct asker asker[THREADS];
	pthread_t thread[THREADS];
	pthread_barrier_t start;
	struct world w;

	(void)state;
	world_init_ready(&w);
	w.decide->wait_ns = 60 * KM_NS_PER_S; /* a machine busy with sanitizers is no reason */
	assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
	for (uint64_t round = 1; round <= 50; round++) {
		publish_known(&w, round);
		for (size_t i = 0; i < THREADS; i++) {
			asker[i] = (struct asker){ &w, &start, 0 };
			assert_int_equal(pthread_create(&thread[i], NULL, ask_once, &asker[i]), 0);
		}
		for (size_t i = 0; i < THREADS; i++) {
			assert_int_equal(pthread_join(thread[i], NULL), 0);
			assert_false(asker[i].failed);
		}
		assert_int_equal(predicted(&w), 3 * round);
	}
	(void)pthread_barrier_destroy(&start);
	world_fini(&w);
}

/* Requests of every kind while pictures, models, settings and layouts are exchanged under them. */
struct storm {
	struct world w;
	atomic_bool over;
	_Atomic unsigned trouble;
};

static bool possible(const struct km_verdict *v)
{
	return v->score >= 0 && v->score <= 100 && v->reason < KM_REASON_N && v->passes &&
	       v->reason != KM_REASON_OBSERVE_ONLY;
}

static void *keep_asking(void *storm)
{
	struct storm *s = storm;
	struct km_name names[NODES + 1];
	struct km_workload pod = s->w.settings.default_workload;
	struct km_arena arena;
	unsigned round = 0;

	for (size_t h = 0, at = 0; h < HOSTS; h++) {
		for (size_t n = 0; n < host_node_count[h]; n++)
			names[at++] = name_of(host_nodes[h][n]);
	}
	names[NODES] = name_of("nobody");
	km_arena_init(&arena, 4096);
	while (!atomic_load(&s->over)) {
		struct km_verdict v[NODES + 1];
		struct km_contribution c[2];
		struct km_model *model;
		struct km_decision d;

		pod.rps = 100 + round++ % (DECIDE_WORKLOADS + 6);
		if (km_decide_verdicts(s->w.decide, &pod, names, NODES + 1, &arena, v) != 0 ||
		    v[NODES].reason != KM_REASON_NO_DATA)
			atomic_fetch_add(&s->trouble, 1);
		for (size_t i = 0; i <= NODES; i++)
			atomic_fetch_add(&s->trouble, !possible(&v[i]));
		if (km_decide_run(s->w.decide, &pod, NULL, 0, &arena, &d) != 0)
			atomic_fetch_add(&s->trouble, 1);
		if (round % 8 == 0 &&
		    km_decide_explain(s->w.decide, &pod, names[0], c, 2, NULL, &model) > 0)
			km_model_unref(model);
		km_arena_reset(&arena);
	}
	km_arena_fini(&arena);
	return NULL;
}

static void *keep_reloading(void *storm)
{
	struct storm *s = storm;
	struct km_decide_settings settings = s->w.settings;
	struct km_model *other = open_model();

	for (unsigned round = 0; !atomic_load(&s->over); round++) {
		struct km_model *held;

		km_decide_set_model(s->w.decide, round % 2 == 0 ? other : s->w.model);
		settings.score_scale = round % 3 == 0 ? 100 : 10;
		km_decide_set_settings(s->w.decide, &settings);
		held = km_decide_get_model(s->w.decide);
		km_model_unref(held);
		(void)sched_yield();
	}
	km_model_unref(other);
	return NULL;
}

static void requests_and_reloads_do_not_disturb_each_other(void **state)
{
	static void *(*const bodies[])(void *) = { keep_asking, keep_asking, keep_reloading };
	struct km_cluster_host hosts[HOSTS];
	pthread_t thread[KM_ARRAY_LEN(bodies)];
	static struct storm s;

	(void)state;
	world_init_ready(&s.w);
	s.w.decide->wait_ns = 60 * KM_NS_PER_S;
	atomic_init(&s.over, false);
	atomic_init(&s.trouble, 0);
	world_hosts(hosts);
	for (size_t i = 0; i < KM_ARRAY_LEN(bodies); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, bodies[i], &s), 0);
	for (uint64_t round = 1; round < 400; round++) {
		publish_known(&s.w, round);
		if (round % 50 == 0)
			assert_int_equal(km_cluster_set_hosts(s.w.cluster, hosts, HOSTS, NULL), 0);
	}
	atomic_store(&s.over, true);
	for (size_t i = 0; i < KM_ARRAY_LEN(bodies); i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(atomic_load(&s.trouble), 0);
	world_fini(&s.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_prediction_is_made_once_per_feature_version),
		cmocka_unit_test(only_what_the_model_is_asked_tells_workloads_apart),
		cmocka_unit_test(the_workload_unused_for_longest_is_forgotten),
		cmocka_unit_test(a_reload_predicts_again_only_with_another_model),
		cmocka_unit_test(the_picture_before_answers_while_another_thread_predicts),
		cmocka_unit_test(a_wait_that_is_too_long_ends_neutrally),
		cmocka_unit_test(threads_that_ask_at_once_predict_once),
		cmocka_unit_test(requests_and_reloads_do_not_disturb_each_other),
	};

	return cmocka_run_group_tests_name("decide cache", tests, NULL, NULL);
}

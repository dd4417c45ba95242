/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide: bursts of pods between two samples. A scheduler asks, takes one of the best at random, as
 * kube-scheduler does with ties, and binds; counters show nothing of it before the burst is over.
 * And the same from several threads at once.
 */
#include <pthread.h>

#include "support/inflight_world.h"

#define NODES 20
#define PODS  200

/* Bound, or where the test says so known to be: pods on each node. */
struct burst {
	struct world *w;
	bool feed;
	struct km_rng rng;
	uint32_t pods[NODES];
};

static void place_one(struct burst *b, const char *uid, const char *service, const char *class_name)
{
	struct km_pod pod = pod_of(uid, service, class_name);
	struct km_subject who = subject_of(b->w, &pod);
	struct km_verdict v[NODES];
	uint32_t best[NODES];
	uint32_t count = 0;
	int32_t top = -1;

	call(b->w, &who, KM_CALL_FILTER, v);
	call(b->w, &who, KM_CALL_PRIORITIZE, v);
	for (uint32_t i = 0; i < NODES; i++) {
		if (v[i].score > top)
			count = 0;
		top = v[i].score > top ? v[i].score : top;
		if (v[i].score == top)
			best[count++] = i;
	}
	count = best[km_rng_below(&b->rng, count)];
	b->pods[count]++;
	if (b->feed)
		bind_pod(b->w, &pod, count, b->w->now_ns + S);
}

/* returns most / mean pods of a node. */
static double burst(bool ledger_on, bool feed, uint32_t scale, const char *service,
                    const char *class_name, uint64_t seed)
{
	struct burst b = { .feed = feed };
	struct world w;
	uint32_t most = 0;

	world_init(&w, NODES);
	w.settings.score_scale = scale;
	w.settings.ledger_off = !ledger_on;
	world_set(&w);
	publish_all(&w, 0.3);
	km_decide_set_feed(w.decide, feed);
	b.w = &w;
	km_rng_init(&b.rng, seed);
	for (uint32_t i = 0; i < PODS; i++) {
		char uid[16];

		(void)snprintf(uid, sizeof(uid), "pod-%u", i);
		place_one(&b, uid, service, class_name);
		w.now_ns += 10 * S / PODS; /* all within a lag of 10 s */
	}
	for (uint32_t i = 0; i < NODES; i++)
		most = b.pods[i] > most ? b.pods[i] : most;
	world_fini(&w);
	return most / ((double)PODS / NODES);
}

static void a_burst_is_spread_over_equal_nodes(void **state)
{
	static const struct {
		const char *service, *class_name, *what;
	} rows[] = {
		{ "web", "", "replicas of one service" },
		{ "", "l3", "pods of a class that the model knows" },
		{ "", "odd", "pods that nothing is known of" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		for (uint32_t scale = 10; scale <= 100; scale *= 10) {
			for (uint64_t seed = 1; seed <= 5; seed++) {
				double ratio = burst(true, true, scale, rows[i].service,
				                     rows[i].class_name, seed);

				if (ratio > 1.25)
					fail_msg("%s, scale %u, seed %llu: most / mean %.2f",
					         rows[i].what, scale, (unsigned long long)seed,
					         ratio);
			}
		}
		print_message("# most / mean, %s: %.2f with feed, %.2f without feed, %.2f without "
		              "ledger\n",
		              rows[i].what,
		              burst(true, true, 10, rows[i].service, rows[i].class_name, 1),
		              burst(true, false, 10, rows[i].service, rows[i].class_name, 1),
		              burst(false, true, 10, rows[i].service, rows[i].class_name, 1));
	}
}

/* One node a little better than all others: without the ledger it gets everything. */
static uint32_t pods_on_the_best(bool ledger_on, bool feed)
{
	struct burst b = { .feed = feed };
	struct world w;

	world_init(&w, NODES);
	w.settings.ledger_off = !ledger_on;
	world_set(&w);
	publish_all(&w, 0.3);
	publish(&w, 7, 0.25);
	km_decide_set_feed(w.decide, feed);
	b.w = &w;
	km_rng_init(&b.rng, 1);
	for (uint32_t i = 0; i < PODS; i++) {
		char uid[16];

		(void)snprintf(uid, sizeof(uid), "pod-%u", i);
		place_one(&b, uid, "web", "");
		w.now_ns += 10 * S / PODS;
	}
	world_fini(&w);
	return b.pods[7];
}

static void the_best_node_does_not_get_everything(void **state)
{
	(void)state;
	assert_int_equal(pods_on_the_best(false, true), PODS);
	assert_in_range(pods_on_the_best(true, true), PODS / NODES, PODS / NODES * 3 / 2);
	assert_in_range(pods_on_the_best(true, false), 1, PODS / 4);
	print_message(
		"# of %d pods on the best of %d nodes: %u with feed, %u without feed, %u without "
		"ledger\n",
		PODS, NODES, pods_on_the_best(true, true), pods_on_the_best(true, false),
		pods_on_the_best(false, true));
}

/* ---- several schedulers, a feed and a publisher at once ---- */
enum { THREADS = 3, EACH = 60 };

struct runner {
	struct world *w;
	uint32_t first;
	struct km_verdict verdict[NODES];
};

static void *place_many(void *arg)
{
	struct runner *r = arg;
	struct km_arena arena;

	km_arena_init(&arena, 1 << 16);
	for (uint32_t i = 0; i < EACH; i++) {
		char uid[16];
		struct km_pod pod;
		struct km_subject who;
		const struct km_ask ask = { &who, i % 3 == 0 ? KM_CALL_FILTER : KM_CALL_PRIORITIZE,
			                    r->w->names, NODES };

		(void)snprintf(uid, sizeof(uid), "pod-%u", r->first + i);
		pod = pod_of(uid, i % 2 == 0 ? "web" : "db", i % 4 == 0 ? "l3" : "");
		km_decide_subject(r->w->decide, &pod, &who);
		assert_int_equal(km_decide_place(r->w->decide, &ask, &arena, r->verdict), 0);
		km_decide_pod_bound(r->w->decide, &pod, r->w->names[i % NODES], KM_DECIDE_NOT_YET);
		if (i % 5 == 0)
			km_decide_pod_gone(r->w->decide, pod.uid);
		(void)km_decide_observe_effect(r->w->decide, 0, 1 + i, 2, 0.1, 1);
		km_arena_reset(&arena);
	}
	km_arena_fini(&arena);
	return NULL;
}

static void *disturb(void *arg)
{
	struct world *w = arg;

	for (uint32_t i = 0; i < EACH; i++) {
		publish(w, i % NODES, 0.3 + 0.01 * (i % 10));
		if (i % 20 == 19) {
			struct km_decide_settings s = w->settings;

			s.score_scale = i % 40 == 19 ? 10 : 100;
			km_decide_set_settings(w->decide, &s);
		}
	}
	return NULL;
}

static void threads_see_one_ledger(void **state)
{
	struct km_effects *e = km_effects_create(NULL);
	pthread_t thread[THREADS + 1];
	struct runner runner[THREADS];
	struct world w;
	uint32_t gone = THREADS * EACH / 5;

	(void)state;
	world_init(&w, NODES);
	publish_all(&w, 0.3);
	w.model.before_ctx = &w; /* nobody looks at the last row */
	km_decide_set_feed(w.decide, true);
	km_decide_attach_effects(w.decide, e);
	for (uint32_t i = 0; i < THREADS; i++) {
		runner[i] = (struct runner){ .w = &w, .first = i * EACH };
		assert_int_equal(pthread_create(&thread[i], NULL, place_many, &runner[i]), 0);
	}
	assert_int_equal(pthread_create(&thread[THREADS], NULL, disturb, &w), 0);
	for (uint32_t i = 0; i <= THREADS; i++)
		(void)pthread_join(thread[i], NULL);
	assert_int_equal(ledger(&w).entries, THREADS * EACH - gone);
	assert_int_equal(ledger(&w).bound, THREADS * EACH - gone);
	km_decide_attach_effects(w.decide, NULL);
	km_effects_free(e);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_is_spread_over_equal_nodes),
		cmocka_unit_test(the_best_node_does_not_get_everything),
		cmocka_unit_test(threads_see_one_ledger),
	};

	return cmocka_run_group_tests_name("decide burst", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: when pods are moved. Rules one by one; then worlds of pods and nodes over days of fake
 * time, in which moving ends, the budget and the cooldown hold, and nothing goes back and forth.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/base/rng.h"

#include "policy/rebalance.h"

#define S    INT64_C(1000000000)
#define HOUR (3600 * S)

static const struct rebalance_rules rules = {
	.min_gain_ratio = 0.15, .cooldown_ns = 600 * S, .per_hour = 6, .window_ns = 60 * S
};

struct bench {
	struct rebalance *r;
	struct rebalance_rules rules;
	struct rebalance_candidate c[2];
	struct rebalance_look look;
	size_t chosen;
	double gain;
};

static void begin(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	b->r = rebalance_create();
	assert_non_null(b->r);
	b->rules = rules;
	b->c[0] = (struct rebalance_candidate){ 1, 2, 1, HOUR };
	b->c[1] = (struct rebalance_candidate){ 2, 1.2, 1, HOUR };
	b->look = (struct rebalance_look){ .candidate = b->c,
		                           .count = 2,
		                           .level = 0.5,
		                           .pods = 2,
		                           .settled = true,
		                           .now_ns = 1000 * S };
}

static enum rebalance_why look(struct bench *b, int64_t after_ns)
{
	b->look.now_ns += after_ns;
	return rebalance_choose(b->r, &b->rules, &b->look, &b->chosen, &b->gain);
}

/* Looks every 5 s for so long; the last answer that is not MOVE, or MOVE as soon as it comes. */
static enum rebalance_why look_for(struct bench *b, int64_t ns)
{
	enum rebalance_why why = REBALANCE_WHY_N;

	for (int64_t t = 0; t < ns && why != REBALANCE_MOVE; t += 5 * S)
		why = look(b, 5 * S);
	return why;
}

static void move(struct bench *b)
{
	rebalance_moved(b->r, &b->rules, &b->look, b->chosen);
}

static void a_gain_must_last_for_a_whole_window(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	assert_int_equal(look(&b, 0), REBALANCE_WINDOW);
	assert_int_equal(look_for(&b, 55 * S), REBALANCE_WINDOW);
	b.c[0].there = 1.8; /* one dip */
	assert_int_equal(look(&b, 2 * S), REBALANCE_WINDOW);
	b.c[0].there = 1;
	assert_int_equal(look(&b, 3 * S), REBALANCE_MOVE); /* the other one by now */
	assert_int_equal(b.chosen, 1);
	assert_int_equal(look_for(&b, 60 * S), REBALANCE_MOVE);
	b.c[1].there = 1.2;
	assert_int_equal(look(&b, 5 * S), REBALANCE_WINDOW);
	assert_int_equal(look_for(&b, 60 * S), REBALANCE_MOVE);
	assert_int_equal(b.chosen, 0);
	assert_float_equal(b.gain, 0.5, 1e-9);
	rebalance_free(b.r);
}

static void what_was_not_looked_at_does_not_count(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	(void)look(&b, 0);
	assert_int_equal(look(&b, 61 * S), REBALANCE_WINDOW);
	assert_int_equal(look_for(&b, 60 * S), REBALANCE_MOVE);
	rebalance_free(b.r);
}

static void who_has_just_begun_to_run_stays(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	b.look.count = 1;
	b.c[0].running_ns = 10 * S;
	assert_int_equal(look_for(&b, 300 * S), REBALANCE_WINDOW);
	b.c[0].running_ns = 60 * S;
	assert_int_equal(look(&b, S), REBALANCE_MOVE);
	rebalance_free(b.r);
}

static void numbers_that_are_none_are_no_gain(void **state)
{
	static const double bad[][2] = { { NAN, 1 }, { 2, NAN },  { INFINITY, 1 },
		                         { 2, 0 },   { 0, 0 },    { -2, -1 },
		                         { 1, 2 },   { 1.17, 1 }, { 2, INFINITY } };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(bad); i++) {
		struct bench b;

		begin(&b);
		b.look.count = 1;
		b.c[0].here = bad[i][0];
		b.c[0].there = bad[i][1];
		assert_int_equal(look_for(&b, 200 * S), REBALANCE_NO_GAIN);
		rebalance_free(b.r);
	}
}

static void one_at_a_time_and_then_a_cooldown(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	assert_int_equal(look_for(&b, 100 * S), REBALANCE_MOVE);
	move(&b);
	b.look.settled = false;
	assert_int_equal(look_for(&b, 100 * S), REBALANCE_SETTLING);
	b.look.settled = true;
	b.look.level = 0.1; /* it was worth it */
	assert_int_equal(look_for(&b, 495 * S), REBALANCE_COOLDOWN);
	assert_int_equal(look_for(&b, 15 * S), REBALANCE_MOVE);
	/* a replacement that never comes does not stop it for ever */
	move(&b);
	b.look.settled = false;
	b.look.level = -0.5;
	assert_int_equal(look_for(&b, 590 * S), REBALANCE_SETTLING);
	assert_int_equal(look_for(&b, 15 * S), REBALANCE_MOVE);
	rebalance_free(b.r);
}

static void a_budget_is_a_budget(void **state)
{
	struct bench b;
	int moved = 0;

	(void)state;
	begin(&b);
	b.rules.cooldown_ns = 60 * S;
	b.rules.per_hour = 3;
	for (int64_t t = 0; t < 3600; t += 5) {
		if (look(&b, 5 * S) == REBALANCE_MOVE) {
			move(&b);
			b.look.level -= 1; /* every one is worth it */
			moved++;
		}
	}
	assert_int_equal(moved, 3);
	assert_int_equal(look(&b, 0), REBALANCE_BUDGET);
	assert_int_equal(rebalance_in_last_hour(b.r, b.look.now_ns), 3);
	rebalance_free(b.r);
}

static void another_leader_knows_what_was_moved(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	rebalance_restore(b.r, b.look.now_ns - 300 * S, 6);
	assert_int_equal(look_for(&b, 290 * S), REBALANCE_COOLDOWN);
	assert_int_equal(look_for(&b, 3000 * S), REBALANCE_BUDGET);
	assert_int_equal(look_for(&b, 600 * S), REBALANCE_MOVE);
	rebalance_free(b.r);
}

static void a_budget_of_the_cluster_is_asked_less_and_less(void **state)
{
	struct bench b;
	int asked = 0;

	(void)state;
	begin(&b);
	for (int64_t t = 0; t < 7200; t += 5) {
		if (look(&b, 5 * S) == REBALANCE_MOVE) {
			rebalance_refused(b.r, b.look.now_ns);
			asked++;
		}
	}
	assert_true(asked >= 14 && asked <= 18);
	assert_int_equal(look(&b, 0), REBALANCE_REFUSED);
	rebalance_free(b.r);
}

/* The replacement lands where it was: three times, farther and farther apart, then never. */
static void moves_that_bring_nothing_end(void **state)
{
	int64_t at[8] = { 0 };
	struct bench b;
	size_t moved = 0;

	(void)state;
	begin(&b);
	b.look.count = 1;
	for (int64_t t = 0; t < 48 * 3600; t += 5) {
		if (look(&b, 5 * S) == REBALANCE_MOVE) {
			move(&b);
			assert_true(moved < 8);
			at[moved++] = b.look.now_ns;
			b.c[0].pod++; /* a new one in the same place */
		}
	}
	assert_int_equal(moved, 3);
	assert_true(at[1] - at[0] >= 1200 * S && at[2] - at[1] >= 2400 * S);
	assert_int_equal(look(&b, 5 * S), REBALANCE_FRUITLESS);
	b.c[0].there = 2; /* nothing to be gained: the slate is clean */
	assert_int_equal(look(&b, 5 * S), REBALANCE_NO_GAIN);
	b.c[0].there = 1;
	assert_int_equal(look_for(&b, 100 * S), REBALANCE_MOVE);
	rebalance_free(b.r);
}

static void a_dry_run_tells_each_pod_once(void **state)
{
	struct bench b;
	int told = 0;

	(void)state;
	begin(&b);
	b.rules.dry_run = true;
	b.c[1].here = 3;
	for (int64_t t = 0; t < 24 * 3600; t += 5) {
		if (look(&b, 5 * S) == REBALANCE_MOVE) {
			move(&b);
			told++;
		}
	}
	assert_int_equal(told, 2);
	rebalance_free(b.r);
}

/* ---- worlds ---- */

#define NODES    12
#define POLICIES 3
#define PODS     10 /* of each */
#define LOOK_S   10
#define DAYS     2

struct pod {
	uint64_t uid;
	int node;
	int64_t since_ns;
};

struct world {
	double base[NODES];
	double press[POLICIES]; /* what a pod does to everybody on its node */
	double on[NODES];       /* what all there do */
	struct pod pod[POLICIES][PODS];
	struct rebalance *r[POLICIES];
	struct rebalance_rules rules[POLICIES];
	int64_t last_ns[POLICIES];
	uint64_t uids;
	int moves[POLICIES];
	int64_t last_move_ns;
	bool elsewhere; /* the scheduler puts replacements where it likes */
	struct km_rng rng;
};

/* Features stand still but for what the pods themselves do. */
static double slowdown(const struct world *w, int node, int newcomer)
{
	return w->base[node] * (1 + w->on[node] + (newcomer >= 0 ? w->press[newcomer] : 0));
}

static void put(struct world *w, int policy, struct pod *pod, int node, int64_t now_ns)
{
	if (pod->uid != 0)
		w->on[pod->node] -= w->press[policy];
	*pod = (struct pod){ ++w->uids, node, now_ns };
	w->on[node] += w->press[policy];
}

static int best_other(const struct world *w, int policy, int than)
{
	int best = -1;

	for (int n = 0; n < NODES; n++) {
		if (n != than && (best < 0 || slowdown(w, n, policy) < slowdown(w, best, policy)))
			best = n;
	}
	return best;
}

static void look_at(struct world *w, int p, int64_t now_ns)
{
	struct rebalance_candidate c[PODS];
	struct rebalance_look l = {
		.candidate = c, .count = PODS, .pods = PODS, .settled = true, .now_ns = now_ns
	};
	size_t chosen;
	double gain;

	for (int i = 0; i < PODS; i++) {
		const struct pod *pod = &w->pod[p][i];
		int best = best_other(w, p, pod->node);

		c[i] = (struct rebalance_candidate){ pod->uid, slowdown(w, pod->node, -1),
			                             slowdown(w, best, p), now_ns - pod->since_ns };
		l.level += log(c[i].here) / PODS;
	}
	if (rebalance_choose(w->r[p], &w->rules[p], &l, &chosen, &gain) != REBALANCE_MOVE)
		return;
	assert_true(gain >= w->rules[p].min_gain_ratio);
	assert_true(w->last_ns[p] == 0 || now_ns - w->last_ns[p] >= w->rules[p].cooldown_ns);
	rebalance_moved(w->r[p], &w->rules[p], &l, chosen);
	assert_true(rebalance_in_last_hour(w->r[p], now_ns) <= w->rules[p].per_hour);
	w->last_ns[p] = now_ns;
	w->last_move_ns = now_ns;
	w->moves[p]++;
	put(w, p, &w->pod[p][chosen],
	    w->elsewhere ? (int)km_rng_below(&w->rng, NODES)
	                 : best_other(w, p, w->pod[p][chosen].node),
	    now_ns);
}

static void world_begin(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	km_rng_init(&w->rng, seed);
	w->elsewhere = seed % 4 == 0;
	for (int n = 0; n < NODES; n++)
		w->base[n] = 1 + 1.5 * km_rng_unit(&w->rng);
	for (int p = 0; p < POLICIES; p++) {
		w->r[p] = rebalance_create();
		w->press[p] = 0.2 * km_rng_unit(&w->rng);
		w->rules[p] = (struct rebalance_rules){
			.min_gain_ratio = 0.05 + 0.3 * km_rng_unit(&w->rng),
			.cooldown_ns = (60 + km_rng_below(&w->rng, 600)) * S,
			.per_hour = 1 + km_rng_below(&w->rng, 10),
			.window_ns = 60 * S,
		};
		for (int i = 0; i < PODS; i++)
			put(w, p, &w->pod[p][i], (int)km_rng_below(&w->rng, NODES), 0);
	}
}

static void constant_input_comes_to_rest(void **state)
{
	int total = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		int64_t now_ns = HOUR;
		struct world w;

		world_begin(&w, seed);
		for (; now_ns < DAYS * 24 * HOUR; now_ns += LOOK_S * S) {
			for (int p = 0; p < POLICIES; p++)
				look_at(&w, p, now_ns);
		}
		for (int p = 0; p < POLICIES; p++) {
			if (w.moves[p] > 3 * PODS)
				fail_msg("seed %d: %d moves of %d pods", (int)seed, w.moves[p],
				         PODS);
			total += w.moves[p];
			rebalance_free(w.r[p]);
		}
		if (now_ns - w.last_move_ns < 12 * HOUR)
			fail_msg("seed %d: still moving after %d h", (int)seed,
			         (int)(w.last_move_ns / HOUR));
	}
	assert_true(total > 50); /* or nothing was tried */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gain_must_last_for_a_whole_window),
		cmocka_unit_test(what_was_not_looked_at_does_not_count),
		cmocka_unit_test(who_has_just_begun_to_run_stays),
		cmocka_unit_test(numbers_that_are_none_are_no_gain),
		cmocka_unit_test(one_at_a_time_and_then_a_cooldown),
		cmocka_unit_test(a_budget_is_a_budget),
		cmocka_unit_test(another_leader_knows_what_was_moved),
		cmocka_unit_test(a_budget_of_the_cluster_is_asked_less_and_less),
		cmocka_unit_test(moves_that_bring_nothing_end),
		cmocka_unit_test(a_dry_run_tells_each_pod_once),
		cmocka_unit_test(constant_input_comes_to_rest),
	};

	return cmocka_run_group_tests_name("policy rebalance", tests, NULL, NULL);
}

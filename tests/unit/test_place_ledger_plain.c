/* SPDX-License-Identifier: Apache-2.0 */
/* place: all rules of the ledger at once, against a list that is searched from end to end. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/rng.h"
#include "km/place/ledger.h"

#define NOT_YET INT64_MAX
#define ITEMS   256

static const struct km_pod_kind web = { .service = 7, .rps = 100, .class_name = "web" };

static int set_up(void **state)
{
	*state = km_ledger_create();
	return *state == NULL;
}

static int tear_down(void **state)
{
	km_ledger_free(*state);
	return 0;
}

/* The pods of a node, shares added up, without `except`; and what a node's digest is. */
static double weight_without(struct km_ledger *l, uint64_t node, uint64_t except, uint64_t *digest)
{
	struct km_ledger_item item[ITEMS];
	struct km_ledger_busy busy;
	size_t count = km_ledger_items(l, node, except, item, ITEMS, &busy);
	double sum = 0;

	assert_true(count <= ITEMS);
	for (size_t i = 0; i < count; i++)
		sum += item[i].weight;
	*digest = busy.digest;
	return sum;
}

enum { PODS = 12, PLACES = 6, STEPS = 20000, TTL = 50 };

struct plain {
	bool there, bound;
	int64_t touched, running;
	double weight[PLACES];
};

static void plain_step(struct km_rng *rng, struct km_ledger *l, struct plain *p, int64_t now)
{
	uint64_t pod = km_rng_below(rng, PODS);
	uint64_t uid = pod + 1;
	struct plain *q = &p[pod];
	uint64_t node[PLACES];
	size_t count = 0;

	switch (km_rng_below(rng, 5)) {
	case 0:
	case 1:
		for (uint64_t n = 0; n < PLACES; n++) {
			if (km_rng_below(rng, 3) == 0)
				node[count++] = n + 1;
		}
		km_ledger_reserve(l, uid, &web, node, count, now, now);
		if (q->bound)
			return;
		*q = (struct plain){ count > 0, false, now, now, { 0 } };
		for (size_t i = 0; i < count; i++)
			q->weight[node[i] - 1] = (double)(float)(1.0 / (double)count);
		return;
	case 2:
		node[0] = 1 + km_rng_below(rng, PLACES);
		km_ledger_bound(l, uid, &web, node[0], now, NOT_YET);
		*q = (struct plain){ true, true, now, NOT_YET, { 0 } };
		q->weight[node[0] - 1] = 1;
		return;
	case 3:
		km_ledger_running(l, uid, now);
		if (q->bound)
			q->running = now;
		return;
	default:
		km_ledger_gone(l, uid);
		*q = (struct plain){ 0 };
	}
}

static void check_plain(struct km_ledger *l, const struct plain *p, uint64_t except)
{
	struct km_ledger_busy busy[PLACES];
	uint64_t digest;
	size_t nodes = 0;

	for (uint64_t n = 0; n < PLACES; n++) {
		double want = 0;

		for (uint64_t pod = 0; pod < PODS; pod++)
			want += pod + 1 != except ? p[pod].weight[n] : 0;
		nodes += want > 0;
		assert_true(fabs(weight_without(l, n + 1, except, &digest) - want) < 1e-9);
	}
	assert_int_equal(km_ledger_busy(l, except, busy, PLACES), nodes);
	for (size_t i = 0; i < nodes; i++) {
		(void)weight_without(l, busy[i].node, except, &digest);
		assert_true(busy[i].digest == digest);
	}
}

static void it_is_a_list_of_pods_and_no_more(void **state)
{
	struct km_ledger *l = *state;
	struct plain p[PODS] = { { 0 } };
	struct km_ledger_stats stats;
	struct km_rng rng;
	int64_t now = 1000;

	km_rng_init(&rng, 3);
	for (int step = 0; step < STEPS; step++) {
		uint32_t there = 0;

		now += km_rng_below(&rng, 10);
		km_ledger_expire(l, now, TTL);
		for (size_t pod = 0; pod < PODS; pod++) {
			if (p[pod].there && !p[pod].bound && now - p[pod].touched > TTL)
				p[pod] = (struct plain){ 0 };
		}
		plain_step(&rng, l, p, now);
		check_plain(l, p, km_rng_below(&rng, PODS + 1));
		for (size_t pod = 0; pod < PODS; pod++)
			there += p[pod].there;
		km_ledger_stats(l, &stats);
		assert_int_equal(stats.entries, there);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_a_list_of_pods_and_no_more, set_up,
		                                tear_down),
	};

	return cmocka_run_group_tests_name("place ledger plain", tests, NULL, NULL);
}

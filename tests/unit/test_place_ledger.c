/* SPDX-License-Identifier: Apache-2.0 */
/* place: the rules of the in-flight ledger, one by one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/clock.h"
#include "km/place/ledger.h"

#define S       KM_NS_PER_S
#define NOT_YET INT64_MAX
#define ITEMS   256

static const struct km_pod_kind web = { .service = 7, .rps = 100, .class_name = "web" };
static const struct km_pod_kind batch = { .rps = NAN, .class_name = "batch" };

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

static void reserve(struct km_ledger *l, uint64_t uid, uint64_t node, int64_t now_ns)
{
	km_ledger_reserve(l, uid, &web, &node, 1, now_ns, now_ns);
}

/* The pods of a node, shares added up, without `except`. */
static double weight_without(struct km_ledger *l, uint64_t node, uint64_t except)
{
	struct km_ledger_item item[ITEMS];
	struct km_ledger_busy busy;
	size_t count = km_ledger_items(l, node, except, item, ITEMS, &busy);
	double sum = 0;

	assert_true(count <= ITEMS);
	for (size_t i = 0; i < count; i++)
		sum += item[i].weight;
	return sum;
}

static double weight(struct km_ledger *l, uint64_t node)
{
	return weight_without(l, node, 0);
}

static uint64_t digest(struct km_ledger *l, uint64_t node, uint64_t except)
{
	struct km_ledger_item item[ITEMS];
	struct km_ledger_busy busy;

	(void)km_ledger_items(l, node, except, item, ITEMS, &busy);
	return busy.digest;
}

static struct km_ledger_stats stats(const struct km_ledger *l)
{
	struct km_ledger_stats s;

	km_ledger_stats(l, &s);
	return s;
}

static void a_pod_has_one_entry_replaced_by_its_next_call(void **state)
{
	struct km_ledger *l = *state;

	reserve(l, 1, 10, 0);
	reserve(l, 1, 11, 1);
	assert_true(weight(l, 10) == 0 && weight(l, 11) == 1);
	assert_int_equal(stats(l).entries, 1);
	reserve(l, 1, 11, 2);
	assert_true(weight(l, 11) == 1);
	km_ledger_reserve(l, 1, &web, NULL, 0, 3, 3); /* nothing to expect it on */
	assert_true(weight(l, 11) == 0);
	assert_int_equal(stats(l).entries, 0);
	assert_int_equal(stats(l).nodes, 0);
	assert_int_equal(stats(l).kinds, 0);
}

static void a_pod_does_not_see_its_own_entry(void **state)
{
	struct km_ledger *l = *state;
	struct km_ledger_busy busy[2];
	uint64_t without;

	reserve(l, 1, 10, 0);
	without = digest(l, 10, 0);
	reserve(l, 2, 10, 1);
	assert_true(weight_without(l, 10, 2) == 1);
	assert_true(digest(l, 10, 2) == without); /* as if it had never been there */
	assert_true(digest(l, 10, 0) != without);
	assert_int_equal(km_ledger_busy(l, 2, busy, 2), 1);
	assert_true(busy[0].digest == without);
	km_ledger_gone(l, 1);
	assert_int_equal(km_ledger_busy(l, 2, busy, 2), 0);
	assert_int_equal(km_ledger_busy(l, 0, busy, 2), 1);
}

static void pods_without_uid_reserve_nothing(void **state)
{
	struct km_ledger *l = *state;
	uint64_t before = km_ledger_revision(l);

	reserve(l, 0, 10, 0);
	km_ledger_bound(l, 0, &web, 10, 0, 0);
	km_ledger_gone(l, 0);
	assert_int_equal(stats(l).entries, 0);
	assert_true(km_ledger_revision(l) == before);
}

static void ties_share_one_pod(void **state)
{
	struct km_ledger *l = *state;
	const uint64_t four[] = { 10, 11, 12, 13 };

	km_ledger_reserve(l, 1, &web, four, 4, 0, 0);
	for (size_t i = 0; i < 4; i++)
		assert_true(weight(l, four[i]) == 0.25);
	assert_int_equal(stats(l).entries, 1);
	km_ledger_bound(l, 1, &web, 12, 1, NOT_YET);
	assert_true(weight(l, 10) == 0 && weight(l, 12) == 1);
}

/* Over many pods every one of the nodes that tie is expected to get as much as any other. */
static void of_many_ties_some_are_drawn_fairly(void **state)
{
	enum { NODES = 100, PODS = 3000 };
	struct km_ledger *l = *state;
	double expected = (double)PODS / NODES;
	uint64_t node[NODES];
	double got[NODES] = { 0 };

	for (size_t i = 0; i < NODES; i++)
		node[i] = 1000 + i;
	for (uint64_t uid = 1; uid <= PODS; uid++) {
		struct km_ledger_busy busy[NODES];
		size_t count;

		km_ledger_reserve(l, uid, &web, node, NODES, 0, 0);
		count = km_ledger_busy(l, 0, busy, NODES);
		assert_int_equal(count, KM_LEDGER_SHARED_MAX);
		for (size_t i = 0; i < count; i++)
			got[busy[i].node - 1000] += weight(l, busy[i].node);
		km_ledger_gone(l, uid);
	}
	/* of 3,000 pods a node is drawn by about 960 of them: 4 sd are .32 x 4 / sqrt(960) */
	for (size_t i = 0; i < NODES; i++)
		assert_true(fabs(got[i] - expected) < 0.12 * expected);
}

static void a_bound_pod_is_where_the_feed_says(void **state)
{
	struct km_ledger *l = *state;

	reserve(l, 1, 10, 0);
	km_ledger_bound(l, 1, &batch, 20, 1, NOT_YET);
	assert_true(weight(l, 10) == 0 && weight(l, 20) == 1);
	assert_int_equal(stats(l).confirmed, 1);
	assert_int_equal(stats(l).bound, 1);
	reserve(l, 1, 10, 2); /* a late call: it is placed already */
	assert_true(weight(l, 10) == 0 && weight(l, 20) == 1);
	km_ledger_reserve(l, 1, &web, NULL, 0, 2, 2);
	assert_true(weight(l, 20) == 1);
	km_ledger_bound(l, 1, &batch, 21, 3, NOT_YET); /* deleted and made anew elsewhere */
	assert_true(weight(l, 20) == 0 && weight(l, 21) == 1);
	km_ledger_gone(l, 1);
	assert_true(weight(l, 21) == 0);
	assert_int_equal(stats(l).bound, 0);
	km_ledger_gone(l, 1);
}

static void only_reservations_expire(void **state)
{
	struct km_ledger *l = *state;

	reserve(l, 1, 10, 0);
	reserve(l, 2, 11, 1 * S);
	reserve(l, 3, 12, 1 * S);
	km_ledger_bound(l, 3, &web, 12, 1 * S, NOT_YET);
	km_ledger_expire(l, 2 * S, 2 * S);
	assert_true(weight(l, 10) == 1);
	km_ledger_expire(l, 2 * S + 1, 2 * S);
	assert_true(weight(l, 10) == 0 && weight(l, 11) == 1);
	km_ledger_expire(l, 1000 * S, 2 * S);
	assert_true(weight(l, 11) == 0 && weight(l, 12) == 1);
	assert_int_equal(stats(l).expired, 2);
}

static void a_call_renews_the_reservation(void **state)
{
	struct km_ledger *l = *state;

	reserve(l, 1, 10, 0);
	reserve(l, 2, 10, 1);
	reserve(l, 1, 10, 2 * S);
	km_ledger_expire(l, 3 * S, 2 * S);
	assert_true(weight(l, 10) == 1 && weight_without(l, 10, 1) == 0);
}

static void a_clock_that_jumps_leaves_nothing_for_ever(void **state)
{
	struct km_ledger *l = *state;

	reserve(l, 1, 10, 1000 * S);
	km_ledger_expire(l, 999 * S, 2 * S); /* read before, seen after */
	assert_true(weight(l, 10) == 1);
	km_ledger_expire(l, 10 * S, 2 * S); /* back by far */
	assert_true(weight(l, 10) == 0);
	reserve(l, 2, 10, INT64_MAX);
	km_ledger_expire(l, INT64_MIN, INT64_MAX);
	km_ledger_expire(l, INT64_MIN, 0);
	assert_true(weight(l, 10) == 0);
}

static void counters_take_a_pod_in_as_their_window_does(void **state)
{
	static const struct {
		int64_t running_ns, end_ns;
		double unseen;
		const char *why;
	} rows[] = {
		{ NOT_YET, 1000 * S, 1, "does not run" },
		{ NOT_YET, INT64_MAX, 1, "does not run, whatever the time" },
		{ 100 * S, 90 * S, 1, "data from before it ran" },
		{ 100 * S, 100 * S, 1, "just started" },
		{ 100 * S, 115 * S, 0.75, "a quarter of the window has it" },
		{ 100 * S, 160 * S, 0, "all of the window has it" },
		{ 100 * S, 900 * S, 0, "and more" },
		{ INT64_MIN, INT64_MAX, 0, "for ever" },
		{ 0, -5 * S, 1, "negative ages" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct km_ledger_item whole = { .weight = 1,
			                              .running_ns = rows[i].running_ns };
		const struct km_ledger_item part = { .weight = 0.2,
			                             .running_ns = rows[i].running_ns };

		if (fabs(km_ledger_unseen(&whole, rows[i].end_ns, 60) - rows[i].unseen) > 1e-12 ||
		    fabs(km_ledger_unseen(&part, rows[i].end_ns, 60) - 0.2 * rows[i].unseen) >
		            1e-12)
			fail_msg("%s", rows[i].why);
	}
}

static void a_restart_finds_what_was_there(void **state)
{
	struct km_ledger *l = *state;
	struct km_ledger_item item[4];
	struct km_ledger_busy busy;

	km_ledger_bound(l, 1, &web, 10, 500 * S, 100 * S); /* runs for long */
	km_ledger_bound(l, 2, &web, 10, 500 * S, 470 * S); /* within one window */
	km_ledger_bound(l, 3, &web, 10, 500 * S, NOT_YET);
	assert_int_equal(km_ledger_items(l, 10, 0, item, 4, &busy), 3);
	assert_true(km_ledger_unseen(&item[0], 500 * S, 60) == 0);
	assert_true(fabs(km_ledger_unseen(&item[1], 500 * S, 60) - 0.5) < 1e-12);
	assert_true(km_ledger_unseen(&item[2], 500 * S, 60) == 1);
	assert_int_equal(km_ledger_service_count(l, web.service), 2);
	km_ledger_running(l, 3, 510 * S);
	assert_int_equal(km_ledger_service_count(l, web.service), 3);
	km_ledger_running(l, 99, 510 * S); /* nobody's */
	km_ledger_clear(l);
	assert_int_equal(km_ledger_service_count(l, web.service), 0);
	assert_int_equal(stats(l).entries, 0);
}

static void a_digest_is_equal_as_long_as_the_node_is(void **state)
{
	struct km_ledger *l = *state;
	uint64_t a;
	uint64_t b;

	km_ledger_bound(l, 1, &web, 10, 0, NOT_YET);
	a = digest(l, 10, 0);
	reserve(l, 2, 11, 0);                        /* elsewhere */
	km_ledger_bound(l, 1, &web, 10, 5, NOT_YET); /* nothing new */
	assert_true(digest(l, 10, 0) == a);
	km_ledger_running(l, 1, 3);
	b = digest(l, 10, 0);
	assert_true(b != a);
	km_ledger_set_platform(l, 10, 77);
	assert_true(digest(l, 10, 0) != b);
	km_ledger_set_platform(l, 10, 0);
	assert_true(digest(l, 10, 0) == b);
	km_ledger_bound(l, 1, &batch, 10, 6, 3); /* another kind of pod */
	assert_true(digest(l, 10, 0) != b);
}

static void platforms_outlive_entries(void **state)
{
	struct km_ledger *l = *state;
	struct km_ledger_busy busy;

	km_ledger_set_platform(l, 10, 5);
	assert_int_equal(km_ledger_items(l, 10, 0, NULL, 0, &busy), 0);
	assert_true(busy.platform == 5);
	assert_int_equal(km_ledger_busy(l, 0, &busy, 1), 0);
	reserve(l, 1, 10, 0);
	km_ledger_clear(l);
	assert_int_equal(km_ledger_items(l, 10, 0, NULL, 0, &busy), 0);
	assert_true(busy.platform == 5);
	assert_int_equal(km_ledger_items(l, 99, 0, NULL, 0, &busy), 0);
	assert_true(busy.platform == 0);
}

static void nodes_of_a_service_are_told(void **state)
{
	struct km_ledger *l = *state;
	const uint64_t two[] = { 12, 13 };
	uint64_t node[4];
	uint64_t sum = 0;

	km_ledger_bound(l, 1, &web, 10, 0, 0);
	km_ledger_bound(l, 2, &batch, 11, 0, 0);
	km_ledger_reserve(l, 3, &web, two, 2, 0, 0);
	assert_int_equal(km_ledger_service_nodes(l, web.service, node, 4), 3);
	for (int i = 0; i < 3; i++)
		sum += node[i];
	assert_true(sum == 10 + 12 + 13);
	assert_int_equal(km_ledger_service_nodes(l, web.service, NULL, 0), 3);
	assert_int_equal(km_ledger_service_nodes(l, 0, node, 4), 0);
	km_ledger_gone(l, 1);
	km_ledger_gone(l, 3);
	assert_int_equal(km_ledger_service_nodes(l, web.service, node, 4), 0);
}

static void memory_is_bounded_and_the_oldest_goes(void **state)
{
	struct km_ledger *l = *state;
	const uint64_t more = 100;

	for (uint64_t uid = 1; uid <= KM_LEDGER_ENTRIES_MAX + more; uid++)
		km_ledger_bound(l, uid, &web, 10 + uid % 1000, (int64_t)uid, 0);
	assert_int_equal(stats(l).entries, KM_LEDGER_ENTRIES_MAX);
	assert_int_equal(stats(l).evicted, more);
	assert_int_equal(km_ledger_service_count(l, web.service), KM_LEDGER_ENTRIES_MAX);
	km_ledger_gone(l, more); /* gone already */
	assert_int_equal(stats(l).entries, KM_LEDGER_ENTRIES_MAX);
	km_ledger_gone(l, more + 1);
	assert_int_equal(stats(l).entries, KM_LEDGER_ENTRIES_MAX - 1);
}

static void shares_are_bounded_too(void **state)
{
	const uint64_t pods = KM_LEDGER_PLACES_MAX / KM_LEDGER_SHARED_MAX;
	struct km_ledger *l = *state;
	uint64_t node[KM_LEDGER_SHARED_MAX];

	for (uint64_t i = 0; i < KM_LEDGER_SHARED_MAX; i++)
		node[i] = 1 + i;
	for (uint64_t uid = 1; uid <= pods + 10; uid++)
		km_ledger_reserve(l, uid, &web, node, KM_LEDGER_SHARED_MAX, (int64_t)uid, 0);
	assert_int_equal(stats(l).entries, pods);
	assert_int_equal(stats(l).evicted, 10);
}

static void nodes_and_kinds_are_bounded(void **state)
{
	struct km_ledger *l = *state;
	struct km_pod_kind kind = web;
	struct km_ledger_item item;
	struct km_ledger_busy busy;

	for (uint64_t i = 1; i <= KM_LEDGER_NODES_MAX + 5; i++) {
		kind.service = i;
		km_ledger_bound(l, i, &kind, i, 0, 0);
	}
	assert_int_equal(stats(l).nodes, KM_LEDGER_NODES_MAX);
	assert_int_equal(stats(l).kinds, KM_LEDGER_KINDS_MAX - 1);
	assert_int_equal(km_ledger_items(l, 1, 0, &item, 1, &busy), 1);
	assert_true(item.kind.service == 1);
	assert_int_equal(km_ledger_items(l, KM_LEDGER_NODES_MAX, 0, &item, 1, &busy), 1);
	assert_true(item.kind.service == 0 && isnan(item.kind.rps)); /* one of the unknown */
	km_ledger_clear(l);
	assert_int_equal(stats(l).nodes, 0);
	assert_int_equal(stats(l).kinds, 0);
}

#define WITH_LEDGER(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_LEDGER(a_pod_has_one_entry_replaced_by_its_next_call),
		WITH_LEDGER(a_pod_does_not_see_its_own_entry),
		WITH_LEDGER(pods_without_uid_reserve_nothing),
		WITH_LEDGER(ties_share_one_pod),
		WITH_LEDGER(of_many_ties_some_are_drawn_fairly),
		WITH_LEDGER(a_bound_pod_is_where_the_feed_says),
		WITH_LEDGER(only_reservations_expire),
		WITH_LEDGER(a_call_renews_the_reservation),
		WITH_LEDGER(a_clock_that_jumps_leaves_nothing_for_ever),
		WITH_LEDGER(counters_take_a_pod_in_as_their_window_does),
		WITH_LEDGER(a_restart_finds_what_was_there),
		WITH_LEDGER(a_digest_is_equal_as_long_as_the_node_is),
		WITH_LEDGER(platforms_outlive_entries),
		WITH_LEDGER(nodes_of_a_service_are_told),
		WITH_LEDGER(memory_is_bounded_and_the_oldest_goes),
		WITH_LEDGER(shares_are_bounded_too),
		WITH_LEDGER(nodes_and_kinds_are_bounded),
	};

	return cmocka_run_group_tests_name("place ledger", tests, NULL, NULL);
}

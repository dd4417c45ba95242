/* SPDX-License-Identifier: Apache-2.0 */
/* policy: pods that are moved, by rounds of the controller against an API server in memory. */
#include "support/controller_world.h"

static const double calm[] = { 0.2, 0.2, 0.2 };

#define MOVES                                                                                      \
	", \"maxSlowdown\": 1.5, \"mode\": \"Prefer\", \"rebalance\": {\"enabled\": true, "        \
	"\"dryRun\": %s, \"cooldown\": \"5m\"}"

static void open_to_move(struct cluster *k, const char *dry_run)
{
	char spec[256];

	cluster_open(k, 3);
	(void)snprintf(spec, sizeof(spec), MOVES, dry_run);
	set_policy(k, "slo", "web", spec);
	set_pod(k, "web-0", "web", 0, "");
	set_pod(k, "web-1", "web", 1, "");
}

static void a_pod_that_suffers_is_evicted(void **state)
{
	const double harmed[] = { 1.5, 0.2, 0.2 };
	struct cluster k;

	(void)state;
	open_to_move(&k, "false");
	ticks(&k, calm, 70);
	assert_int_equal(asked(&k, "/eviction", ""), 0);
	ticks(&k, harmed, 60);
	assert_int_equal(asked(&k, "/eviction", ""), 0); /* not for a whole window yet */
	ticks(&k, harmed, 10);
	assert_int_equal(asked(&k, "/pods/web-0/eviction", "\"uid\":\"web-0\""), 1);
	assert_int_equal(asked(&k, "/events", "\"Rebalanced\""), 1);
	assert_true(asked(&k, "/status", "\"pod\":\"web-0\",\"fromNode\":\"n0\"") >= 1);
	/* it goes, and its replacement comes up elsewhere */
	remove_pod(&k, "web-0");
	set_pod(&k, "web-2", "web", 2, "");
	ticks(&k, harmed, 600);
	assert_int_equal(asked(&k, "/eviction", ""), 1);
	cluster_close(&k);
}

/* Cooldown and budget of the next leader hang on it: it is told as soon as statuses can be. */
static void a_move_is_told_though_its_write_failed(void **state)
{
	const double harmed[] = { 1.5, 0.2, 0.2 };
	struct cluster k;

	(void)state;
	open_to_move(&k, "false");
	ticks(&k, harmed, 60);
	k.evict_answer = 201;
	k.answer = 500;
	ticks(&k, harmed, 20);
	assert_int_equal(asked(&k, "/eviction", ""), 1);
	assert_true(asked(&k, "/status", "fromNode") >= 1); /* in vain */
	remove_pod(&k, "web-0");
	set_pod(&k, "web-2", "web", 2, "");
	k.answer = 0;
	k.requests = 0;
	ticks(&k, harmed, 30);
	assert_true(asked(&k, "/status", "\"pod\":\"web-0\",\"fromNode\":\"n0\"") >= 1);
	cluster_close(&k);
}

/* The last leader's clock was ahead of ours. */
static void a_move_that_is_still_to_come_was_just_now(void **state)
{
	const double harmed[] = { 1.5, 0.2, 0.2 };
	struct km_view_policy p = { .namespace = name_of("shop"),
		                    .name = name_of("slo"),
		                    .uid = name_of("slo"),
		                    .generation = 1 };
	struct cluster k;

	(void)state;
	cluster_open(&k, 3);
	p.json = name_of("{\"apiVersion\":\"kubemarla.io/v1alpha1\",\"kind\":"
	                 "\"InterferencePolicy\",\"metadata\":{\"name\":\"slo\","
	                 "\"namespace\":\"shop\"},\"spec\":{"
	                 "\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\"maxSlowdown\":1.5,"
	                 "\"mode\":\"Prefer\",\"rebalance\":{\"enabled\":true,\"dryRun\":false,"
	                 "\"cooldown\":\"5m\"}},\"status\":{\"lastRebalance\":{"
	                 "\"time\":\"2038-01-01T00:00:00Z\",\"pod\":\"web-9\",\"fromNode\":"
	                 "\"n0\",\"gainRatio\":0.5,\"dryRun\":false,\"inLastHour\":1}}}");
	assert_int_equal(km_view_set_policy(k.view, &p), 0);
	set_pod(&k, "web-0", "web", 0, "");
	set_pod(&k, "web-1", "web", 1, "");
	ticks(&k, harmed, 295);
	assert_int_equal(asked(&k, "/eviction", ""), 0);
	ticks(&k, harmed, 20);
	assert_int_equal(asked(&k, "/eviction", ""), 1);
	cluster_close(&k);
}

static void a_dry_run_only_tells(void **state)
{
	const double harmed[] = { 1.5, 0.2, 0.2 };
	struct cluster k;

	(void)state;
	open_to_move(&k, "true");
	ticks(&k, harmed, 1000);
	assert_int_equal(asked(&k, "/eviction", ""), 0);
	assert_int_equal(asked(&k, "/events", "\"WouldRebalance\""), 1);
	assert_true(asked(&k, "/status", "\"dryRun\":true") >= 1);
	cluster_close(&k);
}

/* Policies take turns; each comes often enough for its gain to be followed for a window. */
static void of_many_policies_each_has_its_turn(void **state)
{
	const double harmed[] = { 1.5, 0.2, 0.2 };
	struct cluster k;
	char spec[256];
	char name[32];
	char app[16];

	(void)state;
	cluster_open(&k, 3);
	(void)snprintf(spec, sizeof(spec), MOVES, "true");
	for (int i = 0; i < 30; i++) {
		(void)snprintf(app, sizeof(app), "app-%d", i);
		(void)snprintf(name, sizeof(name), "slo-%d", i);
		set_policy(&k, name, app, spec);
		(void)snprintf(name, sizeof(name), "pod-%d-0", i);
		set_pod(&k, name, app, 0, "");
		(void)snprintf(name, sizeof(name), "pod-%d-1", i);
		set_pod(&k, name, app, 1, "");
	}
	ticks(&k, harmed, 600);
	for (int i = 0; i < 30; i++) {
		(void)snprintf(name, sizeof(name), "\"name\":\"pod-%d-0\"", i);
		if (asked(&k, "/events", name) < 1)
			fail_msg("%s is not told", name);
	}
	assert_int_equal(asked(&k, "/events", "\"WouldRebalance\""), 30);
	cluster_close(&k);
}

static void a_disruption_budget_is_kept(void **state)
{
	const double harmed[] = { 1.5, 0.2, 0.2 };
	struct cluster k;

	(void)state;
	open_to_move(&k, "false");
	k.evict_answer = 429;
	ticks(&k, harmed, 300);
	assert_true(asked(&k, "/eviction", "") >= 2 && asked(&k, "/eviction", "") <= 5);
	assert_int_equal(asked(&k, "/events", "\"Rebalanced\""), 0);
	assert_int_equal(asked(&k, "/status", "fromNode"), 0);
	k.evict_answer = 0;
	ticks(&k, harmed, 300);
	assert_int_equal(asked(&k, "/events", "\"Rebalanced\""), 1);
	cluster_close(&k);
}

static void the_last_pod_and_daemons_stay(void **state)
{
	const double harmed[] = { 1.5, 0.2, 0.2 };
	struct cluster k;

	(void)state;
	open_to_move(&k, "false");
	remove_pod(&k, "web-1");
	ticks(&k, harmed, 200);
	assert_int_equal(asked(&k, "/eviction", ""), 0);
	cluster_close(&k);
}

static void a_node_without_room_is_nowhere_to_go(void **state)
{
	const double harmed[] = { 1.5, 0.2, 0.2 };
	struct cluster k;

	(void)state;
	open_to_move(&k, "false");
	for (uint32_t i = 1; i < 3; i++) {
		const struct km_view_node n = { .name = k.w.names[i],
			                        .uid = k.w.names[i],
			                        .cpu_cores = i == 1 ? 1.5 : 8,
			                        .memory_bytes = 16e9,
			                        .ready = true,
			                        .unschedulable = i == 2 };

		assert_int_equal(km_view_set_node(k.view, &n), 0);
	}
	ticks(&k, harmed, 200);
	assert_int_equal(asked(&k, "/eviction", ""), 0);
	cluster_close(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pod_that_suffers_is_evicted),
		cmocka_unit_test(a_move_is_told_though_its_write_failed),
		cmocka_unit_test(a_move_that_is_still_to_come_was_just_now),
		cmocka_unit_test(a_dry_run_only_tells),
		cmocka_unit_test(of_many_policies_each_has_its_turn),
		cmocka_unit_test(a_disruption_budget_is_kept),
		cmocka_unit_test(the_last_pod_and_daemons_stay),
		cmocka_unit_test(a_node_without_room_is_nowhere_to_go),
	};

	return cmocka_run_group_tests_name("policy move", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* cluster: what Kubernetes says, as tables, as a feed and as snapshots. */

#include "km/base/macros.h"

#include "support/view_world.h"

#define MANY_PODS 100000

static void nothing_is_told_of_pods_until_all_was_listed(void **state)
{
	struct view_world w;

	(void)state;
	world_open(&w, NULL);
	set_pod(&w, "a", "1", "n0", 4990 * SECOND);
	wants(&w, "");
	listed_all_but(&w, 1U << KM_VIEW_PODS);
	wants(&w, "");
	km_view_listed(w.view, KM_VIEW_PODS);
	wants(&w, "policies 0\nlive 1\nbound 1 n0 10\n");
	wants(&w, "");
	world_close(&w);
}

static void policies_that_cannot_be_read_keep_nobody_waiting(void **state)
{
	struct view_world w;

	(void)state;
	world_open(&w, NULL);
	set_pod(&w, "a", "1", "n0", -1);
	listed_all_but(&w, 1U << KM_VIEW_POLICIES);
	wants(&w, "");
	km_view_stream(w.view, KM_VIEW_POLICIES, false, "the server could not find it");
	wants(&w, ""); /* it may be a moment's trouble */
	w.mono_ns += 3 * SECOND;
	wants(&w, "policies 0\nlive 1\nbound 1 n0 -\n");
	set_policy(&w, "web", "web", 1);
	km_view_listed(w.view, KM_VIEW_POLICIES);
	wants(&w, "policies 1\nbound 1 n0 -\n");
	world_close(&w);
}

/* What happens to one pod, and what is told of it. */
static void a_pod_s_life_is_told_as_it_goes(void **state)
{
	struct view_world w;

	(void)state;
	world_open(&w, NULL);
	listed_all_but(&w, 0);
	wants(&w, "policies 0\nlive 1\n");
	set_pod(&w, "a", "1", NULL, -1);
	wants(&w, "");
	set_pod(&w, "a", "1", "n0", -1);
	wants(&w, "bound 1 n0 -\n");
	set_pod(&w, "a", "1", "n0", 4999 * SECOND);
	wants(&w, "running 1 1\n");
	w.mono_ns += 5 * SECOND;
	w.wall_ns += 5 * SECOND;
	set_pod(&w, "a", "1", "n0", 5005 * SECOND); /* was unready for a while: it ran on */
	wants(&w, "");
	remove_pod(&w, "a");
	wants(&w, "gone 1\n");
	remove_pod(&w, "a");
	wants(&w, "");
	world_close(&w);
}

static void a_pod_that_ended_is_gone(void **state)
{
	struct km_view_pod p = pod_named("a", "1", "n0", 4999 * SECOND);
	struct view_world w;

	(void)state;
	world_open(&w, NULL);
	listed_all_but(&w, 0);
	assert_int_equal(km_view_set_pod(w.view, &p), 0);
	wants(&w, "policies 0\nlive 1\nbound 1 n0 1\n");
	p.phase = KM_VIEW_ENDED;
	assert_int_equal(km_view_set_pod(w.view, &p), 0);
	wants(&w, "gone 1\n");
	world_close(&w);
}

static void another_pod_of_the_same_name_is_another(void **state)
{
	struct view_world w;

	(void)state;
	world_open(&w, NULL);
	listed_all_but(&w, 0);
	set_pod(&w, "web-0", "1", "n0", 4990 * SECOND);
	wants(&w, "policies 0\nlive 1\nbound 1 n0 10\n");
	remove_pod(&w, "web-0");
	set_pod(&w, "web-0", "2", "n1", -1);
	wants(&w, "gone 1\nbound 2 n1 -\n");
	set_pod(&w, "web-0", "3", NULL, -1); /* its DELETED was missed */
	wants(&w, "gone 2\n");
	world_close(&w);
}

static void a_list_takes_away_what_it_does_not_name(void **state)
{
	struct view_world w;

	(void)state;
	world_open(&w, NULL);
	listed_all_but(&w, 0);
	set_pod(&w, "a", "1", "n0", -1);
	set_pod(&w, "b", "2", "n0", -1);
	set_pod(&w, "c", "3", "n0", -1);
	wants(&w, "policies 0\nlive 1\nbound 3 n0 -\nbound 2 n0 -\nbound 1 n0 -\n");
	km_view_listing(w.view, KM_VIEW_PODS);
	set_pod(&w, "a", "1", "n0", -1);       /* as it was */
	km_view_listing(w.view, KM_VIEW_PODS); /* cut: the list begins anew */
	set_pod(&w, "b", "2", "n0", -1);
	wants(&w, "");
	km_view_listed(w.view, KM_VIEW_PODS);
	wants(&w, "gone 3\ngone 1\n");
	world_close(&w);
}

static void nodes_come_change_and_are_renamed(void **state)
{
	struct km_view_node n = node_named("n0");
	const struct km_name none = { NULL, 0 };
	struct view_world w;

	(void)state;
	world_open(&w, NULL);
	assert_int_equal(km_view_set_node(w.view, &n), 0);
	wants(&w, "node n0 m5\n");
	n.ready = true;
	assert_int_equal(km_view_set_node(w.view, &n), 0);
	wants(&w, "");
	n.platform = name_of("c5");
	assert_int_equal(km_view_set_node(w.view, &n), 0);
	wants(&w, "node n0 c5\n");
	/* a node has a new name after it was registered anew: one goes, one comes */
	km_view_remove(w.view, KM_VIEW_NODES, none, name_of("n0"));
	n.name = name_of("n0-renamed");
	assert_int_equal(km_view_set_node(w.view, &n), 0);
	wants(&w, "node gone n0\nnode n0-renamed c5\n");
	world_close(&w);
}

/* Both are registered anew between two looks of the feed, and take each other's place. */
static void nodes_that_change_places_are_both_there(void **state)
{
	const struct km_view_node a = node_named("n0");
	const struct km_view_node b = node_named("n1");
	const struct km_name none = { NULL, 0 };
	struct view_world w;

	(void)state;
	world_open(&w, NULL);
	assert_int_equal(km_view_set_node(w.view, &a), 0);
	wants(&w, "node n0 m5\n");
	assert_int_equal(km_view_set_node(w.view, &b), 0);
	wants(&w, "node n1 m5\n");
	km_view_remove(w.view, KM_VIEW_NODES, none, a.name);
	km_view_remove(w.view, KM_VIEW_NODES, none, b.name);
	assert_int_equal(km_view_set_node(w.view, &a), 0);
	assert_int_equal(km_view_set_node(w.view, &b), 0);
	wants(&w, "node gone n1\nnode gone n0\nnode n1 m5\nnode n0 m5\n");
	world_close(&w);
}

static void policies_are_kept_with_what_is_wrong_with_them(void **state)
{
	const struct km_view_snapshot *s;
	const struct km_view_policy *p;
	struct view_world w;
	size_t at = 0;

	(void)state;
	world_open(&w, NULL);
	set_policy(&w, "broken", "bad", 1);
	listed_all_but(&w, 0);
	wants(&w, "policies 0\nlive 1\n");
	s = km_view_get(w.view);
	p = km_view_next_policy(s, &at);
	assert_null(p->policy);
	assert_int_equal(p->error.len, strlen("shop/broken: saw bad, want a policy"));
	assert_memory_equal(p->json.text, "bad", 3);
	assert_null(km_view_next_policy(s, &at));
	set_policy(&w, "broken", "web", 2);
	wants(&w, "policies 1\n");
	assert_null(p->policy); /* the snapshot is of before */
	km_view_put(s);
	set_policy(&w, "broken", "web", 2); /* its status was written */
	wants(&w, "");
	world_close(&w);
}

static void ready_pods_are_counted_by_the_policy_that_holds(void **state)
{
	const struct km_label app = { name_of("app"), name_of("web") };
	struct km_view_pod p = pod_named("a", "1", "n0", 4990 * SECOND);
	struct view_world w;

	(void)state;
	world_open(&w, NULL);
	set_policy(&w, "web", "web", 1);
	p.pod.label = &app;
	p.pod.label_count = 1;
	assert_int_equal(km_view_set_pod(w.view, &p), 0);
	set_pod(&w, "other", "9", "n0", 4990 * SECOND);
	listed_all_but(&w, 0);
	wants(&w, "policies 1\nlive 1\nbound 9 n0 10\nbound 1 n0 10\nready web 1\n");
	p.pod.name = name_of("b");
	p.pod.uid = name_of("2");
	assert_int_equal(km_view_set_pod(w.view, &p), 0);
	wants(&w, "bound 2 n0 10\nready web 2\n");
	p.ready = false;
	assert_int_equal(km_view_set_pod(w.view, &p), 0);
	wants(&w, "ready web 1\n");
	p.ready = true;
	p.deleting = true;
	assert_int_equal(km_view_set_pod(w.view, &p), 0);
	wants(&w, "");
	remove_pod(&w, "a");
	wants(&w, "gone 1\nready web 0\n");
	world_close(&w);
}

static void trust_is_the_namespace_s(void **state)
{
	struct km_view_namespace ns = { .name = name_of("shop"), .trusted = true };
	struct view_world w;

	(void)state;
	world_open(&w, NULL);
	set_policy(&w, "web", "web", 1);
	set_pod(&w, "a", "1", "n0", -1);
	listed_all_but(&w, 0);
	wants(&w, "policies 1\nlive 1\nbound 1 n0 -\n");
	assert_int_equal(km_view_set_namespace(w.view, &ns), 0);
	wants(&w, "policies 1\nbound 1 n0 -\n");
	assert_int_equal(km_view_set_namespace(w.view, &ns), 0);
	wants(&w, "");
	world_close(&w);
}

static void a_clock_that_jumps_moves_no_pod(void **state)
{
	static const struct {
		int64_t wall_ns;    /* ours */
		int64_t running_ns; /* what the pod says */
		const char *want;
	} rows[] = {
		{ 5000 * SECOND, 4000 * SECOND, "bound 1 n0 1000\n" },
		{ 5000 * SECOND, 6000 * SECOND, "bound 1 n0 0\n" }, /* it is ahead of us */
		{ 5000 * SECOND, 0, "bound 1 n0 0\n" },             /* it does not say */
		{ -5000 * SECOND, 10, "bound 1 n0 0\n" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct view_world w;

		world_open(&w, NULL);
		listed_all_but(&w, 0);
		wants(&w, "policies 0\nlive 1\n");
		w.wall_ns = rows[i].wall_ns;
		set_pod(&w, "a", "1", "n0", rows[i].running_ns);
		wants(&w, rows[i].want);
		w.wall_ns += 86400 * SECOND;
		set_pod(&w, "a", "1", "n0", rows[i].running_ns);
		wants(&w, "");
		world_close(&w);
	}
}

static void a_pod_that_never_comes_to_run_is_on_its_way_no_more(void **state)
{
	struct view_world w;

	(void)state;
	world_open(&w, NULL);
	listed_all_but(&w, 0);
	set_pod(&w, "a", "1", "n0", -1);
	set_pod(&w, "b", "2", "n0", -1);
	set_pod(&w, "c", "3", "n0", 4990 * SECOND);
	wants(&w, "policies 0\nlive 1\nbound 3 n0 10\nbound 2 n0 -\nbound 1 n0 -\n");
	w.mono_ns += 599 * SECOND;
	wants(&w, "");
	w.mono_ns += 61 * SECOND;
	wants(&w, "gone 1\ngone 2\n");
	wants(&w, "");
	/* another policy does not bring it back */
	set_policy(&w, "web", "web", 1);
	wants(&w, "policies 1\nbound 3 n0 670\n");
	/* but running does, and another pod of its name is another */
	w.wall_ns = 6000 * SECOND;
	set_pod(&w, "a", "1", "n0", 5999 * SECOND);
	wants(&w, "bound 1 n0 1\n");
	set_pod(&w, "b", "4", "n1", -1);
	wants(&w, "bound 4 n1 -\n");
	remove_pod(&w, "a");
	wants(&w, "gone 1\n");
	remove_pod(&w, "b");
	wants(&w, "gone 4\n");
	world_close(&w);
}

static void a_stream_lost_for_long_is_told_and_so_is_its_return(void **state)
{
	struct km_view_health h;
	struct view_world w;

	(void)state;
	world_open(&w, NULL);
	listed_all_but(&w, 0);
	wants(&w, "policies 0\nlive 1\n");
	km_view_stream(w.view, KM_VIEW_PODS, false, "connection refused");
	wants(&w, "");
	w.mono_ns += 29 * SECOND;
	wants(&w, "");
	w.mono_ns += 2 * SECOND;
	wants(&w, "late 1\n");
	km_view_health(w.view, &h);
	assert_true(h.late && h.feeding);
	assert_string_equal(h.kind[KM_VIEW_PODS].why, "connection refused");
	assert_true(h.kind[KM_VIEW_PODS].lost_s > 30 && isnan(h.kind[KM_VIEW_NODES].lost_s));
	km_view_stream(w.view, KM_VIEW_PODS, true, NULL);
	wants(&w, "late 0\n");
	world_close(&w);
}

static void snapshots_stay_as_they_were(void **state)
{
	const struct km_view_snapshot *before;
	const struct km_view_snapshot *after;
	const struct km_view_pod *p;
	struct view_world w;
	size_t at = 0;

	(void)state;
	world_open(&w, NULL);
	before = km_view_get(w.view);
	assert_int_equal(km_view_count(before, KM_VIEW_PODS), 0);
	assert_null(km_view_next_pod(before, &at));
	assert_false(km_view_synced(before));
	km_view_put(before);
	for (int i = 0; i < 200; i++) {
		char text[16];

		(void)snprintf(text, sizeof(text), "pod-%d", i);
		set_pod(&w, text, text, "n0", -1);
	}
	before = km_view_get(w.view);
	km_view_listing(w.view, KM_VIEW_PODS); /* of no pods */
	listed_all_but(&w, 0);
	after = km_view_get(w.view);
	assert_true(km_view_generation(after) > km_view_generation(before));
	assert_int_equal(km_view_count(after, KM_VIEW_PODS), 0);
	assert_true(km_view_synced(after));
	assert_int_equal(km_view_count(before, KM_VIEW_PODS), 200);
	for (int i = 0; i < 200; i++) {
		p = km_view_next_pod(before, &at);
		assert_memory_equal(p->pod.name.text, "pod-", 4);
		assert_memory_equal(p->node.text, "n0", 2);
	}
	assert_null(km_view_next_pod(before, &at));
	km_view_put(before);
	km_view_put(after);
	km_view_put(NULL);
	world_close(&w);
}

static void hundred_thousand_pods_come_change_and_go(void **state)
{
	struct km_view_health h;
	struct view_world w;

	(void)state;
	world_open(&w, NULL);
	listed_all_but(&w, 0);
	km_view_step(w.view);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY_PODS; i++) {
			char text[24];

			(void)snprintf(text, sizeof(text), "pod-%d", (i * 7919) % MANY_PODS);
			if (round < 2)
				set_pod(&w, text, text, round == 0 ? NULL : "n0", -1);
			else
				remove_pod(&w, text);
		}
		km_buf_clear(&w.told);
		km_view_step(w.view);
		km_view_health(w.view, &h);
		assert_int_equal(h.kind[KM_VIEW_PODS].objects, round < 2 ? MANY_PODS : 0);
	}
	assert_int_equal(memcmp(km_buf_cstr(&w.told), "gone", 4), 0);
	world_close(&w);
}

/* Seen from its thread: the very calls that km_view_step makes. */
static void the_thread_feeds_by_itself(void **state)
{
	const int64_t deadline_ns = km_clock_mono_ns(km_clock_system()) + 20 * SECOND;
	struct km_view_health h = { .feeding = false };
	struct view_world w;

	(void)state;
	world_open(&w, NULL);
	assert_int_equal(km_view_start(w.view, NULL), 0);
	set_pod(&w, "a", "1", "n0", -1);
	listed_all_but(&w, 0);
	while (!h.feeding && km_clock_mono_ns(km_clock_system()) < deadline_ns)
		km_view_health(w.view, &h);
	assert_true(h.feeding);
	km_view_stop(w.view);
	km_view_stop(w.view);
	wants(&w, "policies 0\nlive 1\nbound 1 n0 -\n");
	world_close(&w);
	km_view_stop(NULL);
	km_view_free(NULL);
}

static void metrics_show_what_is_kept(void **state)
{
	struct km_metrics *metrics;
	struct view_world w;
	struct km_buf text;

	(void)state;
	km_buf_init(&text);
	assert_int_equal(km_metrics_create(&metrics, NULL), 0);
	world_open(&w, metrics);
	set_pod(&w, "a", "1", "n0", -1);
	assert_int_equal(km_metrics_expose(metrics, &text), 0);
	assert_non_null(strstr(km_buf_cstr(&text), "kubemarla_view_objects{kind=\"pods\"} 1\n"));
	assert_non_null(strstr(km_buf_cstr(&text), "kubemarla_view_feeding 0\n"));
	world_close(&w);
	km_metrics_free(metrics);
	km_buf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_told_of_pods_until_all_was_listed),
		cmocka_unit_test(policies_that_cannot_be_read_keep_nobody_waiting),
		cmocka_unit_test(a_pod_s_life_is_told_as_it_goes),
		cmocka_unit_test(a_pod_that_ended_is_gone),
		cmocka_unit_test(another_pod_of_the_same_name_is_another),
		cmocka_unit_test(a_list_takes_away_what_it_does_not_name),
		cmocka_unit_test(nodes_come_change_and_are_renamed),
		cmocka_unit_test(nodes_that_change_places_are_both_there),
		cmocka_unit_test(policies_are_kept_with_what_is_wrong_with_them),
		cmocka_unit_test(ready_pods_are_counted_by_the_policy_that_holds),
		cmocka_unit_test(trust_is_the_namespace_s),
		cmocka_unit_test(a_clock_that_jumps_moves_no_pod),
		cmocka_unit_test(a_pod_that_never_comes_to_run_is_on_its_way_no_more),
		cmocka_unit_test(a_stream_lost_for_long_is_told_and_so_is_its_return),
		cmocka_unit_test(snapshots_stay_as_they_were),
		cmocka_unit_test(hundred_thousand_pods_come_change_and_go),
		cmocka_unit_test(the_thread_feeds_by_itself),
		cmocka_unit_test(metrics_show_what_is_kept),
	};

	return cmocka_run_group_tests_name("cluster_view", tests, NULL, NULL);
}

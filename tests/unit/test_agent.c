/* SPDX-License-Identifier: Apache-2.0 */
/* The sampler by hand, on a fake clock: layout, publishing, absence, change of schema. */
#include "km/base/log.h"

#include "support/agent_world.h"

static void each_replay_is_a_host_and_the_rest_is_this_machine(void **state)
{
	struct world w;
	struct km_agent_host h;

	(void)state;
	world_init(&w);
	write_trace(&w, "a.csv", 4, 3, 5);
	write_trace(&w, "b.csv", 4, 3, 5);
	add_node(&w, "mine", NULL);
	add_node(&w, "b1", "0-1");
	add_node(&w, "b2", "2-3");
	add_node(&w, "a", "0-1"); /* the same numbers on another host */
	add_source(&w, "replay", "a.csv", "a", NULL);
	add_source(&w, "pcm", NULL, NULL, NULL);
	add_source(&w, "replay", "b.csv", "b2", "b1");
	create(&w);
	assert_int_equal(km_agent_host_count(w.agent), 3);
	km_agent_host(w.agent, 0, &h);
	assert_int_equal(h.node_count, 1);
	assert_string_equal(h.node[0]->name, "a");
	assert_string_equal(h.source, "replay");
	km_agent_host(w.agent, 1, &h);
	assert_int_equal(h.node_count, 2);
	assert_string_equal(h.node[0]->name, "b2");
	assert_string_equal(h.node[1]->name, "b1");
	km_agent_host(w.agent, 2, &h);
	assert_int_equal(h.node_count, 1);
	assert_string_equal(h.node[0]->name, "mine");
	assert_string_equal(h.source, "pcm");
	world_fini(&w);
}

static void a_layout_that_cannot_be_is_refused(void **state)
{
	static const struct {
		const char *node[2], *cpus[2];
		const char *claim1, *claim2;
		bool second_replay;
		const char *in_error;
	} rows[] = {
		{ { "a", "b" }, { "0-1", "1-2" }, "a", "b", false, "share CPUs" },
		{ { "a", "b" }, { NULL, "1-2" }, "a", "b", false, "share CPUs" },
		{ { "a", "b" }, { "0", "1" }, "a", "c", false, "node c is not among the nodes" },
		{ { "a", "b" }, { "0", "1" }, "a", NULL, true, "node a has a trace already" },
	};
	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct world w;
		struct km_err err = { 0 };

		world_init(&w);
		add_node(&w, rows[i].node[0], rows[i].cpus[0]);
		add_node(&w, rows[i].node[1], rows[i].cpus[1]);
		add_source(&w, "replay", "a.csv", rows[i].claim1, rows[i].claim2);
		if (rows[i].second_replay) {
			add_source(&w, "replay", "b.csv", rows[i].claim1, NULL);
		}
		assert_int_equal(km_agent_create(&w.settings, w.schema, &w.clock, NULL,
		                                 (struct km_agent_sink){ on_publish, &w }, &w.agent,
		                                 &err),
		                 -EINVAL);
		assert_null(w.agent);
		if (strstr(err.text, rows[i].in_error) == NULL) {
			fail_msg("\"%s\" lacks \"%s\"", err.text, rows[i].in_error);
		}
		world_fini(&w);
	}
}

static void the_first_tick_tells_of_every_host(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	write_trace(&w, "a.csv", 4, 20, 5);
	add_node(&w, "a", NULL);
	add_node(&w, "mine", NULL);
	add_source(&w, "replay", "a.csv", "a", NULL);
	create(&w);
	km_agent_tick(w.agent);
	assert_int_equal(w.published, 2);
	/* the replayed host has its first row at once, which is a whole bin here */
	assert_int_equal(w.last[0]->version, 1);
	assert_true(w.last[0]->measured_mono_ns == w.now_ns);
	assert_true(w.last[0]->measured_wall_ns == w.now_ns + 1000 * KM_NS_PER_S);
	assert_int_equal(w.last[0]->tier, KM_TIER_UNCORE);
	assert_true(fabs(km_host_features_row(w.last[0], 0)[0] - 0.065) < 1e-9);
	/* this machine has no live source in this build */
	assert_int_equal(w.last[1]->version, 0);
	assert_int_equal(w.last[1]->measured_mono_ns, 0);
	assert_int_equal(w.last[1]->tier, KM_TIER_NONE);
	assert_true(isnan(km_host_features_row(w.last[1], 0)[0]));
	world_fini(&w);
}

static void only_what_changed_is_published(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	write_trace(&w, "a.csv", 4, 20, 5);
	write_trace(&w, "b.csv", 2, 3, 5);
	add_node(&w, "a", "0-2");
	add_node(&w, "b", NULL);
	add_source(&w, "replay", "a.csv", "a", NULL);
	add_source(&w, "replay", "b.csv", "b", NULL);
	create(&w);
	km_agent_tick(w.agent);
	assert_int_equal(w.published, 2);
	assert_int_equal(w.last[0]->outside_cpus, 1);
	for (int i = 0; i < 4; i++) {
		tick_after(&w, 1);
	}
	assert_int_equal(w.published, 2); /* no row is due */
	tick_after(&w, 1);
	assert_int_equal(w.published, 4); /* both had one at 5 s */
	tick_after(&w, 5);
	assert_int_equal(w.published, 5); /* b's trace is over */
	assert_int_equal(w.last[0]->version, 3);
	assert_int_equal(w.last[1]->version, 2);
	assert_true(w.now_ns - w.last[1]->measured_mono_ns == 5 * KM_NS_PER_S);
	world_fini(&w);
}

static void an_absent_source_says_why_and_is_tried_again(void **state)
{
	struct world w;
	struct km_agent_source_status st[2];

	(void)state;
	world_init(&w);
	add_node(&w, "a", NULL);
	add_node(&w, "mine", NULL);
	add_source(&w, "replay", "late.csv", "a", NULL);
	add_source(&w, "abacus", NULL, NULL, NULL);
	create(&w);
	km_agent_tick(w.agent);
	assert_int_equal(km_agent_sources(w.agent, st, 2), 2);
	assert_int_equal(st[0].state, -ENOENT);
	assert_non_null(strstr(st[0].detail, "late.csv"));
	assert_int_equal(st[1].state, -ENOTSUP);
	assert_non_null(strstr(st[1].detail, "not in this build"));
	write_trace(&w, "late.csv", 2, 3, 5);
	tick_after(&w, 0.5); /* too early: the back-off is 1 s */
	assert_int_equal(w.last[0]->version, 0);
	tick_after(&w, 0.6);
	assert_int_equal(w.last[0]->version, 1);
	km_agent_sources(w.agent, st, 2);
	assert_int_equal(st[0].state, KM_SOURCE_LIVE);
	assert_int_equal(st[0].stats.rows, 1);
	tick_after(&w, 60);
	km_agent_sources(w.agent, st, 1);
	assert_int_equal(st[0].state, KM_SOURCE_ENDED);
	assert_int_equal(st[0].stats.rows, 2);
	world_fini(&w);
}

/* A route writes it out while a reload ends the agent it is of, and frees those settings. */
static void a_status_outlives_its_agent_and_settings(void **state)
{
	struct km_agent_source_status st;
	struct world w;

	(void)state;
	world_init(&w);
	add_node(&w, "mine", NULL);
	add_source(&w, "abacus", NULL, NULL, NULL);
	create(&w);
	assert_int_equal(km_agent_sources(w.agent, &st, 1), 1);
	km_agent_free(w.agent);
	w.agent = NULL;
	memset(w.settings.collect.source[0].kind, 'x', 4);
	assert_string_equal(st.source, "abacus");
	world_fini(&w);
}

static void another_schema_starts_the_windows_anew(void **state)
{
	struct world w;
	struct km_schema *other = schema_of("node.c0_ratio.p95");
	struct km_schema *equal = schema_of("node.c0_ratio.p95");

	(void)state;
	world_init(&w);
	write_trace(&w, "a.csv", 4, 20, 5);
	add_node(&w, "a", NULL);
	add_source(&w, "replay", "a.csv", "a", NULL);
	create(&w);
	km_agent_tick(w.agent);
	tick_after(&w, 5);
	assert_int_equal(w.last[0]->version, 2);
	assert_int_equal(km_agent_set_schema(w.agent, other), 0);
	tick_after(&w, 1); /* no row is due: empty windows */
	assert_ptr_equal(w.last[0]->schema, other);
	assert_int_equal(w.last[0]->version, 0);
	assert_int_equal(w.last[0]->measured_mono_ns, 0);
	tick_after(&w, 4);
	assert_int_equal(w.last[0]->version, 3); /* no version comes twice */
	assert_true(w.last[0]->covered_s == 5);
	/* the same features again, as after a reload of the same model: nothing is lost */
	assert_int_equal(km_agent_set_schema(w.agent, equal), 0);
	tick_after(&w, 1);
	assert_ptr_equal(w.last[0]->schema, equal);
	assert_int_equal(w.last[0]->version, 3);
	assert_true(w.last[0]->covered_s == 5);
	km_schema_unref(other);
	km_schema_unref(equal);
	world_fini(&w);
}

static void hosts_of_many_small_nodes_work(void **state)
{
	struct km_replay_settings *replay;
	struct world w;
	char name[32];
	char cpu[16];

	(void)state;
	world_init(&w);
	write_trace(&w, "a.csv", 128, 4, 1);
	for (int i = 0; i < 128; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		(void)snprintf(cpu, sizeof(cpu), "%d", i);
		add_node(&w, name, cpu);
	}
	add_source(&w, "replay", "a.csv", "n0", NULL);
	replay = &w.settings.collect.source[0].replay;
	free(replay->node);
	replay->node = calloc(128, sizeof(*replay->node));
	replay->node_count = 128;
	for (size_t i = 0; i < 128; i++) {
		(void)snprintf(replay->node[i], KM_NODE_NAME_MAX, "n%zu", i);
	}
	create(&w);
	km_agent_tick(w.agent);
	assert_int_equal(w.last[0]->node_count, 128);
	assert_int_equal(w.last[0]->outside_cpus, 0);
	for (uint32_t i = 0; i < 128; i++) {
		assert_true(fabs(km_host_features_row(w.last[0], i)[0] - (1 + i % 90) / 100.0) <
		            1e-9);
	}
	world_fini(&w);
}

static void what_the_agent_did_is_counted(void **state)
{
	struct world w;
	struct km_buf text;

	(void)state;
	world_init(&w);
	write_trace(&w, "a.csv", 2, 4, 5);
	add_node(&w, "a", NULL);
	add_source(&w, "replay", "a.csv", "a", NULL);
	create(&w);
	for (int i = 0; i < 30; i++) {
		tick_after(&w, 1);
	}
	km_buf_init(&text);
	assert_int_equal(km_metrics_check(w.metrics, NULL), 0);
	assert_int_equal(km_metrics_expose(w.metrics, &text), 0);
	assert_non_null(
		strstr(km_buf_cstr(&text), "kubemarla_agent_samples_total{source=\"replay\"} 3\n"));
	assert_non_null(strstr(km_buf_cstr(&text), "kubemarla_agent_sources{state=\"ended\"} 1\n"));
	assert_non_null(strstr(km_buf_cstr(&text), "kubemarla_agent_tick_seconds_count 30\n"));
	km_buf_fini(&text);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_replay_is_a_host_and_the_rest_is_this_machine),
		cmocka_unit_test(a_layout_that_cannot_be_is_refused),
		cmocka_unit_test(the_first_tick_tells_of_every_host),
		cmocka_unit_test(only_what_changed_is_published),
		cmocka_unit_test(an_absent_source_says_why_and_is_tried_again),
		cmocka_unit_test(a_status_outlives_its_agent_and_settings),
		cmocka_unit_test(another_schema_starts_the_windows_anew),
		cmocka_unit_test(hosts_of_many_small_nodes_work),
		cmocka_unit_test(what_the_agent_did_is_counted),
	};

	km_log_set_level(KM_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

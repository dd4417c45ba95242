/* SPDX-License-Identifier: Apache-2.0 */
/* cluster: what many agents say, joined into one picture. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/buf.h"
#include "km/base/macros.h"
#include "km/cluster/gather.h"

#define SECOND    KM_NS_PER_S
#define MAX_AGE_S 15

struct world {
	int64_t now_ns;
	struct km_clock clock;
	struct km_schema *schema;
	struct km_cluster *cluster;
	struct km_gather *gather;
	struct km_metrics *metrics;
};

static int64_t world_now(void *ctx)
{
	return ((struct world *)ctx)->now_ns;
}

static struct km_name name_of(const char *text)
{
	return (struct km_name){ text, (uint32_t)strlen(text) };
}

static void open_world(struct world *w)
{
	const char *names[] = { "node.ipc.mean", "pod.rps" };

	*w = (struct world){ .now_ns = 1000 * SECOND };
	w->clock = (struct km_clock){ world_now, world_now, w };
	assert_int_equal(km_schema_create(names, 2, 60, 5, &w->schema, NULL), 0);
	assert_int_equal(km_cluster_create(NULL, 0, &w->cluster, NULL), 0);
	assert_int_equal(km_metrics_create(&w->metrics, NULL), 0);
	assert_int_equal(
		km_gather_create(&(struct km_gather_options){ .clock = &w->clock,
	                                                      .metrics = w->metrics,
	                                                      .cluster = w->cluster,
	                                                      .schema = w->schema,
	                                                      .max_age_ns = MAX_AGE_S * SECOND },
	                         &w->gather, NULL),
		0);
}

static void close_world(struct world *w)
{
	km_gather_free(w->gather);
	km_cluster_free(w->cluster);
	km_metrics_free(w->metrics);
	km_schema_unref(w->schema);
}

/* Agents by key 1, 2, ..., each on the node of that name. */
static void set_agents(struct world *w, const char *const *node, size_t count)
{
	struct km_gather_agent agent[4];

	for (size_t i = 0; i < count; i++)
		agent[i] = (struct km_gather_agent){ .key = i + 1, .node = name_of(node[i]) };
	assert_int_equal(km_gather_set_agents(w->gather, agent, count), 0);
}

/* Agent `key` says: node, tier, IPC; measured age_s before it was asked, now. */
static void says(struct world *w, uint64_t key, const char *node, const char *tier, double ipc,
                 double age_s)
{
	struct km_buf body;

	km_buf_init(&body);
	km_buf_printf(&body,
	              "{\"windowSeconds\":60,\"binSeconds\":5,\"nodes\":[{\"name\":\"%s\","
	              "\"tier\":\"%s\",\"sequence\":1,\"ageSeconds\":%g,\"binAgeSeconds\":%g,"
	              "\"features\":{\"node.ipc.mean\":%g}}]}",
	              node, tier, age_s, age_s + 1, ipc);
	km_gather_answer(w->gather, key, 200, body.data, body.len, w->now_ns, NULL);
	km_buf_fini(&body);
}

static void pass(struct world *w, double seconds)
{
	w->now_ns += (int64_t)(seconds * 1e9);
	km_gather_step(w->gather);
}

/* The node's IPC; -1 = not in the picture, -2 = no data. */
static double ipc_of(struct world *w, const char *node)
{
	const struct km_cluster_snapshot *s = km_cluster_get(w->cluster);
	int64_t at = km_cluster_find(s, node, strlen(node));
	double ipc = -1;

	if (at >= 0) {
		const struct km_host_features *f = s->node[at].features;

		ipc = f != NULL && f->version != 0 ? km_host_features_row(f, s->node[at].row)[0]
		                                   : -2;
	}
	km_cluster_put(s);
	return ipc;
}

static uint64_t version_of(struct world *w, const char *node)
{
	const struct km_cluster_snapshot *s = km_cluster_get(w->cluster);
	uint64_t version = s->node[km_cluster_find(s, node, strlen(node))].features->version;

	km_cluster_put(s);
	return version;
}

static void a_node_is_shown_once_both_say_so(void **state)
{
	const char *const agents[] = { "a", "b" };
	struct world w;

	(void)state;
	open_world(&w);
	set_agents(&w, agents, 2);
	says(&w, 1, "a", "core", 1.5, 0.5); /* before Kubernetes named it */
	pass(&w, 1);
	assert_true(ipc_of(&w, "a") == -1);
	assert_int_equal(km_gather_set_node(w.gather, name_of("a")), 0);
	assert_int_equal(km_gather_set_node(w.gather, name_of("b")), 0);
	/* a name with an end in its middle is none, and keeps nobody else from being shown */
	assert_int_not_equal(km_gather_set_node(w.gather, (struct km_name){ "a\0b", 3 }), 0);
	pass(&w, 1);
	assert_true(ipc_of(&w, "a") == 1.5 && ipc_of(&w, "b") == -2);
	says(&w, 2, "b", "core", 0.5, 0.5);
	says(&w, 9, "b", "core", 0.1, 0.5); /* nobody asked it */
	pass(&w, 1);
	assert_true(ipc_of(&w, "a") == 1.5 && ipc_of(&w, "b") == 0.5);
	km_gather_drop_node(w.gather, name_of("a"));
	pass(&w, 1);
	assert_true(ipc_of(&w, "a") == -1 && ipc_of(&w, "b") == 0.5);
	assert_int_equal(km_gather_set_node(w.gather, name_of("a")), 0);
	pass(&w, 1);
	assert_true(ipc_of(&w, "a") == 1.5 && ipc_of(&w, "b") == 0.5);
	close_world(&w);
}

static void age_is_counted_from_when_we_asked(void **state)
{
	const char *const agents[] = { "a" };
	const struct km_cluster_snapshot *s;
	struct world w;

	(void)state;
	open_world(&w);
	set_agents(&w, agents, 1);
	assert_int_equal(km_gather_set_node(w.gather, name_of("a")), 0);
	says(&w, 1, "a", "core", 1, 3);
	pass(&w, 1);
	s = km_cluster_get(w.cluster);
	assert_true(s->node[0].features->measured_mono_ns == 997 * SECOND);
	assert_true(s->node[0].features->window_end_mono_ns == 996 * SECOND);
	km_cluster_put(s);
	close_world(&w);
}

static void only_another_row_is_another_version(void **state)
{
	const char *const agents[] = { "a", "b" };
	struct world w;
	uint64_t first;

	(void)state;
	open_world(&w);
	set_agents(&w, agents, 2);
	assert_int_equal(km_gather_set_node(w.gather, name_of("a")), 0);
	says(&w, 1, "a", "core", 1, 1);
	pass(&w, 1);
	first = version_of(&w, "a");
	says(&w, 1, "a", "core", 1, 1);
	pass(&w, 1);
	assert_true(version_of(&w, "a") == first);
	says(&w, 1, "a", "core", 1.25, 1);
	pass(&w, 1);
	assert_true(version_of(&w, "a") != first);
	first = version_of(&w, "a");
	pass(&w, 20); /* its data is old by now */
	says(&w, 2, "a", "core", 1.25, 1);
	pass(&w, 1);
	assert_true(ipc_of(&w, "a") == 1.25 && version_of(&w, "a") != first); /* another's row */
	close_world(&w);
}

static void of_two_agents_the_better_holds_and_does_not_flap(void **state)
{
	const char *const agents[] = { "a", "b" };
	struct world w;

	(void)state;
	open_world(&w);
	set_agents(&w, agents, 2);
	assert_int_equal(km_gather_set_node(w.gather, name_of("b")), 0);
	says(&w, 2, "b", "os", 2, 1);
	pass(&w, 1);
	assert_true(ipc_of(&w, "b") == 2);
	/* another measures more: it takes over when that lasted */
	for (int i = 0; i < 3; i++) {
		says(&w, 1, "b", "core", 1, 1);
		says(&w, 2, "b", "os", 2, 1);
		pass(&w, 4);
		assert_true(ipc_of(&w, "b") == 2);
	}
	says(&w, 1, "b", "core", 1, 1);
	pass(&w, 8);
	assert_true(ipc_of(&w, "b") == 1);
	/* it falls silent: the one on the node is taken as soon as its data is too old */
	says(&w, 2, "b", "os", 2, 1);
	pass(&w, 5);
	assert_true(ipc_of(&w, "b") == 1);
	says(&w, 2, "b", "os", 2.5, 1);
	pass(&w, 3);
	assert_true(ipc_of(&w, "b") == 2.5);
	/* it is back, but only now and then */
	for (int i = 0; i < 4; i++) {
		says(&w, 1, "b", "core", 1, 14);
		says(&w, 2, "b", "os", 2.5, 1);
		pass(&w, 6);
		assert_true(ipc_of(&w, "b") == 2.5);
	}
	close_world(&w);
}

static void of_equals_the_agent_on_the_node_holds(void **state)
{
	const char *const agents[] = { "a", "b" };
	struct world w;

	(void)state;
	open_world(&w);
	set_agents(&w, agents, 2);
	assert_int_equal(km_gather_set_node(w.gather, name_of("b")), 0);
	says(&w, 1, "b", "core", 1, 0);
	says(&w, 2, "b", "core", 2, 5);
	pass(&w, 1);
	assert_true(ipc_of(&w, "b") == 2);
	set_agents(&w, agents, 1); /* it is gone: the other holds at once */
	pass(&w, 0);
	assert_true(ipc_of(&w, "b") == 1);
	close_world(&w);
}

static void what_is_gone_ages_and_then_goes(void **state)
{
	const char *const agents[] = { "a" };
	struct km_gather_stats stats;
	struct world w;

	(void)state;
	open_world(&w);
	set_agents(&w, agents, 1);
	assert_int_equal(km_gather_set_node(w.gather, name_of("a")), 0);
	says(&w, 1, "a", "core", 1, 1);
	pass(&w, 1);
	set_agents(&w, agents, 0);
	pass(&w, 100);
	assert_true(ipc_of(&w, "a") == 1); /* stale, and decide knows */
	km_gather_stats(w.gather, &stats);
	assert_int_equal(stats.agents, 0);
	assert_int_equal(stats.with_data, 0);
	pass(&w, 300);
	assert_true(ipc_of(&w, "a") == -2);
	close_world(&w);
}

static void a_node_that_is_named_no_more_has_no_row(void **state)
{
	const char *const agents[] = { "a" };
	struct world w;

	(void)state;
	open_world(&w);
	set_agents(&w, agents, 1);
	assert_int_equal(km_gather_set_node(w.gather, name_of("a")), 0);
	says(&w, 1, "a", "core", 1, 1);
	pass(&w, 1);
	says(&w, 1, "renamed", "core", 1, 1);
	pass(&w, 1);
	assert_true(ipc_of(&w, "a") == -2 && ipc_of(&w, "renamed") == -1);
	for (int i = 0; i < 1000; i++) { /* names that nobody else knows do not add up */
		char text[16];

		(void)snprintf(text, sizeof(text), "x%d", i);
		says(&w, 1, text, "core", 1, 1);
		pass(&w, 0.1);
	}
	assert_true(ipc_of(&w, "a") == -2);
	close_world(&w);
}

static void answers_that_bring_nothing_change_nothing(void **state)
{
	static const char other_bins[] = "{\"windowSeconds\":60,\"binSeconds\":6,\"nodes\":[]}";
	const struct km_err why = { .code = ECONNREFUSED, .text = "no luck" };
	static const struct {
		int status;
		const char *body;
		const char *state;
	} rows[] = {
		{ 0, "", "failing" },
		{ 304, NULL, "answering" }, /* as it said before */
		{ 500, "{}", "failing" },
		{ 200, "", "failing" },
		{ 304, NULL, "failing" }, /* that could not be read */
		{ 200, "{\"nodes\":[1]}", "failing" },
		{ 200, other_bins, "otherWindow" },
		{ 304, NULL, "otherWindow" },
	};
	const char *const agents[] = { "a" };
	struct km_gather_stats s;
	struct km_buf text;
	struct world w;

	(void)state;
	open_world(&w);
	km_buf_init(&text);
	set_agents(&w, agents, 1);
	assert_int_equal(km_gather_set_node(w.gather, name_of("a")), 0);
	km_gather_stats(w.gather, &s);
	assert_int_equal(s.silent, 1);
	says(&w, 1, "a", "core", 1, 1);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		char line[64];

		km_gather_answer(w.gather, 1, rows[i].status, rows[i].body,
		                 rows[i].body != NULL ? strlen(rows[i].body) : 0, w.now_ns, &why);
		pass(&w, 1);
		assert_true(ipc_of(&w, "a") == 1);
		km_buf_clear(&text);
		assert_int_equal(km_metrics_expose(w.metrics, &text), 0);
		(void)snprintf(line, sizeof(line), "kubemarla_peers{state=\"%s\"} 1\n",
		               rows[i].state);
		if (strstr(km_buf_cstr(&text), line) == NULL)
			fail_msg("row %zu: not %s", i, rows[i].state);
	}
	km_buf_fini(&text);
	close_world(&w);
}

/* Rows of hosts as our own agent publishes them: IPC of node n is ipc + n. */
static void publish_local(struct world *w, uint32_t host, uint32_t nodes, double ipc)
{
	struct km_host_features *f = km_host_features_create(w->schema, nodes);

	f->host = host;
	f->version = 7;
	f->tier = KM_TIER_CORE;
	f->measured_mono_ns = w->now_ns;
	for (uint32_t n = 0; n < nodes; n++)
		f->row[(size_t)n * w->schema->count] = ipc + n;
	km_gather_local(w->gather, &f, 1);
	km_host_features_unref(f);
}

static void our_own_agent_s_rows_stand_beside_the_others(void **state)
{
	static const char *const two[] = { "x", "y" };
	static const char *const one[] = { "z" };
	const struct km_cluster_host hosts[] = { { one, 1 }, { two, 2 } };
	const char *const agents[] = { "a" };
	struct world w;

	(void)state;
	open_world(&w);
	assert_int_equal(km_gather_set_local(w.gather, hosts, 2), 0);
	set_agents(&w, agents, 1);
	assert_int_equal(km_gather_set_node(w.gather, name_of("a")), 0);
	assert_int_equal(km_gather_set_node(w.gather, name_of("y")), 0);
	publish_local(&w, 1, 2, 1);
	publish_local(&w, 0, 1, 5);
	publish_local(&w, 2, 1, 9); /* no such host */
	says(&w, 1, "a", "core", 3, 1);
	says(&w, 1, "a", "core", 3, 1);
	pass(&w, 1);
	assert_true(ipc_of(&w, "x") == 1 && ipc_of(&w, "y") == 2 && ipc_of(&w, "z") == 5);
	assert_true(ipc_of(&w, "a") == 3);
	/* a reload: another layout, of which only what Kubernetes has stays */
	assert_int_equal(km_gather_set_local(w.gather, hosts, 1), 0);
	pass(&w, 1);
	assert_true(ipc_of(&w, "x") == -1 && ipc_of(&w, "y") == -2 && ipc_of(&w, "z") == -2);
	publish_local(&w, 1, 2, 1); /* of the old layout */
	publish_local(&w, 0, 1, 4);
	pass(&w, 1);
	assert_true(ipc_of(&w, "y") == -2 && ipc_of(&w, "z") == 4);
	close_world(&w);
}

static void another_schema_is_read_from_the_next_answer_on(void **state)
{
	const char *names[] = { "node.c0_ratio.mean", "node.ipc.mean" };
	const char *const agents[] = { "a" };
	const struct km_cluster_snapshot *s;
	struct km_schema *other;
	struct world w;

	(void)state;
	open_world(&w);
	set_agents(&w, agents, 1);
	assert_int_equal(km_gather_set_node(w.gather, name_of("a")), 0);
	says(&w, 1, "a", "core", 1, 1);
	pass(&w, 1);
	assert_int_equal(km_schema_create(names, 2, 60, 5, &other, NULL), 0);
	km_gather_set_schema(w.gather, other);
	says(&w, 1, "a", "core", 1, 1);
	pass(&w, 1);
	s = km_cluster_get(w.cluster);
	assert_ptr_equal(s->node[0].features->schema, other);
	assert_true(isnan(s->node[0].features->row[0]) && s->node[0].features->row[1] == 1);
	km_cluster_put(s);
	close_world(&w);
	km_schema_unref(other);
}

static void the_thread_publishes_by_itself(void **state)
{
	const char *const agents[] = { "a" };
	struct world w;

	(void)state;
	open_world(&w);
	km_gather_free(w.gather);
	assert_int_equal(
		km_gather_create(&(struct km_gather_options){ .clock = km_clock_system(),
	                                                      .cluster = w.cluster,
	                                                      .schema = w.schema,
	                                                      .max_age_ns = MAX_AGE_S * SECOND },
	                         &w.gather, NULL),
		0);
	assert_int_equal(km_gather_start(w.gather, NULL), 0);
	set_agents(&w, agents, 1);
	assert_int_equal(km_gather_set_node(w.gather, name_of("a")), 0);
	w.now_ns = km_clock_mono_ns(km_clock_system());
	says(&w, 1, "a", "core", 1, 1);
	while (ipc_of(&w, "a") != 1 && km_clock_mono_ns(km_clock_system()) < w.now_ns + 20 * SECOND)
		;
	assert_true(ipc_of(&w, "a") == 1);
	km_gather_stop(w.gather);
	km_gather_stop(NULL);
	km_gather_free(NULL);
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_is_shown_once_both_say_so),
		cmocka_unit_test(age_is_counted_from_when_we_asked),
		cmocka_unit_test(only_another_row_is_another_version),
		cmocka_unit_test(of_two_agents_the_better_holds_and_does_not_flap),
		cmocka_unit_test(of_equals_the_agent_on_the_node_holds),
		cmocka_unit_test(what_is_gone_ages_and_then_goes),
		cmocka_unit_test(a_node_that_is_named_no_more_has_no_row),
		cmocka_unit_test(answers_that_bring_nothing_change_nothing),
		cmocka_unit_test(our_own_agent_s_rows_stand_beside_the_others),
		cmocka_unit_test(another_schema_is_read_from_the_next_answer_on),
		cmocka_unit_test(the_thread_publishes_by_itself),
	};

	return cmocka_run_group_tests_name("cluster gather", tests, NULL, NULL);
}

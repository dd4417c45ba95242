/* SPDX-License-Identifier: Apache-2.0 */
/* The sampler by hand, on a fake clock: layout, publishing, absence, change of schema; and once as
 * the thread it is. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/agent/agent.h"
#include "km/base/log.h"
#include "km/base/macros.h"

#define HOSTS_MAX 70

/* ---- a world: settings, traces in a directory of its own, a clock, and what was published ---- */

struct world {
	char dir[64];
	struct km_settings settings;
	struct km_clock clock;
	int64_t now_ns;
	struct km_schema *schema;
	struct km_agent *agent;
	struct km_metrics *metrics;
	struct km_host_features *last[HOSTS_MAX];
	size_t publish_calls, published;
};

static int64_t fake_mono(void *ctx)
{
	return ((struct world *)ctx)->now_ns;
}

static int64_t fake_wall(void *ctx)
{
	return ((struct world *)ctx)->now_ns + 1000 * KM_NS_PER_S;
}

static void on_publish(void *ctx, struct km_host_features *const *hosts, size_t host_count)
{
	struct world *w = ctx;

	w->publish_calls++;
	w->published += host_count;
	for (size_t i = 0; i < host_count; i++) {
		assert_true(hosts[i]->host < HOSTS_MAX);
		km_host_features_unref(w->last[hosts[i]->host]);
		w->last[hosts[i]->host] = km_host_features_ref(hosts[i]);
	}
}

static struct km_schema *schema_of(const char *first)
{
	const char *names[] = { first, "node.ipc.mean", "host.mem_read_bytes_per_s.mean",
		                "pod.rps" };
	struct km_schema *s;
	struct km_err err = { 0 };

	if (km_schema_create(names, KM_ARRAY_LEN(names), 60, 5, &s, &err) != 0) {
		fail_msg("%s", err.text);
	}
	return s;
}

static void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	strcpy(w->dir, "/tmp/km-test-agent-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->clock = (struct km_clock){ .mono_ns = fake_mono, .wall_ns = fake_wall, .ctx = w };
	w->now_ns = 500 * KM_NS_PER_S;
	w->settings.collect.interval_ns = KM_NS_PER_S;
	w->settings.collect.window_s = 60;
	w->schema = schema_of("node.c0_ratio.mean");
	assert_int_equal(km_metrics_create(&w->metrics, NULL), 0);
}

static void path_of(const struct world *w, const char *file, char *out, size_t out_size)
{
	(void)snprintf(out, out_size, "%s/%s", w->dir, file);
}

/* A trace of 5 s rows and `cpus` cores; core i has IPC 1 + i/10 and is c0_pct + i % 90 percent
 * busy. */
static void write_trace(const struct world *w, const char *file, int cpus, int rows, double c0_pct)
{
	char path[128];
	FILE *f;

	path_of(w, file, path, sizeof(path));
	f = fopen(path, "w");
	assert_non_null(f);
	(void)fprintf(f, "System - Date,System - Time,System - READ,System - WRITE");
	for (int c = 0; c < cpus; c++) {
		(void)fprintf(f,
		              ",Core%d (Socket 0) - IPC,Core%d (Socket 0) - L3MISS,"
		              "Core%d (Socket 0) - L2MISS,Core%d (Socket 0) - C0res%%",
		              c, c, c, c);
	}
	for (int r = 0; r < rows; r++) {
		(void)fprintf(f, "\n2025-01-01,10:%02d:%02d.000,1.00,0.50", r * 5 / 60, r * 5 % 60);
		for (int c = 0; c < cpus; c++) {
			(void)fprintf(f, ",%.2f,0.10,0.50,%.2f", 1 + c / 10.0, c0_pct + c % 90);
		}
	}
	(void)fprintf(f, "\n");
	assert_int_equal(fclose(f), 0);
}

static void add_node(struct world *w, const char *name, const char *cpus)
{
	struct km_settings *s = &w->settings;
	struct km_node_settings *n;

	s->node = reallocarray(s->node, s->node_count + 1, sizeof(*s->node));
	assert_non_null(s->node);
	n = &s->node[s->node_count++];
	memset(n, 0, sizeof(*n));
	(void)snprintf(n->name, sizeof(n->name), "%s", name);
	n->cpus_given = cpus != NULL;
	if (cpus != NULL) {
		assert_int_equal(km_cpuset_parse(cpus, &n->cpus, NULL), 0);
	}
}

static void add_source(struct world *w, const char *kind, const char *file, const char *node1,
                       const char *node2)
{
	struct km_collect_settings *c = &w->settings.collect;
	struct km_source_settings *s;
	char path[128];

	c->source = reallocarray(c->source, c->source_count + 1, sizeof(*c->source));
	assert_non_null(c->source);
	s = &c->source[c->source_count++];
	memset(s, 0, sizeof(*s));
	(void)snprintf(s->kind, sizeof(s->kind), "%s", kind);
	if (file == NULL) {
		return;
	}
	path_of(w, file, path, sizeof(path));
	s->replay.file = strdup(path);
	s->replay.speed = 1;
	s->replay.node = calloc(2, sizeof(*s->replay.node));
	s->replay.node_count = node2 != NULL ? 2 : 1;
	(void)snprintf(s->replay.node[0], KM_NODE_NAME_MAX, "%s", node1);
	if (node2 != NULL) {
		(void)snprintf(s->replay.node[1], KM_NODE_NAME_MAX, "%s", node2);
	}
}

static void create(struct world *w)
{
	struct km_err err = { 0 };

	if (km_agent_create(&w->settings, w->schema, &w->clock, w->metrics,
	                    (struct km_agent_sink){ on_publish, w }, &w->agent, &err) != 0) {
		fail_msg("%s", err.text);
	}
}

static void tick_after(struct world *w, double seconds)
{
	w->now_ns += llround(seconds * 1e9);
	km_agent_tick(w->agent);
}

static void world_fini(struct world *w)
{
	char command[128];

	km_agent_free(w->agent);
	for (size_t i = 0; i < HOSTS_MAX; i++) {
		km_host_features_unref(w->last[i]);
	}
	km_schema_unref(w->schema);
	km_settings_fini(&w->settings);
	km_metrics_free(w->metrics);
	(void)snprintf(command, sizeof(command), "rm -r %s", w->dir);
	assert_int_equal(system(command), 0);
}

/* ---- tests ---- */

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
	add_source(&w, "perf", NULL, NULL, NULL);
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
	struct world w;
	char name[32];
	char cpu[16];

	(void)state;
	world_init(&w);
	write_trace(&w, "a.csv", 128, 4, 1);
	for (int i = 0; i < 128; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		(void)snprintf(cpu, sizeof(cpu), "%d", i % 128);
		add_node(&w, name, cpu);
	}
	add_source(&w, "replay", "a.csv", "n0", NULL);
	free(w.settings.collect.source[0].replay.node);
	w.settings.collect.source[0].replay.node =
		calloc(128, sizeof(*w.settings.collect.source[0].replay.node));
	w.settings.collect.source[0].replay.node_count = 128;
	for (int i = 0; i < 128; i++) {
		(void)snprintf(w.settings.collect.source[0].replay.node[i], KM_NODE_NAME_MAX, "n%d",
		               i);
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

/* ---- the thread ---- */

struct event {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t version;
};

static void on_event(void *ctx, struct km_host_features *const *hosts, size_t host_count)
{
	struct event *e = ctx;

	pthread_mutex_lock(&e->lock);
	for (size_t i = 0; i < host_count; i++) {
		e->version = hosts[i]->version;
	}
	pthread_cond_broadcast(&e->changed);
	pthread_mutex_unlock(&e->lock);
}

static void the_thread_publishes_and_stops_when_told(void **state)
{
	struct world w;
	struct event e = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };
	struct km_agent_source_status st;
	struct km_err err = { 0 };
	struct timespec deadline;
	int ret = 0;

	(void)state;
	world_init(&w);
	write_trace(&w, "a.csv", 4, 20, 5);
	add_node(&w, "a", NULL);
	add_source(&w, "replay", "a.csv", "a", NULL);
	w.settings.collect.source[0].replay.speed = 1000;
	w.settings.collect.interval_ns = KM_NS_PER_MS;
	assert_int_equal(km_agent_create(&w.settings, w.schema, km_clock_system(), w.metrics,
	                                 (struct km_agent_sink){ on_event, &e }, &w.agent, &err),
	                 0);
	assert_int_equal(km_agent_start(w.agent, &err), 0);
	assert_int_equal(clock_gettime(CLOCK_REALTIME, &deadline), 0);
	deadline.tv_sec += 20;
	pthread_mutex_lock(&e.lock);
	while (e.version < 10 && ret == 0) {
		ret = pthread_cond_timedwait(&e.changed, &e.lock, &deadline);
	}
	pthread_mutex_unlock(&e.lock);
	assert_int_equal(ret, 0);
	/* what other threads do meanwhile */
	assert_int_equal(km_agent_set_schema(w.agent, w.schema), 0);
	assert_int_equal(km_agent_sources(w.agent, &st, 1), 1);
	assert_true(st.stats.rows >= 1);
	km_agent_free(w.agent);
	w.agent = NULL;
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
		cmocka_unit_test(another_schema_starts_the_windows_anew),
		cmocka_unit_test(hosts_of_many_small_nodes_work),
		cmocka_unit_test(what_the_agent_did_is_counted),
		cmocka_unit_test(the_thread_publishes_and_stops_when_told),
	};
	km_log_set_level(KM_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

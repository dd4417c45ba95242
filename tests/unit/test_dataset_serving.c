/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training sees what serving sees: the dataset's rows, bit for bit, against those of a replayed
 * trace, through the source and the windows alone, through the agent's ticks, through its thread.
 */
#include <pthread.h>
#include <time.h>

#include "km/base/log.h"
#include "km/core/feature.h"
#include "km/sources/source.h"

#include "decide/decide_internal.h"
#include "support/agent_world.h"
#include "support/dataset_world.h"

/* Every scope and statistic, and every metric that PCM's CSV gives. */
static const char *const names[] = {
	"node.ipc.mean",
	"node.ipc.std",
	"node.ipc.p95",
	"node.ipc.p5",
	"node.ipc.max",
	"node.work_ratio.mean",
	"node.l2_miss_per_s.std",
	"node.l3_miss_per_s.p95",
	"node.l3_per_l2.mean",
	"node.l2_miss_per_active_s.mean",
	"node.l3_miss_per_active_s.max",
	"node.c0_ratio.mean",
	"node.c1_ratio.p5",
	"node.c6_ratio.mean",
	"node.l3_mpki.mean",
	"node.busy_ratio.mean",
	"node_min.ipc.p5",
	"node_max.c0_ratio.mean",
	"node_spread.l2_miss_per_s.std",
	"rest.ipc.mean",
	"rest.c0_ratio.std",
	"peer.ipc.mean",
	"peer.l2_miss_per_s.p95",
	"spare.ipc.mean",
	"spare.c0_ratio.max",
	"node_vs_peer.c0_ratio.mean",
	"node_vs_rest.l2_miss_per_s.mean",
	"node_vs_spare.ipc.mean",
	"host.ipc.mean",
	"host.c0_ratio.p95",
	"host.mem_read_bytes_per_s.mean",
	"host.mem_write_bytes_per_s.std",
	"pod.rps",
	"pod.replicas",
	"pod.rps_now",
	"inflight.cpu",
};
#define NAMES KM_ARRAY_LEN(names)

#define RPS   1000

/* Whole samples after which a window of 60 s is full, the last whole one being held back. */
static const size_t window_ends[] = { 12, 24, 36 };

static void set_up(struct dataset_world *w)
{
	struct dataset_run *r;

	dataset_world_init(w);
	r = dataset_world_run(w, "Alpha_V01", "101", DATASET_LOCAL, RPS);
	/* plain, so that the last row need not be partial */
	(void)snprintf(r->trace, sizeof(r->trace), "traces/run.csv");
	dataset_world_write(w);
}

/* Both unknown, or the same bits. */
static bool same_float(float a, float b)
{
	uint32_t x;
	uint32_t y;

	memcpy(&x, &a, sizeof(x));
	memcpy(&y, &b, sizeof(y));
	return isnan(a) ? isnan(b) : x == y;
}

/* What a decision brings along is the same in both; what a node carries now only training knows. */
static void want_same(const struct km_schema *schema, const double *served, const float *trained,
                      const char *where, size_t window)
{
	const struct km_workload pod = { .rps = RPS, .replicas = 1 };
	float row[NAMES];

	decide_fill_row(schema, served, &pod, NAN, row);
	for (size_t i = 0; i < NAMES; i++) {
		bool now = strcmp(names[i], "pod.rps_now") == 0;

		if (now ? trained[i] != RPS || !isnan(row[i]) : !same_float(row[i], trained[i]))
			fail_msg("%s, window %zu: %s: served %a, trained %a", where, window,
			         names[i], (double)row[i], (double)trained[i]);
	}
}

static void trained_row(const struct km_dataset *d, enum km_layout_kind layout, size_t window,
                        float *out)
{
	size_t count;
	const struct km_dataset_row *row = km_dataset_rows(d, &count);

	assert_int_equal(count, 1);
	assert_int_equal(km_dataset_windows(d, row), KM_ARRAY_LEN(window_ends));
	km_dataset_features(d, row, layout, window, out);
}

static size_t measured(const float *row)
{
	size_t count = 0;

	for (size_t i = 0; i < NAMES; i++)
		count += !isnan(row[i]);
	return count;
}

/* ---- the source and the windows alone ---- */

#define SAMPLES_MAX 64

struct served {
	struct km_features *features;
	size_t count;                   /* samples so far */
	double row[SAMPLES_MAX][NAMES]; /* after each */
};

static void take(void *ctx, const struct km_sample *sample)
{
	struct served *s = ctx;

	assert_true(s->count < SAMPLES_MAX);
	assert_true(km_features_push(s->features, sample) >= 0);
	(void)km_features_read(s->features, 0, s->row[s->count++]);
}

static void replay_all(const char *path, struct served *s)
{
	struct km_source_settings settings = { .kind = "replay" };
	struct km_source_args args = { .settings = &settings };
	struct km_source *source = NULL;
	struct km_err err = { .code = 0 };
	int state;

	settings.replay.file = strdup(path);
	settings.replay.speed = 1;
	if (km_source_open(&args, &source, &err) != 0)
		fail_msg("%s", err.text);
	do { /* a day after it began everything is due */
		state = km_source_read(source, INT64_C(86400) * KM_NS_PER_S, take, s, &err);
	} while (state == KM_SOURCE_LIVE && s->count < DATASET_SAMPLES - 2);
	assert_true(state >= 0);
	km_source_close(source);
	free(settings.replay.file);
}

static void a_view_is_what_source_and_windows_give(void **state)
{
	struct km_cpuset nodes[2] = { 0 };
	static struct served served;
	struct dataset_world w;
	struct km_dataset *d;
	float trained[NAMES];

	(void)state;
	set_up(&w);
	d = dataset_world_open(&w, false, names, NAMES);
	assert_int_equal(km_cpuset_parse("3-5", &nodes[0], NULL), 0);
	assert_int_equal(km_cpuset_parse("0-2", &nodes[1], NULL), 0);
	served = (struct served){ .count = 0 };
	assert_int_equal(km_features_create(km_dataset_schema(d), nodes, 2, &served.features, NULL),
	                 0);
	replay_all(dataset_world_path(&w, "traces/run.csv"), &served);
	assert_int_equal(served.count, DATASET_SAMPLES - 2); /* clock row, partial row */
	for (size_t i = 0; i < KM_ARRAY_LEN(window_ends); i++) {
		trained_row(d, KM_LAYOUT_RECORDED, i, trained);
		/* all but two that PCM's CSV does not give */
		assert_int_equal(measured(trained), NAMES - 2);
		want_same(km_dataset_schema(d), served.row[window_ends[i] - 1], trained, "recorded",
		          i);
	}
	km_features_free(served.features);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

/* ---- the agent ---- */

/* An agent that replays `trace`, a path in the dataset's folder, and has the schema of d. */
static void agent_world_init(struct world *a, const struct dataset_world *w,
                             const struct km_dataset *d)
{
	world_init(a);
	km_schema_unref(a->schema);
	a->schema = km_schema_ref(km_dataset_schema(d));
	assert_true(strncmp(w->dir, "/tmp/", 5) == 0 && strncmp(a->dir, "/tmp/", 5) == 0);
}

static void agent_source(struct world *a, const struct dataset_world *w, const char *trace,
                         const char *node, const char *peer)
{
	char file[64];

	(void)snprintf(file, sizeof(file), "..%.30s/%.30s", w->dir + strlen("/tmp"), trace);
	add_source(a, "replay", file, node, peer);
}

/* Ticks an agent through the trace, one sample a tick, and compares each full window. */
static void want_agent_rows(struct world *a, const struct km_dataset *d, enum km_layout_kind layout)
{
	float trained[NAMES];
	size_t window = 0;

	create(a);
	for (size_t samples = 1; samples <= window_ends[KM_ARRAY_LEN(window_ends) - 1]; samples++) {
		/* the first sample is due at once */
		tick_after(a, samples == 1 ? 0 : DATASET_INTERVAL_S);
		assert_non_null(a->last[0]);
		assert_int_equal(a->last[0]->version, samples);
		if (samples != window_ends[window])
			continue;
		trained_row(d, layout, window, trained);
		want_same(km_dataset_schema(d), km_host_features_row(a->last[0], 0), trained,
		          km_layout_kind_name(layout), window);
		window++;
	}
	assert_int_equal(window, KM_ARRAY_LEN(window_ends));
}

static void the_recorded_layout_is_a_host_of_two_nodes(void **state)
{
	struct dataset_world w;
	struct km_dataset *d;
	struct world a;

	(void)state;
	set_up(&w);
	d = dataset_world_open(&w, false, names, NAMES);
	agent_world_init(&a, &w, d);
	add_node(&a, "target", "3-5");
	add_node(&a, "other", "0-2");
	agent_source(&a, &w, "traces/run.csv", "target", "other");
	want_agent_rows(&a, d, KM_LAYOUT_RECORDED);
	world_fini(&a);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

static void the_layout_of_one_node_has_no_other_and_all_else_to_spare(void **state)
{
	struct dataset_world w;
	struct km_dataset *d;
	struct world a;
	float trained[NAMES];

	(void)state;
	set_up(&w);
	d = dataset_world_open(&w, false, names, NAMES);
	agent_world_init(&a, &w, d);
	add_node(&a, "target", "3-5");
	agent_source(&a, &w, "traces/run.csv", "target", NULL);
	want_agent_rows(&a, d, KM_LAYOUT_ONE_NODE);
	trained_row(d, KM_LAYOUT_ONE_NODE, 0, trained);
	for (size_t i = 0; i < NAMES; i++) {
		bool peer = strncmp(names[i], "peer.", 5) == 0 ||
		            strncmp(names[i], "node_vs_peer.", 13) == 0;

		if (peer)
			assert_true(isnan(trained[i]));
	}
	/* three of peer, and two that PCM's CSV does not give */
	assert_int_equal(measured(trained), NAMES - 5);
	world_fini(&a);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

/* The same machine with no more CPUs than the node's, numbered from 0. */
static void the_layout_alone_is_a_host_that_is_the_node(void **state)
{
	struct dataset_world w;
	struct dataset_run small;
	struct km_dataset *d;
	struct world a;
	float trained[NAMES];

	(void)state;
	set_up(&w);
	d = dataset_world_open(&w, false, names, NAMES);
	small = w.run[0];
	small.first_cpu = 3;
	small.cpus = 3;
	(void)snprintf(small.trace, sizeof(small.trace), "traces/small.csv");
	dataset_world_trace(&w, &small);
	agent_world_init(&a, &w, d);
	add_node(&a, "target", NULL); /* all CPUs there are */
	agent_source(&a, &w, "traces/small.csv", "target", NULL);
	want_agent_rows(&a, d, KM_LAYOUT_ALONE);
	trained_row(d, KM_LAYOUT_ALONE, 0, trained);
	for (size_t i = 0; i < NAMES; i++) {
		if (strncmp(names[i], "rest.", 5) == 0 || strncmp(names[i], "spare.", 6) == 0 ||
		    strncmp(names[i], "node_vs_", 8) == 0)
			assert_true(isnan(trained[i]));
		if (strncmp(names[i], "host.mem_", 9) == 0)
			assert_false(isnan(trained[i]));
	}
	world_fini(&a);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

/* ---- the agent's thread ---- */

struct event {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct km_host_features *last;
};

static void on_event(void *ctx, struct km_host_features *const *hosts, size_t host_count)
{
	struct event *e = ctx;

	(void)host_count;
	pthread_mutex_lock(&e->lock);
	km_host_features_unref(e->last);
	e->last = km_host_features_ref(hosts[0]);
	pthread_cond_broadcast(&e->changed);
	pthread_mutex_unlock(&e->lock);
}

/* A trace that ends with the window's last sample: what is published last is that window. */
static void the_running_agent_serves_what_training_saw(void **state)
{
	struct event e = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL };
	struct timespec deadline;
	struct dataset_world w;
	struct dataset_run cut;
	struct km_dataset *d;
	struct world a;
	struct km_err err = { .code = 0 };
	float trained[NAMES];
	int ret = 0;

	(void)state;
	set_up(&w);
	d = dataset_world_open(&w, false, names, NAMES);
	cut = w.run[0];
	cut.samples = 1 + (int)window_ends[2];
	cut.whole_end = true;
	(void)snprintf(cut.trace, sizeof(cut.trace), "traces/cut.csv");
	dataset_world_trace(&w, &cut);
	agent_world_init(&a, &w, d);
	add_node(&a, "target", "3-5");
	add_node(&a, "other", "0-2");
	agent_source(&a, &w, "traces/cut.csv", "target", "other");
	a.settings.collect.source[0].replay.speed = 1e5;
	a.settings.collect.interval_ns = KM_NS_PER_MS;
	assert_int_equal(km_agent_create(&a.settings, a.schema, km_clock_system(), a.metrics,
	                                 (struct km_agent_sink){ on_event, &e }, &a.agent, &err),
	                 0);
	assert_int_equal(km_agent_start(a.agent, &err), 0);
	assert_int_equal(clock_gettime(CLOCK_REALTIME, &deadline), 0);
	deadline.tv_sec += 60;
	pthread_mutex_lock(&e.lock);
	while ((e.last == NULL || e.last->version < window_ends[2]) && ret == 0)
		ret = pthread_cond_timedwait(&e.changed, &e.lock, &deadline);
	pthread_mutex_unlock(&e.lock);
	assert_int_equal(ret, 0);
	km_agent_free(a.agent);
	a.agent = NULL;
	assert_int_equal(e.last->version, window_ends[2]);
	trained_row(d, KM_LAYOUT_RECORDED, 2, trained);
	want_same(km_dataset_schema(d), km_host_features_row(e.last, 0), trained, "thread", 2);
	km_host_features_unref(e.last);
	world_fini(&a);
	km_dataset_free(d);
	dataset_world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_view_is_what_source_and_windows_give),
		cmocka_unit_test(the_recorded_layout_is_a_host_of_two_nodes),
		cmocka_unit_test(the_layout_of_one_node_has_no_other_and_all_else_to_spare),
		cmocka_unit_test(the_layout_alone_is_a_host_that_is_the_node),
		cmocka_unit_test(the_running_agent_serves_what_training_saw),
	};

	km_log_set_level(KM_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

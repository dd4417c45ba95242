/* SPDX-License-Identifier: Apache-2.0 */
/* The sampler as the thread it is: it publishes, takes orders from others, and stops. */
#include <pthread.h>
#include <time.h>

#include "km/base/log.h"

#include "support/agent_world.h"

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
	/* each tick says how late it began */
	assert_true(km_histogram_count(km_metrics_histogram(
			    w.metrics, "kubemarla_agent_tick_late_seconds", "", km_latency_bounds_s,
			    KM_LATENCY_BOUNDS_COUNT, KM_LABELS_END)) >= 10);
	km_agent_free(w.agent);
	w.agent = NULL;
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_thread_publishes_and_stops_when_told),
	};

	km_log_set_level(KM_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

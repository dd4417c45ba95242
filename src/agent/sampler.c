/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sampler: each tick reads the sources that are there, tries again those that are not, and
 * publishes the hosts whose rows or age changed.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "km/base/log.h"

#include "agent_internal.h"

#define BACKOFF_FIRST_NS (1 * KM_NS_PER_S)
#define BACKOFF_MAX_NS   (60 * KM_NS_PER_S)

static void take_sample(void *ctx, const struct km_sample *sample)
{
	struct agent_host *h = ctx;
	struct km_features_stats before;
	struct km_features_stats after;

	km_features_stats(h->features, &before);
	if (km_features_push(h->features, sample) < 0) {
		return; /* no memory for the windows: nothing was measured */
	}
	km_features_stats(h->features, &after);
	if (after.samples == before.samples) {
		return;
	}
	h->measured_mono_ns = h->tick_mono_ns;
	h->measured_wall_ns = h->tick_wall_ns;
	h->cpu_count = sample->cpu_count;
	h->changed = true;
}

struct live_reading {
	struct km_agent *a;
	struct agent_source *src;
};

static void take_live(void *ctx, const struct km_sample *sample)
{
	const struct live_reading *r = ctx;
	int ret = km_merge_take(r->src->host->merge, r->src->slot, sample, NULL);

	if (ret == -EINVAL) {
		km_counter_add(r->a->implausible_total, 1);
		return;
	}
	r->src->delivered = r->src->delivered || ret == 0;
}

static void set_status(struct km_agent *a, struct agent_source *src, int state, const char *detail)
{
	struct km_agent_source_status *st = &src->status;

	pthread_mutex_lock(&a->lock);
	st->state = state;
	st->stats = src->stats;
	(void)snprintf(st->detail, sizeof(st->detail), "%.*s", (int)sizeof(st->detail) - 1, detail);
	pthread_mutex_unlock(&a->lock);
}

/* What its status says of a source that works. */
static const char *name_of(const struct agent_source *src)
{
	return src->settings->replay.file != NULL ? src->settings->replay.file : src->stats.note;
}

static void source_absent(struct km_agent *a, struct agent_source *src, int64_t now_ns, int code,
                          const struct km_err *err)
{
	km_source_close(src->source);
	src->source = NULL;
	src->delivered = false;
	src->live_ns = 0;
	if (src->host->merge != NULL) {
		km_merge_forget(src->host->merge, src->slot);
	}
	src->backoff_ns = src->backoff_ns == 0 ? BACKOFF_FIRST_NS : 2 * src->backoff_ns;
	if (src->backoff_ns > BACKOFF_MAX_NS) {
		src->backoff_ns = BACKOFF_MAX_NS;
	}
	src->retry_ns = now_ns + src->backoff_ns;
	set_status(a, src, code, err->text);
	km_complain(&src->complaint, now_ns, "agent", "source absent kind=%s reason=\"%s\"",
	            src->settings->kind, err->text);
}

static void count_rows(struct agent_source *src)
{
	struct km_source_stats now;

	km_source_get_stats(src->source, &now);
	km_counter_add(src->samples_total, now.rows - src->stats.rows);
	km_counter_add(src->bad_rows_total, now.bad_rows - src->stats.bad_rows);
	for (unsigned f = 0; f < KM_FAULT_N; f++) {
		km_counter_add(src->fault_total[f], now.fault[f] - src->stats.fault[f]);
	}
	src->stats = now;
}

/* returns whether it is open now. */
static bool open_source(struct km_agent *a, struct agent_source *src, int64_t now_ns)
{
	const struct km_collect_settings *collect = &a->settings->collect;
	bool live = src->host->merge != NULL;
	const struct km_source_args args = {
		.settings = src->settings,
		.live = live ? &collect->live : NULL,
		.node = src->host->node,
		.node_count = src->host->node_count,
		.interval_ns = live ? collect->interval_ns : 0,
		.now_ns = now_ns,
	};
	struct km_err err = { 0 };
	int ret;

	if (now_ns < src->retry_ns) {
		return false;
	}
	ret = km_source_open(&args, &src->source, &err);
	if (ret != 0) {
		source_absent(a, src, now_ns, ret, &err);
		return false;
	}
	memset(&src->stats, 0, sizeof(src->stats));
	src->ended_said = false;
	return true;
}

static int read_samples(struct km_agent *a, struct agent_source *src, int64_t now_ns,
                        struct km_err *err)
{
	struct live_reading reading = { a, src };
	int64_t began_ns;
	int state;

	if (src->host->merge == NULL) {
		return km_source_read(src->source, now_ns, take_sample, src->host, err);
	}
	began_ns = km_clock_mono_ns(a->clock);
	state = km_source_read(src->source, now_ns, take_live, &reading, err);
	km_histogram_observe(src->read_seconds,
	                     (double)(km_clock_mono_ns(a->clock) - began_ns) * 1e-9);
	return state;
}

static void read_source(struct km_agent *a, struct agent_source *src, int64_t now_ns)
{
	struct km_err err = { 0 };
	int state;

	if (src->source == NULL && !open_source(a, src, now_ns)) {
		return;
	}
	state = read_samples(a, src, now_ns, &err);
	count_rows(src);
	if (state < 0) {
		source_absent(a, src, now_ns, state, &err);
		return;
	}
	if (state == KM_SOURCE_STARTING) {
		set_status(a, src, state, name_of(src));
		return;
	}
	src->live_ns = src->live_ns != 0 ? src->live_ns : now_ns;
	/* not at the first good read: what breaks again and again is not started once a second */
	if (now_ns - src->live_ns >= BACKOFF_MAX_NS) {
		src->backoff_ns = 0;
	}
	km_recovered(&src->complaint, "agent", "source back kind=%s detail=\"%s\"",
	             src->settings->kind, name_of(src));
	if (state == KM_SOURCE_ENDED && !src->ended_said) {
		km_log_info("agent", "trace ended file=%s rows=%llu bad=%llu", name_of(src),
		            (unsigned long long)src->stats.rows,
		            (unsigned long long)src->stats.bad_rows);
	}
	src->ended_said = state == KM_SOURCE_ENDED;
	set_status(a, src, state, name_of(src));
}

static void update_metrics(struct km_agent *a, int64_t began_ns)
{
	unsigned up = 0;
	unsigned starting = 0;
	unsigned ended = 0;
	uint64_t implausible = 0;
	uint64_t out_of_order = 0;

	for (size_t i = 0; i < a->source_count; i++) {
		const struct agent_source *src = &a->source[i];

		starting += src->source != NULL && src->live_ns == 0;
		up += src->source != NULL && src->live_ns != 0 && !src->ended_said;
		ended += src->source != NULL && src->ended_said;
		km_gauge_set(src->up, src->delivered);
	}
	km_gauge_set(a->sources_up, up);
	km_gauge_set(a->sources_starting, starting);
	km_gauge_set(a->sources_ended, ended);
	km_gauge_set(a->sources_absent, (double)a->source_count - up - starting - ended);
	for (size_t i = 0; i < a->host_count; i++) {
		struct km_features_stats stats;

		km_features_stats(a->host[i].features, &stats);
		implausible += stats.implausible;
		out_of_order += stats.out_of_order;
	}
	/* a change of schema starts these anew, a counter goes on */
	if (implausible > a->implausible_seen) {
		km_counter_add(a->implausible_total, implausible - a->implausible_seen);
	}
	if (out_of_order > a->out_of_order_seen) {
		km_counter_add(a->out_of_order_total, out_of_order - a->out_of_order_seen);
	}
	a->implausible_seen = implausible;
	a->out_of_order_seen = out_of_order;
	km_histogram_observe(a->tick_seconds,
	                     (double)(km_clock_mono_ns(a->clock) - began_ns) * 1e-9);
}

/* The live set's samples of this tick become one, and the late ones are counted. */
static void merge_live(struct km_agent *a, struct agent_host *h, int64_t now_ns)
{
	const struct km_sample *sample = km_merge_end(h->merge, now_ns);

	for (size_t i = 0; i < a->source_count; i++) {
		struct agent_source *src = &a->source[i];

		if (src->host == h && src->wanted && src->delivered &&
		    km_merge_missed(h->merge, src->slot)) {
			km_counter_add(src->late_total, 1);
		}
	}
	if (sample != NULL) {
		take_sample(h, sample);
	}
}

void km_agent_tick(struct km_agent *a)
{
	int64_t now_ns = km_clock_mono_ns(a->clock);
	int64_t wall_ns = km_clock_wall_ns(a->clock);

	agent_change_schema(a);
	for (size_t i = 0; i < a->host_count; i++) {
		agent_change_nodemap(a, &a->host[i], now_ns);
	}
	for (size_t i = 0; i < a->source_count; i++) {
		a->source[i].host->tick_mono_ns = now_ns;
		a->source[i].host->tick_wall_ns = wall_ns;
		if (a->source[i].wanted) {
			read_source(a, &a->source[i], now_ns);
		}
	}
	for (size_t i = 0; i < a->host_count; i++) {
		if (a->host[i].merge != NULL) {
			merge_live(a, &a->host[i], now_ns);
		}
	}
	agent_publish(a);
	update_metrics(a, now_ns);
}

bool agent_wait_until(struct km_agent *a, int64_t until_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(until_ns / KM_NS_PER_S),
		               .tv_nsec = (long)(until_ns % KM_NS_PER_S) };
	bool go_on;

	pthread_mutex_lock(&a->lock);
	while (!a->stop && pthread_cond_timedwait(&a->wake, &a->lock, &ts) != ETIMEDOUT) {
	}
	go_on = !a->stop;
	pthread_mutex_unlock(&a->lock);
	return go_on;
}

void *agent_sampler(void *agent)
{
	struct km_agent *a = agent;
	int64_t interval_ns = a->settings->collect.interval_ns;
	/* waiting is on the system's clock whatever clock the samples are stamped with */
	int64_t next_ns = km_clock_mono_ns(km_clock_system());

	(void)pthread_setname_np(pthread_self(), "km-sampler");
	agent_prompt();
	do {
		int64_t now_ns = km_clock_mono_ns(km_clock_system());

		km_histogram_observe(a->tick_late_seconds, (double)(now_ns - next_ns) * 1e-9);
		km_agent_tick(a);
		now_ns = km_clock_mono_ns(km_clock_system());
		next_ns += interval_ns;
		if (next_ns <= now_ns) {
			/* late: skip what was missed rather than run after it */
			int64_t missed = (now_ns - next_ns) / interval_ns + 1;

			km_counter_add(a->deadline_misses_total, (uint64_t)missed);
			next_ns += missed * interval_ns;
		}
	} while (agent_wait_until(a, next_ns));
	return NULL;
}

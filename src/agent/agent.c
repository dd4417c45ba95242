/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's life: create, start, change of schema, status, stop. The work is in sampler.c. */
#include "km/agent/agent.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "km/base/log.h"

#include "agent_internal.h"

static void register_source(struct agent_source *src, struct km_metrics *m, const char *kind)
{
	if (src->host->merge == NULL) {
		return;
	}
	src->up = km_metrics_gauge(m, "kubemarla_agent_source_up",
	                           "1 when the live source delivers, 0 when it does not.", "source",
	                           kind, KM_LABELS_END);
	if (!src->wanted) {
		return;
	}
	src->late_total = km_metrics_counter(
		m, "kubemarla_agent_source_late_total",
		"Ticks in which a live source that had delivered before had nothing.", "source",
		kind, KM_LABELS_END);
	src->read_seconds = km_metrics_histogram(
		m, "kubemarla_agent_source_read_seconds", "Time a live source took of a tick.",
		km_latency_bounds_s, KM_LATENCY_BOUNDS_COUNT, "source", kind, KM_LABELS_END);
	for (unsigned f = 0; f < KM_FAULT_N; f++) {
		src->fault_total[f] = km_metrics_counter(
			m, "kubemarla_agent_source_faults_total",
			"Troubles of sources that left counts unmeasured.", "source", kind,
			"reason", km_source_fault_name((enum km_source_fault)f), KM_LABELS_END);
	}
}

static void register_metrics(struct km_agent *a, struct km_metrics *m)
{
	a->deadline_misses_total =
		km_metrics_counter(m, "kubemarla_agent_deadline_misses_total",
	                           "Intervals that passed without a tick.", KM_LABELS_END);
	a->implausible_total =
		km_metrics_counter(m, "kubemarla_agent_samples_dropped_total", "Samples dropped.",
	                           "reason", "implausible", KM_LABELS_END);
	a->out_of_order_total =
		km_metrics_counter(m, "kubemarla_agent_samples_dropped_total", "Samples dropped.",
	                           "reason", "out_of_order", KM_LABELS_END);
	a->sources_up = km_metrics_gauge(m, "kubemarla_agent_sources", "Sources by state.", "state",
	                                 "up", KM_LABELS_END);
	a->sources_starting = km_metrics_gauge(m, "kubemarla_agent_sources", "Sources by state.",
	                                       "state", "starting", KM_LABELS_END);
	a->sources_ended = km_metrics_gauge(m, "kubemarla_agent_sources", "Sources by state.",
	                                    "state", "ended", KM_LABELS_END);
	a->sources_absent = km_metrics_gauge(m, "kubemarla_agent_sources", "Sources by state.",
	                                     "state", "absent", KM_LABELS_END);
	a->tick_seconds = km_metrics_histogram(
		m, "kubemarla_agent_tick_seconds", "Time to read all sources and publish.",
		km_latency_bounds_s, KM_LATENCY_BOUNDS_COUNT, KM_LABELS_END);
	a->tick_late_seconds = km_metrics_histogram(m, "kubemarla_agent_tick_late_seconds",
	                                            "How late ticks began.", km_latency_bounds_s,
	                                            KM_LATENCY_BOUNDS_COUNT, KM_LABELS_END);
	for (size_t i = 0; i < a->source_count; i++) {
		const char *kind = a->source[i].settings->kind;

		a->source[i].samples_total = km_metrics_counter(m, "kubemarla_agent_samples_total",
		                                                "Samples delivered by sources.",
		                                                "source", kind, KM_LABELS_END);
		a->source[i].bad_rows_total =
			km_metrics_counter(m, "kubemarla_agent_bad_rows_total",
		                           "Rows of sources that were unreadable or partial.",
		                           "source", kind, KM_LABELS_END);
		register_source(&a->source[i], m, kind);
	}
}

static int init_lock(struct km_agent *a)
{
	pthread_condattr_t attr;
	int ret;

	ret = pthread_mutex_init(&a->lock, NULL);
	if (ret != 0) {
		return -ret;
	}
	ret = pthread_condattr_init(&attr);
	if (ret == 0) {
		ret = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
		if (ret == 0) {
			ret = pthread_cond_init(&a->wake, &attr);
		}
		(void)pthread_condattr_destroy(&attr);
	}
	if (ret != 0) {
		(void)pthread_mutex_destroy(&a->lock);
	}
	return -ret;
}

static const struct km_preflight_row *preflight_row(const struct km_agent *a,
                                                    const struct agent_source *src)
{
	for (size_t i = 0; i < a->preflight.count; i++) {
		if (&a->preflight.row[i].settings == src->settings) {
			return &a->preflight.row[i];
		}
	}
	return NULL;
}

static void init_status(struct km_agent *a, struct agent_source *src)
{
	const struct km_preflight_row *found = preflight_row(a, src);
	struct km_agent_source_status *st = &src->status;

	(void)snprintf(st->source, sizeof(st->source), "%s", src->settings->kind);
	st->state = -EAGAIN; /* not tried yet */
	if (!src->wanted) {
		st->state = found->result != 0 ? found->result : -EBUSY;
		(void)snprintf(st->detail, sizeof(st->detail), "%.*s", (int)sizeof(st->detail) - 1,
		               found->why);
	}
	if (src->settings->replay.file != NULL) {
		(void)snprintf(st->detail, sizeof(st->detail), "%s", src->settings->replay.file);
	}
}

static int init_hosts(struct km_agent *a, struct km_err *err)
{
	for (size_t i = 0; i < a->host_count; i++) {
		struct agent_host *h = &a->host[i];
		int ret;

		if (h->merge != NULL && agent_nodemap_follows(h) &&
		    agent_nodemap_look(a, h, km_clock_mono_ns(a->clock), h->next_cpus)) {
			memcpy(h->cpus, h->next_cpus, h->node_count * sizeof(h->cpus[0]));
		}
		ret = km_features_create(a->schema, h->cpus, h->node_count, &h->features, err);

		if (ret != 0) {
			return ret;
		}
		h->changed = true; /* the picture learns of the host at the first tick */
	}
	return 0;
}

int km_agent_create(const struct km_settings *settings, const struct km_schema *schema,
                    const struct km_clock *clock, struct km_metrics *metrics,
                    struct km_agent_sink sink, struct km_agent **out, struct km_err *err)
{
	struct km_agent *a;
	int ret;

	*out = NULL;
	if (settings->collect.interval_ns <= 0) {
		return km_err_set(err, EINVAL, "collect.interval: %lld ns, wanted more than 0",
		                  (long long)settings->collect.interval_ns);
	}
	a = calloc(1, sizeof(*a));
	if (a == NULL) {
		return km_err_set(err, ENOMEM, "agent: out of memory");
	}
	ret = init_lock(a);
	if (ret != 0) {
		free(a);
		return km_err_errno(err, -ret, "agent: lock");
	}
	a->settings = settings;
	a->schema = km_schema_ref(schema);
	a->clock = clock;
	a->sink = sink;
	ret = agent_layout(a, err);
	if (ret == 0) {
		ret = init_hosts(a, err);
	}
	if (ret != 0) {
		km_agent_free(a);
		return ret;
	}
	for (size_t i = 0; i < a->source_count; i++) {
		init_status(a, &a->source[i]);
	}
	register_metrics(a, metrics);
	*out = a;
	return 0;
}

static void log_preflight(const struct km_preflight *p)
{
	struct km_buf metrics;

	km_buf_init(&metrics);
	for (size_t i = 0; i < p->count; i++) {
		const struct km_preflight_row *row = &p->row[i];

		km_buf_clear(&metrics);
		km_offer_metrics(&row->offer, &metrics);
		if (row->chosen) {
			km_log_info("agent", "preflight source=%s taken gives=\"%s\" note=\"%s\"",
			            row->ops->name, km_buf_cstr(&metrics), row->offer.note);
		} else {
			km_log_info("agent", "preflight source=%s absent reason=\"%s\"",
			            row->ops->name, row->why);
		}
	}
	if (p->count > 0) {
		km_log_info("agent", "preflight tier=%s", km_tier_name(km_preflight_tier(p)));
	}
	km_buf_fini(&metrics);
}

int km_agent_start(struct km_agent *a, struct km_err *err)
{
	int ret;

	log_preflight(&a->preflight);
	ret = pthread_create(&a->thread, NULL, agent_sampler, a);
	if (ret != 0) {
		return km_err_errno(err, ret, "agent: thread km-sampler");
	}
	a->started = true;
	if (a->preflight.count > 0 && a->settings->collect.probe_interval_ns > 0) {
		a->looking = pthread_create(&a->lookout, NULL, agent_lookout, a) == 0;
		if (!a->looking) {
			km_log_warn("agent",
			            "the set of sources stays as it is reason=\"no thread\"");
		}
	}
	return 0;
}

int km_agent_set_schema(struct km_agent *a, const struct km_schema *schema)
{
	struct km_schema *next = km_schema_ref(schema);
	struct km_schema *unused;

	pthread_mutex_lock(&a->lock);
	unused = a->next_schema;
	a->next_schema = next;
	pthread_mutex_unlock(&a->lock);
	km_schema_unref(unused);
	return 0;
}

size_t km_agent_host_count(const struct km_agent *a)
{
	return a->host_count;
}

void km_agent_host(const struct km_agent *a, size_t host, struct km_agent_host *out)
{
	const struct agent_host *h = &a->host[host];

	out->host = h->index;
	out->node_count = h->node_count;
	out->node = h->node;
	out->source = h->source;
}

size_t km_agent_sources(struct km_agent *a, struct km_agent_source_status *out, size_t max)
{
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < a->source_count && i < max; i++) {
		out[i] = a->source[i].status;
	}
	pthread_mutex_unlock(&a->lock);
	return a->source_count;
}

void km_agent_free(struct km_agent *a)
{
	if (a == NULL) {
		return;
	}
	if (a->started) {
		pthread_mutex_lock(&a->lock);
		a->stop = true;
		pthread_cond_broadcast(&a->wake);
		pthread_mutex_unlock(&a->lock);
		(void)pthread_join(a->thread, NULL); /* fails only for a thread that is not ours */
		if (a->looking) {
			(void)pthread_join(a->lookout, NULL);
		}
	}
	for (size_t i = 0; i < a->source_count; i++) {
		km_gauge_set(a->source[i].up, 0); /* a next agent may have another set */
	}
	agent_layout_free(a);
	km_schema_unref(a->next_schema);
	km_schema_unref(a->schema);
	(void)pthread_cond_destroy(&a->wake);
	(void)pthread_mutex_destroy(&a->lock);
	free(a);
}

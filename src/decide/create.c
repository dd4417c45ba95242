/* SPDX-License-Identifier: Apache-2.0 */
/* Making and freeing a decider, and the metrics it keeps. */
#include <errno.h>
#include <stdlib.h>

#include "decide_internal.h"

static void register_metrics(struct decide_stats *s, struct km_metrics *m)
{
	s->hits = km_metrics_counter(
		m, "kubemarla_prediction_cache_hits_total",
		"Nodes judged by a prediction that was there before the request.", KM_LABELS_END);
	s->misses = km_metrics_counter(
		m, "kubemarla_prediction_cache_misses_total",
		"Nodes judged by a prediction that the request had to wait for.", KM_LABELS_END);
	s->predicted =
		km_metrics_counter(m, "kubemarla_predictions_total",
	                           "Rows given to the model: one per workload, node and feature "
	                           "version.",
	                           KM_LABELS_END);
	s->outside = km_metrics_counter(
		m, "kubemarla_predictions_outside_range_total",
		"Rows given to the model with a feature outside of what it was trained on: the "
		"interval is wider.",
		KM_LABELS_END);
	s->reused = km_metrics_counter(m, "kubemarla_predictions_reused_total",
	                               "Predictions that a new picture left as they were.",
	                               KM_LABELS_END);
	s->failed = km_metrics_counter(m, "kubemarla_predictions_failed_total",
	                               "Rows that the model gave no number for.", KM_LABELS_END);
	s->previous = km_metrics_counter(
		m, "kubemarla_prediction_tables_previous_total",
		"Requests answered from the picture before, while another thread predicted.",
		KM_LABELS_END);
	s->expired = km_metrics_counter(
		m, "kubemarla_prediction_waits_expired_total",
		"Requests answered neutrally because predictions were not there in time.",
		KM_LABELS_END);
	s->evicted = km_metrics_counter(
		m, "kubemarla_prediction_tables_evicted_total",
		"Workloads forgotten for others: more than 64 are asked for.", KM_LABELS_END);
	s->footprints_learned = km_metrics_counter(
		m, "kubemarla_footprint_samples_total",
		"Pods that footprints were learned from: nothing else changed on their node.",
		KM_LABELS_END);
	s->effects_learned = km_metrics_counter(
		m, "kubemarla_effects_observations_total",
		"Observed slowdowns told to the learned effects, by what became of them.", "result",
		"learned", KM_LABELS_END);
	s->effects_dropped = km_metrics_counter(
		m, "kubemarla_effects_observations_total",
		"Observed slowdowns told to the learned effects, by what became of them.", "result",
		"dropped", KM_LABELS_END);
	s->busy_predicted = km_metrics_counter(
		m, "kubemarla_predictions_inflight_total",
		"Rows given to the model for nodes with pods in flight or incumbents.",
		KM_LABELS_END);
	s->bound = km_metrics_counter(
		m, "kubemarla_predictions_monotone_bound_total",
		"Predictions for nodes with pods in flight where fewer of them predicted more: "
		"that was taken.",
		KM_LABELS_END);
	s->harm = km_metrics_counter(
		m, "kubemarla_harm_verdicts_total",
		"Nodes found to be full for the sake of pods that are there: rejected in mode "
		"Enforce.",
		KM_LABELS_END);
	s->unseen_incumbents = km_metrics_counter(
		m, "kubemarla_incumbents_unjudged_total",
		"Protected pods left out because a node has more than 16 kinds of them.",
		KM_LABELS_END);
	s->rescored = km_metrics_counter(
		m, "kubemarla_inflight_rescored_total",
		"Requests scored anew because another pod came to one of their best nodes first.",
		KM_LABELS_END);
	s->conflicts = km_metrics_counter(
		m, "kubemarla_policy_conflicts_total",
		"Pods that several policies match: the most specific one holds, then the first "
		"name.",
		KM_LABELS_END);
	s->build_s =
		km_metrics_histogram(m, "kubemarla_prediction_table_build_seconds",
	                             "Time to bring one workload's table up to date.",
	                             km_latency_bounds_s, KM_LATENCY_BOUNDS_COUNT, KM_LABELS_END);
}

static void one(struct km_metrics_writer *w, enum km_metric_type type, const char *name,
                const char *help, uint64_t value)
{
	km_metrics_family(w, type, name, help);
	km_metrics_sample(w, (double)value, KM_LABELS_END);
}

static void collect_ledger(struct km_metrics_writer *w, void *ctx)
{
	struct km_ledger_stats s;

	km_decide_ledger_stats(ctx, &s);
	km_metrics_family(w, KM_METRIC_GAUGE, "kubemarla_inflight_pods",
	                  "Pods in the in-flight ledger, by state.");
	km_metrics_sample(w, s.entries - s.bound, "state", "reserved", KM_LABELS_END);
	km_metrics_sample(w, s.bound, "state", "bound", KM_LABELS_END);
	one(w, KM_METRIC_GAUGE, "kubemarla_inflight_nodes",
	    "Nodes with a pod in the in-flight ledger.", s.nodes);
	one(w, KM_METRIC_COUNTER, "kubemarla_inflight_reservations_total",
	    "Reservations made by our answers.", s.reserved);
	one(w, KM_METRIC_COUNTER, "kubemarla_inflight_confirmed_total",
	    "Reservations that the pod feed confirmed.", s.confirmed);
	one(w, KM_METRIC_COUNTER, "kubemarla_inflight_expired_total",
	    "Reservations that nothing came of in time.", s.expired);
	one(w, KM_METRIC_COUNTER, "kubemarla_inflight_evicted_total",
	    "Pods forgotten because the ledger was full.", s.evicted);
}

static int init_locks(struct km_decide *d)
{
	pthread_condattr_t attr;
	int rc = pthread_condattr_init(&attr);

	if (rc != 0) {
		return -rc;
	}
	rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (rc == 0) {
		rc = pthread_cond_init(&d->built, &attr);
	}
	(void)pthread_condattr_destroy(&attr);
	if (rc == 0) {
		/* never fail with default attributes */
		(void)pthread_mutex_init(&d->lock, NULL);
		(void)pthread_mutex_init(&d->ledger_lock, NULL);
		(void)pthread_mutex_init(&d->effects_lock, NULL);
		(void)pthread_mutex_init(&d->footprints_lock, NULL);
	}
	return -rc;
}

static void destroy(struct km_decide *d)
{
	km_ledger_free(d->ledger);
	km_footprints_free(d->footprints);
	decide_directory_unref(d->directory);
	decide_context_unref(d->context);
	free(d);
}

int km_decide_create(const struct km_decide_settings *settings, struct km_cluster *cluster,
                     const struct km_clock *clock, struct km_metrics *metrics,
                     struct km_decide **out, struct km_err *err)
{
	struct km_decide *d = calloc(1, sizeof(*d));

	*out = NULL;
	if (d == NULL) {
		return km_err_set(err, ENOMEM, "decide: out of memory");
	}
	d->context = decide_context_create(settings);
	d->ledger = km_ledger_create();
	d->footprints = km_footprints_create();
	if (d->context == NULL || d->ledger == NULL || d->footprints == NULL ||
	    init_locks(d) != 0) {
		destroy(d);
		return km_err_set(err, ENOMEM, "decide: out of memory");
	}
	d->cluster = cluster;
	d->clock = clock;
	d->wait_ns = DECIDE_WAIT_NS;
	register_metrics(&d->stats, metrics);
	if (metrics != NULL) {
		km_metrics_collect(metrics, collect_ledger, d);
	}
	*out = d;
	return 0;
}

void km_decide_free(struct km_decide *d)
{
	if (d == NULL) {
		return;
	}
	decide_drop_tables(d);
	(void)pthread_cond_destroy(&d->built);
	(void)pthread_mutex_destroy(&d->lock);
	(void)pthread_mutex_destroy(&d->ledger_lock);
	(void)pthread_mutex_destroy(&d->effects_lock);
	(void)pthread_mutex_destroy(&d->footprints_lock);
	destroy(d);
}

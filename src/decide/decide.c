/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main path: a request's names to verdicts, by one look into the picture and one into the
 * workload's table for each. What is in the table, and why, is table.c's and state.c's business;
 * which table it is, cache.c's.
 */
#include "km/decide/decide.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "decide_internal.h"

#define NAMES_AT_ONCE 64 /* looked up together; their positions are on the stack */

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
	s->build_s =
		km_metrics_histogram(m, "kubemarla_prediction_table_build_seconds",
	                             "Time to bring one workload's table up to date.",
	                             km_latency_bounds_s, KM_LATENCY_BOUNDS_COUNT, KM_LABELS_END);
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
		(void)pthread_mutex_init(&d->lock, NULL); /* never fails with default attributes */
	}
	return -rc;
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
	if (d->context == NULL || init_locks(d) != 0) {
		decide_context_unref(d->context);
		free(d);
		return km_err_set(err, ENOMEM, "decide: out of memory");
	}
	d->cluster = cluster;
	d->clock = clock;
	d->wait_ns = DECIDE_WAIT_NS;
	register_metrics(&d->stats, metrics);
	*out = d;
	return 0;
}

void km_decide_free(struct km_decide *d)
{
	if (d == NULL) {
		return;
	}
	decide_drop_tables(d);
	decide_context_unref(d->context);
	(void)pthread_cond_destroy(&d->built);
	(void)pthread_mutex_destroy(&d->lock);
	free(d);
}

static void judge_without_table(const struct decide_view *view, const struct km_workload *w,
                                size_t count, struct km_verdict *verdict)
{
	struct km_verdict neutral = decide_judge_without(view->context, w, KM_DATA_NO_MODEL);

	for (size_t i = 0; i < count; i++) {
		verdict[i] = neutral;
	}
}

/* at [count]: positions in the picture, -1 = unknown. returns how many have no trusted data. */
static size_t judge_some(const struct decide_table *t, const int64_t *at, size_t count,
                         int64_t now_ns, struct km_verdict *verdict)
{
	size_t untrusted = 0;

	for (size_t i = 0; i < count; i++) {
		struct decide_packed v = t->unknown;
		bool fresh = false;

		if (at[i] >= 0) {
			const struct decide_cell *cell = &t->cell[at[i]];

			fresh = now_ns <= cell->fresh_until_ns;
			v = fresh ? cell->fresh : cell->late;
		}
		untrusted += !fresh;
		verdict[i] = decide_unpack(v);
	}
	return untrusted;
}

/* names NULL: the picture's nodes. returns how many were judged by trusted data. */
static size_t judge(const struct decide_view *view, const struct km_name *names, size_t count,
                    int64_t now_ns, struct km_verdict *verdict)
{
	const struct decide_table *t = view->table;
	int64_t at[NAMES_AT_ONCE];
	size_t untrusted = 0;

	for (size_t done = 0; done < count; done += NAMES_AT_ONCE) {
		size_t some = count - done < NAMES_AT_ONCE ? count - done : NAMES_AT_ONCE;

		if (names != NULL) {
			km_cluster_find_many(view->snapshot, names + done, some, at);
		}
		for (size_t i = 0; names == NULL && i < some; i++) {
			at[i] = (int64_t)(done + i);
		}
		untrusted += judge_some(t, at, some, now_ns, verdict + done);
	}
	if (untrusted > 0) {
		km_place_settle(&t->workload, verdict, count);
	}
	return count - untrusted;
}

static void judge_view(struct km_decide *d, const struct decide_view *view,
                       const struct km_workload *w, const struct km_name *names, size_t count,
                       int64_t now_ns, struct km_verdict *verdict)
{
	size_t predicted;

	if (view->table == NULL) {
		judge_without_table(view, w, count, verdict);
		return;
	}
	predicted = judge(view, names, count, now_ns, verdict);
	km_counter_add(view->waited ? d->stats.misses : d->stats.hits, predicted);
}

int km_decide_verdicts(struct km_decide *d, const struct km_workload *w,
                       const struct km_name *names, size_t count, struct km_arena *arena,
                       struct km_verdict *verdict)
{
	struct decide_view view;
	int rc = decide_view_open(d, w, &view);

	(void)arena; /* tables hold everything that verdicts need */
	if (rc != 0) {
		return rc;
	}
	judge_view(d, &view, w, names, count, km_clock_mono_ns(d->clock), verdict);
	decide_view_close(&view);
	return 0;
}

/* Everything but the verdict. */
static void describe(const struct decide_view *view, int64_t at, int64_t now_ns,
                     struct km_decision_node *out)
{
	static const struct decide_known nothing = {
		.prediction = { .slowdown = NAN, .low = NAN, .high = NAN },
		.state = KM_DATA_ABSENT,
		.tier = KM_TIER_NONE,
	};
	static const struct decide_cell never = { .fresh_until_ns = DECIDE_NEVER_FRESH };
	bool there = at >= 0 && view->table != NULL;
	const struct decide_known *k = there ? &view->table->known[at] : &nothing;
	const struct decide_cell *cell = there ? &view->table->cell[at] : &never;
	int64_t age_ns = now_ns > k->measured_ns ? now_ns - k->measured_ns : 0;

	*out = (struct km_decision_node){
		.index = at,
		.tier = (enum km_tier)k->tier,
		.age_s = k->measured_ns != 0 ? (double)age_ns * 1e-9 : NAN,
		.prediction = k->prediction,
		.state = (enum km_data_state)k->state,
	};
	if (out->state == KM_DATA_FRESH && now_ns > cell->fresh_until_ns) {
		out->state = KM_DATA_STALE;
	}
	if (at >= 0 && view->table == NULL) {
		out->state = KM_DATA_NO_MODEL;
	}
}

static int detail(struct km_decide *d, const struct decide_view *view, const struct km_name *names,
                  struct km_arena *arena, struct km_decision *out)
{
	int64_t now_ns = km_clock_mono_ns(d->clock);
	struct km_verdict *verdict;

	out->node = km_arena_calloc(arena, out->count + 1, sizeof(*out->node));
	verdict = km_arena_calloc(arena, out->count + 1, sizeof(*verdict));
	if (out->node == NULL || verdict == NULL) {
		return -ENOMEM;
	}
	judge_view(d, view, &out->workload, names, out->count, now_ns, verdict);
	for (size_t i = 0; i < out->count; i++) {
		int64_t at = names != NULL
		                     ? km_cluster_find(view->snapshot, names[i].text, names[i].len)
		                     : (int64_t)i;

		describe(view, at, now_ns, &out->node[i]);
		out->node[i].verdict = verdict[i];
	}
	return 0;
}

int km_decide_run(struct km_decide *d, const struct km_workload *w, const struct km_name *names,
                  size_t count, struct km_arena *arena, struct km_decision *out)
{
	struct decide_view view;
	int rc = decide_view_open(d, w, &view);

	if (rc != 0) {
		return rc;
	}
	*out = (struct km_decision){
		.workload = *w,
		.scale = view.context->settings.score_scale,
		.count = names != NULL ? count : view.snapshot->node_count,
		.generation =
			view.table != NULL ? view.table->generation : view.snapshot->generation,
		.model_hash = view.context->model_hash,
	};
	rc = detail(d, &view, names, arena, out);
	decide_view_close(&view);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* How the gatherer is doing: what came of answers, agents by state, nodes with data. */
#include <string.h>

#include "gather_internal.h"

void km_gather_stats(struct km_gather *g, struct km_gather_stats *out)
{
	size_t by_state[GATHER_STATES] = { 0 };
	int64_t now_ns = km_clock_mono_ns(g->clock);

	*out = (struct km_gather_stats){ .nodes = 0 };
	pthread_mutex_lock(&g->lock);
	out->nodes = g->shown_count;
	out->published = g->published;
	memcpy(out->why, g->why, sizeof(out->why));
	for (size_t i = 0; i < g->shown_count; i++) {
		const struct gather_row *r = g->shown[i]->holder;

		out->with_data += r != NULL && r->features != NULL && r->features->version != 0 &&
		                  now_ns - r->features->measured_mono_ns <= g->max_age_ns;
	}
	for (size_t b = 0; b < GATHER_BUCKETS; b++) {
		for (const struct gather_agent *a = g->agent[b]; a != NULL; a = a->next) {
			if (!a->gone) {
				out->agents++;
				by_state[a->state]++;
			}
		}
	}
	pthread_mutex_unlock(&g->lock);
	out->answering = by_state[GATHER_ANSWERING];
	out->failing = by_state[GATHER_FAILING];
	out->silent = by_state[GATHER_SILENT];
	out->misfit = by_state[GATHER_MISFIT];
}

/* Runs on the HTTP thread that serves /metrics. */
static void collect(struct km_metrics_writer *w, void *ctx)
{
	struct km_gather_stats s;

	km_gather_stats(ctx, &s);
	km_metrics_family(w, KM_METRIC_GAUGE, "kubemarla_peers",
	                  "Other agents, by state: answering, failing (no answer to the last "
	                  "request), silent (never answered), otherWindow (statistics of another "
	                  "window or bin than the model's).");
	km_metrics_sample(w, (double)s.answering, "state", "answering", KM_LABELS_END);
	km_metrics_sample(w, (double)s.failing, "state", "failing", KM_LABELS_END);
	km_metrics_sample(w, (double)s.silent, "state", "silent", KM_LABELS_END);
	km_metrics_sample(w, (double)s.misfit, "state", "otherWindow", KM_LABELS_END);
	km_metrics_family(w, KM_METRIC_GAUGE, "kubemarla_nodes_fresh",
	                  "Nodes with data not older than decide.maxAge.");
	km_metrics_sample(w, (double)s.with_data, KM_LABELS_END);
}

void gather_register_metrics(struct km_gather *g, struct km_metrics *m)
{
	static const char *const results[GATHER_STATES + 1] = {
		[GATHER_SILENT] = "none",      [GATHER_ANSWERING] = "taken",
		[GATHER_FAILING] = "error",    [GATHER_MISFIT] = "otherWindow",
		[GATHER_STATES] = "unchanged",
	};

	for (size_t i = 0; i <= GATHER_STATES; i++) {
		g->answers[i] = km_metrics_counter(
			m, "kubemarla_peer_answers_total",
			"Requests for the features of other agents, by what came of them.",
			"result", results[i], KM_LABELS_END);
	}
	g->pictures = km_metrics_counter(m, "kubemarla_pictures_total",
	                                 "Pictures of the cluster published from several agents.",
	                                 KM_LABELS_END);
	if (m != NULL) {
		km_metrics_collect(m, collect, g);
	}
}

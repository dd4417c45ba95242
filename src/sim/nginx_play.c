/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One schedule of the nginx world, minute by minute. What is drawn: mixes, loads, which recording
 * is seen and which one happens. Then every policy chooses in the same situation.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nginx_internal.h"

#define MINUTES 60 /* of a schedule */

/* One schedule: where it is now. */
struct play {
	const struct nginx_world *w;
	const struct nginx_deciders *d;
	enum nginx_place place;
	uint32_t fold;
	unsigned hold; /* minutes that a mix holds */
	struct km_rng rng;
	struct km_rng late; /* apart, so that schedules are the same whatever the lag */
	size_t *playable;   /* [playable_count] states */
	size_t playable_count;
	/* states of the machines: now, one minute ago, two */
	size_t now[NGINX_NODES_MAX], before[NGINX_NODES_MAX], earlier[NGINX_NODES_MAX];
	size_t last[KM_SIM_ARM_N];      /* where each arm put the last one */
	double placed[NGINX_NODES_MAX]; /* by SPREAD */
	double seen[NGINX_NODES_MAX], seen_count[NGINX_NODES_MAX]; /* by NODE_AVERAGE */
	bool begun;
};

/* One minute: what each machine shows and would do. */
struct minute {
	struct nginx_load load;
	uint32_t load_index;
	struct nginx_run run[NGINX_NODES_MAX];
	struct km_dataset_row row[NGINX_NODES_MAX];
	size_t window[NGINX_NODES_MAX];
};

/* ---- what may be drawn ---- */

static const struct nginx_state *state_at(const struct play *p, size_t i)
{
	return &p->w->tables.state[p->place][i];
}

static bool in_fold(const struct play *p, uint32_t campaign)
{
	const struct nginx_fold *f = &p->w->fold[p->fold];

	return km_holdout_is_given(p->w->holdout) || campaign == f->campaign[0] ||
	       campaign == f->campaign[1];
}

/* One to happen, and one of another campaign for the oracles. */
static bool has_run(const struct play *p, const struct nginx_state *s, uint32_t load)
{
	if (nginx_campaigns(s, load) < 2)
		return false;
	for (size_t i = 0; i < s->run_count; i++) {
		if (s->run[i].load == load && in_fold(p, s->run[i].campaign))
			return true;
	}
	return false;
}

static bool has_view(const struct play *p, const struct nginx_state *s)
{
	for (size_t i = 0; i < s->view_count; i++) {
		if (in_fold(p, s->view[i].campaign))
			return true;
	}
	return false;
}

/* Mean ln p99 of all runs of a state but those of one campaign; NaN when there is no other. */
static double mean_without(const struct nginx_state *s, uint32_t load, uint32_t campaign)
{
	double sum = 0;
	double count = 0;

	for (size_t i = 0; i < s->run_count; i++) {
		if (s->run[i].load == load && s->run[i].campaign != campaign) {
			sum += log((double)s->run[i].p99_ms);
			count++;
		}
	}
	return count > 0 ? sum / count : NAN;
}

static const struct nginx_run *draw_run(struct play *p, const struct nginx_state *s, uint32_t load)
{
	uint32_t there = 0;
	uint32_t wanted;

	for (size_t i = 0; i < s->run_count; i++)
		there += s->run[i].load == load && in_fold(p, s->run[i].campaign);
	wanted = km_rng_below(&p->rng, there);
	for (size_t i = 0; i < s->run_count; i++) {
		if (s->run[i].load == load && in_fold(p, s->run[i].campaign) && wanted-- == 0)
			return &s->run[i];
	}
	return NULL;
}

/* A view of another campaign than the run's, or NULL. */
static const struct nginx_view *draw_view(struct play *p, const struct nginx_state *s,
                                          uint32_t not_of)
{
	uint32_t there = 0;
	uint32_t wanted;

	for (size_t i = 0; i < s->view_count; i++)
		there += in_fold(p, s->view[i].campaign) && s->view[i].campaign != not_of;
	if (there == 0)
		return NULL;
	wanted = km_rng_below(&p->rng, there);
	for (size_t i = 0; i < s->view_count; i++) {
		if (in_fold(p, s->view[i].campaign) && s->view[i].campaign != not_of &&
		    wanted-- == 0)
			return &s->view[i];
	}
	return NULL;
}

/* ---- the schedule ---- */

static void step(struct play *p, unsigned minute)
{
	size_t nodes = p->w->run->options->nodes;

	for (size_t i = 0; i < nodes; i++) {
		/* Machines change at different minutes. */
		bool change = !p->begun || (minute + i * p->hold / nodes) % p->hold == 0;

		p->earlier[i] = p->before[i];
		p->before[i] = p->now[i];
		if (change)
			p->now[i] = p->playable[km_rng_below(&p->rng, (uint32_t)p->playable_count)];
		if (!p->begun) {
			p->before[i] = p->now[i];
			p->earlier[i] = p->now[i];
		}
	}
	p->begun = true;
}

/* A load that was measured everywhere it has to be, or false. */
static bool draw_load(struct play *p, struct minute *m)
{
	const struct nginx_tables *t = &p->w->tables;
	size_t nodes = p->w->run->options->nodes;
	uint32_t first = km_rng_below(&p->rng, (uint32_t)t->load_count);

	for (uint32_t k = 0; k < t->load_count; k++) {
		uint32_t load = (first + k) % (uint32_t)t->load_count;
		bool ok = true;

		for (size_t i = 0; ok && i < nodes; i++)
			ok = has_run(p, state_at(p, p->now[i]), load) &&
			     nginx_campaigns(state_at(p, p->before[i]), load) > 1;
		if (!ok)
			continue;
		m->load_index = load;
		m->load = t->load[load];
		return true;
	}
	return false;
}

/* Of a window that ended lag_s before the minute did, that share is of the minute before. */
static size_t seen_state(struct play *p, size_t machine)
{
	double lag_s = p->w->run->options->lag_s;

	if (lag_s > 0 && km_rng_unit(&p->late) * 60 < lag_s)
		return p->earlier[machine];
	return p->before[machine];
}

static bool draw_minute(struct play *p, struct minute *m)
{
	size_t nodes = p->w->run->options->nodes;
	size_t count;
	const struct km_dataset_row *row = km_dataset_rows(p->w->data, &count);

	if (!draw_load(p, m))
		return false;
	for (size_t i = 0; i < nodes; i++) {
		const struct nginx_view *view;
		const struct nginx_run *run;

		run = draw_run(p, state_at(p, p->now[i]), m->load_index);
		if (run == NULL)
			return false;
		m->run[i] = *run;
		view = draw_view(p, state_at(p, seen_state(p, i)), m->run[i].campaign);
		if (view == NULL)
			return false;
		m->row[i] = row[view->row];
		m->window[i] =
			km_rng_below(&p->rng, (uint32_t)km_dataset_windows(p->w->data, &m->row[i]));
	}
	return true;
}

/* ---- choosing ---- */

/* value [nodes]: what the model predicts, with the load where it has inputs for it. */
static int ask_model(const struct nginx_asked *a, const struct nginx_world *w,
                     const struct minute *m, double *value)
{
	float all[KM_FEATURES_MAX];
	float row[KM_FEATURES_MAX];
	struct km_prediction out;
	size_t nodes = w->run->options->nodes;

	if (a->model == NULL)
		return 0; /* could not be trained */
	for (size_t i = 0; i < nodes; i++) {
		struct km_dataset_row as = m->row[i];

		as.rps = m->load.rps;
		as.replicas = m->load.replicas;
		as.rps_now = 0;
		as.replicas_now = 0;
		km_dataset_features(w->data, &as, KM_LAYOUT_RECORDED, m->window[i], all);
		for (uint32_t c = 0; c < a->columns; c++)
			row[c] = all[a->column[c]];
		if (km_model_predict(a->model, row, 1, &out, NULL) != 0)
			return -EIO;
		value[i] = out.slowdown;
	}
	return 0;
}

static void simple_rules(const struct play *p, const struct minute *m,
                         double value[KM_SIM_ARM_N][NGINX_NODES_MAX])
{
	const struct nginx_world *w = p->w;
	double overall = 0;
	double overall_count = 0;
	float all[KM_FEATURES_MAX];

	for (size_t i = 0; i < w->run->options->nodes; i++) {
		overall += p->seen[i];
		overall_count += p->seen_count[i];
	}
	for (size_t i = 0; i < w->run->options->nodes; i++) {
		km_dataset_features(w->data, &m->row[i], KM_LAYOUT_RECORDED, m->window[i], all);
		value[KM_SIM_SPREAD][i] = p->placed[i];
		value[KM_SIM_LOWEST_C0][i] = (double)all[w->rule[0]];
		value[KM_SIM_LEAST_CPU][i] = (double)(all[w->rule[0]] + all[w->rule[1]]) / 2;
		value[KM_SIM_LEAST_BANDWIDTH][i] = (double)(all[w->rule[2]] + all[w->rule[3]]);
		value[KM_SIM_NODE_AVERAGE][i] = p->seen_count[i] > 0
		                                        ? p->seen[i] / p->seen_count[i]
		                                        : overall / fmax(overall_count, 1);
	}
}

static int values_of(struct play *p, const struct minute *m,
                     double value[KM_SIM_ARM_N][NGINX_NODES_MAX])
{
	const struct nginx_world *w = p->w;
	size_t nodes = w->run->options->nodes;
	double score[NGINX_NODES_MAX] = { 0 };
	double blind[NGINX_NODES_MAX] = { 0 };
	int rc;

	memset(value, 0, sizeof(double) * KM_SIM_ARM_N * NGINX_NODES_MAX);
	simple_rules(p, m, value);
	rc = ask_model(&p->d->thesis, w, m, value[KM_SIM_THESIS]);
	if (rc == 0)
		rc = ask_model(&p->d->pressure, w, m, value[KM_SIM_PRESSURE]);
	if (rc == 0)
		rc = nginx_decider_ask(p->d->ours, w->data, m->row, m->window, nodes, &m->load,
		                       score);
	if (rc == 0)
		rc = nginx_decider_ask(p->d->no_ledger, w->data, m->row, m->window, nodes, &m->load,
		                       blind);
	for (size_t i = 0; rc == 0 && i < nodes; i++) {
		uint32_t campaign = m->run[i].campaign;

		value[KM_SIM_OURS][i] = -score[i];
		value[KM_SIM_NO_LEDGER][i] = -blind[i];
		value[KM_SIM_LATE_ORACLE][i] =
			mean_without(state_at(p, p->before[i]), m->load_index, campaign);
		value[KM_SIM_ORACLE][i] =
			mean_without(state_at(p, p->now[i]), m->load_index, campaign);
	}
	return rc;
}

static void outcome_of(struct play *p, const struct minute *m, enum km_sim_arm a, size_t chosen,
                       struct sim_outcome *out)
{
	const struct nginx_run *r = &m->run[chosen];
	float least = r->p99_ms;

	for (size_t i = 0; i < p->w->run->options->nodes; i++)
		least = m->run[i].p99_ms < least ? m->run[i].p99_ms : least;
	*out = (struct sim_outcome){
		.cost = r->p99_ms,
		.own = r->slowdown,
		.others = NAN,
		.tail = r->p99_ms,
		.broken = (double)r->slowdown > p->w->run->options->max_slowdown,
		.right = r->p99_ms <= least,
		.moved = p->last[a] != SIZE_MAX && p->last[a] != chosen,
	};
	p->last[a] = chosen;
	if (a == KM_SIM_SPREAD)
		p->placed[chosen]++;
	if (a == KM_SIM_NODE_AVERAGE) {
		p->seen[chosen] += log((double)r->slowdown);
		p->seen_count[chosen]++;
	}
}

static int play_minute(struct play *p, struct sim_log *log, uint32_t cluster)
{
	double value[KM_SIM_ARM_N][NGINX_NODES_MAX];
	struct sim_outcome outcome[KM_SIM_ARM_N];
	struct minute m = { .load_index = 0 };
	int rc;

	if (!draw_minute(p, &m))
		return -EAGAIN;
	rc = values_of(p, &m, value);
	for (int a = 0; rc == 0 && a < KM_SIM_ARM_N; a++) {
		double luck = km_rng_unit(&p->rng);

		outcome_of(p, &m, (enum km_sim_arm)a,
		           km_least(value[a], p->w->run->options->nodes, luck), &outcome[a]);
	}
	return rc != 0 ? rc : sim_log_add(log, cluster, outcome);
}

static int find_playable(struct play *p)
{
	const struct nginx_tables *t = &p->w->tables;

	p->playable = calloc(t->state_count[p->place] + 1, sizeof(*p->playable));
	if (p->playable == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < t->state_count[p->place]; i++) {
		bool run = false;

		for (uint32_t l = 0; l < t->load_count && !run; l++)
			run = has_run(p, state_at(p, i), l);
		if (run && has_view(p, state_at(p, i)))
			p->playable[p->playable_count++] = i;
	}
	return 0;
}

int nginx_play(struct nginx_world *w, const struct nginx_deciders *d, const struct nginx_game *game,
               uint32_t fold, uint32_t seed, uint32_t cluster, struct sim_log *log)
{
	struct play p = { .w = w, .d = d, .place = game->place, .fold = fold, .hold = game->hold };
	uint64_t first = ((w->run->options->first_seed + seed) * 16 + fold) * 64 +
	                 (uint64_t)game->hold * 2 + (uint64_t)game->place;
	int rc = find_playable(&p);

	km_rng_init(&p.rng, first);
	km_rng_init(&p.late, ~first);
	for (int a = 0; a < KM_SIM_ARM_N; a++)
		p.last[a] = SIZE_MAX;
	for (unsigned minute = 0; rc == 0 && p.playable_count > 1 && minute < MINUTES; minute++) {
		step(&p, minute);
		rc = play_minute(&p, log, cluster);
		w->minutes++;
		w->skipped += rc == -EAGAIN;
		rc = rc == -EAGAIN ? 0 : rc;
	}
	free(p.playable);
	return rc;
}

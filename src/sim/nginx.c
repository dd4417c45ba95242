/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nginx world: machines apart from one another, each under a mix of interference that holds for
 * a while and then changes. Every minute a service with some load comes for one minute and is put
 * on one of them. The policy sees counters of the mix of a minute ago, recorded in one campaign;
 * the p99 is that of a run under the mix of now, of another campaign; oracles know the mean of all
 * runs but those of that campaign.
 *
 * Measured: every p99, every counter, each under that very mix. Borrowed: a machine's counters are
 * those of a node without the service on a host whose other node carried it; and that machines are
 * independent, as only one was there. Never measured, so never played: two mixes at once on one
 * host, one service on two machines, what a move costs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nginx_internal.h"

#define PERMUTATIONS 5 /* of labels, in each fold */

/* ---- models of a fold ---- */

static int column_of(const struct km_schema *s, const char *name)
{
	for (uint32_t i = 0; i < s->count; i++) {
		if (strcmp(s->feature[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

static int asked_init(struct nginx_asked *a, const struct nginx_world *w, enum km_holdout_kind kind,
                      const bool *without, struct km_err *err)
{
	const struct km_schema *from = km_dataset_schema(w->data);
	const struct km_schema *s;
	int rc = km_holdout_fit(w->holdout, kind, without, 0, &a->model, err);

	if (rc != 0)
		return rc;
	s = km_model_schema(a->model);
	a->columns = s->count;
	a->column = calloc((size_t)s->count + 1, sizeof(*a->column));
	if (a->column == NULL)
		return km_err_set(err, ENOMEM, "nginx: out of memory");
	for (uint32_t i = 0; i < s->count; i++)
		a->column[i] = (uint32_t)column_of(from, s->feature[i].name);
	return 0;
}

static void deciders_fini(struct nginx_deciders *d)
{
	km_model_unref(d->thesis.model);
	km_model_unref(d->pressure.model);
	free(d->thesis.column);
	free(d->pressure.column);
	nginx_decider_free(d->ours);
	nginx_decider_free(d->no_ledger);
}

/* Marks the campaigns of a fold. NULL: out of memory. */
static bool *without_fold(const struct nginx_world *w, uint32_t fold)
{
	bool *without = calloc((size_t)w->tables.campaigns + 1, sizeof(*without));

	for (uint32_t c = 0; without != NULL && c < w->tables.campaigns; c++)
		without[c] = c == w->fold[fold].campaign[0] || c == w->fold[fold].campaign[1];
	return without;
}

/* Ours anew, of labels permuted by the seed; 0: as they are. */
static int fit_ours(struct nginx_deciders *d, const struct nginx_world *w, const bool *without,
                    uint64_t permute_seed, struct km_err *err)
{
	struct km_model *m = NULL;
	int rc = km_holdout_fit(w->holdout, KM_HOLDOUT_RECIPE, without, permute_seed, &m, err);

	nginx_decider_free(d->ours);
	nginx_decider_free(d->no_ledger);
	d->ours = NULL;
	d->no_ledger = NULL;
	if (rc == 0)
		rc = nginx_decider_create(w->run->options, m, true, &d->ours, err);
	if (rc == 0)
		rc = nginx_decider_create(w->run->options, m, false, &d->no_ledger, err);
	km_model_unref(m);
	return rc;
}

/* A small folder may leave nothing to learn from: a given model is judged all the same. */
static int fit_all(struct nginx_deciders *d, struct nginx_world *w, const bool *without,
                   struct km_err *err)
{
	int rc = asked_init(&d->thesis, w, KM_HOLDOUT_THESIS, without, err);

	if (rc == 0)
		rc = asked_init(&d->pressure, w, KM_HOLDOUT_PRESSURE, without, err);
	if (rc == -ENODATA && km_holdout_is_given(w->holdout)) {
		w->untrained = true;
		rc = 0;
	}
	if (rc == 0)
		rc = fit_ours(d, w, without, 0, err);
	return rc;
}

/* ---- settings ---- */

static const struct nginx_game games[] = {
	{ "nginx-local-10min", "interference on the node, a mix holds 10 minutes", NGINX_LOCAL, 10,
	  false },
	{ "nginx-remote-10min", "interference on the host's other node, 10 minutes", NGINX_REMOTE,
	  10, false },
	{ "nginx-local-2min", "interference on the node, a mix holds 2 minutes", NGINX_LOCAL, 2,
	  false },
	{ "nginx-remote-2min", "interference on the host's other node, 2 minutes", NGINX_REMOTE, 2,
	  false },
	{ "nginx-local-null", "local, 10 minutes, labels of ours permuted", NGINX_LOCAL, 10, true },
	{ "nginx-remote-null", "remote, 10 minutes, labels of ours permuted", NGINX_REMOTE, 10,
	  true },
};

/* Which schedules to play, and what for. */
struct round {
	uint32_t fold;
	uint32_t rest, step; /* of the seeds */
	uint32_t cluster;
	bool permuted;
};

static const enum km_sim_arm arms[] = {
	KM_SIM_RANDOM,    KM_SIM_SPREAD,       KM_SIM_LEAST_CPU,   KM_SIM_LEAST_BANDWIDTH,
	KM_SIM_LOWEST_C0, KM_SIM_NODE_AVERAGE, KM_SIM_PRESSURE,    KM_SIM_THESIS,
	KM_SIM_NO_LEDGER, KM_SIM_OURS,         KM_SIM_LATE_ORACLE, KM_SIM_ORACLE
};

/* All schedules of a fold whose seed leaves `rest` of `step`. */
static int play_games(struct nginx_world *w, const struct nginx_deciders *d, struct sim_log *log,
                      const struct round *round, struct km_err *err)
{
	const struct km_sim_options *o = w->run->options;

	for (size_t g = 0; g < KM_ARRAY_LEN(games); g++) {
		for (uint32_t seed = round->rest; seed < o->seeds; seed += round->step) {
			uint32_t cluster = round->permuted ? round->cluster : seed;

			if (games[g].permuted == round->permuted &&
			    nginx_play(w, d, &games[g], round->fold, seed, cluster, &log[g]) != 0)
				return km_err_set(err, ENOMEM, "%s: out of memory", games[g].name);
		}
	}
	return 0;
}

static int play_fold(struct nginx_world *w, uint32_t fold, struct sim_log *log, struct km_err *err)
{
	struct nginx_deciders d = { .ours = NULL };
	struct round round = { .fold = fold, .step = 1 };
	bool *without = without_fold(w, fold);
	int rc = without != NULL ? fit_all(&d, w, without, err)
	                         : km_err_set(err, ENOMEM, "nginx: out of memory");

	if (rc == 0)
		rc = play_games(w, &d, log, &round, err);
	/* One permutation is one draw of luck for all schedules; so there are some, and each is a
	 * cluster of its own. */
	for (uint32_t k = 0; rc == 0 && k < PERMUTATIONS && !km_holdout_is_given(w->holdout); k++) {
		round = (struct round){ fold, k, PERMUTATIONS, fold * PERMUTATIONS + k, true };
		rc = fit_ours(&d, w, without, 1 + round.cluster, err);
		if (rc == 0)
			rc = play_games(w, &d, log, &round, err);
	}
	free(without);
	deciders_fini(&d);
	if (rc == -ENODATA) {
		sim_note(w->run,
		         "nginx: %s and %s are not judged: without them nothing is left to learn "
		         "from",
		         km_dataset_name(w->data, w->fold[fold].campaign[0]),
		         km_dataset_name(w->data, w->fold[fold].campaign[1]));
		w->fold[fold].skipped = true;
		rc = 0;
	}
	return rc;
}

static int summarise(struct nginx_world *w, const struct nginx_game *g, struct sim_log *log,
                     struct km_err *err)
{
	struct km_sim_setting *s;

	log->there[KM_SIM_THESIS] = !w->untrained;
	log->there[KM_SIM_PRESSURE] = !w->untrained;

	if (log->count == 0) {
		sim_note(w->run, "%s: skipped, nothing of it was measured often enough", g->name);
		return 0;
	}
	s = sim_add_setting(w->run);
	if (s == NULL)
		return km_err_set(err, ENOMEM, "nginx: out of memory");
	sim_name_setting(s, g->name, g->title, "ms p99",
	                 g->permuted ? "permutations" : "schedules");
	s->null_check = g->permuted;
	return sim_log_summarise(log, SIM_BOOTSTRAP_ROUNDS, w->run->options->first_seed, s, err);
}

static int play_all(struct nginx_world *w, struct sim_log *log, struct km_err *err)
{
	int rc = 0;

	for (uint32_t f = 0; rc == 0 && f < w->folds; f++) {
		rc = play_fold(w, f, log, err);
		if (rc == 0)
			rc = sim_progress(w->run, "nginx folds", f + 1, w->folds, err);
	}
	for (size_t g = 0; rc == 0 && g < KM_ARRAY_LEN(games); g++) {
		if (!games[g].permuted || !km_holdout_is_given(w->holdout))
			rc = summarise(w, &games[g], &log[g], err);
	}
	return rc;
}

static int prepare(struct nginx_world *w, const struct km_eval_options *options, struct km_err *err)
{
	static const char *const rules[] = { "node.c0_ratio.mean", "node.c0_ratio.std",
		                             "host.mem_read_bytes_per_s.mean",
		                             "host.mem_write_bytes_per_s.mean" };
	int rc = km_holdout_open(options, &w->holdout, err);

	if (rc != 0)
		return rc;
	w->data = km_holdout_dataset(w->holdout);
	for (size_t i = 0; i < KM_ARRAY_LEN(rules); i++)
		w->rule[i] = column_of(km_dataset_schema(w->data), rules[i]);
	rc = nginx_tables_init(&w->tables, w->data, err);
	if (rc != 0)
		return rc;
	w->folds = nginx_pair(&w->tables, w->fold);
	if (w->folds == 0)
		return km_err_set(err, ENODATA,
		                  "%s: no two campaigns have a view and a run of one mix",
		                  options->dataset);
	return 0;
}

static void put_notes(struct nginx_world *w)
{
	bool given = km_holdout_is_given(w->holdout);

	if (given) {
		sim_note(w->run,
		         "nginx: the model is %s as it is; if it was trained on this folder it has "
		         "seen the answers",
		         w->run->options->model);
	}
	for (uint32_t i = 0; i < w->folds && !given; i++) {
		if (w->fold[i].skipped)
			continue;
		sim_note(w->run, "nginx: judged on %s and %s by models trained without both",
		         km_dataset_name(w->data, w->fold[i].campaign[0]),
		         km_dataset_name(w->data, w->fold[i].campaign[1]));
	}
	sim_note(w->run,
	         "nginx: %llu of %llu minutes left out: not measured in two campaigns under that "
	         "load",
	         (unsigned long long)w->skipped, (unsigned long long)w->minutes);
	if (w->run->options->lag_s > 0)
		sim_note(w->run, "nginx: counters came %.0f s later still", w->run->options->lag_s);
	sim_note(w->run, "nginx: measured are every p99 and every counter under its mix; borrowed "
	                 "is a node without the service from a host whose other node had it");
}

int sim_nginx(struct sim_run *r, struct km_err *err)
{
	const struct km_eval_options options = {
		.dataset = r->options->dataset,
		.model = r->options->model,
		.features = r->options->features,
		.threads = r->options->threads,
		.progress = r->options->progress,
		.ctx = r->options->ctx,
	};
	struct sim_log log[KM_ARRAY_LEN(games)];
	struct nginx_world w = { .run = r };
	int rc;

	for (size_t g = 0; g < KM_ARRAY_LEN(games); g++) {
		sim_log_init(&log[g]);
		for (size_t a = 0; a < KM_ARRAY_LEN(arms); a++)
			log[g].there[arms[a]] = true;
	}
	rc = prepare(&w, &options, err);
	if (rc == 0)
		rc = play_all(&w, log, err);
	if (rc == 0)
		put_notes(&w);
	for (size_t g = 0; g < KM_ARRAY_LEN(games); g++)
		sim_log_fini(&log[g]);
	nginx_tables_fini(&w.tables);
	km_holdout_free(w.holdout);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The corun world: a newcomer and two equal nodes with one incumbent each. Both sides of every
 * co-run were measured, so what a choice does to both is known. Settings differ by what was seen
 * before: pairs apart, workloads apart, another file; and one with permuted labels, where nothing
 * may be gained.
 *
 * There is one measurement of each co-run: an oracle chooses by what it is judged by, and gains
 * from luck. How much is said in a note, from lines that were measured twice.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"

#include "corun_internal.h"

#define PREFIX "other-" /* of a workload that only shares its name with another one */

struct world {
	struct sim_run *run;
	struct corun_source judged;
	struct corun_source other;   /* --learn; data NULL = none */
	uint64_t *judged_pair;       /* [row_count], ascending: what `other` must not teach */
	struct corun_choice *choice; /* [choice_count] */
	size_t choice_count;
	const struct km_corun_row *row; /* of judged */
	size_t row_count;
	double *y;   /* [rows of what is learned from]: labels */
	bool *learn; /* [the same] */
};

/* One way to set apart what is judged from what is learned. */
struct split {
	const char *name, *title;
	uint32_t folds;
	bool by_workload, other_file, permuted;
};

/* ---- choices ---- */

static bool usable(const struct km_corun_row *r)
{
	return r->mirror != KM_CORUN_NONE && r->workload != r->neighbour;
}

static int list_choices(struct world *w, struct km_err *err)
{
	size_t cap = 0;

	for (size_t i = 0; i < w->row_count; i++) {
		const struct km_corun_row *a = &w->row[i];

		for (size_t k = i + 1; k < w->row_count && w->row[k].platform == a->platform &&
		                       w->row[k].workload == a->workload;
		     k++) {
			if (!usable(a) || !usable(&w->row[k]))
				continue;
			if (w->choice_count == cap) {
				void *grown;

				cap = cap == 0 ? 1024 : 2 * cap;
				grown = reallocarray(w->choice, cap, sizeof(*w->choice));
				if (grown == NULL)
					return km_err_set(err, ENOMEM, "co-runs: out of memory");
				w->choice = grown;
			}
			w->choice[w->choice_count++] =
				(struct corun_choice){ { (uint32_t)i, (uint32_t)k } };
		}
	}
	if (w->choice_count == 0)
		return km_err_set(err, ENODATA,
		                  "%s: no workload was measured beside two others, both ways",
		                  w->run->options->corun);
	return 0;
}

/* ---- what was seen before ---- */

static uint64_t mix(uint64_t a, uint64_t b, uint64_t seed)
{
	uint64_t both[2] = { a < b ? a : b, a < b ? b : a };

	return km_hash64(both, sizeof(both), seed);
}

static uint64_t pair_of(const struct corun_source *s, const struct km_corun_row *r)
{
	return mix(s->workload[r->workload], s->workload[r->neighbour], 0);
}

static int by_pair(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool pair_is_judged(const struct world *w, uint64_t pair)
{
	return bsearch(&pair, w->judged_pair, w->row_count, sizeof(pair), by_pair) != NULL;
}

static uint32_t fold_of_pair(const struct corun_source *s, const struct km_corun_row *r,
                             uint64_t seed, uint32_t folds)
{
	return (uint32_t)(mix(s->workload[r->workload], s->workload[r->neighbour], seed) % folds);
}

static uint32_t fold_of_workload(const struct corun_source *s, uint32_t workload, uint64_t seed,
                                 uint32_t folds)
{
	return (uint32_t)(mix(s->workload[workload], 0, seed) % folds);
}

/* Is a row one to learn from when `fold` is judged? */
static bool is_learned(const struct world *w, const struct split *s, uint64_t seed, uint32_t fold,
                       const struct km_corun_row *r)
{
	if (s->other_file)
		return !pair_is_judged(w, pair_of(&w->other, r));
	if (s->by_workload)
		return fold_of_workload(&w->judged, r->workload, seed, s->folds) != fold &&
		       fold_of_workload(&w->judged, r->neighbour, seed, s->folds) != fold;
	return fold_of_pair(&w->judged, r, seed, s->folds) != fold;
}

static bool is_judged(const struct world *w, const struct split *s, uint64_t seed, uint32_t fold,
                      const struct corun_choice *c)
{
	const struct km_corun_row *a = &w->row[c->row[0]];

	if (s->other_file)
		return true;
	if (s->by_workload)
		return fold_of_workload(&w->judged, a->workload, seed, s->folds) == fold;
	return fold_of_pair(&w->judged, a, seed, s->folds) == fold &&
	       fold_of_pair(&w->judged, &w->row[c->row[1]], seed, s->folds) == fold;
}

/* Labels of the rows learned from change places within their platform: its mean stays. */
static void permute(struct world *w, const struct km_corun_row *row, size_t count,
                    struct km_rng *rng)
{
	size_t begin = 0;

	while (begin < count) {
		size_t end = begin;

		while (end < count && row[end].platform == row[begin].platform)
			end++;
		for (size_t i = end; i > begin + 1; i--) {
			size_t k = begin + km_rng_below(rng, (uint32_t)(i - begin));
			double y = w->y[i - 1];

			w->y[i - 1] = w->y[k];
			w->y[k] = y;
		}
		begin = end;
	}
}

static const struct corun_source *source_of(const struct world *w, const struct split *s)
{
	return s->other_file ? &w->other : &w->judged;
}

static void mark(struct world *w, const struct split *s, uint64_t seed, uint32_t fold)
{
	size_t count;
	const struct km_corun_row *row = km_corun_rows(source_of(w, s)->data, &count);
	struct km_rng rng;

	for (size_t i = 0; i < count; i++) {
		w->y[i] = row[i].log_slowdown;
		w->learn[i] = is_learned(w, s, seed, fold, &row[i]);
	}
	km_rng_init(&rng, seed);
	if (s->permuted)
		permute(w, row, count, &rng);
}

/* ---- choosing ---- */

struct learners {
	struct corun_additive additive;
	struct km_effects *effects;
	struct corun_decider *ours, *no_harm, *no_ledger;
};

static void learners_fini(struct learners *l)
{
	corun_decider_free(l->ours);
	corun_decider_free(l->no_harm);
	corun_decider_free(l->no_ledger);
	corun_additive_fini(&l->additive);
	km_effects_free(l->effects);
}

static int learners_init(struct learners *l, const struct world *w, const struct split *s,
                         struct km_err *err)
{
	const struct corun_source *from = source_of(w, s);
	const struct km_sim_options *o = w->run->options;
	int rc;

	*l = (struct learners){ .effects = NULL };
	l->effects = corun_effects(from, w->learn, w->y, &w->judged, true);
	if (l->effects == NULL || corun_additive_fit(&l->additive, from, w->learn, w->y) != 0)
		return km_err_set(err, ENOMEM, "co-runs: out of memory");
	rc = corun_decider_create(o, (struct corun_powers){ true, true }, l->effects, &l->ours,
	                          err);
	if (rc == 0)
		rc = corun_decider_create(o, (struct corun_powers){ false, true }, l->effects,
		                          &l->no_harm, err);
	if (rc == 0)
		rc = corun_decider_create(o, (struct corun_powers){ true, false }, l->effects,
		                          &l->no_ledger, err);
	return rc;
}

/* What is measured of one candidate. */
struct measured {
	double own, other;
};

static void outcome_of(const struct measured *m, size_t chosen, double limit,
                       struct sim_outcome *out)
{
	double cost[CORUN_NODES];
	const struct measured *c = &m[chosen];

	for (size_t i = 0; i < CORUN_NODES; i++)
		cost[i] = m[i].own + m[i].other;
	*out = (struct sim_outcome){
		.cost = (float)cost[chosen],
		.own = (float)c->own,
		.others = (float)c->other,
		.tail = (float)fmax(c->own, c->other),
		.broken = c->own > limit || c->other > limit,
		.right = cost[chosen] <= fmin(cost[0], cost[1]),
	};
}

static double two_sided(const struct learners *l, const struct corun_source *s,
                        const struct km_corun_row *r)
{
	double platform =
		l->additive.mean + corun_term(&l->additive.platform, s->platform[r->platform]);
	double own = corun_term(&l->additive.sensitivity, s->workload[r->workload]) +
	             corun_term(&l->additive.pressure, s->workload[r->neighbour]);
	double other = corun_term(&l->additive.sensitivity, s->workload[r->neighbour]) +
	               corun_term(&l->additive.pressure, s->workload[r->workload]);

	return exp(platform + own) + exp(platform + other);
}

/* value [ARM][NODES]: what each arm wants least of. Arms without a say tie. */
static int values_of(const struct world *w, const struct learners *l, const struct corun_choice *c,
                     const struct measured *m, double value[KM_SIM_ARM_N][CORUN_NODES])
{
	double score[3][CORUN_NODES];
	int rc = corun_decider_ask(l->ours, &w->judged, c, score[0]);

	if (rc == 0)
		rc = corun_decider_ask(l->no_harm, &w->judged, c, score[1]);
	if (rc == 0)
		rc = corun_decider_ask(l->no_ledger, &w->judged, c, score[2]);
	memset(value, 0, sizeof(double) * KM_SIM_ARM_N * CORUN_NODES);
	for (size_t i = 0; rc == 0 && i < CORUN_NODES; i++) {
		const struct km_corun_row *r = &w->row[c->row[i]];

		value[KM_SIM_PRESSURE][i] =
			corun_term(&l->additive.pressure, w->judged.workload[r->neighbour]);
		value[KM_SIM_ADDITIVE][i] = two_sided(l, &w->judged, r);
		value[KM_SIM_OURS][i] = -score[0][i];
		value[KM_SIM_NO_HARM][i] = -score[1][i];
		value[KM_SIM_NO_LEDGER][i] = -score[2][i];
		value[KM_SIM_ONE_SIDED_ORACLE][i] = m[i].own;
		value[KM_SIM_ORACLE][i] = m[i].own + m[i].other;
	}
	return rc;
}

static int judge_choice(const struct world *w, const struct learners *l,
                        const struct corun_choice *c, struct km_rng *rng, struct sim_log *log)
{
	double value[KM_SIM_ARM_N][CORUN_NODES];
	struct sim_outcome outcome[KM_SIM_ARM_N];
	struct measured m[CORUN_NODES];
	int rc;

	for (size_t i = 0; i < CORUN_NODES; i++) {
		const struct km_corun_row *r = &w->row[c->row[i]];

		m[i].own = exp(r->log_slowdown);
		m[i].other = exp(w->row[r->mirror].log_slowdown);
	}
	rc = values_of(w, l, c, m, value);
	for (size_t a = 0; rc == 0 && a < KM_SIM_ARM_N; a++) {
		double luck = km_rng_unit(rng);

		outcome_of(m, km_least(value[a], CORUN_NODES, luck), w->run->options->max_slowdown,
		           &outcome[a]);
	}
	return rc != 0 ? rc : sim_log_add(log, w->row[c->row[0]].workload, outcome);
}

static int judge_fold(struct world *w, const struct split *s, uint64_t seed, uint32_t fold,
                      struct sim_log *log, struct km_err *err)
{
	struct learners l;
	struct km_rng rng;
	int rc;

	mark(w, s, seed, fold);
	rc = learners_init(&l, w, s, err);
	km_rng_init(&rng, seed * 1000 + fold);
	for (size_t i = 0; rc == 0 && i < w->choice_count; i++) {
		if (is_judged(w, s, seed, fold, &w->choice[i]) &&
		    judge_choice(w, &l, &w->choice[i], &rng, log) != 0)
			rc = km_err_set(err, ENOMEM, "co-runs: out of memory");
	}
	learners_fini(&l);
	return rc;
}

static const enum km_sim_arm arms[] = { KM_SIM_RANDOM,   KM_SIM_SPREAD,   KM_SIM_NODE_AVERAGE,
	                                KM_SIM_PRESSURE, KM_SIM_ADDITIVE, KM_SIM_NO_LEDGER,
	                                KM_SIM_NO_HARM,  KM_SIM_OURS,     KM_SIM_ONE_SIDED_ORACLE,
	                                KM_SIM_ORACLE };

static int judge_split(struct world *w, const struct split *s, struct km_err *err)
{
	const struct km_sim_options *o = w->run->options;
	struct km_sim_setting *setting = sim_add_setting(w->run);
	struct sim_log log;
	int rc = setting != NULL ? 0 : km_err_set(err, ENOMEM, "co-runs: out of memory");

	sim_log_init(&log);
	log.no_time = true;
	for (size_t i = 0; i < KM_ARRAY_LEN(arms); i++)
		log.there[arms[i]] = true;
	for (uint32_t i = 0; rc == 0 && i < o->seeds; i++) {
		for (uint32_t f = 0; rc == 0 && f < s->folds; f++)
			rc = judge_fold(w, s, o->first_seed + i, f, &log, err);
		if (rc == 0)
			rc = sim_progress(w->run, s->name, i + 1, o->seeds, err);
	}
	if (rc == 0) {
		sim_name_setting(setting, s->name, s->title, "x + x", "newcomers");
		setting->null_check = s->permuted;
		rc = sim_log_summarise(&log, SIM_BOOTSTRAP_ROUNDS, o->first_seed, setting, err);
	}
	sim_log_fini(&log);
	return rc;
}

/* ---- notes ---- */

static void note_luck(const struct world *w)
{
	struct km_corun_stats stats;
	double closed;

	km_corun_stats(w->judged.data, &stats);
	sim_note(w->run,
	         "corun: %zu co-runs, %zu choices; %zu lines unusable, %zu repeated; one "
	         "measurement "
	         "each, on boards and of run time, not p99",
	         w->row_count, w->choice_count, stats.unusable, stats.repeated);
	sim_note(w->run, "corun: the time a workload takes alone on a platform is known to ours "
	                 "before it is "
	                 "placed, and is also what its slowdown is measured against");
	if (stats.differ < 10)
		return;
	closed = corun_second_oracle(w->row, w->choice, w->choice_count, stats.repeat_sd,
	                             w->run->options->first_seed);
	sim_note(w->run,
	         "corun: %zu lines measured twice scatter by %.3f in ln; an oracle with a second "
	         "measurement would close %.1f %% of the gap",
	         stats.differ, stats.repeat_sd, 100 * closed);
}

static void note_overlap(struct world *w)
{
	size_t shared = 0;
	uint32_t workloads = km_corun_workloads(w->other.data);

	for (uint32_t i = 0; i < workloads; i++) {
		for (uint32_t k = 0; k < km_corun_workloads(w->judged.data); k++)
			shared += w->other.workload[i] == w->judged.workload[k];
	}
	sim_note(w->run,
	         "corun: learned from %s: %zu of its %u workloads are judged too, in other pairs",
	         w->run->options->learn, shared, workloads);
}

static int open_source(const char *path, const struct km_corun *other, struct corun_source *out,
                       struct km_err *err)
{
	struct km_corun *data = NULL;
	bool *namesakes = NULL;
	int rc = km_corun_open(path, &data, err);

	if (rc != 0)
		return rc;
	if (other != NULL) {
		namesakes = calloc(km_corun_workloads(data), sizeof(*namesakes));
		if (namesakes == NULL) {
			km_corun_free(data);
			return km_err_set(err, ENOMEM, "%s: out of memory", path);
		}
		corun_find_others(other, data, namesakes);
	}
	rc = corun_source_init(out, data, PREFIX, namesakes);
	free(namesakes);
	return rc == 0 ? 0 : km_err_set(err, ENOMEM, "%s: out of memory", path);
}

static int prepare(struct world *w, struct km_err *err)
{
	const struct km_sim_options *o = w->run->options;
	size_t most;
	int rc = open_source(o->corun, NULL, &w->judged, err);

	if (rc == 0 && o->learn != NULL)
		rc = open_source(o->learn, w->judged.data, &w->other, err);
	if (rc != 0)
		return rc;
	w->row = km_corun_rows(w->judged.data, &w->row_count);
	most = w->row_count;
	if (w->other.data != NULL) {
		size_t count;

		(void)km_corun_rows(w->other.data, &count);
		most = count > most ? count : most;
	}
	w->y = calloc(most, sizeof(*w->y));
	w->learn = calloc(most, sizeof(*w->learn));
	w->judged_pair = calloc(w->row_count, sizeof(*w->judged_pair));
	if (w->y == NULL || w->learn == NULL || w->judged_pair == NULL)
		return km_err_set(err, ENOMEM, "co-runs: out of memory");
	for (size_t i = 0; i < w->row_count; i++)
		w->judged_pair[i] = pair_of(&w->judged, &w->row[i]);
	qsort(w->judged_pair, w->row_count, sizeof(*w->judged_pair), by_pair);
	return list_choices(w, err);
}

int sim_corun(struct sim_run *r, struct km_err *err)
{
	static const struct split splits[] = {
		{ "corun-unseen", "co-runs, learned from another file", 1, false, true, false },
		{ "corun-pairs", "co-runs, pairs never seen together", 2, false, false, false },
		{ "corun-workloads", "co-runs, newcomers never seen beside anybody", 3, true, false,
		  false },
		{ "corun-null", "co-runs, labels permuted within platforms", 2, false, false,
		  true },
	};
	struct world w = { .run = r };
	int rc = prepare(&w, err);

	if (rc == 0) {
		note_luck(&w);
		if (w.other.data != NULL)
			note_overlap(&w);
	}
	for (size_t i = 0; rc == 0 && i < KM_ARRAY_LEN(splits); i++) {
		if (!splits[i].other_file || w.other.data != NULL)
			rc = judge_split(&w, &splits[i], err);
	}
	free(w.judged_pair);
	free(w.learn);
	free(w.y);
	free(w.choice);
	corun_source_fini(&w.other);
	corun_source_fini(&w.judged);
	return rc;
}

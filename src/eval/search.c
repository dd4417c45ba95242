/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded, seeded search for a recipe. The first trial is the recipe that is there; the others
 * are drawn from ranges in which a small ensemble is served fast enough. What is compared is always
 * the error on groups that were left out.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/rng.h"

#include "exam.h"

#define ROUNDS_MAX   300
#define ROUNDS_LEAST 20

/* Squared error after each round, summed over the folds' rows. */
struct curve {
	double rows; /* of the fold that is being left out */
	double loss[ROUNDS_MAX];
};

static int note_loss(void *ctx, uint32_t round, double loss)
{
	struct curve *c = ctx;

	if (round < ROUNDS_MAX)
		c->loss[round] += c->rows * loss * loss;
	return 0;
}

/* One fold left out: its rows are the validation rows, in every layout as in training. */
static int add_fold(const struct exam *e, const struct subject *s, enum km_protocol protocol,
                    struct fold fold, bool *keep, struct curve *curve, struct km_err *err)
{
	const struct km_dataset_row *row;
	struct table train = { .count = 0 };
	struct table held = { .count = 0 };
	struct km_booster *b = NULL;
	size_t row_count;
	int rc;

	row = km_dataset_rows(e->dataset, &row_count);
	for (size_t i = 0; i < row_count; i++)
		keep[i] = fold_keeps(&row[i], protocol, fold);
	rc = table_build(e->dataset, s, keep, &train, err);
	for (size_t i = 0; i < row_count; i++)
		keep[i] = fold_asks(&row[i], protocol, fold) && row[i].score;
	if (rc == 0)
		rc = table_build(e->dataset, s, keep, &held, err);
	if (rc == 0) {
		curve->rows = (double)held.count;
		rc = trees_train(s, &train, &held, note_loss, curve, &b, err);
	}
	km_booster_free(b);
	table_fini(&train);
	table_fini(&held);
	/* without both groups nothing is left to learn from: as in cross-validation, not judged */
	return rc == -ENODATA && fold.group != fold.counters ? 0 : rc;
}

/* The number of rounds with the least loss over all folds. */
static int find_rounds(const struct exam *e, struct subject *s, enum km_protocol protocol,
                       struct km_err *err)
{
	struct fold *fold = NULL;
	size_t fold_count = 0;
	bool *keep = calloc(e->row_count + 1, sizeof(*keep));
	struct curve curve = { .rows = 0 };
	uint32_t best = ROUNDS_LEAST;
	int rc = 0;

	if (keep == NULL || fold_list(e->dataset, s, protocol, &fold, &fold_count) != 0) {
		free(keep);
		return km_err_set(err, ENOMEM, "search: out of memory");
	}
	s->recipe.rounds = ROUNDS_MAX;
	for (size_t i = 0; rc == 0 && i < fold_count; i++)
		rc = add_fold(e, s, protocol, fold[i], keep, &curve, err);
	for (uint32_t r = ROUNDS_LEAST; r < ROUNDS_MAX; r++)
		best = curve.loss[r] < curve.loss[best - 1] ? r + 1 : best;
	s->recipe.rounds = best;
	free(fold);
	free(keep);
	return rc;
}

/* From a low to a high number, evenly in the logarithm. */
static double log_between(struct km_rng *rng, double low, double high)
{
	return low * pow(high / low, km_rng_unit(rng));
}

static void draw(struct km_rng *rng, struct km_recipe *r)
{
	r->max_depth = 3 + km_rng_below(rng, 4);
	r->eta = log_between(rng, 0.03, 0.15);
	r->subsample = 0.4 + 0.6 * km_rng_unit(rng);
	r->colsample_bynode = 0.15 + 0.6 * km_rng_unit(rng);
	r->min_child_weight = log_between(rng, 1, 50);
	r->lambda = log_between(rng, 0.5, 50);
	r->np_share = 0.25 * km_rng_below(rng, 5);
	r->zero_label = 0.5 * km_rng_below(rng, 3);
}

static int judge(struct exam *e, enum km_protocol protocol, struct km_search_trial *t,
                 struct km_err *err)
{
	struct km_eval_report r = { .placement = e->placement };
	int rc = find_rounds(e, &e->subject, protocol, err);

	if (rc == 0)
		rc = exam_crossval(e, protocol, err);
	if (rc == 0)
		rc = report_fill(&r, e->dataset, e->margin, NULL, NULL, 0, err);
	t->recipe = e->subject.recipe;
	t->mae = r.metrics.scores.mae;
	t->mae_empty = r.empty.scores.rows > 0 ? r.empty.scores.mae : NAN;
	t->pair_accuracy125 = r.metrics.scores.pair_accuracy125;
	t->score = isnan(t->mae_empty) ? t->mae : (t->mae + t->mae_empty) / 2;
	km_eval_report_fini(&r);
	return rc;
}

static int by_score(const void *a, const void *b)
{
	double x = ((const struct km_search_trial *)a)->score;
	double y = ((const struct km_search_trial *)b)->score;

	return (x > y) - (x < y);
}

int km_search(const struct km_eval_options *options, enum km_protocol protocol, size_t count,
              uint64_t seed, struct km_search_trial *out, struct km_err *err)
{
	struct km_eval_options quiet = *options;
	struct km_recipe own;
	struct km_rng rng;
	struct exam e;
	int rc;

	quiet.no_baselines = true;
	quiet.progress = NULL; /* trials are what is counted */
	rc = exam_open(&quiet, false, &e, err);
	if (rc != 0)
		return rc;
	own = e.subject.recipe;
	km_rng_init(&rng, seed);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		e.subject.recipe = own;
		if (i > 0)
			draw(&rng, &e.subject.recipe);
		rc = judge(&e, protocol, &out[i], err);
		if (rc == 0 && options->progress != NULL &&
		    options->progress(options->ctx, "trials", i + 1, count) != 0)
			rc = km_err_set(err, EINTR, "search: stopped");
	}
	exam_close(&e);
	qsort(out, count, sizeof(*out), by_score);
	return rc;
}

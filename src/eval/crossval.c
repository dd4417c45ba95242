/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grouped cross-validation: each row is judged by a state that was fitted without any row whose
 * counters or whose label come from the group of its label or from that of its counters. Folds are
 * independent and run on several threads; what they find does not depend on how many.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/map.h"

#include "eval_internal.h"

#define THREADS_MAX 64

static const char *const protocol_names[KM_PROTOCOL_N] = {
	[KM_PROTOCOL_CAMPAIGN] = "leave-campaign-out",
	[KM_PROTOCOL_FAMILY] = "leave-family-out",
	[KM_PROTOCOL_SCENARIO] = "leave-scenario-out",
	[KM_PROTOCOL_GIVEN] = "given-model",
};

const char *km_protocol_name(enum km_protocol p)
{
	return protocol_names[p];
}

int km_protocol_parse(const char *text)
{
	static const char *const words[] = { "campaign", "family", "scenario" };

	for (int i = 0; i < (int)KM_ARRAY_LEN(words); i++) {
		if (strcmp(text, words[i]) == 0)
			return i;
	}
	return -1;
}

static struct fold fold_of(const struct km_dataset_row *row, enum km_protocol p)
{
	switch (p) {
	case KM_PROTOCOL_CAMPAIGN:
		return (struct fold){ row->campaign, row->before_campaign };
	case KM_PROTOCOL_FAMILY:
		return (struct fold){ row->family, row->before_family };
	default:
		return (struct fold){ row->scenario, row->before_scenario };
	}
}

bool fold_asks(const struct km_dataset_row *row, enum km_protocol p, struct fold fold)
{
	struct fold own = fold_of(row, p);

	return own.group == fold.group && own.counters == fold.counters;
}

bool fold_keeps(const struct km_dataset_row *row, enum km_protocol p, struct fold fold)
{
	struct fold own = fold_of(row, p);

	return own.group != fold.group && own.group != fold.counters &&
	       own.counters != fold.group && own.counters != fold.counters;
}

bool crossval_possible(const struct km_dataset *d, enum km_protocol p)
{
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);
	const struct km_dataset_row *first = NULL;

	for (size_t i = 0; i < row_count; i++) {
		if (!row[i].score)
			continue;
		if (first == NULL)
			first = &row[i];
		if (fold_of(&row[i], p).group != fold_of(first, p).group)
			return true;
	}
	return false;
}

struct job {
	const struct crossval *cv;
	const struct subject *subject;
	float *out;
	struct fold *fold; /* [fold_count] */
	size_t fold_count;
	pthread_mutex_t lock; /* guards the rest */
	size_t next, done;
	int rc;
	struct km_err err;
};

int fold_list(const struct km_dataset *d, const struct subject *s, enum km_protocol p,
              struct fold **out, size_t *count)
{
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);
	/* room for all: the map's keys are in it */
	struct fold *fold = reallocarray(NULL, row_count + 1, sizeof(*fold));
	struct km_map known;
	int rc = fold != NULL ? 0 : -ENOMEM;

	*count = 0;
	km_map_init(&known, 1);
	for (size_t i = 0; rc == 0 && i < row_count; i++) {
		if (!row[i].score || !table_takes(s, &row[i]))
			continue;
		fold[*count] = fold_of(&row[i], p);
		rc = km_map_add(&known, (const char *)&fold[*count], sizeof(*fold), 0, NULL);
		*count += rc == 0;
		rc = rc == -EEXIST ? 0 : rc;
	}
	km_map_fini(&known);
	if (rc != 0) {
		free(fold);
		fold = NULL;
	}
	*out = fold;
	return rc;
}

static void sample_folds(const struct crossval *cv, struct job *job)
{
	size_t all = job->fold_count;

	if (cv->folds_max == 0 || all <= cv->folds_max)
		return;
	for (size_t i = 0; i < FOLDS_SAMPLED; i++)
		job->fold[i] = job->fold[i * all / FOLDS_SAMPLED];
	job->fold_count = FOLDS_SAMPLED;
	if (cv->sampled_of != NULL)
		*cv->sampled_of = all;
}

static int run_fold(struct job *job, struct fold fold, bool *keep, bool *ask, struct km_err *err)
{
	enum km_protocol p = job->cv->protocol;
	const struct km_dataset *d = job->cv->dataset;
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);
	struct table t = { .count = 0 };
	void *state = NULL;
	int rc;

	for (size_t i = 0; i < row_count; i++) {
		keep[i] = fold_keeps(&row[i], p, fold);
		ask[i] = fold_asks(&row[i], p, fold);
	}
	rc = table_build(d, job->subject, keep, &t, err);
	if (rc == -ENODATA && fold.group != fold.counters)
		return 0; /* without both nothing is left: these rows are not judged */
	if (rc == -ENODATA)
		rc = km_err_prefix(err, "without %s", km_dataset_name(d, fold.group));
	if (rc == 0)
		rc = job->subject->learner->fit(job->subject, &t, &state, err);
	if (rc == 0)
		rc = predict_rows(d, job->subject, state, ask, job->out, err);
	job->subject->learner->release(state);
	table_fini(&t);
	return rc;
}

/* The next one, or NULL when there is none or a fold failed. */
static const struct fold *take_fold(struct job *job)
{
	const struct fold *fold = NULL;

	(void)pthread_mutex_lock(&job->lock);
	if (job->rc == 0 && job->next < job->fold_count)
		fold = &job->fold[job->next++];
	(void)pthread_mutex_unlock(&job->lock);
	return fold;
}

/* The progress line is written under the lock: it belongs to one thread at a time. */
static void finish_fold(struct job *job, int rc, const struct km_err *err)
{
	const struct crossval *cv = job->cv;

	(void)pthread_mutex_lock(&job->lock);
	job->done++;
	if (rc != 0 && job->rc == 0) {
		job->rc = rc;
		job->err = *err;
	}
	if (job->rc == 0 && cv->progress != NULL &&
	    cv->progress(cv->ctx, cv->what, job->done, job->fold_count) != 0)
		job->rc = km_err_set(&job->err, EINTR, "%s: stopped", cv->what);
	(void)pthread_mutex_unlock(&job->lock);
}

static void *worker(void *arg)
{
	struct job *job = arg;
	size_t row_count;
	const struct fold *fold;
	bool *keep;

	(void)km_dataset_rows(job->cv->dataset, &row_count);
	keep = calloc(2 * row_count + 1, sizeof(*keep));
	while ((fold = take_fold(job)) != NULL) {
		struct km_err err = { .code = 0 };
		int rc = keep != NULL ? run_fold(job, *fold, keep, keep + row_count, &err)
		                      : km_err_set(&err, ENOMEM, "fold: out of memory");

		finish_fold(job, rc, &err);
	}
	free(keep);
	return NULL;
}

static int one_group(const struct crossval *cv, struct km_err *err)
{
	static const char *const words[KM_PROTOCOL_N] = { "campaign", "family", "scenario", "" };
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(cv->dataset, &row_count);

	return km_err_set(err, ENODATA,
	                  "%s: one group only, want at least two: all rows are of %s %s",
	                  km_protocol_name(cv->protocol), words[cv->protocol],
	                  km_dataset_name(cv->dataset, fold_of(row, cv->protocol).group));
}

int crossval_run(const struct crossval *cv, const struct subject *s, float *out, struct km_err *err)
{
	struct job job = { .cv = cv, .subject = s, .out = out };
	unsigned threads = cv->threads < THREADS_MAX ? cv->threads : THREADS_MAX;
	pthread_t thread[THREADS_MAX];
	unsigned started = 0;
	size_t row_count;

	(void)km_dataset_rows(cv->dataset, &row_count);
	for (size_t i = 0; i < row_count * PREDICTIONS_PER_ROW; i++)
		out[i] = NAN;
	if (!crossval_possible(cv->dataset, cv->protocol))
		return one_group(cv, err);
	if (fold_list(cv->dataset, s, cv->protocol, &job.fold, &job.fold_count) != 0)
		return km_err_set(err, ENOMEM, "cross-validation: out of memory");
	sample_folds(cv, &job);
	(void)pthread_mutex_init(&job.lock, NULL);
	while (started + 1 < threads && started + 1 < job.fold_count &&
	       pthread_create(&thread[started], NULL, worker, &job) == 0)
		started++;
	(void)worker(&job); /* this thread works too: with no other it does all */
	for (unsigned i = 0; i < started; i++)
		(void)pthread_join(thread[i], NULL);
	(void)pthread_mutex_destroy(&job.lock);
	free(job.fold);
	if (job.rc != 0 && err != NULL)
		*err = job.err;
	return job.rc;
}

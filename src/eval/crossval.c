/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grouped cross-validation: each group of rows is judged by a state that was fitted without any row
 * whose counters or whose label come from it. Folds are independent and run on several threads;
 * what they find does not depend on how many.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

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

uint32_t crossval_group(const struct km_dataset_row *row, enum km_protocol p)
{
	switch (p) {
	case KM_PROTOCOL_CAMPAIGN:
		return row->campaign;
	case KM_PROTOCOL_FAMILY:
		return row->family;
	default:
		return row->scenario;
	}
}

bool crossval_touches(const struct km_dataset_row *row, enum km_protocol p, uint32_t group)
{
	switch (p) {
	case KM_PROTOCOL_CAMPAIGN:
		return row->campaign == group || row->before_campaign == group;
	case KM_PROTOCOL_FAMILY:
		return row->family == group || row->before_family == group;
	default:
		return row->scenario == group || row->before_scenario == group;
	}
}

uint32_t *crossval_list(const struct km_dataset *d, enum km_protocol p, size_t *count)
{
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);
	uint32_t *group = calloc(row_count + 1, sizeof(*group));

	*count = 0;
	for (size_t i = 0; group != NULL && i < row_count; i++) {
		uint32_t g = crossval_group(&row[i], p);
		size_t at = 0;

		if (!row[i].score)
			continue;
		while (at < *count && group[at] != g)
			at++;
		if (at == *count)
			group[(*count)++] = g;
	}
	return group;
}

size_t crossval_groups(const struct km_dataset *d, enum km_protocol p)
{
	size_t count;

	free(crossval_list(d, p, &count));
	return count;
}

struct job {
	const struct crossval *cv;
	const struct subject *subject;
	float *out;
	uint32_t *group; /* [group_count] */
	size_t group_count;
	pthread_mutex_t lock; /* guards the rest */
	size_t next, done;
	int rc;
	struct km_err err;
};

static int run_fold(struct job *job, uint32_t group, bool *keep, bool *ask, struct km_err *err)
{
	const struct km_dataset *d = job->cv->dataset;
	size_t row_count;
	const struct km_dataset_row *row = km_dataset_rows(d, &row_count);
	struct table t = { .count = 0 };
	void *state = NULL;
	int rc;

	for (size_t i = 0; i < row_count; i++) {
		keep[i] = !crossval_touches(&row[i], job->cv->protocol, group);
		ask[i] = crossval_group(&row[i], job->cv->protocol) == group;
	}
	rc = table_build(d, job->subject, keep, &t, err);
	if (rc == -ENODATA)
		rc = km_err_prefix(err, "without %s", km_dataset_name(d, group));
	if (rc == 0)
		rc = job->subject->learner->fit(job->subject, &t, &state, err);
	if (rc == 0)
		rc = predict_rows(d, job->subject, state, ask, job->out, err);
	job->subject->learner->release(state);
	table_fini(&t);
	return rc;
}

/* The next group, or NULL when there is none or a fold failed. */
static const uint32_t *take_group(struct job *job)
{
	const uint32_t *group = NULL;

	(void)pthread_mutex_lock(&job->lock);
	if (job->rc == 0 && job->next < job->group_count)
		group = &job->group[job->next++];
	(void)pthread_mutex_unlock(&job->lock);
	return group;
}

/* The progress line is written under the lock: it belongs to one thread at a time. */
static void finish_group(struct job *job, int rc, const struct km_err *err)
{
	const struct crossval *cv = job->cv;

	(void)pthread_mutex_lock(&job->lock);
	job->done++;
	if (rc != 0 && job->rc == 0) {
		job->rc = rc;
		job->err = *err;
	}
	if (job->rc == 0 && cv->progress != NULL &&
	    cv->progress(cv->ctx, cv->what, job->done, job->group_count) != 0)
		job->rc = km_err_set(&job->err, EINTR, "%s: stopped", cv->what);
	(void)pthread_mutex_unlock(&job->lock);
}

static void *worker(void *arg)
{
	struct job *job = arg;
	size_t row_count;
	const uint32_t *group;
	bool *keep;

	(void)km_dataset_rows(job->cv->dataset, &row_count);
	keep = calloc(2 * row_count + 1, sizeof(*keep));
	while ((group = take_group(job)) != NULL) {
		struct km_err err = { .code = 0 };
		int rc = keep != NULL ? run_fold(job, *group, keep, keep + row_count, &err)
		                      : km_err_set(&err, ENOMEM, "fold: out of memory");

		finish_group(job, rc, &err);
	}
	free(keep);
	return NULL;
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
	job.group = crossval_list(cv->dataset, cv->protocol, &job.group_count);
	if (job.group == NULL)
		return km_err_set(err, ENOMEM, "cross-validation: out of memory");
	if (job.group_count < 2) {
		free(job.group);
		return km_err_set(err, ENODATA, "%s: one group only, want at least two",
		                  km_protocol_name(cv->protocol));
	}
	(void)pthread_mutex_init(&job.lock, NULL);
	while (started + 1 < threads && started + 1 < job.group_count &&
	       pthread_create(&thread[started], NULL, worker, &job) == 0)
		started++;
	(void)worker(&job); /* this thread works too: with no other it does all */
	for (unsigned i = 0; i < started; i++)
		(void)pthread_join(thread[i], NULL);
	(void)pthread_mutex_destroy(&job.lock);
	free(job.group);
	if (job.rc != 0 && err != NULL)
		*err = job.err;
	return job.rc;
}

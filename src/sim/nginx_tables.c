/* SPDX-License-Identifier: Apache-2.0 */
/* What was measured, sorted by situation; and campaigns paired for judging. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nginx_internal.h"

static int grow(void **array, size_t count, size_t size)
{
	void *grown;

	/* Powers of two, from 8: nothing has to be kept but the count. */
	if (count >= 8 ? (count & (count - 1)) != 0 : count != 0)
		return 0;
	grown = reallocarray(*array, count >= 8 ? 2 * count : 8, size);
	if (grown == NULL)
		return -ENOMEM;
	*array = grown;
	return 0;
}

static int load_of(struct nginx_tables *t, const struct km_dataset_row *r, uint32_t *out)
{
	for (uint32_t i = 0; i < t->load_count; i++) {
		if (t->load[i].replicas == r->replicas && t->load[i].rps == r->rps) {
			*out = i;
			return 0;
		}
	}
	if (grow((void **)&t->load, t->load_count, sizeof(*t->load)) != 0)
		return -ENOMEM;
	*out = (uint32_t)t->load_count;
	t->load[t->load_count++] = (struct nginx_load){ r->replicas, r->rps };
	return 0;
}

static struct nginx_state *state_of(struct nginx_tables *t, enum nginx_place p, uint32_t scenario)
{
	for (size_t i = 0; i < t->state_count[p]; i++) {
		if (t->state[p][i].scenario == scenario)
			return &t->state[p][i];
	}
	if (grow((void **)&t->state[p], t->state_count[p], sizeof(**t->state)) != 0)
		return NULL;
	t->state[p][t->state_count[p]] = (struct nginx_state){ .scenario = scenario };
	return &t->state[p][t->state_count[p]++];
}

static int add_view(struct nginx_tables *t, struct nginx_state *s, uint32_t row)
{
	size_t count;
	const struct km_dataset_row *rows = km_dataset_rows(t->data, &count);

	for (size_t i = 0; i < s->view_count; i++) {
		if (rows[s->view[i].row].view == rows[row].view)
			return 0;
	}
	if (grow((void **)&s->view, s->view_count, sizeof(*s->view)) != 0)
		return -ENOMEM;
	s->view[s->view_count++] = (struct nginx_view){ row, rows[row].before_campaign };
	return 0;
}

/* A run is in many pairs; a campaign that measured a situation twice had two results. */
static int add_run(struct nginx_state *s, const struct km_dataset_row *r, uint32_t load)
{
	for (size_t i = 0; i < s->run_count; i++) {
		if (s->run[i].campaign == r->campaign && s->run[i].load == load &&
		    s->run[i].p99_ms == r->p99_ms)
			return 0;
	}
	if (grow((void **)&s->run, s->run_count, sizeof(*s->run)) != 0)
		return -ENOMEM;
	s->run[s->run_count++] = (struct nginx_run){ r->campaign, load, r->p99_ms, r->slowdown };
	return 0;
}

static int add_row(struct nginx_tables *t, enum nginx_place p, uint32_t row, uint32_t load)
{
	size_t count;
	const struct km_dataset_row *r = &km_dataset_rows(t->data, &count)[row];
	struct nginx_state *s = state_of(t, p, r->scenario);

	if (s == NULL || add_view(t, s, row) != 0 || add_run(s, r, load) != 0)
		return -ENOMEM;
	return 0;
}

/* Exactly 1 says that nothing interfered: the same wherever it would have been. */
static bool is_quiet(const struct km_dataset_row *r)
{
	return r->norm_perf == 1;
}

int nginx_tables_init(struct nginx_tables *t, const struct km_dataset *data, struct km_err *err)
{
	size_t count;
	const struct km_dataset_row *row = km_dataset_rows(data, &count);
	int rc = 0;

	*t = (struct nginx_tables){ .data = data };
	for (uint32_t i = 0; rc == 0 && i < count; i++) {
		const struct km_dataset_row *r = &row[i];
		uint32_t load;

		t->campaigns = r->campaign >= t->campaigns ? r->campaign + 1 : t->campaigns;
		t->campaigns =
			r->before_campaign >= t->campaigns ? r->before_campaign + 1 : t->campaigns;
		/* A pair is of one mix before and after; only then is its view one of the mix. */
		if (r->kind != KM_ROW_EMPTY || !r->score || !(r->p99_ms > 0) ||
		    r->before_scenario != r->scenario)
			continue;
		rc = load_of(t, r, &load);
		for (int p = 0; rc == 0 && p < NGINX_PLACES; p++) {
			if (is_quiet(r) || r->remote == (p == NGINX_REMOTE))
				rc = add_row(t, (enum nginx_place)p, i, load);
		}
	}
	if (rc != 0)
		return km_err_set(err, ENOMEM, "nginx: out of memory");
	if (t->load_count == 0)
		return km_err_set(err, ENODATA, "nginx: no pair of kind empty with a measured p99");
	return 0;
}

void nginx_tables_fini(struct nginx_tables *t)
{
	for (int p = 0; p < NGINX_PLACES; p++) {
		for (size_t i = 0; i < t->state_count[p]; i++) {
			free(t->state[p][i].view);
			free(t->state[p][i].run);
		}
		free(t->state[p]);
	}
	free(t->load);
	*t = (struct nginx_tables){ .data = NULL };
}

uint32_t nginx_campaigns(const struct nginx_state *s, uint32_t load)
{
	uint32_t count = 0;

	for (size_t i = 0; i < s->run_count; i++) {
		size_t k = 0;

		while (k < i &&
		       (s->run[k].load != load || s->run[k].campaign != s->run[i].campaign))
			k++;
		count += s->run[i].load == load && k == i;
	}
	return count;
}

static bool has_view_of(const struct nginx_state *s, uint32_t campaign)
{
	for (size_t i = 0; i < s->view_count; i++) {
		if (s->view[i].campaign == campaign)
			return true;
	}
	return false;
}

/* Loads of one state with a run of `campaign`, and of somebody else for the oracles. */
static double runs_of(const struct nginx_state *s, uint32_t campaign)
{
	double runs = 0;

	for (size_t i = 0; i < s->run_count; i++)
		runs += s->run[i].campaign == campaign && nginx_campaigns(s, s->run[i].load) > 1;
	return runs;
}

/* What a pair of campaigns can play: states count for more than loads. */
static double worth(const struct nginx_tables *t, const struct nginx_fold *f)
{
	double sum = 0;

	for (int p = 0; p < NGINX_PLACES; p++) {
		for (size_t i = 0; i < t->state_count[p]; i++) {
			const struct nginx_state *s = &t->state[p][i];
			double runs = 0;

			for (int k = 0; k < 2; k++)
				runs += has_view_of(s, f->campaign[k])
				                ? runs_of(s, f->campaign[1 - k])
				                : 0;
			sum += sqrt(runs);
		}
	}
	return sum;
}

static double used(const struct nginx_fold *fold, uint32_t count, uint32_t campaign)
{
	double factor = 1;

	for (uint32_t i = 0; i < count; i++) {
		if (fold[i].campaign[0] == campaign || fold[i].campaign[1] == campaign)
			factor /= 2;
	}
	return factor;
}

static bool taken(const struct nginx_fold *fold, uint32_t count, const struct nginx_fold *f)
{
	for (uint32_t i = 0; i < count; i++) {
		if (fold[i].campaign[0] == f->campaign[0] && fold[i].campaign[1] == f->campaign[1])
			return true;
	}
	return false;
}

/* The best pair that is not there yet. returns false when no other can play anything. */
static bool best_pair(const struct nginx_tables *t, const struct nginx_fold *fold, uint32_t count,
                      struct nginx_fold *best)
{
	double most = 0;

	for (uint32_t a = 0; a < t->campaigns; a++) {
		for (uint32_t b = a + 1; b < t->campaigns; b++) {
			const struct nginx_fold f = { .campaign = { a, b } };
			double now = used(fold, count, a) * used(fold, count, b) * worth(t, &f);

			if (now > most && !taken(fold, count, &f)) {
				most = now;
				*best = f;
			}
		}
	}
	return most > 0;
}

uint32_t nginx_pair(const struct nginx_tables *t, struct nginx_fold fold[NGINX_FOLDS])
{
	uint32_t count = 0;

	while (count < NGINX_FOLDS && best_pair(t, fold, count, &fold[count]))
		count++;
	return count;
}

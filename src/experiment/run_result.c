/* SPDX-License-Identifier: Apache-2.0 */
/* Runs to conditions: what is the same but for the repeat belongs together. */
#include "km/experiment/run_result.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_words.h"

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *value, size_t count)
{
	if (count == 0)
		return NAN;
	qsort(value, count, sizeof(*value), by_value);
	return count % 2 == 1 ? value[count / 2] : (value[count / 2 - 1] + value[count / 2]) / 2;
}

static bool same_load(const struct km_run_record *a, const struct km_run_record *b)
{
	return a->replicas == b->replicas && a->rps == b->rps &&
	       strcmp(a->target_node, b->target_node) == 0;
}

/* Same load first, then no interference, then by stressor, level and place. */
static int by_condition(const void *a, const void *b)
{
	const struct km_run_record *x = *(const struct km_run_record *const *)a;
	const struct km_run_record *y = *(const struct km_run_record *const *)b;
	int order = strcmp(x->target_node, y->target_node);

	if (order != 0)
		return order;
	if (x->replicas != y->replicas)
		return x->replicas < y->replicas ? -1 : 1;
	if (x->rps != y->rps)
		return x->rps < y->rps ? -1 : 1;
	if (x->stressed != y->stressed)
		return x->stressed ? 1 : -1;
	if (!x->stressed)
		return 0;
	order = strcmp(x->stressor, y->stressor);
	if (order != 0)
		return order;
	if (x->level_pct != y->level_pct)
		return x->level_pct < y->level_pct ? -1 : 1;
	return strcmp(x->on, y->on);
}

/* By condition, and within one by repeat. */
static int by_condition_and_repeat(const void *a, const void *b)
{
	const struct km_run_record *x = *(const struct km_run_record *const *)a;
	const struct km_run_record *y = *(const struct km_run_record *const *)b;
	int order = by_condition(a, b);

	if (order != 0)
		return order;
	if (x->repeat != y->repeat)
		return x->repeat < y->repeat ? -1 : 1;
	return strcmp(x->id, y->id);
}

enum run_group run_group_of(const struct km_run_record *r)
{
	if (!r->stressed)
		return RUN_ALONE;
	return strcmp(r->stress_node, r->target_node) == 0 ? RUN_ON_TARGET : RUN_ELSEWHERE;
}

const char *run_group_title(enum run_group g)
{
	static const char *const titles[RUN_GROUPS] = {
		[RUN_ALONE] = "no interference",
		[RUN_ON_TARGET] = "on the target's node",
		[RUN_ELSEWHERE] = "on another node",
	};

	return titles[g];
}

double km_run_served_difference(const struct km_run_record *run)
{
	if (run->load.requests == 0)
		return NAN;
	return run->server_requests / (double)run->load.requests - 1;
}

/* As runs.csv has it: gated runs only where there are no others. scratch [runs of the source] */
static double baseline_of(const struct km_runs *all, const struct km_run_record *of,
                          double *scratch)
{
	size_t count = 0;

	for (int gated = 0; gated < 2 && count == 0; gated++) {
		for (size_t i = 0; i < all->count; i++) {
			const struct km_run_record *r = &all->run[i];

			if (!r->stressed && same_load(r, of) && r->load.p99_ms > 0 &&
			    (gated || r->gate[0] == '\0'))
				scratch[count++] = r->load.p99_ms;
		}
	}
	return median(scratch, count);
}

double km_run_slowdown(const struct km_run_result *r, const struct km_run_record *run)
{
	for (size_t i = 0; i < r->conditions; i++) {
		if (same_load(r->condition[i].example, run))
			return run->load.p99_ms / r->condition[i].baseline_ms;
	}
	return NAN;
}

/* ---- one condition ---- */

static void name_condition(struct km_run_condition *c)
{
	const struct km_run_record *r = c->example;

	if (r->stressed)
		(void)snprintf(c->title, sizeof(c->title), "%.24s %u %% on %.24s", r->stressor,
		               r->level_pct, r->on);
	else
		(void)snprintf(c->title, sizeof(c->title), "no interference");
}

/* The slowdown of each repeat, and the least and most of them. run [count], by repeat. */
static void fill_repeats(struct km_run_condition *c, const struct km_run_record *const *run,
                         size_t count)
{
	double low = INFINITY;
	double high = -INFINITY;

	for (size_t i = 0; i < count;) {
		double sum = 0;
		size_t to = i;

		for (; to < count && run[to]->repeat == run[i]->repeat; to++)
			sum += log(run[to]->load.p99_ms / c->baseline_ms);
		sum = exp(sum / (double)(to - i));
		low = fmin(low, sum);
		high = fmax(high, sum);
		c->repeats++;
		i = to;
	}
	c->slowdown_low = c->repeats > 1 && !isinf(low) ? low : (double)NAN;
	c->slowdown_high = c->repeats > 1 && !isinf(high) ? high : (double)NAN;
}

static void fill_condition(const struct km_runs *all, struct km_run_condition *c,
                           const struct km_run_record *const *run, size_t count, double *scratch)
{
	double sum = 0;
	double utilisation = 0;
	double busy = 0;

	c->example = run[0];
	c->runs = count;
	c->least_ms = INFINITY;
	c->most_ms = -INFINITY;
	name_condition(c);
	c->baseline_ms = baseline_of(all, run[0], scratch);
	for (size_t i = 0; i < count; i++) {
		double p99 = run[i]->load.p99_ms;

		scratch[i] = p99;
		c->least_ms = fmin(c->least_ms, p99);
		c->most_ms = fmax(c->most_ms, p99);
		sum += log(p99 / c->baseline_ms);
		utilisation += run[i]->during.target_utilisation;
		busy += run[i]->before.busy_cpus;
		c->saturated += run[i]->saturated;
	}
	c->median_ms = median(scratch, count);
	c->slowdown = exp(sum / (double)count);
	c->utilisation = utilisation / (double)count;
	c->busy_before = busy / (double)count;
	fill_repeats(c, run, count);
}

/* run [count] of those with a p99, sorted: a condition for each stretch of equal ones. */
static void find_conditions(struct km_run_result *r, const struct km_run_record *const *run,
                            size_t count, double *scratch)
{
	for (size_t i = 0; i < count;) {
		size_t to = i + 1;

		while (to < count && by_condition(&run[i], &run[to]) == 0)
			to++;
		fill_condition(r->source, &r->condition[r->conditions++], run + i, to - i, scratch);
		i = to;
	}
}

static void count_marks(struct km_run_result *r)
{
	for (size_t i = 0; i < r->source->count; i++) {
		const struct km_run_record *run = &r->source->run[i];

		r->kept += run->gate[0] != '\0';
		r->saturated += run->saturated;
		r->with_errors += run->load.errors > 0;
		r->served_apart += fabs(km_run_served_difference(run)) > KM_RUN_SERVED_APART;
		r->no_p99 += !(run->load.p99_ms > 0);
	}
	r->runs = r->source->count;
	r->gated = r->source->gated_count;
}

int km_run_summarise(const struct km_runs *runs, struct km_run_result *out, struct km_err *err)
{
	const struct km_run_record **run = calloc(runs->count + 1, sizeof(const void *));
	double *scratch = calloc(runs->count + 1, sizeof(*scratch));
	size_t count = 0;
	int rc = 0;

	*out = (struct km_run_result){ .source = runs };
	out->condition = calloc(runs->count + 1, sizeof(*out->condition));
	if (run == NULL || scratch == NULL || out->condition == NULL) {
		rc = km_err_set(err, ENOMEM, "out of memory");
	} else if (runs->count == 0 && runs->unreadable > 0) {
		rc = km_err_set(err, ENODATA, "not one run that can be read: %.140s",
		                runs->why.text);
	} else if (runs->count == 0) {
		rc = km_err_set(err, ENODATA, "no run is finished yet");
	} else {
		for (size_t i = 0; i < runs->count; i++) {
			if (runs->run[i].load.p99_ms > 0)
				run[count++] = &runs->run[i];
		}
		/* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers are what is sorted */
		qsort(run, count, sizeof(*run), by_condition_and_repeat);
		find_conditions(out, run, count, scratch);
		count_marks(out);
	}
	free(scratch);
	free(run);
	if (rc != 0)
		km_run_result_fini(out);
	return rc;
}

void km_run_result_fini(struct km_run_result *r)
{
	free(r->condition);
	*r = (struct km_run_result){ .source = NULL };
}

/* SPDX-License-Identifier: Apache-2.0 */
/* An experiment's runs as a page: slowdown by condition, distributions, drift, every run. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/file.h"
#include "km/wire/leaves.h"

#include "run_words.h"

#define PATH_BYTES       4096
#define PROVENANCE_BYTES (1u << 20)
#define TITLE_MAX        (KM_LEAVES_VALUE_MAX + 16)

/* ---- conditions ---- */

static void put_conditions(struct km_page *p, const struct km_run_result *r)
{
	static const struct km_page_column columns[] = {
		{ "condition", false },  { "runs", true },        { "median p99, ms", true },
		{ "slowdown", true },    { "busy before", true }, { "target busy", true },
		{ "marked busy", true },
	};
	char load[400];

	km_page_table_begin(p, "Runs that differ in nothing but repeat", columns,
	                    KM_ARRAY_LEN(columns), false);
	for (size_t i = 0; i < r->conditions; i++) {
		const struct km_run_condition *c = &r->condition[i];

		(void)snprintf(load, sizeof(load), "%s, %u replicas, %g requests/s",
		               c->example->target_node, c->example->replicas, c->example->rps);
		km_page_row(p, !c->example->stressed);
		km_page_cell(p, c->title, load);
		km_page_number(p, (double)c->runs, NAN, NAN, 0);
		km_page_number(p, c->median_ms, c->least_ms, c->most_ms, 3);
		km_page_number(p, c->slowdown, c->slowdown_low, c->slowdown_high, 2);
		km_page_number(p, c->busy_before, NAN, NAN, 2);
		km_page_number(p, c->utilisation, NAN, NAN, 2);
		km_page_number(p, (double)c->saturated, NAN, NAN, 0);
	}
	km_page_table_end(p, false);
}

static bool same_load(const struct km_run_condition *a, const struct km_run_condition *b)
{
	return a->example->replicas == b->example->replicas && a->example->rps == b->example->rps &&
	       strcmp(a->example->target_node, b->example->target_node) == 0;
}

/* Is a run one of the condition's? */
static bool is_of(const struct km_run_condition *c, const struct km_run_record *run)
{
	const struct km_run_record *e = c->example;

	return e->replicas == run->replicas && e->rps == run->rps && e->stressed == run->stressed &&
	       e->level_pct == run->level_pct && strcmp(e->target_node, run->target_node) == 0 &&
	       strcmp(e->stressor, run->stressor) == 0 && strcmp(e->on, run->on) == 0;
}

/* Every run's slowdown, on the line of its condition. returns how many. */
static size_t scatter(const struct km_run_result *r, const struct km_run_condition *c,
                      size_t conditions, double *slowdown, double *at)
{
	size_t count = 0;

	for (size_t k = 0; k < conditions; k++) {
		for (size_t i = 0; i < r->source->count; i++) {
			if (!is_of(&c[k], &r->source->run[i]))
				continue;
			slowdown[count] = km_run_slowdown(r, &r->source->run[i]);
			at[count++] = (double)k;
		}
	}
	return count;
}

/* Conditions [count] of one load, a bar each; memory [2 (count + runs)]. */
static void plot_load(struct km_page *p, const struct km_run_result *r,
                      const struct km_run_condition *c, size_t count, double *memory,
                      const char **category)
{
	double *mean = memory;
	double *at = memory + count;
	double *single = memory + 2 * count;
	double *single_at = single + r->source->count;
	struct km_plot plot;
	char caption[RUN_WORDS_MAX];

	for (size_t i = 0; i < count; i++) {
		category[i] = c[i].title;
		mean[i] = c[i].slowdown;
		at[i] = (double)i;
	}
	km_plot_init(&plot, "Slowdown by stressor and level", "slowdown", NULL);
	plot.category = category;
	plot.category_count = count;
	(void)km_plot_add(&plot, KM_PLOT_BARS, "mean", mean, at, count);
	(void)km_plot_add(&plot, KM_PLOT_POINTS, "a run", single, single_at,
	                  scatter(r, c, count, single, single_at));
	(void)snprintf(caption, sizeof(caption),
	               "%.60s, %u replicas, %g requests/s: p99 over that without interference. "
	               "Bars are geometric means, points single runs.",
	               c->example->target_node, c->example->replicas, c->example->rps);
	km_page_plot(p, &plot, caption);
}

static void plot_conditions(struct km_page *p, const struct km_run_result *r)
{
	double *memory = calloc(2 * (r->conditions + r->source->count) + 1, sizeof(*memory));
	const char **category = calloc(r->conditions + 1, sizeof(const char *));

	if (memory == NULL || category == NULL)
		p->out->failed = true;
	for (size_t i = 0; memory != NULL && category != NULL && i < r->conditions;) {
		size_t to = i + 1;

		while (to < r->conditions && same_load(&r->condition[i], &r->condition[to]))
			to++;
		plot_load(p, r, &r->condition[i], to - i, memory, category);
		i = to;
	}
	free(category);
	free(memory);
}

/* ---- distributions and drift ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

/* p99 of a group [returned]; x: minutes since the first run, or p99 sorted when share. */
static size_t group_points(const struct km_run_result *r, enum run_group g, bool share, double *x,
                           double *y)
{
	const struct km_run_record *run = r->source->run;
	size_t count = 0;

	for (size_t i = 0; i < r->source->count; i++) {
		if (run_group_of(&run[i]) != g || !(run[i].load.p99_ms > 0))
			continue;
		x[count] = share ? run[i].load.p99_ms
		                 : (double)(run[i].start_unix_ms - run[0].start_unix_ms) / 60000;
		y[count++] = run[i].load.p99_ms;
	}
	if (share && count > 0) {
		qsort(x, count, sizeof(*x), by_value);
		for (size_t i = 0; i < count; i++)
			y[i] = 100 * (double)(i + 1) / (double)count;
	}
	return count;
}

static void plot_groups(struct km_page *p, const struct km_run_result *r, bool share)
{
	size_t runs = r->source->count;
	double *memory = calloc((size_t)2 * RUN_GROUPS * runs + 1, sizeof(*memory));
	struct km_plot plot;

	if (memory == NULL) {
		p->out->failed = true;
		return;
	}
	if (share)
		km_plot_init(&plot, "Distribution of p99", "p99 of a run, ms",
		             "runs up to there, %");
	else
		km_plot_init(&plot, "p99 over the experiment", "minutes since the first run",
		             "p99 of a run, ms");
	plot.y_min = 0;
	for (int g = 0; g < RUN_GROUPS; g++) {
		double *x = memory + 2 * (size_t)g * runs;
		size_t count = group_points(r, (enum run_group)g, share, x, x + runs);

		if (count > 0)
			(void)km_plot_add(&plot, share ? KM_PLOT_MARKED : KM_PLOT_POINTS,
			                  run_group_title((enum run_group)g), x, x + runs, count);
	}
	km_page_plot(p, &plot,
	             share ? "The share of runs with a p99 of at most so much, over all levels "
	                     "and loads."
	                   : "A drift would show here: conditions come in an order of their own "
	                     "in each repeat.");
	free(memory);
}

/* ---- every run ---- */

static void list_marks(const struct km_run_record *run, char *out, size_t size)
{
	const struct {
		bool there;
		const char *text;
	} marks[] = {
		{ run->saturated, "busy CPUs" },
		{ run->load.errors > 0, "failed requests" },
		{ fabs(km_run_served_difference(run)) > KM_RUN_SERVED_APART, "counts differ" },
	};
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < KM_ARRAY_LEN(marks) && len < size; i++) {
		if (marks[i].there)
			len += (size_t)snprintf(out + len, size - len, "%s%s", len > 0 ? ", " : "",
			                        marks[i].text);
	}
}

static void put_runs(struct km_page *p, const struct km_run_result *r, const char *caption,
                     const struct km_run_record *run, size_t count)
{
	static const struct km_page_column columns[] = {
		{ "run", false },       { "attempt", true },      { "p99, ms", true },
		{ "slowdown", true },   { "requests", true },     { "by the service", true },
		{ "achieved/s", true }, { "foreign CPUs", true }, { "target busy", true },
		{ "marks", false },
	};
	char marks[128];

	km_page_table_begin(p, caption, columns, KM_ARRAY_LEN(columns), true);
	for (size_t i = 0; i < count; i++) {
		km_page_row(p, false);
		km_page_cell(p, run[i].id, "");
		km_page_number(p, run[i].attempt, NAN, NAN, 0);
		km_page_number(p, run[i].load.p99_ms, NAN, NAN, 3);
		km_page_number(p, km_run_slowdown(r, &run[i]), NAN, NAN, 2);
		km_page_number(p, (double)run[i].load.requests, NAN, NAN, 0);
		km_page_number(p, run[i].server_requests, NAN, NAN, 0);
		km_page_number(p, run[i].load.achieved_rps, NAN, NAN, 1);
		km_page_number(p, fmax(run[i].before.foreign_cpus, run[i].during.foreign_cpus), NAN,
		               NAN, 2);
		km_page_number(p, run[i].during.target_utilisation, NAN, NAN, 2);
		list_marks(&run[i], marks, sizeof(marks));
		km_page_cell(p, marks, run[i].gate);
	}
	km_page_table_end(p, true);
}

static void put_all(struct km_page *p, const struct km_run_result *r)
{
	const struct km_runs *s = r->source;

	km_page_section(p, "Runs");
	put_runs(p, r, "Every run", s->run, s->count);
	if (s->gated_count > 0)
		put_runs(p, r, "Made again: these attempts do not count", s->gated, s->gated_count);
	else
		km_page_text(p, "Nothing was made again.");
}

/* ---- set-up and notes ---- */

static void put_leaf(void *ctx, const char *path, const char *value)
{
	km_page_term(ctx, path, value);
}

static void take_name(void *ctx, const char *path, const char *value)
{
	if (strcmp(path, "name") == 0)
		(void)snprintf(ctx, TITLE_MAX, "Experiment: %s", value);
}

/* Hands every leaf of the folder's provenance, its number from 1, to `leaf`. returns 0, or why
 * there is none. */
static int read_provenance(const char *dir, int number, km_leaf_fn *leaf, void *ctx)
{
	char name[40] = "provenance.json";
	char path[PATH_BYTES];
	struct km_buf text;
	int rc = -ENAMETOOLONG;

	if (number > 1)
		(void)snprintf(name, sizeof(name), "provenance.%d.json", number);
	km_buf_init(&text);
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path))
		rc = km_file_read(path, PROVENANCE_BYTES, &text, NULL);
	if (rc == 0)
		rc = km_json_leaves(text.data, text.len, leaf, ctx, NULL);
	km_buf_fini(&text);
	return rc;
}

static void pass_over(void *ctx, const char *path, const char *value)
{
	(void)ctx;
	(void)path;
	(void)value;
}

static void put_setup(struct km_page *p, const char *dir)
{
	km_page_section(p, "Set-up");
	km_page_terms_begin(p);
	if (read_provenance(dir, 1, put_leaf, p) != 0)
		km_page_term(p, "provenance.json", "not there, or not readable");
	km_page_terms_end(p);
	for (int n = 2; read_provenance(dir, n, pass_over, NULL) == 0; n++) {
		km_page_warn(p, "The experiment went on under another set-up:");
		km_page_terms_begin(p);
		(void)read_provenance(dir, n, put_leaf, p);
		km_page_terms_end(p);
	}
}

static void put_notes(struct km_page *p, const struct km_run_result *r)
{
	static const char *const limits[] = {
		"Slowdown is p99 over the median p99 of runs without interference on the same "
		"node, with the same replicas and load, over the whole experiment.",
		"Spreads are over repeats on one machine: they say nothing of another one.",
		"Above saturation p99 says how long the queue grew, not how slow the service is: "
		"such runs are marked, and interference on the target's CPUs counts as use.",
		"Percentiles are the load generator's own. A closed loop hides waiting.",
		"Stressors are synthetic. A virtual machine without a PMU shows contention for "
		"CPU time, not for caches or memory bandwidth.",
	};
	char text[RUN_WORDS_MAX];

	km_page_section(p, "What speaks against it, and limits");
	for (size_t i = 0; run_note(r, i, text); i++)
		km_page_text(p, text);
	for (size_t i = 0; i < KM_ARRAY_LEN(limits); i++)
		km_page_text(p, limits[i]);
}

int km_run_result_html(const struct km_run_result *r, const char *dir,
                       const struct km_plotter *plotter, struct km_buf *out, struct km_err *missing)
{
	char title[TITLE_MAX] = "Experiment";
	char subtitle[128];
	struct km_page p;

	(void)read_provenance(dir, 1, take_name, title); /* without one it has no name */
	(void)snprintf(subtitle, sizeof(subtitle), "%zu runs in %zu conditions, %zu attempts again",
	               r->runs, r->conditions, r->gated);
	km_page_begin(&p, out, plotter, title, subtitle);
	km_page_section(&p, "Slowdown by interference");
	plot_conditions(&p, r);
	put_conditions(&p, r);
	km_page_section(&p, "Latency");
	plot_groups(&p, r, true);
	plot_groups(&p, r, false);
	run_put_traces(&p, r, dir);
	put_all(&p, r);
	put_notes(&p, r);
	put_setup(&p, dir);
	km_page_end(&p);
	if (missing != NULL)
		*missing = p.trouble;
	return km_buf_ok(out) ? 0 : -ENOMEM;
}

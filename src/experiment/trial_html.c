/* SPDX-License-Identifier: Apache-2.0 */
/* A trial as a page: what was played with, verdicts, choices, every play, and what it cannot say.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "km/base/file.h"
#include "km/experiment/arm.h"
#include "km/experiment/trial_report.h"
#include "km/wire/leaves.h"

#include "trial_page.h"

#define PATH_BYTES 4096
#define CARD_BYTES (4u << 20)

static void put_setup(struct km_page *p, const struct km_trial_setup *s)
{
	const struct {
		const char *term, *text;
	} texts[] = {
		{ "processor", s->cpu }, { "kernel", s->kernel },       { "system", s->system },
		{ "target", s->target }, { "generator", s->generator }, { "isolation", s->groups },
		{ "model", s->model },   { "counters", s->tier },       { "program", s->version },
	};
	char text[64];

	km_page_section(p, "Set-up");
	km_page_terms_begin(p);
	for (size_t i = 0; i < KM_ARRAY_LEN(texts); i++)
		km_page_term(p, texts[i].term,
		             texts[i].text[0] != '\0' ? texts[i].text : "not recorded");
	(void)snprintf(text, sizeof(text), "%.0f", s->cpus);
	km_page_term(p, "logical CPUs", isnan(s->cpus) ? "not recorded" : text);
	(void)snprintf(text, sizeof(text), "%g s of counters, in bins of %g s", s->window_s,
	               s->bin_s);
	km_page_term(p, "window", isnan(s->window_s) ? "not recorded" : text);
	km_page_terms_end(p);
}

/* Not the lists: features, ranges and intervals belong to `kubemarla model show`. */
static void put_leaf(void *ctx, const char *path, const char *value)
{
	static const char *const lists[] = { "features.", "intervals.", "classes." };

	for (size_t i = 0; i < KM_ARRAY_LEN(lists); i++) {
		if (strncmp(path, lists[i], strlen(lists[i])) == 0)
			return;
	}
	km_page_term(ctx, path, value);
}

static void put_model(struct km_page *p, const char *dir)
{
	char path[PATH_BYTES];
	struct km_buf text;

	km_buf_init(&text);
	if (snprintf(path, sizeof(path), "%s/trial/model.json", dir) < (int)sizeof(path) &&
	    km_file_read(path, CARD_BYTES, &text, NULL) == 0) {
		km_page_section(p, "Model");
		km_page_text(p, "What it says of itself, its figures in training among it:");
		km_page_terms_begin(p);
		if (km_json_leaves(text.data, text.len, put_leaf, p, NULL) != 0)
			km_page_term(p, "model.json", "not readable");
		km_page_terms_end(p);
	}
	km_buf_fini(&text);
}

/* ---- verdicts ---- */

static void put_figures(struct km_page *p, const struct km_trial_result *r)
{
	km_page_figures_begin(p);
	for (size_t i = 0; i < r->versus_count; i++) {
		const struct km_paired *v = &r->versus[i].all;
		char name[64];
		char value[32];
		char note[96];

		(void)snprintf(name, sizeof(name), "p99 against %s", r->arm[r->versus[i].arm].name);
		(void)snprintf(value, sizeof(value), "%+.1f %%", trial_percent(v->mean));
		if (isnan(v->low))
			(void)snprintf(note, sizeof(note), "%s", km_verdict_text(v->verdict));
		else
			(void)snprintf(note, sizeof(note), "%+.1f to %+.1f: %s",
			               trial_percent(v->low), trial_percent(v->high),
			               km_verdict_text(v->verdict));
		km_page_figure(p, name, v->pairs > 0 ? value : "-", note);
	}
	km_page_figures_end(p);
}

static void plot_verdicts(struct km_page *p, const struct km_trial_result *r)
{
	const char *category[KM_PLAN_ARM_N];
	double at[KM_PLAN_ARM_N];
	double mean[KM_PLAN_ARM_N];
	double low[KM_PLAN_ARM_N];
	double high[KM_PLAN_ARM_N];
	const double zero_x[] = { -0.5, (double)r->versus_count - 0.5 };
	const double zero_y[] = { 0, 0 };
	struct km_plot_series *points;
	struct km_plot plot;

	for (size_t i = 0; i < r->versus_count; i++) {
		const struct km_paired *v = &r->versus[i].all;

		category[i] = r->arm[r->versus[i].arm].name;
		at[i] = (double)i;
		mean[i] = trial_percent(v->mean);
		low[i] = isnan(v->low) ? mean[i] : trial_percent(v->low);
		high[i] = isnan(v->low) ? mean[i] : trial_percent(v->high);
	}
	km_plot_init(&plot, "p99 against other arms", NULL, "difference of p99, %");
	plot.category = category;
	plot.category_count = r->versus_count;
	plot.x_min = -0.5;
	plot.x_max = (double)r->versus_count - 0.5;
	points = km_plot_add(&plot, KM_PLOT_POINTS, NULL, at, mean, r->versus_count);
	points->low = low;
	points->high = high;
	(void)km_plot_add(&plot, KM_PLOT_GUIDE, NULL, zero_x, zero_y, 2);
	km_page_plot(p, &plot,
	             "The first arm's p99 against each other arm's in the same episodes: below 0 "
	             "it is faster. Whiskers are 95 % intervals; one that holds 0 shows nothing.");
}

static void put_verdicts(struct km_page *p, const struct km_trial_result *r)
{
	char text[TRIAL_WORDS_MAX];

	km_page_section(p, "Verdicts");
	put_figures(p, r);
	for (size_t i = 0; i < r->versus_count; i++) {
		(void)trial_verdict_words(r, &r->versus[i], text);
		if (r->versus[i].all.verdict == KM_VERDICT_TOO_FEW)
			km_page_warn(p, text);
		else
			km_page_text(p, text);
	}
	if (r->versus_count > 0)
		plot_verdicts(p, r);
}

/* ---- arms ---- */

static void put_share(struct km_page *p, size_t part, size_t of)
{
	char value[24];
	char note[32];

	if (of == 0) {
		km_page_cell(p, "-", "");
		return;
	}
	(void)snprintf(value, sizeof(value), "%.0f %%", 100 * (double)part / (double)of);
	(void)snprintf(note, sizeof(note), "%zu of %zu", part, of);
	km_page_cell(p, value, note);
}

static const char *help_of(const char *name)
{
	for (int a = 0; a < KM_PLAN_ARM_N; a++) {
		if (strcmp(name, km_plan_arm_name((enum km_plan_arm)a)) == 0)
			return km_arm_help((enum km_plan_arm)a);
	}
	return "";
}

static void put_arms(struct km_page *p, const struct km_trial_result *r)
{
	static const struct km_page_column columns[] = {
		{ "arm", false },         { "plays", true },
		{ "mean p99, ms", true }, { "median p99, ms", true },
		{ "slowdown", true },     { "beyond SLO", true },
		{ "on stressed", true },  { "right where arms differ", true },
		{ "regret %", true },
	};

	km_page_section(p, "Arms");
	km_page_table_begin(p, "All arms, in the same episodes", columns, KM_ARRAY_LEN(columns),
	                    false);
	for (size_t i = 0; i < r->arms; i++) {
		const struct km_trial_arm *a = &r->arm[i];

		km_page_row(p, i == 0);
		km_page_cell(p, a->name, help_of(a->name));
		km_page_number(p, (double)a->plays, NAN, NAN, 0);
		km_page_number(p, a->mean_ms, NAN, NAN, 3);
		km_page_number(p, a->median_ms, NAN, NAN, 3);
		km_page_number(p, a->slowdown, NAN, NAN, 2);
		put_share(p, a->violations, a->judged);
		put_share(p, a->on_stressed, a->replicas);
		put_share(p, a->right, a->comparable);
		km_page_number(p, 100 * a->regret, NAN, NAN, 1);
	}
	km_page_table_end(p, false);
	trial_plot_spread(p, r);
	trial_put_alone(p, r);
}

static void put_terms(struct km_page *p)
{
	static const char *const terms[][2] = {
		{ "p99", "99th percentile of latency, as the load generator reports it." },
		{ "slowdown", "p99 over the median p99 of plays without interference on the same "
		              "node; a geometric mean." },
		{ "right where arms differ",
		  "The node that was taken had the lowest p99 of those that any arm's play "
		  "measured in the episode. Only episodes count in which arms took different "
		  "nodes: where all took the same one, nobody knows the other." },
		{ "regret", "p99 above that lowest one, a geometric mean. An arm's own plays are "
		            "among what it is compared with. In the same episodes." },
		{ "marked plays", "Kept although a gate speaks against them, with failed requests, "
		                  "or chosen without a whole prediction." },
	};

	km_page_terms_begin(p);
	for (size_t i = 0; i < KM_ARRAY_LEN(terms); i++)
		km_page_term(p, terms[i][0], terms[i][1]);
	km_page_terms_end(p);
}

static void put_notes(struct km_page *p, const struct km_trial_result *r, const char *command)
{
	static const char *const limits[] = {
		"Each interval stands for itself: of twenty comparisons without any difference, "
		"one is expected to show one.",
		"Repeats are drawn, because plays of one repeat share the state of the machine. "
		"Five repeats are few: an interval says what these repeats say, not what another "
		"machine would.",
		"Nodes of an episode differ by design: in a share of them (trial.quiet) one is "
		"free of interference, in the others kinds or levels differ. How it is where "
		"nodes are alike is not asked here: there is nothing to gain.",
		"Stressors and load are synthetic. Counters of a virtual machine without a PMU "
		"show contention for CPU time, not for caches or memory bandwidth.",
	};
	char text[TRIAL_WORDS_MAX];

	km_page_section(p, "What speaks against it, and limits");
	for (size_t i = 0; trial_note(r, i, text); i++)
		km_page_text(p, text);
	for (size_t i = 0; i < KM_ARRAY_LEN(limits); i++)
		km_page_text(p, limits[i]);
	if (command != NULL) {
		(void)snprintf(text, sizeof(text),
		               "Every figure follows from the recorded plays: %s", command);
		km_page_text(p, text);
	}
	put_terms(p);
}

int km_trial_result_html(const struct km_trial_result *r, const struct km_trial_setup *setup,
                         const char *dir, const char *command, const struct km_plotter *plotter,
                         struct km_buf *out, struct km_err *missing)
{
	char title[KM_TRIAL_SETUP_TEXT_MAX + 32];
	char subtitle[128];
	struct km_page p;

	(void)snprintf(title, sizeof(title), "Trial%s%s", setup->name[0] != '\0' ? ": " : "",
	               setup->name);
	(void)snprintf(subtitle, sizeof(subtitle),
	               "%zu plays, %zu episodes in %zu repeats on %zu nodes", r->plays, r->episodes,
	               r->repeats, r->nodes);
	km_page_begin(&p, out, plotter, title, subtitle);
	put_verdicts(&p, r);
	put_arms(&p, r);
	trial_put_choices(&p, r);
	trial_put_plays(&p, r);
	put_notes(&p, r, command);
	put_setup(&p, setup);
	if (dir != NULL)
		put_model(&p, dir);
	km_page_end(&p);
	if (missing != NULL)
		*missing = p.trouble;
	return km_buf_ok(out) ? 0 : -ENOMEM;
}

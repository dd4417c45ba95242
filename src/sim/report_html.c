/* SPDX-License-Identifier: Apache-2.0 */
/* The report as a page: for each setting what we are against, a table, a plot. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "km/report/page.h"

#include "sim_internal.h"

#define DASH     "\xe2\x80\x93"
#define TEXT_MAX 512

/* Columns of a table. */
static const struct {
	enum km_sim_metric metric;
	const char *title;
	double scale;
	int decimals;
} columns[] = {
	{ KM_SIM_COST, "cost", 1, 3 },
	{ KM_SIM_OWN, "own slowdown", 1, 3 },
	{ KM_SIM_OTHERS, "incumbent's", 1, 3 },
	{ KM_SIM_P95, "p95", 1, 2 },
	{ KM_SIM_VIOLATIONS, "beyond limit %", 100, 1 },
	{ KM_SIM_REGRET, "regret %", 100, 1 },
	{ KM_SIM_CLOSED, "gap closed %", 100, 1 },
	{ KM_SIM_RIGHT, "right %", 100, 1 },
	{ KM_SIM_MOVES, "moves %", 100, 1 },
	{ KM_SIM_AGAINST, "ours against it %", 100, 1 },
};

#define COLUMNS KM_ARRAY_LEN(columns)

static bool is_shown(const struct km_sim_setting *s, size_t column)
{
	for (size_t a = 0; a < KM_SIM_ARM_N; a++) {
		if (s->arm[a].there && !isnan(s->arm[a].metric[columns[column].metric].value))
			return true;
	}
	return false;
}

static void put_figure(struct km_page *p, const char *name, const struct km_sim_number *n,
                       double scale, int decimals)
{
	char value[32] = DASH;
	char note[64] = "";

	if (isfinite(n->value))
		(void)snprintf(value, sizeof(value), "%.*f", decimals, scale * n->value);
	if (isfinite(n->low))
		(void)snprintf(note, sizeof(note), "%.*f to %.*f", decimals, scale * n->low,
		               decimals, scale * n->high);
	km_page_figure(p, name, value, note);
}

static void put_figures(struct km_page *p, const struct km_sim_setting *s)
{
	const struct km_sim_arm_result *ours = &s->arm[KM_SIM_OURS];

	km_page_figures_begin(p);
	put_figure(p, "gap closed, %", &ours->metric[KM_SIM_CLOSED], 100, 1);
	put_figure(p, "cost of ours", &ours->metric[KM_SIM_COST], 1, 3);
	put_figure(p, "against random, %", &s->arm[KM_SIM_RANDOM].metric[KM_SIM_AGAINST], 100, 1);
	if (s->arm[KM_SIM_LATE_ORACLE].there)
		put_figure(p, "against the late oracle, %",
		           &s->arm[KM_SIM_LATE_ORACLE].metric[KM_SIM_AGAINST], 100, 1);
	km_page_figures_end(p);
}

static void put_table(struct km_page *p, const struct km_sim_setting *s)
{
	struct km_page_column shown[COLUMNS + 1] = { { "policy", false } };
	size_t count = 1;

	for (size_t c = 0; c < COLUMNS; c++) {
		if (is_shown(s, c))
			shown[count++] = (struct km_page_column){ columns[c].title, true };
	}
	km_page_table_begin(p, "All policies, in the same situations", shown, count, false);
	for (size_t a = 0; a < KM_SIM_ARM_N; a++) {
		if (!s->arm[a].there)
			continue;
		km_page_row(p, a == KM_SIM_OURS);
		km_page_cell(p, km_sim_arm_name((enum km_sim_arm)a),
		             km_sim_arm_help((enum km_sim_arm)a));
		for (size_t c = 0; c < COLUMNS; c++) {
			const struct km_sim_number *n = &s->arm[a].metric[columns[c].metric];

			if (is_shown(s, c))
				km_page_number(p, columns[c].scale * n->value,
				               columns[c].scale * n->low,
				               columns[c].scale * n->high, columns[c].decimals);
		}
	}
	km_page_table_end(p, false);
}

static void put_plot(struct km_page *p, const struct km_sim_setting *s)
{
	const char *category[KM_SIM_ARM_N];
	double closed[KM_SIM_ARM_N];
	double at[KM_SIM_ARM_N];
	struct km_plot plot;
	size_t count = 0;

	for (size_t a = 0; a < KM_SIM_ARM_N; a++) {
		if (!s->arm[a].there || a == KM_SIM_RANDOM)
			continue;
		category[count] = km_sim_arm_name((enum km_sim_arm)a);
		closed[count] = 100 * s->arm[a].metric[KM_SIM_CLOSED].value;
		at[count] = (double)count;
		count++;
	}
	km_plot_init(&plot, s->title, "of the gap from random to the oracle, %", NULL);
	plot.category = category;
	plot.category_count = count;
	(void)km_plot_add(&plot, KM_PLOT_BARS, NULL, closed, at, count);
	km_page_plot(p, &plot,
	             s->null_check
	                     ? "Labels were permuted before anything was learned: what is left "
	                       "of ours is chance."
	                     : "Random placement is at 0, an oracle at 100.");
}

static void put_setting(struct km_page *p, const struct km_sim_setting *s)
{
	char text[TEXT_MAX];

	(void)snprintf(text, sizeof(text), "%s: %s", s->name, s->title);
	km_page_section(p, text);
	(void)snprintf(
		text, sizeof(text),
		"%llu decisions. Cost is in %s. Small figures are 95 %% intervals, by drawing "
		"%zu %s anew (bootstrap).",
		(unsigned long long)s->decisions, s->unit, s->clusters, s->cluster);
	km_page_text(p, text);
	put_figures(p, s);
	put_table(p, s);
	put_plot(p, s);
}

static void put_bursts(struct km_page *p, const struct km_sim_report *r)
{
	static const struct km_page_column shown[] = {
		{ "burst", false },   { "nodes", true },           { "pods", true },
		{ "pods/s", true },   { "lag, s", true },          { "fullest / mean node", true },
		{ "slowdown", true }, { "beyond least, %", true },
	};

	if (r->burst_count == 0)
		return;
	km_page_section(p, "Bursts");
	km_page_warn(p, "Made up: nothing in this table was measured. The decisions are the "
	                "daemon's own code.");
	km_page_table_begin(p, "Pods that come faster than counters", shown, KM_ARRAY_LEN(shown),
	                    false);
	for (size_t i = 0; i < r->burst_count; i++) {
		const struct km_sim_burst *b = &r->burst[i];

		km_page_row(p, b->ledger);
		km_page_cell(p, b->name, "");
		km_page_number(p, b->nodes, NAN, NAN, 0);
		km_page_number(p, b->pods, NAN, NAN, 0);
		km_page_number(p, b->pods_per_s, NAN, NAN, 0);
		km_page_number(p, b->lag_s, NAN, NAN, 0);
		km_page_number(p, b->max_over_mean, NAN, NAN, 2);
		km_page_number(p, b->slowdown, NAN, NAN, 3);
		km_page_number(p, 100 * b->regret, NAN, NAN, 1);
	}
	km_page_table_end(p, false);
}

static void put_notes(struct km_page *p, const struct km_buf *notes)
{
	const char *at = notes->data;
	size_t left = notes->len;

	km_page_section(p, "What to know");
	while (left > 0) {
		char text[TEXT_MAX];
		const char *end = memchr(at, '\n', left);
		size_t len = end != NULL ? (size_t)(end - at) : left;

		(void)snprintf(text, sizeof(text), "%.*s", (int)len, at);
		km_page_text(p, text);
		len += end != NULL;
		at += len;
		left -= len;
	}
}

static void put_terms(struct km_page *p)
{
	static const char *const terms[][2] = {
		{ "gap closed", "(random - policy) / (random - oracle), of the mean cost." },
		{ "regret", "Mean cost above the oracle's." },
		{ "right", "Decisions that hindsight would not change." },
		{ "moves", "Decisions for another node than the one before." },
		{ "beyond limit",
		  "Decisions after which the pod or the incumbent was slower than it "
		  "tolerates." },
		{ "oracle",
		  "Knows the situation from other recordings of it; where there is only one "
		  "(co-runs), it chooses by what it is judged by." },
	};

	km_page_terms_begin(p);
	for (size_t i = 0; i < KM_ARRAY_LEN(terms); i++)
		km_page_term(p, terms[i][0], terms[i][1]);
	km_page_terms_end(p);
}

int km_sim_report_html(const struct km_sim_report *r, const struct km_plotter *plotter,
                       struct km_buf *out, struct km_err *missing)
{
	struct km_page p;
	char text[TEXT_MAX];

	(void)snprintf(text, sizeof(text), "seeds %llu to %llu, scores out of %u",
	               (unsigned long long)r->first_seed,
	               (unsigned long long)(r->first_seed + r->seeds - 1), r->score_scale);
	km_page_begin(&p, out, plotter, "Placement policies compared", text);
	for (size_t i = 0; i < r->setting_count; i++)
		put_setting(&p, &r->setting[i]);
	put_bursts(&p, r);
	put_notes(&p, &r->notes);
	put_terms(&p);
	km_page_end(&p);
	if (missing != NULL)
		*missing = p.trouble;
	return km_buf_ok(out) ? 0 : -ENOMEM;
}

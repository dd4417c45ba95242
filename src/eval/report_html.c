/* SPDX-License-Identifier: Apache-2.0 */
/* The report as a page: what was judged and how, the scores, then plots. */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "km/base/macros.h"

#include "report_page.h"

#define DIGITS     3
#define SCORES_MAX 16

const char *page_kind_words(enum km_row_kind kind)
{
	static const char *const words[KM_ROW_KIND_N] = {
		[KM_ROW_DIAGNOSIS] = "while the pod ran",
		[KM_ROW_LIGHTER] = "lighter start",
		[KM_ROW_EMPTY] = "empty candidate",
		[KM_ROW_INFLIGHT] = "pods in flight",
	};

	return words[kind];
}

static const char *protocol_words(enum km_protocol p)
{
	static const char *const words[KM_PROTOCOL_N] = {
		[KM_PROTOCOL_CAMPAIGN] = "Each campaign was judged by a model trained without it.",
		[KM_PROTOCOL_FAMILY] = "Campaigns that repeat one another were left out together; "
				       "each family was judged by a model trained without it.",
		[KM_PROTOCOL_SCENARIO] =
			"Each mix of interference was judged by a model that never "
			"saw that mix.",
		[KM_PROTOCOL_GIVEN] = "The model was judged as it is, which is honest on runs that "
				      "it was not trained on.",
	};

	return words[p];
}

static void put_head(struct km_page *p, const struct km_eval_report *r)
{
	const struct km_dataset_stats *s = &r->stats;
	char text[512];

	if (r->in_sample)
		km_page_warn(p,
		             "The model was trained on these very runs: the figures say how well "
		             "it remembers, not how well it predicts.");
	km_page_text(p, protocol_words(r->protocol));
	if (r->mask_now)
		km_page_text(p, "What the node carries before the pod comes was hidden from the "
		                "model.");
	(void)snprintf(text, sizeof(text),
	               "%zu runs, %zu traces read, %zu labelled rows. The figures are over %zu "
	               "rows (%s).",
	               s->runs, s->traces, r->rows, r->metrics.scores.rows,
	               page_kind_words(r->kind));
	km_page_text(p, text);
	if (s->no_trace + s->no_label + s->no_run > 0) {
		(void)snprintf(text, sizeof(text),
		               "Not used: %zu runs without trace, %zu without label, %zu pairs "
		               "without run. First: %s",
		               s->no_trace, s->no_label, s->no_run, s->first_bad);
		km_page_text(p, text);
	}
}

static void put_figures(struct km_page *p, const struct km_eval_part *part)
{
	/* by their names in JSON: what a reader asks first */
	static const char *const first[] = { "mae", "r2", "pairAccuracy125", "regret",
		                             "coverage90" };

	km_page_figures_begin(p);
	for (size_t i = 0; i < KM_ARRAY_LEN(first); i++) {
		const struct km_score_field *f = km_score_fields;
		char value[32] = "\xe2\x80\x93";
		char note[64] = "";

		while (f->json != NULL && strcmp(f->json, first[i]) != 0)
			f++;
		if (f->json == NULL)
			continue;
		if (part->scores.rows > 0 && isfinite(km_score_get(&part->scores, f)))
			(void)snprintf(value, sizeof(value), "%.*f", DIGITS,
			               km_score_get(&part->scores, f));
		if (part->low.rows > 0 && isfinite(km_score_get(&part->low, f)))
			(void)snprintf(note, sizeof(note), "%.*f to %.*f", DIGITS,
			               km_score_get(&part->low, f), DIGITS,
			               km_score_get(&part->high, f));
		km_page_figure(p, f->label, value, note);
	}
	km_page_figures_end(p);
}

/* A table of parts; `title` is over their names. */
static void begin_scores(struct km_page *p, const char *caption, const char *title)
{
	struct km_page_column columns[2 + SCORES_MAX] = { { title, false }, { "rows", true } };
	size_t count = 2;

	for (const struct km_score_field *f = km_score_fields; f->json != NULL; f++) {
		if (count < KM_ARRAY_LEN(columns))
			columns[count++] = (struct km_page_column){ f->label, true };
	}
	km_page_table_begin(p, caption, columns, count, false);
}

static void put_scores(struct km_page *p, const struct km_eval_part *part, const char *name,
                       const char *note, bool strong)
{
	if (part->scores.rows == 0)
		return;
	km_page_row(p, strong);
	km_page_cell(p, name, note);
	km_page_number(p, (double)part->scores.rows, NAN, NAN, 0);
	for (const struct km_score_field *f = km_score_fields; f->json != NULL; f++) {
		bool bounded = part->low.rows > 0;

		km_page_number(p, km_score_get(&part->scores, f),
		               bounded ? km_score_get(&part->low, f) : NAN,
		               bounded ? km_score_get(&part->high, f) : NAN, DIGITS);
	}
}

static void put_terms(struct km_page *p)
{
	static const char *const terms[][2] = {
		{ "NP",
		  "Normalized performance: p99 latency alone divided by p99 latency there. 1 is "
		  "unharmed, 0.5 twice as slow. For scoring it is exactly 1 where nothing "
		  "interferes. Slowdown is 1/NP." },
		{ "MAE, RMSE, R2, bias",
		  "Of predicted against measured NP. A positive bias is optimistic." },
		{ "MAPE of slowdown", "Mean of |predicted - measured| / measured slowdown." },
		{ "Spearman", "Rank correlation of predicted and measured NP." },
		{ "pairs right", "Of two nodes that compete for a pod, how often the better one is "
		                 "predicted better; >=1.25x: where they differ by at least that." },
		{ "regret",
		  "How much slower the chosen node of such a pair is than the better one, "
		  "on average." },
		{ "90 % interval holds",
		  "Share of measured slowdowns within the predicted interval." },
		{ "small figures",
		  "90 % intervals of the scores themselves, by drawing campaigns and "
		  "scenarios anew (bootstrap)." },
	};

	km_page_terms_begin(p);
	for (size_t i = 0; i < KM_ARRAY_LEN(terms); i++)
		km_page_term(p, terms[i][0], terms[i][1]);
	km_page_terms_end(p);
}

static void put_all_scores(struct km_page *p, const struct km_eval_report *r)
{
	char name[sizeof(r->baseline_protocol) + 16];
	bool more = r->empty.scores.rows > 0;

	for (size_t i = 0; i < KM_ARRAY_LEN(r->inflight); i++)
		more = more || r->inflight[i].scores.rows > 0;
	km_page_section(p, "Scores");
	begin_scores(p, "The model, and what it has to beat on the same rows", "");
	put_scores(p, &r->metrics, "model", r->placement ? page_kind_words(r->kind) : "", true);
	for (size_t i = 0; i < r->baseline_count; i++) {
		put_scores(p, &r->baseline[i], r->baseline[i].name, r->baseline[i].help, false);
	}
	km_page_table_end(p, false);
	if (r->baseline_count > 0) {
		(void)snprintf(name, sizeof(name), "Baselines: %s.", r->baseline_protocol);
		km_page_text(p, name);
	}
	if (more) {
		begin_scores(p,
		             "The model where the pod's service is not on the node yet, or more "
		             "of it is on its way",
		             "");
		put_scores(p, &r->empty, "empty candidate", "", false);
		for (size_t i = 0; i < KM_ARRAY_LEN(r->inflight); i++) {
			(void)snprintf(name, sizeof(name), "%zu in flight", i + 1);
			put_scores(p, &r->inflight[i], name, "", false);
		}
		km_page_table_end(p, false);
	}
	begin_scores(p,
	             "By host layout: other nodes on the host as recorded, as CPUs of no node, "
	             "or absent",
	             "layout");
	for (int l = 0; l < KM_LAYOUT_N; l++)
		put_scores(p, &r->by_layout[l], r->by_layout[l].name, "", false);
	km_page_table_end(p, false);
	put_terms(p);
}

static int put_scenarios(struct km_page *p, const struct km_eval_report *r)
{
	int rc = page_put_scenarios(p, r);

	begin_scores(p, "By scenario, as the dataset names them", "scenario");
	for (size_t i = 0; i < r->scenario_count; i++)
		put_scores(p, &r->by_scenario[i], r->by_scenario[i].name, "", false);
	km_page_table_end(p, false);
	return rc;
}

static int put_sections(struct km_page *p, const struct km_eval_report *r)
{
	int rc;

	put_all_scores(p, r);
	km_page_section(p, "Predicted against measured");
	rc = page_put_points(p, r);
	km_page_section(p, "Calibration");
	if (rc == 0)
		rc = page_put_calibration(p, r);
	km_page_section(p, "Errors");
	page_put_residuals(p, r);
	km_page_section(p, "Choosing the better of two nodes");
	if (rc == 0)
		rc = page_put_pairs(p, r);
	km_page_section(p, "Error by scenario");
	if (rc == 0)
		rc = put_scenarios(p, r);
	km_page_section(p, "What the model looks at");
	if (rc == 0)
		rc = page_put_gain(p, r);
	return rc;
}

int km_eval_report_html(const struct km_eval_report *r, const struct km_plotter *plotter,
                        struct km_buf *out, struct km_err *missing)
{
	struct km_page p;
	char title[192];
	int rc;

	(void)snprintf(title, sizeof(title), "%s: %s", r->model,
	               r->placement ? "placement" : "diagnosis");
	km_page_begin(&p, out, plotter, title, km_protocol_name(r->protocol));
	put_head(&p, r);
	put_figures(&p, &r->metrics);
	rc = put_sections(&p, r);
	km_page_end(&p);
	*missing = p.trouble;
	return rc == 0 && km_buf_ok(out) ? 0 : -ENOMEM;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The report for people: one table, the model first, then what it has to beat. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval_internal.h"

#define GAINS_SHOWN 12

static void put_score(struct km_buf *out, double v)
{
	if (isnan(v))
		km_buf_str(out, "        -");
	else
		km_buf_printf(out, "  %7.3f", v);
}

static void put_line(struct km_buf *out, const char *name, const struct km_scores *s)
{
	const double v[] = {
		s->mae,           s->r2,
		s->mape_slowdown, s->spearman,
		s->pair_accuracy, s->pair_accuracy125,
		s->regret,        s->bias,
		s->coverage90,
	};

	if (s->rows == 0)
		return;
	km_buf_printf(out, "  %-26.26s %6zu", name, s->rows);
	for (size_t i = 0; i < KM_ARRAY_LEN(v); i++)
		put_score(out, v[i]);
	km_buf_char(out, '\n');
}

static void put_head(struct km_buf *out, const char *what)
{
	km_buf_printf(out, "\n  %-26s %6s  %7s  %7s  %7s  %7s  %7s  %7s  %7s  %7s  %7s\n", what,
	              "rows", "MAE", "R2", "MAPE", "rank", "pairs", "1.25x", "regret", "bias",
	              "cover90");
}

static void put_bounds(struct km_buf *out, const struct km_eval_part *p)
{
	const double v[][2] = {
		{ p->low.mae, p->high.mae },
		{ p->low.r2, p->high.r2 },
		{ p->low.pair_accuracy125, p->high.pair_accuracy125 },
		{ p->low.regret, p->high.regret },
	};
	static const char *const names[] = { "MAE", "R2", "1.25x", "regret" };

	if (p->low.rows == 0)
		return;
	km_buf_str(out, "    90 % by bootstrap:");
	for (size_t i = 0; i < KM_ARRAY_LEN(v); i++)
		km_buf_printf(out, "  %s %.3f..%.3f", names[i], v[i][0], v[i][1]);
	km_buf_char(out, '\n');
}

static void put_dataset(struct km_buf *out, const struct km_dataset_stats *s)
{
	km_buf_printf(out, "  %zu runs, %zu traces read", s->runs, s->traces);
	if (s->no_trace + s->no_label + s->no_run > 0) {
		km_buf_printf(out,
		              "; not used: %zu without trace, %zu without label, %zu pairs "
		              "without run\n  first: %s",
		              s->no_trace, s->no_label, s->no_run, s->first_bad);
	}
	km_buf_char(out, '\n');
}

static const char *model_words(enum km_row_kind kind)
{
	static const char *const words[KM_ROW_KIND_N] = {
		[KM_ROW_DIAGNOSIS] = "model",
		[KM_ROW_LIGHTER] = "model, lighter start",
		[KM_ROW_EMPTY] = "model, empty candidate",
		[KM_ROW_INFLIGHT] = "model, in flight",
	};

	return words[kind];
}

void km_eval_report_text(const struct km_eval_report *r, struct km_buf *out)
{
	char name[64];

	km_buf_printf(out, "%s: %s, %s%s\n", r->model, r->placement ? "placement" : "diagnosis",
	              km_protocol_name(r->protocol),
	              r->mask_now ? ", what the node carries now is hidden" : "");
	put_dataset(out, &r->stats);
	if (r->in_sample)
		km_buf_str(out, "  This folder is what the model was trained on: these figures say "
		                "how well it remembers,\n  not how well it predicts. Use --cv.\n");
	put_head(out, "");
	put_line(out, model_words(r->kind), &r->metrics.scores);
	put_bounds(out, &r->metrics);
	put_line(out, model_words(KM_ROW_EMPTY), &r->empty.scores);
	for (size_t i = 0; i < KM_ARRAY_LEN(r->inflight); i++) {
		(void)snprintf(name, sizeof(name), "model, %zu in flight", i + 1);
		put_line(out, name, &r->inflight[i].scores);
	}
	for (size_t i = 0; i < r->baseline_count; i++) {
		(void)snprintf(name, sizeof(name), "baseline %.40s", r->baseline[i].name);
		put_line(out, name, &r->baseline[i].scores);
	}
	put_head(out, "by host layout");
	for (int l = 0; l < KM_LAYOUT_N; l++)
		put_line(out, r->by_layout[l].name, &r->by_layout[l].scores);
	put_head(out, "by scenario");
	for (size_t i = 0; i < r->scenario_count; i++)
		put_line(out, r->by_scenario[i].name, &r->by_scenario[i].scores);
	put_head(out, "by campaign");
	for (size_t i = 0; i < r->campaign_count; i++)
		put_line(out, r->by_campaign[i].name, &r->by_campaign[i].scores);
	if (r->gain_count > 0)
		km_buf_str(out, "\n  gain by feature\n");
	for (size_t i = 0; i < r->gain_count && i < GAINS_SHOWN; i++)
		km_buf_printf(out, "  %-40s %5.1f %%\n", r->gain[i].feature,
		              100 * r->gain[i].share);
	km_buf_printf(out,
	              "\n  MAE, R2, bias: of NP = p99 alone / p99 there. MAPE: of slowdown. "
	              "pairs: of two nodes, the better one\n  predicted better (1.25x: where they "
	              "differ by that). regret: slowdown of the chosen over the better - 1.\n");
	if (r->baseline_count > 0)
		km_buf_printf(out, "  Baselines: %s.\n", r->baseline_protocol);
	km_buf_printf(out, "  %.1f s\n", r->seconds);
}

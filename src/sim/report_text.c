/* SPDX-License-Identifier: Apache-2.0 */
/* The report for people: a table for each setting, then what has to be known about it. */
#include <math.h>

#include "sim_internal.h"

/* Columns of the table, with how they are shown. */
static const struct {
	enum km_sim_metric metric;
	const char *title;
	double scale;
	int decimals;
	bool interval;
} columns[] = {
	{ KM_SIM_COST, "cost", 1, 3, true },
	{ KM_SIM_OWN, "own", 1, 3, false },
	{ KM_SIM_OTHERS, "others", 1, 3, true },
	{ KM_SIM_P95, "p95", 1, 2, false },
	{ KM_SIM_VIOLATIONS, "over %", 100, 1, false },
	{ KM_SIM_REGRET, "regret %", 100, 1, false },
	{ KM_SIM_CLOSED, "closed %", 100, 1, true },
	{ KM_SIM_RIGHT, "right %", 100, 1, false },
	{ KM_SIM_MOVES, "moves %", 100, 1, false },
	{ KM_SIM_AGAINST, "ours/it %", 100, 1, true },
};

static bool is_shown(const struct km_sim_setting *s, size_t column)
{
	for (size_t a = 0; a < KM_SIM_ARM_N; a++) {
		if (s->arm[a].there && !isnan(s->arm[a].metric[columns[column].metric].value))
			return true;
	}
	return false;
}

static void put_cell(struct km_buf *out, size_t column, const struct km_sim_number *n)
{
	double scale = columns[column].scale;
	int decimals = columns[column].decimals;

	if (isnan(n->value))
		km_buf_printf(out, " %9s", "-");
	else
		km_buf_printf(out, " %9.*f", decimals, scale * n->value);
	if (!columns[column].interval)
		return;
	if (isnan(n->low))
		km_buf_printf(out, " %17s", "");
	else
		km_buf_printf(out, " [%7.*f %7.*f]", decimals, scale * n->low, decimals,
		              scale * n->high);
}

static void put_setting(struct km_buf *out, const struct km_sim_setting *s)
{
	km_buf_printf(out, "\n%s: %s\n", s->name, s->title);
	km_buf_printf(out, "  %llu decisions, cost in %s; 95 %% intervals by bootstrap of %zu %s\n",
	              (unsigned long long)s->decisions, s->unit, s->clusters, s->cluster);
	km_buf_printf(out, "  %-17s", "");
	for (size_t c = 0; c < KM_ARRAY_LEN(columns); c++) {
		if (is_shown(s, c))
			km_buf_printf(out, columns[c].interval ? " %9s%18s" : " %9s",
			              columns[c].title, "");
	}
	km_buf_char(out, '\n');
	for (size_t a = 0; a < KM_SIM_ARM_N; a++) {
		if (!s->arm[a].there)
			continue;
		km_buf_printf(out, "  %-17s", km_sim_arm_name((enum km_sim_arm)a));
		for (size_t c = 0; c < KM_ARRAY_LEN(columns); c++) {
			if (is_shown(s, c))
				put_cell(out, c, &s->arm[a].metric[columns[c].metric]);
		}
		km_buf_char(out, '\n');
	}
}

static void put_bursts(struct km_buf *out, const struct km_sim_report *r)
{
	if (r->burst_count == 0)
		return;
	km_buf_printf(out,
	              "\nbursts: synthetic, nothing in them was measured\n  %-34s %7s %6s %7s "
	              "%6s %9s %9s %9s %9s\n",
	              "", "nodes", "pods", "pods/s", "lag s", "max/mean", "slowdown", "regret %",
	              "us/pod");
	for (size_t i = 0; i < r->burst_count; i++) {
		const struct km_sim_burst *b = &r->burst[i];

		km_buf_printf(out, "  %-34s %7u %6u %7.0f %6.0f %9.2f %9.3f %9.1f %9.1f\n", b->name,
		              b->nodes, b->pods, b->pods_per_s, b->lag_s, b->max_over_mean,
		              b->slowdown, 100 * b->regret, b->us_per_pod);
	}
}

void km_sim_report_text(const struct km_sim_report *r, struct km_buf *out)
{
	km_buf_printf(out, "seeds %llu to %llu, scores out of %u, %.0f s\n",
	              (unsigned long long)r->first_seed,
	              (unsigned long long)(r->first_seed + r->seeds - 1), r->score_scale,
	              r->seconds);
	for (size_t i = 0; i < r->setting_count; i++)
		put_setting(out, &r->setting[i]);
	put_bursts(out, r);
	km_buf_char(out, '\n');
	km_buf_append(out, r->notes.data, r->notes.len);
}

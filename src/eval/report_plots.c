/* SPDX-License-Identifier: Apache-2.0 */
/* The plots of a report's page, each with the same numbers as a table. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/macros.h"
#include "km/core/words.h"

#include "plot_data.h"
#include "report_page.h"

#define POINTS_SHOWN    1500 /* of a kind: more are a blot, and megabytes */
#define SCENARIOS_SHOWN 40
#define GAINS_SHOWN     20

static const double identity[2] = { 0, 2 };

/* Every n-th of the points, so that at most POINTS_SHOWN are left. */
static size_t thin(const struct km_eval_report *r, enum km_row_kind kind, double *x, double *y,
                   size_t *all)
{
	size_t count = 0;
	size_t seen = 0;

	*all = 0;
	for (size_t i = 0; i < r->point_count; i++)
		*all += r->point[i].kind == kind;
	for (size_t i = 0; i < r->point_count; i++) {
		const struct km_eval_point *p = &r->point[i];

		if (p->kind != kind)
			continue;
		/* point `seen` is shown when it brings count/all up to the share wanted */
		if (*all <= POINTS_SHOWN || seen * POINTS_SHOWN / *all >= count) {
			x[count] = (double)p->measured;
			y[count] = (double)p->predicted;
			count++;
		}
		seen++;
	}
	return count;
}

int page_put_points(struct km_page *p, const struct km_eval_report *r)
{
	static const enum km_row_kind kinds[] = { KM_ROW_DIAGNOSIS, KM_ROW_LIGHTER, KM_ROW_EMPTY,
		                                  KM_ROW_INFLIGHT };
	double *at = reallocarray(NULL, 2 * r->point_count + 1, sizeof(*at));
	double *next = at;
	double most = 1;
	bool thinned = false;
	struct km_plot plot;

	if (at == NULL)
		return -ENOMEM;
	km_plot_init(&plot, "Predicted against measured NP", "measured NP", "predicted NP");
	for (size_t k = 0; k < KM_ARRAY_LEN(kinds); k++) {
		size_t all;
		double *x = next;
		double *y;
		size_t count;

		/* what thin() does not use is left over */
		for (size_t i = 0; i < r->point_count; i++)
			next += r->point[i].kind == kinds[k];
		y = next;
		next += y - x;
		count = thin(r, kinds[k], x, y, &all);
		thinned = thinned || count < all;
		if (count > 0)
			(void)km_plot_add(&plot, KM_PLOT_POINTS, page_kind_words(kinds[k]), x, y,
			                  count);
		for (size_t i = 0; i < count; i++)
			most = fmax(most, fmax(x[i], y[i]));
	}
	(void)km_plot_add(&plot, KM_PLOT_GUIDE, NULL, identity, identity, 2);
	plot.x_min = plot.y_min = 0;
	plot.x_max = plot.y_max = fmin(ceil(most * 10 + 0.2) / 10, 2);
	plot.square = true;
	km_page_plot(
		p, &plot,
		thinned ? "Each point is a row; on the line, predicted is measured. Above it "
			  "the model is optimistic. Of kinds with more than 1,500 rows, evenly "
			  "picked ones."
			: "Each point is a row; on the line, predicted is measured. Above it "
			  "the model is optimistic.");
	free(at);
	return 0;
}

static void put_decile_table(struct km_page *p, const struct decile *d, size_t count)
{
	static const struct km_page_column columns[] = {
		{ "predicted NP", false },   { "rows", true },
		{ "predicted, mean", true }, { "measured, mean (10 to 90 %)", true },
		{ "within interval", true },
	};
	char text[48];

	km_page_table_begin(p, "Calibration by tenths of the predictions, as a table", columns,
	                    KM_ARRAY_LEN(columns), true);
	for (size_t i = 0; i < count; i++) {
		(void)snprintf(text, sizeof(text), "%.3f to %.3f", d[i].from, d[i].to);
		km_page_row(p, false);
		km_page_cell(p, text, "");
		km_page_number(p, (double)d[i].rows, NAN, NAN, 0);
		km_page_number(p, d[i].predicted, NAN, NAN, 3);
		km_page_number(p, d[i].measured, d[i].measured10, d[i].measured90, 3);
		km_page_number(p, d[i].inside, NAN, NAN, 3);
	}
	km_page_table_end(p, true);
}

static void plot_coverage(struct km_page *p, const struct decile *d, size_t count)
{
	static const double wanted_x[2] = { -0.5, DECILES - 0.5 };
	static const double wanted_y[2] = { 0.9, 0.9 };
	double at[DECILES];
	double inside[DECILES];
	char text[DECILES][24];
	const char *label[DECILES];
	struct km_plot plot;

	for (size_t i = 0; i < count; i++) {
		at[i] = (double)i;
		inside[i] = d[i].inside;
		(void)snprintf(text[i], sizeof(text[i]), "%.2f", d[i].predicted);
		label[i] = text[i];
	}
	km_plot_init(&plot, "Share of measured slowdowns within the interval",
	             "mean predicted NP of each tenth of the predictions", "share within");
	plot.category = label;
	plot.category_count = count;
	plot.x_min = -0.5;
	plot.x_max = (double)count - 0.5;
	plot.y_min = 0;
	plot.y_max = 1;
	(void)km_plot_add(&plot, KM_PLOT_COLUMNS, NULL, at, inside, count);
	(void)km_plot_add(&plot, KM_PLOT_GUIDE, NULL, wanted_x, wanted_y, 2);
	km_page_plot(p, &plot,
	             "Of each tenth of the predictions, how many measured slowdowns the 90 % "
	             "interval held. The line is the 90 % it promises.");
}

int page_put_calibration(struct km_page *p, const struct km_eval_report *r)
{
	struct decile d[DECILES];
	double x[DECILES];
	double y[DECILES];
	double low[DECILES];
	double high[DECILES];
	double most = 1;
	int count = plot_deciles(r, r->kind, d);
	struct km_plot_series *s;
	struct km_plot plot;

	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		most = fmax(most, fmax(d[i].predicted, d[i].measured90));
		x[i] = d[i].predicted;
		y[i] = d[i].measured;
		low[i] = d[i].measured10;
		high[i] = d[i].measured90;
	}
	km_plot_init(&plot, "Measured NP by tenths of the predictions", "mean predicted NP",
	             "measured NP");
	plot.x_min = plot.y_min = 0;
	plot.x_max = plot.y_max = ceil(most * 10 + 0.2) / 10;
	plot.square = true;
	s = km_plot_add(&plot, KM_PLOT_POINTS, NULL, x, y, (size_t)count);
	s->low = low;
	s->high = high;
	(void)km_plot_add(&plot, KM_PLOT_GUIDE, NULL, identity, identity, 2);
	km_page_plot(
		p, &plot,
		"Each point is a tenth of the predictions: what was measured there on average, "
		"with whiskers from the 10th to the 90th percentile. On the line a prediction "
		"is right on average.");
	plot_coverage(p, d, (size_t)count);
	put_decile_table(p, d, (size_t)count);
	return 0;
}

void page_put_residuals(struct km_page *p, const struct km_eval_report *r)
{
	static const struct km_page_column columns[] = { { "predicted - measured NP", true },
		                                         { "share of rows", true },
		                                         { "of empty candidates", true } };
	double at[RESIDUAL_BINS];
	double share[RESIDUAL_BINS];
	double empty[RESIDUAL_BINS];
	struct km_plot plot;

	for (size_t i = 0; i < RESIDUAL_BINS; i++)
		at[i] = plot_residual_at(i);
	plot_residuals(r, r->kind, share);
	plot_residuals(r, KM_ROW_EMPTY, empty);
	km_plot_init(&plot, "How far predictions are off", "predicted - measured NP",
	             "share of rows");
	plot.y_min = 0;
	plot.x_min = at[0] - RESIDUAL_STEP;
	plot.x_max = at[RESIDUAL_BINS - 1] + RESIDUAL_STEP;
	(void)km_plot_add(&plot, KM_PLOT_COLUMNS, page_kind_words(r->kind), at, share,
	                  RESIDUAL_BINS);
	if (r->empty.scores.rows > 0)
		(void)km_plot_add(&plot, KM_PLOT_LINE, page_kind_words(KM_ROW_EMPTY), at, empty,
		                  RESIDUAL_BINS);
	km_page_plot(p, &plot,
	             "To the right of 0 the model was optimistic. The outermost boxes hold what is "
	             "further off, too.");
	km_page_table_begin(p, "Residuals as a table", columns, r->empty.scores.rows > 0 ? 3 : 2,
	                    true);
	for (size_t i = 0; i < RESIDUAL_BINS; i++) {
		km_page_row(p, false);
		km_page_number(p, at[i], NAN, NAN, 3);
		km_page_number(p, share[i], NAN, NAN, 4);
		km_page_number(p, empty[i], NAN, NAN, 4);
	}
	km_page_table_end(p, true);
}

static int by_error(const void *a, const void *b)
{
	const struct km_eval_part *const *x = a;
	const struct km_eval_part *const *y = b;

	if ((*x)->scores.mae != (*y)->scores.mae)
		return (*x)->scores.mae > (*y)->scores.mae ? -1 : 1;
	return strcmp((*x)->name, (*y)->name);
}

int page_put_scenarios(struct km_page *p, const struct km_eval_report *r)
{
	const struct km_eval_part **part = calloc(r->scenario_count + 1, sizeof(const void *));
	double mae[SCENARIOS_SHOWN];
	double at[SCENARIOS_SHOWN];
	const char *label[SCENARIOS_SHOWN];
	size_t count = 0;
	struct km_plot plot;

	if (part == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < r->scenario_count; i++) {
		if (r->by_scenario[i].scores.rows > 0)
			part[count++] = &r->by_scenario[i];
	}
	qsort(part, count, sizeof(const void *), by_error);
	if (count > SCENARIOS_SHOWN)
		count = SCENARIOS_SHOWN;
	for (size_t i = 0; i < count; i++) {
		mae[i] = part[i]->scores.mae;
		at[i] = (double)i;
		label[i] = part[i]->name;
	}
	km_plot_init(&plot, "Mean absolute error of NP by scenario", "MAE of NP", NULL);
	plot.x_min = 0;
	plot.category = label;
	plot.category_count = count;
	(void)km_plot_add(&plot, KM_PLOT_BARS, NULL, mae, at, count);
	km_page_plot(p, &plot,
	             r->scenario_count > SCENARIOS_SHOWN
	                     ? "The 40 scenarios with the largest error."
	                     : "The largest error first.");
	free(part);
	return 0;
}

static void put_pair_table(struct km_page *p, const struct ratio_bin (*bin)[RATIO_BINS],
                           size_t kinds, char (*text)[24])
{
	static const struct km_page_column columns[] = {
		{ "one slower than the other by", false }, { "pairs", true }, { "right", true },
		{ "pairs, empty candidates", true },       { "right", true },
	};

	km_page_table_begin(p, "Pairs as a table", columns, 1 + 2 * kinds, true);
	for (size_t i = 0; i < RATIO_BINS; i++) {
		km_page_row(p, false);
		km_page_cell(p, text[i], "");
		for (size_t k = 0; k < kinds; k++) {
			km_page_number(p, (double)bin[k][i].pairs, NAN, NAN, 0);
			km_page_number(p, bin[k][i].right, NAN, NAN, 3);
		}
	}
	km_page_table_end(p, true);
}

int page_put_pairs(struct km_page *p, const struct km_eval_report *r)
{
	static const double toss_x[2] = { -0.5, RATIO_BINS - 0.5 };
	static const double toss_y[2] = { 0.5, 0.5 };
	const enum km_row_kind kind[2] = { r->kind, KM_ROW_EMPTY };
	size_t kinds = r->empty.scores.rows > 0 ? 2 : 1;
	struct ratio_bin bin[2][RATIO_BINS];
	double right[2][RATIO_BINS];
	double at[RATIO_BINS];
	char text[RATIO_BINS][24];
	const char *label[RATIO_BINS];
	struct km_plot plot;

	km_plot_init(&plot, "Pairs of nodes in the right order",
	             "one is slower than the other by a factor of", "share right");
	for (size_t k = 0; k < kinds; k++) {
		if (plot_pairs(r, kind[k], bin[k]) != 0)
			return -ENOMEM;
		for (size_t i = 0; i < RATIO_BINS; i++) {
			at[i] = (double)i;
			right[k][i] = bin[k][i].right;
			(void)snprintf(text[i], sizeof(text[i]),
			               isfinite(bin[k][i].to) ? "%g\xe2\x80\x93%g" : "%g and more",
			               bin[k][i].from, bin[k][i].to);
			label[i] = text[i];
		}
		(void)km_plot_add(&plot, KM_PLOT_MARKED, page_kind_words(kind[k]), at, right[k],
		                  RATIO_BINS);
	}
	(void)km_plot_add(&plot, KM_PLOT_GUIDE, NULL, toss_x, toss_y, 2);
	plot.category = label;
	plot.category_count = RATIO_BINS;
	plot.x_min = -0.5;
	plot.x_max = RATIO_BINS - 0.5;
	plot.y_min = 0.4;
	plot.y_max = 1;
	km_page_plot(p, &plot,
	             "Of two nodes that compete for a pod, how often the better one was predicted "
	             "better, by how much they really differ. The line is a toss. Below 1.25x the "
	             "difference is within the noise of a repeated run.");
	put_pair_table(p, (const struct ratio_bin(*)[RATIO_BINS])bin, kinds, text);
	return 0;
}

static int put_gain_table(struct km_page *p, const struct km_eval_report *r)
{
	static const struct km_page_column columns[] = { { "feature", false },
		                                         { "in words", false },
		                                         { "share of gain", true } };
	struct km_buf words;
	bool ok;

	km_buf_init(&words);
	km_page_table_begin(p, "All features", columns, KM_ARRAY_LEN(columns), true);
	for (size_t i = 0; i < r->gain_count; i++) {
		km_buf_clear(&words);
		km_feature_words(r->gain[i].feature, &words);
		km_page_row(p, false);
		km_page_cell(p, r->gain[i].feature, "");
		km_page_cell(p, km_buf_cstr(&words), "");
		km_page_number(p, r->gain[i].share, NAN, NAN, 4);
	}
	km_page_table_end(p, true);
	ok = km_buf_ok(&words);
	km_buf_fini(&words);
	return ok ? 0 : -ENOMEM;
}

int page_put_gain(struct km_page *p, const struct km_eval_report *r)
{
	size_t count = r->gain_count < GAINS_SHOWN ? r->gain_count : GAINS_SHOWN;
	double share[GAINS_SHOWN];
	double at[GAINS_SHOWN];
	const char *label[GAINS_SHOWN];
	struct km_plot plot;

	if (count == 0) {
		km_page_text(p, "No trees were kept to ask.");
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		share[i] = 100 * r->gain[i].share;
		at[i] = (double)i;
		label[i] = r->gain[i].feature;
	}
	km_plot_init(&plot, "Gain by feature", "% of the gain of all splits", NULL);
	plot.x_min = 0;
	plot.category = label;
	plot.category_count = count;
	(void)km_plot_add(&plot, KM_PLOT_BARS, NULL, share, at, count);
	km_page_plot(p, &plot,
	             "How much the splits on each feature reduced the loss in training. Features "
	             "that say nearly the same share their gain, so a small one is no proof that a "
	             "feature is useless.");
	return put_gain_table(p, r);
}

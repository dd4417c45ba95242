/* SPDX-License-Identifier: Apache-2.0 */
/* eval: what the plots show, by hand, and the page around them. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "eval/plot_data.h"
#include "support/xml.h"

#define HOSTILE "</td><script>alert('1')</script> & \" \x01\xff"

static const struct km_plotter absent = { .program = "tests/support/fake_gnuplot/is-not-there" };

/* A point without interference noise: measured NP is 1 / slowdown. */
static struct km_eval_point point(enum km_row_kind kind, double np, double predicted)
{
	return (struct km_eval_point){
		.measured = (float)np,
		.predicted = (float)predicted,
		.low = NAN,
		.high = NAN,
		.slowdown = (float)(1 / np),
		.kind = (uint8_t)kind,
	};
}

static bool near(double a, double b)
{
	return fabs(a - b) < 1e-6;
}

static void deciles_are_tenths_by_prediction(void **state)
{
	struct km_eval_point p[21];
	const struct km_eval_report r = { .point = p, .point_count = 21 };
	struct decile d[DECILES];

	(void)state;
	/* twenty in no order of prediction, two a decile, and one of another kind */
	for (size_t i = 0; i < 20; i++) {
		size_t rank = (i * 7) % 20;

		p[i] = point(KM_ROW_LIGHTER, 0.5 + (double)(rank % 2) / 10,
		             (double)(rank + 1) / 20);
		/* holds 0.5, not 0.6; the highest prediction knows no interval */
		p[i].low = rank == 19 ? NAN : 0.4f;
		p[i].high = rank == 19 ? NAN : 0.55f;
	}
	p[20] = point(KM_ROW_EMPTY, 0.9, 0.01);
	assert_int_equal(plot_deciles(&r, KM_ROW_LIGHTER, d), DECILES);
	for (size_t i = 0; i < DECILES; i++) {
		assert_int_equal(d[i].rows, 2);
		assert_true(near(d[i].from, (double)(2 * i + 1) / 20));
		assert_true(near(d[i].to, (double)(2 * i + 2) / 20));
		assert_true(near(d[i].predicted, (double)(4 * i + 3) / 40));
		assert_true(near(d[i].measured, 0.55));
		assert_true(near(d[i].measured10, 0.5) && near(d[i].measured90, 0.6));
		assert_true(near(d[i].inside, i == 9 ? 1 : 0.5));
	}
	assert_int_equal(plot_deciles(&r, KM_ROW_EMPTY, d), 1);
	assert_true(isnan(d[0].inside));
	assert_int_equal(plot_deciles(&r, KM_ROW_INFLIGHT, d), 0);
}

static void residuals_are_shares_and_the_ends_take_the_rest(void **state)
{
	const double off[] = { 0, 0.01, -0.025, 0.3, 0.9, -0.9, -0.8, 0.5 };
	struct km_eval_point p[9];
	const struct km_eval_report r = { .point = p, .point_count = 9 };
	double share[RESIDUAL_BINS];
	double sum = 0;

	(void)state;
	for (size_t i = 0; i < 8; i++)
		p[i] = point(KM_ROW_DIAGNOSIS, 1, 1 + off[i]);
	p[8] = point(KM_ROW_DIAGNOSIS, 1, NAN);
	plot_residuals(&r, KM_ROW_DIAGNOSIS, share);
	for (size_t i = 0; i < RESIDUAL_BINS; i++)
		sum += share[i];
	assert_true(near(sum, 1));
	assert_true(near(plot_residual_at(20), 0) && near(plot_residual_at(0), -0.5));
	assert_true(near(share[20], 2.0 / 8));
	assert_true(near(share[19], 1.0 / 8));
	assert_true(near(share[32], 1.0 / 8)); /* 0.3 */
	assert_true(near(share[0], 2.0 / 8));  /* -0.9, -0.8 */
	assert_true(near(share[40], 2.0 / 8)); /* 0.5, 0.9 */
	plot_residuals(&r, KM_ROW_EMPTY, share);
	for (size_t i = 0; i < RESIDUAL_BINS; i++)
		assert_true(share[i] == 0);
}

/* Slowdowns 1, 1.2, 2.4 and 4.8 compete in one decision; another decision has nobody to beat. */
static void pairs_are_counted_by_how_far_apart_they_are(void **state)
{
	static const struct {
		double slowdown, predicted;
		uint32_t decision, situation;
	} rows[] = {
		{ 1, 0.5, 7, 0 },   { 1.2, 0.6, 7, 1 }, /* 1.2 apart, in the wrong order */
		{ 2.4, 0.4, 7, 2 },                     /* 2.4 and 2 apart, right */
		{ 4.8, 0.4, 7, 3 },                     /* 4.8, 4 right; 2: a tie */
		{ 9, 0.1, 7, 3 },   /* not beside its own situation: 9, 7.5, 3.75 */
		{ 1.5, 0.3, 8, 0 }, /* alone */
	};
	static const struct {
		size_t pairs;
		double right;
	} want[RATIO_BINS] = {
		{ 0, NAN }, { 1, 0 }, { 0, NAN }, { 0, NAN }, { 3, 2.5 / 3 }, { 3, 1 }, { 2, 1 },
	};
	struct km_eval_point p[6];
	const struct km_eval_report r = { .point = p, .point_count = 6 };
	struct ratio_bin bin[RATIO_BINS];

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		p[i] = point(KM_ROW_LIGHTER, 1 / rows[i].slowdown, rows[i].predicted);
		p[i].decision = rows[i].decision;
		p[i].situation = rows[i].situation;
	}
	assert_int_equal(plot_pairs(&r, KM_ROW_LIGHTER, bin), 0);
	for (size_t i = 0; i < RATIO_BINS; i++) {
		assert_int_equal(bin[i].pairs, want[i].pairs);
		if (want[i].pairs > 0)
			assert_true(near(bin[i].right, want[i].right));
		else
			assert_true(isnan(bin[i].right));
	}
	assert_true(isinf(bin[RATIO_BINS - 1].to));
}

static void name_part(struct km_eval_part *part, const char *name, size_t rows)
{
	*part = (struct km_eval_part){ .scores = { .rows = rows, .mae = 0.125, .r2 = NAN } };
	(void)snprintf(part->name, sizeof(part->name), "%s", name);
	(void)snprintf(part->help, sizeof(part->help), "%s", name);
}

/* A report in which every text is `text`. */
static void report_of(struct km_eval_report *r, const char *text, struct km_eval_part *scenario,
                      struct km_eval_gain *gain, struct km_eval_point *points, size_t count)
{
	*r = (struct km_eval_report){
		.placement = true,
		.kind = KM_ROW_LIGHTER,
		.in_sample = true,
		.mask_now = true,
		.rows = count,
		.by_scenario = scenario,
		.scenario_count = 1,
		.baseline_count = 1,
		.gain = gain,
		.gain_count = 1,
		.point = points,
		.point_count = count,
		.stats = { .runs = 11, .no_label = 3 },
	};
	(void)snprintf(r->model, sizeof(r->model), "%s", text);
	(void)snprintf(r->baseline_protocol, sizeof(r->baseline_protocol), "%s", text);
	(void)snprintf(r->stats.first_bad, sizeof(r->stats.first_bad), "%s", text);
	(void)snprintf(gain->feature, sizeof(gain->feature), "%s", text);
	gain->share = 1;
	name_part(scenario, text, 4);
	name_part(&r->metrics, text, 4);
	name_part(&r->empty, text, 4);
	name_part(&r->baseline[0], text, 4);
	r->metrics.low = r->metrics.high = r->metrics.scores;
	r->metrics.low.mae = 0.0625;
	for (size_t i = 0; i < count; i++)
		points[i] = point(i % 2 ? KM_ROW_LIGHTER : KM_ROW_EMPTY, 0.25, (double)i / 16);
}

static void the_page_is_whole_whatever_the_texts_are(void **state)
{
	struct km_eval_part scenario;
	struct km_eval_gain gain;
	struct km_eval_point points[8];
	struct km_eval_report r;
	struct km_err missing;
	struct km_buf out;
	const char *trouble;

	(void)state;
	km_buf_init(&out);
	report_of(&r, HOSTILE, &scenario, &gain, points, 8);
	assert_int_equal(km_eval_report_html(&r, &absent, &out, &missing), 0);
	assert_int_equal(missing.code, ENOENT);
	trouble = xml_trouble(km_buf_cstr(&out), out.len);
	if (trouble != NULL)
		fail_msg("%s", trouble);
	assert_int_equal(xml_count(km_buf_cstr(&out), "svg"), 0);
	assert_int_equal(xml_count(km_buf_cstr(&out), "figure"), 7);
	/* scores: three tables and scenarios; deciles, residuals, pairs, gain in folded ones */
	assert_int_equal(xml_count(km_buf_cstr(&out), "table"), 8);
	assert_int_equal(xml_count(km_buf_cstr(&out), "details"), 4);
	assert_non_null(
		strstr(km_buf_cstr(&out), "0.125<span class=\"range\">0.062 to 0.125</span>"));
	assert_non_null(strstr(km_buf_cstr(&out), "trained on these very runs"));
	assert_non_null(strstr(km_buf_cstr(&out), "was hidden from the model"));
	assert_non_null(strstr(km_buf_cstr(&out), "3 without label"));
	km_buf_fini(&out);
}

static void a_report_of_nothing_is_a_page_too(void **state)
{
	const struct km_eval_report r = { .model = "m" };
	struct km_err missing;
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	assert_int_equal(km_eval_report_html(&r, NULL, &out, &missing), 0);
	assert_null(xml_trouble(km_buf_cstr(&out), out.len));
	assert_int_equal(missing.code, ENODATA);
	km_buf_fini(&out);
}

static void with_gnuplot_every_plot_is_there(void **state)
{
	struct km_eval_part scenario;
	struct km_eval_gain gain;
	struct km_eval_point points[4000];
	struct km_eval_report r;
	struct km_err missing;
	struct km_buf out;
	const char *trouble;
	size_t dots;

	(void)state;
	km_buf_init(&out);
	report_of(&r, "a 'name' <of> & @many {things}", &scenario, &gain, points, 4000);
	for (size_t i = 0; i < 4000; i++) {
		points[i].predicted = (float)(0.2 + (double)(i % 100) / 200);
		points[i].low = 0.1f;
		points[i].high = 0.6f;
		points[i].decision = (uint32_t)i / 8;
		points[i].situation = (uint32_t)i;
		points[i].slowdown = (float)(1 + (double)(i % 8));
	}
	assert_int_equal(km_eval_report_html(&r, NULL, &out, &missing), 0);
	if (missing.code == ENOENT) {
		km_buf_fini(&out);
		skip();
	}
	if (missing.code != 0)
		fail_msg("%s", missing.text);
	trouble = xml_trouble(km_buf_cstr(&out), out.len);
	if (trouble != NULL)
		fail_msg("%s", trouble);
	assert_int_equal(xml_count(km_buf_cstr(&out), "svg"), 7);
	/* 2 x 2,000 points are thinned to 2 x 1,500; marks of other plots and keys are some more */
	dots = xml_count(km_buf_cstr(&out), "use");
	assert_in_range(dots, 3000, 3150);
	km_buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deciles_are_tenths_by_prediction),
		cmocka_unit_test(residuals_are_shares_and_the_ends_take_the_rest),
		cmocka_unit_test(pairs_are_counted_by_how_far_apart_they_are),
		cmocka_unit_test(the_page_is_whole_whatever_the_texts_are),
		cmocka_unit_test(a_report_of_nothing_is_a_page_too),
		cmocka_unit_test(with_gnuplot_every_plot_is_there),
	};

	return cmocka_run_group_tests_name("eval_page", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Pages and plots: escaped, well-formed, self-contained, whatever the texts and gnuplot do. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/report/page.h"

#include "support/xml.h"

#define FAKES "tests/support/fake_gnuplot/"
/* What somebody may call a scenario. */
#define HOSTILE "</td><script>alert('1')</script> & \"'`id`' $(id) @x \\n \x01\xff]]>"

static const double xs[] = { 0, 1, 2, 3 };
static const double ys[] = { 0.5, NAN, 1.5, INFINITY };
static const double lows[] = { 0.25, 0, 1, 0 };
static const double highs[] = { 1, 1, 2, 2 };

static const struct km_plotter absent = { .program = FAKES "is-not-there" };

static void plot_of(struct km_plot *p, const char *text)
{
	static const char *categories[2];
	struct km_plot_series *s;

	categories[0] = categories[1] = text;
	km_plot_init(p, text, text, text);
	p->category = categories;
	p->category_count = KM_ARRAY_LEN(categories);
	s = km_plot_add(p, KM_PLOT_POINTS, text, xs, ys, KM_ARRAY_LEN(xs));
	s->low = lows;
	s->high = highs;
	(void)km_plot_add(p, KM_PLOT_COLUMNS, NULL, xs, xs, KM_ARRAY_LEN(xs));
	(void)km_plot_add(p, KM_PLOT_MARKED, text, xs, xs, KM_ARRAY_LEN(xs));
	(void)km_plot_add(p, KM_PLOT_LINE, text, xs, lows, KM_ARRAY_LEN(xs));
	(void)km_plot_add(p, KM_PLOT_GUIDE, text, xs, xs, KM_ARRAY_LEN(xs));
}

/* A page with one of everything, all of it called `text`. */
static void page_of(struct km_buf *out, const struct km_plotter *plotter, const char *text,
                    struct km_page *page)
{
	const struct km_page_column columns[] = { { text, false }, { text, true } };
	struct km_plot plot;

	plot_of(&plot, text);
	km_page_begin(page, out, plotter, text, text);
	km_page_figures_begin(page);
	km_page_figure(page, text, text, text);
	km_page_figures_end(page);
	km_page_section(page, text);
	km_page_text(page, text);
	km_page_warn(page, text);
	km_page_terms_begin(page);
	km_page_term(page, text, text);
	km_page_terms_end(page);
	for (int folded = 0; folded < 2; folded++) {
		km_page_table_begin(page, text, columns, KM_ARRAY_LEN(columns), folded != 0);
		km_page_row(page, true);
		km_page_cell(page, text, text);
		km_page_number(page, 0.125, 0.1, 0.2, 3);
		km_page_row(page, false);
		km_page_cell(page, text, text);
		km_page_table_end(page, folded != 0);
	}
	km_page_section(page, text);
	km_page_plot(page, &plot, text);
	km_page_plot(page, &plot, text);
	km_page_end(page);
	assert_true(km_buf_ok(out));
}

static void assert_well_formed(struct km_buf *page)
{
	const char *trouble = xml_trouble(km_buf_cstr(page), page->len);

	if (trouble != NULL)
		fail_msg("%s", trouble);
}

static void the_checker_knows_bad_pages(void **state)
{
	static const char *const bad[] = {
		"<a>",         "<a></b>",           "<a b></a>",
		"<a b=c></a>", "<a>&nbsp;",         "<a>< </a>",
		"<p>\x01</p>", "<a href='#b'></a>", "<a href='http://x'/>",
		"<script/>",   "<a onclick=''/>",   "<a id='b'/><a id='b'/>",
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(bad); i++) {
		if (xml_trouble(bad[i], strlen(bad[i])) == NULL)
			fail_msg("taken as well-formed: %s", bad[i]);
	}
}

static void text_is_escaped(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
		  "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "<a b=\"c\" d='e'>&amp;", "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;amp;" },
		{ "\x01\x1f\x7f", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "a\nb\tc", "a\nb\tc" },
		/* cut short, too long a form, a surrogate, past the last character */
		{ "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xc0\xbc", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	};
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		km_buf_clear(&out);
		km_html_text(&out, rows[i].text);
		assert_string_equal(km_buf_cstr(&out), rows[i].want);
	}
	km_buf_fini(&out);
}

static void without_gnuplot_the_page_says_so_and_has_the_tables(void **state)
{
	struct km_page page;
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	page_of(&out, &absent, HOSTILE, &page);
	assert_well_formed(&out);
	assert_int_equal(page.plots, 2);
	assert_int_equal(page.plots_missing, 2);
	assert_int_equal(page.trouble.code, ENOENT);
	assert_non_null(strstr(km_buf_cstr(&out), "Debian package gnuplot-nox"));
	assert_int_equal(xml_count(km_buf_cstr(&out), "table"), 2);
	assert_int_equal(xml_count(km_buf_cstr(&out), "td"), 8);
	assert_int_equal(xml_count(km_buf_cstr(&out), "svg"), 0);
	km_buf_fini(&out);
}

static void a_plot_that_fails_leaves_its_reason(void **state)
{
	static const struct {
		const char *program;
		int code;
		const char *text;
	} rows[] = {
		{ FAKES "hangs.sh", ETIMEDOUT, "did not finish in time" },
		{ FAKES "hangs_quietly.sh", ETIMEDOUT, "did not finish in time" },
		{ FAKES "floods.sh", EFBIG, "more than 65536 bytes" },
		{ FAKES "fails.sh", EIO, "?plot $data0" },
		{ FAKES "dies.sh", EIO, "died of signal 9" },
		{ FAKES "lies.sh", EBADMSG, "an element \"script\"" },
		{ FAKES "breaks_off.sh", EBADMSG, "no SVG" },
		{ FAKES "says_nothing.sh", EBADMSG, "no SVG" },
		{ "tests/support", EIO, "starting: tests/support" },
		{ "", ENOENT, "is not installed" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		/* time is short for those that never end; the others end at once */
		const struct km_plotter plotter = {
			.program = rows[i].program,
			.limit_ms = rows[i].code == ETIMEDOUT ? 50 : 60000,
			.max_bytes = 65536,
		};
		struct km_err err = { .code = 0 };
		struct km_page page;
		struct km_plot plot;
		struct km_buf out;

		km_buf_init(&out);
		km_buf_str(&out, "before");
		plot_of(&plot, "x");
		assert_int_equal(km_plot_svg(&plot, &plotter, "p", &out, &err), -rows[i].code);
		if (strstr(err.text, rows[i].text) == NULL)
			fail_msg("%s: %s", rows[i].program, err.text);
		assert_string_equal(km_buf_cstr(&out), "before");
		km_buf_clear(&out);
		page_of(&out, &plotter, HOSTILE, &page);
		assert_well_formed(&out);
		assert_int_equal(page.plots_missing, 2);
		assert_int_equal(xml_count(km_buf_cstr(&out), "svg"), 0);
		km_buf_fini(&out);
	}
}

static void a_plot_without_points_is_none(void **state)
{
	static const double none[] = { NAN };
	struct km_err err = { .code = 0 };
	struct km_plot plot;
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	km_plot_init(&plot, "t", "x", "y");
	(void)km_plot_add(&plot, KM_PLOT_LINE, NULL, none, none, 1);
	assert_int_equal(km_plot_svg(&plot, &absent, "p", &out, &err), -ENODATA);
	km_buf_fini(&out);
}

/* The rest needs the real program. */
static void skip_without_gnuplot(void)
{
	static const double one[] = { 1 };
	const struct km_plotter plotter = { .program = NULL };
	struct km_plot plot;
	struct km_buf out;
	int rc;

	km_buf_init(&out);
	km_plot_init(&plot, "t", "x", "y");
	(void)km_plot_add(&plot, KM_PLOT_POINTS, NULL, one, one, 1);
	rc = km_plot_svg(&plot, &plotter, "p", &out, NULL);
	km_buf_fini(&out);
	if (rc == -ENOENT)
		skip();
}

static void texts_are_only_text_to_gnuplot(void **state)
{
	const struct km_plotter plotter = { .program = NULL };
	struct stat st;
	struct km_page page;
	struct km_buf out;

	(void)state;
	skip_without_gnuplot();
	km_buf_init(&out);
	page_of(&out, &plotter,
	        "'; system('touch build/broken-out') `touch build/broken-out` \" @x {/S a} ^2<b>",
	        &page);
	assert_string_equal(page.trouble.text, "");
	assert_int_equal(xml_count(km_buf_cstr(&out), "svg"), 2);
	assert_well_formed(&out);
	assert_non_null(strstr(km_buf_cstr(&out),
	                       "system(\xe2\x80\x99touch build/broken-out\xe2\x80\x99)"));
	assert_non_null(strstr(km_buf_cstr(&out), "@x {/S a} ^2&lt;b>"));
	assert_int_not_equal(stat("build/broken-out", &st), 0);
	km_buf_fini(&out);
}

static void colours_are_the_pages(void **state)
{
	const struct km_plotter plotter = { .program = NULL };
	static const double at[] = { 0, 1 };
	static const char *const names[] = { "first", "cpu 50 % on a" };
	struct km_err err = { .code = 0 };
	struct km_plot plot;
	struct km_buf out;
	const char *svg;

	(void)state;
	skip_without_gnuplot();
	km_buf_init(&out);
	km_plot_init(&plot, "bars", "share", NULL);
	plot.category = names;
	plot.category_count = 2;
	(void)km_plot_add(&plot, KM_PLOT_BARS, NULL, highs, at, 2);
	if (km_plot_svg(&plot, &plotter, "p", &out, &err) != 0)
		fail_msg("%s", err.text);
	svg = km_buf_cstr(&out);
	assert_null(xml_trouble(svg, out.len));
	for (unsigned role = 0; role <= 3; role++) { /* text, axis, grid, the series */
		char variable[24];

		(void)snprintf(variable, sizeof(variable), "var(--plot-%u)", role);
		assert_non_null(strstr(svg, variable));
	}
	assert_non_null(strstr(svg, "cpu 50 % on a")); /* no format for a number */
	assert_null(strstr(svg, "rgb("));
	assert_null(strstr(svg, "black"));
	assert_int_equal(xml_count(svg, "polygon"), 2);
	assert_non_null(strstr(svg, "<title id=\"p-title\">bars</title>"));
	assert_int_equal(xml_count(svg, "title"), 1); /* gnuplot's own would pop up */
	km_buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_checker_knows_bad_pages),
		cmocka_unit_test(text_is_escaped),
		cmocka_unit_test(without_gnuplot_the_page_says_so_and_has_the_tables),
		cmocka_unit_test(a_plot_that_fails_leaves_its_reason),
		cmocka_unit_test(a_plot_without_points_is_none),
		cmocka_unit_test(texts_are_only_text_to_gnuplot),
		cmocka_unit_test(colours_are_the_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

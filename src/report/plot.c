/* SPDX-License-Identifier: Apache-2.0 */
/* A plot as a gnuplot script. Every text goes in single quotes, where gnuplot expands nothing. */
#include "km/report/plot.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

#include "report_internal.h"

#define WIDTH           680u
#define HEIGHT          420u
#define SQUARE_WIDTH    540u
#define SQUARE_HEIGHT   540u /* leaves a square between axes and key */
#define BARS_HEAD       80u  /* axis, its label, the key */
#define BAR_HEIGHT      20u
#define BOX_SHARE       0.36 /* half of the width of a box, of the distance of two */
#define CATEGORIES_MAX  200
#define LABEL_MAX_BYTES 96 /* more would leave no room for the plot */

void km_plot_init(struct km_plot *p, const char *title, const char *x_label, const char *y_label)
{
	*p = (struct km_plot){
		.title = title,
		.x_label = x_label,
		.y_label = y_label,
		.x_min = NAN,
		.x_max = NAN,
		.y_min = NAN,
		.y_max = NAN,
	};
}

struct km_plot_series *km_plot_add(struct km_plot *p, enum km_plot_form form, const char *title,
                                   const double *x, const double *y, size_t count)
{
	struct km_plot_series *s = &p->series[p->series_count];

	assert(p->series_count < KM_PLOT_SERIES_MAX);
	p->series_count++;
	*s = (struct km_plot_series){
		.title = title, .form = form, .x = x, .y = y, .count = count
	};
	return s;
}

static bool lying(const struct km_plot *p)
{
	for (size_t i = 0; i < p->series_count; i++) {
		if (p->series[i].form == KM_PLOT_BARS)
			return true;
	}
	return false;
}

struct plot_size plot_size_of(const struct km_plot *p)
{
	size_t bars = p->category_count < CATEGORIES_MAX ? p->category_count : CATEGORIES_MAX;
	struct plot_size size = { WIDTH, HEIGHT };

	if (lying(p))
		size.height = BARS_HEAD + BAR_HEIGHT * (unsigned)(bars > 0 ? bars : 1);
	else if (p->square)
		size = (struct plot_size){ SQUARE_WIDTH, SQUARE_HEIGHT };
	return size;
}

/*
 * In single quotes gnuplot looks at nothing but the quote itself. A doubled one would be it, but
 * not at the start of a text, which gnuplot 5.4 takes for an empty one: so it becomes U+2019.
 */
static void put_literal(struct km_buf *out, const char *text, bool format)
{
	size_t used = 0;

	km_buf_char(out, '\'');
	for (const char *p = text; *p != '\0'; p++, used++) {
		unsigned char c = (unsigned char)*p;

		/* not in the middle of a character */
		if (used >= LABEL_MAX_BYTES && (c & 0xc0) != 0x80)
			break;
		if (c == '\'')
			km_buf_str(out, "\xe2\x80\x99");
		else if (c == '%' && format)
			km_buf_str(out, "%%");
		else if (c < ' ' || c == 0x7f)
			km_buf_char(out, ' ');
		else
			km_buf_char(out, *p);
	}
	km_buf_char(out, '\'');
}

static void put_text(struct km_buf *out, const char *text)
{
	put_literal(out, text, false);
}

static void put_colour(struct km_buf *out, unsigned role)
{
	km_buf_printf(out, "'#%02x%02x%02x'", (unsigned)ROLE_RED, (unsigned)ROLE_GREEN, role);
}

static void put_bound(struct km_buf *out, double value)
{
	if (isfinite(value))
		km_buf_printf(out, "%.9g", value);
	else
		km_buf_char(out, '*');
}

static void put_range(struct km_buf *out, char axis, double from, double to)
{
	km_buf_printf(out, "set %crange [", axis);
	put_bound(out, from);
	km_buf_char(out, ':');
	put_bound(out, to);
	km_buf_str(out, "]\n");
}

static void put_label(struct km_buf *out, char axis, const char *text)
{
	if (text == NULL)
		return;
	km_buf_printf(out, "set %clabel ", axis);
	put_text(out, text);
	km_buf_str(out, " textcolor rgb ");
	put_colour(out, ROLE_TEXT);
	km_buf_char(out, '\n');
}

static void put_categories(struct km_buf *out, const struct km_plot *p, char axis)
{
	if (p->category == NULL)
		return;
	km_buf_printf(out, "set %ctics scale 0 (", axis);
	for (size_t i = 0; i < p->category_count && i < CATEGORIES_MAX; i++) {
		km_buf_str(out, i > 0 ? ", " : "");
		put_literal(out, p->category[i], true); /* printed with the tic's value */
		km_buf_printf(out, " %zu", i);
	}
	km_buf_str(out, ")\n");
}

static void put_frame(struct km_buf *out, const struct km_plot *p, const char *name)
{
	struct plot_size size = plot_size_of(p);
	bool keyed = false;

	for (size_t i = 0; i < p->series_count; i++)
		keyed = keyed || p->series[i].title != NULL;
	km_buf_printf(out,
	              "set terminal svg size %u,%u dynamic noenhanced font 'sans-serif,13' name "
	              "'%s'\nset encoding utf8\nset pointintervalbox 0\nset border 3 lw 1 lc rgb ",
	              size.width, size.height, name);
	put_colour(out, ROLE_AXIS);
	km_buf_str(out, "\nset tics nomirror out scale 0.5 textcolor rgb ");
	put_colour(out, ROLE_TEXT);
	km_buf_str(out, "\nset grid lt 1 dt 1 lw 1 lc rgb ");
	put_colour(out, ROLE_GRID);
	if (keyed) {
		km_buf_str(out, "\nset key outside top center horizontal samplen 2 textcolor rgb ");
		put_colour(out, ROLE_TEXT);
		km_buf_char(out, '\n');
	} else {
		km_buf_str(out, "\nunset key\n");
	}
	if (p->square)
		km_buf_str(out, "set size ratio -1\n");
	put_label(out, 'x', p->x_label);
	put_label(out, 'y', p->y_label);
	put_categories(out, p, lying(p) ? 'y' : 'x');
	put_range(out, 'x', p->x_min, p->x_max);
	if (lying(p))
		put_range(out, 'y', (double)p->category_count - 0.4, -0.6);
	else
		put_range(out, 'y', p->y_min, p->y_max);
}

/* One line of the data block; returns false when the point is left out. */
static bool put_point(struct km_buf *out, const struct km_plot_series *s, size_t i)
{
	bool whiskers = s->low != NULL && s->high != NULL;
	double x = s->x[i];
	double y = s->y[i];

	if (!isfinite(x) || !isfinite(y) ||
	    (whiskers && !(isfinite(s->low[i]) && isfinite(s->high[i]))))
		return false;
	km_buf_printf(out, "%.9g %.9g", x, y);
	if (s->form == KM_PLOT_BARS)
		km_buf_printf(out, " 0 %.9g %.9g %.9g", x, y - BOX_SHARE, y + BOX_SHARE);
	else if (whiskers)
		km_buf_printf(out, " %.9g %.9g", s->low[i], s->high[i]);
	km_buf_char(out, '\n');
	return true;
}

static size_t put_data(struct km_buf *out, const struct km_plot_series *s, size_t number)
{
	size_t points = 0;

	km_buf_printf(out, "$data%zu << END_OF_DATA\n", number);
	for (size_t i = 0; i < s->count; i++)
		points += put_point(out, s, i);
	km_buf_str(out, "END_OF_DATA\n");
	return points;
}

static void put_series(struct km_buf *out, const struct km_plot_series *s, size_t number)
{
	static const char *const with[] = {
		[KM_PLOT_POINTS] = "points pt 7 ps 0.4",
		[KM_PLOT_LINE] = "lines lw 2",
		[KM_PLOT_MARKED] = "linespoints pt 7 ps 0.6 lw 2",
		[KM_PLOT_GUIDE] = "lines dt (6,4) lw 1.5",
		[KM_PLOT_COLUMNS] = "boxes fs solid 1 noborder",
		[KM_PLOT_BARS] = "boxxyerror fs solid 1 noborder",
	};
	bool whiskers = s->form == KM_PLOT_POINTS && s->low != NULL && s->high != NULL;

	km_buf_printf(out, "$data%zu with %s lc rgb ", number,
	              whiskers ? "yerrorbars pt 7 ps 0.6 lw 1.5" : with[s->form]);
	put_colour(out, s->form == KM_PLOT_GUIDE ? ROLE_AXIS : ROLE_SERIES + (unsigned)number);
	if (s->title != NULL) {
		km_buf_str(out, " title ");
		put_text(out, s->title);
	} else {
		km_buf_str(out, " notitle");
	}
}

/* returns the number of points; a guide alone says nothing. */
static size_t put_script(struct km_buf *out, const struct km_plot *p, const char *name)
{
	size_t points[KM_PLOT_SERIES_MAX];
	size_t all = 0;

	put_frame(out, p, name);
	km_buf_printf(out, "set boxwidth %g relative\n", 2 * BOX_SHARE);
	for (size_t i = 0; i < p->series_count; i++) {
		points[i] = put_data(out, &p->series[i], i);
		all += p->series[i].form == KM_PLOT_GUIDE ? 0 : points[i];
	}
	for (size_t i = 0, put = 0; i < p->series_count; i++) {
		if (points[i] == 0)
			continue;
		km_buf_str(out, put++ > 0 ? ", " : "plot ");
		put_series(out, &p->series[i], i);
	}
	km_buf_str(out, "\n");
	return all;
}

int km_plot_svg(const struct km_plot *p, const struct km_plotter *plotter, const char *name,
                struct km_buf *out, struct km_err *err)
{
	struct km_buf script;
	struct km_buf drawn;
	size_t before = out->len;
	int rc = 0;

	km_buf_init(&script);
	km_buf_init(&drawn);
	if (put_script(&script, p, name) == 0)
		rc = km_err_set(err, ENODATA, "there is nothing to draw");
	else if (!km_buf_ok(&script))
		rc = km_err_set(err, ENOMEM, "plot: out of memory");
	if (rc == 0)
		rc = plotter_run(plotter, &script, &drawn, err);
	if (rc == 0)
		rc = svg_adopt(drawn.data, drawn.len, plot_size_of(p), name, p->title, out, err);
	if (rc != 0)
		out->len = before;
	km_buf_fini(&drawn);
	km_buf_fini(&script);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside report: plot.c writes a script, gnuplot.c has it run, svg.c fits the result into a page.
 * Colours go through gnuplot as numbers that stand for roles: the page says what each looks like.
 */
#ifndef KM_REPORT_INTERNAL_H
#define KM_REPORT_INTERNAL_H

#include "km/report/page.h"
#include "km/report/plot.h"

/* rgb(ROLE_RED, ROLE_GREEN, role) means var(--plot-<role>); style.c has the variables. */
#define ROLE_RED   1
#define ROLE_GREEN 2

enum plot_role {
	ROLE_TEXT,
	ROLE_AXIS,
	ROLE_GRID,
	ROLE_SERIES, /* and the next ones */
	ROLE_N = ROLE_SERIES + KM_PLOT_SERIES_MAX,
};

/* Pixels, which are the viewBox's units. */
struct plot_size {
	unsigned width, height;
};

struct plot_size plot_size_of(const struct km_plot *p);

/* Gives the program `script` as its input, appends what it writes to out. Errors as km_plot_svg. */
int plotter_run(const struct km_plotter *plotter, struct km_buf *script, struct km_buf *out,
                struct km_err *err) KM_MUST_CHECK;

/*
 * Appends gnuplot's document [len] as an element of a page: without prologue and titles, ids
 * prefixed by `name`, roles as variables. returns 0 or -EBADMSG: elements that no plot has.
 */
int svg_adopt(const char *svg, size_t len, struct plot_size size, const char *name,
              const char *title, struct km_buf *out, struct km_err *err) KM_MUST_CHECK;

/* The page's style sheet. */
extern const char page_style[];

#endif

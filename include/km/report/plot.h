/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plots: plain numbers in, one SVG out, drawn by gnuplot in a process of its own with bounded time
 * and size. The SVG takes its colours from the page it is put into. Knows nothing of models.
 */
#ifndef KM_REPORT_PLOT_H
#define KM_REPORT_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"

#define KM_PLOT_SERIES_MAX 6

/* What draws. All zero: gnuplot from PATH with the default limits. */
struct km_plotter {
	const char *program; /* NULL = "gnuplot" */
	uint32_t limit_ms;   /* for one plot; 0 = 20,000 */
	size_t max_bytes;    /* of one SVG; 0 = 4 MiB */
};

enum km_plot_form {
	KM_PLOT_POINTS,
	KM_PLOT_LINE,
	KM_PLOT_MARKED,  /* a line with a mark at each point */
	KM_PLOT_GUIDE,   /* a dashed line in the axes' colour: what the others are compared to */
	KM_PLOT_COLUMNS, /* upright boxes */
	KM_PLOT_BARS,    /* lying boxes from 0 to x; y is the place of the category */
};

/* All borrowed. A point with a NaN or an infinity is left out. */
struct km_plot_series {
	const char *title; /* in the key; NULL = not in it */
	enum km_plot_form form;
	const double *x, *y;      /* [count] */
	const double *low, *high; /* [count], whiskers along y of POINTS; NULL = none */
	size_t count;
};

/* A bound of NaN is chosen from the data. */
struct km_plot {
	const char *title; /* for those who hear the page */
	const char *x_label, *y_label;
	double x_min, x_max, y_min, y_max;
	bool square; /* both axes at the same scale */
	/* Names for 0, 1, ... in place of numbers: on the y axis, from the top, when there are
	 * bars, else on the x axis. NULL = numbers. */
	const char *const *category; /* [category_count] */
	size_t category_count;
	struct km_plot_series series[KM_PLOT_SERIES_MAX];
	size_t series_count;
};

/* Everything chosen from the data, no series. Texts are borrowed. */
void km_plot_init(struct km_plot *p, const char *title, const char *x_label, const char *y_label);

/*
 * Adds a series; the first has the page's first colour, and so on. One too many is a bug of ours.
 * x, y [count].
 */
struct km_plot_series *km_plot_add(struct km_plot *p, enum km_plot_form form, const char *title,
                                   const double *x, const double *y, size_t count);

/*
 * Draws; appends one <svg> element to out. `name` is unique in the page, [a-z0-9]+: it starts every
 * id. Texts may hold anything: they are text to gnuplot and to the SVG.
 * returns 0; -ENODATA (no point at all), -ENOENT (the program is not there), -ETIMEDOUT, -EFBIG,
 * -EIO (it failed, with the first line it complained), -EBADMSG (what it wrote is no such SVG),
 * -ENOMEM. out is unchanged after an error.
 * thread: any; it waits for the process.
 */
int km_plot_svg(const struct km_plot *p, const struct km_plotter *plotter, const char *name,
                struct km_buf *out, struct km_err *err) KM_MUST_CHECK;

#endif

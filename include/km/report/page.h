/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTML page with everything inside: style, tables, plots. It fetches nothing, reads in light
 * and dark, prints, and is well-formed XML too. Written piece by piece into a buffer; every text is
 * escaped. Out of memory shows in the buffer, at the end.
 */
#ifndef KM_REPORT_PAGE_H
#define KM_REPORT_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/report/plot.h"

struct km_page {
	struct km_buf *out;
	struct km_plotter plotter;
	unsigned plots;          /* asked for */
	unsigned plots_missing;  /* of these, not drawn */
	struct km_err trouble;   /* why the first of them was not; code 0 = all are there */
	bool no_plotter;         /* the program is not there: not asked for again */
	bool in_section, in_row; /* what is open */
	size_t columns, column;  /* of the table that is open */
	unsigned numeric;        /* a bit for each of its columns */
};

/* plotter NULL = the default one; copied. out is borrowed until km_page_end. */
void km_page_begin(struct km_page *p, struct km_buf *out, const struct km_plotter *plotter,
                   const char *title, const char *subtitle);
void km_page_end(struct km_page *p);

/* The next section, under a heading; closes the one before. */
void km_page_section(struct km_page *p, const char *title);

/* A paragraph; warn: one that must not be overlooked. */
void km_page_text(struct km_page *p, const char *text);
void km_page_warn(struct km_page *p, const char *text);

/* Figures on top of the page, large: begin, one after another, end. note may be "". */
void km_page_figures_begin(struct km_page *p);
void km_page_figure(struct km_page *p, const char *name, const char *value, const char *note);
void km_page_figures_end(struct km_page *p);

/* Terms and what they mean: begin, one after another, end. */
void km_page_terms_begin(struct km_page *p);
void km_page_term(struct km_page *p, const char *term, const char *meaning);
void km_page_terms_end(struct km_page *p);

/*
 * A table: its columns, then cells row by row. A cell belongs to the next column; km_page_row opens
 * the next row. At most 32 columns. `folded`: shown when somebody clicks on the caption.
 */
struct km_page_column {
	const char *title;
	bool numeric; /* aligned to the right */
};
void km_page_table_begin(struct km_page *p, const char *caption,
                         const struct km_page_column *column, size_t columns, bool folded);
void km_page_row(struct km_page *p, bool strong);
void km_page_cell(struct km_page *p, const char *text,
                  const char *note); /* small below; "" = none */
/* NaN is shown as a dash; low and high, when both are numbers, small beside it. */
void km_page_number(struct km_page *p, double value, double low, double high, int decimals);
void km_page_table_end(struct km_page *p, bool folded);

/* A plot with its caption; where it could not be drawn, what is missing in its place. */
void km_page_plot(struct km_page *p, const struct km_plot *plot, const char *caption);

/* Appends text with & < > " ' as references; what is no UTF-8 becomes U+FFFD. */
void km_html_text(struct km_buf *out, const char *text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The page, piece by piece. The markup is XML as well, so that a stray tag cannot hide. */
#include "km/report/page.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "km/base/macros.h"

#include "report_internal.h"

#define COLUMNS_MAX 32
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Bytes of the well-formed character at p, or 0 (RFC 3629; the text ends with NUL). */
static size_t character(const unsigned char *p)
{
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0; /* too long, a surrogate, behind the last one */
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

void km_html_text(struct km_buf *out, const char *text)
{
	static const struct {
		char c;
		const char *reference;
	} special[] = {
		{ '&', "&amp;" },  { '<', "&lt;" },   { '>', "&gt;" },
		{ '"', "&quot;" }, { '\'', "&#39;" },
	};
	const unsigned char *p = (const unsigned char *)text;

	while (*p != '\0') {
		size_t len = character(p);
		const char *instead = NULL;

		for (size_t i = 0; i < KM_ARRAY_LEN(special) && instead == NULL; i++) {
			if (*p == (unsigned char)special[i].c)
				instead = special[i].reference;
		}
		/* XML has no control characters but these */
		if (len == 0 || (*p < ' ' && *p != '\n' && *p != '\t') || *p == 0x7f)
			instead = REPLACEMENT;
		if (instead != NULL)
			km_buf_str(out, instead);
		else
			km_buf_append(out, p, len);
		p += len > 0 ? len : 1;
	}
}

static void put_element(struct km_buf *out, const char *open, const char *text, const char *close)
{
	km_buf_str(out, open);
	km_html_text(out, text);
	km_buf_str(out, close);
}

void km_page_begin(struct km_page *p, struct km_buf *out, const struct km_plotter *plotter,
                   const char *title, const char *subtitle)
{
	*p = (struct km_page){ .out = out };
	if (plotter != NULL)
		p->plotter = *plotter;
	/* Whatever a text may hold, nothing is fetched and nothing runs. */
	km_buf_str(out, "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">"
	                "<head>\n<meta charset=\"utf-8\"/>\n"
	                "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
	                "&#39;none&#39;; style-src &#39;unsafe-inline&#39;\"/>\n"
	                "<meta name=\"viewport\" content=\"width=device-width, "
	                "initial-scale=1\"/>\n");
	put_element(out, "<title>", title, "</title>\n");
	km_buf_printf(out, "<style>\n%s</style>\n</head>\n<body><main>\n", page_style);
	put_element(out, "<h1>", title, "</h1>\n");
	put_element(out, "<p class=\"subtitle\">", subtitle, "</p>\n");
}

static void close_section(struct km_page *p)
{
	if (p->in_section)
		km_buf_str(p->out, "</section>\n");
	p->in_section = false;
}

void km_page_end(struct km_page *p)
{
	close_section(p);
	km_buf_str(p->out, "</main></body></html>\n");
}

void km_page_section(struct km_page *p, const char *title)
{
	close_section(p);
	p->in_section = true;
	put_element(p->out, "<section><h2>", title, "</h2>\n");
}

void km_page_text(struct km_page *p, const char *text)
{
	put_element(p->out, "<p>", text, "</p>\n");
}

void km_page_warn(struct km_page *p, const char *text)
{
	put_element(p->out, "<p class=\"warn\">", text, "</p>\n");
}

void km_page_figures_begin(struct km_page *p)
{
	km_buf_str(p->out, "<dl class=\"figures\">\n");
}

void km_page_figure(struct km_page *p, const char *name, const char *value, const char *note)
{
	put_element(p->out, "<div><dt>", name, "</dt>");
	put_element(p->out, "<dd>", value, "");
	put_element(p->out, "<span class=\"note\">", note, "</span></dd></div>\n");
}

void km_page_figures_end(struct km_page *p)
{
	km_buf_str(p->out, "</dl>\n");
}

void km_page_terms_begin(struct km_page *p)
{
	km_buf_str(p->out, "<dl class=\"terms\">\n");
}

void km_page_term(struct km_page *p, const char *term, const char *meaning)
{
	put_element(p->out, "<dt>", term, "</dt>");
	put_element(p->out, "<dd>", meaning, "</dd>\n");
}

void km_page_terms_end(struct km_page *p)
{
	km_buf_str(p->out, "</dl>\n");
}

void km_page_table_begin(struct km_page *p, const char *caption,
                         const struct km_page_column *column, size_t columns, bool folded)
{
	p->columns = columns < COLUMNS_MAX ? columns : COLUMNS_MAX;
	p->numeric = 0;
	p->in_row = false;
	if (folded)
		put_element(p->out, "<details><summary>", caption, "</summary>\n");
	km_buf_str(p->out, "<div class=\"wide\"><table>\n");
	if (!folded)
		put_element(p->out, "<caption>", caption, "</caption>\n");
	km_buf_str(p->out, "<thead><tr>");
	for (size_t i = 0; i < p->columns; i++) {
		p->numeric |= (column[i].numeric ? 1u : 0u) << i;
		put_element(p->out,
		            column[i].numeric ? "<th scope=\"col\" class=\"number\">"
		                              : "<th scope=\"col\">",
		            column[i].title, "</th>");
	}
	km_buf_str(p->out, "</tr></thead>\n<tbody>\n");
}

/* A row has all its cells, also when somebody forgot some. */
static void close_row(struct km_page *p)
{
	while (p->in_row && p->column < p->columns)
		km_page_cell(p, "", "");
	if (p->in_row)
		km_buf_str(p->out, "</tr>\n");
	p->in_row = false;
}

void km_page_row(struct km_page *p, bool strong)
{
	close_row(p);
	p->in_row = true;
	p->column = 0;
	km_buf_str(p->out, strong ? "<tr class=\"strong\">" : "<tr>");
}

static bool open_cell(struct km_page *p)
{
	if (!p->in_row || p->column >= p->columns)
		return false;
	km_buf_str(p->out, p->numeric & (1u << p->column) ? "<td class=\"number\">" : "<td>");
	p->column++;
	return true;
}

void km_page_cell(struct km_page *p, const char *text, const char *note)
{
	if (!open_cell(p))
		return;
	km_html_text(p->out, text);
	if (note[0] != '\0')
		put_element(p->out, "<span class=\"range\">", note, "</span>");
	km_buf_str(p->out, "</td>");
}

void km_page_number(struct km_page *p, double value, double low, double high, int decimals)
{
	if (!open_cell(p))
		return;
	if (isfinite(value))
		km_buf_printf(p->out, "%.*f", decimals, value);
	else
		km_buf_str(p->out, "\xe2\x80\x93"); /* a dash */
	if (isfinite(low) && isfinite(high))
		km_buf_printf(p->out, "<span class=\"range\">%.*f to %.*f</span>", decimals, low,
		              decimals, high);
	km_buf_str(p->out, "</td>");
}

void km_page_table_end(struct km_page *p, bool folded)
{
	close_row(p);
	km_buf_str(p->out,
	           folded ? "</tbody></table></div></details>\n" : "</tbody></table></div>\n");
}

static void put_missing(struct km_page *p, int rc, const struct km_err *err)
{
	if (rc == -ENOENT) {
		km_buf_str(p->out, "<p class=\"missing\">No plot: gnuplot is not installed "
		                   "(Debian package gnuplot-nox).</p>\n");
		return;
	}
	put_element(p->out, "<p class=\"missing\">No plot: ", err->text, "</p>\n");
}

void km_page_plot(struct km_page *p, const struct km_plot *plot, const char *caption)
{
	struct km_err err = { .code = 0 };
	char name[16];
	int rc = -ENOENT;

	(void)snprintf(name, sizeof(name), "plot%u", p->plots++);
	/* as wide as the plot: so is the caption, and narrow plots stand side by side */
	km_buf_printf(p->out, "<figure style=\"max-width:%upx\">\n", plot_size_of(plot).width);
	if (!p->no_plotter)
		rc = km_plot_svg(plot, &p->plotter, name, p->out, &err);
	p->no_plotter = rc == -ENOENT;
	if (rc != 0) {
		if (p->plots_missing++ == 0)
			p->trouble = err;
		put_missing(p, rc, &err);
	}
	put_element(p->out, "<figcaption>", caption, "</figcaption></figure>\n");
}

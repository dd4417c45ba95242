/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gnuplot's SVG into a page. Several of them share one document, so ids get a prefix; colours are
 * roles, so that the page decides; titles are dropped, as browsers would pop them up. Only elements
 * that a plot is made of get through.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "km/base/macros.h"

#include "report_internal.h"

/* Text between '<' and '>', or between two tags. */
struct slice {
	const char *p, *end;
};

static const char *const elements[] = {
	"svg",  "g",    "defs",  "path",   "circle",  "rect",        "use",   "polygon", "polyline",
	"line", "text", "tspan", "filter", "feFlood", "feComposite", "title", "desc",
};

static bool starts(struct slice s, const char *word)
{
	size_t len = strlen(word);

	return (size_t)(s.end - s.p) >= len && memcmp(s.p, word, len) == 0;
}

/* Is the tag's element called so? `tag` begins behind '<' and a '/'. */
static bool called(struct slice tag, const char *name)
{
	size_t len = strlen(name);

	return starts(tag, name) &&
	       ((size_t)(tag.end - tag.p) == len || strchr(" \t\r\n/", tag.p[len]) != NULL);
}

static bool known(struct slice tag)
{
	if (tag.p < tag.end && *tag.p == '/')
		tag.p++;
	for (size_t i = 0; i < KM_ARRAY_LEN(elements); i++) {
		if (called(tag, elements[i]))
			return true;
	}
	return false;
}

/* "rgb(  1,   2,   7)" -> 7. returns bytes read, 0 when it is a colour of gnuplot's own. */
static size_t read_role(struct slice s, unsigned *role)
{
	unsigned part[3] = { 0, 0, 0 };
	const char *p = s.p + strlen("rgb(");

	for (size_t i = 0; i < KM_ARRAY_LEN(part); i++) {
		while (p < s.end && *p == ' ')
			p++;
		while (p < s.end && *p >= '0' && *p <= '9' && part[i] < 256)
			part[i] = part[i] * 10 + (unsigned)(*p++ - '0');
		if (p == s.end || *p++ != (i < 2 ? ',' : ')'))
			return 0;
	}
	*role = part[2];
	return part[0] == ROLE_RED && part[1] == ROLE_GREEN && *role < ROLE_N ? (size_t)(p - s.p)
	                                                                      : 0;
}

/* A whole tag, without its brackets. */
static void put_tag(struct km_buf *out, struct slice tag, const char *name)
{
	/* the prefix goes behind each */
	static const char *const prefixed[] = { " id='", " id=\"", "href='#", "href=\"#", "url(#" };
	unsigned role;

	km_buf_char(out, '<');
	while (tag.p < tag.end) {
		size_t len = 0;

		for (size_t i = 0; i < KM_ARRAY_LEN(prefixed) && len == 0; i++)
			len = starts(tag, prefixed[i]) ? strlen(prefixed[i]) : 0;
		if (len > 0) {
			km_buf_append(out, tag.p, len);
			km_buf_printf(out, "%s-", name);
		} else if (starts(tag, "rgb(") && (len = read_role(tag, &role)) > 0) {
			km_buf_printf(out, "var(--plot-%u)", role);
		} else if (starts(tag, "\"black\"")) {
			len = strlen("\"black\"");
			km_buf_str(out, "\"currentColor\"");
		} else {
			len = 1;
			km_buf_char(out, *tag.p);
		}
		tag.p += len;
	}
	km_buf_char(out, '>');
}

/* From behind the opening tag of the outermost svg to its closing tag. returns 0 or -EBADMSG. */
static int put_inside(struct km_buf *out, struct slice s, const char *name, struct km_err *err)
{
	unsigned dropping = 0; /* inside a title or desc */

	while (s.p < s.end) {
		const char *open = memchr(s.p, '<', (size_t)(s.end - s.p));
		const char *close;
		struct slice tag;

		if (dropping == 0)
			km_buf_append(out, s.p, (size_t)((open != NULL ? open : s.end) - s.p));
		if (open == NULL)
			break;
		close = memchr(open, '>', (size_t)(s.end - open));
		if (close == NULL)
			return km_err_set(err, EBADMSG, "the plot ends within a tag");
		tag = (struct slice){ open + 1, close };
		if (!known(tag))
			return km_err_set(err, EBADMSG, "the plot has an element \"%.*s\"",
			                  (int)(close - open < 20 ? close - open - 1 : 20), tag.p);
		if (called(tag, "title") || called(tag, "desc"))
			dropping = 1;
		else if (called(tag, "/title") || called(tag, "/desc"))
			dropping = 0;
		else if (dropping == 0)
			put_tag(out, tag, name);
		s.p = close + 1;
	}
	return 0;
}

int svg_adopt(const char *svg, size_t len, struct plot_size size, const char *name,
              const char *title, struct km_buf *out, struct km_err *err)
{
	const char *open = len > 0 ? memmem(svg, len, "<svg", 4) : NULL;
	const char *body = open != NULL ? memchr(open, '>', len - (size_t)(open - svg)) : NULL;
	const char *end = NULL;
	int rc;

	for (const char *p = body; p != NULL;
	     p = memmem(p + 1, len - (size_t)(p + 1 - svg), "</svg>", 6)) {
		if (p != body)
			end = p;
	}
	if (end == NULL)
		return km_err_set(err, EBADMSG, "what was drawn is no SVG");
	km_buf_printf(out,
	              "<svg xmlns=\"http://www.w3.org/2000/svg\" "
	              "xmlns:xlink=\"http://www.w3.org/1999/xlink\" class=\"plot\" role=\"img\" "
	              "viewBox=\"0 0 %u %u\" width=\"%u\" height=\"%u\" "
	              "aria-labelledby=\"%s-title\"><title id=\"%s-title\">",
	              size.width, size.height, size.width, size.height, name, name);
	km_html_text(out, title);
	km_buf_str(out, "</title>");
	rc = put_inside(out, (struct slice){ body + 1, end }, name, err);
	km_buf_str(out, "</svg>\n");
	return rc;
}

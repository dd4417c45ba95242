/* SPDX-License-Identifier: Apache-2.0 */
#include "xml.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 64
#define NAME_MAX  48
#define IDS_MAX   4096

struct reader {
	const char *start, *p, *end;
	char open[DEPTH_MAX][NAME_MAX];
	size_t depth;
	char trouble[200];
};

static char ids[IDS_MAX][NAME_MAX];
static size_t id_count;

static bool fail(struct reader *r, const char *what)
{
	size_t line = 1;

	for (const char *p = r->start; p < r->p; p++)
		line += *p == '\n';
	(void)snprintf(r->trouble, sizeof(r->trouble), "line %zu: %s near \"%.60s\"", line, what,
	               r->p);
	return false;
}

static bool name_char(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_' || c == ':' || c == '.';
}

static bool read_name(struct reader *r, char *out)
{
	size_t len = 0;

	while (r->p < r->end && name_char(*r->p) && len + 1 < NAME_MAX)
		out[len++] = *r->p++;
	out[len] = '\0';
	return len > 0 && isalpha((unsigned char)out[0]) ? true : fail(r, "no name");
}

static bool read_reference(struct reader *r)
{
	static const char *const known[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&#39;" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if ((size_t)(r->end - r->p) >= strlen(known[i]) &&
		    strncmp(r->p, known[i], strlen(known[i])) == 0) {
			r->p += strlen(known[i]);
			return true;
		}
	}
	return fail(r, "a bare &");
}

/* Up to, not including, `stop`. */
static bool read_text(struct reader *r, char stop)
{
	while (r->p < r->end && *r->p != stop) {
		unsigned char c = (unsigned char)*r->p;

		if (c == '<')
			return fail(r, "a bare <");
		if (c < ' ' && c != '\n' && c != '\t')
			return fail(r, "a control character");
		if (c == '&' && !read_reference(r))
			return false;
		r->p += c != '&';
	}
	return true;
}

static bool note_id(struct reader *r, const char *value, size_t len)
{
	if (len >= NAME_MAX || id_count == IDS_MAX)
		return fail(r, "an id too long, or too many");
	(void)snprintf(ids[id_count], NAME_MAX, "%.*s", (int)len, value);
	for (size_t i = 0; i < id_count; i++) {
		if (strcmp(ids[i], ids[id_count]) == 0)
			return fail(r, "an id twice");
	}
	id_count++;
	return true;
}

static bool refers(struct reader *r, const char *value, size_t len)
{
	if (len < 2 || value[0] != '#')
		return fail(r, "a reference out of the page");
	for (size_t i = 0; i < id_count; i++) {
		if (strlen(ids[i]) == len - 1 && memcmp(ids[i], value + 1, len - 1) == 0)
			return true;
	}
	return fail(r, "a reference to nothing");
}

static bool read_attribute(struct reader *r)
{
	char name[NAME_MAX];
	const char *value;
	char quote;

	if (!read_name(r, name))
		return false;
	while (r->p < r->end && isspace((unsigned char)*r->p))
		r->p++;
	if (r->p == r->end || *r->p++ != '=')
		return fail(r, "an attribute without value");
	while (r->p < r->end && isspace((unsigned char)*r->p))
		r->p++;
	if (r->p == r->end)
		return fail(r, "an attribute without value");
	quote = *r->p++;
	value = r->p;
	if ((quote != '"' && quote != '\'') || !read_text(r, quote) || r->p == r->end)
		return fail(r, "a value without quotes");
	r->p++;
	if (strcmp(name, "id") == 0)
		return note_id(r, value, (size_t)(r->p - 1 - value));
	if (strcmp(name, "href") == 0 || strcmp(name, "xlink:href") == 0)
		return refers(r, value, (size_t)(r->p - 1 - value));
	if (strcmp(name, "src") == 0 || strncmp(name, "on", 2) == 0)
		return fail(r, "something that is fetched or runs");
	return true;
}

static bool read_end_tag(struct reader *r)
{
	char name[NAME_MAX];

	r->p++;
	if (!read_name(r, name))
		return false;
	if (r->depth == 0 || strcmp(name, r->open[r->depth - 1]) != 0)
		return fail(r, "closes what is not open");
	r->depth--;
	return r->p < r->end && *r->p++ == '>' ? true : fail(r, "no >");
}

static bool read_tag(struct reader *r)
{
	char name[NAME_MAX];

	if (r->p < r->end && *r->p == '/')
		return read_end_tag(r);
	if (!read_name(r, name))
		return false;
	if (strcmp(name, "script") == 0)
		return fail(r, "a script");
	for (;;) {
		const char *before = r->p;

		while (r->p < r->end && isspace((unsigned char)*r->p))
			r->p++;
		if (r->p == r->end)
			return fail(r, "ends within a tag");
		if (*r->p == '/' || *r->p == '>')
			break;
		if (r->p == before)
			return fail(r, "no blank before an attribute");
		if (!read_attribute(r))
			return false;
	}
	if (*r->p == '/') {
		r->p++;
		return r->p < r->end && *r->p++ == '>' ? true : fail(r, "no > behind /");
	}
	r->p++;
	if (r->depth == DEPTH_MAX)
		return fail(r, "too deep");
	memcpy(r->open[r->depth++], name, NAME_MAX);
	return true;
}

const char *xml_trouble(const char *text, size_t len)
{
	static struct reader r;
	static const char doctype[] = "<!DOCTYPE html>";

	id_count = 0;
	r = (struct reader){ .start = text, .p = text, .end = text + len };
	if (len >= sizeof(doctype) && memcmp(text, doctype, sizeof(doctype) - 1) == 0)
		r.p += sizeof(doctype) - 1;
	while (r.p < r.end) {
		if (!read_text(&r, '<'))
			return r.trouble;
		if (r.p == r.end)
			break;
		r.p++;
		if (!read_tag(&r))
			return r.trouble;
	}
	if (r.depth > 0) {
		(void)snprintf(r.trouble, sizeof(r.trouble), "<%s> is never closed",
		               r.open[r.depth - 1]);
		return r.trouble;
	}
	return NULL;
}

size_t xml_count(const char *text, const char *element)
{
	char tag[NAME_MAX];
	size_t count = 0;
	size_t len = (size_t)snprintf(tag, sizeof(tag), "<%s", element);

	for (const char *p = strstr(text, tag); p != NULL; p = strstr(p + len, tag))
		count += !name_char(p[len]);
	return count;
}

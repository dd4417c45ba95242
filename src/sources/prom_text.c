/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus' text format; the grammar is that of its "exposition formats" page. */
#include "prom_text.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "km/base/num.h"

static bool is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
}

static bool is_name_char(char c)
{
	return is_name_start(c) || (c >= '0' && c <= '9');
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p)) {
		p++;
	}
	return p;
}

/* returns behind the name, or p when there is none. */
static const char *skip_name(const char *p, const char *end)
{
	if (p < end && is_name_start(*p)) {
		for (p++; p < end && is_name_char(*p); p++) {
		}
	}
	return p;
}

int km_prom_next(const char **at, const char *end, struct km_prom_line *out)
{
	while (*at < end) {
		const char *newline = memchr(*at, '\n', (size_t)(end - *at));
		const char *stop = newline != NULL ? newline : end;
		const char *p = skip_blanks(*at, stop);
		const char *after = skip_name(p, stop);

		*at = newline != NULL ? newline + 1 : end;
		if (p == stop || *p == '#') {
			continue;
		}
		if (after == p || after == stop || (*after != '{' && !is_blank(*after))) {
			return -EBADMSG;
		}
		out->name = (struct km_prom_text){ p, (size_t)(after - p) };
		out->rest = (struct km_prom_text){ after, (size_t)(stop - after) };
		return 1;
	}
	return 0;
}

/* From behind the opening quote to the closing one, or NULL. */
static const char *find_quote(const char *p, const char *end)
{
	for (; p < end && *p != '"'; p++) {
		if (*p == '\\' && p + 1 < end) {
			p++;
		}
	}
	return p < end ? p : NULL;
}

/* name="value" at p. returns behind it, or NULL. */
static const char *parse_label(const char *p, const char *end, struct km_prom_label *out)
{
	const char *after = skip_name(p, end);
	const char *quote;

	if (after == p) {
		return NULL;
	}
	out->name = (struct km_prom_text){ p, (size_t)(after - p) };
	p = skip_blanks(after, end);
	if (p == end || *p != '=') {
		return NULL;
	}
	p = skip_blanks(p + 1, end);
	if (p == end || *p != '"') {
		return NULL;
	}
	quote = find_quote(p + 1, end);
	if (quote == NULL) {
		return NULL;
	}
	out->value = (struct km_prom_text){ p + 1, (size_t)(quote - p - 1) };
	return quote + 1;
}

/* {...} at p. returns behind it, or NULL with *ret. */
static const char *parse_labels(const char *p, const char *end, struct km_prom_sample *out,
                                int *ret)
{
	*ret = -EBADMSG;
	for (p = skip_blanks(p + 1, end); p < end && *p != '}'; p = skip_blanks(p, end)) {
		if (out->label_count == KM_PROM_LABELS_MAX) {
			*ret = -E2BIG;
			return NULL;
		}
		p = parse_label(p, end, &out->label[out->label_count]);
		if (p == NULL) {
			return NULL;
		}
		out->label_count++;
		p = skip_blanks(p, end);
		if (p < end && *p == ',') {
			p++;
		} else if (p == end || *p != '}') {
			return NULL;
		}
	}
	return p < end ? p + 1 : NULL;
}

/* A C++ stream prints NaN with the sign it happens to have. */
static int parse_value(const char *p, size_t len, double *out)
{
	if (len == 4 && memcmp(p, "-nan", 4) == 0) {
		*out = NAN;
		return 0;
	}
	return km_num_double(p, len, out) == 0 ? 0 : -EBADMSG;
}

int km_prom_parse(const struct km_prom_line *line, struct km_prom_sample *out)
{
	const char *p = skip_blanks(line->rest.at, line->rest.at + line->rest.len);
	const char *end = line->rest.at + line->rest.len;
	const char *value;
	int ret;

	out->label_count = 0;
	if (p < end && *p == '{') {
		p = parse_labels(p, end, out, &ret);
		if (p == NULL) {
			return ret;
		}
	}
	value = skip_blanks(p, end);
	for (p = value; p < end && !is_blank(*p); p++) {
	}
	if (parse_value(value, (size_t)(p - value), &out->value) != 0) {
		return -EBADMSG;
	}
	/* a time may follow: an integer, which is of no use here */
	value = skip_blanks(p, end);
	for (p = value; p < end && ((*p >= '0' && *p <= '9') || (*p == '-' && p == value)); p++) {
	}
	return skip_blanks(p, end) == end ? 0 : -EBADMSG;
}

bool km_prom_is(const struct km_prom_text *text, const char *word)
{
	return strlen(word) == text->len && memcmp(text->at, word, text->len) == 0;
}

const struct km_prom_text *km_prom_label(const struct km_prom_sample *s, const char *name)
{
	for (size_t i = 0; i < s->label_count; i++) {
		if (km_prom_is(&s->label[i].name, name)) {
			return &s->label[i].value;
		}
	}
	return NULL;
}

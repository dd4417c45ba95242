/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a dataset folder. Lines are bounded; a short line is an error, not empty fields. */
#include "csv.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/file.h"
#include "km/base/num.h"

#define LINE_MAX_BYTES 65536
#define COLUMNS_MAX    256

struct csv {
	char *path;
	struct km_lines *lines;
	const struct csv_column *column;
	size_t column_count;
	size_t file_columns;
	int at[COLUMNS_MAX]; /* column of ours -> column of the file, -1 = absent */
	char *text;          /* of the current line; quotes are undone in it */
	size_t text_cap;
};

/* One field from text[i] on, its quotes undone in place. returns the position behind its comma. */
static size_t take_field(char *text, size_t len, size_t i, struct km_name *out)
{
	bool quoted = i < len && text[i] == '"';
	size_t from = i;
	size_t to = i;

	for (i += quoted; i < len && (quoted || text[i] != ','); i++) {
		if (quoted && text[i] == '"') {
			if (i + 1 >= len || text[i + 1] != '"') {
				quoted = false; /* the closing one */
				continue;
			}
			i++; /* "" is one quote */
		}
		text[to++] = text[i];
	}
	*out = (struct km_name){ text + from, (uint32_t)(to - from) };
	return i + 1;
}

/* Splits a line in place. returns the number of fields, or -EBADMSG for more than `max`. */
static int split(char *text, size_t len, struct km_name *out, size_t max)
{
	size_t count = 0;
	size_t i = 0;

	while (i <= len) {
		if (count == max)
			return -EBADMSG;
		i = take_field(text, len, i, &out[count++]);
	}
	return (int)count;
}

static int read_line(struct csv *c, size_t *len, struct km_err *err)
{
	const char *line;
	int rc;

	do {
		rc = km_lines_next(c->lines, &line, len, err);
		if (rc == KM_LINE_END)
			return 0;
		if (rc < 0)
			return rc; /* the text names the file */
	} while (*len == 0);
	if (*len + 1 > c->text_cap) {
		char *grown = realloc(c->text, *len + 1);

		if (grown == NULL)
			return km_err_set(err, ENOMEM, "%s: out of memory", c->path);
		c->text = grown;
		c->text_cap = *len + 1;
	}
	memcpy(c->text, line, *len + 1);
	return 1;
}

static bool same(struct km_name a, const char *b)
{
	return a.len == strlen(b) && memcmp(a.text, b, a.len) == 0;
}

static int read_header(struct csv *c, struct km_err *err)
{
	struct km_name field[COLUMNS_MAX];
	size_t len;
	size_t bom;
	int count;
	int rc = read_line(c, &len, err);

	if (rc <= 0)
		return rc < 0 ? rc : km_err_set(err, EBADMSG, "%s: empty, want a header", c->path);
	bom = len >= 3 && memcmp(c->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	count = split(c->text + bom, len - bom, field, COLUMNS_MAX);
	if (count < 0)
		return km_err_set(err, EBADMSG, "%s: more than %d columns", c->path, COLUMNS_MAX);
	c->file_columns = (size_t)count;
	for (size_t i = 0; i < c->column_count; i++) {
		c->at[i] = -1;
		for (int f = 0; f < count && c->at[i] < 0; f++) {
			if (same(field[f], c->column[i].name))
				c->at[i] = f;
		}
		if (c->at[i] < 0 && !c->column[i].optional)
			return km_err_set(err, EBADMSG, "%s: no column \"%s\" among its %d",
			                  c->path, c->column[i].name, count);
	}
	return 0;
}

int csv_open(const char *path, const struct csv_column *column, size_t column_count,
             struct csv **out, struct km_err *err)
{
	struct csv *c = calloc(1, sizeof(*c));
	int rc;

	*out = NULL;
	if (c == NULL || column_count > COLUMNS_MAX) {
		free(c);
		return km_err_set(err, ENOMEM, "%s: out of memory", path);
	}
	c->column = column;
	c->column_count = column_count;
	c->path = strdup(path);
	rc = c->path != NULL ? km_lines_open(path, LINE_MAX_BYTES, &c->lines, err)
	                     : km_err_set(err, ENOMEM, "%s: out of memory", path);
	if (rc == 0)
		rc = read_header(c, err);
	if (rc != 0) {
		csv_close(c);
		return rc;
	}
	*out = c;
	return 0;
}

void csv_close(struct csv *c)
{
	if (c == NULL)
		return;
	km_lines_close(c->lines);
	free(c->path);
	free(c->text);
	free(c);
}

int csv_next(struct csv *c, struct km_name *field, struct km_err *err)
{
	struct km_name all[COLUMNS_MAX];
	size_t len;
	int count;
	int rc = read_line(c, &len, err);

	if (rc <= 0)
		return rc;
	count = split(c->text, len, all, c->file_columns);
	if (count != (int)c->file_columns)
		return km_err_set(err, EBADMSG, "%s:%zu: %s fields than the header's %zu", c->path,
		                  km_lines_number(c->lines), count < 0 ? "more" : "fewer",
		                  c->file_columns);
	for (size_t i = 0; i < c->column_count; i++)
		field[i] = c->at[i] >= 0 ? all[c->at[i]] : (struct km_name){ "", 0 };
	return 1;
}

int csv_bad(const struct csv *c, size_t column, struct km_name field, const char *want,
            struct km_err *err)
{
	return km_err_set(err, EBADMSG, "%s:%zu: %s: saw \"%.*s\", want %s", c->path,
	                  km_lines_number(c->lines), c->column[column].name,
	                  (int)(field.len < 40 ? field.len : 40), field.text, want);
}

int csv_number(const struct csv *c, size_t column, struct km_name field, double *out,
               struct km_err *err)
{
	*out = NAN;
	if (field.len == 0)
		return 0;
	/* it goes into a float */
	if (km_num_double(field.text, field.len, out) != 0 || !(*out >= 0) ||
	    *out > (double)FLT_MAX)
		return csv_bad(c, column, field, "a number of at least 0", err);
	return 0;
}

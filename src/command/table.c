/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables for people: aligned columns that fit the terminal. Cells are UTF-8 from anywhere; what
 * could steer a terminal is shown as '?'. Knows nothing of what the cells mean.
 */
#include "km/command/table.h"

#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "km/base/macros.h"

#define GAP      2     /* blanks between two columns */
#define CUT_MARK "..." /* ends a cell that is not shown whole */

struct range {
	uint32_t first, last;
};

static bool within(const struct range *r, size_t count, uint32_t code)
{
	for (size_t i = 0; i < count; i++) {
		if (code >= r[i].first && code <= r[i].last)
			return true;
	}
	return false;
}

/* Control characters, C1 ones included, and those that turn the direction of what follows. */
static bool steers_terminal(uint32_t code)
{
	static const struct range r[] = {
		{ 0, 0x1f },        { 0x7f, 0x9f },     { 0x200e, 0x200f },
		{ 0x2028, 0x202e }, { 0x2066, 0x2069 },
	};

	return within(r, KM_ARRAY_LEN(r), code);
}

/* Columns a character takes: roughly Unicode's East Asian Width (UAX 11). wcwidth would want a
 * locale, and nobody here sets one. */
static unsigned char_width(uint32_t code)
{
	static const struct range none[] = {
		{ 0x300, 0x36f },
		{ 0x200b, 0x200d },
		{ 0x20d0, 0x20ff },
		{ 0xfe00, 0xfe0f },
	};
	static const struct range two[] = {
		{ 0x1100, 0x115f }, { 0x2e80, 0xa4cf },   { 0xac00, 0xd7a3 },
		{ 0xf900, 0xfaff }, { 0xfe30, 0xfe6f },   { 0xff00, 0xff60 },
		{ 0xffe0, 0xffe6 }, { 0x1f300, 0x1faff }, { 0x20000, 0x3fffd },
	};

	if (within(none, KM_ARRAY_LEN(none), code))
		return 0;
	return within(two, KM_ARRAY_LEN(two), code) ? 2 : 1;
}

/* Takes one character of a NUL-terminated text. returns its bytes; what is no UTF-8 is one byte and
 * a control character to the caller. */
static size_t take_char(const char *text, uint32_t *code)
{
	const unsigned char *u = (const unsigned char *)text;
	size_t len = u[0] < 0x80    ? 1
	             : u[0] >= 0xf5 ? 0
	             : u[0] >= 0xf0 ? 4
	             : u[0] >= 0xe0 ? 3
	             : u[0] >= 0xc2 ? 2
	                            : 0;

	*code = 0;
	if (len <= 1) {
		*code = len == 1 ? u[0] : 0;
		return 1;
	}
	*code = u[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((u[i] & 0xc0) != 0x80) {
			*code = 0;
			return 1;
		}
		*code = *code << 6 | (u[i] & 0x3f);
	}
	return len;
}

static unsigned text_width(const char *text)
{
	unsigned width = 0;
	uint32_t code;

	while (*text != '\0') {
		text += take_char(text, &code);
		width += steers_terminal(code) ? 1 : char_width(code);
	}
	return width;
}

/* At most `width` columns of it. returns how many. */
static unsigned put_text(FILE *to, const char *text, unsigned width)
{
	unsigned used = 0;
	uint32_t code;

	while (*text != '\0') {
		size_t len = take_char(text, &code);
		unsigned wide = steers_terminal(code) ? 1 : char_width(code);

		if (used + wide > width)
			break;
		if (steers_terminal(code))
			(void)fputc('?', to);
		else
			(void)fwrite(text, 1, len, to);
		used += wide;
		text += len;
	}
	return used;
}

void km_table_put_text(FILE *to, const char *text)
{
	(void)put_text(to, text, UINT_MAX);
}

static void put_blanks(FILE *to, unsigned count)
{
	for (; count > 0; count--)
		(void)fputc(' ', to);
}

static void put_cell(FILE *to, const char *text, unsigned width, bool right, bool last)
{
	unsigned wants = text_width(text);
	unsigned used;

	if (wants > width && width > strlen(CUT_MARK)) {
		used = put_text(to, text, width - (unsigned)strlen(CUT_MARK));
		(void)fputs(CUT_MARK, to);
		used += (unsigned)strlen(CUT_MARK);
	} else {
		if (right && wants < width)
			put_blanks(to, width - wants);
		used = put_text(to, text, width);
		if (right && wants < width)
			used = width;
	}
	if (!last)
		put_blanks(to, width - used + GAP);
}

void km_table_init(struct km_table *t, const struct km_table_column *column, size_t columns)
{
	*t = (struct km_table){ .column = column, .columns = columns };
	km_buf_init(&t->text);
}

void km_table_fini(struct km_table *t)
{
	km_buf_fini(&t->text);
	free(t->cell);
	t->cell = NULL;
}

void km_table_cell(struct km_table *t, const char *text)
{
	if (t->cells == t->cap) {
		size_t cap = t->cap > 0 ? t->cap * 2 : 256;
		size_t *grown = reallocarray(t->cell, cap, sizeof(*grown));

		if (grown == NULL) {
			t->text.failed = true;
			return;
		}
		t->cell = grown;
		t->cap = cap;
	}
	t->cell[t->cells++] = t->text.len;
	km_buf_append(&t->text, text, strlen(text) + 1);
}

/* Makes columns narrower, or leaves some out (width 0), until they fit. */
static void fit(const struct km_table *t, unsigned *width, unsigned limit)
{
	unsigned total = 0;

	for (size_t c = 0; c < t->columns; c++)
		total += width[c] + (c > 0 ? GAP : 0);
	for (size_t c = t->columns; c > 0 && total > limit; c--) {
		if (!t->column[c - 1].optional)
			continue;
		total -= width[c - 1] + GAP;
		width[c - 1] = 0;
	}
	for (size_t c = t->columns; c > 0 && total > limit; c--) {
		unsigned least = t->column[c - 1].least;
		unsigned cut = least > 0 && width[c - 1] > least ? width[c - 1] - least : 0;

		if (cut > total - limit)
			cut = total - limit;
		width[c - 1] -= cut;
		total -= cut;
	}
}

static void put_row(const struct km_table *t, const unsigned *width, const size_t *row, FILE *to)
{
	size_t last = 0;

	for (size_t c = 0; c < t->columns; c++) {
		if (width[c] > 0)
			last = c;
	}
	for (size_t c = 0; c <= last; c++) {
		const char *text = row != NULL ? t->text.data + row[c] : t->column[c].title;

		if (width[c] > 0)
			put_cell(to, text, width[c], t->column[c].right, c == last);
	}
	(void)fputc('\n', to);
}

int km_table_print(const struct km_table *t, FILE *to, unsigned limit)
{
	size_t rows = t->cells / t->columns;
	unsigned *width = calloc(t->columns, sizeof(*width));

	if (width == NULL || !km_buf_ok(&t->text)) {
		free(width);
		return -1;
	}
	for (size_t c = 0; c < t->columns; c++) {
		width[c] = text_width(t->column[c].title);
		for (size_t r = 0; r < rows; r++) {
			unsigned wants = text_width(t->text.data + t->cell[r * t->columns + c]);

			if (wants > width[c])
				width[c] = wants;
		}
	}
	if (limit > 0)
		fit(t, width, limit);
	put_row(t, width, NULL, to);
	for (size_t r = 0; r < rows; r++)
		put_row(t, width, t->cell + r * t->columns, to);
	free(width);
	return 0;
}

unsigned km_table_terminal_width(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Tables for people on a terminal. One thread. */
#ifndef KM_COMMAND_TABLE_H
#define KM_COMMAND_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "km/base/buf.h"

struct km_table_column {
	const char *title;
	bool right;     /* aligned to the right: numbers */
	bool optional;  /* left out where the terminal is too narrow, the rightmost first */
	unsigned least; /* then cut to this width; 0 = never cut */
};

struct km_table {
	const struct km_table_column *column; /* [columns], borrowed */
	size_t columns;
	struct km_buf text; /* cells, each with its NUL */
	size_t *cell;       /* [cells], where each begins: row by row */
	size_t cells;
	size_t cap;
};

void km_table_init(struct km_table *t, const struct km_table_column *column, size_t columns);
void km_table_fini(struct km_table *t);

/* Adds the next cell, row by row; copied. */
void km_table_cell(struct km_table *t, const char *text);

/* Prints titles and whole rows, at most `limit` columns wide if that can be; 0 = as wide as they
 * are. returns 0, or -1 when memory ran out. */
int km_table_print(const struct km_table *t, FILE *to, unsigned limit);

/* A text from anywhere, what could steer a terminal as '?'. */
void km_table_put_text(FILE *to, const char *text);

/* Columns of the terminal on standard output; 0 when it is none. */
unsigned km_table_terminal_width(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Inside sources: the columns of our own traces, by name. */
#ifndef KM_SOURCES_TRACE_COLUMNS_H
#define KM_SOURCES_TRACE_COLUMNS_H

#include "km/sources/trace_csv.h"

#define TRACE_COLUMNS_MAX 65536
#define TRACE_NAME_MAX    254 /* of a node, with its NUL */

enum trace_of { TRACE_SKIP, TRACE_CPU, TRACE_HOST, TRACE_NODE };

/* Where a cell goes: `of` what, which of them, which count. */
struct trace_column {
	uint8_t of, count;
	uint16_t index;
};

struct trace_header {
	struct trace_column *column; /* [column_count], without start_ns and end_ns */
	uint32_t column_count;
	uint32_t cpu_count, node_count;
	char (*node_name)[TRACE_NAME_MAX]; /* [node_count] */
};

/* Cuts the next cell off [*at, end). returns false when none is left; *at = NULL at the end. */
bool trace_next_cell(const char **at, const char *end, const char **cell, size_t *len);

/* Reads a header into h, which is zeroed or one read before. Errors as km_trace_csv_line. */
int trace_header_parse(struct trace_header *h, const char *line, size_t len,
                       struct km_err *err) KM_MUST_CHECK;
void trace_header_fini(struct trace_header *h);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own traces: samples as CSV, nothing lost. One row a sample, the unit in each column's name,
 * an empty cell for what was not measured, and every number so printed that it reads back the same.
 *
 *   start_ns,end_ns,cpu0.busy_ns,...,cpu1.busy_ns,...,host.cpu_psi_ns,...,node.<name>.cpu_psi_ns,...
 *
 * There is a column for what was measured at least once, of any CPU or node: then of all of them.
 * Times are of any epoch (the lab's: since 1970) and go forward. Counts are of the row's interval,
 * as a source gave them; rows are whole, the first and the last too. docs/COUNTERS.md has the list
 * of columns.
 */
#ifndef KM_SOURCES_TRACE_CSV_H
#define KM_SOURCES_TRACE_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/core/sample.h"

#define KM_TRACE_NODES_MAX 256

/* What the columns are. A zeroed one is empty. */
struct km_trace_columns {
	uint32_t cpu, host, node; /* bit per enum km_count, km_host_count, km_node_count */
	uint32_t cpu_count, node_count;
	const char *const *node_name; /* [node_count] borrowed: DNS subdomains, no comma in them */
};

/* Adds what the sample measured. Its nodes beyond node_count have no name, and no columns. */
void km_trace_columns_add(struct km_trace_columns *c, const struct km_sample *s);

/* The header, and a row, each with its newline, appended to out. */
void km_trace_csv_header(const struct km_trace_columns *c, struct km_buf *out);
void km_trace_csv_row(const struct km_trace_columns *c, const struct km_sample *s,
                      struct km_buf *out);

/* What a line of a trace gave. */
enum km_trace_row {
	KM_TRACE_ROW_NONE = 0,     /* a header, a blank line, a row that only starts the clock */
	KM_TRACE_ROW_SAMPLE = 1,   /* *sample is filled; valid until the next call */
	KM_TRACE_ROW_REPEATED = 2, /* the row before, once more: skipped */
	KM_TRACE_ROW_BAD = 3, /* unreadable, partial, or time goes back: skipped, err says why */
};

struct km_trace_csv;

/* Does a line look like the header of such a trace? */
bool km_trace_csv_is_header(const char *line, size_t len);

/* returns 0 and *out owned, or -ENOMEM. */
int km_trace_csv_create(struct km_trace_csv **out) KM_MUST_CHECK;
void km_trace_csv_free(struct km_trace_csv *t); /* NULL allowed */

/*
 * Feeds one line (without its newline). A header may come again, with other columns; columns of
 * names that we do not know are skipped.
 * returns an enum km_trace_row, or a negative errno for a file that can never work: -EBADMSG for a
 * first line that is no header or has no column we know, a column twice; -E2BIG for more than
 * KM_CPU_MAX CPUs or KM_TRACE_NODES_MAX nodes; -ENOMEM.
 */
int km_trace_csv_line(struct km_trace_csv *t, const char *line, size_t len,
                      struct km_sample *sample, struct km_err *err) KM_MUST_CHECK;

/* Forgets the last row's time, as at the seam of a loop. The header stays. */
void km_trace_csv_restart(struct km_trace_csv *t);

bool km_trace_csv_has_header(const struct km_trace_csv *t);

/* Names of the nodes whose rows its samples have, in their order; until the next header. */
size_t km_trace_csv_node_count(const struct km_trace_csv *t);
const char *km_trace_csv_node_name(const struct km_trace_csv *t, size_t node);

#endif

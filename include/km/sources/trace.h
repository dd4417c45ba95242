/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recorded trace, of either kind, a line at a time: `pcm -csv` (pcm_csv.h), or our own
 * (trace_csv.h). The first line with something on it tells which.
 */
#ifndef KM_SOURCES_TRACE_H
#define KM_SOURCES_TRACE_H

#include <stdbool.h>
#include <stddef.h>

#include "km/base/err.h"
#include "km/core/sample.h"
#include "km/sources/trace_csv.h"

struct km_trace;

/* returns 0 and *out owned, or -ENOMEM. */
int km_trace_create(struct km_trace **out) KM_MUST_CHECK;
void km_trace_free(struct km_trace *t); /* NULL allowed */

/* As km_trace_csv_line, or km_pcm_csv_line: an enum km_trace_row, or their negative errnos. */
int km_trace_line(struct km_trace *t, const char *line, size_t len, struct km_sample *sample,
                  struct km_err *err) KM_MUST_CHECK;

/* Forgets the last row's time, as at the seam of a loop: no delta across it. Headers stay. */
void km_trace_restart(struct km_trace *t);

/* As km_pcm_csv_set_interval. Our own rows say themselves what time they cover. */
void km_trace_set_interval(struct km_trace *t, double interval_s);

/* Was a header read? Then a file is what it should be. */
bool km_trace_has_header(const struct km_trace *t);

/* Are all its samples whole? PCM's first and last are not. Known with the first line. */
bool km_trace_is_whole(const struct km_trace *t);

/* Names of the nodes in its samples; none in a trace of PCM. Until the next header. */
size_t km_trace_node_count(const struct km_trace *t);
const char *km_trace_node_name(const struct km_trace *t, size_t node);

/*
 * The rows of certain nodes, by name, out of a sample of this trace; NaN for one that it does not
 * have. out [count][KM_NODE_COUNT_N].
 */
void km_trace_node_rows(const struct km_trace *t, const struct km_sample *sample,
                        const char *const *name, size_t count, double *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel PCM's CSV (`pcm -csv`), one row at a time: both header forms (two lines, or merged
 * "domain - metric"), LF or CRLF, any number of cores and sockets, columns missing. Rows carry
 * values per sampling interval; the interval is the distance between two rows, so the first row of
 * a trace only starts the clock (it is partial anyhow). Sample times are the rows' own, read as
 * UTC, and never go back: after a clock step they continue from the row before it.
 * Source of the format: PCM's src/pcm.cpp (print_csv*); rules and units: docs/COUNTERS.md.
 */
#ifndef KM_SOURCES_PCM_CSV_H
#define KM_SOURCES_PCM_CSV_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/core/sample.h"

struct km_pcm_csv;

enum km_pcm_row {
	KM_PCM_ROW_NONE = 0,     /* a header line, a blank line, or the first row: no sample yet */
	KM_PCM_ROW_SAMPLE = 1,   /* *sample is filled; valid until the next call */
	KM_PCM_ROW_REPEATED = 2, /* same timestamp and values as the row before: skipped */
	KM_PCM_ROW_BAD = 3, /* unreadable, partial or after a clock step: skipped, err says why */
};

/* returns 0 and *out owned, or -ENOMEM. */
int km_pcm_csv_create(struct km_pcm_csv **out) KM_MUST_CHECK;
void km_pcm_csv_free(struct km_pcm_csv *p); /* NULL allowed */

/*
 * Feeds one line (without its newline). A header may come again (PCM restarted, output appended).
 * returns an enum km_pcm_row, or a negative errno for a file that can never work: -EBADMSG when the
 * header is no PCM header, or none is among the first lines; -E2BIG for more than KM_CPU_MAX cores;
 * -ENOMEM.
 */
int km_pcm_csv_line(struct km_pcm_csv *p, const char *line, size_t len, struct km_sample *sample,
                    struct km_err *err) KM_MUST_CHECK;

/* Forgets the last row's time, as at the seam of a loop: no delta across it. Headers stay. */
void km_pcm_csv_restart(struct km_pcm_csv *p);

/*
 * Declares the interval that rows cover, for files whose row distance does not tell (thinned rows);
 * 0, and what no sampling has, = by distance. Used for datasets that state sample_interval_s. The
 * first row still only starts the clock.
 */
#define KM_PCM_CSV_INTERVAL_MAX_S 86400.0
void km_pcm_csv_set_interval(struct km_pcm_csv *p, double interval_s);

/* Cores named by the header; 0 before a header was seen. */
uint32_t km_pcm_csv_cpu_count(const struct km_pcm_csv *p);

#endif

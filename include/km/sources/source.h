/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where counters come from. A source is a row in a table of operations; one that cannot work says
 * why in one line, and the daemon goes on without it. Not thread-safe: each source belongs to the
 * sampler thread (or to a training run).
 */
#ifndef KM_SOURCES_SOURCE_H
#define KM_SOURCES_SOURCE_H

#include <stdint.h>

#include "km/base/err.h"
#include "km/core/sample.h"
#include "km/core/settings.h"

struct km_source;

/* Receives each sample of a read; the sample is borrowed for the call. */
typedef void km_sample_fn(void *ctx, const struct km_sample *sample);

/* What a read left behind. */
enum km_source_state {
	KM_SOURCE_LIVE = 0,  /* will deliver more */
	KM_SOURCE_ENDED = 1, /* a trace that is over and does not loop: data only gets older now */
};

struct km_source_stats {
	uint64_t rows;     /* delivered */
	uint64_t bad_rows; /* unreadable or partial: skipped */
	uint64_t repeated; /* exact repeats: skipped */
	char last_bad[96]; /* what was wrong with the last bad row, "" = none */
};

struct km_source_ops {
	const char *name; /* as in the configuration */
	const char *help; /* one line */
	int (*open)(const struct km_source_settings *settings, int64_t now_ns,
	            struct km_source **out, struct km_err *err);
	int (*read)(struct km_source *s, int64_t now_ns, km_sample_fn *emit, void *ctx,
	            struct km_err *err);
	void (*close)(struct km_source *s);
	void (*stats)(const struct km_source *s, struct km_source_stats *out);
};

/* First member of every source's own struct. */
struct km_source {
	const struct km_source_ops *ops;
};

/* The table, ended by a NULL name. */
const struct km_source_ops *km_source_table(void);

/* returns the row for `kind`, or NULL. */
const struct km_source_ops *km_source_find(const char *kind);

/*
 * Opens the source named by settings->kind. now_ns: monotonic time, the zero of a replay.
 * returns 0 and *out owned; negative errno with the reason (-ENOENT: nothing there).
 */
int km_source_open(const struct km_source_settings *settings, int64_t now_ns,
                   struct km_source **out, struct km_err *err) KM_MUST_CHECK;

/*
 * Delivers everything due until now_ns (monotonic), oldest first; one call may deliver many
 * samples (a replay at speed 60) or none.
 * returns enum km_source_state, or a negative errno (the source may be read again later).
 */
int km_source_read(struct km_source *s, int64_t now_ns, km_sample_fn *emit, void *ctx,
                   struct km_err *err) KM_MUST_CHECK;

void km_source_get_stats(const struct km_source *s, struct km_source_stats *out);
void km_source_close(struct km_source *s); /* NULL allowed */

#endif

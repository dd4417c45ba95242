/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside sources: Prometheus' text exposition, version 0.0.4, a line at a time and without copies.
 * The name comes first and alone, because most lines of a page are nobody's business.
 */
#ifndef KM_SOURCES_PROM_TEXT_H
#define KM_SOURCES_PROM_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "km/base/macros.h"

#define KM_PROM_LABELS_MAX 12

struct km_prom_text {
	const char *at; /* not NUL-terminated */
	size_t len;
};

/* A line that has a name: the rest is still to be parsed. */
struct km_prom_line {
	struct km_prom_text name;
	struct km_prom_text rest; /* labels, value, perhaps a time */
};

struct km_prom_label {
	struct km_prom_text name;
	struct km_prom_text value; /* as written: escapes are not resolved */
};

struct km_prom_sample {
	size_t label_count;
	struct km_prom_label label[KM_PROM_LABELS_MAX];
	double value; /* may be NaN or infinite */
};

/*
 * The next line of [*at, end) that is no comment and not blank; *at moves behind it.
 * returns 1; 0 at the end; -EBADMSG for a line that does not begin with a metric's name.
 */
int km_prom_next(const char **at, const char *end, struct km_prom_line *out) KM_MUST_CHECK;

/* Labels and value of a line. returns 0; -EBADMSG; -E2BIG for more labels than there may be. */
int km_prom_parse(const struct km_prom_line *line, struct km_prom_sample *out) KM_MUST_CHECK;

/* The value of a label, or NULL. */
const struct km_prom_text *km_prom_label(const struct km_prom_sample *s, const char *name);

bool km_prom_is(const struct km_prom_text *text, const char *word);

#endif

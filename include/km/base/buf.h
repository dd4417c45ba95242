/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer. Failure is sticky: after one allocation fails, every append is a no-op
 * and km_buf_ok() is false, so a writer checks once, at the end.
 */
#ifndef KM_BASE_BUF_H
#define KM_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "km/base/macros.h"

struct km_buf {
	char *data; /* not NUL-terminated unless km_buf_cstr() was called */
	size_t len;
	size_t cap;
	bool failed;
};

void km_buf_init(struct km_buf *b);
void km_buf_fini(struct km_buf *b);

/* Empties the buffer, keeps its memory and clears the sticky failure. */
void km_buf_clear(struct km_buf *b);

/* Makes room for `extra` more bytes. returns 0 or -ENOMEM (and the failure sticks). */
int km_buf_reserve(struct km_buf *b, size_t extra);

void km_buf_append(struct km_buf *b, const void *bytes, size_t len);
void km_buf_str(struct km_buf *b, const char *cstr);
void km_buf_char(struct km_buf *b, char c);
void km_buf_printf(struct km_buf *b, const char *fmt, ...) KM_PRINTF(2, 3);

/* Appends a decimal integer; no locale, no allocation beyond the buffer's own. */
void km_buf_int(struct km_buf *b, long long value);

/* Appends a double in the shortest form that reads back the same; "NaN", "+Inf", "-Inf". */
void km_buf_double(struct km_buf *b, double value);

/* NUL-terminates (not counted in len). returns the text, "" after a failure. Borrowed. */
const char *km_buf_cstr(struct km_buf *b);

/* Hands the memory to the caller, who frees it; the buffer is empty after. NULL after a failure. */
char *km_buf_take(struct km_buf *b, size_t *len);

static inline bool km_buf_ok(const struct km_buf *b)
{
	return !b->failed;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files, plain or gzip (told apart by content, not by name): whole, by line, and written
 * atomically. The only room that sees zlib. A growing plain file may be read on after its end.
 */
#ifndef KM_BASE_FILE_H
#define KM_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/base/macros.h"

/*
 * Appends the file's (decompressed) content to out.
 * returns 0; -EFBIG when it is larger than max_bytes; another negative errno. out keeps what it
 * had.
 */
int km_file_read(const char *path, size_t max_bytes, struct km_buf *out,
                 struct km_err *err) KM_MUST_CHECK;

/* Writes to a temporary file beside path, fsyncs and renames over it: readers see old or new. */
int km_file_write_atomic(const char *path, const void *data, size_t len,
                         struct km_err *err) KM_MUST_CHECK;

/*
 * Appends data as a gzip file's bytes, the same for the same data: no name, no time of day.
 * returns 0 or -ENOMEM; out keeps what it had.
 */
int km_gz_pack(const void *data, size_t len, struct km_buf *out, struct km_err *err) KM_MUST_CHECK;

struct km_lines;

/* Opens path for reading line by line. `max_line_bytes` bounds one line. *out is owned. */
int km_lines_open(const char *path, size_t max_line_bytes, struct km_lines **out,
                  struct km_err *err) KM_MUST_CHECK;

/* What the next line gave. */
enum km_line_result {
	KM_LINE_END = 0,  /* nothing more now; a later call may find what was appended since */
	KM_LINE_OK = 1,   /* *line, *len: NUL-terminated, without LF or CRLF; until the next call */
	KM_LINE_PART = 2, /* the last line has no newline (yet); kept, and returned whole later */
};

/*
 * returns an enum km_line_result, or a negative errno: -EMSGSIZE for a line over the limit (the
 * line is skipped, reading may go on), -EIO / -EBADMSG for an unreadable or corrupt file.
 * At KM_LINE_PART *line is the unfinished text. It is said once: KM_LINE_END follows until the file
 * grows, so `while (next > 0)` ends.
 */
int km_lines_next(struct km_lines *l, const char **line, size_t *len,
                  struct km_err *err) KM_MUST_CHECK;

/* Back to the first line (for looping). */
int km_lines_rewind(struct km_lines *l, struct km_err *err) KM_MUST_CHECK;

/* Number of the line returned last, from 1. */
size_t km_lines_number(const struct km_lines *l);

void km_lines_close(struct km_lines *l);

#endif

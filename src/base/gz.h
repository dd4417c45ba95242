/* SPDX-License-Identifier: Apache-2.0 */
/* Private to base: zlib's gz files with negative errnos and error texts. */
#ifndef KM_BASE_GZ_H
#define KM_BASE_GZ_H

#include <stddef.h>
#include <sys/types.h>
#include <zlib.h>

#include "km/base/err.h"

/* Opens path for reading, plain or gzip. *out is owned: gzclose_r. */
int km_gz_open(const char *path, gzFile *out, struct km_err *err) KM_MUST_CHECK;

/*
 * Reads up to `size` bytes. returns their number; 0 at the end (a later call reads what was
 * appended since); -EBADMSG for a gzip that is corrupt or ends early; another negative errno.
 */
ssize_t km_gz_read(gzFile gz, const char *path, void *out, size_t size,
                   struct km_err *err) KM_MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes into a gzip file's bytes, in memory: what is written atomically has to be whole first. */
#include <errno.h>
#include <limits.h>
#define ZLIB_CONST /* its input is not written to */
#include <zlib.h>

#include "km/base/file.h"

/* zlib: 16 more than the window's bits asks for gzip's header and trailer. */
#define WINDOW_BITS  (15 + 16)
#define MEMORY_LEVEL 8
#define STEP_BYTES   65536

/* Compresses what z points at; at the end of everything, `flush` is Z_FINISH. */
static int deflate_all(z_stream *z, int flush, struct km_buf *out)
{
	int status = Z_OK;

	do {
		if (km_buf_reserve(out, STEP_BYTES) != 0)
			return -ENOMEM;
		z->next_out = (Bytef *)out->data + out->len;
		z->avail_out = STEP_BYTES;
		status = deflate(z, flush);
		out->len += STEP_BYTES - z->avail_out;
	} while (status == Z_OK && z->avail_out == 0);
	/* Z_BUF_ERROR: nothing was left to do */
	return status == Z_STREAM_END || status == Z_OK || status == Z_BUF_ERROR ? 0 : -ENOMEM;
}

int km_gz_pack(const void *data, size_t len, struct km_buf *out, struct km_err *err)
{
	z_stream z = { .zalloc = Z_NULL };
	const unsigned char *at = data;
	size_t before = out->len;
	int rc = 0;

	if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL,
	                 Z_DEFAULT_STRATEGY) != Z_OK)
		return km_err_set(err, ENOMEM, "gzip: out of memory");
	do {
		size_t step = len < INT_MAX ? len : INT_MAX;

		z.next_in = at;
		z.avail_in = (uInt)step;
		at += step;
		len -= step;
		rc = deflate_all(&z, len == 0 ? Z_FINISH : Z_NO_FLUSH, out);
	} while (rc == 0 && len > 0);
	(void)deflateEnd(&z); /* data is only lost when we stopped short: rc says so */
	if (rc != 0) {
		out->len = before;
		return km_err_set(err, ENOMEM, "gzip: out of memory");
	}
	return 0;
}

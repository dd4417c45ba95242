/* SPDX-License-Identifier: Apache-2.0 */
/* The only file that calls zlib's reader; zlib itself tells plain files from gzip by content. */
#include "gz.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

/* zlib's default is 8 KiB. It takes three times this for each open file, and a replayed cluster has
 * many open. */
#define GZ_BUFFER_BYTES 16384

int km_gz_open(const char *path, gzFile *out, struct km_err *err)
{
	struct stat st;
	gzFile gz;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return km_err_errno(err, errno, "%s", path);
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		(void)close(fd);
		return km_err_set(err, EISDIR, "%s: a directory, want a file", path);
	}
	gz = gzdopen(fd, "rb");
	if (!gz) {
		(void)close(fd);
		return km_err_set(err, ENOMEM, "%s: out of memory", path);
	}
	(void)gzbuffer(gz, GZ_BUFFER_BYTES); /* fails only after the first read */
	*out = gz;
	return 0;
}

ssize_t km_gz_read(gzFile gz, const char *path, void *out, size_t size, struct km_err *err)
{
	int status = Z_OK;
	const char *text;
	int n;

	errno = 0;
	n = gzread(gz, out, size < INT_MAX ? (unsigned)size : INT_MAX);
	if (n > 0)
		return n;
	text = gzerror(gz, &status);
	switch (status) {
	case Z_OK:
	case Z_STREAM_END:
		gzclearerr(gz); /* forget the end: the file may grow */
		return 0;
	case Z_ERRNO:
		return km_err_errno(err, errno != 0 ? errno : EIO, "%s: read", path);
	case Z_MEM_ERROR:
		return km_err_set(err, ENOMEM, "%s: out of memory", path);
	case Z_BUF_ERROR:
		return km_err_set(err, EBADMSG, "%s: gzip data ends early", path);
	default:
		return km_err_set(err, EBADMSG, "%s: bad gzip data: %s", path, text);
	}
}

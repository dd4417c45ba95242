/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files: read (plain or gzip) into a buffer, written atomically beside the old one. */
#include "km/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "km/base/clock.h"

#include "gz.h"

#define READ_STEP_BYTES 16384

int km_file_read(const char *path, size_t max_bytes, struct km_buf *out, struct km_err *err)
{
	size_t before = out->len;
	gzFile gz = NULL;
	int rc = km_gz_open(path, &gz, err);

	if (rc != 0)
		return rc;
	for (;;) {
		ssize_t n;

		if (km_buf_reserve(out, READ_STEP_BYTES) != 0) {
			rc = km_err_set(err, ENOMEM, "%s: out of memory at %zu bytes", path,
			                out->len - before);
			break;
		}
		n = km_gz_read(gz, path, out->data + out->len, READ_STEP_BYTES, err);
		if (n <= 0) {
			rc = (int)n;
			break;
		}
		out->len += (size_t)n;
		if (out->len - before > max_bytes) {
			rc = km_err_set(err, EFBIG, "%s: larger than %zu bytes", path, max_bytes);
			break;
		}
	}
	if (rc != 0)
		out->len = before;
	(void)gzclose_r(gz); /* read side: nothing to lose */
	return rc;
}

static int write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return fsync(fd) == 0 ? 0 : -errno;
}

/* The rename itself survives a power cut only once the directory is on disk; best effort. */
static void sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX] = ".";
	int fd;

	if (slash)
		(void)snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path),
		               path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)fsync(fd);
	(void)close(fd);
}

int km_file_write_atomic(const char *path, const void *data, size_t len, struct km_err *err)
{
	char temporary[PATH_MAX];
	int rc = 0;
	int fd;
	/* Not mkstemp: it would leave the file readable by its owner only, whatever the umask. */
	int n = snprintf(temporary, sizeof(temporary), "%s.%d-%" PRIx64 ".tmp", path, (int)getpid(),
	                 (uint64_t)km_clock_mono_ns(km_clock_system()));

	if (n < 0 || (size_t)n >= sizeof(temporary))
		return km_err_set(err, ENAMETOOLONG, "%.64s...: path too long", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return km_err_errno(err, errno, "%s: create", path);
	rc = write_all(fd, data, len);
	if (close(fd) != 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && rename(temporary, path) != 0)
		rc = -errno;
	if (rc != 0) {
		(void)unlink(temporary);
		return km_err_errno(err, -rc, "%s: write", path);
	}
	sync_directory(path);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Reading of pseudo file systems. */
#include "sysdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

int km_sysdir_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? -errno : fd;
}

ssize_t km_sysdir_read(int fd, void *out, size_t size)
{
	ssize_t got;

	do {
		got = read(fd, out, size);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* returns the number of bytes read, up to size, or a negative errno. */
static ssize_t read_once(const char *path, char *out, size_t size)
{
	int fd = km_sysdir_open(path);
	ssize_t got;

	if (fd < 0) {
		return fd;
	}
	got = km_sysdir_read(fd, out, size);
	(void)close(fd); /* nothing was written */
	return got;
}

int km_sysdir_value(const char *path, char *out, size_t size)
{
	ssize_t got = read_once(path, out, size);

	if (got < 0) {
		return (int)got;
	}
	if ((size_t)got == size) {
		return -EFBIG;
	}
	if (got > 0 && out[got - 1] == '\n') {
		got--;
	}
	out[got] = '\0';
	return (int)got;
}

int km_sysdir_head(const char *path, char *out, size_t size)
{
	ssize_t got = read_once(path, out, size - 1);

	if (got >= 0) {
		out[got] = '\0';
	}
	return (int)got;
}

int km_sysdir_each(const char *path, km_sysdir_fn *fn, void *ctx)
{
	const struct dirent *entry;
	DIR *d = opendir(path);
	int ret = 0;

	if (d == NULL) {
		return -errno;
	}
	/* the stream is this call's own, and so is the entry */
	/* NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while (ret == 0 && (entry = readdir(d)) != NULL) {
		if (entry->d_name[0] != '.') {
			ret = fn(ctx, entry->d_name);
		}
	}
	(void)closedir(d);
	return ret;
}

int km_sysdir_path(char *out, size_t size, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(out, size, fmt, args);
	va_end(args);
	return len >= 0 && (size_t)len < size ? 0 : -ENAMETOOLONG;
}

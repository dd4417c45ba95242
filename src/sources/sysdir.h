/* SPDX-License-Identifier: Apache-2.0 */
/* Inside sources: values and names in sysfs, resctrl and their like. Nothing here can wait. */
#ifndef KM_SOURCES_SYSDIR_H
#define KM_SOURCES_SYSDIR_H

#include <stddef.h>
#include <sys/types.h>

#include "km/base/macros.h"

/* Opens a file to read such that even a FIFO in its place stalls nobody. returns fd or -errno. */
int km_sysdir_open(const char *path) KM_MUST_CHECK;
/* One read. returns the number of bytes, or a negative errno. */
ssize_t km_sysdir_read(int fd, void *out, size_t size) KM_MUST_CHECK;

/*
 * The content of a small file without its last newline, NUL-terminated: one read, no allocation.
 * returns its length; -EFBIG when it does not fit; another negative errno.
 */
int km_sysdir_value(const char *path, char *out, size_t size) KM_MUST_CHECK;

/* As km_sysdir_value, but the first size - 1 bytes of a file of any length. */
int km_sysdir_head(const char *path, char *out, size_t size) KM_MUST_CHECK;

/* Gets a name, never one that begins with a dot. returns 0 to go on, or a negative errno. */
typedef int km_sysdir_fn(void *ctx, const char *name);

/* Every name in a directory, in no order. returns 0, or a negative errno, fn's among them. */
int km_sysdir_each(const char *path, km_sysdir_fn *fn, void *ctx) KM_MUST_CHECK;

/* snprintf of a path. returns 0 or -ENAMETOOLONG. */
int km_sysdir_path(char *out, size_t size, const char *fmt, ...) KM_PRINTF(3, 4) KM_MUST_CHECK;

#endif

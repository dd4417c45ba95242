/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines to stderr: formatted on the stack, cleaned, written with one write(2). */
#include "km/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Longer lines are cut; well below PIPE_BUF, so a line to a pipe stays whole too. */
#define LOG_LINE_BYTES 1024

static const char *const level_names[] = {
	[KM_LOG_ERROR] = "error",
	[KM_LOG_WARN] = "warn",
	[KM_LOG_INFO] = "info",
	[KM_LOG_DEBUG] = "debug",
};

static _Atomic int log_level = KM_LOG_INFO;
static _Atomic int log_fd = STDERR_FILENO;

void km_log_set_level(enum km_log_level level)
{
	atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

void km_log_set_fd(int fd)
{
	atomic_store_explicit(&log_fd, fd, memory_order_relaxed);
}

int km_log_level_parse(const char *text, enum km_log_level *out)
{
	for (size_t i = 0; i < KM_ARRAY_LEN(level_names); i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*out = (enum km_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

static void log_line(enum km_log_level level, const char *room, const char *fmt, va_list ap)
{
	char line[LOG_LINE_BYTES];
	int saved_errno = errno;
	size_t len;
	int n;

	if ((int)level > atomic_load_explicit(&log_level, memory_order_relaxed))
		return;
	n = snprintf(line, sizeof(line), "%s %s ", level_names[level], room);
	len = n < 0 ? 0 : (size_t)n;
	if (len < sizeof(line)) {
		n = vsnprintf(line + len, sizeof(line) - len, fmt, ap);
		len += n < 0 ? 0 : (size_t)n;
	}
	if (len > sizeof(line) - 1)
		len = sizeof(line) - 1;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	}
	line[len++] = '\n';
	if (write(atomic_load_explicit(&log_fd, memory_order_relaxed), line, len) < 0) {
		/* Nowhere left to say it. */
	}
	errno = saved_errno;
}

void km_log_error(const char *room, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(KM_LOG_ERROR, room, fmt, ap);
	va_end(ap);
}

void km_log_warn(const char *room, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(KM_LOG_WARN, room, fmt, ap);
	va_end(ap);
}

void km_log_info(const char *room, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(KM_LOG_INFO, room, fmt, ap);
	va_end(ap);
}

void km_log_debug(const char *room, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(KM_LOG_DEBUG, room, fmt, ap);
	va_end(ap);
}

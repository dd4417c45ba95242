/* SPDX-License-Identifier: Apache-2.0 */
/* Errors in the caller's memory: set, extend with errno's text, prefix on the way up. */
#include "km/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Values seen come from outside: a newline or an escape in one may not reach a log or a terminal.
 */
static void make_one_line(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
	}
}

int km_err_set(struct km_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -code;
	err->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap); /* cut off is fine: one line */
	va_end(ap);
	make_one_line(err->text);
	return -code;
}

int km_err_errno(struct km_err *err, int code, const char *fmt, ...)
{
	char reason[96];
	va_list ap;
	size_t len;

	if (!err)
		return -code;
	err->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	len = strlen(err->text);
	(void)snprintf(err->text + len, sizeof(err->text) - len, ": %s",
	               km_strerror(code, reason, sizeof(reason)));
	make_one_line(err->text);
	return -code;
}

int km_err_prefix(struct km_err *err, const char *fmt, ...)
{
	char old[KM_ERR_TEXT_MAX];
	va_list ap;
	size_t len;

	if (!err)
		return -EIO; /* the code went nowhere; any failure will do */
	memcpy(old, err->text, sizeof(old));
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	len = strlen(err->text);
	(void)snprintf(err->text + len, sizeof(err->text) - len, ": %s", old);
	make_one_line(err->text);
	return -err->code;
}

const char *km_strerror(int code, char *out, unsigned long out_size)
{
	char local[96];

	if (out_size == 0)
		return "";
	/* GNU's strerror_r may answer with a static text instead of filling the buffer. */
	(void)snprintf(out, out_size, "%s", strerror_r(code, local, sizeof(local)));
	return out;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The growable buffer and its number formatting, which knows no locale. */
#include "km/base/buf.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_FIRST_BYTES 256
/* Integers up to here print exactly and in at most 15 digits. */
#define EXACT_INTEGER_LIMIT 1e15
/* Decimals of at most this many places take the fast path. */
#define SHORT_PLACES 6
#define SHORT_SCALE  1e6
#define SHORT_MIN    1e-4 /* below, printf's %g switches to an exponent */

void km_buf_init(struct km_buf *b)
{
	*b = (struct km_buf){ .data = NULL };
}

void km_buf_fini(struct km_buf *b)
{
	free(b->data);
	km_buf_init(b);
}

void km_buf_clear(struct km_buf *b)
{
	b->len = 0;
	b->failed = false;
}

int km_buf_reserve(struct km_buf *b, size_t extra)
{
	size_t want;
	size_t cap;
	char *data;

	if (b->failed)
		return -ENOMEM;
	if (extra <= b->cap - b->len)
		return 0;
	if (extra > SIZE_MAX / 2 - b->len)
		goto fail;
	want = b->len + extra;
	cap = b->cap > BUF_FIRST_BYTES ? b->cap : BUF_FIRST_BYTES;
	while (cap < want)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data)
		goto fail;
	b->data = data;
	b->cap = cap;
	return 0;
fail:
	b->failed = true;
	return -ENOMEM;
}

void km_buf_append(struct km_buf *b, const void *bytes, size_t len)
{
	if (len == 0 || km_buf_reserve(b, len) != 0)
		return;
	memcpy(b->data + b->len, bytes, len);
	b->len += len;
}

void km_buf_str(struct km_buf *b, const char *cstr)
{
	km_buf_append(b, cstr, strlen(cstr));
}

void km_buf_char(struct km_buf *b, char c)
{
	if (km_buf_reserve(b, 1) != 0)
		return;
	b->data[b->len++] = c;
}

void km_buf_printf(struct km_buf *b, const char *fmt, ...)
{
	va_list ap;
	int need;

	if (km_buf_reserve(b, 64) != 0)
		return;
	va_start(ap, fmt);
	need = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
	va_end(ap);
	if (need < 0) {
		b->failed = true;
		return;
	}
	if ((size_t)need >= b->cap - b->len) {
		if (km_buf_reserve(b, (size_t)need + 1) != 0)
			return;
		va_start(ap, fmt);
		(void)vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
		va_end(ap);
	}
	b->len += (size_t)need;
}

void km_buf_int(struct km_buf *b, long long value)
{
	char digits[24];
	char *at = digits + sizeof(digits);
	/* Negated as unsigned, so that the most negative value has no overflow. */
	unsigned long long rest =
		value < 0 ? 0ULL - (unsigned long long)value : (unsigned long long)value;

	do {
		*--at = (char)('0' + (int)(rest % 10));
		rest /= 10;
	} while (rest != 0);
	if (value < 0)
		*--at = '-';
	km_buf_append(b, at, (size_t)(digits + sizeof(digits) - at));
}

/*
 * A decimal of few places: scaled is its digits, and since scaled and SHORT_SCALE are both exact,
 * their quotient is what a reader of those digits gets. returns false when value is none.
 */
static bool append_short_decimal(struct km_buf *b, double value)
{
	double scaled = nearbyint(fabs(value) * SHORT_SCALE);
	char places[SHORT_PLACES];
	size_t count = SHORT_PLACES;
	uint64_t digits;

	if (fabs(value) < SHORT_MIN || scaled >= EXACT_INTEGER_LIMIT ||
	    scaled / SHORT_SCALE != fabs(value))
		return false;
	digits = (uint64_t)scaled;
	for (size_t i = SHORT_PLACES; i-- > 0; digits /= 10)
		places[i] = (char)('0' + (int)(digits % 10));
	while (count > 1 && places[count - 1] == '0')
		count--;
	if (value < 0)
		km_buf_char(b, '-');
	km_buf_int(b, (long long)digits);
	km_buf_char(b, '.');
	km_buf_append(b, places, count);
	return true;
}

void km_buf_double(struct km_buf *b, double value)
{
	char text[40];
	int len = 0;

	if (isnan(value)) {
		km_buf_append(b, "NaN", 3);
		return;
	}
	if (isinf(value)) {
		km_buf_append(b, value > 0 ? "+Inf" : "-Inf", 4);
		return;
	}
	if (fabs(value) < EXACT_INTEGER_LIMIT && value == trunc(value) &&
	    !(value == 0 && signbit(value))) {
		km_buf_int(b, (long long)value);
		return;
	}
	if (append_short_decimal(b, value))
		return;
	/* 15 digits always survive text -> double -> text; 17 always survive the other way round.
	 */
	for (int digits = 15; digits <= 17; digits++) {
		len = snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	km_buf_append(b, text, (size_t)len);
}

const char *km_buf_cstr(struct km_buf *b)
{
	if (km_buf_reserve(b, 1) != 0)
		return "";
	b->data[b->len] = '\0';
	return b->data;
}

char *km_buf_take(struct km_buf *b, size_t *len)
{
	char *data = NULL;

	(void)km_buf_cstr(b); /* so that the taken text is a C string too */
	if (len)
		*len = b->failed ? 0 : b->len;
	if (b->failed)
		free(b->data);
	else
		data = b->data;
	km_buf_init(b);
	return data;
}

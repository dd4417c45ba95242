/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of JSON strings: finding a plain run's end, UTF-8, escapes. Pure, any thread. */
#include <stdint.h>
#include <string.h>

#include "km/wire/scan.h"

#include "wire_internal.h"

#define ASCII_MAX 0x7f

const char *km_wire_plain_run_scalar(const char *p, const char *end, bool *high)
{
	for (; p < end; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\' || c <= KM_WIRE_CONTROL_MAX)
			break;
		if (c > ASCII_MAX)
			*high = true;
	}
	return p;
}

size_t km_wire_utf8_len(const char *p, const char *end)
{
	/* First byte -> length and the range of the second byte (RFC 3629, section 4). */
	static const struct {
		unsigned char first_low, first_high, second_low, second_high, len;
	} forms[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	const unsigned char *u = (const unsigned char *)p;
	size_t left = (size_t)(end - p);

	if (left == 0)
		return 0;
	if (u[0] <= ASCII_MAX)
		return 1;
	for (size_t i = 0; i < KM_ARRAY_LEN(forms); i++) {
		if (u[0] < forms[i].first_low || u[0] > forms[i].first_high)
			continue;
		if (left < forms[i].len || u[1] < forms[i].second_low ||
		    u[1] > forms[i].second_high)
			return 0;
		for (size_t k = 2; k < forms[i].len; k++) {
			if ((u[k] & 0xc0) != 0x80)
				return 0;
		}
		return forms[i].len;
	}
	return 0;
}

bool km_wire_utf8_valid(const char *p, const char *end)
{
	while (p < end) {
		size_t len = km_wire_utf8_len(p, end);

		if (len == 0)
			return false;
		p += len;
	}
	return true;
}

/* The four hexadecimal digits at p, already checked by the scanner. */
static uint32_t hex4(const char *p)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++) {
		uint32_t c = (unsigned char)p[i];
		uint32_t digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;

		value = (value << 4) | digit;
	}
	return value;
}

static size_t utf8_put(uint32_t code, char *out)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | (code >> 6));
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | (code >> 12));
		out[1] = (char)(0x80 | ((code >> 6) & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | (code >> 18));
	out[1] = (char)(0x80 | ((code >> 12) & 0x3f));
	out[2] = (char)(0x80 | ((code >> 6) & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

/* Decodes the \u escape at *p (on the 'u'), joining a surrogate pair; moves *p behind it. */
static uint32_t unicode_escape(const char **p, const char *end)
{
	uint32_t code = hex4(*p + 1);

	*p += 5;
	if (code < 0xd800 || code > 0xdfff)
		return code;
	if (code <= 0xdbff && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u') {
		uint32_t low = hex4(*p + 2);

		if (low >= 0xdc00 && low <= 0xdfff) {
			*p += 6;
			return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
		}
	}
	return 0xfffd;
}

size_t km_json_unescape(const struct km_json_slice *slice, char *out)
{
	static const char plain[] = "\"\\/bfnrt";
	static const char meant[] = "\"\\/\b\f\n\r\t";
	const char *p = slice->text + 1;
	const char *end = slice->text + slice->len - 1;
	char *at = out;

	while (p < end) {
		const char *run = memchr(p, '\\', (size_t)(end - p));
		size_t len = (size_t)((run ? run : end) - p);

		memcpy(at, p, len);
		at += len;
		p += len;
		if (p >= end)
			break;
		p++;
		if (*p == 'u') {
			at += utf8_put(unicode_escape(&p, end), at);
		} else {
			*at++ = meant[strchr(plain, *p) - plain];
			p++;
		}
	}
	return (size_t)(at - out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON writer. Numbers know no locale; strings leave here as valid UTF-8 whatever came in. */
#include "km/wire/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "km/wire/scan.h"

#include "wire_internal.h"

static void separate(struct km_json *j)
{
	if (j->comma)
		km_buf_char(j->out, ',');
	j->comma = true;
}

void km_json_begin(struct km_json *j, char open)
{
	separate(j);
	km_buf_char(j->out, open);
	j->comma = false;
}

void km_json_end(struct km_json *j, char close)
{
	km_buf_char(j->out, close);
	j->comma = true;
}

void km_json_key(struct km_json *j, const char *key)
{
	separate(j);
	km_buf_char(j->out, '"');
	km_buf_str(j->out, key);
	km_buf_append(j->out, "\":", 2);
	j->comma = false;
}

/* One byte that cannot stand in a string as it is: an escape, or a replaced byte. */
static void put_special(struct km_buf *out, unsigned char c)
{
	if (c == '"' || c == '\\') {
		km_buf_char(out, '\\');
		km_buf_char(out, (char)c);
	} else if (c == '\n') {
		km_buf_append(out, "\\n", 2);
	} else if (c == '\t') {
		km_buf_append(out, "\\t", 2);
	} else if (c < 0x20) {
		km_buf_printf(out, "\\u%04x", (unsigned)c);
	} else {
		km_buf_append(out, "\xef\xbf\xbd", 3);
	}
}

static void put_escaped(struct km_buf *out, const char *p, const char *end)
{
	km_buf_char(out, '"');
	while (p < end) {
		const char *from = p;
		bool high = false;

		p = km_wire_plain_run(p, end, &high);
		if (high) {
			for (const char *q = from; q < p;) {
				size_t len = km_wire_utf8_len(q, p);

				if (len > 0)
					km_buf_append(out, q, len);
				else
					put_special(out, (unsigned char)*q);
				q += len > 0 ? len : 1;
			}
		} else {
			km_buf_append(out, from, (size_t)(p - from));
		}
		if (p < end)
			put_special(out, (unsigned char)*p++);
	}
	km_buf_char(out, '"');
}

void km_json_name(struct km_json *j, struct km_name name)
{
	separate(j);
	put_escaped(j->out, name.text, name.text + name.len);
}

void km_json_string(struct km_json *j, const char *text)
{
	separate(j);
	if (text)
		put_escaped(j->out, text, text + strlen(text));
	else
		km_buf_append(j->out, "null", 4);
}

void km_json_number(struct km_json *j, double value)
{
	separate(j);
	if (isfinite(value))
		km_buf_double(j->out, value);
	else
		km_buf_append(j->out, "null", 4);
}

void km_json_rounded(struct km_json *j, double value, int digits)
{
	char text[40];

	if (isfinite(value)) {
		(void)snprintf(text, sizeof(text), "%.*e", digits - 1, value);
		value = strtod(text, NULL);
	}
	km_json_number(j, value);
}

void km_json_integer(struct km_json *j, long long value)
{
	separate(j);
	km_buf_int(j->out, value);
}

void km_json_bool(struct km_json *j, bool value)
{
	separate(j);
	km_buf_str(j->out, value ? "true" : "false");
}

void km_json_hash(struct km_json *j, unsigned long long hash)
{
	separate(j);
	km_buf_printf(j->out, "\"%016llx\"", hash);
}

void km_json_raw(struct km_json *j, const char *text, size_t len)
{
	separate(j);
	km_buf_append(j->out, len > 0 ? text : "null", len > 0 ? len : 4);
}

void km_json_raw_checked(struct km_json *j, const char *text, size_t len)
{
	struct km_scan s;

	km_scan_init(&s, text, len, KM_SCAN_DEPTH_MAX / 2, NULL);
	if (km_scan_value(&s, NULL) != 0 || km_scan_peek(&s) != KM_JSON_ABSENT || s.p != s.end)
		len = 0;
	km_json_raw(j, text, len);
}

void km_json_put_string(struct km_json *j, const char *key, const char *text)
{
	km_json_key(j, key);
	km_json_string(j, text);
}

void km_json_put_name(struct km_json *j, const char *key, struct km_name name)
{
	km_json_key(j, key);
	km_json_name(j, name);
}

void km_json_put_number(struct km_json *j, const char *key, double value)
{
	km_json_key(j, key);
	km_json_number(j, value);
}

void km_json_put_rounded(struct km_json *j, const char *key, double value, int digits)
{
	km_json_key(j, key);
	km_json_rounded(j, value, digits);
}

void km_json_put_integer(struct km_json *j, const char *key, long long value)
{
	km_json_key(j, key);
	km_json_integer(j, value);
}

void km_json_put_bool(struct km_json *j, const char *key, bool value)
{
	km_json_key(j, key);
	km_json_bool(j, value);
}

void km_json_error(struct km_buf *out, const char *code, const char *message)
{
	struct km_json j = km_json_to(out);

	km_json_begin(&j, '{');
	km_json_key(&j, "error");
	km_json_begin(&j, '{');
	km_json_put_string(&j, "code", code);
	km_json_put_string(&j, "message", message);
	km_json_end(&j, '}');
	km_json_end(&j, '}');
	km_buf_char(out, '\n');
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing JSON into a buffer, commas and escapes included. Appends only; a failed allocation sticks
 * in the buffer. The caller keeps begin and end in pairs.
 */
#ifndef KM_WIRE_JSON_H
#define KM_WIRE_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "km/base/buf.h"
#include "km/core/name.h"

struct km_json {
	struct km_buf *out;
	bool comma; /* a value stands before the next one */
};

static inline struct km_json km_json_to(struct km_buf *out)
{
	return (struct km_json){ .out = out, .comma = false };
}

void km_json_begin(struct km_json *j, char open); /* '{' or '[' */
void km_json_end(struct km_json *j, char close);  /* '}' or ']' */

/* key: plain ASCII of ours, written as it is. The next call writes its value. */
void km_json_key(struct km_json *j, const char *key);

/* Escaped; bytes that are no UTF-8 become U+FFFD. text may be NULL: null. */
void km_json_string(struct km_json *j, const char *text);
void km_json_name(struct km_json *j, struct km_name name);

/* An integer when it is one; NaN and infinities are null: not measured is not zero. */
void km_json_number(struct km_json *j, double value);
/* The same rounded to `digits` significant digits: for people, where 17 digits only distract. */
void km_json_rounded(struct km_json *j, double value, int digits);
void km_json_integer(struct km_json *j, long long value);
void km_json_bool(struct km_json *j, bool value);

/* A fingerprint as 16 hexadecimal digits in quotes: JSON numbers lose bits over 2^53. */
void km_json_hash(struct km_json *j, unsigned long long hash);

/* Text that is JSON already; "" writes null. */
void km_json_raw(struct km_json *j, const char *text, size_t len);

/* The same for text from outside: null unless it is one whole JSON value. */
void km_json_raw_checked(struct km_json *j, const char *text, size_t len);

/* Key and value in one. */
void km_json_put_string(struct km_json *j, const char *key, const char *text);
void km_json_put_name(struct km_json *j, const char *key, struct km_name name);
void km_json_put_number(struct km_json *j, const char *key, double value);
void km_json_put_rounded(struct km_json *j, const char *key, double value, int digits);
void km_json_put_integer(struct km_json *j, const char *key, long long value);
void km_json_put_bool(struct km_json *j, const char *key, bool value);

/* {"error":{"code":CODE,"message":MESSAGE}}: the body of every refusal of ours. */
void km_json_error(struct km_buf *out, const char *code, const char *message);

#endif

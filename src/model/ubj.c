/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The UBJSON cursor. Every read goes through take(), the only place that moves `at`, so that no
 * length in the file is believed before it is compared with what is left.
 * source: UBJSON Draft 12, and the subset XGBoost reads (dmlc/xgboost, src/common/json.cc).
 */
#include "ubj.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void km_ubj_init(struct km_ubj *u, const uint8_t *bytes, size_t len, struct km_err *err)
{
	*u = (struct km_ubj){ .start = bytes, .at = bytes, .end = bytes + len, .err = err };
}

int km_ubj_bad(const struct km_ubj *u, const char *fmt, ...)
{
	char text[KM_ERR_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return km_err_set(u->err, EBADMSG, "byte %zu: %s", (size_t)(u->at - u->start), text);
}

void km_ubj_clean(struct km_err *err)
{
	for (char *at = err ? err->text : NULL; at && *at != '\0'; at++) {
		if (*at < 0x20 || *at > 0x7e)
			*at = '?';
	}
}

static const uint8_t *take(struct km_ubj *u, size_t len)
{
	const uint8_t *bytes = u->at;

	if (len > (size_t)(u->end - u->at))
		return NULL;
	u->at += len;
	return bytes;
}

static char peek(const struct km_ubj *u)
{
	char type = '\0';

	if (u->at < u->end)
		memcpy(&type, u->at, 1);
	return type;
}

/* Bytes of one number; 0 for what is not a number here. 'C' is one byte by the specification. */
static size_t number_bytes(char type)
{
	switch (type) {
	case 'i':
	case 'U':
	case 'C':
		return 1;
	case 'I':
		return 2;
	case 'l':
	case 'd':
		return 4;
	case 'L':
	case 'D':
		return 8;
	default:
		return 0;
	}
}

static bool is_int(char type)
{
	return type == 'i' || type == 'U' || type == 'I' || type == 'l' || type == 'L';
}

static uint64_t big_endian(const uint8_t *bytes, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value = value << 8 | bytes[i];
	return value;
}

static int64_t int_value(char type, const uint8_t *bytes)
{
	uint64_t raw = big_endian(bytes, number_bytes(type));

	switch (type) {
	case 'i':
		return (int8_t)raw;
	case 'I':
		return (int16_t)raw;
	case 'l':
		return (int32_t)raw;
	default: /* 'U', 'L' */
		return (int64_t)raw;
	}
}

int64_t km_ubj_int_at(const struct km_ubj_array *a, size_t i)
{
	return int_value(a->type, a->bytes + i * number_bytes(a->type));
}

float km_ubj_float_at(const struct km_ubj_array *a, size_t i)
{
	uint32_t raw = (uint32_t)big_endian(a->bytes + i * 4, 4);
	float value;

	memcpy(&value, &raw, sizeof(value));
	return value;
}

bool km_ubj_text_is(const struct km_ubj_text *t, const char *want)
{
	return t->len == strlen(want) && memcmp(t->text, want, t->len) == 0;
}

int km_ubj_int(struct km_ubj *u, const char *what, int64_t *out)
{
	char type = peek(u);
	const uint8_t *bytes;

	if (!is_int(type))
		return km_ubj_bad(u, "%s: marker 0x%02x, want an integer", what,
		                  (unsigned char)type);
	u->at++;
	bytes = take(u, number_bytes(type));
	if (!bytes)
		return km_ubj_bad(u, "%s: the file ends inside a number", what);
	*out = int_value(type, bytes);
	return 0;
}

/* A length or count: an integer whose elements, of at least `each` bytes, fit into what is left. */
static int read_length(struct km_ubj *u, const char *what, size_t each, size_t *out)
{
	size_t left;
	int64_t value = 0;
	int rc = km_ubj_int(u, what, &value);

	*out = 0;
	if (rc != 0)
		return rc;
	left = (size_t)(u->end - u->at);
	if (value < 0 || (uint64_t)value > left / each)
		return km_ubj_bad(u, "%s: length %lld, but %zu bytes are left", what,
		                  (long long)value, left);
	*out = (size_t)value;
	return 0;
}

static int read_bytes(struct km_ubj *u, const char *what, struct km_ubj_text *out)
{
	int rc = read_length(u, what, 1, &out->len);

	if (rc != 0)
		return rc;
	out->text = (const char *)take(u, out->len);
	return 0;
}

int km_ubj_string(struct km_ubj *u, const char *what, struct km_ubj_text *out)
{
	if (peek(u) != 'S')
		return km_ubj_bad(u, "%s: marker 0x%02x, want a string", what,
		                  (unsigned char)peek(u));
	u->at++;
	return read_bytes(u, what, out);
}

static int enter(struct km_ubj *u, const char *what, char marker, const char *kind)
{
	if (peek(u) != marker)
		return km_ubj_bad(u, "%s: marker 0x%02x, want %s", what, (unsigned char)peek(u),
		                  kind);
	if (++u->depth > KM_UBJ_DEPTH_MAX)
		return km_ubj_bad(u, "%s: nested deeper than %d", what, KM_UBJ_DEPTH_MAX);
	u->at++;
	return 0;
}

int km_ubj_object_begin(struct km_ubj *u, const char *what)
{
	return enter(u, what, '{', "an object");
}

int km_ubj_object_next(struct km_ubj *u, struct km_ubj_text *key)
{
	int rc;

	if (peek(u) == '}') {
		u->at++;
		u->depth--;
		return 0;
	}
	/* Also refuses the counted object forms, which XGBoost neither writes nor reads. */
	rc = read_bytes(u, "object key", key);
	return rc == 0 ? 1 : rc;
}

int km_ubj_list_begin(struct km_ubj *u, const char *what, size_t *count)
{
	int rc = enter(u, what, '[', "an array");

	if (rc != 0)
		return rc;
	if (peek(u) != '#')
		return km_ubj_bad(u, "%s: array without a count", what);
	u->at++;
	return read_length(u, what, 1, count);
}

void km_ubj_list_end(struct km_ubj *u)
{
	u->depth--;
}

bool km_ubj_is_typed(const struct km_ubj *u)
{
	return u->end - u->at >= 2 && u->at[0] == '[' && u->at[1] == '$';
}

int km_ubj_typed(struct km_ubj *u, const char *what, struct km_ubj_array *out)
{
	const uint8_t *head;
	int rc;

	if (!km_ubj_is_typed(u))
		return km_ubj_bad(u, "%s: want a typed array", what);
	head = take(u, 4);
	if (!head || head[3] != '#')
		return km_ubj_bad(u, "%s: typed array without a count", what);
	out->type = (char)head[2];
	if (number_bytes(out->type) == 0)
		return km_ubj_bad(u, "%s: array of type 0x%02x, want numbers", what, head[2]);
	rc = read_length(u, what, number_bytes(out->type), &out->count);
	if (rc != 0)
		return rc;
	out->bytes = take(u, out->count * number_bytes(out->type));
	return 0;
}

static int skip_object(struct km_ubj *u)
{
	struct km_ubj_text key;
	int rc = km_ubj_object_begin(u, "value");

	while (rc == 0) {
		rc = km_ubj_object_next(u, &key);
		if (rc <= 0)
			return rc;
		rc = km_ubj_skip(u);
	}
	return rc;
}

static int skip_array(struct km_ubj *u)
{
	struct km_ubj_array typed;
	size_t count = 0;
	int rc;

	if (km_ubj_is_typed(u))
		return km_ubj_typed(u, "value", &typed);
	rc = km_ubj_list_begin(u, "value", &count);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = km_ubj_skip(u);
	km_ubj_list_end(u);
	return rc;
}

/* Recursion ends at KM_UBJ_DEPTH_MAX: objects and arrays count their depth. */
int km_ubj_skip(struct km_ubj *u)
{
	char type = peek(u);
	struct km_ubj_text text;

	switch (type) {
	case '{':
		return skip_object(u);
	case '[':
		return skip_array(u);
	case 'S':
		return km_ubj_string(u, "value", &text);
	case 'T':
	case 'F':
	case 'Z':
		u->at++;
		return 0;
	default:
		break;
	}
	if (u->at == u->end || number_bytes(type) == 0)
		return km_ubj_bad(u, "value: unknown marker 0x%02x", (unsigned char)type);
	u->at++;
	if (!take(u, number_bytes(type)))
		return km_ubj_bad(u, "value: the file ends inside a number");
	return 0;
}

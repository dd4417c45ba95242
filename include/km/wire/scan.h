/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded JSON reader that builds nothing: the caller walks the text, value by value, and gets
 * slices of it. Strict (RFC 8259): no control characters in strings, valid escapes and UTF-8, JSON
 * numbers only. It never allocates; nesting is bounded, and its own stack use is constant.
 *
 *	km_scan_init(&s, text, len, depth, &err);
 *	rc = km_scan_object(&s);
 *	while (rc == 0 && (rc = km_scan_member(&s, &key)) == KM_SCAN_MORE)
 *		rc = km_scan_value(&s, &value);
 *	-> rc == KM_SCAN_END (0) when all is well
 */
#ifndef KM_WIRE_SCAN_H
#define KM_WIRE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/core/name.h"

/* As deep as anybody may configure; cJSON's own limit, behind which it reads what we let through.
 */
#define KM_SCAN_DEPTH_MAX 1000

enum km_json_kind {
	KM_JSON_ABSENT, /* zero: a slice nobody filled */
	KM_JSON_NULL,
	KM_JSON_FALSE,
	KM_JSON_TRUE,
	KM_JSON_NUMBER,
	KM_JSON_STRING,
	KM_JSON_ARRAY,
	KM_JSON_OBJECT,
};

/* One value as it stands in the text, quotes and brackets included; borrowed from the text. */
struct km_json_slice {
	const char *text;
	size_t len;
	enum km_json_kind kind;
	bool escaped; /* a string with at least one backslash: km_json_unescape is needed */
};

struct km_scan {
	const char *start;
	const char *p;
	const char *end;
	uint32_t depth; /* containers open now */
	uint32_t depth_max;
	bool first; /* the container was just opened: no comma before the next entry */
	struct km_err *err;
};

#define KM_SCAN_END  0
#define KM_SCAN_MORE 1

/* text is borrowed. depth_max counts containers, the top level being 1; err may be NULL. */
void km_scan_init(struct km_scan *s, const char *text, size_t len, uint32_t depth_max,
                  struct km_err *err);

/* What kind of value comes next, skipping white space. KM_JSON_ABSENT at the end of the text. */
enum km_json_kind km_scan_peek(struct km_scan *s);

/* Enters the object or array that comes next. returns 0, or -EINVAL when it is something else. */
int km_scan_object(struct km_scan *s) KM_MUST_CHECK;
int km_scan_array(struct km_scan *s) KM_MUST_CHECK;

/*
 * The next key of the object entered last; its value must be read before the next call.
 * returns KM_SCAN_MORE, KM_SCAN_END after the closing brace (which leaves the object), or -EINVAL.
 */
int km_scan_member(struct km_scan *s, struct km_json_slice *key) KM_MUST_CHECK;

/* The same for an array: KM_SCAN_MORE = a value follows. */
int km_scan_element(struct km_scan *s) KM_MUST_CHECK;

/* Reads a string only. returns 0, or -EINVAL when something else comes. */
int km_scan_string(struct km_scan *s, struct km_json_slice *out) KM_MUST_CHECK;

/*
 * Reads up to `max` strings of the array entered last, each as it stands in the text (quotes
 * included); *count says how many. The text is shorter than 4 GiB. *escaped is set when one of them
 * has a backslash. returns KM_SCAN_MORE after `max` strings, KM_SCAN_END after the closing bracket
 * (which leaves the array), or -EINVAL: *count strings were good.
 */
int km_scan_strings(struct km_scan *s, struct km_name *out, size_t max, size_t *count,
                    bool *escaped) KM_MUST_CHECK;

/* Reads (checks and skips) one value of any kind. out may be NULL. returns 0 or -EINVAL. */
int km_scan_value(struct km_scan *s, struct km_json_slice *out) KM_MUST_CHECK;

/* A member an object reader wants: its key, and where its value goes. */
struct km_json_want {
	const char *key;
	struct km_json_slice
		*value; /* absent when the key does not occur; the last of doubled keys */
};

/*
 * Reads a whole object that comes next and keeps the wanted members. `fold` ignores the case of
 * ASCII letters in keys, as Go's decoder does. returns 0 or -EINVAL.
 */
int km_scan_members(struct km_scan *s, const struct km_json_want *want, size_t want_count,
                    bool fold) KM_MUST_CHECK;

/* Does a key slice (quotes included) spell `name`? Knows escapes. */
bool km_json_key_is(const struct km_json_slice *key, const char *name, bool fold);

/*
 * Decodes a string slice into out, which has room for slice->len bytes (decoding never grows).
 * A lone surrogate becomes U+FFFD, as in Go. returns the decoded length; no NUL is added.
 */
size_t km_json_unescape(const struct km_json_slice *slice, char *out);

/* "a string", "null", ...: for error texts. Static storage. */
const char *km_json_kind_name(enum km_json_kind kind);

#endif

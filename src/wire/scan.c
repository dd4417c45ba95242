/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pull scanner. It goes forward only; every check is made when a byte is passed, so what was
 * read once is well-formed and may be read again without surprise. Values that nobody wants are
 * skipped without recursion: one bit per open container says whether it is an object.
 */
#include "km/wire/scan.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "wire_internal.h"

void km_scan_init(struct km_scan *s, const char *text, size_t len, uint32_t depth_max,
                  struct km_err *err)
{
	*s = (struct km_scan){
		.start = text,
		.p = text,
		.end = text ? text + len : NULL,
		.depth_max = depth_max < KM_SCAN_DEPTH_MAX ? depth_max : KM_SCAN_DEPTH_MAX,
		.err = err,
	};
}

const char *km_json_kind_name(enum km_json_kind kind)
{
	static const char *const names[] = {
		[KM_JSON_ABSENT] = "nothing",  [KM_JSON_NULL] = "null",
		[KM_JSON_FALSE] = "false",     [KM_JSON_TRUE] = "true",
		[KM_JSON_NUMBER] = "a number", [KM_JSON_STRING] = "a string",
		[KM_JSON_ARRAY] = "an array",  [KM_JSON_OBJECT] = "an object",
	};

	return names[kind];
}

static int fail(const struct km_scan *s, const char *p, const char *want)
{
	size_t at = (size_t)(p - s->start);

	if (p >= s->end)
		return km_err_set(s->err, EINVAL, "JSON: byte %zu: saw the end, want %s", at, want);
	if (*p >= 0x20 && *p < 0x7f)
		return km_err_set(s->err, EINVAL, "JSON: byte %zu: saw '%c', want %s", at, *p,
		                  want);
	return km_err_set(s->err, EINVAL, "JSON: byte %zu: saw byte 0x%02x, want %s", at,
	                  (unsigned)(unsigned char)*p, want);
}

static inline void skip_space(struct km_scan *s)
{
	/* Compact JSON, as Go writes it, has none: one comparison and on. */
	while (s->p < s->end && (unsigned char)*s->p <= ' ' &&
	       (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
		s->p++;
}

/* Checks the escape at p (on the backslash). returns its length, or 0. */
static size_t escape_len(const char *p, const char *end)
{
	if (end - p < 2)
		return 0;
	if (p[1] != 'u')
		return p[1] != '\0' && strchr("\"\\/bfnrt", p[1]) ? 2 : 0;
	if (end - p < 6)
		return 0;
	for (int i = 2; i < 6; i++) {
		if (!isxdigit((unsigned char)p[i]))
			return 0;
	}
	return 6;
}

/* s->p is on the opening quote. */
static int read_string(struct km_scan *s, struct km_json_slice *out)
{
	const char *open = s->p;
	const char *p = open + 1;
	bool high = false;
	bool escaped = false;

	for (;;) {
		size_t len;

		p = km_wire_plain_run(p, s->end, &high);
		if (p >= s->end)
			return fail(s, p, "a closing quote");
		if (*p == '"')
			break;
		if (*p != '\\')
			return fail(s, p, "no raw control character in a string");
		len = escape_len(p, s->end);
		if (len == 0)
			return fail(s, p, "a valid escape");
		escaped = true;
		p += len;
	}
	if (high && !km_wire_utf8_valid(open + 1, p))
		return fail(s, open, "valid UTF-8 in the string");
	s->p = p + 1;
	if (out)
		*out = (struct km_json_slice){ open, (size_t)(s->p - open), KM_JSON_STRING,
			                       escaped };
	return 0;
}

static const char *digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* number = [-] (0 | 1-9 digits) [. digits] [e [+-] digits] */
static int read_number(struct km_scan *s)
{
	const char *p = s->p;
	const char *from;

	if (*p == '-')
		p++;
	from = p;
	p = digits(p, s->end);
	if (p == from)
		return fail(s, p, "a digit");
	if (*from == '0' && p - from > 1)
		return fail(s, from + 1, "no digit after a leading 0");
	if (p < s->end && *p == '.') {
		from = ++p;
		p = digits(p, s->end);
		if (p == from)
			return fail(s, p, "a digit");
	}
	if (p < s->end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < s->end && (*p == '+' || *p == '-'))
			p++;
		from = p;
		p = digits(p, s->end);
		if (p == from)
			return fail(s, p, "a digit");
	}
	s->p = p;
	return 0;
}

static int read_literal(struct km_scan *s, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(s->end - s->p) < len || memcmp(s->p, word, len) != 0)
		return fail(s, s->p, "a value");
	s->p += len;
	return 0;
}

static enum km_json_kind kind_at(const struct km_scan *s)
{
	if (s->p >= s->end)
		return KM_JSON_ABSENT;
	switch (*s->p) {
	case '{':
		return KM_JSON_OBJECT;
	case '[':
		return KM_JSON_ARRAY;
	case '"':
		return KM_JSON_STRING;
	case 't':
		return KM_JSON_TRUE;
	case 'f':
		return KM_JSON_FALSE;
	case 'n':
		return KM_JSON_NULL;
	default:
		return *s->p == '-' || (*s->p >= '0' && *s->p <= '9') ? KM_JSON_NUMBER
		                                                      : KM_JSON_ABSENT;
	}
}

static int read_scalar(struct km_scan *s, enum km_json_kind kind)
{
	switch (kind) {
	case KM_JSON_STRING:
		return read_string(s, NULL);
	case KM_JSON_NUMBER:
		return read_number(s);
	case KM_JSON_TRUE:
		return read_literal(s, "true");
	case KM_JSON_FALSE:
		return read_literal(s, "false");
	case KM_JSON_NULL:
		return read_literal(s, "null");
	default:
		return fail(s, s->p, "a value");
	}
}

static int enter(struct km_scan *s)
{
	if (s->depth >= s->depth_max)
		return km_err_set(s->err, EINVAL, "JSON: byte %zu: saw nesting over %u, want less",
		                  (size_t)(s->p - s->start), (unsigned)s->depth_max);
	s->depth++;
	s->first = true;
	s->p++;
	return 0;
}

static void leave(struct km_scan *s)
{
	s->depth--;
	s->first = false;
	s->p++;
}

/* Between two entries of a container: its end, or a comma unless it is the first. */
static int next_entry(struct km_scan *s, char closing)
{
	skip_space(s);
	if (s->p < s->end && *s->p == closing) {
		leave(s);
		return KM_SCAN_END;
	}
	if (!s->first) {
		if (s->p >= s->end || *s->p != ',')
			return fail(s, s->p, closing == '}' ? "',' or '}'" : "',' or ']'");
		s->p++;
		skip_space(s);
	}
	s->first = false;
	return KM_SCAN_MORE;
}

int km_scan_member(struct km_scan *s, struct km_json_slice *key)
{
	int rc = next_entry(s, '}');

	if (rc != KM_SCAN_MORE)
		return rc;
	if (s->p >= s->end || *s->p != '"')
		return fail(s, s->p, "a key in quotes");
	rc = read_string(s, key);
	if (rc != 0)
		return rc;
	skip_space(s);
	if (s->p >= s->end || *s->p != ':')
		return fail(s, s->p, "':'");
	s->p++;
	return KM_SCAN_MORE;
}

int km_scan_element(struct km_scan *s)
{
	return next_entry(s, ']');
}

enum km_json_kind km_scan_peek(struct km_scan *s)
{
	skip_space(s);
	return kind_at(s);
}

static int enter_kind(struct km_scan *s, enum km_json_kind want)
{
	enum km_json_kind kind = km_scan_peek(s);

	if (kind == want)
		return enter(s);
	if (kind == KM_JSON_ABSENT)
		return fail(s, s->p, km_json_kind_name(want));
	return km_err_set(s->err, EINVAL, "JSON: byte %zu: saw %s, want %s",
	                  (size_t)(s->p - s->start), km_json_kind_name(kind),
	                  km_json_kind_name(want));
}

int km_scan_object(struct km_scan *s)
{
	return enter_kind(s, KM_JSON_OBJECT);
}

int km_scan_array(struct km_scan *s)
{
	return enter_kind(s, KM_JSON_ARRAY);
}

int km_scan_string(struct km_scan *s, struct km_json_slice *out)
{
	enum km_json_kind kind = km_scan_peek(s);

	if (kind == KM_JSON_STRING)
		return read_string(s, out);
	if (kind == KM_JSON_ABSENT)
		return fail(s, s->p, "a string");
	return km_err_set(s->err, EINVAL, "JSON: byte %zu: saw %s, want a string",
	                  (size_t)(s->p - s->start), km_json_kind_name(kind));
}

/*
 * The next string of an array if it is written as machines write it: no blanks, no escape, ASCII.
 * returns false, with nothing read, when it may be anything else: the long way then says what.
 */
static inline bool plain_string(struct km_scan *s, struct km_name *out)
{
	const char *open = s->p;
	const char *end;
	bool high = false;

	if (!s->first) {
		if (open >= s->end || *open != ',')
			return false;
		open++;
	}
	if (open >= s->end || *open != '"')
		return false;
	end = km_wire_plain_run(open + 1, s->end, &high);
	if (high || end >= s->end || *end != '"')
		return false;
	*out = (struct km_name){ open, (uint32_t)(end + 1 - open) };
	s->first = false;
	s->p = end + 1;
	return true;
}

int km_scan_strings(struct km_scan *s, struct km_name *out, size_t max, size_t *count,
                    bool *escaped)
{
	for (*count = 0; *count < max; (*count)++) {
		struct km_json_slice one = { 0 };
		int rc;

		if (plain_string(s, &out[*count]))
			continue;
		rc = next_entry(s, ']');

		if (rc != KM_SCAN_MORE)
			return rc;
		rc = km_scan_string(s, &one);
		if (rc != 0)
			return rc;
		*escaped = *escaped || one.escaped;
		out[*count] = (struct km_name){ one.text, (uint32_t)one.len };
	}
	return KM_SCAN_MORE;
}

/*
 * Skips a container. `is_object` is a stack of bits by depth, so that hostile nesting costs no
 * stack of ours.
 */
static int skip_container(struct km_scan *s)
{
	unsigned char is_object[KM_SCAN_DEPTH_MAX / 8 + 1] = { 0 };
	uint32_t floor = s->depth;
	int rc;

	for (;;) {
		enum km_json_kind kind = km_scan_peek(s);

		if (kind == KM_JSON_OBJECT || kind == KM_JSON_ARRAY) {
			rc = enter(s);
			if (rc != 0)
				return rc;
			if (kind == KM_JSON_OBJECT)
				is_object[s->depth / 8] |= (unsigned char)(1u << (s->depth % 8));
			else
				is_object[s->depth / 8] &= (unsigned char)~(1u << (s->depth % 8));
		} else {
			rc = read_scalar(s, kind);
			if (rc != 0)
				return rc;
		}
		do {
			if (s->depth == floor)
				return 0;
			rc = is_object[s->depth / 8] & (1u << (s->depth % 8))
			             ? km_scan_member(s, NULL)
			             : km_scan_element(s);
		} while (rc == KM_SCAN_END);
		if (rc < 0)
			return rc;
	}
}

int km_scan_value(struct km_scan *s, struct km_json_slice *out)
{
	enum km_json_kind kind = km_scan_peek(s);
	const char *from = s->p;
	int rc;

	if (kind == KM_JSON_STRING)
		return read_string(s, out);
	if (kind == KM_JSON_OBJECT || kind == KM_JSON_ARRAY)
		rc = skip_container(s);
	else
		rc = read_scalar(s, kind);
	if (rc != 0)
		return rc;
	if (out)
		*out = (struct km_json_slice){ from, (size_t)(s->p - from), kind, false };
	return 0;
}

static bool equal_fold(const char *a, size_t len, const char *name, bool fold)
{
	if (strlen(name) != len)
		return false;
	return fold ? strncasecmp(a, name, len) == 0 : memcmp(a, name, len) == 0;
}

static bool escaped_key_is(const struct km_json_slice *key, const char *name, bool fold)
{
	/* An escape takes at most six bytes for one; anything longer is another key. */
	char decoded[256] = "";

	if (key->len > sizeof(decoded) || key->len - 2 > strlen(name) * 6)
		return false;
	return equal_fold(decoded, km_json_unescape(key, decoded), name, fold);
}

bool km_json_key_is(const struct km_json_slice *key, const char *name, bool fold)
{
	if (key->escaped)
		return escaped_key_is(key, name, fold);
	return equal_fold(key->text + 1, key->len - 2, name, fold);
}

int km_scan_members(struct km_scan *s, const struct km_json_want *want, size_t want_count,
                    bool fold)
{
	struct km_json_slice key = { 0 };
	struct km_json_slice value;
	int rc = km_scan_object(s);

	for (size_t i = 0; i < want_count; i++)
		*want[i].value = (struct km_json_slice){ .kind = KM_JSON_ABSENT };
	if (rc != 0)
		return rc;
	while ((rc = km_scan_member(s, &key)) == KM_SCAN_MORE) {
		rc = km_scan_value(s, &value);
		if (rc != 0)
			return rc;
		for (size_t i = 0; i < want_count; i++) {
			if (km_json_key_is(&key, want[i].key, fold))
				*want[i].value = value;
		}
	}
	return rc;
}

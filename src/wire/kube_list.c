/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list, byte by byte: only as much of JSON is known here as it takes to find where a value ends
 * (brackets, strings, escapes); the scanner then checks it whole.
 */
#include <errno.h>
#include <stdlib.h>

#include "km/base/buf.h"
#include "km/wire/kube_stream.h"

#include "kube_internal.h"

#define KEY_MAX_BYTES    256
#define MEMBER_MAX_BYTES ((size_t)64 << 10) /* of the list's own members: metadata above all */
#define DEPTH_MAX        1000000            /* of brackets; the scanner's limit is what counts */

enum place {
	AT_START,      /* before the list's brace */
	AT_FIRST_KEY,  /* a key or the closing brace */
	AT_KEY,        /* a key, after a comma */
	IN_KEY,        /* inside a key's quotes */
	AT_COLON,      /* between key and value */
	AT_VALUE,      /* before a value */
	IN_VALUE,      /* inside a value that is not items */
	AFTER_VALUE,   /* a comma or the closing brace */
	AT_FIRST_ITEM, /* an item or the closing bracket */
	AT_ITEM,       /* an item, after a comma */
	IN_ITEM,       /* inside an item */
	AFTER_ITEM,    /* a comma or the closing bracket */
	AT_END,        /* the list is whole; only blanks may follow */
};

static const char *const wanted[] = {
	[AT_START] = "a list's '{'",
	[AT_FIRST_KEY] = "a key or '}'",
	[AT_KEY] = "a key",
	[IN_KEY] = "a key's end",
	[AT_COLON] = "':'",
	[AT_VALUE] = "a value",
	[IN_VALUE] = "a value's end",
	[AFTER_VALUE] = "',' or '}'",
	[AT_FIRST_ITEM] = "'{' or ']'",
	[AT_ITEM] = "'{'",
	[IN_ITEM] = "an object's end",
	[AFTER_ITEM] = "',' or ']'",
	[AT_END] = "the end",
};

struct km_kube_list {
	enum place place;
	uint64_t at_byte; /* of what was fed before */
	/* The value or key that is being read. */
	struct km_buf kept; /* of earlier feeds */
	size_t max_bytes;
	uint32_t depth;
	bool in_string, escape, too_large;

	enum { MEMBER_OTHER, MEMBER_METADATA, MEMBER_ITEMS } member;
	bool has_version;
	struct km_buf version, token; /* NUL-terminated */

	size_t object_max_bytes;
	km_kube_piece_fn *object;
	void *ctx;
	uint64_t skipped;
};

int km_kube_list_create(size_t object_max_bytes, km_kube_piece_fn *object, void *ctx,
                        struct km_kube_list **out)
{
	struct km_kube_list *l = calloc(1, sizeof(*l));

	*out = l;
	if (l == NULL)
		return -ENOMEM;
	l->object_max_bytes = object_max_bytes;
	l->object = object;
	l->ctx = ctx;
	km_kube_list_reset(l);
	return 0;
}

void km_kube_list_free(struct km_kube_list *l)
{
	if (l == NULL)
		return;
	km_buf_fini(&l->kept);
	km_buf_fini(&l->version);
	km_buf_fini(&l->token);
	free(l);
}

void km_kube_list_reset(struct km_kube_list *l)
{
	l->place = AT_START;
	l->at_byte = 0;
	l->has_version = false;
	km_buf_clear(&l->kept);
	km_buf_clear(&l->version);
	km_buf_clear(&l->token);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void begin_value(struct km_kube_list *l, enum place place, size_t max_bytes)
{
	l->place = place;
	l->max_bytes = max_bytes;
	l->depth = 0;
	l->in_string = false;
	l->escape = false;
	l->too_large = false;
	km_buf_clear(&l->kept);
}

/* Behind the string's closing quote, or at `end` when that is not there. */
static const char *string_end(struct km_kube_list *l, const char *p, const char *end)
{
	bool high = false;

	while (p < end) {
		if (l->escape) {
			l->escape = false;
			p++;
			continue;
		}
		p = km_wire_plain_run(p, end, &high);
		if (p == end)
			break;
		if (*p == '"') {
			l->in_string = false;
			return p + 1;
		}
		l->escape = *p == '\\';
		p++; /* a control character: the scanner will say so */
	}
	return end;
}

/*
 * Goes on with the value at p. returns where it ends, with *done set: behind its last bracket or
 * quote, or at what ends a number or a word.
 */
static const char *value_end(struct km_kube_list *l, const char *p, const char *end, bool *done)
{
	*done = false;
	while (p < end) {
		char c;

		if (l->in_string) {
			p = string_end(l, p, end);
			*done = !l->in_string && l->depth == 0;
			if (*done || l->in_string)
				return p;
		}
		if (p == end)
			return p;
		c = *p;
		if (c == '"') {
			l->in_string = true;
		} else if (c == '{' || c == '[') {
			l->depth += l->depth < DEPTH_MAX;
		} else if ((c == '}' || c == ']') && l->depth > 0) {
			l->depth--;
			*done = l->depth == 0;
		} else if (l->depth == 0 && (c == ',' || c == '}' || c == ']' || is_blank(c))) {
			*done = true;
			return p;
		}
		p++;
		if (*done)
			return p;
	}
	return p;
}

static int keep(struct km_kube_list *l, const char *from, size_t len)
{
	if (l->too_large || len > l->max_bytes - l->kept.len) {
		l->too_large = true;
		km_buf_clear(&l->kept);
		return 0;
	}
	km_buf_append(&l->kept, from, len);
	return km_buf_ok(&l->kept) ? 0 : -ENOMEM;
}

static int take_string(const struct km_json_slice *slice, struct km_buf *out)
{
	km_buf_clear(out);
	if (slice->kind == KM_JSON_STRING && km_buf_reserve(out, slice->len) == 0)
		out->len = km_json_unescape(slice, out->data);
	(void)km_buf_cstr(out);
	return km_buf_ok(out) ? 0 : -ENOMEM;
}

static bool is_whole(const char *text, size_t len)
{
	struct km_scan s;

	km_scan_init(&s, text, len, KM_KUBE_DEPTH_MAX, NULL);
	return km_scan_value(&s, NULL) == 0 && s.p == s.end;
}

static int take_metadata(struct km_kube_list *l, const char *text, size_t len)
{
	const struct km_json_slice object = { text, len, KM_JSON_OBJECT, false };
	struct km_json_slice version;
	struct km_json_slice token;
	const struct km_json_want want[] = { { "resourceVersion", &version },
		                             { "continue", &token } };
	int rc;

	if (!is_whole(text, len))
		return 0; /* then there is no version, which the end will say */
	km_wire_members(&object, want, KM_ARRAY_LEN(want));
	l->has_version = version.kind == KM_JSON_STRING && version.len > 2;
	rc = take_string(&version, &l->version);
	return rc != 0 ? rc : take_string(&token, &l->token);
}

/* The value that ended, in one piece. */
static int take_value(struct km_kube_list *l, const char *text, size_t len)
{
	if (l->place == IN_VALUE) {
		l->place = AFTER_VALUE;
		return l->member == MEMBER_METADATA ? take_metadata(l, text, len) : 0;
	}
	l->place = AFTER_ITEM;
	if (is_whole(text, len))
		return l->object(l->ctx, text, len);
	l->skipped++;
	return 0;
}

/* Goes on inside a value. *p is moved behind what was read of it. */
static int read_value(struct km_kube_list *l, const char **p, const char *end)
{
	const char *from = *p;
	bool done;
	int rc;

	*p = value_end(l, from, end, &done);
	/* In one piece, as most are when the pieces fed are large: no copy. */
	if (done && l->kept.len == 0 && !l->too_large && (size_t)(*p - from) <= l->max_bytes)
		return take_value(l, from, (size_t)(*p - from));
	rc = keep(l, from, (size_t)(*p - from));
	if (rc != 0 || !done)
		return rc;
	if (!l->too_large)
		return take_value(l, l->kept.data, l->kept.len);
	l->skipped += l->place == IN_ITEM;
	l->place = l->place == IN_ITEM ? AFTER_ITEM : AFTER_VALUE;
	return 0;
}

static int read_key(struct km_kube_list *l, const char **p, const char *end)
{
	const char *from = *p;
	int rc;

	*p = string_end(l, from, end);
	rc = keep(l, from, (size_t)(*p - from));
	if (rc != 0 || l->in_string)
		return rc;
	l->place = AT_COLON;
	l->member = MEMBER_OTHER;
	if (l->kept.len == sizeof("metadata\"") - 1 &&
	    memcmp(l->kept.data, "metadata\"", l->kept.len) == 0)
		l->member = MEMBER_METADATA;
	if (l->kept.len == sizeof("items\"") - 1 &&
	    memcmp(l->kept.data, "items\"", l->kept.len) == 0)
		l->member = MEMBER_ITEMS;
	return 0;
}

/* One byte between values, which is no blank. returns false when nothing of the kind may be there.
 */
static bool step(struct km_kube_list *l, char c)
{
	/* what may come where, and what follows; values and keys begin below */
	static const struct {
		enum place place;
		char c;
		enum place next;
	} steps[] = {
		{ AT_START, '{', AT_FIRST_KEY }, { AT_FIRST_KEY, '}', AT_END },
		{ AT_COLON, ':', AT_VALUE },     { AFTER_VALUE, ',', AT_KEY },
		{ AFTER_VALUE, '}', AT_END },    { AT_FIRST_ITEM, ']', AFTER_VALUE },
		{ AFTER_ITEM, ',', AT_ITEM },    { AFTER_ITEM, ']', AFTER_VALUE },
	};

	for (size_t i = 0; i < KM_ARRAY_LEN(steps); i++) {
		if (steps[i].place == l->place && steps[i].c == c) {
			l->place = steps[i].next;
			return true;
		}
	}
	if ((l->place == AT_FIRST_KEY || l->place == AT_KEY) && c == '"') {
		begin_value(l, IN_KEY, KEY_MAX_BYTES);
		l->in_string = true;
		return true;
	}
	if (l->place == AT_VALUE && l->member == MEMBER_ITEMS && c == '[') {
		l->place = AT_FIRST_ITEM;
		return true;
	}
	return false;
}

/* Does a value begin here, of which c is the first byte? */
static bool begins_value(struct km_kube_list *l, char c)
{
	if (c == ',' || c == ':' || c == '}' || c == ']')
		return false;
	if (l->place == AT_FIRST_ITEM || l->place == AT_ITEM) {
		begin_value(l, IN_ITEM, l->object_max_bytes);
		return true;
	}
	/* Go writes a list without items as null. */
	if (l->place == AT_VALUE && (l->member != MEMBER_ITEMS || c == 'n')) {
		begin_value(l, IN_VALUE, MEMBER_MAX_BYTES);
		return true;
	}
	return false;
}

int km_kube_list_feed(struct km_kube_list *l, const char *bytes, size_t len, struct km_err *err)
{
	const char *end = bytes + len;
	const char *p = bytes;
	int rc = 0;

	while (p < end && rc == 0) {
		if (l->place == IN_ITEM || l->place == IN_VALUE)
			rc = read_value(l, &p, end);
		else if (l->place == IN_KEY)
			rc = read_key(l, &p, end);
		else if (is_blank(*p) || step(l, *p))
			p++;
		else if (!begins_value(l, *p))
			return km_err_set(err, EBADMSG, "list: byte %llu: saw 0x%02x, want %s",
			                  (unsigned long long)l->at_byte + (size_t)(p - bytes),
			                  (unsigned)(unsigned char)*p, wanted[l->place]);
	}
	l->at_byte += len;
	if (rc == -ENOMEM)
		return km_err_set(err, ENOMEM, "list: out of memory");
	return rc;
}

int km_kube_list_end(const struct km_kube_list *l, struct km_err *err)
{
	if (l->place != AT_END)
		return km_err_set(err, EBADMSG, "list: byte %llu: saw the end, want %s",
		                  (unsigned long long)l->at_byte, wanted[l->place]);
	if (!l->has_version)
		return km_err_set(err, EBADMSG,
		                  "list: saw no metadata.resourceVersion, want one to watch from");
	return 0;
}

const char *km_kube_list_version(const struct km_kube_list *l)
{
	return l->version.data != NULL ? l->version.data : "";
}

const char *km_kube_list_continue(const struct km_kube_list *l)
{
	return l->token.data != NULL ? l->token.data : "";
}

uint64_t km_kube_list_skipped(const struct km_kube_list *l)
{
	return l->skipped;
}

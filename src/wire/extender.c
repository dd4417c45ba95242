/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hot path. One pass over the body finds the top-level members and the node names; only the
 * pod's slice is looked into again. Names are borrowed from the body, and echoed as the tokens they
 * came as, so nothing is escaped or copied on the way back.
 */
#include "km/wire/extender.h"

#include <errno.h>
#include <string.h>

#include "km/base/hash.h"
#include "km/wire/json.h"
#include "km/wire/pod.h"
#include "km/wire/scan.h"

#define NAMES_FIRST 64
/* A name takes about so many bytes of a body: memory for all of them at once, mostly. */
#define NAME_BYTES  24

#define SCORE_BYTES 11 /* of an int32_t */

/* Names being collected. Grown by doubling: the arena keeps the old halves until the request ends.
 */
struct names {
	struct km_arena *arena;
	struct km_name *token; /* as they stand in the body */
	struct km_name *item;  /* NULL for NodeNames */
	size_t count;
	size_t cap;
	bool escaped; /* one of them has a backslash */
};

static int grow(struct names *n, size_t first, bool with_items)
{
	size_t cap = n->cap ? n->cap * 2 : first;
	struct km_name *token = km_arena_alloc(n->arena, cap * sizeof(*token));
	struct km_name *item = NULL;

	if (!token)
		return -ENOMEM;
	if (with_items) {
		item = km_arena_alloc(n->arena, cap * sizeof(*item));
		if (!item)
			return -ENOMEM;
		if (n->count > 0)
			memcpy(item, n->item, n->count * sizeof(*item));
	}
	if (n->count > 0)
		memcpy(token, n->token, n->count * sizeof(*token));
	n->token = token;
	n->item = item;
	n->cap = cap;
	return 0;
}

static int too_many(struct km_err *err)
{
	return km_err_set(err, EINVAL, "saw more than %d names, want fewer", KM_EXTENDER_NAMES_MAX);
}

/* The array of strings that comes next. */
static int read_names(struct km_scan *s, struct names *n)
{
	size_t first = NAMES_FIRST + (size_t)(s->end - s->p) / NAME_BYTES;
	size_t got = 0;
	int rc = km_scan_array(s);

	if (first > KM_EXTENDER_NAMES_MAX)
		first = KM_EXTENDER_NAMES_MAX;
	if (rc != 0)
		return rc;
	n->count = 0;
	do {
		if (n->count == n->cap && grow(n, first, false) != 0)
			return -ENOMEM;
		rc = km_scan_strings(s, n->token + n->count, n->cap - n->count, &got, &n->escaped);
		n->count += got;
		if (n->count > KM_EXTENDER_NAMES_MAX)
			return too_many(s->err);
	} while (rc == KM_SCAN_MORE);
	return rc;
}

/* One Node object: its metadata.name. Go leaves an empty one out, so none is the empty name. */
static int read_node(const struct km_json_slice *node, struct names *n, struct km_err *err)
{
	struct km_json_slice metadata = { 0 };
	struct km_json_slice name = { 0 };
	const struct km_json_want in_node[] = { { "metadata", &metadata } };
	const struct km_json_want in_metadata[] = { { "name", &name } };
	struct km_scan s;
	int rc;

	km_scan_init(&s, node->text, node->len, KM_SCAN_DEPTH_MAX, err);
	rc = km_scan_members(&s, in_node, 1, false);
	if (rc == 0 && metadata.kind == KM_JSON_OBJECT) {
		km_scan_init(&s, metadata.text, metadata.len, KM_SCAN_DEPTH_MAX, err);
		rc = km_scan_members(&s, in_metadata, 1, false);
	}
	if (rc != 0)
		return rc;
	if (name.kind == KM_JSON_ABSENT || name.kind == KM_JSON_NULL)
		name = (struct km_json_slice){ "\"\"", 2, KM_JSON_STRING, false };
	if (name.kind != KM_JSON_STRING)
		return km_err_set(err, EINVAL,
		                  "Nodes.items[%zu].metadata.name: saw %s, want a string", n->count,
		                  km_json_kind_name(name.kind));
	if (n->count == KM_EXTENDER_NAMES_MAX) {
		(void)too_many(err);
		return km_err_prefix(err, "Nodes.items");
	}
	if (n->count == n->cap) {
		rc = grow(n, NAMES_FIRST, true);
		if (rc != 0)
			return rc;
	}
	n->escaped = n->escaped || name.escaped;
	n->token[n->count] = (struct km_name){ name.text, (uint32_t)name.len };
	n->item[n->count] = (struct km_name){ node->text, (uint32_t)node->len };
	n->count++;
	return 0;
}

/* The items of a NodeList; a list without items has none. */
static int read_node_list(const struct km_json_slice *list, struct names *n, struct km_err *err)
{
	struct km_json_slice items = { 0 };
	const struct km_json_want in_list[] = { { "items", &items } };
	struct km_json_slice node;
	struct km_scan s;
	int rc;

	km_scan_init(&s, list->text, list->len, KM_SCAN_DEPTH_MAX, err);
	rc = km_scan_members(&s, in_list, 1, false);
	*n = (struct names){
		.arena = n->arena
	}; /* NodeNames may have stood there first, null later */
	if (rc != 0 || items.kind == KM_JSON_NULL || items.kind == KM_JSON_ABSENT)
		return rc;
	km_scan_init(&s, items.text, items.len, KM_SCAN_DEPTH_MAX, err);
	rc = km_scan_array(&s);
	if (rc != 0)
		return km_err_prefix(err, "Nodes.items");
	while ((rc = km_scan_element(&s)) == KM_SCAN_MORE) {
		rc = km_scan_value(&s, &node);
		if (rc == 0)
			rc = read_node(&node, n, err);
		if (rc != 0)
			return rc;
	}
	return rc;
}

static int want_object_or_null(const struct km_json_slice *slice, const char *key,
                               struct km_err *err)
{
	if (slice->kind == KM_JSON_ABSENT || slice->kind == KM_JSON_NULL ||
	    slice->kind == KM_JSON_OBJECT)
		return 0;
	return km_err_set(err, EINVAL, "%s: saw %s, want an object or null", key,
	                  km_json_kind_name(slice->kind));
}

/* The members of ExtenderArgs. NodeNames is read on the way: most of the body is in it. */
static int read_envelope(struct km_scan *s, struct km_json_slice *pod, struct km_json_slice *nodes,
                         struct names *names, bool *names_given)
{
	struct km_json_slice key = { 0 };
	int rc = km_scan_object(s);

	if (rc != 0)
		return rc;
	while ((rc = km_scan_member(s, &key)) == KM_SCAN_MORE) {
		if (km_json_key_is(&key, "NodeNames", true)) {
			*names_given = km_scan_peek(s) != KM_JSON_NULL;
			rc = *names_given ? read_names(s, names) : km_scan_value(s, NULL);
			if (rc == -EINVAL)
				return km_err_prefix(s->err, "NodeNames");
		} else if (km_json_key_is(&key, "Nodes", true)) {
			rc = km_scan_value(s, nodes);
		} else if (km_json_key_is(&key, "Pod", true)) {
			rc = km_scan_value(s, pod);
		} else {
			rc = km_scan_value(s, NULL);
		}
		if (rc != 0)
			return rc;
	}
	if (rc == 0)
		rc = want_object_or_null(pod, "Pod", s->err);
	if (rc == 0)
		rc = want_object_or_null(nodes, "Nodes", s->err);
	return rc;
}

/* A slot of the table that finds doubled names: 0 = free, else position + 1 and part of the hash.
 */
struct slot {
	uint32_t position_plus_1;
	uint32_t hash;
};

static bool same(struct km_name a, struct km_name b)
{
	return a.len == b.len && memcmp(a.text, b.text, a.len) == 0;
}

/* A token without its quotes; one with a backslash is decoded into the arena. NULL: no memory. */
static const char *decode(const struct names *n, struct km_name token, uint32_t *len)
{
	char *decoded;

	*len = token.len - 2;
	if (!n->escaped || !memchr(token.text, '\\', token.len))
		return token.text + 1;
	decoded = km_arena_alloc(n->arena, token.len);
	if (decoded)
		*len = (uint32_t)km_json_unescape(
			&(struct km_json_slice){ token.text, token.len, KM_JSON_STRING, true },
			decoded);
	return decoded;
}

/* Finds doubled names. */
struct seen {
	struct slot *table; /* [slots] */
	size_t slots;       /* power of two */
	uint64_t seed;
};

/* Names at once: their slots are fetched side by side. */
#define NAMES_AT_ONCE 16

/* Decodes `count` names from position `from` on, and keeps those not seen before, in order. */
static int keep_new(const struct names *n, size_t from, size_t count, const struct seen *seen,
                    struct km_extender_args *out)
{
	struct km_name name[NAMES_AT_ONCE];
	uint64_t hash[NAMES_AT_ONCE];
	size_t mask = seen->slots - 1;

	for (size_t i = 0; i < count; i++) {
		name[i].text = decode(n, n->token[from + i], &name[i].len);
		if (!name[i].text)
			return -ENOMEM;
		hash[i] = km_hash64(name[i].text, name[i].len, seen->seed);
		__builtin_prefetch(&seen->table[hash[i] & mask], 1);
	}
	for (size_t i = 0; i < count; i++) {
		uint32_t tag = (uint32_t)(hash[i] >> 32);
		struct slot *slot = &seen->table[hash[i] & mask];

		while (slot->position_plus_1 != 0 &&
		       !(slot->hash == tag && same(out->name[slot->position_plus_1 - 1], name[i])))
			slot = &seen->table[(size_t)(slot - seen->table + 1) & mask];
		if (slot->position_plus_1 != 0) {
			out->repeated++;
			continue;
		}
		out->name[out->count] = name[i];
		out->token[out->count] = n->token[from + i];
		if (out->item)
			out->item[out->count] = n->item[from + i];
		out->count++;
		*slot = (struct slot){ (uint32_t)out->count, tag };
	}
	return 0;
}

/* Decodes the names and keeps each distinct one, in order; tokens and items move up in place. */
static int keep_distinct(struct names *n, uint64_t seed, struct km_extender_args *out)
{
	struct seen seen = { .slots = NAMES_FIRST, .seed = seed };
	int rc = 0;

	while (seen.slots / 4 * 3 < n->count)
		seen.slots *= 2;
	seen.table = km_arena_calloc(n->arena, seen.slots, sizeof(*seen.table));
	out->name = km_arena_alloc(n->arena, (n->count + 1) * sizeof(*out->name));
	if (!seen.table || !out->name)
		return -ENOMEM;
	out->token = n->token;
	out->item = n->item;
	for (size_t from = 0; from < n->count && rc == 0; from += NAMES_AT_ONCE) {
		size_t left = n->count - from;

		rc = keep_new(n, from, left < NAMES_AT_ONCE ? left : NAMES_AT_ONCE, &seen, out);
	}
	return rc;
}

int km_extender_decode(const char *body, size_t len, uint32_t depth_max, uint64_t seed,
                       struct km_arena *arena, struct km_extender_args *out, struct km_err *err)
{
	struct km_json_slice pod = { 0 };
	struct km_json_slice nodes = { 0 };
	struct names names = { .arena = arena };
	bool names_given = false;
	struct km_scan s;
	int rc;

	*out = (struct km_extender_args){ .form = KM_EXTENDER_NONE };
	if (len > UINT32_MAX)
		return km_err_set(err, EINVAL, "body: saw %zu bytes, want less than 4 GiB", len);
	km_scan_init(&s, body, len, depth_max, err);
	rc = read_envelope(&s, &pod, &nodes, &names, &names_given);
	if (rc == 0 && !names_given && nodes.kind == KM_JSON_OBJECT)
		rc = read_node_list(&nodes, &names, err);
	if (rc == 0)
		rc = km_pod_decode(&pod, arena, &out->pod);
	if (rc == 0) {
		if (names_given)
			out->form = KM_EXTENDER_NODE_NAMES;
		else if (nodes.kind == KM_JSON_OBJECT)
			out->form = KM_EXTENDER_NODES;
		else
			names.count = 0; /* NodeNames stood there twice, null the second time */
		rc = keep_distinct(&names, seed, out);
	}
	if (rc == -ENOMEM)
		return km_err_set(err, ENOMEM, "out of memory decoding a request of %zu bytes",
		                  len);
	return rc;
}

static size_t append(char *at, const char *text, size_t len)
{
	memcpy(at, text, len);
	return len;
}

/* Bytes that all tokens take together, each with `extra` more. */
static size_t tokens_bytes(const struct km_name *token, size_t count, size_t extra)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += token[i].len + extra;
	return bytes;
}

/* Appends "[a,b]": the entries that pass. */
static void write_passing(struct km_buf *out, const struct km_name *entry, size_t count,
                          const uint8_t *outcome)
{
	size_t at;
	size_t begin;

	if (km_buf_reserve(out, tokens_bytes(entry, count, 1) + 2) != 0)
		return;
	at = out->len;
	out->data[at++] = '[';
	begin = at;
	for (size_t i = 0; i < count; i++) {
		if (outcome && outcome[i] != KM_EXTENDER_PASS)
			continue;
		if (at > begin)
			out->data[at++] = ',';
		at += append(out->data + at, entry[i].text, entry[i].len);
	}
	out->data[at++] = ']';
	out->len = at;
}

/* Appends {"name":"reason",...}: the nodes that fail for reasons of one kind. */
static void write_failed(struct km_buf *out, const struct km_extender_args *args,
                         const uint8_t *outcome, const struct km_extender_reason *reasons,
                         size_t reason_count, bool unresolvable)
{
	struct km_json j = km_json_to(out);

	km_json_begin(&j, '{');
	for (size_t i = 0; outcome && i < args->count; i++) {
		if (outcome[i] >= reason_count || reasons[outcome[i]].unresolvable != unresolvable)
			continue;
		km_json_raw(&j, args->token[i].text, args->token[i].len);
		km_buf_char(out, ':');
		j.comma = false;
		km_json_string(&j, reasons[outcome[i]].text);
	}
	km_json_end(&j, '}');
}

void km_extender_write_filter(struct km_buf *out, const struct km_extender_args *args,
                              const uint8_t *outcome, const struct km_extender_reason *reasons,
                              size_t reason_count)
{
	/* The scheduler honours the form it asked in; the other one stays null, as Go would write
	 * it. */
	if (args->form == KM_EXTENDER_NODES) {
		km_buf_str(out, "{\"Nodes\":{\"metadata\":{},\"items\":");
		write_passing(out, args->item, args->count, outcome);
		km_buf_str(out, "},\"NodeNames\":null");
	} else {
		km_buf_str(out, "{\"Nodes\":null,\"NodeNames\":");
		write_passing(out, args->token, args->count, outcome);
	}
	km_buf_str(out, ",\"FailedNodes\":");
	write_failed(out, args, outcome, reasons, reason_count, false);
	km_buf_str(out, ",\"FailedAndUnresolvableNodes\":");
	write_failed(out, args, outcome, reasons, reason_count, true);
	km_buf_str(out, ",\"Error\":\"\"}");
}

/* Nearly all scores are of one digit. returns the bytes written. */
static size_t append_score(char *at, int32_t score)
{
	char digits[SCORE_BYTES];
	char *first = digits + sizeof(digits);
	uint32_t rest = score < 0 ? 0 - (uint32_t)score : (uint32_t)score;

	if (rest < 10 && score >= 0) {
		*at = (char)('0' + rest);
		return 1;
	}
	do {
		*--first = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest != 0);
	if (score < 0)
		*--first = '-';
	return append(at, first, (size_t)(digits + sizeof(digits) - first));
}

void km_extender_write_priorities(struct km_buf *out, const struct km_extender_args *args,
                                  const int32_t *score)
{
	static const char host[] = "{\"Host\":";
	static const char points[] = ",\"Score\":";
	const size_t most = sizeof(host) + sizeof(points) + SCORE_BYTES;
	char *at;

	if (km_buf_reserve(out, tokens_bytes(args->token, args->count, most) + 3) != 0)
		return;
	at = out->data + out->len;
	*at++ = '[';
	for (size_t i = 0; i < args->count; i++) {
		if (i > 0)
			*at++ = ',';
		at += append(at, host, sizeof(host) - 1);
		at += append(at, args->token[i].text, args->token[i].len);
		at += append(at, points, sizeof(points) - 1);
		at += append_score(at, score[i]);
		*at++ = '}';
	}
	*at++ = ']';
	out->len = (size_t)(at - out->data);
}

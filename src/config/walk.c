/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applies a tree to a struct by a table of options, and words every error the same way. Knows no
 * option by name. Entry: conf_apply.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "km/base/num.h"
#include "km/base/typo.h"

#include "config_internal.h"

#define KEY_MAX       128 /* a dotted key; longer ones are cut, hence unknown */
#define FILE_TAIL_MAX 60  /* of a long file name the end tells more */
#define SAW_MAX       64

/* For "%s%s": the item that a key is in, and the dot behind it. */
#define WITHIN(c) (c)->within != NULL ? (c)->within : "", (c)->within != NULL ? "." : ""

int km_conf_fail(struct km_conf_ctx *c, uint32_t line, const char *fmt, ...)
{
	char text[KM_ERR_TEXT_MAX];
	size_t len = c->file != NULL ? strlen(c->file) : 0;
	const char *cut = len > FILE_TAIL_MAX ? "..." : "";
	const char *name = len > FILE_TAIL_MAX ? c->file + len - FILE_TAIL_MAX : c->file;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* a cut text is still an error text */
	va_end(ap);
	if (c->file == NULL)
		return km_err_set(c->err, EINVAL, "%s", text);
	if (line == 0)
		return km_err_set(c->err, EINVAL, "%s%s: %s", cut, name, text);
	return km_err_set(c->err, EINVAL, "%s%s:%u: %s", cut, name, line, text);
}

int km_conf_no_memory(struct km_conf_ctx *c)
{
	return km_err_set(c->err, ENOMEM, "%.80s: out of memory",
	                  c->file != NULL ? c->file : "policy");
}

bool km_conf_is_null(const struct km_tree *v)
{
	return v->kind == KM_TREE_SCALAR && !v->quoted &&
	       (v->text[0] == '\0' || strcmp(v->text, "~") == 0 || strcmp(v->text, "null") == 0);
}

bool conf_is_text(const struct km_tree *v)
{
	static const char *const bools[] = { "y", "yes", "on", "true", "n", "no", "off", "false" };
	double number;

	if (v->kind != KM_TREE_SCALAR || (!v->quoted && km_conf_is_null(v)))
		return false;
	if (v->quoted)
		return true;
	for (size_t i = 0; i < KM_ARRAY_LEN(bools); i++) {
		if (strcasecmp(v->text, bools[i]) == 0)
			return false;
	}
	return strchr("+-.0123456789", v->text[0]) == NULL ||
	       km_num_double(v->text, strlen(v->text), &number) != 0;
}

const char *conf_saw(const struct km_tree *v, char *out, size_t out_size)
{
	if (v->kind == KM_TREE_LIST)
		return "a list";
	if (v->kind == KM_TREE_MAP)
		return "a map";
	if (km_conf_is_null(v))
		return "nothing";
	if (v->quoted)
		(void)snprintf(out, out_size, "\"%.40s\" in quotes", v->text);
	else
		(void)snprintf(out, out_size, "%.40s", v->text);
	return out;
}

int km_conf_bad_value(struct km_conf_ctx *c, const char *key, const struct km_tree *v,
                      const char *want)
{
	char saw[SAW_MAX];

	return km_conf_fail(c, v->line, "%s%s%s: saw %s, want %s", WITHIN(c), key,
	                    conf_saw(v, saw, sizeof(saw)), want);
}

int conf_presets(struct km_conf_ctx *c, const struct km_conf_table *t, void *base)
{
	int rc = 0;

	for (size_t i = 0; i < t->count && rc == 0; i++) {
		const struct km_conf_option *o = &t->row[i];
		struct km_tree v = { .kind = KM_TREE_SCALAR, .text = o->preset };

		if (o->preset != NULL)
			rc = conf_parse_value(c, o, o->key, &v, base);
	}
	return rc;
}

static const char *last_segment(const char *key)
{
	const char *dot = strrchr(key, '.');

	return dot != NULL ? dot + 1 : key;
}

const char *conf_nearest(const struct km_conf_table *t, const char *full_key)
{
	const char *tail = last_segment(full_key);
	const char *best = NULL;
	size_t best_cost = SIZE_MAX;

	for (size_t i = 0; i < t->count; i++) {
		const char *key = t->row[i].key;
		const char *known = last_segment(key);
		/* The right word in the wrong section is as likely as a typo in the right one. */
		size_t whole = km_typos(full_key, strlen(full_key), key, strlen(key));
		size_t part = km_typos(tail, strlen(tail), known, strlen(known));
		size_t cost = whole < part + 1 ? whole : part + 1;

		if (cost < best_cost) {
			best_cost = cost;
			best = key;
		}
	}
	return best_cost <= 1 + strlen(tail) / 3 ? best : NULL;
}

/* A section's own name may be the misspelt part: "limit.connections". */
static const char *nearest_section(const struct km_conf_table *t, const char *full_key, char *out)
{
	size_t len = strlen(full_key);
	size_t best = 1 + len / 4;
	const char *found = NULL;

	for (size_t i = 0; i < t->count; i++) {
		const char *key = t->row[i].key;

		for (const char *dot = strchr(key, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
			size_t section_len = (size_t)(dot - key);
			size_t d = km_typos(full_key, len, key, section_len);

			if (d <= best && section_len < KEY_MAX) {
				best = d - (d > 0);
				memcpy(out, key, section_len);
				out[section_len] = '\0';
				found = out;
			}
		}
	}
	return found;
}

static int unknown_key(struct km_conf_ctx *c, const struct km_conf_table *t,
                       const struct km_tree *v, const char *full_key)
{
	char section[KEY_MAX];
	const char *near = NULL;

	if (v->kind == KM_TREE_MAP)
		near = nearest_section(t, full_key, section);
	if (near == NULL)
		near = conf_nearest(t, full_key);
	if (near == NULL)
		return km_conf_fail(c, v->line, "%s%s%.80s: no such key, see %s", WITHIN(c),
		                    full_key, c->manual != NULL ? c->manual : "kubemarla.yaml(5)");
	return km_conf_fail(c, v->line, "%s%s%.80s: no such key, did you mean %s?", WITHIN(c),
	                    full_key, near);
}

/* The row of a full key, or NULL; *section is set when some option lies below that key. */
static const struct km_conf_option *find_row(const struct km_conf_table *t, const char *full_key,
                                             bool *section)
{
	size_t len = strlen(full_key);

	*section = false;
	for (size_t i = 0; i < t->count; i++) {
		if (strncmp(t->row[i].key, full_key, len) != 0)
			continue;
		if (t->row[i].key[len] == '\0')
			return &t->row[i];
		*section = *section || t->row[i].key[len] == '.';
	}
	return NULL;
}

int conf_apply(struct km_conf_ctx *c, const struct km_conf_table *t, const struct km_tree *map,
               const char *prefix, void *base)
{
	char key[KEY_MAX];
	int rc = 0;

	if (map->kind != KM_TREE_MAP) {
		if (km_conf_is_null(map)) /* a section with everything commented out */
			return 0;
		return km_conf_bad_value(c, prefix[0] != '\0' ? prefix : "the file", map,
		                         "a map of keys");
	}
	for (const struct km_tree *v = map->child; v != NULL && rc == 0; v = v->next) {
		const struct km_conf_option *o;
		bool section;

		if (strchr(v->key, '.') != NULL) {
			return km_conf_fail(c, v->line,
			                    "%s%s%.80s: saw a dot in a key, want maps "
			                    "within maps",
			                    WITHIN(c), v->key);
		}
		(void)snprintf(key, sizeof(key), "%s%s%.80s", prefix, prefix[0] != '\0' ? "." : "",
		               v->key);
		o = find_row(t, key, &section);
		if (o != NULL)
			rc = conf_parse_value(c, o, key, v, base);
		else if (section)
			rc = conf_apply(c, t, v, key, base);
		else
			rc = unknown_key(c, t, v, key);
	}
	return rc;
}

int km_conf_apply_all(struct km_conf_ctx *c, const struct km_conf_table *t,
                      const struct km_tree *map, void *base)
{
	struct km_buf want;
	int rc = conf_presets(c, t, base);

	if (rc == 0)
		rc = conf_apply(c, t, map, "", base);
	for (size_t i = 0; rc == 0 && i < t->count; i++) {
		if (!t->row[i].required || km_tree_get(map, t->row[i].key) != NULL)
			continue;
		km_buf_init(&want);
		conf_want(&t->row[i], &want);
		rc = km_conf_fail(c, map->line, "%s%s%s: saw nothing, want %s", WITHIN(c),
		                  t->row[i].key, km_buf_cstr(&want));
		km_buf_fini(&want);
	}
	return rc;
}

uint32_t conf_line_of(const struct km_tree *root, const char *key)
{
	const struct km_tree *at = root;
	char segment[KEY_MAX];

	while (at != NULL && *key != '\0') {
		size_t len = strcspn(key, ".");

		if (len >= sizeof(segment))
			return 0;
		memcpy(segment, key, len);
		segment[len] = '\0';
		at = km_tree_get(at, segment);
		key += len + (key[len] == '.');
	}
	return at != NULL ? at->line : 0;
}

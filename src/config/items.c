/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options that are lists of things: roles, nodes, collect.sources and the items in them. An
 * item is a small table of options of its own, applied by the same walk.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_internal.h"

#define ITEM_NAME_MAX 64

/* Sources that have a row in sources/; which of them work here only opening them can tell. */
static const char *const live_sources[] = { "pcm", "pcm-server", "perf", "resctrl", "os" };

static const struct {
	const char *name;
	unsigned role;
} roles[] = {
	{ "agent", KM_ROLE_AGENT },
	{ "extender", KM_ROLE_EXTENDER },
	{ "controller", KM_ROLE_CONTROLLER },
};

static size_t count_children(const struct km_tree *list)
{
	size_t n = 0;

	for (const struct km_tree *i = list->child; i != NULL; i = i->next)
		n++;
	return n;
}

/* One name or several with commas, as in the preset. returns the bits, 0 when one is unknown. */
static unsigned role_bits(const char *text)
{
	unsigned bits = 0;

	while (*text != '\0') {
		size_t skip = strspn(text, " ,");
		size_t len = strcspn(text + skip, " ,");
		unsigned bit = 0;

		text += skip;
		if (len == 0)
			break;
		for (size_t i = 0; i < KM_ARRAY_LEN(roles); i++) {
			if (strncmp(text, roles[i].name, len) == 0 && roles[i].name[len] == '\0')
				bit = roles[i].role;
		}
		if (bit == 0)
			return 0;
		bits |= bit;
		text += len;
	}
	return bits;
}

int conf_parse_roles(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                     const struct km_tree *v, void *base)
{
	struct km_settings *s = base;
	unsigned all = 0;

	if (v->kind == KM_TREE_SCALAR)
		all = role_bits(v->text);
	for (const struct km_tree *i = v->child; i != NULL; i = i->next) {
		unsigned bits = 0;

		if (v->kind == KM_TREE_LIST && i->kind == KM_TREE_SCALAR)
			bits = role_bits(i->text);
		if (bits == 0)
			return km_conf_bad_value(c, key, v->kind == KM_TREE_LIST ? i : v, o->want);
		all |= bits;
	}
	if (all == 0)
		return km_conf_bad_value(c, key, v, o->want);
	s->roles = all;
	s->roles_given = v->line != 0;
	return 0;
}

/* "a,b" of a list, or of one text: no name of a namespace has a comma. */
int conf_parse_namespaces(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                          const struct km_tree *v, void *base)
{
	struct km_settings *s = base;
	struct km_buf names;
	char *text;

	km_buf_init(&names);
	if (v->kind == KM_TREE_SCALAR)
		km_buf_str(&names, v->text);
	for (const struct km_tree *i = v->child; i != NULL; i = i->next) {
		if (v->kind != KM_TREE_LIST || i->kind != KM_TREE_SCALAR || i->text[0] == '\0' ||
		    strpbrk(i->text, ", ") != NULL) {
			km_buf_fini(&names);
			return km_conf_bad_value(c, key, v->kind == KM_TREE_LIST ? i : v, o->want);
		}
		km_buf_printf(&names, "%s%s", i == v->child ? "" : ",", i->text);
	}
	text = strdup(km_buf_cstr(&names));
	km_buf_fini(&names);
	if (text == NULL)
		return km_conf_no_memory(c);
	free(s->decide.trusted_namespaces);
	s->decide.trusted_namespaces = text;
	return 0;
}

static int apply_item(struct km_conf_ctx *c, const struct km_conf_table *t,
                      const struct km_tree *item, const char *within, void *base)
{
	struct km_conf_ctx inner = { .file = c->file, .err = c->err, .within = within };

	if (item->kind != KM_TREE_MAP)
		return km_conf_bad_value(c, within, item, "a map of keys");
	return km_conf_apply_all(&inner, t, item, base);
}

int conf_parse_node_name(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                         const struct km_tree *v, void *base)
{
	char *out = (char *)base + o->offset;
	size_t len = v->kind == KM_TREE_SCALAR ? strlen(v->text) : 0;

	if (len == 0 || len >= KM_NODE_NAME_MAX || km_conf_is_null(v))
		return km_conf_bad_value(c, key, v, o->want);
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)v->text[i]) && strchr("-._", v->text[i]) == NULL)
			return km_conf_bad_value(c, key, v, o->want);
	}
	memcpy(out, v->text, len + 1);
	return 0;
}

int conf_parse_cpus(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                    const struct km_tree *v, void *base)
{
	struct km_node_settings *node = base;

	if (v->kind != KM_TREE_SCALAR || km_conf_is_null(v) || v->text[0] == '\0' ||
	    km_cpuset_parse(v->text, &node->cpus, NULL) != 0)
		return km_conf_bad_value(c, key, v, o->want);
	node->cpus_given = true;
	return 0;
}

int conf_parse_nodes(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                     const struct km_tree *v, void *base)
{
	struct km_settings *s = base;
	size_t count = count_children(v);
	char within[ITEM_NAME_MAX];
	size_t i = 0;
	int rc = 0;

	if (v->kind != KM_TREE_LIST)
		return km_conf_bad_value(c, key, v, o->want);
	for (size_t old = 0; old < s->node_count; old++)
		free(s->node[old].cgroup);
	free(s->node);
	s->node_count = 0;
	s->node = calloc(count > 0 ? count : 1, sizeof(*s->node));
	if (s->node == NULL)
		return km_conf_no_memory(c);
	s->node_count = count;
	for (const struct km_tree *n = v->child; n != NULL && rc == 0; n = n->next, i++) {
		(void)snprintf(within, sizeof(within), "%s[%zu]", key, i);
		rc = apply_item(c, &conf_node_table, n, within, &s->node[i]);
	}
	return rc;
}

/* `node: a` and `nodes: [a, b]` say the same thing, so only one of them may be there. */
int conf_parse_replay_nodes(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                            const struct km_tree *v, void *base)
{
	struct km_replay_settings *r = base;
	const struct km_conf_option name = { .want = o->want };
	bool list = strcmp(o->key, "nodes") == 0;
	const struct km_tree *n = list ? v->child : v;
	size_t count = list ? count_children(v) : 1;
	int rc = 0;

	if (r->node_count > 0)
		return km_conf_fail(c, v->line, "%s.%s: saw both node and nodes, want one of them",
		                    c->within, key);
	if (count == 0 || v->kind != (list ? KM_TREE_LIST : KM_TREE_SCALAR))
		return km_conf_bad_value(c, key, v, o->want);
	r->node = calloc(count, sizeof(*r->node));
	if (r->node == NULL)
		return km_conf_no_memory(c);
	r->node_count = count;
	for (size_t i = 0; i < count && rc == 0; i++, n = n->next)
		rc = conf_parse_node_name(c, &name, key, n, r->node[i]);
	return rc;
}

static int parse_source(struct km_conf_ctx *c, const struct km_conf_option *o,
                        const struct km_tree *v, const char *within, struct km_source_settings *out)
{
	char inner[ITEM_NAME_MAX + 16];
	int rc;

	if (v->kind == KM_TREE_SCALAR) {
		for (size_t i = 0; i < KM_ARRAY_LEN(live_sources); i++) {
			if (strcmp(v->text, live_sources[i]) == 0) {
				(void)snprintf(out->kind, sizeof(out->kind), "%s", v->text);
				return 0;
			}
		}
		return km_conf_bad_value(
			c, within, v,
			"pcm, pcm-server, perf, resctrl, os or {replay: {file, node}}");
	}
	if (v->kind != KM_TREE_MAP || v->child == NULL || v->child->next != NULL)
		return km_conf_bad_value(c, within, v, o->want);
	if (strcmp(v->child->key, "replay") != 0)
		return km_conf_fail(c, v->child->line, "%s: saw the key %.40s, want replay", within,
		                    v->child->key);
	(void)snprintf(out->kind, sizeof(out->kind), "replay");
	(void)snprintf(inner, sizeof(inner), "%s.replay", within);
	rc = apply_item(c, &conf_replay_table, v->child, inner, &out->replay);
	if (rc == 0 && out->replay.node_count == 0) {
		rc = km_conf_fail(
			c, v->child->line,
			"%s: saw neither node nor nodes, want the node on the traced host", inner);
	}
	return rc;
}

int conf_parse_sources(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                       const struct km_tree *v, void *base)
{
	struct km_collect_settings *collect = &((struct km_settings *)base)->collect;
	size_t count = count_children(v);
	char within[ITEM_NAME_MAX];
	size_t i = 0;
	int rc = 0;

	if (v->kind == KM_TREE_SCALAR && strcmp(v->text, "auto") == 0) {
		collect->auto_sources = true;
		return 0;
	}
	if (v->kind != KM_TREE_LIST)
		return km_conf_bad_value(c, key, v, o->want);
	collect->auto_sources = false;
	collect->source = calloc(count > 0 ? count : 1, sizeof(*collect->source));
	if (collect->source == NULL)
		return km_conf_no_memory(c);
	collect->source_count = count;
	for (const struct km_tree *n = v->child; n != NULL && rc == 0; n = n->next, i++) {
		(void)snprintf(within, sizeof(within), "%s[%zu]", key, i);
		rc = parse_source(c, o, n, within, &collect->source[i]);
	}
	return rc;
}

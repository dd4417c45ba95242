/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml's events folded into a bounded tree. Everything of one document lives in one arena, so
 * freeing is one call and a refused file leaves nothing behind. The loop keeps its own stack: the
 * depth of a file never becomes depth of ours. Entry: km_tree_parse.
 */
#include "km/config/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "km/base/arena.h"
#include "km/base/map.h"

#include "config_internal.h"

#define TREE_DEPTH_MAX 16
#define TREE_NODES_MAX 100000
#define TREE_MAP_SEED  UINT64_C(0x6b6d74726565)

struct km_tree_doc {
	struct km_arena arena;
	struct km_tree *root;
};

struct tree_frame {
	struct km_tree *node; /* the open list or map */
	bool map;             /* which of the two */
	struct km_tree *last; /* its newest entry */
	const char *key;      /* map: the key that waits for its value */
	uint32_t key_line;
};

struct tree_builder {
	struct km_conf_ctx ctx;
	struct km_tree_doc *doc;
	struct tree_frame frame[TREE_DEPTH_MAX];
	size_t depth;
	size_t nodes;
	uint32_t line; /* of the event at hand */
	bool done;     /* the document has ended */
};

static struct km_tree *new_node(struct tree_builder *b, enum km_tree_kind kind)
{
	struct km_tree *n = km_arena_calloc(&b->doc->arena, 1, sizeof(*n));

	if (n != NULL) {
		n->kind = kind;
		n->line = b->line;
	}
	return n;
}

/* Hangs `n` under the open list or map, or makes it the root. */
static int attach(struct tree_builder *b, struct km_tree *n)
{
	struct tree_frame *f = b->depth > 0 ? &b->frame[b->depth - 1] : NULL;

	if (++b->nodes > TREE_NODES_MAX) {
		return km_conf_fail(&b->ctx, b->line, "more than %d values, want fewer",
		                    TREE_NODES_MAX);
	}
	if (f == NULL) {
		b->doc->root = n;
		return 0;
	}
	if (f->map) {
		if (f->key == NULL)
			return km_conf_fail(&b->ctx, b->line,
			                    "saw a list or map as a key, want a plain name");
		n->key = f->key;
		n->line = n->kind == KM_TREE_SCALAR ? n->line : f->key_line;
		f->key = NULL;
	}
	if (f->last == NULL)
		f->node->child = n;
	else
		f->last->next = n;
	f->last = n;
	return 0;
}

/* Anchors, aliases and tags make small files huge or mean other types: nobody needs them here. */
static int refuse_extras(struct tree_builder *b, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor != NULL)
		return km_conf_fail(&b->ctx, b->line, "saw the anchor &%.40s, want none",
		                    (const char *)anchor);
	if (tag != NULL)
		return km_conf_fail(&b->ctx, b->line, "saw the tag %.40s, want none",
		                    (const char *)tag);
	return 0;
}

static int on_scalar(struct tree_builder *b, const yaml_event_t *ev)
{
	struct tree_frame *f = b->depth > 0 ? &b->frame[b->depth - 1] : NULL;
	const char *value = (const char *)ev->data.scalar.value;
	size_t len = ev->data.scalar.length;
	struct km_tree *n;
	char *text;
	int rc = refuse_extras(b, ev->data.scalar.anchor, ev->data.scalar.tag);

	if (rc != 0)
		return rc;
	if (memchr(value, '\0', len) != NULL)
		return km_conf_fail(&b->ctx, b->line, "saw a NUL byte in a text, want none");
	text = km_arena_strndup(&b->doc->arena, value, len);
	if (text == NULL)
		return km_conf_no_memory(&b->ctx);
	if (f != NULL && f->map && f->key == NULL) {
		f->key = text;
		f->key_line = b->line;
		return 0;
	}
	n = new_node(b, KM_TREE_SCALAR);
	if (n == NULL)
		return km_conf_no_memory(&b->ctx);
	n->text = text;
	n->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	return attach(b, n);
}

static int on_open(struct tree_builder *b, enum km_tree_kind kind, const yaml_char_t *anchor,
                   const yaml_char_t *tag)
{
	struct km_tree *n;
	int rc = refuse_extras(b, anchor, tag);

	if (rc != 0)
		return rc;
	if (b->depth == TREE_DEPTH_MAX) {
		return km_conf_fail(&b->ctx, b->line, "nested deeper than %d, want less",
		                    TREE_DEPTH_MAX);
	}
	n = new_node(b, kind);
	if (n == NULL)
		return km_conf_no_memory(&b->ctx);
	rc = attach(b, n);
	if (rc != 0)
		return rc;
	b->frame[b->depth++] = (struct tree_frame){ .node = n, .map = kind == KM_TREE_MAP };
	return 0;
}

static int refuse_doubled_keys(struct tree_builder *b, const struct km_tree *map)
{
	struct km_map seen;
	int rc = 0;

	km_map_init(&seen, TREE_MAP_SEED);
	for (const struct km_tree *n = map->child; n != NULL && rc == 0; n = n->next) {
		rc = km_map_add(&seen, n->key, strlen(n->key), n->line, NULL);
		if (rc == -EEXIST) {
			rc = km_conf_fail(&b->ctx, n->line,
			                  "%.60s: saw this key twice, want it once", n->key);
		} else if (rc != 0) {
			rc = km_conf_no_memory(&b->ctx);
		}
	}
	km_map_fini(&seen);
	return rc;
}

static int on_close(struct tree_builder *b)
{
	const struct tree_frame *f = &b->frame[--b->depth];

	/* The node is there: libyaml closes only what it has opened. */
	return f->map && f->node != NULL ? refuse_doubled_keys(b, f->node) : 0;
}

static int on_event(struct tree_builder *b, const yaml_event_t *ev)
{
	b->line = (uint32_t)ev->start_mark.line + 1;
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		return on_scalar(b, ev);
	case YAML_SEQUENCE_START_EVENT:
		return on_open(b, KM_TREE_LIST, ev->data.sequence_start.anchor,
		               ev->data.sequence_start.tag);
	case YAML_MAPPING_START_EVENT:
		return on_open(b, KM_TREE_MAP, ev->data.mapping_start.anchor,
		               ev->data.mapping_start.tag);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return on_close(b);
	case YAML_ALIAS_EVENT:
		return km_conf_fail(&b->ctx, b->line, "saw the alias *%.40s, want none",
		                    (const char *)ev->data.alias.anchor);
	case YAML_DOCUMENT_START_EVENT:
		if (b->done)
			return km_conf_fail(&b->ctx, b->line, "saw a second document, want one");
		return 0;
	case YAML_DOCUMENT_END_EVENT:
		b->done = true;
		return 0;
	default:
		return 0;
	}
}

/* libyaml's own complaint; its reader gives a byte offset where the others give a line. */
static int parser_error(struct tree_builder *b, const yaml_parser_t *p, const char *text,
                        size_t len)
{
	uint32_t line = (uint32_t)p->problem_mark.line + 1;

	if (p->error == YAML_MEMORY_ERROR)
		return km_conf_no_memory(&b->ctx);
	if (p->error == YAML_READER_ERROR) {
		line = 1;
		for (size_t i = 0; i < len && i < p->problem_offset; i++)
			line += text[i] == '\n';
	}
	return km_conf_fail(&b->ctx, line, "not YAML: %.100s",
	                    p->problem != NULL ? p->problem : "unreadable");
}

static int run_parser(struct tree_builder *b, const char *text, size_t len)
{
	yaml_parser_t parser;
	yaml_event_t ev;
	bool end = false;
	int rc = 0;

	if (!yaml_parser_initialize(&parser))
		return km_conf_no_memory(&b->ctx);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (rc == 0 && !end) {
		if (!yaml_parser_parse(&parser, &ev)) {
			rc = parser_error(b, &parser, text, len);
			break;
		}
		rc = on_event(b, &ev);
		end = ev.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&parser);
	return rc;
}

int km_tree_parse(const char *name, const char *text, size_t len, struct km_tree_doc **out,
                  struct km_err *err)
{
	struct tree_builder b = { .ctx = { .file = name, .err = err } };
	int rc;

	*out = NULL;
	b.doc = calloc(1, sizeof(*b.doc));
	if (b.doc == NULL)
		return km_conf_no_memory(&b.ctx);
	km_arena_init(&b.doc->arena, 0);
	rc = run_parser(&b, text, len);
	if (rc != 0)
		goto out;
	/* An empty file, or one of comments only, is an empty map. */
	b.line = 1;
	if (b.doc->root == NULL || km_conf_is_null(b.doc->root))
		b.doc->root = new_node(&b, KM_TREE_MAP);
	if (b.doc->root == NULL) {
		rc = km_conf_no_memory(&b.ctx);
		goto out;
	}
	*out = b.doc;
	b.doc = NULL;
out:
	km_tree_free(b.doc);
	return rc;
}

const struct km_tree *km_tree_root(const struct km_tree_doc *d)
{
	return d->root;
}

const struct km_tree *km_tree_get(const struct km_tree *map, const char *key)
{
	if (map == NULL || map->kind != KM_TREE_MAP)
		return NULL;
	for (const struct km_tree *n = map->child; n != NULL; n = n->next) {
		if (strcmp(n->key, key) == 0)
			return n;
	}
	return NULL;
}

void km_tree_free(struct km_tree_doc *d)
{
	if (d == NULL)
		return;
	km_arena_fini(&d->arena);
	free(d);
}

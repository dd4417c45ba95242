/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML as a bounded tree with line numbers: the reader under the configuration, feature lists and
 * later kubeconfigs and plans. Anchors and aliases are refused (they make small files huge), as are
 * doubled keys, depth over 16 and more than 100,000 nodes.
 */
#ifndef KM_CONFIG_TREE_H
#define KM_CONFIG_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"

enum km_tree_kind { KM_TREE_SCALAR, KM_TREE_LIST, KM_TREE_MAP };

struct km_tree {
	enum km_tree_kind kind;
	uint32_t line;               /* from 1 */
	const char *key;             /* in a map: this entry's key; else NULL */
	const char *text;            /* scalar: its text */
	int quoted;                  /* scalar: was quoted, so never a number, bool or null */
	const struct km_tree *child; /* list, map: first entry */
	const struct km_tree *next;  /* next entry of the parent */
};

struct km_tree_doc;

/*
 * Parses one document. An empty file is an empty map. returns 0 and *out owned;
 * -EINVAL "NAME:LINE: ..."; -ENOMEM.
 */
int km_tree_parse(const char *name, const char *text, size_t len, struct km_tree_doc **out,
                  struct km_err *err) KM_MUST_CHECK;

const struct km_tree *km_tree_root(const struct km_tree_doc *d);

/* The entry of a map by key; NULL when absent or when `map` is no map. */
const struct km_tree *km_tree_get(const struct km_tree *map, const char *key);

void km_tree_free(struct km_tree_doc *d); /* NULL allowed */

#endif

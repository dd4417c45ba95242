/* SPDX-License-Identifier: Apache-2.0 */
/* Inside config: the tables of the daemon's files, and what their parsers share beyond option.h. */
#ifndef KM_CONFIG_INTERNAL_H
#define KM_CONFIG_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/config/option.h"
#include "km/config/tree.h"
#include "km/core/settings.h"

/* The daemon's options; the order is that of the documentation. */
extern const struct km_conf_table conf_settings_table;

/* An entry of `nodes`: struct km_node_settings. And {replay: ...}: struct km_replay_settings. */
extern const struct km_conf_table conf_node_table;
extern const struct km_conf_table conf_replay_table;

/* A scalar that is a text to whoever turns YAML into JSON: no number, bool or null. */
bool conf_is_text(const struct km_tree *v);

/* The value in words: "\"text\"", "nothing", "a list", "a map". returns out. */
const char *conf_saw(const struct km_tree *v, char *out, size_t out_size);

/* Reads `v` by the parser of the option's type. */
km_conf_parse_fn conf_parse_value;

/* Fills the struct at base with the presets of a table. 0 or -ENOMEM (-EINVAL: a wrong row). */
int conf_presets(struct km_conf_ctx *c, const struct km_conf_table *t, void *base);

/*
 * Applies every entry of `map` to the struct at base; keys below `prefix` ("" = top) are looked up
 * as prefix.key. An unknown key is refused with the nearest known one.
 */
int conf_apply(struct km_conf_ctx *c, const struct km_conf_table *t, const struct km_tree *map,
               const char *prefix, void *base);

/* What an option takes, in words: "a whole number from 1 to 65535". Appends to out. */
void conf_want(const struct km_conf_option *o, struct km_buf *out);
/* A bound or a default in the option's unit. */
void conf_quantity(const struct km_conf_option *o, double value, struct km_buf *out);

/* Known names for a key that nobody knows: the nearest in `t`, or NULL when none is near. */
const char *conf_nearest(const struct km_conf_table *t, const char *full_key);

/* Line of a dotted path in the tree, 0 when the file does not have it. */
uint32_t conf_line_of(const struct km_tree *root, const char *key);

/* Custom parsers of the settings table (items.c). */
km_conf_parse_fn conf_parse_roles, conf_parse_nodes, conf_parse_sources;
km_conf_parse_fn conf_parse_node_name, conf_parse_cpus, conf_parse_replay_nodes;

km_conf_parse_fn conf_parse_namespaces;

struct km_policy;

/* A policy's spec into *p, which is initialised (policy_spec.c). */
int conf_parse_policy_spec(struct km_conf_ctx *c, const struct km_tree *spec, struct km_policy *p);

/* A policy's label selector into a struct km_policy (policy_selector.c). */
km_conf_parse_fn conf_parse_selector;

bool conf_numeric_address(const char *text);

/* What only the whole can tell: overlaps, unknown names, what is not built in. `root` for lines. */
int conf_validate(struct km_conf_ctx *c, const struct km_settings *s, const struct km_tree *root);

#endif

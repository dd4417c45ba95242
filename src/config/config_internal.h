/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside config: the shape of an option row, the walk that applies a tree to a struct by such rows,
 * and the one way errors are worded ("FILE:LINE: key: saw ..., want ...").
 */
#ifndef KM_CONFIG_INTERNAL_H
#define KM_CONFIG_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/config/tree.h"
#include "km/core/settings.h"

/* What is being read, for error texts. */
struct conf_ctx {
	const char *file; /* NULL = errors name no file and no line */
	struct km_err *err;
	const char *within; /* the item its keys are in ("nodes[1]"); NULL = the file */
};

enum conf_type {
	CONF_INTEGER,     /* unsigned, of the field's size; unit "bytes" takes Ki, Mi, Gi */
	CONF_NUMBER,      /* double */
	CONF_DURATION_NS, /* "5s" into int64_t */
	CONF_DURATION_S,  /* "60s" into double */
	CONF_STRING,      /* char *, owned */
	CONF_BOOL,
	CONF_CHOICE,         /* index in `choices`, of the field's size */
	CONF_CHOICE_INTEGER, /* the number that the choice spells */
	CONF_CUSTOM,         /* `custom` does it all */
	CONF_TYPE_N,
};

struct conf_option;

/* Reads value `v` of option `key` (full path) into the struct at `base`. */
typedef int conf_parse_fn(struct conf_ctx *c, const struct conf_option *o, const char *key,
                          const struct km_tree *v, void *base);

struct conf_option {
	const char *key;    /* dotted path */
	const char *preset; /* default as YAML text, read by the option's own parser; NULL = none */
	const char *shown;  /* default as the documentation says it, where preset does not */
	const char *unit;   /* "" = none */
	const char *help;   /* one sentence */
	const char *const *choices; /* NULL-ended */
	const char *want;           /* CONF_CUSTOM: what is wanted, for errors and documentation */
	conf_parse_fn *custom;
	double min, max; /* in the field's own unit; both 0 = any */
	size_t offset, size;
	enum conf_type type;
	bool reload;   /* SIGHUP applies it */
	bool required; /* must be given: tables of list items only */
};

struct conf_table {
	const struct conf_option *row;
	size_t count;
};

/* The daemon's options; the order is that of the documentation. */
extern const struct conf_table conf_settings_table;

/* An entry of `nodes`: struct km_node_settings. And {replay: ...}: struct km_replay_settings. */
extern const struct conf_table conf_node_table;
extern const struct conf_table conf_replay_table;

/* returns -EINVAL, "FILE:LINE: text". Line 0 is left out. */
int conf_fail(struct conf_ctx *c, uint32_t line, const char *fmt, ...) KM_PRINTF(3, 4);
int conf_no_memory(struct conf_ctx *c);

/* "FILE:LINE: key: saw <v>, want <want>". */
int conf_bad_value(struct conf_ctx *c, const char *key, const struct km_tree *v, const char *want);

/* A plain "", ~ or null. */
bool conf_is_null(const struct km_tree *v);

/* A scalar that is a text to whoever turns YAML into JSON: no number, bool or null. */
bool conf_is_text(const struct km_tree *v);

/* The value in words: "\"text\"", "nothing", "a list", "a map". returns out. */
const char *conf_saw(const struct km_tree *v, char *out, size_t out_size);

/* Reads `v` by the parser of the option's type. */
conf_parse_fn conf_parse_value;

/* Fills the struct at base with the presets of a table. 0 or -ENOMEM (-EINVAL: a wrong row). */
int conf_presets(struct conf_ctx *c, const struct conf_table *t, void *base);

/*
 * Applies every entry of `map` to the struct at base; keys below `prefix` ("" = top) are looked up
 * as prefix.key. An unknown key is refused with the nearest known one.
 */
int conf_apply(struct conf_ctx *c, const struct conf_table *t, const struct km_tree *map,
               const char *prefix, void *base);

/* Presets, then the map's entries, then whether all required ones were there. */
int conf_apply_all(struct conf_ctx *c, const struct conf_table *t, const struct km_tree *map,
                   void *base);

/* What an option takes, in words: "a whole number from 1 to 65535". Appends to out. */
void conf_want(const struct conf_option *o, struct km_buf *out);
/* A bound or a default in the option's unit. */
void conf_quantity(const struct conf_option *o, double value, struct km_buf *out);

/* Known names for a key that nobody knows: the nearest in `t`, or NULL when none is near. */
const char *conf_nearest(const struct conf_table *t, const char *full_key);

/* Line of a dotted path in the tree, 0 when the file does not have it. */
uint32_t conf_line_of(const struct km_tree *root, const char *key);

/* Custom parsers of the settings table (items.c). */
conf_parse_fn conf_parse_roles, conf_parse_nodes, conf_parse_sources;
conf_parse_fn conf_parse_node_name, conf_parse_cpus, conf_parse_replay_nodes;

conf_parse_fn conf_parse_namespaces;

struct km_policy;

/* A policy's spec into *p, which is initialised (policy_spec.c). */
int conf_parse_policy_spec(struct conf_ctx *c, const struct km_tree *spec, struct km_policy *p);

/* A policy's label selector into a struct km_policy (policy_selector.c). */
conf_parse_fn conf_parse_selector;

bool conf_numeric_address(const char *text);

/* What only the whole can tell: overlaps, unknown names, what is not built in. `root` for lines. */
int conf_validate(struct conf_ctx *c, const struct km_settings *s, const struct km_tree *root);

#endif

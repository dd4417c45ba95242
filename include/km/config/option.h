/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A struct filled from YAML by a table of options: the shape of a row, the walk, and the one way
 * errors are worded ("FILE:LINE: key: saw ..., want ..."). The daemon's configuration, policies and
 * the laboratory's plans are such tables.
 */
#ifndef KM_CONFIG_OPTION_H
#define KM_CONFIG_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/config/tree.h"
#include "km/core/settings.h"

/* What is being read, for error texts. */
struct km_conf_ctx {
	const char *file; /* NULL = errors name no file and no line */
	struct km_err *err;
	const char *within; /* the item its keys are in ("nodes[1]"); NULL = the file */
	const char *manual; /* where its keys are listed; NULL = kubemarla.yaml(5) */
	bool hosts_apart;   /* nodes are hosts of their own, and each may have a CPU 0 */
};

enum km_conf_type {
	KM_CONF_INTEGER,     /* unsigned, of the field's size; unit "bytes" takes Ki, Mi, Gi */
	KM_CONF_NUMBER,      /* double */
	KM_CONF_DURATION_NS, /* "5s" into int64_t */
	KM_CONF_DURATION_S,  /* "60s" into double */
	KM_CONF_STRING,      /* char *, owned */
	KM_CONF_BOOL,
	KM_CONF_CHOICE,         /* index in `choices`, of the field's size */
	KM_CONF_CHOICE_INTEGER, /* the number that the choice spells */
	KM_CONF_CUSTOM,         /* `custom` does it all */
	KM_CONF_TYPE_N,
};

struct km_conf_option;

/* Reads value `v` of option `key` (full path) into the struct at `base`. */
typedef int km_conf_parse_fn(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                             const struct km_tree *v, void *base);

struct km_conf_option {
	const char *key;    /* dotted path */
	const char *preset; /* default as YAML text, read by the option's own parser; NULL = none */
	const char *shown;  /* default as the documentation says it, where preset does not */
	const char *unit;   /* "" = none */
	const char *help;   /* one sentence */
	const char *const *choices; /* NULL-ended */
	const char *want; /* KM_CONF_CUSTOM: what is wanted, for errors and documentation */
	km_conf_parse_fn *custom;
	double min, max; /* in the field's own unit; both 0 = any */
	size_t offset, size;
	enum km_conf_type type;
	bool reload;   /* SIGHUP applies it */
	bool required; /* must be given: tables of list items only */
};

struct km_conf_table {
	const struct km_conf_option *row;
	size_t count;
};

/* returns -EINVAL, "FILE:LINE: text". Line 0 is left out. */
int km_conf_fail(struct km_conf_ctx *c, uint32_t line, const char *fmt, ...) KM_PRINTF(3, 4);
int km_conf_no_memory(struct km_conf_ctx *c);

/* "FILE:LINE: key: saw <v>, want <want>". returns -EINVAL. */
int km_conf_bad_value(struct km_conf_ctx *c, const char *key, const struct km_tree *v,
                      const char *want);

/* A plain "", ~ or null. */
bool km_conf_is_null(const struct km_tree *v);

/*
 * Presets, then the map's entries, then whether all required ones were there. Keys of a map within
 * the map are looked up as outer.inner; an unknown key is refused with the nearest known one.
 * returns 0; -EINVAL; -ENOMEM. After an error too, the strings that were set belong to the struct.
 */
int km_conf_apply_all(struct km_conf_ctx *c, const struct km_conf_table *t,
                      const struct km_tree *map, void *base) KM_MUST_CHECK;

/*
 * For a file that has `nodes` and `collect` as kubemarla.yaml(5) has them, beside keys of its own:
 * every default, with these two read from the map `root` and validated. *out is owned
 * (km_settings_fini). returns 0; -EINVAL; -ENOMEM: *out is zeroed.
 */
int km_conf_host(struct km_conf_ctx *c, const struct km_tree *root,
                 struct km_settings *out) KM_MUST_CHECK;

#endif

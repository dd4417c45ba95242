/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The YAML configuration: one table of options gives each its key, type, default, range, unit, help
 * and whether SIGHUP reloads it; parser, `kubemarla check`, --help and the man page read that
 * table. An unknown key, a wrong type or a value out of range is refused with file, line, key,
 * value seen and value wanted.
 */
#ifndef KM_CONFIG_CONFIG_H
#define KM_CONFIG_CONFIG_H

#include <stdbool.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/core/settings.h"

#define KM_CONFIG_MAX_BYTES (4u << 20)

/* Fills *out with every default (roles, listen 127.0.0.1:9191, ...). returns 0 or -ENOMEM. */
int km_config_defaults(struct km_settings *out) KM_MUST_CHECK;

/*
 * Reads and validates a file over the defaults. *out owned by the caller (km_settings_fini).
 * returns 0; -EINVAL "FILE:LINE: key: saw ..., want ..."; -ENOENT and other errnos of the file.
 * On error *out is zeroed.
 */
int km_config_load(const char *path, struct km_settings *out, struct km_err *err) KM_MUST_CHECK;

/* The same from memory; `name` stands for the file in errors. For tests and the fuzzer. */
int km_config_parse(const char *name, const char *text, size_t len, struct km_settings *out,
                    struct km_err *err) KM_MUST_CHECK;

/* Parses "ADDR:PORT" or "[V6]:PORT" (the -l option) into `out`. returns 0 or -EINVAL. */
int km_config_parse_listen(const char *text, struct km_listen_settings *out,
                           struct km_err *err) KM_MUST_CHECK;

/*
 * Names the options that differ between two settings and that a reload cannot change, comma
 * separated, into out. returns how many.
 */
unsigned km_config_frozen_changes(const struct km_settings *running,
                                  const struct km_settings *loaded, struct km_buf *out);

/* true when nodes and collect are equal: whoever samples by `a` may go on under `b`. */
bool km_config_same_layout(const struct km_settings *a, const struct km_settings *b);

/* Prints the option table: for --help (columns) and for the man page (mdoc). */
void km_config_describe_text(struct km_buf *out);
void km_config_describe_mdoc(struct km_buf *out);

#endif

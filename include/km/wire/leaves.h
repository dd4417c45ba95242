/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON text of unknown shape as a flat list: for showing and comparing what a model file says. */
#ifndef KM_WIRE_LEAVES_H
#define KM_WIRE_LEAVES_H

#include <stddef.h>

#include "km/base/err.h"
#include "km/base/macros.h"

#define KM_LEAVES_DEPTH     16
#define KM_LEAVES_PATH_MAX  256
#define KM_LEAVES_VALUE_MAX 128

/*
 * Called for each value that is no object and no array, in the text's order: path "metrics.mae" or
 * "list.0", value as text ("null" for null). Both are printable ASCII ('?' for the rest), cut to
 * their maxima, and borrowed for the call.
 */
typedef void km_leaf_fn(void *ctx, const char *path, const char *value);

/* returns 0; -EBADMSG for what is no JSON, or deeper than KM_LEAVES_DEPTH. */
int km_json_leaves(const char *text, size_t len, km_leaf_fn *leaf, void *ctx,
                   struct km_err *err) KM_MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bounded reader of XGBoost's UBJSON model files. libxgboost trusts the indices in a file: one
 * child index out of range crashes it at predict. So the trees are checked here first: indices in
 * range, no cycles, every node reached once, split indices < features.
 */
#ifndef KM_MODEL_VALIDATE_H
#define KM_MODEL_VALIDATE_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"

struct km_model_shape {
	uint32_t tree_count;
	uint32_t feature_count;
	uint32_t max_depth;
	uint64_t node_count;
};

/* Calls back for each learner attribute (name, value; not NUL-terminated, borrowed). */
typedef void km_model_attr_fn(void *ctx, const char *name, size_t name_len, const char *value,
                              size_t value_len);

/*
 * Walks the file's bytes. attr may be NULL.
 * returns 0, or -EBADMSG with what is wrong and at which byte (also a tree deeper than 32); -EFBIG
 * for more than 100,000 trees or 50 million nodes; -ENOMEM. *shape is undefined after an error.
 */
int km_model_validate(const uint8_t *bytes, size_t len, struct km_model_shape *shape,
                      km_model_attr_fn *attr, void *attr_ctx, struct km_err *err) KM_MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an object by a table of its fields: each at most once, the required ones exactly once. */
#ifndef KM_MODEL_WALK_H
#define KM_MODEL_WALK_H

#include "ubj.h"

typedef int km_field_fn(struct km_ubj *u, const char *name, void *ctx);

struct km_field {
	const char *name;
	km_field_fn *read;
	bool optional;
};

/*
 * Reads the object at the cursor; fields not in the table are stepped over. A known field that
 * comes twice is refused: which of the two libxgboost takes is not ours to guess.
 * `count` <= 32. returns 0 or -EBADMSG, or what a field's reader returned.
 */
int km_walk_object(struct km_ubj *u, const char *what, const struct km_field *fields, size_t count,
                   void *ctx) KM_MUST_CHECK;

/* A string that holds a whole number in [min, max], as XGBoost writes its parameters. */
int km_walk_number(struct km_ubj *u, const char *name, int64_t min, int64_t max,
                   int64_t *out) KM_MUST_CHECK;

#endif

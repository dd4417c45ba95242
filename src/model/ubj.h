/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cursor over UBJSON bytes as XGBoost writes them: lengths checked against what is left, nesting
 * bounded, nothing copied. Knows the format only; what a model must look like is in validate.c.
 */
#ifndef KM_MODEL_UBJ_H
#define KM_MODEL_UBJ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"

/* libxgboost's own reader recurses: deeper nesting than this never reaches it. */
#define KM_UBJ_DEPTH_MAX 32

struct km_ubj {
	const uint8_t *start;
	const uint8_t *at;
	const uint8_t *end;
	uint32_t depth;
	struct km_err *err;
};

struct km_ubj_text {
	const char *text; /* not NUL-terminated, borrowed from the input */
	size_t len;
};

/* A strongly typed array, "[$<type>#L<count>": big-endian numbers, borrowed from the input. */
struct km_ubj_array {
	const uint8_t *bytes;
	size_t count;
	char type; /* 'd' float32, 'l' int32, 'L' int64, 'U' uint8, 'i' int8, 'I' int16 */
};

void km_ubj_init(struct km_ubj *u, const uint8_t *bytes, size_t len, struct km_err *err);

/* Sets the error "byte N: ..." and returns -EBADMSG. */
int km_ubj_bad(const struct km_ubj *u, const char *fmt, ...) KM_PRINTF(2, 3);

/* Error texts quote the file: what is not printable ASCII becomes '?', so they stay one line. */
void km_ubj_clean(struct km_err *err);

int km_ubj_object_begin(struct km_ubj *u, const char *what) KM_MUST_CHECK;

/* returns 1 and the next key, 0 when the object ends here, or -EBADMSG. */
int km_ubj_object_next(struct km_ubj *u, struct km_ubj_text *key) KM_MUST_CHECK;

/* An array of `*count` values of any type, "[#L<count>"; every value takes at least a byte. */
int km_ubj_list_begin(struct km_ubj *u, const char *what, size_t *count) KM_MUST_CHECK;
void km_ubj_list_end(struct km_ubj *u);

/* true when the value here is a strongly typed array. */
bool km_ubj_is_typed(const struct km_ubj *u);
int km_ubj_typed(struct km_ubj *u, const char *what, struct km_ubj_array *out) KM_MUST_CHECK;

int km_ubj_string(struct km_ubj *u, const char *what, struct km_ubj_text *out) KM_MUST_CHECK;
int km_ubj_int(struct km_ubj *u, const char *what, int64_t *out) KM_MUST_CHECK;

/* Steps over a value of any type. */
int km_ubj_skip(struct km_ubj *u) KM_MUST_CHECK;

/* Element i < a->count of an integer type, or of type 'd'. */
int64_t km_ubj_int_at(const struct km_ubj_array *a, size_t i);
float km_ubj_float_at(const struct km_ubj_array *a, size_t i);

bool km_ubj_text_is(const struct km_ubj_text *t, const char *want);

#endif

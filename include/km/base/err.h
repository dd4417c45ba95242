/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error a function hands up: a code and one line of text that names the thing, the value seen
 * and the value wanted. Lives in the caller's memory, never on the heap. Rooms on floors 0-3 fill
 * it and stay silent; whoever decides what to do logs it once.
 */
#ifndef KM_BASE_ERR_H
#define KM_BASE_ERR_H

#include "km/base/macros.h"

#define KM_ERR_TEXT_MAX 192

struct km_err {
	int code; /* positive errno; 0 = no error */
	char text[KM_ERR_TEXT_MAX];
};

/*
 * Records an error. `code` is a positive errno. err may be NULL. Control characters become '?'.
 * returns -code, so that a function can end with `return km_err_set(err, EINVAL, "...")`.
 */
int km_err_set(struct km_err *err, int code, const char *fmt, ...) KM_PRINTF(3, 4);

/* As km_err_set, with ": <errno's own text>" appended. */
int km_err_errno(struct km_err *err, int code, const char *fmt, ...) KM_PRINTF(3, 4);

/* Puts "<context>: " in front of the text as the error rises. returns -err->code. */
int km_err_prefix(struct km_err *err, const char *fmt, ...) KM_PRINTF(2, 3);

/* Thread-safe strerror. `out` receives the text; returns out. */
const char *km_strerror(int code, char *out, unsigned long out_size);

#endif

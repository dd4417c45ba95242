/* SPDX-License-Identifier: Apache-2.0 */
/* Strict, locale-free number parsing: the whole text is the number, or it is an error. */
#ifndef KM_BASE_NUM_H
#define KM_BASE_NUM_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/macros.h"

/* No number anybody means is longer; a longer text that needs the slow path is refused. */
#define KM_NUM_MAX_BYTES 128

/*
 * Decimal or exponent form, correctly rounded as strtod; "nan" and "inf" are accepted in any case.
 * Fast for the short decimals of counter files. 1e400 is infinity, as in strtod.
 * returns 0, or -EINVAL on anything else: an empty text, blanks, hexadecimal, over-long.
 */
int km_num_double(const char *text, size_t len, double *out) KM_MUST_CHECK;

/* returns 0, -EINVAL (not an integer) or -ERANGE. */
int km_num_int(const char *text, size_t len, int64_t *out) KM_MUST_CHECK;

#endif

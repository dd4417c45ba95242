/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this room share. */
#ifndef KM_WIRE_INTERNAL_H
#define KM_WIRE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The first byte of [p, end) that a string's plain run cannot contain: a quote, a backslash or a
 * control character; `end` when there is none. *high is set when a byte >= 0x80 was passed.
 * The two must agree on every input (tests/unit/test_wire_scan.c).
 */
const char *km_wire_plain_run_scalar(const char *p, const char *end, bool *high);
const char *km_wire_plain_run(const char *p, const char *end, bool *high);

/* Bytes of the well-formed UTF-8 sequence at p (1..4), or 0. RFC 3629: no surrogates, shortest
 * form. */
size_t km_wire_utf8_len(const char *p, const char *end);

/* Is all of [p, end) well-formed UTF-8? */
bool km_wire_utf8_valid(const char *p, const char *end);

#endif

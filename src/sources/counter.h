/* SPDX-License-Identifier: Apache-2.0 */
/* Inside sources: running counters. */
#ifndef KM_SOURCES_COUNTER_H
#define KM_SOURCES_COUNTER_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/macros.h"

/*
 * What a running counter of `bits` bits (1..64) counted from `before` to `now`. A counter that
 * wrapped goes on at 0, and so does one that was reset; `max`, the most that can have been counted
 * in the time, tells them apart.
 * returns 0; -ERANGE when it ran backwards, was reset, or counted more than max.
 */
int km_counter_delta(uint64_t before, uint64_t now, unsigned bits, double max,
                     uint64_t *out) KM_MUST_CHECK;

/*
 * Decimal digits and nothing else, up to 2^64 - 1. returns 0; -EINVAL; -ERANGE beyond that.
 */
int km_counter_parse(const char *text, size_t len, uint64_t *out) KM_MUST_CHECK;

#endif

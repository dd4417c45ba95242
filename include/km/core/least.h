/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing the least of several, where ties are drawn. Pure; any thread. */
#ifndef KM_CORE_LEAST_H
#define KM_CORE_LEAST_H

#include <stddef.h>

/*
 * The position of the least of value [count]; of several that tie, the one that `luck` [0, 1)
 * draws. NaN is never the least; when there is no number at all, any position is drawn.
 */
size_t km_least(const double *value, size_t count, double luck);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two steps that every bootstrap of ours shares: which clusters a sample is made of, and which
 * bounds its values have. What is computed of a sample is the caller's. Pure; any thread.
 */
#ifndef KM_CORE_BOOTSTRAP_H
#define KM_CORE_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/rng.h"

/* Draws as many clusters as there are, with replacement. drawn [clusters]: how often each is in. */
void km_bootstrap_draw(struct km_rng *rng, uint32_t clusters, uint32_t *drawn);

/*
 * The quantiles low_q and high_q of values [count], each the value next outside: the interval is
 * never narrower than what was asked for. Sorts the values; none may be NaN. NaN when there are
 * none.
 */
void km_bootstrap_bounds(double *values, size_t count, double low_q, double high_q, double *low,
                         double *high);

#endif

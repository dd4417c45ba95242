/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of the last values of one series with a sorted copy beside it, so that quantiles are
 * exact at every push without sorting, and mean and standard deviation are computed in two passes:
 * a running sum of squares loses all its digits on counters (docs/PERFORMANCE.md has the figure).
 * NaN takes a place in time but not in the statistics.
 */
#ifndef KM_CORE_RING_H
#define KM_CORE_RING_H

#include <stdint.h>

#include "km/base/macros.h"

struct km_ring {
	double *value;  /* [cap], oldest at head */
	double *sorted; /* [cap], the sorted_count measured ones, ascending */
	uint32_t cap;
	uint32_t head;
	uint32_t count;        /* values in the ring, NaN included */
	uint32_t sorted_count; /* measured values */
};

/* cap >= 1. returns 0 or -ENOMEM. */
int km_ring_init(struct km_ring *r, uint32_t cap) KM_MUST_CHECK;
void km_ring_fini(struct km_ring *r);

/* The same in memory of the caller's, [2 * cap], which outlives the ring; no km_ring_fini. */
void km_ring_init_in(struct km_ring *r, double *memory, uint32_t cap);

/* Adds a value; the oldest falls out when full. O(cap) moves, no allocation. */
void km_ring_push(struct km_ring *r, double value);

/* Forgets the oldest value (when time, not count, ends the window). */
void km_ring_drop_oldest(struct km_ring *r);

/* Over the measured values; each returns NaN when there are none. */
double km_ring_mean(const struct km_ring *r);
double km_ring_std(const struct km_ring *r); /* population: divides by n */
double km_ring_min(const struct km_ring *r);
double km_ring_max(const struct km_ring *r);

/* q in [0, 1]; linear interpolation between order statistics (R's type 7, numpy's default). */
double km_ring_quantile(const struct km_ring *r, double q);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: a kernel is what one thread does, in pieces short enough to look at the clock.
 */
#ifndef KM_STRESS_INTERNAL_H
#define KM_STRESS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/stress/stress.h"

#define STRESS_LINE_BYTES ((size_t)64) /* of every CPU this is built for */
#define STRESS_WALKS      16 /* misses in flight at once, as an out-of-order core has them */

/* The kernels: every kind but mixed, which is all of them. */
#define STRESS_KERNELS ((size_t)KM_STRESS_MIXED)

/* What a thread has of one kernel. */
struct stress_state {
	void *memory;
	size_t bytes;                /* of memory; 0 = none */
	size_t cursor[STRESS_WALKS]; /* of the walks, in lines */
	size_t at;                   /* of the triad, in elements */
	uint64_t ops;
	uint64_t moved_bytes;
};

struct stress_kernel {
	const char *unit; /* of an operation */
	/* Bytes a thread wants when `sharers` of ours share an L3. NULL: none. */
	size_t (*want_bytes)(const struct km_caches *c, unsigned sharers);
	void (*prepare)(struct stress_state *s); /* fills memory; NULL: all zero */
	void (*piece)(struct stress_state *s);   /* some 20 to 200 us of work */
};

extern const struct stress_kernel stress_kernel[STRESS_KERNELS]; /* by enum km_stress_kind */

#endif

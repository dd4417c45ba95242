/* SPDX-License-Identifier: Apache-2.0 */
/* A small seeded generator (xoshiro256**) for what must be repeatable; not for secrets. */
#ifndef KM_BASE_RNG_H
#define KM_BASE_RNG_H

#include <stdint.h>

struct km_rng {
	uint64_t s[4];
};

void km_rng_init(struct km_rng *r, uint64_t seed);
uint64_t km_rng_u64(struct km_rng *r);
double km_rng_unit(struct km_rng *r);                    /* [0, 1) */
uint32_t km_rng_below(struct km_rng *r, uint32_t bound); /* [0, bound), unbiased; bound > 0 */
double km_rng_normal(struct km_rng *r);                  /* mean 0, standard deviation 1 */

#endif

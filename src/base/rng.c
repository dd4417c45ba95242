/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021),
 * seeded through splitmix64 as its authors advise, so that seeds 0, 1, 2 ... are unrelated.
 */
#include "km/base/rng.h"

#include <math.h>

static uint64_t rotate_left(uint64_t x, int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

void km_rng_init(struct km_rng *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z;

		seed += UINT64_C(0x9e3779b97f4a7c15);
		z = seed;
		z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		r->s[i] = z ^ (z >> 31);
	}
}

uint64_t km_rng_u64(struct km_rng *r)
{
	uint64_t *s = r->s;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t shifted = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = rotate_left(s[3], 45);
	return result;
}

double km_rng_unit(struct km_rng *r)
{
	return (double)(km_rng_u64(r) >> 11) * 0x1p-53;
}

uint32_t km_rng_below(struct km_rng *r, uint32_t bound)
{
	/* 2^32 mod bound values at the low end would be hit once too often: draw again there. */
	uint32_t uneven = (0U - bound) % bound;
	uint64_t product;

	do {
		product = (km_rng_u64(r) >> 32) * bound;
	} while ((uint32_t)product < uneven);
	return (uint32_t)(product >> 32);
}

double km_rng_normal(struct km_rng *r)
{
	/* Box and Muller; 1 - u is in (0, 1], so the logarithm is finite. */
	double radius = sqrt(-2.0 * log(1.0 - km_rng_unit(r)));

	return radius * cos(2.0 * M_PI * km_rng_unit(r));
}

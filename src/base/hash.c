/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiply-and-fold hashing: two words at a time are keyed, multiplied to 128 bits and the halves
 * folded together. Both factors carry the seed: with one fixed, a key that cancels it would make
 * the product zero whatever the rest of the key is.
 */
#include "km/base/hash.h"

#include <string.h>

/* Odd constants with balanced bits: fractions of sqrt(2), sqrt(3) and pi. */
#define KEY_A UINT64_C(0x6a09e667f3bcc909)
#define KEY_B UINT64_C(0xbb67ae8584caa73b)
#define KEY_C UINT64_C(0x243f6a8885a308d3)

static inline uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t load8(const unsigned char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

static inline uint64_t load4(const unsigned char *p)
{
	uint32_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

uint64_t km_hash64(const void *data, size_t len, uint64_t seed)
{
	const unsigned char *p = data;
	uint64_t key = fold(seed ^ KEY_A, KEY_B) ^ seed;
	uint64_t state = key ^ KEY_C;
	uint64_t a = 0;
	uint64_t b = 0;
	size_t left = len;

	while (left > 16) {
		state = fold(load8(p) ^ key, load8(p + 8) ^ state);
		p += 16;
		left -= 16;
	}
	/* The last words overlap what was read before instead of going byte by byte. */
	if (len >= 16) {
		a = load8(p + left - 16);
		b = load8(p + left - 8);
	} else if (len >= 8) {
		a = load8(p);
		b = load8(p + len - 8);
	} else if (len >= 4) {
		a = load4(p);
		b = load4(p + len - 4);
	} else if (len > 0) {
		a = ((uint64_t)p[0] << 16) | ((uint64_t)p[len / 2] << 8) | p[len - 1];
	}
	return fold(fold(a ^ key, b ^ state) ^ KEY_C, key ^ len);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A fast 64-bit hash for tables and file fingerprints. Not cryptographic. */
#ifndef KM_BASE_HASH_H
#define KM_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Reads 8 bytes at a time; the same value on every little-endian machine for the same seed. */
uint64_t km_hash64(const void *data, size_t len, uint64_t seed);

#endif

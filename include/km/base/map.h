/* SPDX-License-Identifier: Apache-2.0 */
/*
 * String -> uint32_t, open addressing, keys borrowed (they must outlive the map). Built once, then
 * read by any number of threads.
 */
#ifndef KM_BASE_MAP_H
#define KM_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/macros.h"

struct km_map_slot;
struct km_map_entry;

struct km_map {
	struct km_map_slot *slots;
	struct km_map_entry *entries;
	size_t cap; /* of slots: power of two, or 0 */
	size_t count;
	uint64_t seed;
};

/* `seed` keeps hostile keys from colliding on purpose; take it from km_rng or the clock. */
void km_map_init(struct km_map *m, uint64_t seed);
void km_map_fini(struct km_map *m);

/* Makes room for `count` keys. returns 0 or -ENOMEM. */
int km_map_reserve(struct km_map *m, size_t count) KM_MUST_CHECK;

/*
 * Adds key (borrowed, len bytes). returns 0; -EEXIST when it is there already (*existing, if not
 * NULL, receives its value); -ENOMEM.
 */
int km_map_add(struct km_map *m, const char *key, size_t len, uint32_t value, uint32_t *existing);

/* returns true and the value when found. Any thread, once built. */
bool km_map_get(const struct km_map *m, const char *key, size_t len, uint32_t *value);

#define KM_MAP_MANY 16

struct km_map_key {
	const char *text;
	uint32_t len;
};

/*
 * The same for up to KM_MAP_MANY keys at once: value [count], -1 where there is none. What they
 * wait for memory they wait together, which is most of the time in a map larger than a cache.
 */
void km_map_get_many(const struct km_map *m, const struct km_map_key *key, size_t count,
                     int64_t *value);

#endif

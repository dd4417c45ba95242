/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing, at most two thirds full; no removal, so no tombstones. */
#include "km/base/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"

#define MAP_FIRST_SLOTS 16

struct km_map_slot {
	uint64_t hash;
	const char *key; /* NULL = free */
	uint32_t len;
	uint32_t value;
};

void km_map_init(struct km_map *m, uint64_t seed)
{
	*m = (struct km_map){ .seed = seed };
}

void km_map_fini(struct km_map *m)
{
	free(m->slots);
	km_map_init(m, m->seed);
}

/* The slot that holds the key, or the free one where it belongs. */
static struct km_map_slot *find(const struct km_map *m, const char *key, size_t len, uint64_t hash)
{
	size_t mask = m->cap - 1;

	for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
		struct km_map_slot *slot = &m->slots[i];

		if (!slot->key ||
		    (slot->hash == hash && slot->len == len && memcmp(slot->key, key, len) == 0))
			return slot;
	}
}

int km_map_reserve(struct km_map *m, size_t count)
{
	struct km_map grown = *m;
	size_t cap = m->cap ? m->cap : MAP_FIRST_SLOTS;

	if (count > SIZE_MAX / 4)
		return -ENOMEM;
	while (cap / 3 * 2 < count)
		cap *= 2;
	if (cap == m->cap)
		return 0;
	grown.slots = calloc(cap, sizeof(*grown.slots));
	if (!grown.slots)
		return -ENOMEM;
	grown.cap = cap;
	for (size_t i = 0; i < m->cap; i++) {
		const struct km_map_slot *old = &m->slots[i];

		if (old->key)
			*find(&grown, old->key, old->len, old->hash) = *old;
	}
	free(m->slots);
	*m = grown;
	return 0;
}

int km_map_add(struct km_map *m, const char *key, size_t len, uint32_t value, uint32_t *existing)
{
	uint64_t hash = km_hash64(key, len, m->seed);
	struct km_map_slot *slot;
	int rc;

	if (len > UINT32_MAX)
		return -ENOMEM;
	rc = km_map_reserve(m, m->count + 1);
	if (rc != 0)
		return rc;
	slot = find(m, key, len, hash);
	if (slot->key) {
		if (existing)
			*existing = slot->value;
		return -EEXIST;
	}
	*slot = (struct km_map_slot){
		.hash = hash, .key = key, .len = (uint32_t)len, .value = value
	};
	m->count++;
	return 0;
}

bool km_map_get(const struct km_map *m, const char *key, size_t len, uint32_t *value)
{
	const struct km_map_slot *slot;

	if (m->cap == 0)
		return false;
	slot = find(m, key, len, km_hash64(key, len, m->seed));
	if (!slot->key)
		return false;
	if (value)
		*value = slot->value;
	return true;
}

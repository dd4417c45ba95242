/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open addressing with linear probing, at most two thirds full; no removal, so no tombstones.
 *
 *   slots    {tag, entry}       eight bytes each: those of 5,000 keys stay in a second-level cache
 *   entries  {key, len, value}  in the order they were added: who asks in that order reads on
 */
#include "km/base/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"

#define MAP_FIRST_SLOTS 16

struct km_map_slot {
	uint32_t tag;   /* the half of the hash that does not choose the slot */
	uint32_t entry; /* position + 1; 0 = free */
};

struct km_map_entry {
	const char *key;
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
	free(m->entries);
	km_map_init(m, m->seed);
}

/* The slot that holds the key, or the free one where it belongs. */
static struct km_map_slot *find(const struct km_map *m, const char *key, size_t len, uint64_t hash)
{
	size_t mask = m->cap - 1;
	uint32_t tag = (uint32_t)(hash >> 32);

	for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
		struct km_map_slot *slot = &m->slots[i];
		const struct km_map_entry *e;

		if (slot->entry == 0)
			return slot;
		if (slot->tag != tag)
			continue;
		e = &m->entries[slot->entry - 1];
		if (e->len == len && memcmp(e->key, key, len) == 0)
			return slot;
	}
}

/* Puts an entry that is not in the slots yet into a free one. */
static void place(struct km_map_slot *slots, size_t cap, uint64_t hash, uint32_t entry)
{
	size_t i = (size_t)hash & (cap - 1);

	while (slots[i].entry != 0)
		i = (i + 1) & (cap - 1);
	slots[i] = (struct km_map_slot){ .tag = (uint32_t)(hash >> 32), .entry = entry };
}

int km_map_reserve(struct km_map *m, size_t count)
{
	size_t cap = m->cap ? m->cap : MAP_FIRST_SLOTS;
	struct km_map_entry *entries;
	struct km_map_slot *slots;

	if (count >= UINT32_MAX || count > SIZE_MAX / 4)
		return -ENOMEM;
	while (cap / 3 * 2 < count)
		cap *= 2;
	if (cap == m->cap)
		return 0;
	entries = reallocarray(m->entries, cap / 3 * 2, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	m->entries = entries;
	slots = calloc(cap, sizeof(*slots));
	if (!slots)
		return -ENOMEM; /* more room for entries than slots: no harm */
	for (size_t i = 0; i < m->count; i++)
		place(slots, cap, km_hash64(entries[i].key, entries[i].len, m->seed),
		      (uint32_t)i + 1);
	free(m->slots);
	m->slots = slots;
	m->cap = cap;
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
	if (slot->entry != 0) {
		if (existing)
			*existing = m->entries[slot->entry - 1].value;
		return -EEXIST;
	}
	m->entries[m->count] =
		(struct km_map_entry){ .key = key, .len = (uint32_t)len, .value = value };
	m->count++;
	*slot = (struct km_map_slot){ .tag = (uint32_t)(hash >> 32), .entry = (uint32_t)m->count };
	return 0;
}

/* The entry whose tag is the key's: nearly always the key's own. NULL: surely not there. */
static const struct km_map_entry *candidate(const struct km_map *m, uint64_t hash)
{
	size_t mask = m->cap - 1;
	uint32_t tag = (uint32_t)(hash >> 32);
	size_t i = (size_t)hash & mask;

	while (m->slots[i].entry != 0 && m->slots[i].tag != tag)
		i = (i + 1) & mask;
	return m->slots[i].entry != 0 ? &m->entries[m->slots[i].entry - 1] : NULL;
}

void km_map_get_many(const struct km_map *m, const struct km_map_key *key, size_t count,
                     int64_t *value)
{
	const struct km_map_entry *entry[KM_MAP_MANY];
	uint64_t hash[KM_MAP_MANY];

	for (size_t i = 0; i < count; i++) {
		value[i] = -1;
		hash[i] = km_hash64(key[i].text, key[i].len, m->seed);
		if (m->cap > 0)
			__builtin_prefetch(&m->slots[hash[i] & (m->cap - 1)]);
	}
	if (m->cap == 0)
		return;
	for (size_t i = 0; i < count; i++) {
		entry[i] = candidate(m, hash[i]);
		__builtin_prefetch(entry[i]);
	}
	for (size_t i = 0; i < count; i++) {
		if (entry[i])
			__builtin_prefetch(entry[i]->key);
	}
	for (size_t i = 0; i < count; i++) {
		const struct km_map_slot *slot;

		if (!entry[i])
			continue;
		if (entry[i]->len == key[i].len &&
		    memcmp(entry[i]->key, key[i].text, key[i].len) == 0) {
			value[i] = entry[i]->value;
			continue;
		}
		slot = find(m, key[i].text, key[i].len, hash[i]);
		if (slot->entry != 0)
			value[i] = m->entries[slot->entry - 1].value;
	}
}

bool km_map_get(const struct km_map *m, const char *key, size_t len, uint32_t *value)
{
	const struct km_map_slot *slot;

	if (m->cap == 0)
		return false;
	slot = find(m, key, len, km_hash64(key, len, m->seed));
	if (slot->entry == 0)
		return false;
	if (value)
		*value = m->entries[slot->entry - 1].value;
	return true;
}

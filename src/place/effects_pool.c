/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots by key. Memory grows by doubling up to the limit; then a hand goes round and reuses the
 * first slot that was not seen since it last passed, which is O(1) on average.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "effects_internal.h"

#define CAP_FIRST 16

void effects_pool_init(struct effects_pool *p, size_t size, uint32_t limit)
{
	*p = (struct effects_pool){ .size = size, .limit = limit };
}

void effects_pool_fini(struct effects_pool *p)
{
	free(p->item);
	free(p->key);
	free(p->seen);
	free(p->slot);
	*p = (struct effects_pool){ 0 };
}

/* Keys of cells differ in few bits. */
static size_t home_of(const struct effects_pool *p, uint64_t key)
{
	key ^= key >> 32;
	key *= UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(key >> 20) & (p->slot_cap - 1);
}

static void slot_put(struct effects_pool *p, uint32_t i)
{
	size_t at = home_of(p, p->key[i]);

	while (p->slot[at] != 0)
		at = (at + 1) & (p->slot_cap - 1);
	p->slot[at] = i + 1;
}

/* Those behind it that would no longer be found move up. */
static void slot_remove(struct effects_pool *p, size_t at)
{
	size_t mask = p->slot_cap - 1;
	size_t next = at;

	for (;;) {
		size_t home;

		next = (next + 1) & mask;
		if (p->slot[next] == 0)
			break;
		home = home_of(p, p->key[p->slot[next] - 1]);
		if (((next - home) & mask) >= ((next - at) & mask)) {
			p->slot[at] = p->slot[next];
			at = next;
		}
	}
	p->slot[at] = 0;
}

/* returns the place in slot[] of a key, or slot_cap. */
static size_t slot_of(const struct effects_pool *p, uint64_t key)
{
	size_t at;

	if (p->slot_cap == 0 || key == 0)
		return p->slot_cap;
	for (at = home_of(p, key); p->slot[at] != 0; at = (at + 1) & (p->slot_cap - 1)) {
		if (p->key[p->slot[at] - 1] == key)
			return at;
	}
	return p->slot_cap;
}

uint32_t effects_pool_find(const struct effects_pool *p, uint64_t key)
{
	size_t at = slot_of(p, key);

	return at < p->slot_cap ? p->slot[at] - 1 : EFFECTS_NONE;
}

/* What was moved before a failure is as good as what was there. */
static bool grow(struct effects_pool *p)
{
	uint32_t cap = p->cap == 0 ? CAP_FIRST : p->cap * 2;
	size_t slot_cap;
	void *moved;

	cap = cap < p->limit ? cap : p->limit;
	moved = reallocarray(p->item, cap, p->size);
	if (moved == NULL)
		return false;
	p->item = moved;
	moved = reallocarray(p->key, cap, sizeof(*p->key));
	if (moved == NULL)
		return false;
	p->key = moved;
	moved = reallocarray(p->seen, cap, sizeof(*p->seen));
	if (moved == NULL)
		return false;
	p->seen = moved;
	for (slot_cap = CAP_FIRST; slot_cap < (size_t)cap * 2;)
		slot_cap *= 2;
	moved = calloc(slot_cap, sizeof(*p->slot));
	if (moved == NULL)
		return false;
	free(p->slot);
	p->slot = moved;
	p->slot_cap = slot_cap;
	p->cap = cap;
	for (uint32_t i = 0; i < p->count; i++) {
		if (p->key[i] != 0)
			slot_put(p, i);
	}
	return true;
}

void effects_pool_drop(struct effects_pool *p, uint32_t i)
{
	if (p->key[i] != 0)
		slot_remove(p, slot_of(p, p->key[i]));
	memset(effects_pool_at(p, i), 0, p->size);
	p->key[i] = 0;
	p->seen[i] = false;
}

static uint32_t reuse(struct effects_pool *p, bool *reused)
{
	uint32_t i;

	while (p->seen[p->hand]) {
		p->seen[p->hand] = false;
		p->hand = (p->hand + 1) % p->count;
	}
	i = p->hand;
	p->hand = (p->hand + 1) % p->count;
	*reused = p->key[i] != 0;
	effects_pool_drop(p, i);
	return i;
}

static void occupy(struct effects_pool *p, uint32_t i, uint64_t key, bool seen)
{
	memset(effects_pool_at(p, i), 0, p->size);
	p->key[i] = key;
	p->seen[i] = seen;
	if (key != 0)
		slot_put(p, i);
}

uint32_t effects_pool_take(struct effects_pool *p, uint64_t key, bool *fresh, bool *reused)
{
	uint32_t i = effects_pool_find(p, key);

	*fresh = false;
	*reused = false;
	if (i != EFFECTS_NONE) {
		p->seen[i] = true;
		return i;
	}
	if (p->count < p->limit) {
		if (p->count == p->cap && !grow(p))
			return EFFECTS_NONE;
		i = p->count++;
	} else {
		i = reuse(p, reused);
	}
	occupy(p, i, key, true);
	*fresh = true;
	return i;
}

int effects_pool_restore(struct effects_pool *p, uint64_t key, bool seen)
{
	if (effects_pool_find(p, key) != EFFECTS_NONE)
		return -EEXIST;
	if (p->count == p->limit)
		return -EINVAL;
	if (p->count == p->cap && !grow(p))
		return -ENOMEM;
	occupy(p, p->count++, key, seen);
	return 0;
}

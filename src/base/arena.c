/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bump allocator. Blocks form a chain, newest first, each at least as large as all before it;
 * reset melts the chain into one block, so that the same request fits without malloc next time.
 */
#include "km/base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_ALIGN     16
#define ARENA_MIN_BYTES 4096

struct km_arena_block {
	struct km_arena_block *older;
	size_t size; /* bytes in data */
	alignas(ARENA_ALIGN) unsigned char data[];
};

static int block_push(struct km_arena *a, size_t size)
{
	struct km_arena_block *block;

	if (size > SIZE_MAX - sizeof(*block))
		return -1;
	block = malloc(sizeof(*block) + size);
	if (!block)
		return -1;
	block->older = a->head;
	block->size = size;
	a->head = block;
	a->used = 0;
	a->total += size;
	return 0;
}

void km_arena_init(struct km_arena *a, size_t keep_bytes)
{
	*a = (struct km_arena){ .keep_bytes = keep_bytes };
}

void km_arena_fini(struct km_arena *a)
{
	struct km_arena_block *older;

	for (struct km_arena_block *block = a->head; block; block = older) {
		older = block->older;
		free(block);
	}
	a->head = NULL;
	a->used = 0;
	a->total = 0;
}

void km_arena_reset(struct km_arena *a)
{
	size_t want = a->total < a->keep_bytes ? a->total : a->keep_bytes;

	a->used = 0;
	if (!a->head || (!a->head->older && a->head->size <= a->keep_bytes))
		return;
	km_arena_fini(a);
	if (want >= ARENA_MIN_BYTES)
		(void)block_push(a, want); /* on failure the next request tries again */
}

void *km_arena_alloc(struct km_arena *a, size_t size)
{
	size_t room;
	size_t step;
	void *at;

	if (size > SIZE_MAX / 4)
		return NULL;
	step = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	room = a->head ? a->head->size - a->used : 0;
	if (!a->head || step > room) {
		size_t want = a->total > ARENA_MIN_BYTES ? a->total : ARENA_MIN_BYTES;

		if (block_push(a, want > step ? want : step) != 0)
			return NULL;
	}
	at = a->head->data + a->used;
	a->used += step;
	return at;
}

void *km_arena_calloc(struct km_arena *a, size_t count, size_t size)
{
	size_t bytes;
	void *at;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	at = km_arena_alloc(a, bytes);
	if (at)
		memset(at, 0, bytes);
	return at;
}

char *km_arena_strndup(struct km_arena *a, const char *s, size_t len)
{
	char *copy;

	if (len == SIZE_MAX)
		return NULL;
	copy = km_arena_alloc(a, len + 1);
	if (!copy)
		return NULL;
	if (len > 0)
		memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

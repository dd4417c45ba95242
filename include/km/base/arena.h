/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bump allocator for memory that lives and dies with one request. Reset keeps up to
 * `keep_bytes`, so a steady load allocates nothing and one huge request does not stay resident.
 * One arena belongs to one thread at a time.
 */
#ifndef KM_BASE_ARENA_H
#define KM_BASE_ARENA_H

#include <stddef.h>

struct km_arena_block;

struct km_arena {
	struct km_arena_block *head; /* the block being filled; older ones behind it */
	size_t used;                 /* bytes used in head */
	size_t total;                /* bytes held in all blocks */
	size_t keep_bytes;
};

void km_arena_init(struct km_arena *a, size_t keep_bytes);
void km_arena_fini(struct km_arena *a);
void km_arena_reset(struct km_arena *a);

/* 16-byte aligned, not zeroed. returns NULL when out of memory or size overflows. */
void *km_arena_alloc(struct km_arena *a, size_t size);

/* count * size bytes, overflow-checked, zeroed. */
void *km_arena_calloc(struct km_arena *a, size_t count, size_t size);

/* Copies len bytes and adds a NUL. */
char *km_arena_strndup(struct km_arena *a, const char *s, size_t len);

#endif

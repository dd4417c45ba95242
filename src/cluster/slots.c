/* SPDX-License-Identifier: Apache-2.0 */
/* The table: see slots.h. Entry: slots_set, slots_take_changed. */
#include "slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"

void slots_init(struct slots *s, pthread_mutex_t *lock, uint64_t seed)
{
	*s = (struct slots){ .lock = lock, .seed = seed, .epoch = 1 };
}

void slots_block_unref(struct slots_block *b)
{
	if (b == NULL || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1) {
		return;
	}
	for (size_t i = 0; i < SLOTS_BLOCK; i++) {
		view_item_unref(b->item[i]);
	}
	free(b);
}

void slots_fini(struct slots *s)
{
	for (size_t i = 0; i < s->block_count; i++) {
		slots_block_unref(s->block[i]);
	}
	free(s->block);
	free(s->changed);
	free(s->is_changed);
	free(s->meta);
	free(s->bucket);
	free(s->vacant);
	*s = (struct slots){ .lock = NULL };
}

static struct slots_block *block_create(void)
{
	struct slots_block *b = calloc(1, sizeof(*b));

	if (b != NULL) {
		atomic_init(&b->refs, 1);
	}
	return b;
}

static struct slots_block *block_copy(const struct slots_block *from)
{
	struct slots_block *b = block_create();

	for (size_t i = 0; b != NULL && i < SLOTS_BLOCK; i++) {
		b->item[i] = view_item_ref(from->item[i]);
	}
	return b;
}

static uint64_t hash_of(const struct slots *s, struct km_name namespace, struct km_name name)
{
	return km_hash64(name.text, name.len, km_hash64(namespace.text, namespace.len, s->seed));
}

struct view_item *slots_at(const struct slots *s, uint32_t slot)
{
	return s->block[slot / SLOTS_BLOCK]->item[slot % SLOTS_BLOCK];
}

/* The bucket of that key, or the free one where it belongs. */
static size_t bucket_of(const struct slots *s, uint64_t hash, struct km_name namespace,
                        struct km_name name)
{
	size_t mask = s->bucket_count - 1;
	size_t at = hash & mask;

	for (; s->bucket[at] != 0; at = (at + 1) & mask) {
		uint32_t slot = s->bucket[at] - 1;
		struct km_name its_namespace;
		struct km_name its_name;

		if (s->meta[slot].hash != hash) {
			continue;
		}
		view_item_key(slots_at(s, slot), &its_namespace, &its_name);
		if (view_same_name(its_name, name) && view_same_name(its_namespace, namespace)) {
			break;
		}
	}
	return at;
}

uint32_t slots_find(const struct slots *s, struct km_name namespace, struct km_name name)
{
	size_t at;

	if (s->bucket_count == 0) {
		return SLOTS_NONE;
	}
	at = bucket_of(s, hash_of(s, namespace, name), namespace, name);
	return s->bucket[at] != 0 ? s->bucket[at] - 1 : SLOTS_NONE;
}

/* Linear probing without tombstones: what lies behind moves up. */
static void bucket_clear(struct slots *s, size_t at)
{
	size_t mask = s->bucket_count - 1;
	size_t next = at;

	for (;;) {
		size_t home;

		s->bucket[at] = 0;
		do {
			next = (next + 1) & mask;
			if (s->bucket[next] == 0) {
				return;
			}
			home = s->meta[s->bucket[next] - 1].hash & mask;
		} while (at <= next ? at < home && home <= next : at < home || home <= next);
		s->bucket[at] = s->bucket[next];
		at = next;
	}
}

static void rehash(struct slots *s, uint32_t *bucket, size_t count, size_t slot_count)
{
	for (size_t i = 0; i < slot_count; i++) {
		size_t at = s->meta[i].hash & (count - 1);

		if (slots_at(s, (uint32_t)i) == NULL) {
			continue;
		}
		while (bucket[at] != 0) {
			at = (at + 1) & (count - 1);
		}
		bucket[at] = (uint32_t)i + 1;
	}
	free(s->bucket);
	s->bucket = bucket;
	s->bucket_count = count;
}

/* What readers see grows as a copy that is exchanged under the lock. */
static int grow_shared(struct slots *s, size_t blocks)
{
	struct slots_block **block = calloc(blocks, sizeof(struct slots_block *));
	uint32_t *changed = calloc(blocks * SLOTS_BLOCK, sizeof(*changed));
	bool *is_changed = calloc(blocks * SLOTS_BLOCK, sizeof(*is_changed));
	struct slots_block **old_block = s->block;
	uint32_t *old_changed = s->changed;
	bool *old_is_changed = s->is_changed;
	size_t had = s->block_count;
	bool good = block != NULL && changed != NULL && is_changed != NULL;

	for (size_t i = had; good && i < blocks; i++) {
		block[i] = block_create();
		good = block[i] != NULL;
	}
	if (!good) {
		for (size_t i = had; block != NULL && i < blocks; i++) {
			free(block[i]);
		}
		free(block);
		free(changed);
		free(is_changed);
		return -ENOMEM;
	}
	pthread_mutex_lock(s->lock);
	if (had > 0) {
		memcpy(block, old_block, had * sizeof(struct slots_block *));
		memcpy(changed, old_changed, s->changed_count * sizeof(*changed));
		memcpy(is_changed, old_is_changed, had * SLOTS_BLOCK * sizeof(*is_changed));
	}
	s->block = block;
	s->changed = changed;
	s->is_changed = is_changed;
	s->block_count = blocks;
	pthread_mutex_unlock(s->lock);
	free(old_block);
	free(old_changed);
	free(old_is_changed);
	return 0;
}

/* Room for one more slot. returns 0 or -ENOMEM. */
static int grow(struct slots *s)
{
	size_t had = s->block_count * SLOTS_BLOCK;
	size_t blocks = s->block_count == 0 ? 1 : s->block_count + (s->block_count + 1) / 2;
	size_t slots = blocks * SLOTS_BLOCK;
	size_t buckets = s->bucket_count == 0 ? SLOTS_BLOCK : s->bucket_count;
	struct slots_meta *meta;
	uint32_t *vacant;
	uint32_t *bucket;

	if (s->vacant_count > 0) {
		return 0;
	}
	if (slots >= SLOTS_NONE) {
		return -ENOMEM;
	}
	while (buckets < 2 * slots) {
		buckets *= 2;
	}
	meta = reallocarray(s->meta, slots, sizeof(*meta));
	if (meta == NULL) {
		return -ENOMEM;
	}
	s->meta = meta;
	vacant = reallocarray(s->vacant, slots, sizeof(*vacant));
	if (vacant == NULL) {
		return -ENOMEM;
	}
	s->vacant = vacant;
	bucket = calloc(buckets, sizeof(*bucket));
	if (bucket == NULL || grow_shared(s, blocks) != 0) {
		free(bucket);
		return -ENOMEM;
	}
	memset(meta + had, 0, (slots - had) * sizeof(*meta));
	rehash(s, bucket, buckets, had);
	for (size_t i = slots; i > had; i--) {
		vacant[s->vacant_count++] = (uint32_t)(i - 1);
	}
	return 0;
}

/* Exchanges what a slot holds, in a block that no snapshot shows; i is taken. */
static int exchange(struct slots *s, uint32_t slot, struct view_item *i)
{
	struct slots_block *shared = NULL;
	struct slots_block *copy = NULL;
	struct slots_block **at;
	struct view_item *old;

	pthread_mutex_lock(s->lock);
	at = &s->block[slot / SLOTS_BLOCK];
	if (atomic_load_explicit(&(*at)->refs, memory_order_acquire) != 1) {
		/* Only we ever change it: it can be read without the lock. */
		pthread_mutex_unlock(s->lock);
		copy = block_copy(s->block[slot / SLOTS_BLOCK]);
		if (copy == NULL) {
			return -ENOMEM;
		}
		pthread_mutex_lock(s->lock);
		at = &s->block[slot / SLOTS_BLOCK];
		shared = *at;
		*at = copy;
	}
	old = (*at)->item[slot % SLOTS_BLOCK];
	(*at)->item[slot % SLOTS_BLOCK] = i;
	s->count += i != NULL;
	s->count -= old != NULL;
	s->revision++;
	if (!s->is_changed[slot]) {
		s->is_changed[slot] = true;
		s->changed[s->changed_count++] = slot;
	}
	pthread_mutex_unlock(s->lock);
	slots_block_unref(shared);
	view_item_unref(old);
	return 0;
}

int slots_set(struct slots *s, struct view_item *i)
{
	struct km_name namespace;
	struct km_name name;
	uint32_t slot;
	uint64_t hash;
	size_t at;
	int rc;

	view_item_key(i, &namespace, &name);
	hash = hash_of(s, namespace, name);
	slot = slots_find(s, namespace, name);
	rc = slot == SLOTS_NONE ? grow(s) : 0;
	if (rc == 0 && slot == SLOTS_NONE) {
		uint32_t fresh = s->vacant[s->vacant_count - 1];

		rc = exchange(s, fresh, i);
		if (rc == 0) {
			s->vacant_count--;
			s->meta[fresh] = (struct slots_meta){ .hash = hash, .epoch = s->epoch };
			/* The key's bucket is free still: nothing of that name was there. */
			for (at = hash & (s->bucket_count - 1); s->bucket[at] != 0;) {
				at = (at + 1) & (s->bucket_count - 1);
			}
			s->bucket[at] = fresh + 1;
		}
	} else if (rc == 0) {
		rc = exchange(s, slot, i);
		s->meta[slot].epoch = s->epoch;
	}
	if (rc != 0) {
		view_item_unref(i);
	}
	return rc;
}

int slots_remove(struct slots *s, struct km_name namespace, struct km_name name)
{
	uint32_t slot = slots_find(s, namespace, name);
	size_t at;
	int rc;

	if (slot == SLOTS_NONE) {
		return 0;
	}
	at = bucket_of(s, s->meta[slot].hash, namespace, name);
	rc = exchange(s, slot, NULL);
	if (rc == 0) {
		bucket_clear(s, at);
		s->vacant[s->vacant_count++] = slot;
	}
	return rc;
}

void slots_seen(struct slots *s, struct km_name namespace, struct km_name name)
{
	uint32_t slot = slots_find(s, namespace, name);

	if (slot != SLOTS_NONE) {
		s->meta[slot].epoch = s->epoch;
	}
}

void slots_list_begin(struct slots *s)
{
	s->epoch++;
}

int slots_list_end(struct slots *s)
{
	int rc = 0;

	for (size_t i = 0; i < s->block_count * SLOTS_BLOCK; i++) {
		struct view_item *item = slots_at(s, (uint32_t)i);
		struct km_name namespace;
		struct km_name name;

		if (item == NULL || s->meta[i].epoch == s->epoch) {
			continue;
		}
		item = view_item_ref(item); /* the key is in it */
		view_item_key(item, &namespace, &name);
		if (slots_remove(s, namespace, name) != 0) {
			rc = -ENOMEM;
		}
		view_item_unref(item);
	}
	return rc;
}

void slots_share(struct slots *s, struct slots_block **block)
{
	for (size_t i = 0; i < s->block_count; i++) {
		atomic_fetch_add_explicit(&s->block[i]->refs, 1, memory_order_relaxed);
		block[i] = s->block[i];
	}
}

size_t slots_take_changed(struct slots *s, uint32_t *slot, struct view_item **item, size_t max)
{
	size_t count = 0;

	pthread_mutex_lock(s->lock);
	while (count < max && s->changed_count > 0) {
		uint32_t at = s->changed[--s->changed_count];

		s->is_changed[at] = false;
		slot[count] = at;
		item[count++] = view_item_ref(slots_at(s, at));
	}
	pthread_mutex_unlock(s->lock);
	return count;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger knows nodes by a key of their name, the picture by their position. A directory has
 * both for one topology; it is made by the first request that needs it.
 */
#include <stdlib.h>

#include "km/base/hash.h"

#include "decide_internal.h"

#define NODE_SEED UINT64_C(0x6b6d6e6f64656b79)

uint64_t decide_node_key(const char *name, size_t len)
{
	uint64_t key = km_hash64(name, len, NODE_SEED);

	return key != 0 ? key : 1;
}

static struct decide_directory *create(const struct km_cluster_snapshot *s)
{
	struct decide_directory *dir = malloc(sizeof(*dir) + s->node_count * sizeof(dir->key[0]));

	if (dir == NULL) {
		return NULL;
	}
	atomic_init(&dir->refs, 1);
	dir->topology = s->topology;
	dir->node_count = s->node_count;
	km_map_init(&dir->map, NODE_SEED);
	if (km_map_reserve(&dir->map, s->node_count) != 0) {
		decide_directory_unref(dir);
		return NULL;
	}
	for (uint32_t i = 0; i < s->node_count; i++) {
		dir->key[i] = decide_node_key(s->node[i].name, s->node[i].name_len);
		/* Two names of one key: the ledger cannot tell them apart, and the first is it. */
		(void)km_map_add(&dir->map, (const char *)&dir->key[i], sizeof(dir->key[i]), i,
		                 NULL);
	}
	return dir;
}

static struct decide_directory *ref(struct decide_directory *dir)
{
	atomic_fetch_add_explicit(&dir->refs, 1, memory_order_relaxed);
	return dir;
}

void decide_directory_unref(struct decide_directory *dir)
{
	if (dir == NULL || atomic_fetch_sub_explicit(&dir->refs, 1, memory_order_acq_rel) != 1) {
		return;
	}
	km_map_fini(&dir->map);
	free(dir);
}

struct decide_directory *decide_directory_get(struct km_decide *d,
                                              const struct km_cluster_snapshot *s)
{
	struct decide_directory *found = NULL;
	struct decide_directory *old = NULL;

	pthread_mutex_lock(&d->lock);
	if (d->directory != NULL && d->directory->topology == s->topology) {
		found = ref(d->directory);
	}
	pthread_mutex_unlock(&d->lock);
	if (found != NULL) {
		return found;
	}
	found = create(s);
	if (found == NULL) {
		return NULL;
	}
	pthread_mutex_lock(&d->lock);
	if (d->directory == NULL || d->directory->topology < s->topology) {
		old = d->directory;
		d->directory = ref(found);
	}
	pthread_mutex_unlock(&d->lock);
	decide_directory_unref(old);
	return found;
}

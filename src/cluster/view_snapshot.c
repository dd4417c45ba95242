/* SPDX-License-Identifier: Apache-2.0 */
/* All tables at one moment: references on their blocks, one piece of memory. */
#include <errno.h>
#include <stdlib.h>

#include "view_internal.h"

struct km_view_snapshot {
	_Atomic uint32_t refs;
	uint64_t generation;
	bool synced;
	struct {
		struct slots_block **block; /* [block_count], in block[] below */
		size_t block_count;
		uint32_t count;
	} table[KM_VIEW_KINDS];
	struct slots_block *block[];
};

/* Under the lock: does s have room for all blocks there are now? Fills it then. */
static bool fill(struct km_view *v, struct km_view_snapshot *s, size_t room)
{
	struct slots_block **at = s->block;
	size_t blocks = 0;

	for (size_t k = 0; k < KM_VIEW_KINDS; k++) {
		blocks += v->table[k].block_count;
	}
	if (blocks > room) {
		return false;
	}
	s->synced = true;
	for (size_t k = 0; k < KM_VIEW_KINDS; k++) {
		struct slots *t = &v->table[k];

		s->generation += t->revision;
		s->synced = s->synced && v->stream[k].listed;
		s->table[k].block = at;
		s->table[k].block_count = t->block_count;
		s->table[k].count = t->count;
		slots_share(t, at);
		at += t->block_count;
	}
	return true;
}

const struct km_view_snapshot *km_view_get(struct km_view *v)
{
	struct km_view_snapshot *s = NULL;
	bool filled = false;

	while (!filled) {
		size_t room = 0;

		free(s);
		pthread_mutex_lock(&v->lock);
		for (size_t k = 0; k < KM_VIEW_KINDS; k++) {
			room += v->table[k].block_count;
		}
		pthread_mutex_unlock(&v->lock);
		s = calloc(1, sizeof(*s) + room * sizeof(struct slots_block *));
		if (s == NULL) {
			return NULL;
		}
		pthread_mutex_lock(&v->lock);
		filled = fill(v, s, room);
		pthread_mutex_unlock(&v->lock);
	}
	atomic_init(&s->refs, 1);
	return s;
}

void km_view_put(const struct km_view_snapshot *s)
{
	/* What it shows is immutable, the count of its holders is not. */
	union {
		const struct km_view_snapshot *in;
		struct km_view_snapshot *out;
	} u = { .in = s };

	if (s == NULL || atomic_fetch_sub_explicit(&u.out->refs, 1, memory_order_acq_rel) != 1) {
		return;
	}
	for (size_t k = 0; k < KM_VIEW_KINDS; k++) {
		for (size_t b = 0; b < s->table[k].block_count; b++) {
			slots_block_unref(s->table[k].block[b]);
		}
	}
	free(u.out);
}

uint64_t km_view_generation(const struct km_view_snapshot *s)
{
	return s->generation;
}

bool km_view_synced(const struct km_view_snapshot *s)
{
	return s->synced;
}

size_t km_view_count(const struct km_view_snapshot *s, enum km_view_kind kind)
{
	return s->table[kind].count;
}

static const struct view_item *next(const struct km_view_snapshot *s, enum km_view_kind kind,
                                    size_t *at)
{
	size_t slots = s->table[kind].block_count * SLOTS_BLOCK;

	while (*at < slots) {
		const struct view_item *i =
			s->table[kind].block[*at / SLOTS_BLOCK]->item[*at % SLOTS_BLOCK];

		++*at;
		if (i != NULL) {
			return i;
		}
	}
	return NULL;
}

const struct km_view_node *km_view_next_node(const struct km_view_snapshot *s, size_t *at)
{
	const struct view_item *i = next(s, KM_VIEW_NODES, at);

	return i != NULL ? &i->node : NULL;
}

const struct km_view_pod *km_view_next_pod(const struct km_view_snapshot *s, size_t *at)
{
	const struct view_item *i = next(s, KM_VIEW_PODS, at);

	return i != NULL ? &i->pod : NULL;
}

const struct km_view_policy *km_view_next_policy(const struct km_view_snapshot *s, size_t *at)
{
	const struct view_item *i = next(s, KM_VIEW_POLICIES, at);

	return i != NULL ? &i->policy : NULL;
}

const struct km_view_namespace *km_view_next_namespace(const struct km_view_snapshot *s, size_t *at)
{
	const struct view_item *i = next(s, KM_VIEW_NAMESPACES, at);

	return i != NULL ? &i->namespace : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the ledger changes in a workload's table: a record for each node that has entries, found by
 * its position. A request takes the newest overlay of its workload, looks which nodes changed
 * since, has those predicted and shares all other blocks: in a burst that is one node or a few. Two
 * requests that do so at once both do the work; the later overlay is kept.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "decide_internal.h"

#define BUSY_SPARE          64 /* nodes that may come while we look away */
#define TAG(topology, node) ((uint64_t)(topology) << 32 | ((uint64_t)(node) + 1))

struct build {
	struct km_decide *d;
	struct decide_view *view;
	const struct km_subject *who;
	struct km_arena *arena;
	struct decide_directory *directory;
	struct decide_overlay *last; /* NULL = nothing to share */
	struct km_ledger_busy *busy; /* [busy_count] */
	size_t busy_count;
	bool own;     /* an entry of the subject was left out of them */
	uint32_t *at; /* [node_count]: position in busy + 1; 0 = none */
	bool *apart;  /* [node_count]: its record of `last` is of no use; NULL = there is none such
	               */
	struct decide_miss *miss;
	size_t misses;
	struct decide_overlay *out;
};

static void block_unref(struct decide_block *b)
{
	if (b != NULL && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1) {
		free(b);
	}
}

static struct decide_block *block_ref(struct decide_block *b)
{
	if (b != NULL) {
		atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	}
	return b;
}

void decide_overlay_unref(struct decide_overlay *o)
{
	if (o == NULL || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1) {
		return;
	}
	for (uint32_t i = 0; i < o->block_count; i++) {
		block_unref(o->block[i]);
	}
	decide_context_unref(o->context);
	free(o);
}

static struct decide_overlay *create(const struct decide_view *view, const struct km_subject *who)
{
	uint32_t blocks = (view->table->node_count + DECIDE_BLOCK - 1) / DECIDE_BLOCK;
	struct decide_overlay *o = calloc(1, sizeof(*o) + blocks * sizeof(struct decide_block *));

	if (o == NULL) {
		return NULL;
	}
	atomic_init(&o->refs, 1);
	o->key = view->table->key;
	o->kind = who->kind;
	o->context = decide_context_ref(view->context);
	o->topology = view->table->topology;
	o->generation = view->table->generation;
	o->block_count = blocks;
	return o;
}

/* ---- who is busy ---- */

/* All nodes with entries, and of which revision of the ledger. 0, or -ENOMEM. */
static int read_busy(struct build *b)
{
	struct km_decide *d = b->d;
	struct km_ledger_stats stats;
	size_t room = 0;

	do {
		room = b->busy_count + BUSY_SPARE;
		if (b->busy_count == 0) {
			pthread_mutex_lock(&d->ledger_lock);
			km_ledger_stats(d->ledger, &stats);
			pthread_mutex_unlock(&d->ledger_lock);
			room = stats.nodes + BUSY_SPARE;
		}
		b->busy = km_arena_alloc(b->arena, room * sizeof(b->busy[0]));
		if (b->busy == NULL) {
			return -ENOMEM;
		}
		pthread_mutex_lock(&d->ledger_lock);
		b->view->revision = km_ledger_revision(d->ledger);
		b->busy_count = km_ledger_busy(d->ledger, b->who->uid, b->busy, room);
		b->own = km_ledger_has(d->ledger, b->who->uid);
		pthread_mutex_unlock(&d->ledger_lock);
	} while (b->busy_count > room);
	return 0;
}

/* The position of a busy node in the picture, -1 = not in it; as it was noted, or looked up. */
static int64_t position(const struct build *b, const struct km_ledger_busy *busy, bool *noted)
{
	uint64_t tag = busy->tag;
	uint32_t at;

	*noted = tag >> 32 == (b->directory->topology & UINT32_MAX) && (tag & UINT32_MAX) != 0;
	if (*noted) {
		at = (uint32_t)(tag & UINT32_MAX) - 1;
		if (at < b->directory->node_count && b->directory->key[at] == busy->node) {
			return at;
		}
		*noted = false;
	}
	return km_map_get(&b->directory->map, (const char *)&busy->node, sizeof(busy->node), &at)
	               ? (int64_t)at
	               : -1;
}

static int find_positions(struct build *b)
{
	size_t unnoted = 0;

	b->at = km_arena_calloc(b->arena, b->view->table->node_count + 1, sizeof(b->at[0]));
	if (b->at == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < b->busy_count; i++) {
		bool noted;
		int64_t at = position(b, &b->busy[i], &noted);

		if (at >= 0) {
			b->at[at] = (uint32_t)i + 1;
			unnoted += !noted;
			b->busy[i].tag = TAG(b->directory->topology, at);
		}
	}
	if (unnoted == 0) {
		return 0;
	}
	pthread_mutex_lock(&b->d->ledger_lock);
	for (size_t i = 0; i < b->busy_count; i++) {
		km_ledger_tag(b->d->ledger, b->busy[i].node, b->busy[i].tag);
	}
	pthread_mutex_unlock(&b->d->ledger_lock);
	return 0;
}

/* ---- blocks ---- */

static bool holds(const struct build *b, uint32_t node, const struct decide_busy *old,
                  uint64_t digest)
{
	const struct decide_known *k = &b->view->table->known[node];

	return old != NULL && (b->apart == NULL || !b->apart[node]) && old->digest == digest &&
	       old->version == k->version && old->state == k->state;
}

/* Nodes whose data says nothing, and where nothing is learned that could, are as the table says. */
static bool can_tell(const struct decide_known *k)
{
	return k->state == KM_DATA_FRESH;
}

static int new_block(struct build *b, uint32_t index, uint64_t bits)
{
	const struct decide_table *t = b->view->table;
	uint32_t count = (uint32_t)__builtin_popcountll(bits);
	struct decide_block *block = malloc(sizeof(*block) + count * sizeof(block->busy[0]));
	uint32_t k = 0;

	if (block == NULL) {
		return -ENOMEM;
	}
	atomic_init(&block->refs, 1);
	block->count = count;
	block->bits = bits;
	b->out->block[index] = block;
	for (uint64_t left = bits; left != 0; left &= left - 1, k++) {
		uint32_t node = index * DECIDE_BLOCK + (uint32_t)__builtin_ctzll(left);
		const struct km_ledger_busy *busy = &b->busy[b->at[node] - 1];
		const struct decide_busy *old = decide_busy_at(b->last, node);

		if (holds(b, node, old, busy->digest)) {
			block->busy[k] = *old;
			continue;
		}
		block->busy[k] = (struct decide_busy){ .digest = busy->digest,
			                               .version = t->known[node].version,
			                               .state = t->known[node].state,
			                               .harm = decide_no_harm,
			                               .plain = true };
		if (can_tell(&t->known[node])) {
			b->miss[b->misses++] =
				(struct decide_miss){ node, busy->node, &block->busy[k] };
		}
	}
	return 0;
}

/* The same nodes with the same on them? */
static bool unchanged(const struct build *b, uint32_t index, uint64_t bits)
{
	const struct decide_block *old = b->last->block[index];
	uint32_t k = 0;

	if (old == NULL || old->bits != bits) {
		return false;
	}
	for (uint64_t left = bits; left != 0; left &= left - 1, k++) {
		uint32_t node = index * DECIDE_BLOCK + (uint32_t)__builtin_ctzll(left);

		if (!holds(b, node, &old->busy[k], b->busy[b->at[node] - 1].digest)) {
			return false;
		}
	}
	return true;
}

static int build_blocks(struct build *b)
{
	uint32_t nodes = b->view->table->node_count;

	b->miss = km_arena_alloc(b->arena, (b->busy_count + 1) * sizeof(b->miss[0]));
	if (b->miss == NULL) {
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < b->out->block_count; i++) {
		uint64_t bits = 0;

		for (uint32_t k = 0; k < DECIDE_BLOCK && i * DECIDE_BLOCK + k < nodes; k++) {
			bits |= (uint64_t)(b->at[i * DECIDE_BLOCK + k] != 0) << k;
		}
		if (bits == 0) {
			continue;
		}
		if (b->last != NULL && unchanged(b, i, bits)) {
			b->out->block[i] = block_ref(b->last->block[i]);
		} else if (new_block(b, i, bits) != 0) {
			return -ENOMEM;
		}
	}
	return 0;
}

/* ---- the whole ---- */

/* ---- the newest ones ---- */
static bool is_of(const struct decide_overlay *o, const struct decide_view *view,
                  const struct km_subject *who)
{
	return o != NULL && decide_same_key(&o->key, &view->table->key) &&
	       decide_same_kind(&o->kind, &who->kind);
}

static bool declares_footprint(const struct decide_context *c, uint64_t policy)
{
	const struct km_policy *p = policy != 0 ? km_policies_find(c->policies, policy) : NULL;

	return p != NULL && p->footprint_count > 0;
}

/*
 * Do pods of both kinds suffer and do the same wherever neither has replicas? What they do is told
 * by class, effects and a declared footprint, what they suffer by the workload.
 */
static bool is_like(const struct decide_overlay *o, const struct decide_view *view,
                    const struct km_subject *who)
{
	return o != NULL && decide_same_key(&o->key, &view->table->key) &&
	       o->kind.effects == who->kind.effects &&
	       memcmp(o->kind.class_name, who->kind.class_name, sizeof(o->kind.class_name)) == 0 &&
	       (o->kind.policy == who->kind.policy ||
	        (!declares_footprint(view->context, o->kind.policy) &&
	         !declares_footprint(view->context, who->kind.policy)));
}

/* That of the kind itself, else the newest of one like it. With a reference, or NULL. */
static struct decide_overlay *last_of(struct km_decide *d, const struct decide_view *view,
                                      const struct km_subject *who)
{
	struct decide_overlay *found = NULL;
	uint64_t newest = 0;

	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < DECIDE_OVERLAYS; i++) {
		struct decide_kept *k = &d->kept[i];

		if (is_of(k->overlay, view, who)) {
			k->used = ++d->uses;
			found = k->overlay;
			break;
		}
		if (k->used > newest && is_like(k->overlay, view, who)) {
			newest = k->used;
			found = k->overlay;
		}
	}
	if (found != NULL) {
		atomic_fetch_add_explicit(&found->refs, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&d->lock);
	return found;
}

/* In place of the last one of its kind, or of the one unused for longest. Takes a reference. */
static void keep(struct km_decide *d, const struct decide_view *view, const struct km_subject *who,
                 struct decide_overlay *o)
{
	struct decide_kept *at = &d->kept[0];
	struct decide_overlay *old;

	atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < DECIDE_OVERLAYS; i++) {
		if (is_of(d->kept[i].overlay, view, who)) {
			at = &d->kept[i];
			break;
		}
		if (d->kept[i].used < at->used) {
			at = &d->kept[i];
		}
	}
	old = at->overlay;
	*at = (struct decide_kept){ o, ++d->uses };
	pthread_mutex_unlock(&d->lock);
	decide_overlay_unref(old);
}

void decide_drop_overlays(struct km_decide *d)
{
	struct decide_kept dropped[DECIDE_OVERLAYS];

	pthread_mutex_lock(&d->lock);
	memcpy(dropped, d->kept, sizeof(dropped));
	memset(d->kept, 0, sizeof(d->kept));
	pthread_mutex_unlock(&d->lock);
	for (size_t i = 0; i < DECIDE_OVERLAYS; i++) {
		decide_overlay_unref(dropped[i].overlay);
	}
}

/* Can the records of `o` be asked whether they hold? */
static bool comparable(const struct decide_overlay *o, const struct decide_view *view,
                       uint64_t effects_revision)
{
	return o != NULL && o->context == view->context && o->topology == view->table->topology &&
	       o->effects_revision == effects_revision;
}

/* Nodes with pods of a service are no others' business: marks them. 0, or -ENOMEM. */
static int set_apart(struct build *b, uint64_t service)
{
	struct km_decide *d = b->d;
	uint64_t *node = NULL;
	size_t count = 0;
	size_t room;

	do {
		room = count + BUSY_SPARE;
		node = km_arena_alloc(b->arena, room * sizeof(*node));
		if (node == NULL) {
			return -ENOMEM;
		}
		pthread_mutex_lock(&d->ledger_lock);
		count = km_ledger_service_nodes(d->ledger, service, node, room);
		pthread_mutex_unlock(&d->ledger_lock);
	} while (count > room);
	for (size_t i = 0; i < count; i++) {
		uint32_t at;

		if (km_map_get(&b->directory->map, (const char *)&node[i], sizeof(node[i]), &at)) {
			b->apart[at] = true;
		}
	}
	return 0;
}

/* What the last overlay was made for another kind of pod: its records hold where neither is. */
static int set_both_apart(struct build *b)
{
	int rc;

	if (b->last == NULL || decide_same_kind(&b->last->kind, &b->who->kind)) {
		return 0;
	}
	b->apart = km_arena_calloc(b->arena, b->view->table->node_count + 1, sizeof(b->apart[0]));
	if (b->apart == NULL) {
		return -ENOMEM;
	}
	rc = set_apart(b, b->last->kind.service);
	return rc != 0 ? rc : set_apart(b, b->who->kind.service);
}

static int build(struct build *b, uint64_t effects_revision)
{
	int rc = read_busy(b);

	if (rc != 0 || b->busy_count == 0) {
		return rc;
	}
	b->directory = decide_directory_get(b->d, b->view->snapshot);
	b->out = create(b->view, b->who);
	if (b->directory == NULL || b->out == NULL) {
		return -ENOMEM;
	}
	b->out->revision = b->view->revision;
	b->out->partial = b->own;
	b->out->effects_revision = effects_revision;
	rc = find_positions(b);
	if (rc == 0) {
		rc = set_both_apart(b);
	}
	if (rc == 0) {
		rc = build_blocks(b);
	}
	if (rc == 0 && b->misses > 0) {
		rc = decide_evaluate(b->d, b->view, b->who, b->miss, b->misses, b->arena);
	}
	return rc;
}

int decide_overlay_open(struct km_decide *d, struct decide_view *view, const struct km_subject *who,
                        struct km_arena *arena)
{
	uint64_t effects_revision =
		atomic_load_explicit(&d->effects_revision, memory_order_relaxed);
	struct build b = { .d = d, .view = view, .who = who, .arena = arena };
	int64_t now_ns = km_clock_mono_ns(d->clock);
	struct decide_overlay *last = last_of(d, view, who);
	struct km_ledger_stats stats;
	bool own;
	int rc;

	pthread_mutex_lock(&d->ledger_lock);
	decide_ledger_expire(d, view->context, now_ns);
	view->revision = km_ledger_revision(d->ledger);
	own = km_ledger_has(d->ledger, who->uid);
	km_ledger_stats(d->ledger, &stats);
	pthread_mutex_unlock(&d->ledger_lock);
	if (stats.nodes == 0) {
		decide_overlay_unref(last);
		return 0;
	}
	if (comparable(last, view, effects_revision)) {
		b.last = last;
		if (!own && !last->partial && last->revision == view->revision &&
		    last->generation == view->table->generation &&
		    decide_same_kind(&last->kind, &who->kind)) {
			view->overlay = last;
			return 0;
		}
	}
	rc = build(&b, effects_revision);
	if (rc == 0 && b.out != NULL) {
		keep(d, view, who, b.out);
		view->overlay = b.out;
		b.out = NULL;
	}
	decide_overlay_unref(b.out);
	decide_overlay_unref(last);
	decide_directory_unref(b.directory);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Effects as bytes: numbers of 8 bytes, little-endian, in the order of the structs; a checksum at
 * the end. What is read is from a disk that may have been damaged, or from a stranger: sizes are
 * compared with the length before anything is allocated, and every number with what it may be.
 *
 *   "KMEFFECT" version inputs traits | limits [4] counts [4] hands | what holds everywhere
 *   | platforms | workloads | cells | observations | checksum
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"

#include "effects_internal.h"

#define MAGIC      UINT64_C(0x5443454646454d4b) /* "KMEFFECT" in bytes */
#define VERSION    1
#define NUMBER_MAX 1e18 /* no result of ours is beyond, and no sum of products overflows */

/* Words of 8 bytes of one item, its key and mark included. */
enum {
	HEAD_WORDS = 16,
	COMMON_WORDS = EFFECTS_INPUTS + EFFECTS_PACKED + 2,
	PLATFORM_WORDS = 2 + 6 + EFFECTS_TRAITS + EFFECTS_INPUTS + EFFECTS_PACKED,
	WORKLOAD_WORDS = 2 + 6 + EFFECTS_TRAITS,
	CELL_WORDS = 2 + 3 + 4,
	KEPT_WORDS = 3 + 2,
};

/* One walk over everything, in one direction: `out` writes, otherwise `in` is read. */
struct walk {
	struct km_buf *out;
	const unsigned char *in;
	size_t at;
	const char *bad; /* the first thing that is none */
	bool short_of_memory;
};

static void put(struct km_buf *out, uint64_t v)
{
	unsigned char b[8];

	for (int i = 0; i < 8; i++)
		b[i] = (unsigned char)(v >> (8 * i));
	km_buf_append(out, b, sizeof(b));
}

static uint64_t get(const unsigned char *in)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v |= (uint64_t)in[i] << (8 * i);
	return v;
}

static void walk_u64(struct walk *w, uint64_t *v)
{
	if (w->out != NULL) {
		put(w->out, *v);
		return;
	}
	*v = get(w->in + w->at);
	w->at += 8;
}

static void walk_u32(struct walk *w, uint32_t *v, const char *what)
{
	uint64_t wide = *v;

	walk_u64(w, &wide);
	if (wide > UINT32_MAX && w->bad == NULL)
		w->bad = what;
	*v = (uint32_t)wide;
}

static void walk_any(struct walk *w, double *v)
{
	uint64_t bits;

	memcpy(&bits, v, sizeof(bits));
	walk_u64(w, &bits);
	memcpy(v, &bits, sizeof(bits));
}

static void walk_double(struct walk *w, double *v, const char *what)
{
	walk_any(w, v);
	if (!(fabs(*v) <= NUMBER_MAX) && w->bad == NULL)
		w->bad = what;
}

static void walk_doubles(struct walk *w, double *v, size_t count, const char *what)
{
	for (size_t i = 0; i < count; i++)
		walk_double(w, &v[i], what);
}

static void walk_at_least(struct walk *w, double *v, double least, const char *what)
{
	walk_double(w, v, what);
	if (*v < least && w->bad == NULL)
		w->bad = what;
}

static void walk_mean(struct walk *w, struct effects_mean *m)
{
	walk_double(w, &m->sum, "a mean's sum");
	walk_at_least(w, &m->weight, 0, "a mean's weight");
}

static void walk_common(struct walk *w, struct km_effects *e)
{
	walk_doubles(w, e->mean, EFFECTS_INPUTS, "a coefficient");
	walk_doubles(w, e->cov, EFFECTS_PACKED, "a covariance");
	walk_at_least(w, &e->noise, EFFECTS_NOISE_MIN, "noise");
	walk_at_least(w, &e->calibration, 0, "calibration");
}

typedef void walk_item_fn(struct walk *w, const struct km_effects *e, void *item, uint64_t key);

static void walk_platform(struct walk *w, const struct km_effects *e, void *item, uint64_t key)
{
	struct effects_platform *p = item;

	(void)e;
	(void)key;
	walk_double(w, &p->level, "a platform's level");
	walk_doubles(w, p->load, EFFECTS_TRAITS, "a platform's loads");
	walk_at_least(w, &p->described, 0, "a platform's count");
	walk_at_least(w, &p->noise, EFFECTS_NOISE_MIN, "a platform's noise");
	walk_at_least(w, &p->noise_sum, 0, "a platform's noise");
	walk_at_least(w, &p->count, 0, "a platform's count");
	walk_at_least(w, &p->weight, 0, "a platform's weight");
	walk_doubles(w, p->mean, EFFECTS_INPUTS, "a coefficient");
	walk_doubles(w, p->cov, EFFECTS_PACKED, "a covariance");
}

static void walk_workload(struct walk *w, const struct km_effects *e, void *item, uint64_t key)
{
	struct effects_workload *p = item;

	(void)e;
	(void)key;
	walk_double(w, &p->level, "a workload's level");
	walk_doubles(w, p->trait, EFFECTS_TRAITS, "a workload's traits");
	walk_at_least(w, &p->described, 0, "a workload's count");
	walk_mean(w, &p->sensitivity);
	walk_mean(w, &p->pressure);
}

/* A slot's number; in an item that is in use it must be one in use, or none where that may be. */
static void walk_slot(struct walk *w, uint32_t *i, const struct effects_pool *p, bool may_be_none)
{
	walk_u32(w, i, "a slot");
	if (w->bad == NULL && !(may_be_none && *i == EFFECTS_NONE) &&
	    (*i >= p->count || p->key[*i] == 0))
		w->bad = "a slot";
}

static void walk_cell(struct walk *w, const struct km_effects *e, void *item, uint64_t key)
{
	struct effects_cell *c = item;

	walk_u32(w, &c->platform, "a cell's platform");
	walk_u32(w, &c->workload, "a cell's workload");
	if (key != 0 && w->bad == NULL &&
	    (key != effects_cell_key(c->platform, c->workload) ||
	     c->platform >= e->platforms.count || e->platforms.key[c->platform] == 0 ||
	     c->workload >= e->workloads.count || e->workloads.key[c->workload] == 0))
		w->bad = "a cell's key";
	walk_any(w, &c->alone);
	if (isinf(c->alone) && w->bad == NULL)
		w->bad = "a time alone";
	walk_mean(w, &c->sensitivity);
	walk_mean(w, &c->pressure);
}

static void walk_kept(struct walk *w, const struct km_effects *e, struct effects_observation *o)
{
	walk_slot(w, &o->platform, &e->platforms, true);
	walk_slot(w, &o->subject, &e->workloads, true);
	walk_slot(w, &o->neighbour, &e->workloads, true);
	walk_double(w, &o->log_slowdown, "an observation");
	walk_at_least(w, &o->weight, 0, "an observation's weight");
}

/* A slot's key and mark. When reading, takes the slot. returns the key. */
static uint64_t walk_key(struct walk *w, struct effects_pool *p, uint32_t i)
{
	uint64_t key = w->out != NULL ? p->key[i] : 0;
	uint64_t seen = w->out != NULL && p->seen[i] ? 1 : 0;

	walk_u64(w, &key);
	walk_u64(w, &seen);
	if (w->out == NULL && w->bad == NULL) {
		int rc = effects_pool_restore(p, key, seen != 0);

		w->short_of_memory = rc == -ENOMEM;
		w->bad = rc != 0 ? "a key" : NULL;
	}
	return key;
}

static void walk_pool(struct walk *w, struct km_effects *e, struct effects_pool *p, uint32_t count,
                      walk_item_fn *item)
{
	for (uint32_t i = 0; i < count && w->bad == NULL; i++) {
		uint64_t key = walk_key(w, p, i);

		if (w->bad == NULL)
			item(w, e, effects_pool_at(p, i), key);
	}
}

/* What everything else's size follows from. */
struct head {
	uint64_t magic, version, inputs, traits;
	uint32_t limit[4], count[4]; /* platforms, workloads, cells, observations */
	uint32_t hand[3], next;
};

static void head_of(const struct km_effects *e, struct head *h)
{
	*h = (struct head){
		.magic = MAGIC,
		.version = VERSION,
		.inputs = EFFECTS_INPUTS,
		.traits = EFFECTS_TRAITS,
		.limit = { e->platforms.limit, e->workloads.limit, e->cells.limit, e->kept_limit },
		.count = { e->platforms.count, e->workloads.count, e->cells.count, e->kept_count },
		.hand = { e->platforms.hand, e->workloads.hand, e->cells.hand },
		.next = e->kept_next,
	};
}

static void walk_head(struct walk *w, struct head *h)
{
	walk_u64(w, &h->magic);
	walk_u64(w, &h->version);
	walk_u64(w, &h->inputs);
	walk_u64(w, &h->traits);
	for (int i = 0; i < 4; i++)
		walk_u32(w, &h->limit[i], "a limit");
	for (int i = 0; i < 4; i++)
		walk_u32(w, &h->count[i], "a count");
	for (int i = 0; i < 3; i++)
		walk_u32(w, &h->hand[i], "a position");
	walk_u32(w, &h->next, "a position");
}

static size_t size_of(const struct head *h)
{
	static const size_t words[4] = { PLATFORM_WORDS, WORKLOAD_WORDS, CELL_WORDS, KEPT_WORDS };
	size_t all = HEAD_WORDS + COMMON_WORDS + 1;

	for (int i = 0; i < 4; i++)
		all += words[i] * h->count[i];
	return all * 8;
}

static int head_check(const struct walk *w, const struct head *h, size_t len, struct km_err *err)
{
	static const uint32_t most[4] = { KM_EFFECTS_PLATFORMS_MAX, KM_EFFECTS_WORKLOADS_MAX,
		                          KM_EFFECTS_CELLS_MAX, KM_EFFECTS_OBSERVATIONS_MAX };

	if (h->magic != MAGIC)
		return km_err_set(err, EBADMSG, "effects: these bytes are none");
	if (h->version != VERSION || h->inputs != EFFECTS_INPUTS || h->traits != EFFECTS_TRAITS)
		return km_err_set(err, EBADMSG, "effects: version %llu, want %d",
		                  (unsigned long long)h->version, VERSION);
	for (int i = 0; i < 4; i++) {
		if (h->limit[i] == 0 || h->limit[i] > most[i] || h->count[i] > h->limit[i])
			return km_err_set(err, EBADMSG, "effects: %u of at most %u entries",
			                  h->count[i], h->limit[i]);
		if (i < 3 && h->hand[i] > 0 && h->hand[i] >= h->count[i])
			return km_err_set(err, EBADMSG, "effects: position %u of %u", h->hand[i],
			                  h->count[i]);
	}
	if (w->bad != NULL || h->next > h->count[3] ||
	    (h->count[3] < h->limit[3] && h->next != h->count[3]))
		return km_err_set(err, EBADMSG, "effects: the head is damaged");
	if (len != size_of(h))
		return km_err_set(err, EBADMSG, "effects: %zu bytes, want %zu", len, size_of(h));
	return 0;
}

static void walk_items(struct walk *w, struct km_effects *e, const struct head *h)
{
	walk_common(w, e);
	walk_pool(w, e, &e->platforms, h->count[0], walk_platform);
	walk_pool(w, e, &e->workloads, h->count[1], walk_workload);
	walk_pool(w, e, &e->cells, h->count[2], walk_cell);
	for (uint32_t i = 0; i < h->count[3] && w->bad == NULL; i++)
		walk_kept(w, e, &e->kept[i]);
}

void km_effects_write(const struct km_effects *e, struct km_buf *out)
{
	struct km_effects same = *e; /* the walk is one for both directions; nothing changes */
	struct walk w = { .out = out };
	size_t begin = out->len;
	struct head h;

	head_of(e, &h);
	walk_head(&w, &h);
	walk_items(&w, &same, &h);
	if (km_buf_ok(out))
		put(out, km_hash64(out->data + begin, out->len - begin, VERSION));
}

static int restore(struct walk *w, struct km_effects *e, const struct head *h, struct km_err *err)
{
	e->kept = h->count[3] > 0 ? calloc(h->count[3], sizeof(*e->kept)) : NULL;
	if (h->count[3] > 0 && e->kept == NULL)
		return km_err_set(err, ENOMEM, "effects: out of memory");
	e->kept_cap = h->count[3];
	e->kept_count = h->count[3];
	e->kept_next = h->next;
	walk_items(w, e, h);
	if (w->short_of_memory)
		return km_err_set(err, ENOMEM, "effects: out of memory");
	if (w->bad != NULL)
		return km_err_set(err, EBADMSG, "effects: %s at byte %zu is none", w->bad, w->at);
	e->platforms.hand = h->hand[0];
	e->workloads.hand = h->hand[1];
	e->cells.hand = h->hand[2];
	return 0;
}

int km_effects_read(const void *bytes, size_t len, struct km_effects **out, struct km_err *err)
{
	struct km_effects_limits limits;
	struct walk w = { .in = bytes };
	struct km_effects *e;
	struct head h = { 0 };
	int rc;

	*out = NULL;
	if (len < (size_t)(HEAD_WORDS + COMMON_WORDS + 1) * 8)
		return km_err_set(err, EBADMSG, "effects: %zu bytes are too few", len);
	walk_head(&w, &h);
	rc = head_check(&w, &h, len, err);
	if (rc != 0)
		return rc;
	if (get(w.in + len - 8) != km_hash64(bytes, len - 8, VERSION))
		return km_err_set(err, EBADMSG, "effects: the checksum differs");
	limits = (struct km_effects_limits){ h.limit[0], h.limit[1], h.limit[2], h.limit[3] };
	e = km_effects_create(&limits);
	if (e == NULL)
		return km_err_set(err, ENOMEM, "effects: out of memory");
	rc = restore(&w, e, &h, err);
	if (rc != 0) {
		km_effects_free(e);
		return rc;
	}
	*out = e;
	return 0;
}

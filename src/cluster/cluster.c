/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: built aside by the one writer, swapped in under a mutex that is held for a pointer,
 * freed by whoever lets go last. Entry: km_cluster_publish (writer), km_cluster_get (readers).
 */
#include "km/cluster/cluster.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cluster_internal.h"

struct km_cluster {
	pthread_mutex_t lock; /* `current`: the pointer and one reference on it */
	struct picture *current;
	uint64_t generation; /* the writer's, as is: */
	uint64_t topology;
};

static void block_unref(struct block *b)
{
	if (b == NULL || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1) {
		return;
	}
	for (size_t i = 0; i < BLOCK_NODES; i++) {
		km_host_features_unref(b->features[i]);
	}
	free(b);
}

static void picture_unref(struct picture *p)
{
	if (p == NULL || atomic_fetch_sub_explicit(&p->shown.refs, 1, memory_order_acq_rel) != 1) {
		return;
	}
	for (uint32_t i = 0; i < p->block_count; i++) {
		block_unref(p->block[i]);
	}
	cluster_topology_unref(p->topology);
	free(p->block);
	free(p);
}

/* A picture of t's nodes without features; takes a reference on t. NULL when out of memory. */
static struct picture *picture_create(struct topology *t, uint64_t generation)
{
	struct picture *p = malloc(sizeof(*p) + t->node_count * sizeof(p->node[0]));

	if (p == NULL) {
		return NULL;
	}
	*p = (struct picture){
		.shown = { .generation = generation,
		           .topology = t->id,
		           .node_count = t->node_count,
		           .node = p->node,
		           .index = &t->index },
		.block_count = (t->node_count + BLOCK_NODES - 1) / BLOCK_NODES,
	};
	atomic_init(&p->shown.refs, 1);
	p->block = calloc(p->block_count + 1u, sizeof(struct block *));
	if (p->block == NULL) {
		free(p);
		return NULL;
	}
	p->topology = cluster_topology_ref(t);
	return p;
}

/* Puts a node's row into p, in a block that is p's alone. */
static int put_row(struct picture *p, uint32_t node, struct km_host_features *f, uint32_t row)
{
	struct block *b = p->block[node / BLOCK_NODES];
	uint32_t at = node % BLOCK_NODES;

	if (b == NULL) {
		b = calloc(1, sizeof(*b));
		if (b == NULL) {
			return -ENOMEM;
		}
		atomic_init(&b->refs, 1);
		p->block[node / BLOCK_NODES] = b;
	}
	km_host_features_unref(b->features[at]);
	b->features[at] = f != NULL ? km_host_features_ref(f) : NULL;
	b->own[at] = true;
	p->node[node].features = f;
	p->node[node].row = row;
	return 0;
}

static int put_host(struct picture *p, struct km_host_features *f)
{
	const struct topology *t = p->topology;
	int rc = 0;

	for (uint32_t i = t->first[f->host]; i < t->first[f->host + 1] && rc == 0; i++) {
		rc = put_row(p, i, f, i - t->first[f->host]);
	}
	return rc;
}

static int put_rows(struct picture *p, const struct km_cluster_row *rows, size_t count)
{
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		if (rows[i].node < p->shown.node_count) {
			rc = put_row(p, rows[i].node, rows[i].features, rows[i].row);
		}
	}
	return rc;
}

/* What p's own blocks have no news of stays as it was; all other blocks are shared. */
static void share_rest(struct picture *p, const struct picture *old)
{
	for (uint32_t i = 0; i < p->block_count; i++) {
		struct block *from = old->block[i];
		struct block *to = p->block[i];

		if (from == NULL) {
			continue;
		}
		if (to == NULL) {
			atomic_fetch_add_explicit(&from->refs, 1, memory_order_relaxed);
			p->block[i] = from;
			continue;
		}
		for (size_t n = 0; n < BLOCK_NODES; n++) {
			if (!to->own[n] && from->features[n] != NULL) {
				to->features[n] = km_host_features_ref(from->features[n]);
			}
		}
	}
}

static void swap_in(struct km_cluster *c, struct picture *p)
{
	struct picture *old;

	pthread_mutex_lock(&c->lock);
	old = c->current;
	c->current = p;
	pthread_mutex_unlock(&c->lock);
	picture_unref(old);
}

/* A picture of the same nodes and, so far, their old rows. NULL when out of memory. */
static struct picture *next_picture(struct km_cluster *c)
{
	const struct picture *old = c->current; /* only the writer changes it: no lock to read */
	struct picture *p = picture_create(old->topology, c->generation + 1);

	if (p != NULL) {
		memcpy(p->node, old->node, old->shown.node_count * sizeof(p->node[0]));
	}
	return p;
}

/* rc: of what was put into p. */
static int publish(struct km_cluster *c, struct picture *p, int rc)
{
	if (rc != 0) {
		picture_unref(p);
		return rc;
	}
	share_rest(p, c->current);
	c->generation++;
	swap_in(c, p);
	return 0;
}

int km_cluster_publish(struct km_cluster *c, struct km_host_features *const *hosts,
                       size_t host_count)
{
	const struct topology *t = c->current->topology;
	struct picture *p = next_picture(c);
	int rc = p == NULL ? -ENOMEM : 0;

	for (size_t i = 0; i < host_count && rc == 0; i++) {
		uint32_t h = hosts[i]->host;

		if (h < t->host_count && hosts[i]->node_count == t->first[h + 1] - t->first[h]) {
			rc = put_host(p, hosts[i]);
		}
	}
	return publish(c, p, rc);
}

int km_cluster_publish_rows(struct km_cluster *c, const struct km_cluster_row *rows, size_t count)
{
	struct picture *p = next_picture(c);

	return publish(c, p, p != NULL ? put_rows(p, rows, count) : -ENOMEM);
}

/* A picture of a new topology, ready to be swapped in. */
static int picture_of(struct km_cluster *c, const struct km_cluster_host *hosts, size_t host_count,
                      struct picture **out, struct km_err *err)
{
	struct topology *t;
	int rc = cluster_topology_create(hosts, host_count, c->topology + 1, &t, err);

	if (rc != 0) {
		return rc;
	}
	*out = picture_create(t, c->generation + 1);
	if (*out == NULL) {
		rc = km_err_set(err, ENOMEM, "cluster picture: out of memory");
	} else {
		memcpy((*out)->node, t->node, t->node_count * sizeof(t->node[0]));
		c->topology++;
		c->generation++;
	}
	cluster_topology_unref(t);
	return rc;
}

int km_cluster_create(const struct km_cluster_host *hosts, size_t host_count,
                      struct km_cluster **out, struct km_err *err)
{
	struct km_cluster *c = calloc(1, sizeof(*c));
	int rc;

	*out = NULL;
	if (c == NULL) {
		return km_err_set(err, ENOMEM, "cluster picture: out of memory");
	}
	rc = picture_of(c, hosts, host_count, &c->current, err);
	if (rc != 0) {
		free(c);
		return rc;
	}
	(void)pthread_mutex_init(&c->lock, NULL); /* never fails with default attributes */
	*out = c;
	return 0;
}

void km_cluster_free(struct km_cluster *c)
{
	if (c == NULL) {
		return;
	}
	picture_unref(c->current);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

int km_cluster_set_hosts(struct km_cluster *c, const struct km_cluster_host *hosts,
                         size_t host_count, struct km_err *err)
{
	struct picture *p;
	int rc = picture_of(c, hosts, host_count, &p, err);

	if (rc == 0) {
		swap_in(c, p);
	}
	return rc;
}

int km_cluster_set_nodes(struct km_cluster *c, const char *const *name, size_t count,
                         const struct km_cluster_row *rows, size_t row_count, struct km_err *err)
{
	const struct km_cluster_host all = { name, count };
	struct picture *p;
	int rc = picture_of(c, &all, 1, &p, err);

	if (rc != 0) {
		return rc;
	}
	rc = put_rows(p, rows, row_count);
	if (rc != 0) {
		picture_unref(p);
		return km_err_set(err, ENOMEM, "cluster picture: out of memory");
	}
	swap_in(c, p);
	return 0;
}

const struct km_cluster_snapshot *km_cluster_get(struct km_cluster *c)
{
	struct picture *p;

	pthread_mutex_lock(&c->lock);
	p = c->current;
	atomic_fetch_add_explicit(&p->shown.refs, 1, memory_order_relaxed);
	pthread_mutex_unlock(&c->lock);
	return &p->shown;
}

void km_cluster_put(const struct km_cluster_snapshot *s)
{
	/* The content is immutable, the count of its holders is not; a snapshot is always ours. */
	union {
		const struct km_cluster_snapshot *in;
		struct picture *out;
	} u = { .in = s };

	picture_unref(u.out);
}

int64_t km_cluster_find(const struct km_cluster_snapshot *s, const char *name, size_t len)
{
	uint32_t at;

	return km_map_get(s->index, name, len, &at) ? (int64_t)at : -1;
}

void km_cluster_find_many(const struct km_cluster_snapshot *s, const struct km_name *names,
                          size_t count, int64_t *index)
{
	struct km_map_key key[KM_MAP_MANY];

	for (size_t done = 0; done < count; done += KM_MAP_MANY) {
		size_t some = count - done < KM_MAP_MANY ? count - done : KM_MAP_MANY;

		for (size_t i = 0; i < some; i++)
			key[i] = (struct km_map_key){ names[done + i].text, names[done + i].len };
		km_map_get_many(s->index, key, some, index + done);
	}
}

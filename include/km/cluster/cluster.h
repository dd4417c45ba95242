/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture of the cluster that decisions are made from: node names and, for each, the newest
 * feature row with its age. Snapshots are immutable; a new one is built aside and swapped in.
 */
#ifndef KM_CLUSTER_CLUSTER_H
#define KM_CLUSTER_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/core/host_features.h"
#include "km/core/name.h"
#include "km/core/schema.h"

struct km_cluster;

struct km_cluster_node {
	const char *name; /* borrowed from the snapshot */
	uint32_t name_len;
	uint32_t row;                      /* in `features` */
	struct km_host_features *features; /* NULL = never published; borrowed from the snapshot */
};

struct km_cluster_snapshot {
	_Atomic uint32_t refs;
	uint64_t generation; /* of this cluster: grows with every snapshot */
	uint64_t topology;   /* of this cluster: same number = same node at the same index */
	uint32_t node_count;
	const struct km_cluster_node *node; /* [node_count] */
	const struct km_map *index;         /* name -> position in node[] */
};

/* A host as the picture wants it: the names of its nodes, in row order. */
struct km_cluster_host {
	const char *const *node_name; /* [node_count], borrowed for the call */
	size_t node_count;
};

/*
 * returns 0 and *out owned; -EEXIST when a node name appears twice (names it), -ENOMEM.
 */
int km_cluster_create(const struct km_cluster_host *hosts, size_t host_count,
                      struct km_cluster **out, struct km_err *err) KM_MUST_CHECK;
void km_cluster_free(struct km_cluster *c);

/*
 * Another layout, after a reload: publishes a snapshot of the new nodes, without data, under a new
 * topology. Requests in progress finish on the snapshot they hold. The publishing thread must be
 * stopped meanwhile; what it published for the old layout is dropped.
 * returns as km_cluster_create; after an error the old layout stands.
 */
int km_cluster_set_hosts(struct km_cluster *c, const struct km_cluster_host *hosts,
                         size_t host_count, struct km_err *err) KM_MUST_CHECK;

/*
 * Takes references on the given rows and publishes a new snapshot with them in place of the old
 * ones; the other hosts keep theirs. Rows of a host the layout does not have, or with another
 * number of nodes, are left out: they belong to a former layout.
 * returns 0, or -ENOMEM (the old snapshot stands). One writer thread.
 */
int km_cluster_publish(struct km_cluster *c, struct km_host_features *const *hosts,
                       size_t host_count);

/* A node's row, by the node's position in the picture. */
struct km_cluster_row {
	uint32_t node;
	uint32_t row;                      /* in `features` */
	struct km_host_features *features; /* NULL = none; a reference is taken */
};

/*
 * For whoever gathers rows of many agents: nodes, one by one, whatever host they are on. The first
 * gives the picture other nodes, with the rows that are known of them, under a new topology; the
 * second puts rows in place of old ones. One writer thread, and no other writer.
 * return 0; -EEXIST, -ENOMEM: the old picture stands.
 */
int km_cluster_set_nodes(struct km_cluster *c, const char *const *name, size_t count,
                         const struct km_cluster_row *rows, size_t row_count,
                         struct km_err *err) KM_MUST_CHECK;
int km_cluster_publish_rows(struct km_cluster *c, const struct km_cluster_row *rows, size_t count);

/* The current snapshot, with a reference for the caller. Never NULL. Any thread. */
const struct km_cluster_snapshot *km_cluster_get(struct km_cluster *c);
void km_cluster_put(const struct km_cluster_snapshot *s); /* NULL allowed */

/* returns the node's index, or -1. Any thread holding the snapshot. */
int64_t km_cluster_find(const struct km_cluster_snapshot *s, const char *name, size_t len);

/* The same for many names: index [count]. Cheaper than one by one. */
void km_cluster_find_many(const struct km_cluster_snapshot *s, const struct km_name *names,
                          size_t count, int64_t *index);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the cluster picture. What a snapshot owns is shared with its neighbours in time:
 *
 *   picture --> topology      names, map, which nodes a host has    until the layout changes
 *           --> block[0..n]   rows of BLOCK_NODES nodes             until one of them is new
 *           --> node[]        flat, borrowed from the two above     own
 *
 * so publishing one host of 5,000 copies an array and one block, not 5,000 references.
 */
#ifndef KM_CLUSTER_INTERNAL_H
#define KM_CLUSTER_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "km/base/map.h"
#include "km/cluster/cluster.h"

#define BLOCK_NODES 64

struct block {
	_Atomic uint32_t refs;
	struct km_host_features *features[BLOCK_NODES]; /* a reference each; NULL = none */
	bool own[BLOCK_NODES]; /* put there by the picture that is being built */
};

struct topology {
	_Atomic uint32_t refs;
	uint64_t id;
	uint32_t host_count;
	uint32_t node_count;
	uint32_t *first; /* [host_count + 1]: the nodes of host h are first[h] .. first[h + 1] */
	char *names;     /* NUL-terminated, one behind the other */
	struct km_map index;
	struct km_cluster_node *node; /* [node_count]: named, without features */
};

struct picture {
	struct km_cluster_snapshot shown; /* first: what readers get a pointer to */
	struct topology *topology;
	struct block **block; /* [block_count] */
	uint32_t block_count;
	struct km_cluster_node node[];
};

/* returns 0; -EEXIST, -ENOMEM. */
int cluster_topology_create(const struct km_cluster_host *hosts, size_t host_count, uint64_t id,
                            struct topology **out, struct km_err *err) KM_MUST_CHECK;
struct topology *cluster_topology_ref(struct topology *t);
void cluster_topology_unref(struct topology *t); /* NULL allowed */

#endif

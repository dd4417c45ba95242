/* SPDX-License-Identifier: Apache-2.0 */
/* Which nodes there are and where: built once per layout, shared by its snapshots. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cluster_internal.h"

struct topology *cluster_topology_ref(struct topology *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void cluster_topology_unref(struct topology *t)
{
	if (t == NULL || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1) {
		return;
	}
	km_map_fini(&t->index);
	free(t->node);
	free(t->names);
	free(t->first);
	free(t);
}

/* Names of requests are looked up in the map: nobody outside may know where they collide. */
static uint64_t map_seed(const struct topology *t)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed)) {
		seed = (uint64_t)(uintptr_t)t; /* early boot: where the heap happens to be */
	}
	return seed;
}

static int alloc(struct topology *t, const struct km_cluster_host *hosts, size_t host_count)
{
	size_t node_count = 0;
	size_t bytes = 0;

	for (size_t h = 0; h < host_count; h++) {
		for (size_t i = 0; i < hosts[h].node_count; i++) {
			bytes += strlen(hosts[h].node_name[i]) + 1;
		}
		node_count += hosts[h].node_count;
	}
	if (host_count >= UINT32_MAX || node_count >= UINT32_MAX) {
		return -ENOMEM;
	}
	t->host_count = (uint32_t)host_count;
	t->node_count = (uint32_t)node_count;
	t->first = calloc(host_count + 1, sizeof(*t->first));
	t->names = malloc(bytes + 1);
	t->node = calloc(node_count + 1, sizeof(*t->node));
	if (t->first == NULL || t->names == NULL || t->node == NULL) {
		return -ENOMEM;
	}
	return km_map_reserve(&t->index, node_count);
}

static int fill(struct topology *t, const struct km_cluster_host *hosts, struct km_err *err)
{
	char *name = t->names;
	uint32_t at = 0;

	for (uint32_t h = 0; h < t->host_count; h++) {
		t->first[h] = at;
		for (uint32_t row = 0; row < hosts[h].node_count; row++, at++) {
			size_t len = strlen(hosts[h].node_name[row]);
			int rc;

			memcpy(name, hosts[h].node_name[row], len + 1);
			t->node[at] = (struct km_cluster_node){ .name = name,
				                                .name_len = (uint32_t)len,
				                                .row = row };
			rc = km_map_add(&t->index, name, len, at, NULL);
			if (rc == -EEXIST) {
				return km_err_set(err, EEXIST,
				                  "node \"%.64s\": named twice, wanted once", name);
			}
			if (rc != 0) {
				return rc;
			}
			name += len + 1;
		}
	}
	t->first[t->host_count] = at;
	return 0;
}

int cluster_topology_create(const struct km_cluster_host *hosts, size_t host_count, uint64_t id,
                            struct topology **out, struct km_err *err)
{
	struct topology *t = calloc(1, sizeof(*t));
	int rc = -ENOMEM;

	*out = NULL;
	if (t != NULL) {
		atomic_init(&t->refs, 1);
		t->id = id;
		km_map_init(&t->index, map_seed(t));
		rc = alloc(t, hosts, host_count);
		if (rc == 0) {
			rc = fill(t, hosts, err);
		}
	}
	if (rc != 0) {
		cluster_topology_unref(t);
		return rc == -ENOMEM ? km_err_set(err, ENOMEM, "cluster picture: out of memory")
		                     : rc;
	}
	*out = t;
	return 0;
}

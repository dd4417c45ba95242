/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a schema and the nodes' CPU sets to the rings that are needed, and no others: a series is
 * kept for a (CPU set, metric) pair only if some feature reads it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core_internal.h"

static const struct km_scope_sets scope_sets[KM_SCOPE_N] = {
	[KM_SCOPE_NODE] = { KM_SET_NODE, 0, false },
	[KM_SCOPE_NODE_MIN] = { KM_SET_CPU, 0, false },
	[KM_SCOPE_NODE_MAX] = { KM_SET_CPU, 0, false },
	[KM_SCOPE_NODE_SPREAD] = { KM_SET_CPU, 0, false },
	[KM_SCOPE_REST] = { KM_SET_REST, 0, false },
	[KM_SCOPE_PEER] = { KM_SET_PEER, 0, false },
	[KM_SCOPE_SPARE] = { KM_SET_SPARE, 0, false },
	[KM_SCOPE_NODE_VS_PEER] = { KM_SET_NODE, KM_SET_PEER, true },
	[KM_SCOPE_NODE_VS_REST] = { KM_SET_NODE, KM_SET_REST, true },
	[KM_SCOPE_NODE_VS_SPARE] = { KM_SET_NODE, KM_SET_SPARE, true },
	[KM_SCOPE_HOST] = { KM_SET_HOST, 0, false },
};

const struct km_scope_sets *km_scope_sets(enum km_scope s)
{
	return &scope_sets[s];
}

_Static_assert(KM_METRIC_N <= 32, "a set's metrics are a 32-bit mask");

static void metrics_by_kind(const struct km_schema *schema, uint32_t *metrics)
{
	memset(metrics, 0, KM_SET_KIND_N * sizeof(metrics[0]));
	for (uint32_t i = 0; i < schema->count; i++) {
		const struct km_feature *f = &schema->feature[i];
		const struct km_scope_sets *sets;

		if (f->scope >= KM_SCOPE_POD) {
			continue;
		}
		sets = &scope_sets[f->scope];
		metrics[sets->kind] |= UINT32_C(1) << f->metric;
		if (sets->has_versus) {
			metrics[sets->versus] |= UINT32_C(1) << f->metric;
		}
	}
}

struct builder {
	struct km_layout *l;
	const struct km_cpuset *node_cpus;
	size_t node_count;
	uint32_t metrics[KM_SET_KIND_N];
	uint32_t pool_used;
};

/* Adds a set of the CPUs gathered at the end of the pool, unless it is empty or nothing reads it.
 */
static uint32_t add_set(struct builder *b, uint32_t cpu_count, enum km_set_kind kind)
{
	struct km_layout *l = b->l;
	struct km_set *set;

	if (b->metrics[kind] == 0 || (cpu_count == 0 && kind != KM_SET_HOST)) {
		return KM_SET_NONE;
	}
	set = &l->set[l->set_count];
	set->of.cpus.cpu = l->cpu_pool + b->pool_used;
	set->of.cpus.count = cpu_count;
	set->of.node = KM_NO_NODE;
	set->of.is_host = kind == KM_SET_HOST;
	set->metrics = b->metrics[kind];
	b->pool_used += cpu_count;
	return l->set_count++;
}

/* Gathers the host's CPUs that are in `in` (NULL: any) and not in `out` (NULL: none). */
static uint32_t gather(struct builder *b, const struct km_cpuset *in, const struct km_cpuset *out)
{
	uint16_t *list = b->l->cpu_pool + b->pool_used;
	uint32_t count = 0;

	for (uint32_t cpu = 0; cpu < b->l->cpu_count; cpu++) {
		if ((in == NULL || km_cpuset_has(in, cpu)) &&
		    (out == NULL || !km_cpuset_has(out, cpu))) {
			list[count++] = (uint16_t)cpu;
		}
	}
	return count;
}

static uint32_t share_set(struct builder *b, uint32_t set, enum km_set_kind kind)
{
	if (set == KM_SET_NONE || b->metrics[kind] == 0) {
		return KM_SET_NONE;
	}
	b->l->set[set].metrics |= b->metrics[kind];
	return set;
}

static void add_cpu_sets(struct builder *b, const struct km_cpuset *cpus)
{
	struct km_layout *l = b->l;

	km_cpuset_each (cpu, cpus) {
		if (cpu >= l->cpu_count) {
			break;
		}
		l->cpu_pool[b->pool_used] = (uint16_t)cpu;
		l->cpu_set[cpu] = add_set(b, 1, KM_SET_CPU);
	}
}

static void add_node_sets(struct builder *b, size_t node, const struct km_cpuset *all_nodes,
                          uint32_t host_set, uint32_t spare_set)
{
	const struct km_cpuset *own = &b->node_cpus[node];
	uint32_t *of = b->l->node_set + node * KM_SET_KIND_N;
	struct km_cpuset others = *all_nodes;
	unsigned own_first = km_cpuset_next(own, 0);
	bool one_cpu = own_first < b->l->cpu_count &&
	               km_cpuset_next(own, own_first + 1) >= b->l->cpu_count;

	for (size_t w = 0; w < KM_ARRAY_LEN(others.word); w++) {
		others.word[w] &= ~own->word[w];
	}
	add_cpu_sets(b, own);
	of[KM_SET_HOST] = host_set;
	of[KM_SET_SPARE] = spare_set;
	of[KM_SET_CPU] = KM_SET_NONE;
	if (one_cpu && b->l->cpu_set[own_first] != KM_SET_NONE) {
		of[KM_SET_NODE] = share_set(b, b->l->cpu_set[own_first], KM_SET_NODE);
	} else {
		of[KM_SET_NODE] = add_set(b, gather(b, own, NULL), KM_SET_NODE);
	}
	if (of[KM_SET_NODE] != KM_SET_NONE) {
		b->l->set[of[KM_SET_NODE]].of.node = (uint32_t)node;
	}
	of[KM_SET_PEER] = add_set(b, gather(b, &others, NULL), KM_SET_PEER);
	if (spare_set == KM_SET_NONE && of[KM_SET_PEER] != KM_SET_NONE &&
	    gather(b, NULL, all_nodes) == 0) {
		of[KM_SET_REST] = share_set(b, of[KM_SET_PEER], KM_SET_REST);
	} else {
		of[KM_SET_REST] = add_set(b, gather(b, NULL, own), KM_SET_REST);
	}
}

static int add_rings(struct km_layout *l, uint32_t ring_cap)
{
	size_t each = 2 * (size_t)ring_cap;

	for (uint32_t i = 0; i < l->set_count; i++) {
		l->set[i].first = l->ring_count;
		l->ring_count += (uint32_t)__builtin_popcount(l->set[i].metrics);
	}
	l->ring = calloc((size_t)l->ring_count + 1, sizeof(l->ring[0]));
	l->ring_pool = calloc((size_t)l->ring_count + 1, each * sizeof(l->ring_pool[0]));
	if (l->ring == NULL || l->ring_pool == NULL) {
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < l->ring_count; i++) {
		km_ring_init_in(&l->ring[i], l->ring_pool + i * each, ring_cap);
	}
	return 0;
}

int km_layout_init(struct km_layout *l, const struct km_schema *schema, uint32_t ring_cap,
                   const struct km_cpuset *node_cpus, size_t node_count, uint32_t cpu_count)
{
	struct builder b = { .l = l, .node_cpus = node_cpus, .node_count = node_count };
	size_t sets = 2 + 3 * node_count + cpu_count;
	/* host, spare, and for each node: its own, peer and rest; each CPU alone; one gather over
	 */
	size_t pool = (3 + 3 * node_count + 1) * (size_t)cpu_count + 1;
	struct km_cpuset all_nodes = { 0 };
	uint32_t host_set;
	uint32_t spare_set;

	memset(l, 0, sizeof(*l));
	l->cpu_count = cpu_count;
	l->set = calloc(sets, sizeof(l->set[0]));
	l->node_set = calloc(node_count * KM_SET_KIND_N + 1, sizeof(l->node_set[0]));
	l->cpu_set = calloc((size_t)cpu_count + 1, sizeof(l->cpu_set[0]));
	l->cpu_pool = calloc(pool, sizeof(l->cpu_pool[0]));
	if (l->set == NULL || l->node_set == NULL || l->cpu_set == NULL || l->cpu_pool == NULL) {
		km_layout_fini(l);
		return -ENOMEM;
	}
	for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
		l->cpu_set[cpu] = KM_SET_NONE;
	}
	for (size_t i = 0; i < node_count; i++) {
		for (size_t w = 0; w < KM_ARRAY_LEN(all_nodes.word); w++) {
			all_nodes.word[w] |= node_cpus[i].word[w];
		}
	}
	metrics_by_kind(schema, b.metrics);
	host_set = add_set(&b, gather(&b, NULL, NULL), KM_SET_HOST);
	spare_set = add_set(&b, gather(&b, NULL, &all_nodes), KM_SET_SPARE);
	for (size_t i = 0; i < node_count; i++) {
		add_node_sets(&b, i, &all_nodes, host_set, spare_set);
	}
	if (add_rings(l, ring_cap) != 0) {
		km_layout_fini(l);
		return -ENOMEM;
	}
	return 0;
}

void km_layout_fini(struct km_layout *l)
{
	free(l->ring_pool);
	free(l->ring);
	free(l->cpu_pool);
	free(l->cpu_set);
	free(l->node_set);
	free(l->set);
	memset(l, 0, sizeof(*l));
}

const struct km_ring *km_layout_ring(const struct km_layout *l, uint32_t set, enum km_metric m)
{
	const struct km_set *s;
	uint32_t before;

	if (set == KM_SET_NONE) {
		return NULL;
	}
	s = &l->set[set];
	before = s->metrics & ((UINT32_C(1) << m) - 1);
	return &l->ring[s->first + (uint32_t)__builtin_popcount(before)];
}

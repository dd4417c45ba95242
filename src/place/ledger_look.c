/* SPDX-License-Identifier: Apache-2.0 */
/* What the ledger tells: which nodes have entries, what is on one, and a number for it. */
#include "km/base/hash.h"

#include "ledger_internal.h"

/* What an item is to a digest. */
struct trace {
	uint64_t kind;
	int64_t running_ns;
	float weight;
	uint32_t state;
};
_Static_assert(sizeof(struct trace) == 24, "no padding");

/* *count: of the items that are told. */
static uint64_t digest_of(const struct km_ledger *l, uint32_t n, uint64_t except, size_t *count)
{
	uint64_t digest = l->node[n].platform;

	*count = 0;
	for (uint32_t p = l->node[n].oldest; p != 0; p = l->place[p].newer) {
		const struct ledger_entry *e = &l->entry[l->place[p].entry];
		const struct trace t = { l->kind[e->kind].id, e->running_ns, l->place[p].weight,
			                 e->state };

		if (except == 0 || e->uid != except) {
			digest = km_hash64(&t, sizeof(t), digest);
			++*count;
		}
	}
	return digest;
}

static bool is_on(const struct km_ledger *l, uint32_t e, uint32_t n)
{
	for (uint32_t p = e != 0 ? l->entry[e].place : 0; p != 0; p = l->place[p].next) {
		if (l->place[p].node == n) {
			return true;
		}
	}
	return false;
}

/* returns false when nothing is there but `except`, whose entry is `own`. */
static bool tell(struct km_ledger *l, uint32_t n, uint64_t except, uint32_t own,
                 struct km_ledger_busy *out)
{
	struct ledger_node *node = &l->node[n];
	size_t count = 1;

	if (node->oldest == 0) {
		return false;
	}
	*out = (struct km_ledger_busy){ .node = node->key,
		                        .platform = node->platform,
		                        .tag = node->tag };
	if (is_on(l, own, n)) {
		out->digest = digest_of(l, n, except, &count);
		return count > 0;
	}
	if (!node->digest_holds) {
		node->digest = digest_of(l, n, 0, &count);
		node->digest_holds = true;
	}
	out->digest = node->digest;
	return true;
}

size_t km_ledger_busy(struct km_ledger *l, uint64_t except, struct km_ledger_busy *out, size_t max)
{
	uint32_t own = except != 0 ? ledger_entry_find(l, except) : 0;
	struct km_ledger_busy busy;
	size_t count = 0;

	for (uint32_t n = 1; n <= l->nodes.top; n++) {
		if (tell(l, n, except, own, &busy)) {
			if (count < max) {
				out[count] = busy;
			}
			count++;
		}
	}
	return count;
}

size_t km_ledger_items(struct km_ledger *l, uint64_t node, uint64_t except,
                       struct km_ledger_item *item, size_t max, struct km_ledger_busy *busy)
{
	uint32_t n = ledger_node_find(l, node);
	uint32_t own = except != 0 ? ledger_entry_find(l, except) : 0;
	size_t count = 0;

	*busy = (struct km_ledger_busy){ .node = node };
	if (n == 0 || !tell(l, n, except, own, busy)) {
		busy->platform = l->node[n].platform; /* position 0 is never used: zeroes */
		return 0;
	}
	for (uint32_t p = l->node[n].oldest; p != 0; p = l->place[p].newer) {
		const struct ledger_entry *e = &l->entry[l->place[p].entry];

		if (except != 0 && e->uid == except) {
			continue;
		}
		if (count < max) {
			item[count] = (struct km_ledger_item){
				.kind = l->kind[e->kind].kind,
				.weight = (double)l->place[p].weight,
				.bound = e->state == LEDGER_BOUND,
				.running_ns = e->running_ns,
			};
		}
		count++;
	}
	return count;
}

bool km_ledger_where(const struct km_ledger *l, uint64_t uid, uint64_t *node,
                     struct km_pod_kind *kind)
{
	uint32_t e = uid != 0 ? ledger_entry_find(l, uid) : 0;

	if (e == 0 || l->entry[e].state != LEDGER_BOUND || l->entry[e].place == 0) {
		return false;
	}
	*node = l->node[l->place[l->entry[e].place].node].key;
	*kind = l->kind[l->entry[e].kind].kind;
	return true;
}

uint32_t km_ledger_service_count(const struct km_ledger *l, uint64_t service)
{
	uint32_t count = 0;

	for (uint32_t k = 1; service != 0 && k <= l->kinds.top; k++) {
		if (l->kind[k].entries > 0 && l->kind[k].kind.service == service) {
			count += l->kind[k].running;
		}
	}
	return count;
}

void km_ledger_stats(const struct km_ledger *l, struct km_ledger_stats *out)
{
	*out = l->stats;
	out->entries = l->entries.used;
	out->kinds = l->kinds.used - 1;
}

/* The nodes of one entry, behind `count` others. returns how many there are then. */
static size_t add_nodes(const struct km_ledger *l, uint32_t e, uint64_t *node, size_t max,
                        size_t count)
{
	for (uint32_t p = l->entry[e].place; p != 0; p = l->place[p].next) {
		if (count < max) {
			node[count] = l->node[l->place[p].node].key;
		}
		count++;
	}
	return count;
}

size_t km_ledger_service_nodes(const struct km_ledger *l, uint64_t service, uint64_t *node,
                               size_t max)
{
	size_t count = 0;

	for (uint32_t k = 1; service != 0 && k <= l->kinds.top; k++) {
		uint32_t e = l->kind[k].kind.service == service && l->kind[k].entries > 0
		                     ? l->kind[k].first
		                     : 0;

		for (; e != 0; e = l->entry[e].alike_after) {
			count = add_nodes(l, e, node, max, count);
		}
	}
	return count;
}

double km_ledger_unseen(const struct km_ledger_item *item, int64_t end_ns, double window_s)
{
	double seen = ((double)end_ns - (double)item->running_ns) * 1e-9 / window_s;

	if (item->running_ns == INT64_MAX || !(seen > 0)) {
		return item->weight;
	}
	return seen < 1 ? item->weight * (1 - seen) : 0;
}

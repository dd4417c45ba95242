/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Observed slowdowns as lessons. A query tells what a policy's pods suffer on a node, not from
 * whom; so only where exactly one other pod with a class is there besides them, it is taken to be
 * that one's.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policy_internal.h"

#define NODES_MAX 256 /* of one policy */

struct lesson {
	size_t others;
	uint64_t neighbour; /* what effects know it as */
};

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct km_status_node *)a)->name,
	              ((const struct km_status_node *)b)->name);
}

/* The node's place among those of the policy, which are by name; SIZE_MAX = none of them. */
static size_t place_of(const struct policy_facts *facts, struct km_name node)
{
	struct km_status_node key = { .pods = 0 };
	const struct km_status_node *found;

	if (node.len == 0 || node.len >= sizeof(key.name) || facts->nodes == 0) {
		return SIZE_MAX;
	}
	memcpy(key.name, node.text, node.len);
	key.name[node.len] = '\0';
	found = bsearch(&key, facts->node, facts->nodes, sizeof(key), by_text);
	return found != NULL ? (size_t)(found - facts->node) : SIZE_MAX;
}

static bool is_own(const struct round_policy *p, const struct km_view_pod *pod)
{
	return km_policy_matches(p->policy, &pod->pod);
}

static uint64_t platform_of(const struct policy_round *r, const char *node)
{
	for (size_t i = 0; i < r->nodes; i++) {
		struct km_name name = r->node[i].at->name;
		struct km_name platform = r->node[i].at->platform;

		if (name.len == strlen(node) && memcmp(name.text, node, name.len) == 0) {
			return platform.len > 0 ? km_decide_effects_key(platform.text, platform.len)
			                        : 0;
		}
	}
	return 0;
}

static void find_neighbours(struct km_decide *decide, const struct policy_round *r,
                            const struct round_policy *p, const struct policy_facts *facts,
                            struct lesson *lesson)
{
	const struct km_view_pod *pod;
	size_t at = 0;

	while ((pod = km_view_next_pod(r->view, &at)) != NULL) {
		size_t place = place_of(facts, pod->node);
		struct km_subject who;

		if (place >= NODES_MAX || !isfinite(facts->node[place].observed) ||
		    is_own(p, pod)) {
			continue;
		}
		km_decide_subject(decide, &pod->pod, &who);
		if (who.kind.effects !=
		    0) { /* others, as agents that are everywhere, are no news */
			lesson[place].others++;
			lesson[place].neighbour = who.kind.effects;
		}
	}
}

void learn_round(struct km_decide *decide, const struct policy_round *r,
                 const struct round_policy *p, const struct policy_facts *facts)
{
	struct lesson lesson[NODES_MAX] = { { .others = 0 } };
	struct km_subject who;
	bool any = false;

	for (size_t i = 0; i < facts->nodes; i++) {
		any = any || isfinite(facts->node[i].observed);
	}
	if (!any || p->pods == 0) {
		return;
	}
	km_decide_subject(decide, &p->pod[0].at->pod, &who);
	if (who.kind.effects == 0) {
		return;
	}
	qsort(facts->node, facts->nodes, sizeof(facts->node[0]), by_text);
	find_neighbours(decide, r, p, facts, lesson);
	for (size_t i = 0; i < facts->nodes && i < NODES_MAX; i++) {
		double observed = facts->node[i].observed;

		if (isfinite(observed) && observed > 0 && lesson[i].others == 1 &&
		    lesson[i].neighbour != 0) {
			(void)km_decide_observe_effect(decide, platform_of(r, facts->node[i].name),
			                               who.kind.effects, lesson[i].neighbour,
			                               log(observed), 1);
		}
	}
}

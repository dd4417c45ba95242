/* SPDX-License-Identifier: Apache-2.0 */
/* Which agent holds a node, and pictures of it: everything that is published is published here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/log.h"

#include "gather_internal.h"

static bool has_data(const struct gather_row *r)
{
	return r->features != NULL && r->features->version != 0 &&
	       r->features->measured_mono_ns != 0;
}

static bool is_fresh(const struct km_gather *g, const struct gather_row *r, int64_t now_ns)
{
	return has_data(r) && !r->agent->gone &&
	       now_ns - r->features->measured_mono_ns <= g->max_age_ns;
}

static bool is_own(const struct km_gather *g, const struct gather_row *r)
{
	const struct gather_agent *a = r->agent;

	return a == &g->local || (a->node_len == r->node->name_len &&
	                          memcmp(a->node, r->node->name, a->node_len) == 0);
}

/* Better by what does not change from one answer to the next: below 0 = a, above = b. */
static int compare_kind(const struct km_gather *g, const struct gather_row *a,
                        const struct gather_row *b)
{
	if (a->features->tier != b->features->tier) {
		return a->features->tier < b->features->tier ? -1 : 1;
	}
	return (int)is_own(g, b) - (int)is_own(g, a);
}

/* The whole order, for when nobody holds the node. */
static bool is_better(const struct km_gather *g, const struct gather_row *a,
                      const struct gather_row *b, int64_t now_ns)
{
	bool fresh = is_fresh(g, a, now_ns);
	int kind;

	if (b == NULL || fresh != is_fresh(g, b, now_ns)) {
		return b == NULL || fresh;
	}
	kind = fresh ? compare_kind(g, a, b) : 0;
	return kind != 0 ? kind < 0 : a->features->measured_mono_ns > b->features->measured_mono_ns;
}

static void choose(struct km_gather *g, struct gather_node *n, int64_t now_ns)
{
	struct gather_row *holder = n->holder;
	struct gather_row *best = NULL;

	for (struct gather_row *r = n->rows; r != NULL; r = r->next_on_node) {
		if (has_data(r) && is_better(g, r, best, now_ns)) {
			best = r;
		}
	}
	if (best == holder || best == NULL) {
		n->better_ns = 0;
		n->holder = best;
		return;
	}
	if (holder != NULL && has_data(holder)) {
		bool fresh = is_fresh(g, holder, now_ns);

		if (fresh == is_fresh(g, best, now_ns) &&
		    (!fresh || compare_kind(g, best, holder) >= 0)) {
			n->better_ns = 0; /* newer by some seconds is no reason */
			return;
		}
		if (n->better_ns == 0) {
			n->better_ns = now_ns;
		}
		if (fresh && now_ns - n->better_ns < GATHER_HOLD_NS) {
			return;
		}
	}
	n->better_ns = 0;
	n->holder = best;
}

static struct km_cluster_row row_of(const struct gather_node *n)
{
	const struct gather_row *r = n->holder;

	return (struct km_cluster_row){ .node = n->at,
		                        .row = r != NULL ? r->row : 0,
		                        .features = r != NULL ? r->features : NULL };
}

static bool belongs(const struct gather_node *n)
{
	return n->kubernetes || n->local > 0;
}

/* Who is in the picture: those who were, in their order, then the new ones. */
static int list_shown(struct km_gather *g)
{
	size_t count = 0;

	if (g->shown_cap < g->node_count) {
		size_t cap = g->node_count + g->node_count / 4 + 16;
		struct gather_node **shown =
			reallocarray(g->shown, cap, sizeof(struct gather_node *));
		struct km_cluster_row *batch;

		if (shown == NULL) {
			return -ENOMEM;
		}
		g->shown = shown;
		batch = reallocarray(g->batch, cap, sizeof(*batch));
		if (batch == NULL) {
			return -ENOMEM;
		}
		g->batch = batch;
		g->shown_cap = cap;
	}
	for (size_t i = 0; i < g->shown_count; i++) {
		struct gather_node *n = g->shown[i];

		n->at = belongs(n) ? (uint32_t)count : GATHER_NONE;
		g->shown[count] = n;
		count += belongs(n);
	}
	for (size_t b = 0; b < GATHER_BUCKETS; b++) {
		for (struct gather_node *n = g->node[b]; n != NULL; n = n->next) {
			if (n->at == GATHER_NONE && belongs(n)) {
				n->at = (uint32_t)count;
				g->shown[count++] = n;
			}
		}
	}
	g->shown_count = count;
	return 0;
}

/* Nodes that came and went between two pictures. */
static void release_unspoken(struct km_gather *g)
{
	for (size_t b = 0; b < GATHER_BUCKETS; b++) {
		struct gather_node *n = g->node[b];

		while (n != NULL) {
			struct gather_node *next = n->next;

			gather_node_release(g, n);
			n = next;
		}
	}
}

static void forget_changes(struct km_gather *g)
{
	for (size_t i = 0; i < g->changed_count; i++) {
		g->changed[i]->changed = false;
	}
	g->changed_count = 0;
}

static void publish_nodes(struct km_gather *g, int64_t now_ns)
{
	struct km_err err = { .code = 0 };
	const char **name = NULL;
	size_t rows = 0;
	int rc = list_shown(g);

	if (rc == 0) {
		name = calloc(g->shown_count + 1, sizeof(const char *));
		rc = name == NULL ? -ENOMEM : 0;
	}
	for (size_t i = 0; rc == 0 && i < g->shown_count; i++) {
		struct gather_node *n = g->shown[i];

		name[i] = n->name;
		choose(g, n, now_ns);
		if (n->holder != NULL) {
			g->batch[rows++] = row_of(n);
		}
	}
	if (rc == 0) {
		forget_changes(g);
		rc = km_cluster_set_nodes(g->cluster, name, g->shown_count, g->batch, rows, &err);
	}
	free(name);
	release_unspoken(g);
	g->topology_ns = now_ns;
	if (rc != 0) {
		km_complain(&g->trouble, now_ns, "cluster", "nodes left as they were error=\"%s\"",
		            err.code != 0 ? err.text : "out of memory");
		return; /* still due */
	}
	g->topology_due = false;
	g->published++;
	g->published_ns = now_ns;
	km_counter_add(g->pictures, 1);
}

static void publish_rows(struct km_gather *g, int64_t now_ns)
{
	size_t rows = 0;

	for (size_t i = 0; i < g->changed_count; i++) {
		struct gather_node *n = g->changed[i];

		n->changed = false;
		choose(g, n, now_ns);
		if (n->at != GATHER_NONE) {
			g->batch[rows++] = row_of(n);
		} else {
			gather_node_release(g, n);
		}
	}
	g->changed_count = 0;
	if (rows == 0) {
		return;
	}
	if (km_cluster_publish_rows(g->cluster, g->batch, rows) != 0) {
		km_complain(&g->trouble, now_ns, "cluster", "features lost error=memory");
		return;
	}
	g->published++;
	g->published_ns = now_ns;
	km_counter_add(g->pictures, 1);
}

/* Rows whose agent is gone, and that are too old even to be called stale. */
static void forget_gone(struct km_gather *g, struct gather_agent *a, int64_t now_ns)
{
	struct gather_row **at = &a->rows;

	while (*at != NULL) {
		struct gather_row *r = *at;

		if (has_data(r) && now_ns - r->features->measured_mono_ns < GATHER_KEEP_NS) {
			at = &r->next_of_agent;
			continue;
		}
		*at = r->next_of_agent;
		gather_row_free(g, r);
	}
}

static void look_at_all(struct km_gather *g, int64_t now_ns)
{
	bool trouble = false;

	for (size_t b = 0; b < GATHER_BUCKETS; b++) {
		struct gather_agent **at = &g->agent[b];

		while (*at != NULL) {
			struct gather_agent *a = *at;

			trouble =
				trouble || a->state == GATHER_FAILING || a->state == GATHER_MISFIT;
			if (a->gone) {
				forget_gone(g, a, now_ns);
			}
			if (!a->gone || a->rows != NULL) {
				at = &a->next;
				continue;
			}
			*at = a->next;
			g->agent_count--;
			free(a);
		}
	}
	for (size_t i = 0; i < g->shown_count; i++) {
		const struct gather_row *before = g->shown[i]->holder;

		choose(g, g->shown[i], now_ns);
		if (g->shown[i]->holder != before) {
			gather_note_changed(g, g->shown[i]);
		}
	}
	g->looked_ns = now_ns;
	if (!trouble) {
		km_recovered(&g->trouble, "cluster", "features of all agents are taken again");
	}
}

int64_t gather_step(struct km_gather *g)
{
	int64_t now_ns = km_clock_mono_ns(g->clock);

	if (now_ns - g->looked_ns >= GATHER_LOOK_NS) {
		look_at_all(g, now_ns);
	}
	if (g->topology_due &&
	    (g->topology_ns == 0 || now_ns - g->topology_ns >= GATHER_TOPOLOGY_NS)) {
		publish_nodes(g, now_ns);
	} else if (g->changed_count > 0) {
		publish_rows(g, now_ns);
	}
	if (g->topology_due) {
		return g->topology_ns + GATHER_TOPOLOGY_NS;
	}
	return g->looked_ns + GATHER_LOOK_NS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is so at one moment: nodes, policies, and which pods each holds for. Built from a snapshot
 * for one round; a pod belongs to the policy that decisions take for it.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"
#include "km/base/map.h"

#include "policy_internal.h"

#define UID_SEED UINT64_C(0x6b6d636f6e747569)

uint64_t policy_uid_key(struct km_name uid)
{
	uint64_t key = km_hash64(uid.text, uid.len, UID_SEED);

	return key != 0 ? key : 1;
}

bool policy_same_name(struct km_name a, struct km_name b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.text, b.text, a.len) == 0);
}

static int by_name(const void *a, const void *b)
{
	const struct km_name p = ((const struct round_node *)a)->at->name;
	const struct km_name q = ((const struct round_node *)b)->at->name;
	uint32_t least = p.len < q.len ? p.len : q.len;
	int order = least > 0 ? memcmp(p.text, q.text, least) : 0;

	return order != 0 ? order : (p.len > q.len) - (p.len < q.len);
}

int round_find_nodes(struct policy_round *r)
{
	size_t most = km_view_count(r->view, KM_VIEW_NODES);
	const struct km_view_node *n;
	size_t at = 0;

	if (r->node != NULL) {
		return 0;
	}
	r->node = km_arena_calloc(r->arena, most + 1, sizeof(*r->node));
	if (r->node == NULL) {
		return -ENOMEM;
	}
	while (r->nodes < most && (n = km_view_next_node(r->view, &at)) != NULL) {
		r->node[r->nodes++].at = n;
	}
	qsort(r->node, r->nodes, sizeof(r->node[0]), by_name);
	return 0;
}

/* NUL-terminated in the arena. */
static const char *text_of(struct km_arena *arena, struct km_name name)
{
	return km_arena_strndup(arena, name.text, name.len);
}

static int read_policies(struct policy_round *r)
{
	size_t most = km_view_count(r->view, KM_VIEW_POLICIES);
	const struct km_view_policy *o;
	size_t at = 0;

	r->policy = km_arena_calloc(r->arena, most + 1, sizeof(*r->policy));
	if (r->policy == NULL) {
		return -ENOMEM;
	}
	while (r->count < most && (o = km_view_next_policy(r->view, &at)) != NULL) {
		const char *namespace = text_of(r->arena, o->namespace);
		const char *name = text_of(r->arena, o->name);
		struct round_policy *p = &r->policy[r->count];

		if (namespace == NULL || name == NULL) {
			return -ENOMEM;
		}
		p->object = o;
		if (o->error.len == 0) {
			p->policy = km_policies_find(r->policies, km_policy_key(namespace, name));
		}
		r->count++;
	}
	return 0;
}

/* Policies whose selector is another's, too: the later name never holds. */
static int read_conflicts(struct policy_round *r)
{
	size_t(*pair)[2] = km_arena_calloc(r->arena, KM_POLICIES_MAX, sizeof(*pair));
	size_t count;

	if (pair == NULL) {
		return -ENOMEM;
	}
	count = km_policies_conflicts(r->policies, pair, KM_POLICIES_MAX);
	for (size_t i = 0; i < count && i < KM_POLICIES_MAX; i++) {
		const struct km_policy *winner = km_policies_at(r->policies, pair[i][0]);
		const struct km_policy *loser = km_policies_at(r->policies, pair[i][1]);

		for (size_t k = 0; k < r->count; k++) {
			if (r->policy[k].policy == loser && r->policy[k].holds == NULL) {
				r->policy[k].holds = winner->name;
			}
		}
	}
	return 0;
}

static int by_policy_and_node(const void *a, const void *b)
{
	const struct round_pod *p = (const struct round_pod *)a;
	const struct round_pod *q = (const struct round_pod *)b;
	struct km_name x = p->at->node;
	struct km_name y = q->at->node;
	uint32_t least = x.len < y.len ? x.len : y.len;
	int order;

	if (p->policy != q->policy) {
		return p->policy < q->policy ? -1 : 1;
	}
	order = least > 0 ? memcmp(x.text, y.text, least) : 0;
	if (order == 0) {
		order = (x.len > y.len) - (x.len < y.len);
	}
	return order != 0 ? order
	                  : memcmp(p->at->pod.uid.text, q->at->pod.uid.text,
	                           p->at->pod.uid.len < q->at->pod.uid.len ? p->at->pod.uid.len
	                                                                   : q->at->pod.uid.len);
}

/* What a policy is known as in the map: where it lies in its set. */
static uintptr_t place_of(const struct km_policy *p)
{
	return (uintptr_t)p;
}

/* Position of each policy that is used; built once, asked for every pod. `place` [r->count]. */
static int index_policies(const struct policy_round *r, uintptr_t *place, struct km_map *map)
{
	int rc = km_map_reserve(map, r->count);

	for (size_t i = 0; i < r->count && rc == 0; i++) {
		place[i] = place_of(r->policy[i].policy);
		if (place[i] != 0) {
			rc = km_map_add(map, (const char *)&place[i], sizeof(place[i]), (uint32_t)i,
			                NULL);
		}
	}
	return rc;
}

static int share_out(struct policy_round *r, struct round_pod *held, size_t count)
{
	struct round_pod *pod = km_arena_calloc(r->arena, count + 1, sizeof(*pod));

	if (pod == NULL) {
		return -ENOMEM;
	}
	qsort(held, count, sizeof(*held), by_policy_and_node);
	for (size_t i = 0; i < count; i++) {
		struct round_policy *p = &r->policy[held[i].policy];

		pod[i] = held[i];
		if (p->pods == 0) {
			p->pod = &pod[i];
		}
		p->pods++;
		p->ready += pod[i].at->ready && !pod[i].at->deleting;
	}
	return 0;
}

static int read_pods(struct policy_round *r)
{
	size_t most = km_view_count(r->view, KM_VIEW_PODS);
	struct round_pod *held = malloc((most + 1) * sizeof(*held));
	const struct km_view_pod *o;
	uintptr_t *index = km_arena_calloc(r->arena, r->count + 1, sizeof(*index));
	struct km_map map;
	size_t count = 0;
	size_t at = 0;
	int rc;

	km_map_init(&map, (uint64_t)r->mono_ns);
	rc = held != NULL && index != NULL ? index_policies(r, index, &map) : -ENOMEM;
	while (rc == 0 && count < most && (o = km_view_next_pod(r->view, &at)) != NULL) {
		const struct km_policy *p = km_policies_match(r->policies, &o->pod, NULL);
		uintptr_t place = place_of(p);
		uint32_t position;

		if (p == NULL || o->phase == KM_VIEW_ENDED ||
		    !km_map_get(&map, (const char *)&place, sizeof(place), &position)) {
			continue;
		}
		held[count++] = (struct round_pod){
			.at = o, .policy = position, .node = SIZE_MAX, .predicted = NAN
		};
	}
	if (rc == 0) {
		rc = share_out(r, held, count);
	}
	km_map_fini(&map);
	free(held);
	return rc;
}

int round_open(struct policy_round *r, struct km_view *view, struct km_decide *decide,
               const struct km_clock *clock, struct km_arena *arena, struct km_arena *scratch)
{
	struct km_model *model = km_decide_get_model(decide);
	struct km_view_health health;

	*r = (struct policy_round){ .arena = arena, .scratch = scratch };
	r->mono_ns = km_clock_mono_ns(clock);
	r->wall_ns = km_clock_wall_ns(clock);
	r->model = model != NULL;
	km_model_unref(model);
	km_view_health(view, &health);
	r->feeding = health.feeding;
	r->policies = km_decide_get_policies(decide);
	r->full = km_policies_count(r->policies) >= KM_POLICIES_MAX;
	r->view = km_view_get(view);
	return r->view != NULL ? 0 : -ENOMEM;
}

int round_read(struct policy_round *r, bool pods)
{
	int rc = round_find_nodes(r);

	if (rc == 0) {
		rc = read_policies(r);
	}
	if (rc == 0) {
		rc = read_conflicts(r);
	}
	return rc == 0 && pods ? read_pods(r) : rc;
}

void round_find_room(struct policy_round *r)
{
	const struct km_view_pod *pod;
	size_t at = 0;

	if (r->room_found) {
		return;
	}
	r->room_found = true;
	for (size_t i = 0; i < r->nodes; i++) {
		r->node[i].cpu_cores = r->node[i].at->cpu_cores;
		r->node[i].memory_bytes = r->node[i].at->memory_bytes;
	}
	while ((pod = km_view_next_pod(r->view, &at)) != NULL) {
		const struct km_view_node like = { .name = pod->node };
		const struct round_node key = { .at = &like };
		struct round_node *n = NULL;

		if (pod->node.len > 0 && r->nodes > 0) {
			n = bsearch(&key, r->node, r->nodes, sizeof(r->node[0]), by_name);
		}
		if (n != NULL) {
			n->cpu_cores -= isfinite(pod->cpu_cores) ? pod->cpu_cores : 0;
			n->memory_bytes -= isfinite(pod->memory_bytes) ? pod->memory_bytes : 0;
		}
	}
}

void round_close(struct policy_round *r)
{
	km_view_put(r->view);
	km_policies_unref(r->policies);
	r->view = NULL;
	r->policies = NULL;
}

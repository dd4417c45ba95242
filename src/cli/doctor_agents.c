/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who measures which node: agents by their pods, what each says of itself through the API server's
 * proxy, and nodes that nobody speaks for.
 */
#include <stdlib.h>
#include <string.h>

#include "km/base/map.h"
#include "km/core/feature.h"
#include "km/wire/kube_objects.h"

#include "doctor_internal.h"

#define SELECTOR                                                                                   \
	"app.kubernetes.io%2Fname%3Dkubemarla%2C"                                                  \
	"app.kubernetes.io%2Fcomponent%3Dagent"
#define AGENT_PORT 9192
/* So many agents are asked: each is a request through the API server. */
#define ASKED_MAX  64
#define OBJECT_MAX ((size_t)4 << 20)

struct agent {
	char *name;
	char *node;
	bool ready;
};

struct rounds {
	struct ward *w;
	struct km_arena arena;
	struct agent *agent; /* [agents] */
	size_t agents;
	size_t cap;
	struct km_map spoken; /* nodes that an agent has data for */
	unsigned tier[KM_TIER_N];
	unsigned no_data;
	char no_data_of[64];
	unsigned no_libpcm;
	char no_libpcm_on[64];
};

static char *keep(struct rounds *r, struct km_name name)
{
	return km_arena_strndup(&r->arena, name.text != NULL ? name.text : "", name.len);
}

/* ---- pods ------------------------------------------------------------------------------------ */

static void note_agent(void *ctx, const struct km_json_slice *object)
{
	struct rounds *r = ctx;
	struct km_kube_pod pod;
	struct agent *a;

	if (km_kube_pod_decode(object->text, object->len, &r->arena, &pod) != 0 || pod.deleting)
		return;
	if (r->agents == r->cap) {
		struct agent *grown = reallocarray(r->agent, r->cap + 64, sizeof(*grown));

		if (grown == NULL) {
			r->w->f->failed = true;
			return;
		}
		r->agent = grown;
		r->cap += 64;
	}
	a = &r->agent[r->agents];
	*a = (struct agent){ keep(r, pod.pod.name), keep(r, pod.node_name), pod.ready };
	if (a->name != NULL && a->node != NULL)
		r->agents++;
}

static void look_at_readiness(struct rounds *r)
{
	const char *first = NULL;
	unsigned unready = 0;

	for (size_t i = 0; i < r->agents; i++) {
		if (r->agent[i].ready)
			continue;
		first = first != NULL ? first : r->agent[i].node;
		unready++;
	}
	if (r->agents == 0) {
		findings_add(r->w->f, FINDING_ERROR, "agents", "one on each node",
		             "apply deploy/ (DaemonSet kubemarla-agent)",
		             "none in namespace %s: nothing is known of any node", r->w->ns);
	} else if (unready > 0) {
		findings_add(r->w->f, FINDING_WARNING, "agents", "all ready",
		             "kubectl describe pods -l app.kubernetes.io/component=agent",
		             "%u of %zu not ready, the first on node %s", unready, r->agents,
		             first);
	}
}

/* ---- what they say --------------------------------------------------------------------------- */

static void note_node(struct rounds *r, const struct km_json_slice *node)
{
	char tier[16];
	char name[256];
	char *kept;

	(void)km_json_pick_text(node, "tier", tier, sizeof(tier));
	(void)km_json_pick_text(node, "name", name, sizeof(name));
	for (unsigned t = 0; t < KM_TIER_N; t++) {
		if (strcmp(tier, km_tier_name((enum km_tier)t)) == 0)
			r->tier[t]++;
	}
	if (strcmp(tier, km_tier_name(KM_TIER_NONE)) == 0) {
		if (r->no_data++ == 0)
			(void)snprintf(r->no_data_of, sizeof(r->no_data_of), "%.60s", name);
	}
	kept = km_arena_strndup(&r->arena, name, strlen(name));
	if (kept != NULL)
		(void)km_map_add(&r->spoken, kept, strlen(kept), 0, NULL);
}

static void note_sources(struct rounds *r, const struct agent *a, const struct km_json_slice *list)
{
	struct km_json_items items = km_json_items(list);
	struct km_json_slice item;
	char source[32];
	char detail[192];

	while (km_json_next(&items, &item)) {
		(void)km_json_pick_text(&item, "source", source, sizeof(source));
		(void)km_json_pick_text(&item, "detail", detail, sizeof(detail));
		if (strcmp(source, "pcm") != 0 || strstr(detail, "libpcm") == NULL)
			continue;
		(void)km_json_pick_text(&item, "state", source, sizeof(source));
		if (strcmp(source, "absent") == 0 && r->no_libpcm++ == 0)
			(void)snprintf(r->no_libpcm_on, sizeof(r->no_libpcm_on), "%.60s", a->node);
	}
}

static void ask_agent(struct rounds *r, const struct agent *a)
{
	struct km_json_slice answer;
	struct km_json_slice list;
	struct km_json_slice item;
	struct km_json_items items;
	char about[96];
	int status;

	(void)snprintf(about, sizeof(about), "agent on %.60s", a->node);
	status =
		ward_get(r->w, about, &answer, "/api/v1/namespaces/%s/pods/%s:%d/proxy/v1/features",
	                 r->w->ns, a->name, AGENT_PORT);
	if (status == 404)
		findings_add(r->w->f, FINDING_ERROR, about, "an answer to /v1/features",
		             "give it the role agent, and observe.port 9192",
		             "404: it measures nothing, or is gone");
	if (status != 200)
		return;
	list = km_json_pick(&answer, "sources");
	note_sources(r, a, &list);
	list = km_json_pick(&answer, "nodes");
	items = km_json_items(&list);
	while (km_json_next(&items, &item))
		note_node(r, &item);
}

static void sum_up(struct rounds *r)
{
	struct findings *f = r->w->f;
	unsigned blind = r->tier[KM_TIER_OS];

	if (r->no_data > 0) {
		findings_add(f, FINDING_ERROR, "agents: data", "features of each node",
		             "kubemarla doctor --node there says why",
		             "none of %u nodes, the first %s: their pods are placed neutrally",
		             r->no_data, r->no_data_of);
	}
	if (blind > 0) {
		findings_add(f, FINDING_WARNING, "agents: tier",
		             "core or uncore: the shipped models need counters",
		             "a component of deploy/components (agent-perf, agent-pcm) opens them",
		             "%u nodes with tier os only: they are answered neutrally", blind);
	}
	if (r->no_libpcm > 0) {
		findings_add(f, FINDING_NOTE, "agents: libpcm",
		             "libpcm in the image, where counters are to come from PCM",
		             "make image PCM_LIB=FILE, or take perf or pcm-sensor-server",
		             "absent on %u nodes, the first %s", r->no_libpcm, r->no_libpcm_on);
	}
	findings_add(f, FINDING_NOTE, "agents: tiers", "to know", "",
	             "uncore %u, core %u, os %u, none %u nodes", r->tier[KM_TIER_UNCORE],
	             r->tier[KM_TIER_CORE], r->tier[KM_TIER_OS], r->tier[KM_TIER_NONE]);
}

/* ---- nodes nobody speaks for ----------------------------------------------------------------- */

struct count {
	struct rounds *r;
	unsigned silent, all;
	char first[64];
};

static void count_node(void *ctx, const struct km_json_slice *object)
{
	struct count *c = ctx;
	char name[256];
	uint32_t value;

	(void)km_json_pick_text(object, "metadata/name", name, sizeof(name));
	c->all++;
	if (km_map_get(&c->r->spoken, name, strlen(name), &value))
		return;
	if (c->silent++ == 0)
		(void)snprintf(c->first, sizeof(c->first), "%.60s", name);
}

static void look_at_nodes(struct rounds *r)
{
	struct count c = { .r = r };

	if (ward_list(r->w, "nodes", "/api/v1/nodes?", count_node, &c) && c.silent > 0) {
		findings_add(r->w->f, FINDING_WARNING, "nodes", "each spoken for by an agent",
		             "look at tolerations of the DaemonSet, or at nodes of the agents' "
		             "configuration",
		             "%u of %u without one, the first %s", c.silent, c.all, c.first);
	}
}

void ward_agents(struct ward *w)
{
	struct rounds r = { .w = w };
	char path[512];

	km_arena_init(&r.arena, OBJECT_MAX);
	km_map_init(&r.spoken, (uint64_t)w->now_unix_ns);
	(void)snprintf(path, sizeof(path), "/api/v1/namespaces/%.80s/pods?labelSelector=%s", w->ns,
	               SELECTOR);
	if (ward_list(w, "agents", path, note_agent, &r)) {
		look_at_readiness(&r);
		for (size_t i = 0; i < r.agents && i < ASKED_MAX; i++)
			ask_agent(&r, &r.agent[i]);
		if (r.agents > ASKED_MAX) {
			findings_add(w->f, FINDING_NOTE, "agents", "to know", "",
			             "%d of %zu were asked", ASKED_MAX, r.agents);
		} else if (r.agents > 0) {
			sum_up(&r);
			look_at_nodes(&r);
		}
	}
	free(r.agent);
	km_map_fini(&r.spoken);
	km_arena_fini(&r.arena);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who measures which node: agents by their pods, what each says of itself through the API server's
 * proxy, and nodes that nobody speaks for.
 */
#include <stdlib.h>
#include <string.h>

#include "km/base/map.h"
#include "km/base/num.h"
#include "km/config/config.h"
#include "km/core/feature.h"
#include "km/wire/kube_objects.h"

#include "doctor_internal.h"

#define SELECTOR                                                                                   \
	"app.kubernetes.io%2Fname%3Dkubemarla%2C"                                                  \
	"app.kubernetes.io%2Fcomponent%3Dagent"
#define AGENT_PORT 9192
/* So many agents are asked: each is a request through the API server. */
#define ASKED_MAX 64
/* After so many in a row without an answer the others are not tried: each waits for seconds. */
#define SILENT_MAX 3
/* What is older is stale by the preset of decide.maxAge. */
#define AGE_MAX_S  15.0
#define OBJECT_MAX ((size_t)4 << 20)

struct agent {
	char *name;
	char *node;
	bool ready;
};

/* A node that an agent speaks for. Of several agents the best one counts, as for the extender. */
struct spoken {
	const char *name;
	enum km_tier tier;
	bool fresh;
};

struct rounds {
	struct ward *w;
	struct km_arena arena;
	struct agent *agent; /* [agents] */
	size_t agents;
	size_t cap;
	size_t answered;     /* of the agents */
	struct spoken *node; /* [nodes] */
	size_t nodes;
	size_t node_cap;
	struct km_map at; /* a node's place */
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

/* returns the node's place, NULL when memory ran out. */
static struct spoken *spoken_of(struct rounds *r, const char *name)
{
	uint32_t at;

	if (km_map_get(&r->at, name, strlen(name), &at))
		return &r->node[at];
	if (r->nodes == r->node_cap) {
		struct spoken *grown = reallocarray(r->node, r->node_cap + 64, sizeof(*grown));

		if (grown == NULL)
			return NULL;
		r->node = grown;
		r->node_cap += 64;
	}
	name = km_arena_strndup(&r->arena, name, strlen(name));
	if (name == NULL || km_map_add(&r->at, name, strlen(name), (uint32_t)r->nodes, NULL) != 0)
		return NULL;
	r->node[r->nodes] = (struct spoken){ name, KM_TIER_NONE, false };
	return &r->node[r->nodes++];
}

static bool is_better(const struct spoken *a, const struct spoken *b)
{
	return a->fresh != b->fresh ? a->fresh : a->tier < b->tier;
}

static void note_node(struct rounds *r, const struct km_json_slice *node)
{
	struct km_json_slice age = km_json_pick(node, "ageSeconds");
	struct spoken said = { .tier = KM_TIER_NONE };
	struct spoken *known;
	double age_s = 0;
	char tier[16];
	char name[256];

	(void)km_json_pick_text(node, "tier", tier, sizeof(tier));
	(void)km_json_pick_text(node, "name", name, sizeof(name));
	for (unsigned t = 0; t < KM_TIER_N; t++) {
		if (strcmp(tier, km_tier_name((enum km_tier)t)) == 0)
			said.tier = (enum km_tier)t;
	}
	said.fresh = age.kind == KM_JSON_NUMBER && km_num_double(age.text, age.len, &age_s) == 0 &&
	             age_s <= AGE_MAX_S;
	known = spoken_of(r, name);
	if (known == NULL) {
		r->w->f->failed = true;
		return;
	}
	said.name = known->name;
	if (is_better(&said, known))
		*known = said;
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

/* returns false when nothing came: the API server's proxy says why, which is a finding then. */
static bool ask_agent(struct rounds *r, const struct agent *a)
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
	if (status == 0)
		return false;
	r->answered++;
	list = km_json_pick(&answer, "sources");
	note_sources(r, a, &list);
	list = km_json_pick(&answer, "nodes");
	items = km_json_items(&list);
	while (km_json_next(&items, &item))
		note_node(r, &item);
	return true;
}

/* Agents with TLS show nothing without a certificate, and the API server's proxy has none. */
static bool speak_tls(struct rounds *r)
{
	char *text = ward_config(r->w, "kubemarla-agent-config", "kubemarla.yaml");
	struct km_settings settings = { .roles = 0 };
	struct km_err err = { .code = 0 };
	bool tls = false;

	if (text != NULL &&
	    km_config_parse("kubemarla.yaml", text, strlen(text), &settings, &err) != 0) {
		findings_add(r->w->f, FINDING_ERROR, "ConfigMap kubemarla-agent-config",
		             "a configuration that kubemarlad takes",
		             "mend it, then restart the DaemonSet", "%.150s", err.text);
	} else if (text != NULL) {
		tls = settings.observe_tls;
	}
	km_settings_fini(&settings);
	free(text);
	return tls;
}

static void ask_agents(struct rounds *r)
{
	unsigned silent = 0;

	for (size_t i = 0; i < r->agents && i < ASKED_MAX && silent < SILENT_MAX; i++) {
		if (r->agent[i].node[0] != '\0')
			silent = ask_agent(r, &r->agent[i]) ? 0 : silent + 1;
	}
	if (silent == SILENT_MAX || (silent > 0 && r->answered == 0)) {
		findings_add(r->w->f, FINDING_WARNING, "agents: answers",
		             "an answer of each, through the API server's proxy",
		             "a NetworkPolicy may keep the proxy out; kubemarla top shows what the "
		             "scheduler pod has of them",
		             "none of %u in a row: what they measure is not known here", silent);
	}
}

static void sum_up(struct rounds *r)
{
	struct findings *f = r->w->f;
	unsigned tier[KM_TIER_N] = { 0 };
	const char *no_data_of = "";
	const char *old_of = "";
	unsigned old = 0;

	for (size_t i = 0; i < r->nodes; i++) {
		const struct spoken *n = &r->node[i];

		if (tier[n->tier]++ == 0 && n->tier == KM_TIER_NONE)
			no_data_of = n->name;
		if (n->tier != KM_TIER_NONE && !n->fresh && old++ == 0)
			old_of = n->name;
	}
	if (tier[KM_TIER_NONE] > 0) {
		findings_add(f, FINDING_ERROR, "agents: data", "features of each node",
		             "kubemarla doctor --node there says why",
		             "none of %u nodes, the first %.60s: their pods are placed neutrally",
		             tier[KM_TIER_NONE], no_data_of);
	}
	if (old > 0) {
		findings_add(f, FINDING_ERROR, "agents: age", "data not older than 15 s",
		             "look at the agent's log: its sources give nothing any more",
		             "stale of %u nodes, the first %.60s: their pods are placed neutrally",
		             old, old_of);
	}
	if (tier[KM_TIER_OS] > 0) {
		findings_add(
			f, FINDING_WARNING, "agents: tier",
			"core or uncore, which the pcm models need, or a model of tier os",
			"a component of deploy/components (agent-perf, agent-pcm) opens counters; "
			"docs/MODEL.md: which model for which machine",
			"%u nodes with tier os only: a model that needs counters answers "
			"neutrally for them",
			tier[KM_TIER_OS]);
	}
	if (r->no_libpcm > 0) {
		findings_add(f, FINDING_NOTE, "agents: libpcm",
		             "libpcm in the image, where counters are to come from PCM",
		             "make image PCM_LIB=FILE, or take perf or pcm-sensor-server",
		             "absent on %u nodes, the first %s", r->no_libpcm, r->no_libpcm_on);
	}
	findings_add(f, FINDING_NOTE, "agents: tiers", "to know", "",
	             "uncore %u, core %u, os %u, none %u nodes", tier[KM_TIER_UNCORE],
	             tier[KM_TIER_CORE], tier[KM_TIER_OS], tier[KM_TIER_NONE]);
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
	if (km_map_get(&c->r->at, name, strlen(name), &value))
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
	km_map_init(&r.at, (uint64_t)w->now_unix_ns);
	(void)snprintf(path, sizeof(path), "/api/v1/namespaces/%.80s/pods?labelSelector=%s", w->ns,
	               SELECTOR);
	if (ward_list(w, "agents", path, note_agent, &r)) {
		look_at_readiness(&r);
		if (r.agents > 0 && speak_tls(&r)) {
			findings_add(w->f, FINDING_NOTE, "agents: answers", "to know",
			             "kubemarla top shows what the scheduler pod has of them",
			             "not asked: observe.tls lets nobody in without a certificate");
		} else {
			ask_agents(&r);
		}
		if (r.agents > ASKED_MAX)
			findings_add(w->f, FINDING_NOTE, "agents", "to know", "",
			             "%d of %zu were asked", ASKED_MAX, r.agents);
		if (r.answered > 0)
			sum_up(&r);
		if (r.answered > 0 && r.answered == r.agents)
			look_at_nodes(&r);
	}
	free(r.agent);
	km_map_fini(&r.at);
	free(r.node);
	km_arena_fini(&r.arena);
}

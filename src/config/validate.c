/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What no single value can tell: nodes that share CPUs, replays of unknown nodes, listeners in each
 * other's way, and keys whose feature is not built in yet. Each check names the line it is about.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/map.h"
#include "km/core/labels.h"

#include "config_internal.h"

#define NODE_MAP_SEED   UINT64_C(0x6b6d6e6f6465)
#define HERE            UINT32_MAX /* the host of nodes that no replay claims: this one */
#define OVERLAP_CPU_MAX 64         /* bytes of a CPU list in an error text */

static const struct km_tree *nth(const struct km_tree *list, size_t n)
{
	const struct km_tree *i = list != NULL ? list->child : NULL;

	for (; i != NULL && n > 0; n--)
		i = i->next;
	return i;
}

static uint32_t line_of_item(const struct km_tree *list, size_t n)
{
	const struct km_tree *item = nth(list, n);

	return item != NULL ? item->line : 0;
}

/* The files are read when the daemon starts: this may be another machine than that. */
static int check_tls(struct km_conf_ctx *c, const struct km_settings *s, const struct km_tree *root)
{
	const bool cert = s->tls_cert[0] != '\0';
	const bool key = s->tls_key[0] != '\0';

	if (cert != key) {
		const char *lone = cert ? "listen.tls.cert" : "listen.tls.key";

		return km_conf_fail(c, conf_line_of(root, lone), "%s: saw %.60s alone, want %s too",
		                    lone, cert ? s->tls_cert : s->tls_key,
		                    cert ? "listen.tls.key" : "listen.tls.cert");
	}
	if (s->tls_client_ca[0] != '\0' && !cert) {
		return km_conf_fail(c, conf_line_of(root, "listen.tls.clientCA"),
		                    "listen.tls.clientCA: saw %.60s, want listen.tls.cert and "
		                    "listen.tls.key too",
		                    s->tls_client_ca);
	}
	if (s->observe_tls && !cert) {
		return km_conf_fail(
			c, conf_line_of(root, "observe.tls"),
			"observe.tls: saw true, want listen.tls.cert and listen.tls.key "
			"too");
	}
	return 0;
}

static int check_features(struct km_conf_ctx *c, const struct km_settings *s,
                          const struct km_tree *root)
{
	const struct km_features_settings *f = &s->features;
	struct km_err err = { .code = 0 };
	struct km_labels labels;

	if (f->from == KM_FEATURES_PEERS && s->kubernetes.enabled == KM_KUBERNETES_OFF) {
		return km_conf_fail(c, conf_line_of(root, "features.from"),
		                    "features.from: saw peers with kubernetes.enabled: off, want "
		                    "local: agents are found through Kubernetes");
	}
	if (f->from == KM_FEATURES_PROMETHEUS && strncmp(f->url, "http://", 7) != 0 &&
	    strncmp(f->url, "https://", 8) != 0) {
		return km_conf_fail(c, conf_line_of(root, "features.url"),
		                    "features.url: saw \"%.60s\", want http://HOST:PORT of a "
		                    "Prometheus server",
		                    f->url);
	}
	if (km_labels_parse(f->selector, &labels, &err) != 0) {
		return km_conf_fail(c, conf_line_of(root, "features.selector"),
		                    "features.selector: %s", err.text);
	}
	if ((f->tls_cert[0] != '\0') != (f->tls_key[0] != '\0')) {
		return km_conf_fail(c, conf_line_of(root, "features.tls.cert"),
		                    "features.tls.cert: saw one of cert and key, want both or "
		                    "neither");
	}
	if (f->tls_ca[0] == '\0' && (f->tls_cert[0] != '\0' || f->tls_server_name[0] != '\0')) {
		return km_conf_fail(c, conf_line_of(root, "features.tls"),
		                    "features.tls.ca: saw \"\" beside other keys of features.tls, "
		                    "want the file of the agents' CA");
	}
	return 0;
}

bool conf_numeric_address(const char *text)
{
	unsigned char out[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, text, out) == 1 || inet_pton(AF_INET6, text, out) == 1;
}

static int check_listeners(struct km_conf_ctx *c, const struct km_settings *s,
                           const struct km_tree *root)
{
	if (!conf_numeric_address(s->listen.address)) {
		return km_conf_fail(c, conf_line_of(root, "listen.address"),
		                    "listen.address: saw \"%.40s\", want a numeric address such as "
		                    "127.0.0.1",
		                    s->listen.address);
	}
	if (s->observe.address[0] != '\0' && !conf_numeric_address(s->observe.address)) {
		return km_conf_fail(
			c, conf_line_of(root, "observe.address"),
			"observe.address: saw \"%.40s\", want a numeric address such as "
			"0.0.0.0, or \"\"",
			s->observe.address);
	}
	if (s->observe.port == s->listen.port && s->listen.port != 0 &&
	    strcmp(s->observe.address, s->listen.address) == 0) {
		return km_conf_fail(c, conf_line_of(root, "observe.port"),
		                    "observe.port: saw %u, want another port than listen.port",
		                    s->observe.port);
	}
	return 0;
}

static int check_window(struct km_conf_ctx *c, const struct km_settings *s,
                        const struct km_tree *root)
{
	if (s->collect.window_s * 1e9 >= (double)s->collect.interval_ns)
		return 0;
	return km_conf_fail(c, conf_line_of(root, "collect.window"),
	                    "collect.window: saw %gs, want at least collect.interval (%gs)",
	                    s->collect.window_s, (double)s->collect.interval_ns / 1e9);
}

static int index_names(struct km_conf_ctx *c, const struct km_settings *s,
                       const struct km_tree *nodes, struct km_map *names)
{
	for (size_t i = 0; i < s->node_count; i++) {
		const char *name = s->node[i].name;
		uint32_t first = 0;
		int rc = km_map_add(names, name, strlen(name), (uint32_t)i, &first);

		if (rc == -EEXIST) {
			return km_conf_fail(c, line_of_item(nodes, i),
			                    "nodes[%zu].name: saw %.60s again, want each name once "
			                    "(it is nodes[%u] too)",
			                    i, name, first);
		}
		if (rc != 0)
			return km_conf_no_memory(c);
	}
	return 0;
}

/* host[node] = the source that replays it; two traces of one node cannot both be right. */
static int claim_nodes(struct km_conf_ctx *c, const struct km_settings *s,
                       const struct km_tree *root, const struct km_map *names, uint32_t *host)
{
	const struct km_tree *sources = km_tree_get(km_tree_get(root, "collect"), "sources");

	for (size_t i = 0; i < s->collect.source_count; i++) {
		const struct km_replay_settings *r = &s->collect.source[i].replay;

		for (size_t n = 0; n < r->node_count; n++) {
			uint32_t node;

			if (!km_map_get(names, r->node[n], strlen(r->node[n]), &node)) {
				return km_conf_fail(c, line_of_item(sources, i),
				                    "collect.sources[%zu].replay: saw node %.60s, "
				                    "want a name from nodes",
				                    i, r->node[n]);
			}
			if (host[node] != HERE) {
				return km_conf_fail(c, line_of_item(sources, i),
				                    "collect.sources[%zu].replay: saw node %.60s "
				                    "again, want each node in one trace",
				                    i, r->node[n]);
			}
			host[node] = (uint32_t)i;
		}
	}
	return 0;
}

static int overlap(struct km_conf_ctx *c, const struct km_settings *s, const struct km_tree *nodes,
                   size_t a, size_t b)
{
	const struct km_node_settings *first = &s->node[a];
	const struct km_node_settings *second = &s->node[b];
	struct km_cpuset both = { .word = { 0 } };
	struct km_buf list;
	int rc;

	if (!first->cpus_given || !second->cpus_given) {
		return km_conf_fail(
			c, line_of_item(nodes, b),
			"nodes[%zu].cpus: %.40s and %.40s share a host and %.40s has all "
			"its CPUs, want a CPU list for each",
			b, first->name, second->name,
			first->cpus_given ? second->name : first->name);
	}
	km_cpuset_each (cpu, &first->cpus) {
		if (km_cpuset_has(&second->cpus, cpu))
			km_cpuset_add(&both, cpu);
	}
	km_buf_init(&list);
	km_cpuset_format(&both, &list);
	rc = km_conf_fail(
		c, line_of_item(nodes, b),
		"nodes[%zu].cpus: %.40s and %.40s share a host and both have CPU %.*s, want "
		"each CPU in one node",
		b, first->name, second->name, OVERLAP_CPU_MAX, km_buf_cstr(&list));
	km_buf_fini(&list);
	return rc;
}

/* Its CPUs are not known before it runs: its control group tells. */
static bool cpus_by_group(const struct km_node_settings *n, uint32_t host)
{
	return !n->cpus_given && n->cgroup[0] != '\0' && host == HERE;
}

static int check_overlap(struct km_conf_ctx *c, const struct km_settings *s,
                         const struct km_tree *nodes, const uint32_t *host)
{
	for (size_t b = 1; b < s->node_count && !c->hosts_apart; b++) {
		for (size_t a = 0; a < b; a++) {
			if (host[a] != host[b] || cpus_by_group(&s->node[a], host[a]) ||
			    cpus_by_group(&s->node[b], host[b]))
				continue;
			if (!s->node[a].cpus_given || !s->node[b].cpus_given ||
			    km_cpuset_intersects(&s->node[a].cpus, &s->node[b].cpus))
				return overlap(c, s, nodes, a, b);
		}
	}
	return 0;
}

/* A path that climbs would name what is no group of this hierarchy. */
static int check_groups(struct km_conf_ctx *c, const struct km_settings *s,
                        const struct km_tree *root)
{
	const struct km_tree *nodes = km_tree_get(root, "nodes");

	for (size_t i = 0; i < s->node_count; i++) {
		const char *group = s->node[i].cgroup;

		for (const char *at = group; (at = strstr(at, "..")) != NULL; at += 2) {
			if ((at == group || at[-1] == '/') && (at[2] == '/' || at[2] == '\0')) {
				return km_conf_fail(
					c, line_of_item(nodes, i),
					"nodes[%zu].cgroup: saw %.60s, want a path below "
					"the hierarchy's root without ..",
					i, group);
			}
		}
	}
	return 0;
}

static int check_nodes(struct km_conf_ctx *c, const struct km_settings *s,
                       const struct km_tree *root)
{
	const struct km_tree *nodes = km_tree_get(root, "nodes");
	uint32_t *host = malloc((s->node_count + 1) * sizeof(*host));
	struct km_map names;
	int rc;

	km_map_init(&names, NODE_MAP_SEED);
	if (host == NULL) {
		rc = km_conf_no_memory(c);
		goto out;
	}
	for (size_t i = 0; i < s->node_count; i++)
		host[i] = HERE;
	rc = index_names(c, s, nodes, &names);
	if (rc == 0)
		rc = claim_nodes(c, s, root, &names, host);
	if (rc == 0)
		rc = check_overlap(c, s, nodes, host);
out:
	km_map_fini(&names);
	free(host);
	return rc;
}

static int check_roots(struct km_conf_ctx *c, const struct km_settings *s,
                       const struct km_tree *root)
{
	const struct km_live_settings *live = &s->collect.live;
	const struct {
		const char *key;
		const char *path;
	} roots[] = {
		{ "collect.roots.procfs", live->procfs },
		{ "collect.roots.sysfs", live->sysfs },
		{ "collect.roots.resctrl", live->resctrl },
		{ "collect.roots.cgroupfs", live->cgroupfs },
	};

	for (size_t i = 0; i < KM_ARRAY_LEN(roots); i++) {
		if (roots[i].path[0] != '/') {
			return km_conf_fail(c, conf_line_of(root, roots[i].key),
			                    "%s: saw \"%.60s\", want an absolute path",
			                    roots[i].key, roots[i].path);
		}
	}
	if (live->pcm_server_url[0] != '\0' && strncmp(live->pcm_server_url, "http://", 7) != 0) {
		return km_conf_fail(
			c, conf_line_of(root, "collect.pcmServer.url"),
			"collect.pcmServer.url: saw %.60s, want http://HOST:PORT/metrics, "
			"or \"\"",
			live->pcm_server_url);
	}
	return 0;
}

static bool owns_pmu(const struct km_settings *s, const char *kind)
{
	return strcmp(kind, "pcm") == 0 || strcmp(kind, "pcm-server") == 0 ||
	       (strcmp(kind, "perf") == 0 && s->collect.live.perf_core_events);
}

/* Each live source once, and one that programs the core counters: two would take turns, unsaid. */
static int check_set(struct km_conf_ctx *c, const struct km_settings *s, const struct km_tree *root)
{
	const struct km_tree *sources = km_tree_get(km_tree_get(root, "collect"), "sources");
	const char *owner = NULL;

	for (size_t i = 0; i < s->collect.source_count; i++) {
		const char *kind = s->collect.source[i].kind;

		if (strcmp(kind, "replay") == 0)
			continue;
		for (size_t j = 0; j < i; j++) {
			if (strcmp(s->collect.source[j].kind, kind) == 0) {
				return km_conf_fail(
					c, line_of_item(sources, i),
					"collect.sources[%zu]: saw %s again, want it once", i,
					kind);
			}
		}
		if (!owns_pmu(s, kind))
			continue;
		if (owner != NULL) {
			return km_conf_fail(
				c, line_of_item(sources, i),
				"collect.sources[%zu]: saw %s beside %s, want one owner of "
				"the core counters (perf goes with either when "
				"collect.perf.coreEvents is false)",
				i, kind, owner);
		}
		owner = kind;
	}
	return 0;
}

int conf_validate(struct km_conf_ctx *c, const struct km_settings *s, const struct km_tree *root)
{
	static int (*const checks[])(struct km_conf_ctx *, const struct km_settings *,
	                             const struct km_tree *) = {
		check_tls,   check_features, check_listeners, check_window,
		check_nodes, check_groups,   check_roots,     check_set,
	};
	int rc = 0;

	for (size_t i = 0; i < KM_ARRAY_LEN(checks) && rc == 0; i++)
		rc = checks[i](c, s, root);
	return rc;
}

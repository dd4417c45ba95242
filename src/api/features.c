/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v1/features: what this host's agent measured, for its peers. The ETag changes exactly when a
 * row does, so polling an idle agent costs a 304.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "km/base/hash.h"

#include "api_internal.h"

/* Positions in a snapshot of the nodes this agent speaks for. */
struct chosen {
	uint32_t *node;
	size_t count;
};

/* only: NULL = all. returns false when memory ran out. */
static bool choose(struct km_api *api, const struct km_cluster_snapshot *s, const char *only,
                   struct km_arena *arena, struct chosen *out)
{
	struct km_agent *agent;

	out->count = 0;
	out->node = km_arena_calloc(arena, (size_t)s->node_count + 1, sizeof(*out->node));
	if (!out->node)
		return false;
	agent = km_api_agent_begin(api);
	for (size_t h = 0; agent && h < km_agent_host_count(agent); h++) {
		struct km_agent_host host;

		km_agent_host(agent, h, &host);
		for (size_t i = 0; i < host.node_count; i++) {
			const char *name = host.node[i]->name;
			int64_t at = km_cluster_find(s, name, strlen(name));

			if (at >= 0 && out->count < s->node_count &&
			    (!only || strcmp(name, only) == 0))
				out->node[out->count++] = (uint32_t)at;
		}
	}
	km_api_agent_end(api);
	return true;
}

/* Wall time is in it: versions start at 1 again after a restart. */
static void put_etag(const struct km_cluster_snapshot *s, const struct chosen *c,
                     struct km_http_reply *reply)
{
	uint64_t hash = km_hash64(&s->topology, sizeof(s->topology), c->count);

	for (size_t i = 0; i < c->count; i++) {
		const struct km_host_features *f = s->node[c->node[i]].features;
		const uint64_t state[] = {
			c->node[i],
			f ? f->version : 0,
			f ? f->schema->hash : 0,
			f ? (uint64_t)f->measured_wall_ns : 0,
		};

		hash = km_hash64(state, sizeof(state), hash);
	}
	(void)snprintf(reply->etag, sizeof(reply->etag), "\"%016" PRIx64 "\"", hash);
}

static void put_node(struct km_api *api, const struct km_cluster_node *node, struct km_json *j)
{
	struct km_triage triage;
	const struct km_host_features *f = node->features;
	struct km_answer_measured measured = {
		.name = { node->name, node->name_len },
		.tier = KM_TIER_NONE,
		.age_s = km_api_age_s(api, f),
	};

	if (!f) {
		km_answer_features_node(j, &measured, NULL, NULL);
		return;
	}
	measured.host = f->host;
	measured.sequence = f->version;
	measured.tier = f->tier;
	measured.covered_s = f->covered_s;
	measured.outside_cpus = f->outside_cpus;
	km_triage_node(f->readings, node->row, &triage);
	measured.triage = &triage;
	km_answer_features_node(j, &measured, f->schema, km_host_features_row(f, node->row));
}

static void answer(struct km_api *api, const struct km_cluster_snapshot *s, const struct chosen *c,
                   struct km_http_reply *reply)
{
	const struct km_host_features *any = NULL;
	struct km_json j = km_json_to(&reply->body);

	for (size_t i = 0; i < c->count && !any; i++)
		any = s->node[c->node[i]].features;
	km_answer_features_begin(&j, any ? any->schema : NULL);
	for (size_t i = 0; i < c->count; i++)
		put_node(api, &s->node[c->node[i]], &j);
	km_answer_end(&j);
}

void km_api_features(struct km_api *api, const struct km_http_request *req,
                     struct km_http_reply *reply)
{
	const char *only = km_http_query(req, "node");
	const char *known = km_http_header(req, "If-None-Match");
	const struct km_cluster_snapshot *s;
	struct chosen chosen;

	if (!api->cluster) {
		km_api_error(reply, 404, "notFound", "this daemon has no nodes");
		return;
	}
	s = km_cluster_get(api->cluster);
	if (!choose(api, s, only, req->arena, &chosen)) {
		km_api_error(reply, 503, "outOfMemory", "out of memory listing nodes");
	} else if (only && chosen.count == 0) {
		km_api_error(reply, 404, "notFound", "no such node on this host");
	} else {
		put_etag(s, &chosen, reply);
		if (known && strstr(known, reply->etag))
			reply->status = 304;
		else
			answer(api, s, &chosen, reply);
	}
	km_cluster_put(s);
}

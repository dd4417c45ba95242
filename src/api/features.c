/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v1/features: what this host's agent measured, for its peers. The ETag changes exactly when a
 * row does, so polling an idle agent costs a 304.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "km/base/hash.h"

#include "api_internal.h"

/* Positions in a snapshot of the nodes this agent speaks for, and the states of its sources. */
struct chosen {
	uint32_t *node;
	size_t count;
	struct km_agent_source_status *source;
	size_t source_count;
};

static const char *state_name(int state)
{
	switch (state) {
	case KM_SOURCE_LIVE:
		return "live";
	case KM_SOURCE_ENDED:
		return "ended";
	case KM_SOURCE_STARTING:
		return "starting";
	default:
		return "absent";
	}
}

/*
 * The statuses of the agent that is there now: counted first, copied once there is memory for them,
 * which is not asked for under the lock. A reload in between may leave fewer, or more than fit.
 * returns false when memory ran out.
 */
static bool choose_sources(struct km_api *api, struct km_arena *arena, struct chosen *out)
{
	struct km_agent *agent = km_api_agent_begin(api);
	size_t room = agent ? km_agent_sources(agent, NULL, 0) : 0;
	size_t there = 0;

	km_api_agent_end(api);
	out->source = km_arena_calloc(arena, room + 1, sizeof(*out->source));
	if (!out->source)
		return false;
	agent = km_api_agent_begin(api);
	if (agent)
		there = km_agent_sources(agent, out->source, room);
	km_api_agent_end(api);
	out->source_count = there < room ? there : room;
	return true;
}

/* only: NULL = all. returns false when memory ran out. */
static bool choose(struct km_api *api, const struct km_cluster_snapshot *s, const char *only,
                   struct km_arena *arena, struct chosen *out)
{
	struct km_agent *agent;

	memset(out, 0, sizeof(*out));
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
	return choose_sources(api, arena, out);
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
	for (size_t i = 0; i < c->source_count; i++) {
		const struct km_agent_source_status *src = &c->source[i];

		hash = km_hash64(src->detail, strlen(src->detail), hash ^ (uint64_t)src->state);
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
		.bin_age_s = NAN,
	};

	if (!f) {
		km_answer_features_node(j, &measured, NULL, NULL);
		return;
	}
	measured.host = f->host;
	measured.sequence = f->version;
	measured.tier = f->tier;
	if (f->window_end_mono_ns != 0)
		measured.bin_age_s =
			(double)(km_clock_mono_ns(api->clock) - f->window_end_mono_ns) * 1e-9;
	measured.covered_s = f->covered_s;
	measured.outside_cpus = f->outside_cpus;
	km_triage_node(f->readings, node->row, &triage);
	measured.triage = &triage;
	if (f->readings && node->row < f->readings->node_count) {
		measured.node_reading = km_readings_node(f->readings, node->row);
		measured.host_reading = km_readings_host(f->readings);
		measured.host_cpus = f->readings->cpu_count;
		if (f->outside_cpus < measured.host_cpus)
			measured.node_cpus = (measured.host_cpus - f->outside_cpus) / f->node_count;
	}
	km_answer_features_node(j, &measured, f->schema, km_host_features_row(f, node->row));
}

/* returns false when memory ran out. */
static bool answer(struct km_api *api, const struct km_cluster_snapshot *s, const struct chosen *c,
                   struct km_arena *arena, struct km_http_reply *reply)
{
	struct km_answer_source *shown =
		km_arena_calloc(arena, c->source_count + 1, sizeof(*shown));
	const struct km_host_features *any = NULL;
	struct km_json j = km_json_to(&reply->body);

	if (!shown)
		return false;
	for (size_t i = 0; i < c->source_count; i++)
		shown[i] = (struct km_answer_source){ c->source[i].source,
			                              state_name(c->source[i].state),
			                              c->source[i].detail };
	for (size_t i = 0; i < c->count && !any; i++)
		any = s->node[c->node[i]].features;
	km_answer_features_begin(&j, any ? any->schema : NULL, shown, c->source_count);
	for (size_t i = 0; i < c->count; i++)
		put_node(api, &s->node[c->node[i]], &j);
	km_answer_end(&j);
	return true;
}

void km_api_features(struct km_api *api, const struct km_http_request *req,
                     struct km_http_reply *reply)
{
	const char *only = km_http_query(req, "node");
	const char *known = km_http_header(req, "If-None-Match");
	const struct km_cluster_snapshot *s;
	struct chosen chosen;

	if (!api->own) {
		km_api_error(reply, 404, "notFound", "this daemon has no nodes");
		return;
	}
	s = km_cluster_get(api->own);
	if (!choose(api, s, only, req->arena, &chosen)) {
		km_api_error(reply, 503, "outOfMemory", "out of memory listing nodes");
	} else if (only && chosen.count == 0) {
		km_api_error(reply, 404, "notFound", "no such node on this host");
	} else {
		put_etag(s, &chosen, reply);
		if (known && strstr(known, reply->etag))
			reply->status = 304;
		else if (!answer(api, s, &chosen, req->arena, reply))
			km_api_error(reply, 503, "outOfMemory", "out of memory listing sources");
	}
	km_cluster_put(s);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which host has which nodes: each replay is one host with the nodes it names; nodes that no replay
 * names belong to this machine. CPU numbers mean something within one host only.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent_internal.h"

static const struct km_node_settings *find_node(const struct km_settings *s, const char *name)
{
	for (size_t i = 0; i < s->node_count; i++) {
		if (strcmp(s->node[i].name, name) == 0) {
			return &s->node[i];
		}
	}
	return NULL;
}

static int host_alloc(struct agent_host *h, size_t node_count, struct km_err *err)
{
	h->node = calloc(node_count + 1, sizeof(void *));
	h->cpus = calloc(node_count + 1, sizeof(h->cpus[0]));
	h->claimed = calloc(node_count + 1, sizeof(h->claimed[0]));
	h->next_cpus = calloc(node_count + 1, sizeof(h->next_cpus[0]));
	if (h->node == NULL || h->cpus == NULL || h->claimed == NULL || h->next_cpus == NULL) {
		return km_err_set(err, ENOMEM, "agent: out of memory");
	}
	return 0;
}

/*
 * own_count: nodes of this machine when that is the host, whose groups may tell their CPUs; 0 for a
 * replayed host.
 */
static int host_add(struct agent_host *h, const struct km_node_settings *node, size_t own_count,
                    struct km_err *err)
{
	struct km_cpuset cpus = node->cpus;
	bool by_group = own_count > 1 && node->cgroup != NULL && node->cgroup[0] != '\0';

	if (!node->cpus_given) {
		/* all the host will turn out to have; or none until its group tells */
		memset(cpus.word, by_group ? 0 : 0xff, sizeof(cpus.word));
	}
	for (size_t i = 0; i < h->node_count; i++) {
		if (km_cpuset_intersects(&h->cpus[i], &cpus)) {
			return km_err_set(err, EINVAL,
			                  "nodes %.60s and %.60s are on one host and share CPUs, "
			                  "wanted `cpus` of their own",
			                  h->node[i]->name, node->name);
		}
	}
	h->node[h->node_count] = node;
	h->claimed[h->node_count] = cpus;
	h->cpus[h->node_count++] = cpus;
	return 0;
}

static int add_replay_host(struct km_agent *a, const struct km_source_settings *source,
                           bool *claimed, struct km_err *err)
{
	const struct km_settings *s = a->settings;
	const struct km_replay_settings *replay = &source->replay;
	struct agent_host *h = &a->host[a->host_count];
	struct agent_source *src = &a->source[a->source_count];
	int ret;

	h->index = (uint32_t)a->host_count++; /* first, so that it is freed whatever comes */
	(void)snprintf(h->source, sizeof(h->source), "%s", source->kind);
	src->settings = source;
	src->host = h;
	src->wanted = true;
	a->source_count++;
	ret = host_alloc(h, replay->node_count, err);
	for (size_t i = 0; ret == 0 && i < replay->node_count; i++) {
		const struct km_node_settings *node = find_node(s, replay->node[i]);

		if (node == NULL) {
			return km_err_set(err, EINVAL,
			                  "replay of %.80s: node %.60s is not among the nodes",
			                  replay->file, replay->node[i]);
		}
		if (claimed[node - s->node]) {
			return km_err_set(err, EINVAL,
			                  "replay of %.80s: node %.60s has a trace already",
			                  replay->file, node->name);
		}
		claimed[node - s->node] = true;
		ret = host_add(h, node, 0, err);
	}
	return ret;
}

static void add_live_source(struct km_agent *a, struct agent_host *h,
                            const struct km_source_settings *source, bool wanted)
{
	struct agent_source *src = &a->source[a->source_count++];
	size_t len = strlen(h->source);

	src->settings = source;
	src->host = h;
	src->wanted = wanted;
	if (wanted) {
		src->slot = h->live_count++;
		(void)snprintf(h->source + len, sizeof(h->source) - len, "%s%s", len > 0 ? "+" : "",
		               source->kind);
	}
}

/* The live set in order of precedence: what the configuration lists, or what `auto` finds. */
static int add_live_set(struct km_agent *a, struct agent_host *h, struct km_err *err)
{
	const struct km_collect_settings *collect = &a->settings->collect;

	if (collect->auto_sources) {
		const struct km_source_args args = {
			.live = &collect->live,
			.node = h->node,
			.node_count = h->node_count,
			.interval_ns = collect->interval_ns,
			.now_ns = km_clock_mono_ns(a->clock),
		};

		km_preflight_run(&args, &a->preflight);
		for (size_t i = 0; i < a->preflight.count; i++) {
			add_live_source(a, h, &a->preflight.row[i].settings,
			                a->preflight.row[i].chosen);
		}
	}
	for (size_t i = 0; !collect->auto_sources && i < collect->source_count; i++) {
		if (strcmp(collect->source[i].kind, "replay") != 0) {
			add_live_source(a, h, &collect->source[i], true);
		}
	}
	if (h->live_count == 0) {
		(void)snprintf(h->source, sizeof(h->source), "none");
	}
	if (km_merge_create(h->live_count, &h->merge) != 0) {
		return km_err_set(err, ENOMEM, "agent: out of memory");
	}
	return 0;
}

/* This machine: the nodes left over, and every source that is no replay. */
static int add_own_host(struct km_agent *a, const bool *claimed, struct km_err *err)
{
	const struct km_settings *s = a->settings;
	struct agent_host *h = &a->host[a->host_count];
	size_t left = 0;
	int ret;

	for (size_t i = 0; i < s->node_count; i++) {
		left += !claimed[i];
	}
	if (left == 0) {
		return 0;
	}
	h->index = (uint32_t)a->host_count++;
	a->live_host = h;
	ret = host_alloc(h, left, err);
	for (size_t i = 0; ret == 0 && i < s->node_count; i++) {
		if (!claimed[i]) {
			ret = host_add(h, &s->node[i], left, err);
		}
	}
	return ret == 0 ? add_live_set(a, h, err) : ret;
}

int agent_layout(struct km_agent *a, struct km_err *err)
{
	const struct km_collect_settings *collect = &a->settings->collect;
	size_t sources = collect->auto_sources ? 0 : collect->source_count;
	bool *claimed = calloc(a->settings->node_count + 1, sizeof(*claimed));
	int ret = 0;

	a->host = calloc(sources + 1, sizeof(a->host[0]));
	a->source = calloc(sources + KM_PREFLIGHT_MAX, sizeof(a->source[0]));
	a->batch = calloc(sources + 1, sizeof(void *));
	if (claimed == NULL || a->host == NULL || a->source == NULL || a->batch == NULL) {
		ret = km_err_set(err, ENOMEM, "agent: out of memory");
		goto out;
	}
	for (size_t i = 0; ret == 0 && i < sources; i++) {
		if (strcmp(collect->source[i].kind, "replay") == 0) {
			ret = add_replay_host(a, &collect->source[i], claimed, err);
		}
	}
	if (ret == 0) {
		ret = add_own_host(a, claimed, err);
	}
out:
	free(claimed);
	return ret;
}

void agent_layout_free(struct km_agent *a)
{
	for (size_t i = 0; i < a->source_count; i++) {
		km_source_close(a->source[i].source);
	}
	for (size_t i = 0; i < a->host_count; i++) {
		km_features_free(a->host[i].features);
		km_merge_free(a->host[i].merge);
		km_host_features_unref(a->host[i].published);
		free(a->host[i].next_cpus);
		free(a->host[i].claimed);
		free(a->host[i].cpus);
		free(a->host[i].node);
	}
	free(a->batch);
	free(a->source);
	free(a->host);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the agent: settings, traces in a directory of its own, a clock, what was published.
 */
#ifndef KM_TESTS_SUPPORT_AGENT_WORLD_H
#define KM_TESTS_SUPPORT_AGENT_WORLD_H

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/agent/agent.h"
#include "km/base/macros.h"

#define HOSTS_MAX 70

struct world {
	char dir[64];
	struct km_settings settings;
	struct km_clock clock;
	int64_t now_ns;
	struct km_schema *schema;
	struct km_agent *agent;
	struct km_metrics *metrics;
	struct km_host_features *last[HOSTS_MAX];
	size_t publish_calls, published;
};

static inline int64_t fake_mono(void *ctx)
{
	return ((struct world *)ctx)->now_ns;
}

static inline int64_t fake_wall(void *ctx)
{
	return ((struct world *)ctx)->now_ns + 1000 * KM_NS_PER_S;
}

static inline void on_publish(void *ctx, struct km_host_features *const *hosts, size_t host_count)
{
	struct world *w = ctx;

	w->publish_calls++;
	w->published += host_count;
	for (size_t i = 0; i < host_count; i++) {
		assert_true(hosts[i]->host < HOSTS_MAX);
		km_host_features_unref(w->last[hosts[i]->host]);
		w->last[hosts[i]->host] = km_host_features_ref(hosts[i]);
	}
}

static inline struct km_schema *schema_of(const char *first)
{
	const char *names[] = { first, "node.ipc.mean", "host.mem_read_bytes_per_s.mean",
		                "pod.rps" };
	struct km_schema *s;
	struct km_err err = { 0 };

	if (km_schema_create(names, KM_ARRAY_LEN(names), 60, 5, &s, &err) != 0) {
		fail_msg("%s", err.text);
	}
	return s;
}

static inline void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	strcpy(w->dir, "/tmp/km-test-agent-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->clock = (struct km_clock){ .mono_ns = fake_mono, .wall_ns = fake_wall, .ctx = w };
	w->now_ns = 500 * KM_NS_PER_S;
	w->settings.collect.interval_ns = KM_NS_PER_S;
	w->settings.collect.window_s = 60;
	w->schema = schema_of("node.c0_ratio.mean");
	assert_int_equal(km_metrics_create(&w->metrics, NULL), 0);
}

/* A trace of 5 s rows and `cpus` cores; core i has IPC 1 + i/10 and is c0_pct + i % 90 percent
 * busy. */
static inline void write_trace(const struct world *w, const char *file, int cpus, int rows,
                               double c0_pct)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, file);
	f = fopen(path, "w");
	assert_non_null(f);
	(void)fprintf(f, "System - Date,System - Time,System - READ,System - WRITE");
	for (int c = 0; c < cpus; c++) {
		(void)fprintf(f,
		              ",Core%d (Socket 0) - IPC,Core%d (Socket 0) - L3MISS,"
		              "Core%d (Socket 0) - L2MISS,Core%d (Socket 0) - C0res%%",
		              c, c, c, c);
	}
	for (int r = 0; r < rows; r++) {
		(void)fprintf(f, "\n2025-01-01,10:%02d:%02d.000,1.00,0.50", r * 5 / 60, r * 5 % 60);
		for (int c = 0; c < cpus; c++) {
			(void)fprintf(f, ",%.2f,0.10,0.50,%.2f", 1 + c / 10.0, c0_pct + c % 90);
		}
	}
	(void)fprintf(f, "\n");
	assert_int_equal(fclose(f), 0);
}

static inline void add_node(struct world *w, const char *name, const char *cpus)
{
	struct km_settings *s = &w->settings;
	struct km_node_settings *n;

	s->node = reallocarray(s->node, s->node_count + 1, sizeof(*s->node));
	assert_non_null(s->node);
	n = &s->node[s->node_count++];
	memset(n, 0, sizeof(*n));
	(void)snprintf(n->name, sizeof(n->name), "%s", name);
	n->cpus_given = cpus != NULL;
	if (cpus != NULL) {
		assert_int_equal(km_cpuset_parse(cpus, &n->cpus, NULL), 0);
	}
}

static inline void add_source(struct world *w, const char *kind, const char *file,
                              const char *node1, const char *node2)
{
	struct km_collect_settings *c = &w->settings.collect;
	struct km_source_settings *s;
	char path[128];

	c->source = reallocarray(c->source, c->source_count + 1, sizeof(*c->source));
	assert_non_null(c->source);
	s = &c->source[c->source_count++];
	memset(s, 0, sizeof(*s));
	(void)snprintf(s->kind, sizeof(s->kind), "%s", kind);
	if (file == NULL) {
		return;
	}
	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, file);
	s->replay.file = strdup(path);
	s->replay.speed = 1;
	s->replay.node = calloc(2, sizeof(*s->replay.node));
	s->replay.node_count = node2 != NULL ? 2 : 1;
	(void)snprintf(s->replay.node[0], KM_NODE_NAME_MAX, "%s", node1);
	if (node2 != NULL) {
		(void)snprintf(s->replay.node[1], KM_NODE_NAME_MAX, "%s", node2);
	}
}

static inline void create(struct world *w)
{
	struct km_err err = { 0 };

	if (km_agent_create(&w->settings, w->schema, &w->clock, w->metrics,
	                    (struct km_agent_sink){ on_publish, w }, &w->agent, &err) != 0) {
		fail_msg("%s", err.text);
	}
}

static inline void tick_after(struct world *w, double seconds)
{
	w->now_ns += llround(seconds * 1e9);
	km_agent_tick(w->agent);
}

static inline void world_fini(struct world *w)
{
	char command[128];

	km_agent_free(w->agent);
	for (size_t i = 0; i < HOSTS_MAX; i++) {
		km_host_features_unref(w->last[i]);
	}
	km_schema_unref(w->schema);
	km_settings_fini(&w->settings);
	km_metrics_free(w->metrics);
	(void)snprintf(command, sizeof(command), "rm -r %s", w->dir);
	assert_int_equal(system(command), 0);
}

#endif

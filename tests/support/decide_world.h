/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of decide: the fixed test model, three hosts of four nodes whose rows are set by hand,
 * a clock that stands still, and the counters to see what was predicted.
 *
 *   host 0: idle, busy     host 1: mid     host 2: dark (nothing published unless a test does)
 */
#ifndef KM_TESTS_SUPPORT_DECIDE_WORLD_H
#define KM_TESTS_SUPPORT_DECIDE_WORLD_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "decide/decide_internal.h"

#define MODEL     "tests/fixtures/model/test.ubj"
#define FEATURES  5
#define MAX_AGE_S 15
#define HOSTS     3
#define NODES     4

static const char *const host_nodes[HOSTS][2] = { { "idle", "busy" },
	                                          { "mid", NULL },
	                                          { "dark", NULL } };
static const uint32_t host_node_count[HOSTS] = { 2, 1, 1 };

/* ipc, c0, l3 misses/s, writes B/s; the fifth is pod.rps */
static const double idle_row[FEATURES] = { 2.2, 0.05, 1e6, 1e8, NAN };
static const double busy_row[FEATURES] = { 0.5, 0.95, 5e7, 7e9, NAN };
static const double mid_row[FEATURES] = { 1.2, 0.5, 2e7, 3e9, NAN };

struct world {
	struct km_model *model;
	struct km_cluster *cluster;
	struct km_metrics *metrics;
	struct km_decide *decide;
	struct km_clock clock;
	int64_t now_ns;
	struct km_decide_settings settings;
	struct km_arena arena;
};

static inline int64_t world_now(void *ctx)
{
	return ((struct world *)ctx)->now_ns;
}

static inline struct km_model *open_model(void)
{
	struct km_err err = { .code = 0 };
	struct km_model *m = NULL;

	if (km_model_open(MODEL, &m, &err) != 0)
		fail_msg("%s", err.text);
	return m;
}

static inline void world_hosts(struct km_cluster_host *hosts)
{
	for (size_t h = 0; h < HOSTS; h++)
		hosts[h] = (struct km_cluster_host){ host_nodes[h], host_node_count[h] };
}

/* Without rows; the model is loaded but not in use. */
static inline void world_init(struct world *w)
{
	struct km_cluster_host hosts[HOSTS];

	*w = (struct world){
		.now_ns = 1000 * KM_NS_PER_S,
		.settings = { .max_age_ns = MAX_AGE_S * KM_NS_PER_S,
		              .on_stale = KM_ON_STALE_NEUTRAL,
		              .score_scale = 10,
		              .min_max_slowdown = 1.2,
		              .default_workload = { .rps = 1000,
		                                    .replicas = 1,
		                                    .max_slowdown = 2,
		                                    .mode = KM_MODE_PREFER } },
	};
	w->clock = (struct km_clock){ world_now, world_now, w };
	w->model = open_model();
	world_hosts(hosts);
	assert_int_equal(km_cluster_create(hosts, HOSTS, &w->cluster, NULL), 0);
	assert_int_equal(km_metrics_create(&w->metrics, NULL), 0);
	assert_int_equal(
		km_decide_create(&w->settings, w->cluster, &w->clock, w->metrics, &w->decide, NULL),
		0);
	km_arena_init(&w->arena, 4096);
}

static inline void world_fini(struct world *w)
{
	km_decide_free(w->decide);
	km_cluster_free(w->cluster);
	km_metrics_free(w->metrics);
	km_model_unref(w->model);
	km_arena_fini(&w->arena);
}

/* Rows of one host as the sampler would publish them now; the caller's reference. */
static inline struct km_host_features *host_rows(const struct world *w,
                                                 const struct km_schema *schema, uint32_t host,
                                                 uint64_t version, const double *const *row)
{
	struct km_host_features *f = km_host_features_create(schema, host_node_count[host]);

	assert_non_null(f);
	f->host = host;
	f->version = version;
	f->measured_mono_ns = w->now_ns;
	f->tier = KM_TIER_UNCORE;
	for (uint32_t n = 0; n < host_node_count[host]; n++) {
		for (uint32_t i = 0; i < schema->count; i++)
			f->row[n * schema->count + i] = i < FEATURES ? row[n][i] : NAN;
	}
	return f;
}

static inline void publish(struct world *w, struct km_host_features *f)
{
	assert_int_equal(km_cluster_publish(w->cluster, &f, 1), 0);
	km_host_features_unref(f);
}

/* idle, busy and mid measured now. */
static inline void publish_known(struct world *w, uint64_t version)
{
	const double *const first[] = { idle_row, busy_row };
	const double *const second[] = { mid_row };
	const struct km_schema *schema = km_model_schema(w->model);

	publish(w, host_rows(w, schema, 0, version, first));
	publish(w, host_rows(w, schema, 1, version, second));
}

/* A world in which everything is there but the data of `dark`. */
static inline void world_init_ready(struct world *w)
{
	world_init(w);
	km_decide_set_model(w->decide, w->model);
	publish_known(w, 1);
}

static inline struct km_name name_of(const char *text)
{
	return (struct km_name){ text, (uint32_t)strlen(text) };
}

/* One verdict; of a request for this node alone. */
static inline struct km_verdict verdict_of(struct world *w, const struct km_workload *pod,
                                           const char *node)
{
	struct km_name name = name_of(node);
	struct km_verdict v;

	assert_int_equal(km_decide_verdicts(w->decide, pod, &name, 1, &w->arena, &v), 0);
	km_arena_reset(&w->arena);
	return v;
}

static inline uint64_t predicted(const struct world *w)
{
	return km_counter_value(w->decide->stats.predicted);
}

/* What the model itself says of a row, with the workload's rps. */
static inline struct km_prediction ask_model(const struct world *w, const double *row, double rps)
{
	struct km_prediction p;
	float in[FEATURES];

	for (size_t i = 0; i < FEATURES; i++)
		in[i] = (float)row[i];
	in[FEATURES - 1] = (float)rps;
	assert_int_equal(km_model_predict(w->model, in, 1, &p, NULL), 0);
	return p;
}

#endif

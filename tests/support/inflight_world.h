/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of decide with pods in flight: a model that is a function of the test's own, nodes n0,
 * n1, ... of a host each, and a clock that stands still. The model room is stood in for here: a
 * test that includes this links without it.
 */
#ifndef KM_TESTS_SUPPORT_INFLIGHT_WORLD_H
#define KM_TESTS_SUPPORT_INFLIGHT_WORLD_H

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef WITHOUT_CMOCKA /* a fuzzer */
#define assert_non_null(p)     ((p) != NULL ? (void)0 : abort())
#define assert_int_equal(a, b) ((a) == (b) ? (void)0 : abort())
#define assert_true(c)         ((c) ? (void)0 : abort())
#else
#include <cmocka.h>
#endif

#include "km/base/macros.h"
#include "km/base/rng.h"

#include "decide/decide_internal.h"

#define WINDOW_S  60
#define MAX_AGE_S 20
#define S         KM_NS_PER_S

/* What the model is told. */
enum { IN_C0, IN_RPS, IN_REPLICAS, IN_RPS_NOW, IN_REPLICAS_NOW, IN_CPU, IN_L3, INPUTS };
static const char *const input_names[INPUTS] = {
	"node.c0_ratio.mean", "pod.rps",      "pod.replicas", "pod.rps_now",
	"pod.replicas_now",   "inflight.cpu", "inflight.l3",
};

struct km_model {
	int refs;
	struct km_schema *schema;
	double range_high[INPUTS];
	double (*slowdown)(const float *row); /* NaN = it gives no number */
	double high_over;                     /* upper bound over the prediction */
	void (*before)(void *ctx); /* called once, in the next prediction; NULL = nothing */
	void *before_ctx;
	int fails; /* a negative errno of every prediction; 0 = works */
	uint64_t rows;
	float last[INPUTS];
};

struct km_model *km_model_ref(struct km_model *m)
{
	(void)__atomic_add_fetch(&m->refs, 1, __ATOMIC_RELAXED);
	return m;
}

void km_model_unref(struct km_model *m)
{
	if (m != NULL)
		(void)__atomic_sub_fetch(&m->refs, 1, __ATOMIC_RELAXED);
}

const struct km_schema *km_model_schema(const struct km_model *m)
{
	return m->schema;
}

void km_model_info(const struct km_model *m, struct km_model_info *out)
{
	*out = (struct km_model_info){ .name = "fake", .hash = 1, .range_high = m->range_high };
}

int km_model_predict(struct km_model *m, const float *rows, size_t row_count,
                     struct km_prediction *out, struct km_err *err)
{
	void (*before)(void *) = m->before;

	if (before != NULL) {
		m->before = NULL;
		before(m->before_ctx);
	}
	for (size_t i = 0; i < row_count; i++) {
		const float *row = rows + i * m->schema->count;
		double s = m->slowdown(row);

		out[i] = (struct km_prediction){ .slowdown = s,
			                         .low = s / m->high_over,
			                         .high = s * m->high_over };
		if (m->before_ctx == NULL)
			memcpy(m->last, row, sizeof(m->last));
	}
	(void)__atomic_add_fetch(&m->rows, row_count, __ATOMIC_RELAXED);
	return m->fails != 0 ? km_err_set(err, -m->fails, "told to fail") : 0;
}

int km_model_contributions(struct km_model *m, const float *row, float *out, struct km_err *err)
{
	(void)m;
	(void)row;
	(void)out;
	return km_err_set(err, EIO, "none");
}

/* Busier, more loaded and more crowded is worse. */
static double plain_model(const float *row)
{
	double rps = isnan(row[IN_RPS]) ? 1000 : (double)row[IN_RPS];

	return exp(0.6 * (double)row[IN_C0] + 1e-4 * (rps - 1000) + 0.1 * (double)row[IN_CPU] +
	           0.2 * (double)row[IN_L3]);
}

struct world {
	struct km_model model;
	struct km_cluster *cluster;
	struct km_metrics *metrics;
	struct km_decide *decide;
	struct km_clock clock;
	int64_t now_ns;
	struct km_decide_settings settings;
	struct km_arena arena;
	uint32_t nodes;
	char (*name)[16];
	struct km_name *names;
	uint64_t version;
};

static inline int64_t world_now(void *ctx)
{
	return __atomic_load_n(&((struct world *)ctx)->now_ns, __ATOMIC_RELAXED);
}

static inline void world_init(struct world *w, uint32_t nodes)
{
	struct km_cluster_host *hosts = calloc(nodes + 1, sizeof(*hosts));
	const char **text = calloc(nodes + 1, sizeof(*text));

	*w = (struct world){
		.now_ns = 1000 * S,
		.nodes = nodes,
		.settings = { .max_age_ns = MAX_AGE_S * S,
		              .on_stale = KM_ON_STALE_NEUTRAL,
		              .score_scale = 100,
		              .min_max_slowdown = 1.2,
		              .harm_filter = true,
		              .harm_score = true,
		              .unknown_slowdown = 1.1,
		              .default_workload = { .rps = 1000,
		                                    .replicas = 1,
		                                    .max_slowdown = 2,
		                                    .mode = KM_MODE_PREFER } },
	};
	w->clock = (struct km_clock){ world_now, world_now, w };
	w->model = (struct km_model){ .refs = 1, .slowdown = plain_model, .high_over = 1.2 };
	assert_int_equal(km_schema_create(input_names, INPUTS, WINDOW_S, 5, &w->model.schema, NULL),
	                 0);
	for (int i = 0; i < INPUTS; i++)
		w->model.range_high[i] = NAN;
	w->model.range_high[IN_RPS] = 16000;
	w->model.range_high[IN_CPU] = w->model.range_high[IN_L3] = 3;
	w->name = calloc(nodes + 1, sizeof(*w->name));
	w->names = calloc(nodes + 1, sizeof(*w->names));
	for (uint32_t i = 0; i < nodes; i++) {
		(void)snprintf(w->name[i], sizeof(w->name[i]), "n%u", i);
		text[i] = w->name[i];
		hosts[i] = (struct km_cluster_host){ &text[i], 1 };
		w->names[i] = (struct km_name){ w->name[i], (uint32_t)strlen(w->name[i]) };
	}
	assert_int_equal(km_cluster_create(hosts, nodes, &w->cluster, NULL), 0);
	assert_int_equal(km_metrics_create(&w->metrics, NULL), 0);
	assert_int_equal(
		km_decide_create(&w->settings, w->cluster, &w->clock, w->metrics, &w->decide, NULL),
		0);
	km_decide_set_model(w->decide, &w->model);
	km_arena_init(&w->arena, 1 << 16);
	free(hosts);
	free(text);
}

static inline void world_fini(struct world *w)
{
	km_decide_free(w->decide);
	km_cluster_free(w->cluster);
	km_metrics_free(w->metrics);
	assert_int_equal(w->model.refs, 1);
	km_schema_unref(w->model.schema);
	km_arena_fini(&w->arena);
	free(w->name);
	free(w->names);
}

static inline void world_set(struct world *w)
{
	km_decide_set_settings(w->decide, &w->settings);
}

/* A row of node i, measured now, its window ending now. */
static inline void publish(struct world *w, uint32_t i, double c0)
{
	struct km_host_features *f = km_host_features_create(w->model.schema, 1);

	assert_non_null(f);
	f->host = i;
	f->version = ++w->version;
	f->measured_mono_ns = w->now_ns;
	f->window_end_mono_ns = w->now_ns;
	f->tier = KM_TIER_CORE;
	f->row[IN_C0] = c0;
	f->readings = km_readings_create(1, 4);
	km_readings_node(f->readings, 0)[KM_METRIC_C0_RATIO] = c0;
	assert_int_equal(km_cluster_publish(w->cluster, &f, 1), 0);
	km_host_features_unref(f);
}

static inline void publish_all(struct world *w, double c0)
{
	for (uint32_t i = 0; i < w->nodes; i++)
		publish(w, i, c0);
}

static inline struct km_name name_of(const char *text)
{
	return (struct km_name){ text, (uint32_t)strlen(text) };
}

/* A pod of a Deployment ("" = a bare one) with a class ("" = none). */
static inline struct km_pod pod_of(const char *uid, const char *service, const char *class_name)
{
	struct km_pod pod;

	km_pod_init(&pod);
	pod.namespace = name_of("shop");
	pod.name = name_of(uid);
	pod.uid = name_of(uid);
	if (service[0] != '\0') {
		pod.owner_kind = name_of("ReplicaSet");
		pod.owner_name = name_of(service);
	}
	if (class_name[0] != '\0')
		pod.class_name = name_of(class_name);
	return pod;
}

static inline struct km_subject subject_of(struct world *w, const struct km_pod *pod)
{
	struct km_subject who;

	km_decide_subject(w->decide, pod, &who);
	return who;
}

static inline void call(struct world *w, const struct km_subject *who, enum km_call c,
                        struct km_verdict *verdict)
{
	const struct km_ask ask = { who, c, w->names, w->nodes };

	assert_int_equal(km_decide_place(w->decide, &ask, &w->arena, verdict), 0);
	km_arena_reset(&w->arena);
}

/* Everything about node i for the pod, which reserves nothing. Valid until the next call. */
static inline struct km_decision_node look(struct world *w, const struct km_pod *pod, uint32_t i)
{
	struct km_subject who = subject_of(w, pod);
	struct km_decision d;

	km_arena_reset(&w->arena);
	assert_int_equal(km_decide_run_subject(w->decide, &who, w->names, w->nodes, &w->arena, &d),
	                 0);
	return d.node[i];
}

static inline struct km_ledger_stats ledger(struct world *w)
{
	struct km_ledger_stats s;

	km_decide_ledger_stats(w->decide, &s);
	return s;
}

/* Runs since `running`; bound now. */
static inline void bind_pod(struct world *w, const struct km_pod *pod, uint32_t node,
                            int64_t running_ns)
{
	km_decide_pod_bound(w->decide, pod, w->names[node], running_ns);
}

#endif

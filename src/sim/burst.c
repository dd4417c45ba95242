/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A burst: identical pods come one after another to many nodes whose counters are old. Made up, to
 * show what the in-flight ledger is for at sizes nobody measured; the decisions are the daemon's.
 *
 * A pod runs from one second after it was bound. Counters are means over a window that ended `lag`
 * ago, read every second, with a little noise; a node's demand for its time grows with its pods.
 * Without the ledger the same code is asked about a workload that is no pod, and nobody tells it
 * of pods.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/arena.h"
#include "km/base/clock.h"
#include "km/cluster/cluster.h"
#include "km/core/host_features.h"
#include "km/decide/decide.h"

#include "burst_internal.h"

#define START_S     1.0   /* from binding to running */
#define NOISE       0.005 /* of a node's share awake, as counters show it */
#define BASE_SPREAD 0.3   /* of what unequal nodes carry before */
#define BASE        0.1
#define NAME_BYTES  16
#define BEGIN_S     1000.0

struct plan {
	const char *name;
	uint32_t nodes, pods;
	double pods_per_s, lag_s;
	bool equal, ledger;
};

static const struct plan plans[] = {
	{ "20 equal nodes, 200 pods", 20, 200, 100, 10, true, true },
	{ "20 equal nodes, 200 pods, no ledger", 20, 200, 100, 10, true, false },
	{ "100 nodes, no lag", 100, 1000, 20, 0, false, true },
	{ "100 nodes, 10 s", 100, 1000, 20, 10, false, true },
	{ "100 nodes, 40 s", 100, 1000, 20, 40, false, true },
	{ "100 nodes, no lag, no ledger", 100, 1000, 20, 0, false, false },
	{ "100 nodes, 10 s, no ledger", 100, 1000, 20, 10, false, false },
	{ "100 nodes, 40 s, no ledger", 100, 1000, 20, 40, false, false },
	{ "5,000 nodes, 100 pods/s", 5000, 3000, 100, 10, false, true },
	{ "5,000 nodes, 100 pods/s, no ledger", 5000, 3000, 100, 10, false, false },
};

struct node {
	double base; /* demand without our pods */
	uint32_t pods;
	double *began; /* [pods], when each runs from; [cap] */
	uint32_t cap;
};

struct burst {
	const struct plan *plan;
	struct km_cluster *cluster;
	struct km_decide *decide;
	struct km_schema *schema;
	struct km_clock clock;
	struct km_arena arena;
	struct km_rng rng;
	double now_s;
	uint64_t version;
	struct node *node;           /* [nodes] */
	char (*name)[NAME_BYTES];    /* [nodes] */
	const char **name_of;        /* [nodes] */
	struct km_name *asked;       /* [nodes] */
	struct km_verdict *verdict;  /* [nodes] */
	struct km_host_features **h; /* [nodes] */
	double *value;               /* [nodes] */
	int64_t spent_ns;            /* by the daemon's code */
};

static int64_t now_of(void *ctx)
{
	return (int64_t)(((const struct burst *)ctx)->now_s * 1e9);
}

static int make_decide(struct burst *b, const struct km_sim_options *o, struct km_model *m,
                       struct km_err *err)
{
	struct km_cluster_host *host = calloc(b->plan->nodes, sizeof(*host));
	struct km_decide_settings settings;
	int rc;

	if (host == NULL)
		return km_err_set(err, ENOMEM, "burst: out of memory");
	rc = sim_decide_settings(o, &settings, err);
	for (uint32_t i = 0; i < b->plan->nodes; i++)
		host[i] = (struct km_cluster_host){ &b->name_of[i], 1 };
	if (rc == 0)
		rc = km_cluster_create(host, b->plan->nodes, &b->cluster, err);
	free(host);
	if (rc != 0)
		return rc;
	/* An operator who knows that counters come late says so. */
	settings.max_age_ns += (int64_t)(b->plan->lag_s * 1e9);
	rc = km_decide_create(&settings, b->cluster, &b->clock, NULL, &b->decide, err);
	if (rc != 0)
		return rc;
	km_decide_set_model(b->decide, m);
	km_decide_set_feed(b->decide, b->plan->ledger);
	return 0;
}

static int init(struct burst *b, const struct plan *plan, const struct km_sim_options *o,
                struct km_model *m, struct km_err *err)
{
	size_t n = plan->nodes;

	*b = (struct burst){ .plan = plan, .now_s = BEGIN_S };
	b->clock = (struct km_clock){ .mono_ns = now_of, .wall_ns = now_of, .ctx = b };
	b->schema = km_schema_ref(km_model_schema(m));
	km_arena_init(&b->arena, 8u << 20);
	km_rng_init(&b->rng, o->first_seed);
	b->node = calloc(n, sizeof(*b->node));
	b->name = calloc(n, sizeof(*b->name));
	b->name_of = calloc(n, sizeof(const char *)); /* NOLINT(bugprone-sizeof-expression) */
	b->asked = calloc(n, sizeof(*b->asked));
	b->verdict = calloc(n, sizeof(*b->verdict));
	b->h = calloc(n,
	              sizeof(struct km_host_features *)); /* NOLINT(bugprone-sizeof-expression) */
	b->value = calloc(n, sizeof(*b->value));
	if (b->node == NULL || b->name == NULL || b->name_of == NULL || b->asked == NULL ||
	    b->verdict == NULL || b->h == NULL || b->value == NULL)
		return km_err_set(err, ENOMEM, "burst: out of memory");
	for (uint32_t i = 0; i < n; i++) {
		(void)snprintf(b->name[i], sizeof(b->name[i]), "node-%u", i);
		b->name_of[i] = b->name[i];
		b->asked[i] = (struct km_name){ b->name[i], (uint32_t)strlen(b->name[i]) };
		b->node[i].base = BASE + (plan->equal ? 0 : BASE_SPREAD * km_rng_unit(&b->rng));
	}
	return make_decide(b, o, m, err);
}

static void fini(struct burst *b)
{
	km_decide_free(b->decide);
	km_cluster_free(b->cluster);
	km_schema_unref(b->schema);
	km_arena_fini(&b->arena);
	for (uint32_t i = 0; b->node != NULL && i < b->plan->nodes; i++)
		free(b->node[i].began);
	free(b->node);
	free(b->name);
	free(b->name_of);
	free(b->asked);
	free(b->verdict);
	free(b->h);
	free(b->value);
}

/* What counters of the window that ended at `end_s` show. */
static double shown(struct burst *b, const struct node *n, double end_s)
{
	double demand = n->base;

	for (uint32_t i = 0; i < n->pods; i++) {
		double ran = fmin(fmax(end_s - n->began[i], 0), BURST_WINDOW_S);

		demand += BURST_SHARE * ran / BURST_WINDOW_S;
	}
	return fmin(fmax(demand + NOISE * km_rng_normal(&b->rng), 0), 1);
}

static void fill_host(struct burst *b, uint32_t node, double end_s, struct km_host_features *h)
{
	h->host = node;
	h->version = b->version;
	h->measured_mono_ns = (int64_t)(end_s * 1e9);
	h->measured_wall_ns = h->measured_mono_ns;
	h->covered_s = BURST_WINDOW_S;
	h->tier = b->schema->tier;
	h->row[0] = shown(b, &b->node[node], end_s); /* NOLINT(clang-analyzer-unix.Malloc) */
}

static int publish(struct burst *b)
{
	uint32_t n = b->plan->nodes;
	uint32_t made = 0;
	int rc = 0;

	b->version++;
	while (made < n) {
		b->h[made] = km_host_features_create(b->schema, 1);
		if (b->h[made] == NULL)
			break;
		fill_host(b, made, b->now_s - b->plan->lag_s, b->h[made]);
		made++;
	}
	rc = made == n ? km_cluster_publish(b->cluster, b->h, n) : -ENOMEM;
	while (made > 0)
		km_host_features_unref(b->h[--made]);
	return rc;
}

/* Asks the daemon; the pod's own verdicts are in verdict[]. */
static int ask(struct burst *b, const struct km_pod *pod)
{
	int64_t began_ns = km_clock_mono_ns(km_clock_system());
	struct km_subject who;
	struct km_workload w;
	int rc;

	km_arena_reset(&b->arena);
	if (b->plan->ledger) {
		km_decide_subject(b->decide, pod, &who);
		rc = km_decide_place(
			b->decide,
			&(struct km_ask){ &who, KM_CALL_PRIORITIZE, b->asked, b->plan->nodes },
			&b->arena, b->verdict);
	} else {
		km_decide_pod_workload(b->decide, pod, &w);
		rc = km_decide_verdicts(b->decide, &w, b->asked, b->plan->nodes, &b->arena,
		                        b->verdict);
	}
	b->spent_ns += km_clock_mono_ns(km_clock_system()) - began_ns;
	return rc;
}

static int bind_pod(struct burst *b, const struct km_pod *pod, uint32_t chosen)
{
	struct node *n = &b->node[chosen];

	if (n->pods == n->cap) {
		uint32_t cap = n->cap == 0 ? 8 : 2 * n->cap;
		double *grown = reallocarray(n->began, cap, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		n->began = grown;
		n->cap = cap;
	}
	n->began[n->pods++] = b->now_s + START_S;
	if (b->plan->ledger)
		km_decide_pod_bound(b->decide, pod, b->asked[chosen],
		                    (int64_t)((b->now_s + START_S) * 1e9));
	return 0;
}

static int place_pod(struct burst *b, uint32_t number)
{
	char uid[NAME_BYTES];
	struct km_pod pod;
	int rc;

	(void)snprintf(uid, sizeof(uid), "pod-%u", number);
	km_pod_init(&pod);
	pod.name = (struct km_name){ uid, (uint32_t)strlen(uid) };
	pod.uid = pod.name;
	pod.namespace = (struct km_name){ "sim", 3 };
	pod.class_name = (struct km_name){ BURST_CLASS, sizeof(BURST_CLASS) - 1 };
	rc = ask(b, &pod);
	if (rc != 0)
		return rc;
	for (uint32_t i = 0; i < b->plan->nodes; i++)
		b->value[i] = -b->verdict[i].score;
	return bind_pod(b, &pod,
	                (uint32_t)km_least(b->value, b->plan->nodes, km_rng_unit(&b->rng)));
}

/* Mean slowdown of all pods when all of them run. */
static double mean_slowdown(const struct burst *b)
{
	double sum = 0;

	for (uint32_t i = 0; i < b->plan->nodes; i++) {
		const struct node *n = &b->node[i];

		sum += n->pods * burst_slowdown(n->base + BURST_SHARE * n->pods);
	}
	return sum / b->plan->pods;
}

/* The same had each pod gone where it raises the sum least: the sum is convex, so that is least. */
static double least_slowdown(struct burst *b)
{
	for (uint32_t i = 0; i < b->plan->nodes; i++)
		b->node[i].pods = 0;
	for (uint32_t k = 0; k < b->plan->pods; k++) {
		uint32_t best = 0;
		double least = INFINITY;

		for (uint32_t i = 0; i < b->plan->nodes; i++) {
			const struct node *n = &b->node[i];
			double before = n->base + BURST_SHARE * n->pods;
			double more = (n->pods + 1) * burst_slowdown(before + BURST_SHARE) -
			              n->pods * burst_slowdown(before);

			if (more < least) {
				least = more;
				best = i;
			}
		}
		b->node[best].pods++;
	}
	return mean_slowdown(b);
}

static void result_of(struct burst *b, struct km_sim_burst *out)
{
	const struct plan *p = b->plan;
	uint32_t most = 0;
	double mean;

	for (uint32_t i = 0; i < p->nodes; i++)
		most = b->node[i].pods > most ? b->node[i].pods : most;
	mean = mean_slowdown(b);
	(void)snprintf(out->name, sizeof(out->name), "%s", p->name);
	out->nodes = p->nodes;
	out->pods = p->pods;
	out->lag_s = p->lag_s;
	out->pods_per_s = p->pods_per_s;
	out->ledger = p->ledger;
	out->max_over_mean = most / ((double)p->pods / p->nodes);
	out->slowdown = mean;
	out->regret = mean / least_slowdown(b) - 1;
	out->us_per_pod = (double)b->spent_ns * 1e-3 / p->pods;
}

static int run_plan(const struct sim_run *r, const struct plan *plan, struct km_model *m,
                    struct km_sim_burst *out, struct km_err *err)
{
	struct burst b;
	double published_s = -INFINITY;
	int rc = init(&b, plan, r->options, m, err);

	for (uint32_t k = 0; rc == 0 && k < plan->pods; k++) {
		b.now_s = BEGIN_S + k / plan->pods_per_s;
		if (b.now_s - published_s >= 1) {
			published_s = b.now_s;
			rc = publish(&b);
		}
		if (rc == 0)
			rc = place_pod(&b, k);
		if (rc != 0)
			rc = km_err_set(err, ENOMEM, "burst: out of memory");
	}
	if (rc == 0)
		result_of(&b, out);
	fini(&b);
	return rc;
}

int sim_burst(struct sim_run *r, struct km_err *err)
{
	struct km_model *m = NULL;
	int rc = burst_model(&m, err);

	for (size_t i = 0; rc == 0 && i < KM_ARRAY_LEN(plans); i++) {
		struct km_sim_burst *out = sim_add_burst(r);

		rc = out != NULL ? run_plan(r, &plans[i], m, out, err)
		                 : km_err_set(err, ENOMEM, "burst: out of memory");
		if (rc == 0)
			rc = sim_progress(r, "bursts", i + 1, KM_ARRAY_LEN(plans), err);
	}
	km_model_unref(m);
	return rc;
}

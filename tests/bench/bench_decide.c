/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a decision costs as the cluster grows: verdicts for all names (beside the bare look-up of
 * the same names), bringing a table up to date, publishing, and memory. One node per host, each
 * with rows of its own. Times are CPU time of the one thread.
 * usage: bench_decide [MODEL]   (default: tests/fixtures/model/test.ubj, a small one)
 */
#include <malloc.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "km/base/rng.h"
#include "km/decide/decide.h"

#define NODES_MAX 15000
#define RUNS_MAX  2000
#define NAME_LEN  22 /* as "ip-10-123-045.internal" */
#define MAX_AGE_S 15

struct bench {
	uint32_t nodes;
	struct km_model *model;
	struct km_cluster *cluster;
	struct km_decide *decide;
	struct km_host_features *rows[NODES_MAX];
	struct km_arena arena;
	struct km_rng rng;
	uint64_t version;
	int64_t now_ns;
	char text[NODES_MAX][NAME_LEN + 2];
	char asked[NODES_MAX][NAME_LEN + 2]; /* the request's own bytes */
	const char *name[NODES_MAX];
	struct km_name ordered[NODES_MAX];
	struct km_name shuffled[NODES_MAX];
	struct km_verdict verdict[NODES_MAX];
};

static const struct km_workload workload = {
	.rps = 1500, .replicas = 2, .max_slowdown = 2, .mode = KM_MODE_PREFER
};

static const struct km_decide_settings bench_settings = {
	.max_age_ns = MAX_AGE_S * KM_NS_PER_S,
	.score_scale = 10,
	.risk = 0.8,
	.harm_filter = true,
	.harm_score = true,
	.unknown_slowdown = 1.1,
	.min_max_slowdown = 1.2,
	.default_workload = { .rps = 1500,
	                      .replicas = 1,
	                      .max_slowdown = 2,
	                      .mode = KM_MODE_PREFER },
};

static double run_us[RUNS_MAX];
static volatile int64_t sink;

static double now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int64_t bench_now(void *ctx)
{
	return ((struct bench *)ctx)->now_ns;
}

static void check(int rc, const char *what, const struct km_err *err)
{
	if (rc == 0)
		return;
	(void)fprintf(stderr, "bench_decide: %s: %s\n", what, err->text);
	exit(1);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(size_t runs)
{
	qsort(run_us, runs, sizeof(run_us[0]), by_value);
	return run_us[runs / 2];
}

static double heap_mb(void)
{
	struct mallinfo2 m = mallinfo2();

	return (double)(m.uordblks + m.hblkhd) / 1e6;
}

static struct km_host_features *new_rows(struct bench *b, uint32_t host)
{
	const struct km_schema *schema = km_model_schema(b->model);
	struct km_host_features *f = km_host_features_create(schema, 1);
	struct km_model_info info;

	if (f == NULL)
		exit(1);
	km_model_info(b->model, &info);
	f->host = host;
	f->version = b->version;
	f->measured_mono_ns = b->now_ns;
	f->tier = KM_TIER_UNCORE;
	for (uint32_t i = 0; i < schema->count; i++) {
		double low = isnan(info.range_low[i]) ? 0 : info.range_low[i];
		double high = isnan(info.range_high[i]) ? 1 : info.range_high[i];

		f->row[i] = low + (high - low) * km_rng_unit(&b->rng);
	}
	return f;
}

/* New rows for every `step`-th host; the same version means that only time went on. */
static void renew(struct bench *b, uint32_t step)
{
	for (uint32_t i = 0; i < b->nodes; i += step) {
		km_host_features_unref(b->rows[i]);
		b->rows[i] = new_rows(b, i);
	}
}

static void publish(struct bench *b)
{
	if (km_cluster_publish(b->cluster, b->rows, b->nodes) != 0)
		exit(1);
}

static void name_nodes(struct bench *b)
{
	for (uint32_t i = 0; i < b->nodes; i++) {
		(void)snprintf(b->text[i], sizeof(b->text[i]), "ip-10-%03u-%03u.internal",
		               i / 250 % 1000, i % 250);
		memcpy(b->asked[i], b->text[i], sizeof(b->text[i]));
		b->name[i] = b->text[i];
		b->ordered[i] = (struct km_name){ b->asked[i], (uint32_t)strlen(b->asked[i]) };
	}
	memcpy(b->shuffled, b->ordered, sizeof(b->ordered));
	for (uint32_t i = b->nodes; i > 1; i--) {
		uint32_t other = km_rng_below(&b->rng, i);
		struct km_name swap = b->shuffled[i - 1];

		b->shuffled[i - 1] = b->shuffled[other];
		b->shuffled[other] = swap;
	}
}

static void setup(struct bench *b, uint32_t nodes)
{
	static struct km_cluster_host host[NODES_MAX];
	static struct km_clock clock = { bench_now, bench_now, NULL };
	struct km_err err = { .code = 0 };

	clock.ctx = b;
	b->nodes = nodes;
	b->version = 1;
	b->now_ns = 1000 * KM_NS_PER_S;
	km_rng_init(&b->rng, 1);
	name_nodes(b);
	for (uint32_t i = 0; i < nodes; i++)
		host[i] = (struct km_cluster_host){ &b->name[i], 1 };
	check(km_cluster_create(host, nodes, &b->cluster, &err), "cluster", &err);
	check(km_decide_create(&bench_settings, b->cluster, &clock, NULL, &b->decide, &err),
	      "decide", &err);
	km_decide_set_model(b->decide, b->model);
	km_arena_init(&b->arena, 1 << 20);
	memset(b->rows, 0, sizeof(b->rows));
	renew(b, 1);
	publish(b);
}

static void teardown(struct bench *b)
{
	km_decide_free(b->decide);
	km_cluster_free(b->cluster);
	for (uint32_t i = 0; i < b->nodes; i++)
		km_host_features_unref(b->rows[i]);
	km_arena_fini(&b->arena);
}

static void verdicts(struct bench *b, const struct km_name *names)
{
	if (km_decide_verdicts(b->decide, &workload, names, b->nodes, &b->arena, b->verdict) != 0)
		exit(1);
	sink += b->verdict[b->nodes - 1].score;
	km_arena_reset(&b->arena);
}

static double time_verdicts(struct bench *b, const struct km_name *names)
{
	size_t runs = RUNS_MAX;

	for (size_t i = 0; i < runs; i++) {
		double start = now_us();

		verdicts(b, names);
		run_us[i] = now_us() - start;
	}
	return median(runs);
}

static double time_lookup(struct bench *b, const struct km_name *names)
{
	for (size_t i = 0; i < RUNS_MAX; i++) {
		const struct km_cluster_snapshot *s = km_cluster_get(b->cluster);
		double start = now_us();

		for (uint32_t n = 0; n < b->nodes; n++)
			sink += km_cluster_find(s, names[n].text, names[n].len);
		run_us[i] = now_us() - start;
		km_cluster_put(s);
	}
	return median(RUNS_MAX);
}

static void hot(struct bench *b)
{
	double lookup = time_lookup(b, b->shuffled);
	double ordered = time_verdicts(b, b->ordered);
	double shuffled = time_verdicts(b, b->shuffled);
	double stale;

	b->now_ns += (MAX_AGE_S + 1) * KM_NS_PER_S;
	stale = time_verdicts(b, b->shuffled);
	b->now_ns -= (MAX_AGE_S + 1) * KM_NS_PER_S;
	(void)printf("%6u %9.1f %9.1f %9.1f %9.1f %14.1f %9.1f\n", b->nodes, lookup, shuffled,
	             ordered, stale, shuffled * 1e3 / b->nodes, ordered * 1e3 / b->nodes);
}

/* The request after a publication: table brought up to date, and all verdicts. */
static double time_update(struct bench *b, bool predict_again, size_t runs)
{
	for (size_t i = 0; i < runs; i++) {
		double start;

		b->version += predict_again;
		b->now_ns += KM_NS_PER_S;
		renew(b, 1);
		publish(b);
		start = now_us();
		verdicts(b, b->shuffled);
		run_us[i] = now_us() - start;
	}
	return median(runs);
}

static double time_publish(struct bench *b, uint32_t count)
{
	enum { RUNS = 300 };
	struct km_host_features *some[NODES_MAX];

	for (size_t i = 0; i < RUNS; i++) {
		double start;

		for (uint32_t n = 0; n < count; n++)
			some[n] = new_rows(b, (uint32_t)((uint64_t)n * b->nodes / count));
		start = now_us();
		if (km_cluster_publish(b->cluster, some, count) != 0)
			exit(1);
		run_us[i] = now_us() - start;
		for (uint32_t n = 0; n < count; n++)
			km_host_features_unref(some[n]);
	}
	return median(RUNS);
}

static void changes(struct bench *b)
{
	(void)printf("%6u %12.2f %14.0f %12.1f %12.1f %12.1f\n", b->nodes,
	             time_update(b, true, 20) / 1e3, time_update(b, false, 100), time_publish(b, 1),
	             time_publish(b, 50), time_publish(b, b->nodes));
}

/* ---- pods in flight ---- */
#define PODS_A_NODE 10
#define ASKED_PODS  400

static const struct km_label protected_label[] = { { { "app", 3 }, { "web", 3 } } };

static void protect(struct bench *b)
{
	struct km_policies *set = NULL;
	struct km_err err = { .code = 0 };
	struct km_policy p;

	km_policy_init(&p);
	memcpy(p.namespace, "shop", sizeof("shop"));
	memcpy(p.name, "web", sizeof("web"));
	p.term = calloc(1, sizeof(*p.term));
	if (p.term == NULL)
		exit(1);
	p.term[0] = (struct km_selector_term){ .key = strdup("app"), .op = KM_SELECTOR_EXISTS };
	p.term_count = 1;
	p.max_slowdown = 3;
	p.trusted = true;
	check(km_policies_create(&p, 1, &set, &err), "policies", &err);
	km_decide_set_policies(b->decide, set);
	km_policies_unref(set);
}

static struct km_pod pod_of(char *uid, size_t size, const char *owner, uint32_t serial)
{
	struct km_pod pod;

	km_pod_init(&pod);
	(void)snprintf(uid, size, "%s-%08u", owner, serial);
	pod.namespace = (struct km_name){ "shop", 4 };
	pod.uid = (struct km_name){ uid, (uint32_t)strlen(uid) };
	pod.owner_kind = (struct km_name){ "ReplicaSet", 10 };
	pod.owner_name = (struct km_name){ owner, (uint32_t)strlen(owner) };
	return pod;
}

/* Ten pods on every node, two of them protected, all there for long. */
static void populate(struct bench *b)
{
	static const char *const owners[PODS_A_NODE] = { "web", "shop-front", "a", "b", "c",
		                                         "d",   "e",          "f", "g", "h" };
	char uid[32];

	km_decide_set_feed(b->decide, true);
	for (uint32_t i = 0; i < b->nodes * PODS_A_NODE; i++) {
		struct km_pod pod = pod_of(uid, sizeof(uid), owners[i % PODS_A_NODE], i);

		if (i % PODS_A_NODE < 2) {
			pod.label = protected_label;
			pod.label_count = 1;
		}
		km_decide_pod_bound(b->decide, &pod, b->ordered[i / PODS_A_NODE],
		                    b->now_ns - 3600 * KM_NS_PER_S);
	}
}

static double us_of(struct bench *b, const struct km_subject *who, enum km_call call)
{
	const struct km_ask ask = { who, call, b->shuffled, b->nodes };
	double start = now_us();

	if (km_decide_place(b->decide, &ask, &b->arena, b->verdict) != 0)
		exit(1);
	start = now_us() - start;
	km_arena_reset(&b->arena);
	return start;
}

/* /filter and /prioritize of pod after pod of one service, as decisions are made. */
static double time_pods(struct bench *b, bool bind, uint32_t services, double *worst)
{
	char owner[16];
	char uid[32];

	*worst = 0;
	for (uint32_t i = 0; i < ASKED_PODS; i++) {
		struct km_pod pod;
		struct km_subject who;

		(void)snprintf(owner, sizeof(owner), "burst-%u", i % services);
		pod = pod_of(uid, sizeof(uid), owner, i);

		b->now_ns += KM_NS_PER_S / 100;
		km_decide_subject(b->decide, &pod, &who);
		run_us[i] = us_of(b, &who, KM_CALL_FILTER) + us_of(b, &who, KM_CALL_PRIORITIZE);
		if (bind)
			km_decide_pod_bound(b->decide, &pod, b->ordered[i * 7 % b->nodes],
			                    KM_DECIDE_NOT_YET);
		*worst = i > 0 && run_us[i] > *worst ? run_us[i] : *worst;
	}
	return median(ASKED_PODS);
}

/* The first /filter after every row changed. */
static double time_renewal(struct bench *b)
{
	char uid[32];
	struct km_pod pod = pod_of(uid, sizeof(uid), "burst", 1000000);
	struct km_subject who;

	for (size_t i = 0; i < 10; i++) {
		b->version++;
		b->now_ns += KM_NS_PER_S;
		renew(b, 1);
		publish(b);
		km_decide_subject(b->decide, &pod, &who);
		run_us[i] = us_of(b, &who, KM_CALL_FILTER);
	}
	return median(10);
}

static void in_flight(struct bench *b, bool ledger, bool feed, uint32_t services)
{
	double before = heap_mb();
	double worst;
	double each;

	setup(b, 5000);
	if (!ledger) {
		struct km_decide_settings s = bench_settings;

		s.ledger_off = true;
		km_decide_set_settings(b->decide, &s);
	}
	if (feed) {
		protect(b);
		populate(b);
	}
	each = time_pods(b, feed, services, &worst);
	(void)printf("%-42s %9.0f %9.0f %12.1f %9.1f\n",
	             !ledger         ? "without ledger"
	             : !feed         ? "ledger, no feed"
	             : services == 1 ? "50,000 pods fed, 10,000 of them protected"
	                             : "the same, pods of 32 services in turn",
	             each, worst, time_renewal(b) / 1e3, heap_mb() - before);
	teardown(b);
}

static void memory(struct bench *b)
{
	double before = heap_mb();
	double picture;
	double one;

	setup(b, 5000);
	picture = heap_mb() - before;
	verdicts(b, b->ordered);
	one = heap_mb() - before - picture;
	for (int i = 0; i < 64; i++) {
		struct km_workload w = workload;

		w.rps += i;
		if (km_decide_verdicts(b->decide, &w, b->ordered, 1, &b->arena, b->verdict) != 0)
			exit(1);
	}
	(void)printf("5,000 nodes on the heap: picture %.2f MB, one workload %.2f MB, 64 workloads "
	             "%.1f MB\n",
	             picture, one, heap_mb() - before - picture);
	teardown(b);
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[] = { 100, 1000, 5000, 15000 };
	static struct bench b;
	const char *path = argc > 1 ? argv[1] : "tests/fixtures/model/test.ubj";
	struct km_err err = { .code = 0 };
	struct km_model_info info;

	km_model_thread_init();
	check(km_model_open(path, &b.model, &err), "open", &err);
	km_model_info(b.model, &info);
	(void)printf("model %s: %u features, %u trees, depth %u\n", info.name,
	             km_model_schema(b.model)->count, info.tree_count, info.max_depth);
	(void)printf("\nverdicts for all nodes, median us                            ns a name\n"
	             " nodes   look-up  shuffled   ordered all stale       shuffled   ordered\n");
	for (size_t i = 0; i < KM_ARRAY_LEN(sizes); i++) {
		setup(&b, sizes[i]);
		hot(&b);
		teardown(&b);
	}
	(void)printf("\nafter a publication, median     (cold: ms, others us)\n"
	             " nodes   cold, all  only time on  publish 1  publish 50  publish all\n");
	for (size_t i = 0; i < KM_ARRAY_LEN(sizes); i++) {
		setup(&b, sizes[i]);
		changes(&b);
		teardown(&b);
	}
	(void)printf("\n5,000 nodes, /filter and /prioritize of one pod after another (CPU, us)\n"
	             "                                              median     worst  "
	             "rows renewed ms      MB\n");
	in_flight(&b, false, false, 1);
	in_flight(&b, true, false, 1);
	in_flight(&b, true, true, 1);
	in_flight(&b, true, true, 32);
	(void)printf("\n");
	memory(&b);
	km_model_unref(b.model);
	return 0;
}

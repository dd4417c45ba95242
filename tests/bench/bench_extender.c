/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /prioritize without the network: what decoding the request, judging its nodes and writing the
 * answer take, in CPU time of the thread. One node per host. The names come in the picture's order,
 * and shuffled; kube-scheduler's is in between (its workers take runs of the node list each).
 * usage: bench_extender [MODEL]   (default: tests/fixtures/model/test.ubj, a small one)
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "km/base/rng.h"
#include "km/decide/decide.h"
#include "km/wire/extender.h"

#define NODES_MAX 15000
#define RUNS      300
#define SEED      UINT64_C(0x6b6d62656e6368)

enum stage { DECODE, JUDGE, WRITE, STAGES };

struct bench {
	uint32_t nodes;
	struct km_model *model;
	struct km_cluster *cluster;
	struct km_decide *decide;
	struct km_arena arena;
	struct km_buf body;
	struct km_buf answer;
	uint32_t order[NODES_MAX];
	char text[NODES_MAX][32];
	const char *name[NODES_MAX];
	double us[STAGES][RUNS];
};

static double cpu_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void check(int rc, const char *what, const struct km_err *err)
{
	if (rc == 0)
		return;
	(void)fprintf(stderr, "bench_extender: %s: %s\n", what, err->text);
	exit(1);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *us)
{
	qsort(us, RUNS, sizeof(us[0]), by_value);
	return us[RUNS / 2];
}

/* Rows all over the training ranges, so that scores differ. */
static void publish(struct bench *b, struct km_rng *rng)
{
	static struct km_host_features *row[NODES_MAX];
	const struct km_schema *schema = km_model_schema(b->model);
	struct km_model_info info;

	km_model_info(b->model, &info);
	for (uint32_t i = 0; i < b->nodes; i++) {
		row[i] = km_host_features_create(schema, 1);
		if (row[i] == NULL)
			exit(1);
		row[i]->host = i;
		row[i]->version = 1;
		row[i]->measured_mono_ns = km_clock_mono_ns(km_clock_system());
		row[i]->tier = KM_TIER_UNCORE;
		for (uint32_t f = 0; f < schema->count; f++) {
			double low = isnan(info.range_low[f]) ? 0 : info.range_low[f];
			double high = isnan(info.range_high[f]) ? 1 : info.range_high[f];

			row[i]->row[f] = low + (high - low) * km_rng_unit(rng);
		}
	}
	if (km_cluster_publish(b->cluster, row, b->nodes) != 0)
		exit(1);
	for (uint32_t i = 0; i < b->nodes; i++)
		km_host_features_unref(row[i]);
}

static void write_body(struct bench *b)
{
	km_buf_clear(&b->body);
	km_buf_str(&b->body, "{\"Pod\":{\"metadata\":{\"name\":\"web-1\",\"namespace\":\"shop\","
	                     "\"annotations\":{\"kubemarla.io/rps\":\"1200\"");
	/* A pod has about 4 KB. */
	for (int i = 0; i < 50; i++) {
		km_buf_printf(&b->body,
		              ",\"example.org/annotation-%02d\":\"a value of forty bytes, or "
		              "thereabouts\"",
		              i);
	}
	km_buf_str(&b->body, "}},\"spec\":{}},\"Nodes\":null,\"NodeNames\":[");
	for (uint32_t i = 0; i < b->nodes; i++)
		km_buf_printf(&b->body, "%s\"%s\"", i > 0 ? "," : "", b->text[b->order[i]]);
	km_buf_str(&b->body, "]}");
}

static void setup(struct bench *b, uint32_t nodes)
{
	static struct km_cluster_host host[NODES_MAX];
	const struct km_decide_settings settings = {
		.max_age_ns = 3600 * KM_NS_PER_S,
		.score_scale = 10,
		.min_max_slowdown = 1.2,
		.default_workload = { .rps = 1000,
		                      .replicas = 1,
		                      .max_slowdown = 2,
		                      .mode = KM_MODE_PREFER },
	};
	struct km_err err = { .code = 0 };
	struct km_rng rng;

	b->nodes = nodes;
	km_rng_init(&rng, 1);
	for (uint32_t i = 0; i < nodes; i++) {
		(void)snprintf(b->text[i], sizeof(b->text[i]), "node-%05u.cluster.example", i);
		b->name[i] = b->text[i];
		b->order[i] = i;
		host[i] = (struct km_cluster_host){ &b->name[i], 1 };
	}
	check(km_cluster_create(host, nodes, &b->cluster, &err), "cluster", &err);
	check(km_decide_create(&settings, b->cluster, km_clock_system(), NULL, &b->decide, &err),
	      "decide", &err);
	km_decide_set_model(b->decide, b->model);
	km_arena_init(&b->arena, 4u << 20);
	km_buf_init(&b->body);
	km_buf_init(&b->answer);
	publish(b, &rng);
}

static void shuffle(struct bench *b)
{
	struct km_rng rng;

	km_rng_init(&rng, 2);
	for (uint32_t i = b->nodes; i > 1; i--) {
		uint32_t other = km_rng_below(&rng, i);
		uint32_t swap = b->order[i - 1];

		b->order[i - 1] = b->order[other];
		b->order[other] = swap;
	}
}

static void teardown(struct bench *b)
{
	km_decide_free(b->decide);
	km_cluster_free(b->cluster);
	km_arena_fini(&b->arena);
	km_buf_fini(&b->body);
	km_buf_fini(&b->answer);
}

/* The handler's own steps (api/prioritize.c). */
static void answer_one(struct bench *b, size_t run)
{
	struct km_extender_args args;
	struct km_err err = { .code = 0 };
	struct km_verdict *verdict;
	struct km_workload w;
	int32_t *score;
	double at[STAGES + 1];

	km_arena_reset(&b->arena);
	km_buf_clear(&b->answer);
	at[0] = cpu_us();
	check(km_extender_decode(b->body.data, b->body.len, 64, SEED, &b->arena, &args, &err),
	      "decode", &err);
	at[1] = cpu_us();
	km_decide_pod_workload(b->decide, &args.pod, &w);
	verdict = km_arena_alloc(&b->arena, (args.count + 1) * sizeof(*verdict));
	score = km_arena_alloc(&b->arena, (args.count + 1) * sizeof(*score));
	if (verdict == NULL || score == NULL ||
	    km_decide_verdicts(b->decide, &w, args.name, args.count, &b->arena, verdict) != 0)
		exit(1);
	at[2] = cpu_us();
	for (size_t i = 0; i < args.count; i++)
		score[i] = verdict[i].score;
	km_extender_write_priorities(&b->answer, &args, score);
	at[3] = cpu_us();
	for (size_t s = 0; s < STAGES; s++)
		b->us[s][run] = at[s + 1] - at[s];
}

static void time_all(struct bench *b, const char *order)
{
	double decode;
	double judge;
	double write;

	write_body(b);
	for (size_t warm = 0; warm < 20; warm++)
		answer_one(b, 0);
	for (size_t run = 0; run < RUNS; run++)
		answer_one(b, run);
	decode = median(b->us[DECODE]);
	judge = median(b->us[JUDGE]);
	write = median(b->us[WRITE]);
	(void)printf("%6u  %-8s %9.1f %9.1f %9.1f %9.1f %12.1f\n", b->nodes, order, decode, judge,
	             write, decode + judge + write, (decode + judge + write) * 1e3 / b->nodes);
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[] = { 100, 1000, 5000, 15000 };
	static struct bench b;
	const char *path = argc > 1 ? argv[1] : "tests/fixtures/model/test.ubj";
	struct km_err err = { .code = 0 };

	km_model_thread_init();
	check(km_model_open(path, &b.model, &err), "open", &err);
	(void)printf("one request to /prioritize, CPU time of each step, median us\n"
	             " nodes  order       decode     judge     write       all    ns a name\n");
	for (size_t i = 0; i < KM_ARRAY_LEN(sizes); i++) {
		setup(&b, sizes[i]);
		time_all(&b, "picture");
		shuffle(&b);
		time_all(&b, "shuffled");
		teardown(&b);
	}
	km_model_unref(b.model);
	return 0;
}

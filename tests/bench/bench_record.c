/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What remembering a decision costs a request: looking through its verdicts for the nodes to keep,
 * and keeping them; what a reader of the full ring takes; and handing the call to the decision log.
 * CPU time of the one thread.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "km/base/clock.h"
#include "km/base/rng.h"
#include "km/decide/decision_log.h"
#include "km/decide/record.h"

#define NODES_MAX 15000
#define RUNS      2000

static struct km_verdict verdict[NODES_MAX];
static char text[KM_RECORD_NODES_MAX][32];
static double run_us[RUNS];
static volatile uint64_t sink;

static double now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(void)
{
	qsort(run_us, RUNS, sizeof(run_us[0]), by_value);
	return run_us[RUNS / 2];
}

static struct km_recorded decision(uint64_t id, unsigned call, char *pod)
{
	struct km_recorded d = {
		.id = id,
		.prioritize_id = call == KM_RECORD_PRIORITIZE ? id : 0,
		.calls = call,
		.pod_namespace = { "shop", 4 },
		.pod_uid = { pod, (uint32_t)strlen(pod) },
		.pod_name = { pod, (uint32_t)strlen(pod) },
		.scale = 10,
		.count = KM_RECORD_NODES_MAX,
	};

	for (size_t i = 0; i < KM_RECORD_NODES_MAX; i++) {
		d.node[i] = (struct km_recorded_node){
			.name = { text[i], (uint32_t)strlen(text[i]) },
			.verdict = { .passes = true, .score = (int32_t)i },
			.slowdown = 1.5,
			.low = 1.2,
			.high = 2,
			.age_s = 1,
		};
	}
	return d;
}

static double time_pick(uint32_t nodes)
{
	uint32_t pick[KM_RECORD_NODES_MAX];
	struct km_recorded d = { .id = 1 };

	for (size_t i = 0; i < RUNS; i++) {
		double start = now_us();

		sink += km_record_pick(verdict, nodes, &d, pick);
		run_us[i] = now_us() - start;
	}
	return median();
}

/* The second of a pair joins the first. */
static double time_add(struct km_record *r, unsigned call)
{
	for (size_t i = 0; i < RUNS; i++) {
		char pod[32];
		struct km_recorded d;
		double start;

		(void)snprintf(pod, sizeof(pod), "web-%zu", i);
		d = decision(i + 1, KM_RECORD_FILTER, pod);
		start = now_us();
		km_record_add(r, &d, 0);
		if (call == KM_RECORD_PRIORITIZE) {
			d = decision(i + 1, call, pod);
			start = now_us();
			km_record_add(r, &d, 0);
		}
		run_us[i] = now_us() - start;
	}
	return median();
}

static double time_find(struct km_record *r, const struct km_record_query *q)
{
	static struct km_recorded_copy copy;

	for (size_t i = 0; i < RUNS; i++) {
		uint64_t cursor = 0;
		double start = now_us();

		sink += km_record_next(r, q, &cursor, &copy);
		run_us[i] = now_us() - start;
	}
	return median();
}

/* The request's part of the decision log; the rest is its own thread's. */
static double time_log(struct km_decision_log *l, uint32_t nodes)
{
	static struct km_name name[NODES_MAX];
	static char names[NODES_MAX][32];
	const struct km_logged_decision d = { .id = 1, .workload_from = "default", .count = nodes };

	for (uint32_t i = 0; i < nodes; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "ip-10-%03u-%03u.internal", i / 250,
		               i % 250);
		name[i] = (struct km_name){ names[i], (uint32_t)strlen(names[i]) };
	}
	for (size_t i = 0; i < RUNS; i++) {
		double start = now_us();

		km_decision_log_add(l, &(struct km_decision_log_entry){ &d, name, verdict });
		run_us[i] = now_us() - start;
	}
	return median();
}

static int log_costs(const uint32_t *sizes, size_t count)
{
	struct km_decide_settings settings = { .score_scale = 10 };
	static char path[] = "/dev/null";
	struct km_cluster *cluster = NULL;
	struct km_decision_log *l = NULL;

	settings.log_path = path;
	if (km_cluster_create(NULL, 0, &cluster, NULL) != 0 ||
	    km_decision_log_create(cluster, km_clock_system(), NULL, &l, NULL) != 0 ||
	    km_decision_log_set(l, &settings, NULL) != 0)
		return 1;
	(void)printf("\nhanding a call to the decision log, median us\n nodes  hand over\n");
	for (size_t i = 0; i < count; i++)
		(void)printf("%6u %9.2f\n", sizes[i], time_log(l, sizes[i]));
	km_decision_log_free(l);
	km_cluster_free(cluster);
	return 0;
}

int main(void)
{
	static const uint32_t sizes[] = { 100, 1000, 5000, 15000 };
	const struct km_record_query nobody = { .pod_name = { "nobody", 6 } };
	const struct km_record_query newest = { .id = 0 };
	struct km_record *r = NULL;
	struct km_rng rng;

	km_rng_init(&rng, 1);
	for (size_t i = 0; i < NODES_MAX; i++)
		verdict[i] = (struct km_verdict){ .passes = true,
			                          .reason = KM_REASON_FITS,
			                          .score = (int32_t)km_rng_below(&rng, 11) };
	for (size_t i = 0; i < KM_RECORD_NODES_MAX; i++)
		(void)snprintf(text[i], sizeof(text[i]), "ip-10-%03zu-%03zu.internal", i, 3 * i);
	(void)printf("picking the nodes to keep, median us\n nodes      pick\n");
	for (size_t i = 0; i < KM_ARRAY_LEN(sizes); i++)
		(void)printf("%6u %9.2f\n", sizes[i], time_pick(sizes[i]));
	if (km_record_create(&r, NULL) != 0)
		return 1;
	(void)printf("\nkeeping %d of them, median us: /filter %.2f, /prioritize (joins it) %.2f\n",
	             KM_RECORD_NODES_MAX, time_add(r, KM_RECORD_FILTER),
	             time_add(r, KM_RECORD_PRIORITIZE));
	for (uint64_t i = 0; i < KM_RECORD_DECISIONS; i++) {
		char pod[32];
		struct km_recorded d;

		(void)snprintf(pod, sizeof(pod), "full-%llu", (unsigned long long)i);
		d = decision(i + 1, KM_RECORD_FILTER, pod);
		km_record_add(r, &d, 0);
	}
	(void)printf("reading of %d, median us: the newest %.2f, one that is not there %.2f\n",
	             KM_RECORD_DECISIONS, time_find(r, &newest), time_find(r, &nobody));
	(void)printf("memory of the ring: %.1f MiB\n", KM_RECORD_BYTES / 1048576.0);
	km_record_free(r);
	return log_costs(sizes, KM_ARRAY_LEN(sizes));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What features cost: a push with mean, std and p95 in a sorted window, beside sorting the window
 * anew (qsort) and beside running sums, whose numeric error is shown with their speed; then a whole
 * 128-CPU sample with its rows. Thread CPU time, best of several runs, ratios beside figures.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "km/base/macros.h"
#include "km/base/rng.h"
#include "km/core/feature.h"
#include "km/core/ring.h"

#define VALUES     20000
#define REPEATS    7
#define BENCH_CPUS 128

static volatile double sink; /* keeps results from being optimised away */

static double cpu_ns(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) != 0) {
		abort();
	}
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* ---- one series ---- */

static double run_sorted(const double *v, uint32_t window)
{
	struct km_ring r;
	double start;

	if (km_ring_init(&r, window) != 0) {
		abort();
	}
	for (uint32_t i = 0; i < window; i++) {
		km_ring_push(&r, v[i]);
	}
	start = cpu_ns();
	for (uint32_t i = 0; i < VALUES; i++) {
		km_ring_push(&r, v[i]);
		sink = km_ring_mean(&r) + km_ring_std(&r) + km_ring_quantile(&r, 0.95);
	}
	start = cpu_ns() - start;
	km_ring_fini(&r);
	return start / VALUES;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double run_qsort(const double *v, uint32_t window)
{
	double *ring = malloc(window * sizeof(*ring));
	double *copy = malloc(window * sizeof(*copy));
	uint32_t pushes = VALUES / 10;
	double start;

	if (ring == NULL || copy == NULL) {
		abort();
	}
	memcpy(ring, v, window * sizeof(*ring));
	start = cpu_ns();
	for (uint32_t i = 0; i < pushes; i++) {
		double sum = 0;
		double squares = 0;
		double mean;

		ring[i % window] = v[i];
		for (uint32_t k = 0; k < window; k++) {
			sum += ring[k];
		}
		mean = sum / window;
		for (uint32_t k = 0; k < window; k++) {
			squares += (ring[k] - mean) * (ring[k] - mean);
		}
		memcpy(copy, ring, window * sizeof(*copy));
		qsort(copy, window, sizeof(*copy), by_value);
		sink = mean + sqrt(squares / window) + copy[(uint32_t)(0.95 * (window - 1))];
	}
	start = cpu_ns() - start;
	free(ring);
	free(copy);
	return start / pushes;
}

/* Mean and std from running sums: no p95 at all. *worst: its largest error of std, relative. */
static double run_sums(const double *v, uint32_t window, double *worst)
{
	double *ring = calloc(window, sizeof(*ring));
	struct km_ring exact;
	double sum = 0;
	double squares = 0;
	double start;

	if (ring == NULL || km_ring_init(&exact, window) != 0) {
		abort();
	}
	start = cpu_ns();
	for (uint32_t i = 0; i < VALUES; i++) {
		double old = ring[i % window];

		sum += v[i] - old;
		squares += v[i] * v[i] - old * old;
		ring[i % window] = v[i];
		sink = sum / window + squares / window - (sum / window) * (sum / window);
	}
	start = cpu_ns() - start;
	*worst = 0;
	sum = 0;
	squares = 0;
	memset(ring, 0, window * sizeof(*ring));
	for (uint32_t i = 0; i < VALUES; i++) {
		double old = ring[i % window];
		double variance;
		double std;

		sum += v[i] - old;
		squares += v[i] * v[i] - old * old;
		ring[i % window] = v[i];
		km_ring_push(&exact, v[i]);
		variance = squares / window - (sum / window) * (sum / window);
		std = km_ring_std(&exact);
		if (i >= window && fabs(sqrt(fmax(0, variance)) - std) / std > *worst) {
			*worst = fabs(sqrt(fmax(0, variance)) - std) / std;
		}
	}
	km_ring_fini(&exact);
	free(ring);
	return start / VALUES;
}

static void bench_series(uint32_t window, double target_ns)
{
	double *v = malloc(VALUES * sizeof(*v));
	double best[3] = { INFINITY, INFINITY, INFINITY };
	double worst = 0;
	struct km_rng rng;

	if (v == NULL) {
		abort();
	}
	km_rng_init(&rng, window);
	for (uint32_t i = 0; i < VALUES; i++) {
		v[i] = 1e9 + km_rng_unit(&rng); /* a counter's size, a load's spread */
	}
	for (int k = 0; k < REPEATS; k++) {
		best[0] = fmin(best[0], run_sorted(v, window));
		best[1] = fmin(best[1], run_qsort(v, window));
		best[2] = fmin(best[2], run_sums(v, window, &worst));
	}
	(void)printf("window of %u values: push + mean + std + p95\n", window);
	(void)printf("  sorted window, exact    %9.0f ns   (target %.0f)\n", best[0], target_ns);
	(void)printf("  sorting anew (qsort)    %9.0f ns   %.1fx\n", best[1], best[1] / best[0]);
	(void)printf("  running sums, no p95    %9.1f ns   %.0fx less, but std is wrong by up to "
	             "%.2g times itself\n\n",
	             best[2], best[0] / best[2], worst);
	free(v);
}

/* ---- a host ---- */

static const char *const base_metrics[] = { "ipc", "l3_per_l2", "l2_miss_per_s", "c0_ratio",
	                                    "l3_miss_per_active_s" };
static const char *const base_scopes[] = { "node", "node_min", "node_max",
	                                   "rest", "peer",     "node_vs_peer" };
static const char *const base_stats[] = { "mean", "std", "p95" };

static struct km_features *make_host(size_t nodes)
{
	static char text[128][KM_FEATURE_NAME_MAX];
	const char *names[128];
	struct km_cpuset cpus[BENCH_CPUS] = { 0 };
	struct km_schema *schema;
	struct km_features *f;
	size_t n = 0;

	for (size_t s = 0; s < KM_ARRAY_LEN(base_scopes); s++) {
		for (size_t m = 0; m < KM_ARRAY_LEN(base_metrics); m++) {
			for (size_t k = 0; k < KM_ARRAY_LEN(base_stats); k++) {
				(void)snprintf(text[n], sizeof(text[n]), "%s.%s.%s", base_scopes[s],
				               base_metrics[m], base_stats[k]);
				names[n] = text[n];
				n++;
			}
		}
	}
	for (size_t c = 0; c < BENCH_CPUS; c++) {
		km_cpuset_add(&cpus[c * nodes / BENCH_CPUS], (unsigned)c);
	}
	if (km_schema_create(names, n, 60, 5, &schema, NULL) != 0 ||
	    km_features_create(schema, cpus, nodes, &f, NULL) != 0) {
		abort();
	}
	km_schema_unref(schema);
	return f;
}

static void fill_sample(struct km_sample *s, double *cpu, struct km_rng *rng, int64_t second)
{
	s->start_ns = second * 1000000000;
	s->end_ns = s->start_ns + 1000000000;
	s->cpu_count = BENCH_CPUS;
	s->cpu = cpu;
	for (size_t h = 0; h < KM_HOST_COUNT_N; h++) {
		s->host[h] = NAN;
	}
	for (size_t c = 0; c < BENCH_CPUS; c++) {
		double *v = cpu + c * KM_COUNT_CPU_N;

		for (size_t k = 0; k < KM_COUNT_CPU_N; k++) {
			v[k] = NAN;
		}
		v[KM_COUNT_C0_NS] = 1e8 * (1 + km_rng_unit(rng));
		v[KM_COUNT_IPC_WEIGHT_NS] = v[KM_COUNT_C0_NS];
		v[KM_COUNT_IPC_NS] = v[KM_COUNT_C0_NS] * (1 + km_rng_unit(rng));
		v[KM_COUNT_L2_MISS] = 1e5 * (1 + km_rng_unit(rng));
		v[KM_COUNT_L3_MISS] = 1e4 * (1 + km_rng_unit(rng));
	}
}

/* A minute of 1 s samples, and all nodes' rows after each bin, as the sampler does. */
static void bench_host(size_t nodes)
{
	struct km_features *f = make_host(nodes);
	static double cpu[BENCH_CPUS * KM_COUNT_CPU_N];
	static double row[128];
	double fold_ns = 0;
	double read_ns = 0;
	int seconds = 600;
	int reads = 0;
	struct km_rng rng;

	km_rng_init(&rng, 1);
	for (int t = 0; t < seconds; t++) {
		struct km_sample s = { .node_count = 0 };
		double start;
		int closed;

		fill_sample(&s, cpu, &rng, t);
		start = cpu_ns();
		closed = km_features_push(f, &s);
		fold_ns += cpu_ns() - start;
		if (closed <= 0) {
			continue;
		}
		start = cpu_ns();
		for (size_t n = 0; n < nodes; n++) {
			sink = km_features_read(f, n, row);
		}
		read_ns += cpu_ns() - start;
		reads++;
	}
	(void)printf("host of %d CPUs, %3zu nodes, 90 features, 1 s samples, bins of 5 s\n",
	             BENCH_CPUS, nodes);
	(void)printf("  folding a sample        %9.1f us\n", fold_ns / seconds / 1e3);
	(void)printf("  reading all rows        %9.1f us   each 5 s\n", read_ns / reads / 1e3);
	(void)printf("  of one core             %9.4f %%    (target for 128 CPUs: 0.2)\n\n",
	             100 * (fold_ns + read_ns) / (seconds * 1e9));
	km_features_free(f);
}

int main(void)
{
	bench_series(60, 250);
	bench_series(600, 1200);
	bench_host(1);
	bench_host(4);
	bench_host(128);
	return 0;
}

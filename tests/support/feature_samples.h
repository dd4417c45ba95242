/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of features: samples with everything a CPU can count, and windows to push them into. */
#ifndef KM_TESTS_SUPPORT_FEATURE_SAMPLES_H
#define KM_TESTS_SUPPORT_FEATURE_SAMPLES_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "km/core/feature.h"

#define CPUS 6

/* A sample that owns its counts; everything is unmeasured until set. */
struct sample {
	struct km_sample s;
	double cpu[CPUS][KM_COUNT_CPU_N];
};

static inline void blank(struct sample *x, double start_s, double end_s)
{
	memset(x, 0, sizeof(*x));
	x->s.start_ns = llround(start_s * 1e9);
	x->s.end_ns = llround(end_s * 1e9);
	x->s.cpu_count = CPUS;
	x->s.cpu = &x->cpu[0][0];
	for (size_t c = 0; c < CPUS; c++) {
		for (size_t k = 0; k < KM_COUNT_CPU_N; k++) {
			x->cpu[c][k] = NAN;
		}
	}
	for (size_t h = 0; h < KM_HOST_COUNT_N; h++) {
		x->s.host[h] = NAN;
	}
}

/* Everything a CPU can count, from rates per second: IPC 0.5 + cpu/10, C0 10 % + cpu %. */
static inline void fill_cpu(struct sample *x, size_t cpu, double level)
{
	double s = (double)(x->s.end_ns - x->s.start_ns) * 1e-9;
	double *v = x->cpu[cpu];
	double c0 = 0.10 + 0.01 * (double)cpu;

	v[KM_COUNT_C0_NS] = c0 * s * 1e9;
	v[KM_COUNT_C1_NS] = (1 - c0) * s * 1e9;
	v[KM_COUNT_C6_NS] = 0;
	v[KM_COUNT_CYCLES] = c0 * s * 3e9;
	v[KM_COUNT_INSTRUCTIONS] = v[KM_COUNT_CYCLES] * (0.5 + 0.1 * (double)cpu) * level;
	v[KM_COUNT_IPC_WEIGHT_NS] = v[KM_COUNT_C0_NS];
	v[KM_COUNT_IPC_NS] = v[KM_COUNT_C0_NS] * (0.5 + 0.1 * (double)cpu) * level;
	v[KM_COUNT_L2_MISS] = 1e6 * s * level;
	v[KM_COUNT_L3_MISS] = 2e5 * s * level;
}

static inline struct km_features *features_of(const char *const *names, size_t count,
                                              double window_s, double bin_s,
                                              const char *const *nodes, size_t node_count)
{
	struct km_cpuset set[8];
	struct km_schema *schema;
	struct km_features *f = NULL;
	struct km_err err = { 0 };

	for (size_t i = 0; i < node_count; i++) {
		assert_int_equal(km_cpuset_parse(nodes[i], &set[i], &err), 0);
	}
	if (km_schema_create(names, count, window_s, bin_s, &schema, &err) != 0 ||
	    km_features_create(schema, set, node_count, &f, &err) != 0) {
		fail_msg("%s", err.text);
	}
	km_schema_unref(schema);
	return f;
}

static inline void check(double got, double want, const char *what)
{
	if (isnan(want) ? !isnan(got) : !(fabs(got - want) <= 1e-9 * fmax(1, fabs(want)))) {
		fail_msg("%s: got %.12g, want %.12g", what, got, want);
	}
}

static const char *const two_nodes[] = { "0-1", "2-3" }; /* CPUs 4 and 5 are spare */

static inline int push_level(struct km_features *f, double start_s, double end_s, double level)
{
	struct sample x;

	blank(&x, start_s, end_s);
	for (size_t c = 0; c < CPUS; c++) {
		fill_cpu(&x, c, level);
	}
	return km_features_push(f, &x.s);
}

#endif

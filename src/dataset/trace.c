/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One trace through core/feature.c, in each host layout at once. Of a trace of PCM's the first row
 * only starts the clock and the last sample is left out: both are partial (docs/COUNTERS.md). Our
 * own are whole. Feature rows are taken at the end of each window of the schema, and of the trace.
 */
#include "km/sources/trace.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/file.h"
#include "km/core/feature.h"

#include "dataset_internal.h"

#define LINE_MAX_BYTES (1u << 20)
#define PATH_MAX_BYTES 4096

struct reader {
	struct km_dataset *d;
	struct km_cpuset target;
	struct km_features *features[KM_LAYOUT_N];
	struct km_sample held;    /* the newest sample: pushed when another one follows */
	double *held_cpu;         /* its counts, [KM_CPU_MAX][KM_COUNT_CPU_N] */
	const char *node_name[2]; /* target, other; "" = not stated */
	double held_node[2 * KM_NODE_COUNT_N]; /* their counts, of the newest sample */
	double *alone_cpu;                     /* those of the target's CPUs only */
	int64_t taken_end_ns;                  /* end of the last window that was taken */
	uint32_t windows;
	int rc; /* first error of a push */
};

static int take_window(struct reader *r)
{
	struct km_dataset *d = r->d;
	size_t columns = d->schema->count;
	size_t need = (size_t)KM_LAYOUT_N * columns;
	double value[KM_FEATURES_MAX];

	if (r->windows == KM_DATASET_WINDOWS_MAX)
		return 0;
	if (d->pool_count + need > d->pool_cap) {
		size_t cap = d->pool_cap < need ? 1024 * need : 2 * d->pool_cap;
		float *grown = reallocarray(d->pool, cap, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		d->pool = grown;
		d->pool_cap = cap;
	}
	for (size_t l = 0; l < KM_LAYOUT_N; l++) {
		(void)km_features_read(r->features[l], 0, value);
		for (size_t i = 0; i < columns; i++)
			d->pool[d->pool_count++] = (float)value[i];
	}
	r->taken_end_ns = km_features_end_ns(r->features[0]);
	r->windows++;
	return 0;
}

/*
 * What the kernel counts of all the machine's tasks would be another number if the node were the
 * machine, and which cannot be told; bandwidth is the memory's, which nodes share in any case.
 */
static const enum km_host_count of_tasks[] = {
	KM_HOST_CPU_PSI_NS, KM_HOST_MEMORY_PSI_NS,    KM_HOST_IO_PSI_NS,
	KM_HOST_RUNNABLE,   KM_HOST_CONTEXT_SWITCHES,
};

static void push(struct reader *r, const struct km_sample *sample)
{
	struct km_sample alone = *sample;
	uint32_t count = 0;

	km_cpuset_each (cpu, &r->target) {
		memcpy(r->alone_cpu + (size_t)count++ * KM_COUNT_CPU_N,
		       sample->cpu + (size_t)cpu * KM_COUNT_CPU_N, sizeof(double) * KM_COUNT_CPU_N);
	}
	alone.cpu = r->alone_cpu;
	alone.cpu_count = count;
	for (size_t i = 0; i < KM_ARRAY_LEN(of_tasks); i++)
		alone.host[of_tasks[i]] = NAN;
	for (size_t l = 0; l < KM_LAYOUT_N && r->rc == 0; l++) {
		int rc = km_features_push(r->features[l], l == KM_LAYOUT_ALONE ? &alone : sample);

		r->rc = rc < 0 ? rc : 0;
	}
}

/* Pushes the held sample, takes a window when one is full. */
static int push_held(struct reader *r)
{
	double window_s = r->d->schema->window_s;
	int64_t end_ns;

	if (r->held.cpu == NULL)
		return 0;
	push(r, &r->held);
	if (r->rc != 0)
		return r->rc;
	end_ns = km_features_end_ns(r->features[0]);
	if (km_features_covered_s(r->features[0]) >= 0.95 * window_s &&
	    (double)(end_ns - r->taken_end_ns) >= 0.99e9 * window_s)
		r->rc = take_window(r);
	return r->rc;
}

/* Keeps a sample until the next one comes. Its nodes' rows go by name: target, then other. */
static void hold(struct reader *r, const struct km_trace *trace, const struct km_sample *next)
{
	size_t values = (size_t)next->cpu_count * KM_COUNT_CPU_N;

	memcpy(r->held_cpu, next->cpu, values * sizeof(double));
	r->held = *next;
	r->held.cpu = r->held_cpu;
	km_trace_node_rows(trace, next, r->node_name, 2, r->held_node);
	r->held.node = r->held_node;
	r->held.node_count = 2;
}

/* The rest of the trace, when it is worth a window of its own: the only one, or half a window. */
static int take_rest(struct reader *r, struct km_err *err)
{
	double covered_s = km_features_covered_s(r->features[0]);
	double window_s = r->d->schema->window_s;
	double since_s = (double)(km_features_end_ns(r->features[0]) - r->taken_end_ns) * 1e-9;

	if (covered_s > 0 && covered_s >= window_s / 2 &&
	    (r->windows == 0 || since_s >= window_s / 2)) {
		int rc = take_window(r);

		if (rc != 0)
			return rc;
	}
	if (r->windows == 0)
		return km_err_set(err, ENODATA, "%.0f s of samples, want at least %.0f", covered_s,
		                  window_s / 2);
	return (int)r->windows;
}

static int read_lines(struct reader *r, struct km_lines *lines, struct km_trace *trace,
                      struct km_err *err)
{
	unsigned last = 0;
	const char *line;
	size_t len;
	int rc;

	km_cpuset_each (cpu, &r->target)
		last = cpu;
	while ((rc = km_lines_next(lines, &line, &len, err)) > 0) {
		struct km_sample sample;
		struct km_err bad = { .code = 0 };
		int row = km_trace_line(trace, line, len, &sample, &bad);

		if (row < 0) {
			if (err != NULL)
				*err = bad;
			return row;
		}
		if (row != KM_TRACE_ROW_SAMPLE)
			continue;
		if (last >= sample.cpu_count)
			return km_err_set(err, ENODATA, "%u CPUs, want CPU %u", sample.cpu_count,
			                  last);
		if (push_held(r) != 0)
			return km_err_set(err, ENOMEM, "out of memory");
		hold(r, trace, &sample);
	}
	if (rc == 0 && km_trace_is_whole(trace) && push_held(r) != 0)
		return km_err_set(err, ENOMEM, "out of memory");
	return rc;
}

static int prepare(struct reader *r, const struct sight *sight, struct km_err *err)
{
	struct km_cpuset nodes[2] = { 0 };
	struct km_cpuset alone = { 0 };
	const struct km_schema *schema = r->d->schema;
	size_t node_count;
	int rc = km_cpuset_parse(sight->target, &nodes[0], err);

	if (rc == 0)
		rc = km_cpuset_parse(sight->other, &nodes[1], err);
	if (rc != 0)
		return rc;
	if (km_cpuset_count(&nodes[0]) == 0)
		return km_err_set(err, ENODATA, "no target CPUs");
	r->target = nodes[0];
	r->node_name[0] = sight->target_name;
	r->node_name[1] = sight->other_name;
	node_count = km_cpuset_count(&nodes[1]) > 0 ? 2 : 1;
	for (unsigned i = 0; i < km_cpuset_count(&nodes[0]); i++)
		km_cpuset_add(&alone, i);
	rc = km_features_create(schema, nodes, node_count, &r->features[KM_LAYOUT_RECORDED], err);
	if (rc == 0)
		rc = km_features_create(schema, nodes, 1, &r->features[KM_LAYOUT_ONE_NODE], err);
	if (rc == 0)
		rc = km_features_create(schema, &alone, 1, &r->features[KM_LAYOUT_ALONE], err);
	return rc;
}

int dataset_read_trace(struct km_dataset *d, const struct sight *sight, struct km_err *err)
{
	struct reader r = { .d = d };
	struct km_lines *lines = NULL;
	struct km_trace *trace = NULL;
	size_t pool_before = d->pool_count;
	char path[PATH_MAX_BYTES];
	int rc;

	r.held_cpu = calloc((size_t)KM_CPU_MAX * KM_COUNT_CPU_N, sizeof(*r.held_cpu));
	r.alone_cpu = calloc((size_t)KM_CPU_MAX * KM_COUNT_CPU_N, sizeof(*r.alone_cpu));
	if (r.held_cpu == NULL || r.alone_cpu == NULL)
		rc = km_err_set(err, ENOMEM, "out of memory");
	else
		rc = prepare(&r, sight, err);
	if (snprintf(path, sizeof(path), "%s/%s", d->dir, sight->trace) >= (int)sizeof(path))
		rc = km_err_set(err, ENAMETOOLONG, "trace path too long");
	if (rc == 0)
		rc = km_lines_open(path, LINE_MAX_BYTES, &lines, err);
	if (rc == 0)
		rc = km_trace_create(&trace);
	if (rc == 0) {
		if (sight->interval_s > 0)
			km_trace_set_interval(trace, (double)sight->interval_s);
		rc = read_lines(&r, lines, trace, err);
	}
	if (rc == 0)
		rc = take_rest(&r, err);
	km_trace_free(trace);
	km_lines_close(lines);
	for (size_t l = 0; l < KM_LAYOUT_N; l++)
		km_features_free(r.features[l]);
	free(r.held_cpu);
	free(r.alone_cpu);
	if (rc < 0)
		d->pool_count = pool_before;
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two files of a run's counters, which are one output of PCM's, parted by column: put together
 * again by the time of their rows. What a row means is known to sources/pcm_csv.c alone.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/file.h"
#include "km/sources/trace.h"

#include "import_internal.h"

#define LINE_BYTES_MAX (1u << 20)
#define ROWS_MAX       100000

/* Memory traffic by the end of its row. */
struct traffic {
	int64_t end_ns;
	double read_bytes, write_bytes;
};

struct reading {
	const struct km_cpuset *node;
	struct import_run *run;
	struct traffic *traffic; /* [traffic_count], in order of time */
	size_t traffic_count;
	struct km_trace_columns columns;
	struct km_buf *csv; /* NULL: only the columns are wanted */
	double c0[2];       /* sums of shares */
	size_t c0_rows, rows;
};

typedef int row_fn(struct reading *g, const struct km_sample *s);

/* Each sample of a file but the last one. */
static int each_sample(const char *path, struct reading *g, row_fn *take, struct km_err *err)
{
	struct km_sample_space held = { .cpu = NULL };
	struct km_lines *lines = NULL;
	struct km_trace *trace = NULL;
	bool have = false;
	const char *line;
	size_t len;
	int rc = km_lines_open(path, LINE_BYTES_MAX, &lines, err);

	if (rc == 0 && km_trace_create(&trace) != 0)
		rc = km_err_set(err, ENOMEM, "%s: out of memory", path);
	while (rc == 0 && (rc = km_lines_next(lines, &line, &len, err)) > 0) {
		struct km_sample s;
		int row = km_trace_line(trace, line, len, &s, err);

		rc = row < 0 ? row : 0;
		if (row != KM_TRACE_ROW_SAMPLE)
			continue;
		if (have && take(g, &held.sample) != 0)
			rc = km_err_set(err, E2BIG, "%s: more than %d rows", path, ROWS_MAX);
		if (rc == 0 && km_sample_space_reset(&held, s.cpu_count) != 0)
			rc = km_err_set(err, ENOMEM, "%s: out of memory", path);
		if (rc != 0)
			break;
		if (s.cpu_count > 0)
			memcpy(held.cpu, s.cpu,
			       (size_t)s.cpu_count * KM_COUNT_CPU_N * sizeof(*s.cpu));
		memcpy(held.sample.host, s.host, sizeof(s.host));
		held.sample.start_ns = s.start_ns;
		held.sample.end_ns = s.end_ns;
		have = true;
	}
	km_sample_space_fini(&held);
	km_trace_free(trace);
	km_lines_close(lines);
	return rc;
}

static int take_traffic(struct reading *g, const struct km_sample *s)
{
	if (g->traffic_count == ROWS_MAX)
		return -E2BIG;
	g->traffic[g->traffic_count++] =
		(struct traffic){ s->end_ns, s->host[KM_HOST_MEM_READ_BYTES],
		                  s->host[KM_HOST_MEM_WRITE_BYTES] };
	return 0;
}

static int by_end(const void *key, const void *item)
{
	int64_t a = *(const int64_t *)key;
	int64_t b = ((const struct traffic *)item)->end_ns;

	return (a > b) - (a < b);
}

/* Mean C0 share of a node's cores; NaN when one of them has none. */
static double c0_share(const struct km_sample *s, const struct km_cpuset *node)
{
	double sum = 0;

	km_cpuset_each (cpu, node) {
		if (cpu >= s->cpu_count)
			return NAN;
		sum += km_sample_cpu(s, cpu, KM_COUNT_C0_NS);
	}
	return sum / (double)(s->end_ns - s->start_ns) / km_cpuset_count(node);
}

static int take_row(struct reading *g, const struct km_sample *s)
{
	struct km_sample whole = *s;
	double seconds = (double)(s->end_ns - s->start_ns) * 1e-9;
	const struct traffic *t = NULL;

	if (g->traffic_count > 0)
		t = bsearch(&s->end_ns, g->traffic, g->traffic_count, sizeof(*t), by_end);
	if (t != NULL) {
		whole.host[KM_HOST_MEM_READ_BYTES] = t->read_bytes;
		whole.host[KM_HOST_MEM_WRITE_BYTES] = t->write_bytes;
	}
	if (g->csv == NULL) {
		double c0[2] = { c0_share(s, &g->node[0]), c0_share(s, &g->node[1]) };

		km_trace_columns_add(&g->columns, &whole);
		if (g->rows++ == 0) {
			g->run->start_ns = s->start_ns;
			g->run->interval_s = seconds;
		}
		g->run->interval_s = fmin(g->run->interval_s, seconds);
		if (!isnan(c0[0]) && !isnan(c0[1])) {
			g->c0[0] += c0[0];
			g->c0[1] += c0[1];
			g->c0_rows++;
		}
		return g->rows < ROWS_MAX ? 0 : -E2BIG;
	}
	km_trace_csv_row(&g->columns, &whole, g->csv);
	return 0;
}

int import_trace(const char *core, const char *system, const struct km_cpuset *node,
                 struct import_run *r, struct km_buf *csv, struct km_err *err)
{
	struct reading g = { .node = node, .run = r };
	int rc = 0;

	if (system != NULL) {
		g.traffic = calloc(ROWS_MAX, sizeof(*g.traffic));
		rc = g.traffic != NULL ? each_sample(system, &g, take_traffic, err)
		                       : km_err_set(err, ENOMEM, "import: out of memory");
	}
	if (rc == 0)
		rc = each_sample(core, &g, take_row, err);
	if (rc == 0 && g.rows == 0)
		rc = km_err_set(err, ENODATA, "no whole row in its counters");
	if (rc == 0) {
		for (size_t i = 0; i < 2; i++)
			r->c0[i] = g.c0_rows > 0 ? g.c0[i] / (double)g.c0_rows : NAN;
		km_trace_csv_header(&g.columns, csv);
		g.csv = csv;
		rc = each_sample(core, &g, take_row, err);
	}
	if (rc == 0 && !km_buf_ok(csv))
		rc = km_err_set(err, ENOMEM, "import: out of memory");
	free(g.traffic);
	return rc;
}

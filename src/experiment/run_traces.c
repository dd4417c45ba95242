/* SPDX-License-Identifier: Apache-2.0 */
/* What counters said: before the choice against what came of it, and over time in single runs. */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/file.h"
#include "km/plan/plan.h"
#include "km/sources/trace.h"

#include "run_words.h"

#define PATH_BYTES  4096
#define LINE_BYTES  (1u << 20)
#define SAMPLES_MAX 4096 /* of one trace, shown */

/* One run's window: a value a sample. NaN where it was not measured. */
struct series {
	double at_s[SAMPLES_MAX]; /* since the epoch of the trace */
	double busy[SAMPLES_MAX]; /* share of the target node's CPUs */
	double psi[SAMPLES_MAX];  /* share of time in which something waited for a CPU */
	size_t count;
	double start_s; /* of the first sample */
};

static const struct km_node_settings *node_of(const struct km_plan *p, const char *name)
{
	for (size_t i = 0; p != NULL && i < p->node_count; i++) {
		if (strcmp(p->node[i].name, name) == 0)
			return &p->node[i];
	}
	return NULL;
}

static double busy_of(const struct km_sample *s, const struct km_node_settings *node)
{
	double busy = 0;
	unsigned cpus = 0;

	if (node == NULL || !node->cpus_given)
		return NAN;
	km_cpuset_each (cpu, &node->cpus) {
		if (cpu >= s->cpu_count)
			return NAN;
		busy += km_sample_cpu(s, cpu, KM_COUNT_BUSY_NS);
		cpus++;
	}
	return busy / ((double)(s->end_ns - s->start_ns) * cpus);
}

/* Of the node where it has a control group of its own, else of the host. */
static double psi_of(const struct km_trace *t, const struct km_sample *s, const char *node)
{
	double row[KM_NODE_COUNT_N];
	double psi;

	km_trace_node_rows(t, s, &node, 1, row);
	psi = row[KM_NODE_CPU_PSI_NS];
	if (isnan(psi))
		psi = s->host[KM_HOST_CPU_PSI_NS];
	return psi / (double)(s->end_ns - s->start_ns);
}

static void add_sample(struct series *to, const struct km_trace *t, const struct km_sample *s,
                       const struct km_node_settings *node, const char *name)
{
	if (to->count == SAMPLES_MAX)
		return;
	if (to->count == 0)
		to->start_s = (double)s->start_ns / 1e9;
	to->at_s[to->count] = (double)s->end_ns / 1e9;
	to->busy[to->count] = busy_of(s, node);
	to->psi[to->count++] = psi_of(t, s, name);
}

/* returns whether there was anything to read. */
static bool read_series(const char *dir, const char *trace, const struct km_plan *plan,
                        const char *name, struct series *out)
{
	char path[PATH_BYTES];
	struct km_trace *t = NULL;
	struct km_lines *lines = NULL;
	struct km_sample sample;
	const char *line;
	size_t len;

	out->count = 0;
	if (snprintf(path, sizeof(path), "%s/%s", dir, trace) >= (int)sizeof(path) ||
	    km_trace_create(&t) != 0)
		return false;
	if (km_lines_open(path, LINE_BYTES, &lines, NULL) == 0) {
		while (km_lines_next(lines, &line, &len, NULL) > 0) {
			int row = km_trace_line(t, line, len, &sample, NULL);

			if (row < 0)
				break;
			if (row == KM_TRACE_ROW_SAMPLE)
				add_sample(out, t, &sample, node_of(plan, name), name);
		}
	}
	km_lines_close(lines);
	km_trace_free(t);
	return out->count > 0;
}

static double mean(const double *value, size_t count)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += value[i];
	return count > 0 ? sum / (double)count : (double)NAN;
}

/* ---- before against after ---- */

/* Points of one group, one array after another: slowdown, busy, psi, each [runs]. */
struct cloud {
	double *slowdown, *busy, *psi;
	size_t count;
};

static void plot_cloud(struct km_page *p, const struct cloud *cloud, bool psi)
{
	struct km_plot plot;

	km_plot_init(&plot,
	             psi ? "Slowdown against waiting for a CPU before"
	                 : "Slowdown against busy CPUs before",
	             psi ? "share of the time before in which something waited for a CPU"
	                 : "busy share of the target node's CPUs before",
	             "slowdown");
	plot.x_min = 0;
	plot.y_min = 0;
	for (int g = 0; g < RUN_GROUPS; g++) {
		const struct cloud *c = &cloud[g];

		if (c->count > 0)
			(void)km_plot_add(&plot, KM_PLOT_POINTS, run_group_title((enum run_group)g),
			                  psi ? c->psi : c->busy, c->slowdown, c->count);
	}
	km_page_plot(p, &plot,
	             psi ? "What a scheduler could have seen of waiting, and what came of it: a "
	                   "point a run."
	                 : "What a scheduler could have seen of use, and what came of it: a point "
	                   "a run.");
}

static void put_clouds(struct km_page *p, const struct km_run_result *r, const char *dir,
                       const struct km_plan *plan, struct series *s)
{
	size_t runs = r->source->count;
	double *memory = calloc((size_t)RUN_GROUPS * 3 * runs + 1, sizeof(*memory));
	struct cloud cloud[RUN_GROUPS] = { { NULL, NULL, NULL, 0 } };
	size_t unread = 0;
	char text[RUN_WORDS_MAX];

	if (memory == NULL) {
		p->out->failed = true;
		return;
	}
	for (size_t g = 0; g < RUN_GROUPS; g++) {
		cloud[g].slowdown = memory + 3 * g * runs;
		cloud[g].busy = cloud[g].slowdown + runs;
		cloud[g].psi = cloud[g].busy + runs;
	}
	for (size_t i = 0; i < runs; i++) {
		const struct km_run_record *run = &r->source->run[i];
		struct cloud *c = &cloud[run_group_of(run)];

		assert(c->slowdown != NULL);
		if (!read_series(dir, run->trace_before, plan, run->target_node, s)) {
			unread++;
			continue;
		}
		c->slowdown[c->count] = km_run_slowdown(r, run);
		c->busy[c->count] = mean(s->busy, s->count);
		c->psi[c->count++] = mean(s->psi, s->count);
	}
	plot_cloud(p, cloud, false);
	plot_cloud(p, cloud, true);
	if (unread > 0) {
		(void)snprintf(text, sizeof(text), "%zu runs have no trace that can be read.",
		               unread);
		km_page_warn(p, text);
	}
	free(memory);
}

/* ---- over time ---- */

/* Of the runs in a group the one with the most slowdown, or NULL. */
static const struct km_run_record *worst_of(const struct km_run_result *r, enum run_group g)
{
	const struct km_run_record *worst = NULL;
	double most = -INFINITY;

	for (size_t i = 0; i < r->source->count; i++) {
		double slowdown = km_run_slowdown(r, &r->source->run[i]);

		if (run_group_of(&r->source->run[i]) == g && slowdown > most) {
			most = slowdown;
			worst = &r->source->run[i];
		}
	}
	return worst;
}

/* Both windows of a run one after the other; time 0 is where its load begins. */
static void join(const char *dir, const struct km_plan *plan, const struct km_run_record *run,
                 struct series *out, struct series *scratch)
{
	double zero_s;

	(void)read_series(dir, run->trace_before, plan, run->target_node, out);
	(void)read_series(dir, run->trace_during, plan, run->target_node, scratch);
	zero_s = scratch->count > 0 ? scratch->start_s : (double)NAN;
	for (size_t i = 0; i < scratch->count && out->count < SAMPLES_MAX; i++) {
		out->at_s[out->count] = scratch->at_s[i];
		out->busy[out->count] = scratch->busy[i];
		out->psi[out->count++] = scratch->psi[i];
	}
	for (size_t i = 0; i < out->count; i++)
		out->at_s[i] -= zero_s;
}

static void put_times(struct km_page *p, const struct km_run_result *r, const char *dir,
                      const struct km_plan *plan, struct series *s)
{
	struct km_plot busy;
	struct km_plot psi;
	char caption[RUN_WORDS_MAX] = "Each group's run with the most slowdown; the load begins at "
				      "0:";

	km_plot_init(&busy, "Busy CPUs over time", "seconds from the beginning of the load",
	             "busy share of the target node's CPUs");
	km_plot_init(&psi, "Waiting for a CPU over time", "seconds from the beginning of the load",
	             "share of time in which something waited");
	busy.y_min = psi.y_min = 0;
	for (int g = 0; g < RUN_GROUPS; g++) {
		const struct km_run_record *run = worst_of(r, (enum run_group)g);
		size_t len = strlen(caption);

		if (run == NULL)
			continue;
		join(dir, plan, run, &s[g], &s[RUN_GROUPS]);
		(void)km_plot_add(&busy, KM_PLOT_LINE, run_group_title((enum run_group)g),
		                  s[g].at_s, s[g].busy, s[g].count);
		(void)km_plot_add(&psi, KM_PLOT_LINE, run_group_title((enum run_group)g), s[g].at_s,
		                  s[g].psi, s[g].count);
		(void)snprintf(caption + len, sizeof(caption) - len, " %s", run->id);
	}
	km_page_plot(p, &busy, caption);
	km_page_plot(p, &psi, "The same runs.");
}

/* For its nodes; what its load was driven by lay beside the plan that this is a copy of. */
static int read_plan(const char *dir, struct km_plan **out, struct km_err *err)
{
	char path[PATH_BYTES];
	struct km_buf text;
	int rc;

	*out = NULL;
	if (snprintf(path, sizeof(path), "%s/plan.yaml", dir) >= (int)sizeof(path))
		return km_err_set(err, ENAMETOOLONG, "%.100s: too long", dir);
	km_buf_init(&text);
	rc = km_file_read(path, KM_PLAN_MAX_BYTES, &text, err);
	if (rc == 0)
		rc = km_plan_parse(path, text.data != NULL ? text.data : "", text.len, out, err);
	km_buf_fini(&text);
	return rc;
}

void run_put_traces(struct km_page *p, const struct km_run_result *r, const char *dir)
{
	struct series *s = calloc(RUN_GROUPS + 1, sizeof(*s));
	struct km_plan *plan = NULL;
	struct km_err err = { .code = 0 };

	km_page_section(p, "Counters");
	if (read_plan(dir, &plan, &err) != 0)
		km_page_warn(p, err.text);
	if (s == NULL) {
		p->out->failed = true;
	} else {
		put_clouds(p, r, dir, plan, s);
		put_times(p, r, dir, plan, s);
	}
	km_plan_free(plan);
	free(s);
}

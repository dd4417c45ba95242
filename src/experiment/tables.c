/* SPDX-License-Identifier: Apache-2.0 */
/* runs.csv and pairs.csv from records: a column each by a row of a table. */
#include "tables.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* All that a cell may be made of. */
struct line {
	const struct km_plan *plan;
	const struct km_run_record *r;
	double baseline_ms; /* NaN = none yet */
	size_t baseline_count;
	size_t target; /* index of its node */
	bool counters; /* were recorded */
};

typedef void cell_fn(const struct line *l, struct km_buf *out);

struct column {
	const char *name;
	cell_fn *cell;
};

static int compare(const void *a, const void *b)
{
	const double *x = a;
	const double *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *v, size_t n)
{
	if (n == 0)
		return NAN;
	qsort(v, n, sizeof(*v), compare);
	return n % 2 == 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

double experiment_baseline(const struct km_run_record *const *record, size_t count,
                           const struct km_run_record *like, size_t *of)
{
	double *p99 = calloc(count + 1, sizeof(*p99));
	double out;
	size_t n = 0;

	*of = 0;
	if (p99 == NULL)
		return NAN;
	for (int gated = 0; gated < 2 && n == 0; gated++) {
		for (size_t i = 0; i < count; i++) {
			const struct km_run_record *r = record[i];

			if (!r->stressed && r->replicas == like->replicas && r->rps == like->rps &&
			    strcmp(r->target_node, like->target_node) == 0 &&
			    isfinite(r->load.p99_ms) && (gated || r->gate[0] == '\0'))
				p99[n++] = r->load.p99_ms;
		}
	}
	out = median(p99, n);
	free(p99);
	*of = n;
	return out;
}

/* ---- cells ---- */

/* Not measured is an empty cell. */
static void put(double value, struct km_buf *out)
{
	if (isfinite(value))
		km_buf_double(out, value);
}

/* A list with a comma in it needs its quotes. */
static void put_cpus(const struct km_cpuset *cpus, struct km_buf *out)
{
	struct km_buf text;
	bool quotes;

	km_buf_init(&text);
	km_cpuset_format(cpus, &text);
	quotes = strchr(km_buf_cstr(&text), ',') != NULL;
	km_buf_printf(out, quotes ? "\"%s\"" : "%s", km_buf_cstr(&text));
	km_buf_fini(&text);
}

static const char *placement(const struct line *l)
{
	if (!l->r->stressed)
		return "none";
	return strcmp(l->r->stress_node, l->r->target_node) == 0 ? "local" : "remote";
}

static double slowdown(const struct line *l)
{
	return l->r->load.p99_ms / l->baseline_ms;
}

static void put_class(const struct line *l, const char *kind, struct km_buf *out)
{
	bool mixed = strcmp(l->r->stressor, "mixed") == 0;

	km_buf_int(out, l->r->stressed && (mixed || strcmp(l->r->stressor, kind) == 0));
}

static void cell_id(const struct line *l, struct km_buf *out)
{
	km_buf_str(out, l->r->id);
}

/* Repeats are what a model is to be judged across. */
static void cell_campaign(const struct line *l, struct km_buf *out)
{
	km_buf_printf(out, "%s_r%u", l->plan->name, l->r->repeat);
}

static void cell_family(const struct line *l, struct km_buf *out)
{
	km_buf_str(out, l->plan->name);
}

static void cell_scenario(const struct line *l, struct km_buf *out)
{
	if (l->r->stressed)
		km_buf_printf(out, "%s%u_%s", l->r->stressor, l->r->level_pct, l->r->on);
	else
		km_buf_str(out, "none");
}

static void cell_n_cpu(const struct line *l, struct km_buf *out)
{
	put_class(l, "cpu", out);
}

static void cell_n_l3(const struct line *l, struct km_buf *out)
{
	put_class(l, "l3", out);
}

static void cell_n_membw(const struct line *l, struct km_buf *out)
{
	put_class(l, "membw", out);
}

static void cell_stressor(const struct line *l, struct km_buf *out)
{
	km_buf_str(out, l->r->stressed ? l->r->stressor : "none");
}

static void cell_level(const struct line *l, struct km_buf *out)
{
	km_buf_int(out, l->r->stressed ? l->r->level_pct : 0);
}

static void cell_interference_node(const struct line *l, struct km_buf *out)
{
	km_buf_str(out, l->r->stressed ? l->r->stress_node : "none");
}

static void cell_target(const struct line *l, struct km_buf *out)
{
	km_buf_str(out, l->r->target_node);
}

static void cell_target_cores(const struct line *l, struct km_buf *out)
{
	put_cpus(&l->plan->node[l->target].cpus, out);
}

/* Of all other nodes: to a node they are its peers on this host. */
static void cell_other_cores(const struct line *l, struct km_buf *out)
{
	struct km_cpuset all = { .word = { 0 } };

	for (size_t i = 0; i < l->plan->node_count; i++) {
		if (i == l->target)
			continue;
		km_cpuset_each (cpu, &l->plan->node[i].cpus)
			km_cpuset_add(&all, cpu);
	}
	put_cpus(&all, out);
}

static void cell_other(const struct line *l, struct km_buf *out)
{
	size_t other = l->target == 0 ? 1 : 0;

	if (other < l->plan->node_count)
		km_buf_str(out, l->plan->node[other].name);
}

static void cell_placement(const struct line *l, struct km_buf *out)
{
	km_buf_str(out, placement(l));
}

static void cell_replicas(const struct line *l, struct km_buf *out)
{
	km_buf_int(out, l->r->replicas);
}

static void cell_zero(const struct line *l, struct km_buf *out)
{
	(void)l;
	km_buf_int(out, 0);
}

static void cell_one(const struct line *l, struct km_buf *out)
{
	(void)l;
	km_buf_int(out, 1);
}

static void cell_rps(const struct line *l, struct km_buf *out)
{
	put(l->r->rps, out);
}

static void cell_p50(const struct line *l, struct km_buf *out)
{
	put(l->r->load.p50_ms, out);
}

static void cell_p90(const struct line *l, struct km_buf *out)
{
	put(l->r->load.p90_ms, out);
}

static void cell_p95(const struct line *l, struct km_buf *out)
{
	put(l->r->load.p95_ms, out);
}

static void cell_p99(const struct line *l, struct km_buf *out)
{
	put(l->r->load.p99_ms, out);
}

static void cell_mean(const struct line *l, struct km_buf *out)
{
	put(l->r->load.mean_ms, out);
}

static void cell_max(const struct line *l, struct km_buf *out)
{
	put(l->r->load.max_ms, out);
}

static void cell_achieved(const struct line *l, struct km_buf *out)
{
	put(l->r->load.achieved_rps, out);
}

static void cell_errors(const struct line *l, struct km_buf *out)
{
	km_buf_int(out, (long long)l->r->load.errors);
}

static void cell_served(const struct line *l, struct km_buf *out)
{
	put(l->r->server_requests, out);
}

static void cell_prometheus_p99(const struct line *l, struct km_buf *out)
{
	put(l->r->kpi_p99_ms, out);
}

static void cell_prometheus_rps(const struct line *l, struct km_buf *out)
{
	put(l->r->kpi_rps, out);
}

static void cell_baseline(const struct line *l, struct km_buf *out)
{
	put(l->baseline_ms, out);
}

static void cell_baselines(const struct line *l, struct km_buf *out)
{
	km_buf_int(out, (long long)l->baseline_count);
}

static void cell_slowdown(const struct line *l, struct km_buf *out)
{
	put(slowdown(l), out);
}

static void cell_norm_perf(const struct line *l, struct km_buf *out)
{
	put(l->r->stressed ? 1 / slowdown(l) : 1, out);
}

static void cell_interval(const struct line *l, struct km_buf *out)
{
	put(l->r->interval_s, out);
}

static void cell_start(const struct line *l, struct km_buf *out)
{
	time_t seconds = (time_t)(l->r->start_unix_ms / 1000);
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	km_buf_str(out, text);
}

static void cell_trace_during(const struct line *l, struct km_buf *out)
{
	if (l->counters)
		km_buf_str(out, l->r->trace_during);
}

static void cell_trace_before(const struct line *l, struct km_buf *out)
{
	km_buf_str(out, l->r->trace_before);
}

static void cell_utilisation(const struct line *l, struct km_buf *out)
{
	put(l->r->during.target_utilisation, out);
}

static void cell_foreign(const struct line *l, struct km_buf *out)
{
	put(fmax(l->r->before.foreign_cpus, l->r->during.foreign_cpus), out);
}

static void cell_saturated(const struct line *l, struct km_buf *out)
{
	km_buf_int(out, l->r->saturated);
}

static void cell_gated(const struct line *l, struct km_buf *out)
{
	km_buf_int(out, l->r->gate[0] != '\0');
}

static void cell_empty(const struct line *l, struct km_buf *out)
{
	(void)l;
	km_buf_str(out, "empty");
}

/* What a gate still speaks against may be learned from; a model is not judged by it. */
static void cell_role(const struct line *l, struct km_buf *out)
{
	bool doubtful = l->r->gate[0] != '\0' && l->plan->gates.action != KM_PLAN_GATE_KEEP;

	km_buf_str(out, doubtful ? "augment" : "score");
}

static const struct column run_columns[] = {
	{ "run_id", cell_id },
	{ "campaign", cell_campaign },
	{ "scenario", cell_scenario },
	{ "n_cpu", cell_n_cpu },
	{ "n_l3", cell_n_l3 },
	{ "n_membw", cell_n_membw },
	{ "stressor", cell_stressor },
	{ "level_percent", cell_level },
	{ "interference_node", cell_interference_node },
	{ "target_node", cell_target },
	{ "target_cores", cell_target_cores },
	{ "other_cores", cell_other_cores },
	{ "target_name", cell_target },
	{ "other_name", cell_other },
	{ "placement", cell_placement },
	{ "replicas_on_target", cell_replicas },
	{ "rps", cell_rps },
	{ "p50_ms", cell_p50 },
	{ "p90_ms", cell_p90 },
	{ "p95_ms", cell_p95 },
	{ "p99_ms", cell_p99 },
	{ "avg_ms", cell_mean },
	{ "max_ms", cell_max },
	{ "throughput_rps", cell_achieved },
	{ "errors", cell_errors },
	{ "served_requests", cell_served },
	{ "prometheus_p99_ms", cell_prometheus_p99 },
	{ "prometheus_rps", cell_prometheus_rps },
	{ "baseline_p99_ms", cell_baseline },
	{ "baseline_runs", cell_baselines },
	{ "slowdown", cell_slowdown },
	{ "norm_perf", cell_norm_perf },
	{ "utilisation", cell_utilisation },
	{ "foreign_cpus", cell_foreign },
	{ "saturated", cell_saturated },
	{ "gated", cell_gated },
	{ "sample_interval_s", cell_interval },
	{ "start_time", cell_start },
	{ "trace_file", cell_trace_during },
};

static const struct column pair_columns[] = {
	{ "kind", cell_empty },
	{ "role", cell_role },
	{ "before_run_id", cell_id },
	{ "before_trace_file", cell_trace_before },
	{ "candidate_node", cell_target },
	{ "candidate_cores", cell_target_cores },
	{ "before_replicas", cell_zero },
	{ "before_rps", cell_zero },
	{ "after_run_id", cell_id },
	{ "campaign", cell_campaign },
	{ "family", cell_family },
	{ "scenario", cell_scenario },
	{ "placement", cell_placement },
	{ "replicas", cell_replicas },
	{ "rps", cell_rps },
	{ "p99_ms", cell_p99 },
	{ "baseline_p99_ms", cell_baseline },
	{ "slowdown", cell_slowdown },
	{ "norm_perf", cell_norm_perf },
	{ "weight", cell_one },
};

static void put_header(const struct column *c, size_t n, struct km_buf *out)
{
	for (size_t i = 0; i < n; i++)
		km_buf_printf(out, "%s%s", i > 0 ? "," : "", c[i].name);
	km_buf_char(out, '\n');
}

static void put_line(const struct column *c, size_t n, const struct line *l, struct km_buf *out)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			km_buf_char(out, ',');
		c[i].cell(l, out);
	}
	km_buf_char(out, '\n');
}

void experiment_tables(const struct km_plan *p, const struct km_run_record *const *record,
                       size_t count, struct km_buf *runs, struct km_buf *pairs)
{
	put_header(run_columns, KM_ARRAY_LEN(run_columns), runs);
	put_header(pair_columns, KM_ARRAY_LEN(pair_columns), pairs);
	for (size_t i = 0; i < count; i++) {
		struct line l = {
			.plan = p,
			.r = record[i],
			.target = p->target.node,
			.counters = p->mode == KM_PLAN_LOCAL || p->cluster.recorder_local,
		};

		for (size_t n = 0; n < p->node_count; n++) {
			if (strcmp(p->node[n].name, record[i]->target_node) == 0)
				l.target = n;
		}
		l.baseline_ms = experiment_baseline(record, count, record[i], &l.baseline_count);
		put_line(run_columns, KM_ARRAY_LEN(run_columns), &l, runs);
		if (l.counters && isfinite(slowdown(&l)))
			put_line(pair_columns, KM_ARRAY_LEN(pair_columns), &l, pairs);
	}
}

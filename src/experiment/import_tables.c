/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runs.csv and pairs.csv of imported runs. A pair is what a scheduler would have seen and what came
 * of it; the thesis recorded counters during the load only, so "before" is another run:
 *
 *   lighter   the same campaign, mix and node, with less of the service on it
 *   empty     another campaign's run of that mix, seen from its node without the service
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "import_internal.h"

#define BEFORE_RPS_MAX 500 /* more is no lighter start */
#define LIGHTER_MAX    6   /* of one run: the lightest is scored, the others are for training */
#define EMPTY_MAX      4   /* campaigns whose counters an empty candidate's label is paired with */

struct tables {
	const struct import_set *set;
	const struct km_import_options *o;
	struct km_buf *runs, *pairs;
	struct km_import_stats *stats;
};

static const char *const node_names[] = { "node1", "node2" };

/* Where the interference is, as the node sees it. */
static const char *placement(const struct import_run *r, size_t node)
{
	if (r->place == IMPORT_QUIET)
		return "none";
	return (r->place == IMPORT_NODE2) == (node == 1) ? "local" : "remote";
}

static const char *why_unused(const struct import_run *r)
{
	if (!r->traced)
		return "no counters";
	if (r->place == IMPORT_UNKNOWN)
		return "its counters do not tell on which node the interference was";
	return isnan(r->baseline_ms) ? "no run without interference with its load and replicas"
	                             : NULL;
}

static void put_cpus(struct km_buf *out, const char *cpus)
{
	km_buf_printf(out, strchr(cpus, ',') != NULL ? "\"%s\"" : "%s", cpus);
}

static void put_scenario(struct km_buf *out, const struct import_run *r)
{
	km_buf_printf(out, "c%u_l%u_m%u", r->pods[0], r->pods[1], r->pods[2]);
}

static void put_numbers(struct km_buf *out, const double *v, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		km_buf_char(out, ',');
		if (isfinite(v[i]))
			km_buf_double(out, v[i]);
	}
}

static void put_time(struct km_buf *out, int64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000);
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	km_buf_str(out, text);
}

static double slowdown_of(const struct import_run *r)
{
	return r->p99_ms / r->baseline_ms;
}

static void put_run(struct tables *t, const struct import_run *r, size_t node)
{
	static const char *const places[] = { "none", "node1", "node2", "" };
	const double measured[] = {
		r->p50_ms,
		r->p90_ms,
		r->p95_ms,
		r->p99_ms,
		r->avg_ms,
		r->max_ms,
		r->throughput,
		r->errors,
		r->baseline_ms,
		r->own_baseline_ms,
		slowdown_of(r),
		import_is_quiet(r) ? 1 : 1 / slowdown_of(r),
		round(r->interval_s),
	};
	struct km_buf *out = t->runs;

	km_buf_printf(out, "%s__%s,%s,%s,", r->campaign, r->test, r->campaign, r->name);
	put_scenario(out, r);
	km_buf_printf(out, ",%u,%u,%u,%s,%s,", r->pods[0], r->pods[1], r->pods[2], places[r->place],
	              node_names[node]);
	put_cpus(out, t->o->cpus[node]);
	km_buf_char(out, ',');
	put_cpus(out, t->o->cpus[1 - node]);
	km_buf_printf(out, ",%s,%u,%u,%u,%g", placement(r, node), r->replicas[node], r->replicas[0],
	              r->replicas[1], r->rps);
	put_numbers(out, measured, sizeof(measured) / sizeof(measured[0]));
	km_buf_char(out, ',');
	put_time(out, r->start_ns);
	km_buf_printf(out, ",traces/%s__%s.csv.gz\n", r->campaign, r->test);
	t->stats->rows++;
}

/* The node of a service that is on one; 2 when it is on both. */
static size_t host_of(const struct import_run *r)
{
	if (r->replicas[0] > 0 && r->replicas[1] > 0)
		return 2;
	return r->replicas[1] > 0;
}

static void put_pair(struct tables *t, const char *kind, const char *role,
                     const struct import_run *before, const struct import_run *after, double weight)
{
	bool empty = strcmp(kind, "empty") == 0;
	size_t target = host_of(after);
	size_t candidate = empty ? 1 - host_of(before) : target;
	const double tail[] = { after->p99_ms, after->baseline_ms, slowdown_of(after),
		                import_is_quiet(after) ? 1 : 1 / slowdown_of(after), weight };
	struct km_buf *out = t->pairs;

	km_buf_printf(out, "%s,%s,%s__%s,%s,", kind, role, before->campaign, before->test,
	              node_names[candidate]);
	put_cpus(out, t->o->cpus[candidate]);
	km_buf_printf(out, ",%u,%g,%s__%s,%s,", empty ? 0 : before->replicas[target],
	              empty ? 0 : before->rps, after->campaign, after->test, after->campaign);
	put_scenario(out, after);
	km_buf_printf(out, ",%s,%u,%g", placement(after, target), after->replicas[target],
	              after->rps);
	put_numbers(out, tail, sizeof(tail) / sizeof(tail[0]));
	km_buf_char(out, '\n');
	t->stats->pairs++;
}

static bool same_mix(const struct import_run *a, const struct import_run *b)
{
	return memcmp(a->pods, b->pods, sizeof(a->pods)) == 0;
}

static bool same_campaign(const struct import_run *a, const struct import_run *b)
{
	return strcmp(a->campaign, b->campaign) == 0;
}

static bool is_lighter(const struct import_run *before, const struct import_run *after)
{
	size_t target = host_of(after);

	return host_of(before) == target && same_campaign(before, after) &&
	       same_mix(before, after) && before->place == after->place &&
	       before->rps <= BEFORE_RPS_MAX && before->rps < after->rps &&
	       before->replicas[target] <= after->replicas[target];
}

/* Seen from the node without the service, the interference is where it is for `after`. */
static bool is_empty_like(const struct import_run *before, const struct import_run *after)
{
	return host_of(before) < 2 && !same_campaign(before, after) && same_mix(before, after) &&
	       before->rps <= BEFORE_RPS_MAX &&
	       strcmp(placement(before, 1 - host_of(before)), placement(after, host_of(after))) ==
	               0;
}

/* Less load first, then fewer replicas, then the order of the folder. */
static bool comes_before(const struct import_run *a, const struct import_run *b)
{
	if (a->rps != b->rps)
		return a->rps < b->rps;
	return a->replicas[0] + a->replicas[1] < b->replicas[0] + b->replicas[1];
}

/* Keeps the `most` first ones. */
static size_t insert(const struct import_run **list, size_t count, size_t most,
                     const struct import_run *r)
{
	size_t at = count;

	while (at > 0 && comes_before(r, list[at - 1]))
		at--;
	if (at == most)
		return count;
	count = count < most ? count + 1 : count;
	memmove(list + at + 1, list + at, (count - 1 - at) * sizeof(const void *));
	list[at] = r;
	return count;
}

static void pair_lighter(struct tables *t, const struct import_run *after)
{
	const struct import_run *before[LIGHTER_MAX];
	size_t count = 0;

	for (size_t i = 0; i < t->set->count; i++) {
		const struct import_run *r = &t->set->run[i];

		if (why_unused(r) == NULL && is_lighter(r, after))
			count = insert(before, count, LIGHTER_MAX, r);
	}
	for (size_t i = 0; i < count; i++)
		put_pair(t, "lighter", i == 0 ? "score" : "augment", before[i], after,
		         1 / (double)count);
}

/* One of each campaign, the lightest. */
static void pair_empty(struct tables *t, const struct import_run *after)
{
	const struct import_run *before[EMPTY_MAX];
	size_t count = 0;

	for (size_t i = 0; i < t->set->count && count < EMPTY_MAX; i++) {
		const struct import_run *r = &t->set->run[i];
		bool known = false;

		if (why_unused(r) != NULL || !is_empty_like(r, after))
			continue;
		for (size_t k = 0; k < count && !known; k++) {
			known = same_campaign(before[k], r);
			if (known && comes_before(r, before[k]))
				before[k] = r;
		}
		if (!known)
			before[count++] = r;
	}
	for (size_t i = 0; i < count; i++)
		put_pair(t, "empty", "score", before[i], after, 1 / (double)count);
}

void import_tables(const struct import_set *set, const struct km_import_options *o,
                   struct km_buf *runs, struct km_buf *pairs, struct km_import_stats *stats)
{
	struct tables t = { set, o, runs, pairs, stats };

	km_buf_str(runs, "run_id,campaign,scenario_name,scenario,n_cpu,n_l3,n_membw,"
	                 "interference_node,target_node,target_cores,other_cores,placement,"
	                 "replicas_on_target,replicas_node1,replicas_node2,rps,p50_ms,p90_ms,"
	                 "p95_ms,p99_ms,avg_ms,max_ms,throughput_rps,errors,baseline_p99_ms,"
	                 "baseline_campaign_p99_ms,slowdown,norm_perf_thesis,sample_interval_s,"
	                 "start_time,trace_file\n");
	km_buf_str(pairs, "kind,role,before_run_id,candidate_node,candidate_cores,before_replicas,"
	                  "before_rps,after_run_id,campaign,scenario,placement,replicas,rps,p99_ms,"
	                  "baseline_p99_ms,slowdown,norm_perf,weight\n");
	for (size_t i = 0; i < set->count; i++) {
		const struct import_run *r = &set->run[i];
		char what[2 * IMPORT_NAME_MAX + 2];
		const char *why = why_unused(r);

		(void)snprintf(what, sizeof(what), "%s__%s", r->campaign, r->test);
		if (why != NULL) {
			/* no trace: that was told when it was looked for */
			if (r->traced)
				set->skip(set->ctx, what, why);
			continue;
		}
		stats->runs++;
		for (size_t node = 0; node < 2; node++) {
			if (r->replicas[node] > 0)
				put_run(&t, r, node);
		}
		if (host_of(r) < 2) {
			pair_lighter(&t, r);
			pair_empty(&t, r);
		}
	}
}

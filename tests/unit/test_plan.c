/* SPDX-License-Identifier: Apache-2.0 */
/* plan: what is read, what is refused and how, the runs and their order, profiles, identity. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/plan/plan.h"

#define NODES "nodes: [{name: a, cpus: \"0\"}, {name: b, cpus: \"1\"}]\n"
#define HEAD  "name: t\n" NODES

static struct km_plan *parsed(const char *text)
{
	struct km_err err = { .code = 0 };
	struct km_plan *p = NULL;

	if (km_plan_parse("p.yaml", text, strlen(text), &p, &err) != 0)
		fail_msg("%s", err.text);
	return p;
}

static void the_least_plan_has_every_default(void **state)
{
	struct km_plan *p = parsed(HEAD);

	(void)state;
	assert_int_equal(p->mode, KM_PLAN_LOCAL);
	assert_int_equal(p->node_count, 2);
	assert_true(km_cpuset_has(&p->node[1].cpus, 1));
	assert_int_equal(p->target.node, 0);
	assert_string_equal(p->target.program, "nginx");
	assert_int_equal(p->load.generator, KM_PLAN_VEGETA);
	assert_false(p->load.cpus_given);
	assert_true(p->load.realtime);
	assert_int_equal(p->matrix.stressor_count, KM_STRESS_KIND_N);
	assert_int_equal(p->matrix.on_count, 2);
	assert_int_equal(p->matrix.on[1].node, 1);
	assert_int_equal(p->times.before_ns, INT64_C(8000000000));
	assert_true(p->gates.foreign_cpus > 0.09 && p->gates.foreign_cpus < 0.11);
	assert_true(p->collect.auto_sources);
	assert_string_equal(p->collect.live.procfs, "/proc");
	assert_int_equal(p->slo_p99_ns, 0);
	assert_int_equal(p->trial.arm_count, KM_PLAN_ARM_N);
	assert_int_equal(p->trial.stressor_count, KM_STRESS_KIND_N);
	assert_true(p->cluster.recorder_local);
	km_plan_free(p);
}

static void what_is_given_is_taken(void **state)
{
	struct km_plan *p = parsed(
		HEAD "mode: local\nseed: 7\ntarget: {node: b, bodyBytes: 100}\n"
		     "load: {generator: wrk, cpus: \"0-1\", realtime: false, connections: 3}\n"
		     "matrix: {stressors: [membw, cpu], levels: [30], on: [other, b],\n"
		     "  replicas: [1, 2], rps: [250.5], repeats: 4, baselines: 1}\n"
		     "times: {warmUp: 500ms, before: 2s}\n"
		     "gates: {foreignCpu: 0.5, action: abort}\n"
		     "collect: {interval: 500ms, sources: [os]}\n"
		     "slo: {p99: 2ms}\ntrial: {arms: [kubemarla, random], stressors: [l2]}\n"
		     "cluster: {recorder: none, nodePort: 30080}\n");

	(void)state;
	assert_int_equal(p->seed, 7);
	assert_int_equal(p->target.node, 1);
	assert_int_equal(p->load.generator, KM_PLAN_WRK);
	assert_true(km_cpuset_has(&p->load.cpus, 1));
	assert_int_equal(p->matrix.stressor[0], KM_STRESS_MEMBW);
	assert_int_equal(p->matrix.on[0].node, 0);
	assert_int_equal(p->matrix.on[1].node, 1);
	assert_int_equal(p->matrix.replicas_count, 2);
	assert_true(p->matrix.rps[0] == 250.5);
	assert_int_equal(p->times.warm_up_ns, 500000000);
	assert_int_equal(p->gates.action, KM_PLAN_GATE_ABORT);
	assert_int_equal(p->collect.source_count, 1);
	assert_int_equal(p->collect.interval_ns, 500000000);
	assert_int_equal(p->slo_p99_ns, 2000000);
	assert_int_equal(p->trial.arm[0], KM_PLAN_ARM_KUBEMARLA);
	assert_int_equal(p->trial.stressor[0], KM_STRESS_L2);
	assert_false(p->cluster.recorder_local);
	km_plan_free(p);
}

static void bad_plans_are_refused_by_name(void **state)
{
	static const struct {
		const char *text, *want;
	} row[] = {
		{ NODES, "name: saw nothing" },
		{ "name: t\n", "nodes: saw nothing" },
		{ "name: t\nnodes: []\n", "nodes: saw 0" },
		{ "name: t\nnodes: [{name: a}]\n", "nodes[0].cpus: saw nothing" },
		{ "name: \"a b\"\n" NODES, "name: saw \"a b\" in quotes, want 1 to 48" },
		{ "name: ../x\n" NODES, "want 1 to 48" },
		{ "name: t\nnodes: [{name: a, cpus: x}]\n", "p.yaml:2: nodes[0].cpus: saw x" },
		{ "name: t\nnodes: [{name: a, cpus: 0}, {name: b, cpus: 0-1}]\n",
		  "both have CPU 0" },
		{ "name: t\nnodes: [{name: a, cpus: 0}, {name: a, cpus: 1}]\n", "saw a again" },
		{ "name: t\nnodes: [{name: a, cpus: 0, cgroup: /x}]\n", "groups of its own" },
		{ "name: t\nnodes: [{name: _load, cpus: 0}]\n",
		  "nodes[0].name: saw _load, want a letter or a digit first" },
		{ "name: t\nnodes: [{name: a, cpus: 0}, {name: \"..\", cpus: 1}]\n",
		  "saw .., want" },
		{ HEAD "target: {port: 65530}\nmatrix: {replicas: [1, 16]}\n",
		  "p.yaml:3: target.port: saw 65530, want at most 65520" },
		{ HEAD "mode: cluster\ntimes: {before: 30m, during: 30m}\n",
		  "times: saw 3602s of interference at a time" },
		{ HEAD "matrx: {}\n", "p.yaml:3: matrx: no such key, did you mean matrix?" },
		{ HEAD "matrix: {level: [1]}\n", "did you mean matrix.levels?" },
		{ HEAD "wholly: 1\n", "see docs/PLANS.md" },
		{ HEAD "matrix: {levels: [0]}\n", "matrix.levels: saw 0, want a list" },
		{ HEAD "matrix: {levels: [50, 50]}\n", "matrix.levels: saw 50" },
		{ HEAD "matrix: {levels: []}\n", "matrix.levels: saw a list" },
		{ HEAD "matrix: {levels: [1.5]}\n", "matrix.levels: saw 1.5" },
		{ HEAD "matrix: {levels: [[1]]}\n", "matrix.levels: saw a list" },
		{ HEAD "matrix: {stressors: [disk]}\n", "saw disk, want a list of cpu" },
		{ HEAD "matrix: {on: [c]}\n", "matrix.on: saw c" },
		{ HEAD "matrix: {on: [a, target]}\n", "matrix.on: saw target" },
		{ "name: t\nnodes: [{name: a, cpus: 0}]\nmatrix: {on: [other]}\n", "saw other" },
		{ HEAD "matrix: {rps: [0]}\n", "matrix.rps: saw 0" },
		{ HEAD "matrix: {rps: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}\n", "saw 17" },
		{ HEAD "matrix: {replicas: [17]}\n", "matrix.replicas: saw 17" },
		{ HEAD "matrix: {baselines: 0}\n", "matrix.baselines: saw 0" },
		{ HEAD "matrix: {repeats: 1000}\n", "matrix: saw 22000 runs" },
		{ HEAD "target: {node: c}\n", "target.node: saw c" },
		{ HEAD "target: {kind: apache}\n", "want one of nginx" },
		{ HEAD "times: {before: 1s}\n", "want at least twice collect.interval" },
		{ HEAD "times: {before: 8}\n", "want a duration" },
		{ HEAD "load: {profile: trace}\n", "saw profile trace without a trace" },
		{ HEAD "load: {trace: f}\n", "saw profile steady with a trace" },
		{ HEAD "load: {generator: wrk, profile: bursty}\n", "wrk has no rate" },
		{ HEAD "load: {generator: wrk}\nmatrix: {rps: [1, 2]}\n",
		  "matrix.rps: saw 2 rates, want one" },
		{ HEAD "load: {burst: {length: 5s, every: 5s}}\n", "want a shorter length" },
		{ HEAD "load: {cpus: 9999}\n", "load.cpus: saw 9999" },
		{ HEAD "gates: {action: hope}\n", "one of repeat, abort, keep" },
		{ HEAD "kpi: {p99Query: up}\n", "a query without prometheus" },
		{ HEAD "kpi: {prometheus: \"http://127.0.0.1\"}\n", "without a query" },
		{ HEAD "trial: {arms: []}\n", "trial.arms: saw a list" },
		{ HEAD "trial: {during: 1s}\n", "trial.during: saw 1s" },
		{ HEAD "cluster: {recorder: far}\n", "want local or none" },
		{ HEAD "collect: {intervals: 1s}\n", "did you mean collect.interval?" },
		{ "- a\n", "want a map" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(row); i++) {
		struct km_err err = { .code = 0 };
		struct km_plan *p = NULL;

		if (km_plan_parse("p.yaml", row[i].text, strlen(row[i].text), &p, &err) != -EINVAL)
			fail_msg("row %zu: accepted: %s", i, row[i].text);
		if (strstr(err.text, row[i].want) == NULL)
			fail_msg("row %zu: \"%s\" does not say \"%s\"", i, err.text, row[i].want);
		assert_null(p);
	}
}

/* Counters of this host are of nodes on it; without them nodes are anywhere. */
static void nodes_of_a_cluster_may_be_hosts_of_their_own(void **state)
{
	static const char anywhere[] = "name: t\nmode: cluster\ncluster: {recorder: none}\n"
				       "nodes: [{name: n1}, {name: n2}, {name: n3, cpus: \"0\"}]\n";
	static const char here[] = "name: t\nmode: cluster\nnodes: [{name: n1}, {name: n2}]\n";
	struct km_err err = { .code = 0 };
	struct km_plan *p = parsed(anywhere);

	(void)state;
	assert_int_equal(p->mode, KM_PLAN_CLUSTER);
	assert_int_equal(p->node_count, 3);
	km_plan_free(p);
	assert_int_equal(km_plan_parse("p", here, strlen(here), &p, &err), -EINVAL);
	assert_non_null(strstr(err.text, "share a host"));
}

static void every_condition_is_there_once_in_each_repeat(void **state)
{
	struct km_plan *p = parsed(HEAD "matrix: {stressors: [cpu, l3], levels: [50, 100],\n"
	                                " replicas: [1, 2], rps: [500], repeats: 3, baselines: 2}");
	struct km_run_spec *r = NULL;
	size_t n = 0;
	size_t stressed = 0;

	(void)state;
	assert_int_equal(km_plan_runs(p, &r, &n), 0);
	assert_int_equal(n, 3 * 2 * (2 * 2 * 2 + 2));
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(r[i].repeat, 1 + i / 20);
		stressed += r[i].stressed;
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(r[i].id, r[j].id);
	}
	assert_int_equal(stressed, 3 * 2 * 8);
	free(r);
	km_plan_free(p);
}

static bool has_id(const struct km_run_spec *r, size_t n, const char *id)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(r[i].id, id) == 0)
			return true;
	}
	return false;
}

static void ids_say_the_condition(void **state)
{
	static const char *const want[] = {
		"r2__cpu100_on-other__1replicas_500rps",
		"r1__cpu100_on-a__2replicas_500rps",
		"r2__none3__1replicas_500rps",
		"r1__cpu100_on-other__1replicas_0.5rps",
	};
	struct km_plan *p =
		parsed(HEAD "matrix: {stressors: [cpu], levels: [100], on: [other, a],\n"
	                    " rps: [500, 1.5], replicas: [1, 2], repeats: 2,\n"
	                    " baselines: 3}\n");
	struct km_run_spec *r = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(km_plan_runs(p, &r, &n), 0);
	for (size_t i = 0; i < KM_ARRAY_LEN(want); i++)
		assert_int_equal(has_id(r, n, want[i]), i != 3);
	free(r);
	km_plan_free(p);
}

static void more_repeats_append_and_another_seed_reorders(void **state)
{
	const char *text[] = {
		HEAD "matrix: {repeats: 2}\n",
		HEAD "matrix: {repeats: 5}\n",
		HEAD "seed: 2\nmatrix: {repeats: 2}\n",
	};
	struct km_run_spec *r[3];
	uint64_t hash[3];
	size_t n[3];
	size_t moved = 0;
	size_t kept = 0;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct km_plan *p = parsed(text[i]);

		assert_int_equal(km_plan_runs(p, &r[i], &n[i]), 0);
		hash[i] = km_plan_hash(p);
		km_plan_free(p);
	}
	for (size_t i = 0; i < n[0]; i++) {
		assert_string_equal(r[0][i].id, r[1][i].id);
		moved += strcmp(r[0][i].id, r[2][i].id) != 0;
		kept += i < n[0] / 2 && strcmp(r[0][i].id + 2, r[0][i + n[0] / 2].id + 2) == 0;
	}
	assert_true(moved > n[0] / 2);
	assert_true(kept < n[0] / 4); /* repeats have orders of their own */
	assert_true(hash[0] == hash[1]);
	assert_true(hash[0] != hash[2]);
	for (int i = 0; i < 3; i++)
		free(r[i]);
}

static void what_changes_a_run_changes_the_hash(void **state)
{
	static const struct {
		const char *text;
		bool same;
	} row[] = {
		{ "gates: {foreignCpu: 0.3}\n", true },  { "slo: {p99: 1ms}\n", true },
		{ "trial: {rps: 100}\n", true },         { "times: {during: 9s}\n", false },
		{ "matrix: {rps: [501]}\n", false },     { "matrix: {levels: [100, 50]}\n", false },
		{ "target: {node: b}\n", false },        { "load: {connections: 11}\n", false },
		{ "load: {cpus: 1}\n", false },          { "collect: {interval: 2s}\n", false },
		{ "collect: {sources: [os]}\n", false },
	};
	struct km_plan *p = parsed(HEAD);
	uint64_t plain = km_plan_hash(p);

	(void)state;
	km_plan_free(p);
	for (size_t i = 0; i < KM_ARRAY_LEN(row); i++) {
		char text[400];

		(void)snprintf(text, sizeof(text), "%s%s", HEAD, row[i].text);
		p = parsed(text);
		if ((km_plan_hash(p) == plain) != row[i].same)
			fail_msg("row %zu: %s", i, row[i].text);
		km_plan_free(p);
	}
}

#define S INT64_C(1000000000)

static void profiles_are_parts_that_fill_the_run(void **state)
{
	static const struct {
		const char *load;
		size_t count;
		struct km_load_part part[5];
	} row[] = {
		{ "{profile: steady}", 1, { { 10 * S, 200 } } },
		{ "{profile: stepped, steps: [1, 2]}", 2, { { 5 * S, 200 }, { 5 * S, 400 } } },
		{ "{profile: stepped, steps: [1, 1, 0, 0.5]}",
		  3,
		  { { 5 * S, 200 }, { 25 * S / 10, 0 }, { 25 * S / 10, 100 } } },
		{ "{profile: bursty, burst: {factor: 3, length: 1s, every: 6s}}",
		  4,
		  { { S, 600 }, { 5 * S, 200 }, { S, 600 }, { 3 * S, 200 } } },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(row); i++) {
		struct km_load_part part[5];
		struct km_plan *p;
		char text[300];
		size_t n = 0;

		(void)snprintf(text, sizeof(text), "%sload: %s\n", HEAD, row[i].load);
		p = parsed(text);
		assert_int_equal(km_plan_load_parts(p, 200, 10 * S, part, 5, &n), 0);
		assert_int_equal(n, row[i].count);
		for (size_t k = 0; k < n; k++) {
			assert_int_equal(part[k].duration_ns, row[i].part[k].duration_ns);
			assert_true(part[k].rps == row[i].part[k].rps);
		}
		if (n > 1)
			assert_int_equal(km_plan_load_parts(p, 200, 10 * S, part, 1, &n), -E2BIG);
		km_plan_free(p);
	}
}

static void a_trace_lies_beside_its_plan(void **state)
{
	static const char plan[] = HEAD "load: {profile: trace, trace: t.csv}\n";
	static const struct {
		const char *text, *error; /* NULL = good */
	} row[] = {
		{ "seconds,factor\n0,1\n2,3\n4,0.5\n", NULL }, { "1,1\n", "t.csv:1: saw 1,1" },
		{ "0,1\n0,2\n", "t.csv:2: saw 0,2" },          { "0,-1\n", "saw 0,-1" },
		{ "0;1\n", "want \"seconds,factor\"" },        { "", "saw no line" },
	};
	char dir[] = "/tmp/km_plan_XXXXXX";
	char plan_path[64];
	char trace_path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(plan_path, sizeof(plan_path), "%s/p.yaml", dir);
	(void)snprintf(trace_path, sizeof(trace_path), "%s/t.csv", dir);
	assert_int_equal(km_file_write_atomic(plan_path, plan, sizeof(plan) - 1, NULL), 0);
	for (size_t i = 0; i < KM_ARRAY_LEN(row); i++) {
		struct km_err err = { .code = 0 };
		struct km_load_part part[5];
		struct km_plan *p = NULL;
		size_t n = 0;
		int rc;

		assert_int_equal(
			km_file_write_atomic(trace_path, row[i].text, strlen(row[i].text), NULL),
			0);
		rc = km_plan_load(plan_path, &p, &err);
		assert_int_equal(rc, row[i].error != NULL ? -EINVAL : 0);
		if (row[i].error != NULL) {
			assert_non_null(strstr(err.text, row[i].error));
			continue;
		}
		assert_int_equal(km_plan_load_parts(p, 100, 3 * S, part, 5, &n), 0);
		assert_int_equal(n, 2);
		assert_int_equal(part[1].duration_ns, S);
		assert_true(part[1].rps == 300);
		km_plan_free(p);
	}
	(void)unlink(trace_path);
	(void)unlink(plan_path);
	assert_int_equal(rmdir(dir), 0);
}

static void a_load_that_cannot_be_made_is_refused(void **state)
{
	static const struct {
		const char *text, *want;
	} row[] = {
		{ "load: {profile: stepped, steps: [0, 0]}\n", "a profile that sends nothing" },
		{ "load: {profile: stepped, steps: [1, 0.0001]}\n",
		  "saw 4s at 0.05 requests/s, want time for one" },
		{ "load: {profile: bursty, burst: {length: 10ms, every: 20ms}}\n"
		  "times: {during: 1h}\n",
		  "more than 2000 parts in 3600s" },
	};
	char dir[] = "/tmp/km_plan_XXXXXX";
	char path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/p.yaml", dir);
	for (size_t i = 0; i < KM_ARRAY_LEN(row); i++) {
		struct km_err err = { .code = 0 };
		struct km_plan *p = NULL;
		char text[400];

		(void)snprintf(text, sizeof(text), "%s%s", HEAD, row[i].text);
		assert_int_equal(km_file_write_atomic(path, text, strlen(text), NULL), 0);
		assert_int_equal(km_plan_load(path, &p, &err), -EINVAL);
		assert_null(p);
		if (strstr(err.text, row[i].want) == NULL)
			fail_msg("row %zu: %s", i, err.text);
	}
	(void)unlink(path);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_plan_has_every_default),
		cmocka_unit_test(what_is_given_is_taken),
		cmocka_unit_test(bad_plans_are_refused_by_name),
		cmocka_unit_test(nodes_of_a_cluster_may_be_hosts_of_their_own),
		cmocka_unit_test(every_condition_is_there_once_in_each_repeat),
		cmocka_unit_test(ids_say_the_condition),
		cmocka_unit_test(more_repeats_append_and_another_seed_reorders),
		cmocka_unit_test(what_changes_a_run_changes_the_hash),
		cmocka_unit_test(profiles_are_parts_that_fill_the_run),
		cmocka_unit_test(a_trace_lies_beside_its_plan),
		cmocka_unit_test(a_load_that_cannot_be_made_is_refused),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}

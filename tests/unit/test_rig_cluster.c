/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster backend over a stand-in for kubectl: what it asks, in which order, what it makes of
 * the answers, and that it leaves nothing. Whether an API server takes the manifests is
 * tests/e2e's.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"

#include "rig/cluster.h"
#include "support/tree.h"

#define WHILE_NS (50 * KM_NS_PER_MS)

struct world {
	struct tree tree;
	struct km_plan *plan;
	struct km_rig *rig;
	char said[1024];
};

static void say(void *ctx, const char *line)
{
	struct world *w = ctx;
	size_t n = strlen(w->said);

	(void)snprintf(w->said + n, sizeof(w->said) - n, "%s\n", line);
}

/* more: keys of the plan beside the usual ones, whole lines. */
static void world_init(struct world *w, const char *more)
{
	char text[2048];

	memset(w, 0, sizeof(*w));
	tree_init(&w->tree);
	tree_dir(&w->tree, "scratch");
	(void)snprintf(text, sizeof(text),
	               "name: test\n"
	               "mode: cluster\n"
	               "nodes: [{name: m01, cpus: \"0-2\"}, {name: m02, cpus: \"3-5\"}]\n"
	               "target: {bodyBytes: 100}\n"
	               "cluster: {kubectl: tests/fakes/kubectl_fake.sh, namespace: lab-x, context: "
	               "here, recorder: none}\n%s",
	               more);
	(void)setenv("KUBECTL_FAKE", w->tree.root, 1); /* NOLINT: one thread */
	assert_int_equal(km_plan_parse("test.yaml", text, strlen(text), &w->plan, NULL), 0);
}

static int world_open_with(struct world *w, int stop_fd, struct km_err *err)
{
	char scratch[128];
	struct km_rig_options options = { .self = "build/kubemarla-lab",
		                          .scratch_dir = scratch,
		                          .stop_fd = stop_fd,
		                          .say = say,
		                          .ctx = w };

	(void)snprintf(scratch, sizeof(scratch), "%s/scratch", w->tree.root);
	return km_rig_open(w->plan, &options, &w->rig, err);
}

static void world_open(struct world *w)
{
	struct km_err err = { .code = 0 };

	if (world_open_with(w, -1, &err) != 0)
		fail_msg("%s", err.text);
}

static void world_fini(struct world *w)
{
	km_rig_close(w->rig);
	km_plan_free(w->plan);
	tree_fini(&w->tree);
}

static void read_file(const struct world *w, const char *name, struct km_buf *out)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", w->tree.root, name);
	km_buf_init(out);
	assert_int_equal(km_file_read(path, 1 << 20, out, NULL), 0);
	(void)km_buf_cstr(out);
}

static const char *calls_path(const struct world *w, char *out, size_t size)
{
	(void)snprintf(out, size, "%s/calls", w->tree.root);
	return out;
}

/* Each text in the file, one behind the other. */
static void wants(const struct world *w, const char *file, const char *const *text)
{
	struct km_buf all;
	const char *p;

	read_file(w, file, &all);
	p = all.data;
	for (size_t i = 0; text[i] != NULL && p != NULL; i++) {
		p = strstr(p, text[i]);
		if (p == NULL)
			fail_msg("no \"%s\" there in %s:\n%s", text[i], file, all.data);
	}
	km_buf_fini(&all);
}

static void everything_is_made_and_deleted_in_order(void **state)
{
	static const char *const calls[] = {
		"--context here --namespace lab-x get nodes m01 m02 -o name",
		"get namespace lab-x",
		"apply -f -", /* namespace and service */
		"apply -f -\n",
		"get pods -l pod=stressor-0",
		"logs --follow stressor-0",
		"apply -f -\n",
		"rollout status deployment/target-0",
		"rollout status deployment/target-1",
		"apply -f -\n",
		"get pods -l pod=load-1",
		"logs --follow -l pod=load-1",
		"delete job load-1",
		"delete pods -l app=stressor",
		"delete deployments -l app=target",
		"delete namespace lab-x --ignore-not-found --wait=true",
		NULL,
	};
	static const char *const manifests[] = {
		"kind: Namespace",
		"name: lab-x",
		"kind: Service",
		"nodePort: 0",
		"kind: Pod",
		"name: stressor-0",
		"key: metadata.name, operator: In, values: [\"m02\"]",
		"image: \"kubemarla-lab:local\"",
		"stress, \"l2\", --intensity, \"50\", --json",
		"name: target-0",
		"replicas: 2",
		"key: metadata.name, operator: In, values: [\"m01\"]",
		"head -c 100 /dev/zero",
		"worker_processes 3;",
		"name: target-1",
		"replicas: 1",
		"key: metadata.name, operator: In, values: [\"m02\"]",
		"kind: Job",
		"name: load-1",
		"[\"http://target/body\",\"10\",\"500/1s\",\"0.250s\",\"500/1s\",\"1.000s\"]",
		NULL,
	};
	static const size_t node_of_replica[] = { 0, 1, 0 };
	const struct km_load_spec spec = { 500, KM_NS_PER_S, KM_NS_PER_S / 4 };
	struct km_stress_result r[2];
	struct km_load_result load;
	struct km_rig_usage usage;
	struct world w;
	size_t count;

	(void)state;
	world_init(&w, "");
	world_open(&w);
	assert_int_equal(km_rig_stress_start(w.rig, 1, KM_STRESS_L2, 50, NULL), 0);
	assert_int_equal(km_rig_record_begin(w.rig, NULL), 0);
	assert_int_equal(km_rig_wait(w.rig, WHILE_NS, NULL), 0);
	assert_int_equal(km_rig_target_start(w.rig, node_of_replica, 3, NULL), 0);
	assert_int_equal(km_rig_load(w.rig, &spec, &load, NULL), 0);
	assert_int_equal(km_rig_record_end(w.rig, NULL, &usage, NULL), 0);
	assert_int_equal(km_rig_stress_stop(w.rig, r, 2, &count, NULL), 0);
	km_rig_target_stop(w.rig);
	assert_string_equal(km_rig_facts(w.rig)->target, CLUSTER_TARGET_IMAGE);
	km_rig_close(w.rig);
	w.rig = NULL;
	assert_int_equal(count, 1);
	assert_true(r[0].kind == KM_STRESS_L2 && r[0].ops_per_s == 7 && r[0].duty_ratio == 0.5);
	assert_true(load.requests == 500 && load.p99_ms == 4 && load.offered_rps == 500);
	assert_true(load.open_loop);
	/* nothing of this host is a node's, nothing is known of pods' CPU time */
	assert_true(isnan(usage.busy_cpus) && isnan(usage.own_cpus) && isnan(usage.foreign_cpus));
	assert_string_equal(w.said, "");
	wants(&w, "calls", calls);
	wants(&w, "applied", manifests);
	world_fini(&w);
}

static void what_goes_wrong_is_told(void **state)
{
	static const struct {
		const char *file, *content; /* of the stand-in; NULL = none */
		const char *plan;           /* more keys */
		int rc;
		const char *want;
	} rows[] = {
		{ "no-node", "", "", -EIO, "nodes \"m02\" not found" },
		{ "no-api", "", "", -EIO, "kubectl get: The connection to the server" },
		{ "namespace", "lab-x shop", "", -EEXIST, "is there and not ours" },
		{ "namespace", "lab-x ", "", -EEXIST, "is there and not ours" },
		{ NULL, NULL, "load: {generator: wrk}\n", -EINVAL, "saw wrk, want vegeta" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct km_err err = { .code = 0 };
		struct km_buf calls;
		struct world w;
		char path[128];

		world_init(&w, rows[i].plan);
		if (rows[i].file != NULL)
			tree_put(&w.tree, rows[i].file, "%s", rows[i].content);
		assert_int_equal(world_open_with(&w, -1, &err), rows[i].rc);
		assert_non_null(strstr(err.text, rows[i].want));
		assert_null(w.rig);
		/* what is not ours is not touched, not even at the end */
		if (access(calls_path(&w, path, sizeof(path)), F_OK) == 0) {
			read_file(&w, "calls", &calls);
			assert_null(strstr(calls.data, "delete"));
			assert_null(strstr(calls.data, "apply"));
			km_buf_fini(&calls);
		}
		world_fini(&w);
	}
}

static void without_kubectl_it_says_how_to_get_it(void **state)
{
	struct km_err err = { .code = 0 };
	struct world w;

	(void)state;
	world_init(&w, "");
	free(w.plan->cluster.kubectl);
	w.plan->cluster.kubectl = strdup("no-such-kubectl");
	assert_int_equal(world_open_with(&w, -1, &err), -ENOENT);
	assert_non_null(strstr(err.text, "no-such-kubectl is not installed: "));
	world_fini(&w);
}

static void a_dead_labs_namespace_is_deleted_first(void **state)
{
	static const char *const calls[] = { "get namespace", "delete namespace lab-x --wait=true",
		                             "apply -f -", NULL };
	struct world w;

	(void)state;
	world_init(&w, "");
	tree_put(&w.tree, "namespace", "lab-x kubemarla-lab");
	world_open(&w);
	wants(&w, "calls", calls);
	world_fini(&w);
}

static void a_pod_that_does_not_start_is_told_and_deleted(void **state)
{
	static const char *const calls[] = { "get pods -l pod=stressor-0", "delete pods",
		                             "delete namespace", NULL };
	struct km_err err = { .code = 0 };
	struct world w;

	(void)state;
	world_init(&w, "");
	tree_put(&w.tree, "phase", "Pending ImagePullBackOff");
	world_open(&w);
	assert_int_equal(km_rig_stress_start(w.rig, 0, KM_STRESS_CPU, 10, &err), -EIO);
	assert_non_null(strstr(err.text, "stressor cpu at 10 % on m01: "));
	assert_non_null(strstr(err.text, "does not start: Pending ImagePullBackOff"));
	km_rig_close(w.rig);
	w.rig = NULL;
	wants(&w, "calls", calls);
	world_fini(&w);
}

static void a_stressor_that_dies_ends_the_wait(void **state)
{
	struct km_err err = { .code = 0 };
	struct world w;
	size_t count;
	int rc;

	(void)state;
	world_init(&w, "");
	tree_put(&w.tree, "die", "%s", "");
	world_open(&w);
	/* it may be dead before it was seen at work */
	rc = km_rig_stress_start(w.rig, 0, KM_STRESS_CPU, 10, &err);
	if (rc == 0)
		rc = km_rig_wait(w.rig, 60 * KM_NS_PER_S, &err);
	assert_int_equal(rc, -ECHILD);
	assert_non_null(strstr(err.text, "stressor cpu at 10 % on m01"));
	assert_int_equal(km_rig_stress_stop(w.rig, NULL, 0, &count, &err), -ECHILD);
	assert_non_null(strstr(err.text, "killed: out of memory"));
	assert_int_equal(count, 1);
	world_fini(&w);
}

static void a_report_that_got_lost_is_unknown_not_zero(void **state)
{
	struct km_stress_result r;
	struct world w;
	size_t count;

	(void)state;
	world_init(&w, "");
	tree_put(&w.tree, "no-report", "%s", "");
	world_open(&w);
	assert_int_equal(km_rig_stress_start(w.rig, 0, KM_STRESS_L3, 10, NULL), 0);
	assert_int_equal(km_rig_stress_stop(w.rig, &r, 1, &count, NULL), 0);
	assert_int_equal(count, 1);
	assert_true(r.kind == KM_STRESS_L3 && isnan(r.ops_per_s) && isnan(r.duty_ratio));
	assert_non_null(strstr(w.said, "its report is not in the pod's log"));
	world_fini(&w);
}

static void a_load_without_a_report_fails(void **state)
{
	static const struct {
		const char *file, *content, *want;
	} rows[] = {
		{ "load", "sh: vegeta: not found\n", "sh: vegeta: not found" },
		{ "load", "{\"requests\":5}\n", "load: " },
		{ "no-rollout", "", "target on m01: kubectl rollout: error: timed out" },
	};
	static const size_t node_of_replica[] = { 0 };
	const struct km_load_spec spec = { 500, KM_NS_PER_S, 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct km_err err = { .code = 0 };
		struct km_load_result load;
		struct world w;
		int rc;

		world_init(&w, "");
		tree_put(&w.tree, rows[i].file, "%s", rows[i].content);
		world_open(&w);
		rc = km_rig_target_start(w.rig, node_of_replica, 1, &err);
		if (rc == 0)
			rc = km_rig_load(w.rig, &spec, &load, &err);
		assert_true(rc < 0);
		if (strstr(err.text, rows[i].want) == NULL)
			fail_msg("no \"%s\" in \"%s\"", rows[i].want, err.text);
		world_fini(&w);
	}
}

static void when_interrupted_the_namespace_is_deleted(void **state)
{
	static const char *const calls[] = { "delete pods", "delete namespace lab-x", NULL };
	struct km_err err = { .code = 0 };
	struct world w;
	int stop[2];

	(void)state;
	world_init(&w, "");
	assert_int_equal(pipe(stop), 0);
	assert_int_equal(world_open_with(&w, stop[0], NULL), 0);
	assert_int_equal(km_rig_stress_start(w.rig, 0, KM_STRESS_CPU, 10, NULL), 0);
	assert_int_equal(write(stop[1], "x", 1), 1);
	assert_int_equal(km_rig_wait(w.rig, 60 * KM_NS_PER_S, &err), -EINTR);
	km_rig_close(w.rig);
	w.rig = NULL;
	(void)close(stop[0]);
	(void)close(stop[1]);
	wants(&w, "calls", calls);
	world_fini(&w);
}

/* With CPUs for it the generator is a process of this host, at a node's port. */
static void a_pinned_generator_runs_on_this_host(void **state)
{
	static const char *const calls[] = { "get node m02 -o", "get service target -o", NULL };
	static const char *const attack[] = { "GET http://127.0.0.1:31234/body", NULL };
	static const size_t node_of_replica[] = { 1 };
	const struct km_load_spec spec = { 500, KM_NS_PER_S, 0 };
	struct km_load_result load;
	struct km_cpuset allowed;
	char more[256];
	char path[128];
	struct world w;

	(void)state;
	assert_int_equal(km_stress_allowed(&allowed, NULL), 0);
	world_init(&w, "");
	km_plan_free(w.plan);
	tree_fini(&w.tree);
	(void)snprintf(more, sizeof(more),
	               "load: {cpus: \"%u\", realtime: false, program: VEGETA}\n",
	               km_cpuset_next(&allowed, 0));
	world_init(&w, more);
	(void)snprintf(path, sizeof(path), "%s/vegeta", w.tree.root);
	free(w.plan->load.program);
	w.plan->load.program = strdup(path);
	tree_put(&w.tree, "vegeta", "%s",
	         "#!/bin/sh\n"
	         "case $1 in\n"
	         "-version) echo 'Version: fake' ;;\n"
	         "attack) cp \"$3\" \"$KUBECTL_FAKE/attacked\"; : >\"$5\" ;;\n"
	         "report) exec tests/fakes/kubectl_fake.sh logs --follow -l x | tail -n 1 ;;\n"
	         "esac\n");
	assert_int_equal(chmod(path, 0755), 0);
	world_open(&w);
	assert_int_equal(km_rig_target_start(w.rig, node_of_replica, 1, NULL), 0);
	assert_int_equal(km_rig_load(w.rig, &spec, &load, NULL), 0);
	assert_true(load.requests == 500 && load.p99_ms == 4);
	assert_string_equal(load.version, "fake");
	wants(&w, "calls", calls);
	wants(&w, "attacked", attack);
	world_fini(&w);
}

static void values_are_words_and_none_is_missing(void **state)
{
	static const struct {
		const char *value, *want; /* want NULL = taken */
	} rows[] = {
		{ "lab-x", NULL },          { "registry.example:5000/team/lab@sha256:00", NULL },
		{ "", "want letters" },     { "-n", "want letters" },
		{ "a\"b", "want letters" }, { "a\nb: c", "want letters" },
		{ "a b", "want letters" },  { "${NAME}", "want letters" },
	};
	struct km_err err;
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct cluster_value value = { .name = "NAMESPACE", .value = rows[i].value };
		int rc = cluster_render(CLUSTER_NAMESPACE, &value, 1, &out, &err);

		assert_int_equal(rc, rows[i].want == NULL ? 0 : -EINVAL);
		assert_true(rows[i].want == NULL || strstr(err.text, rows[i].want) != NULL);
	}
	assert_int_equal(cluster_render(CLUSTER_STRESSOR, NULL, 0, &out, &err), -EINVAL);
	assert_string_equal(err.text, "manifest: ${NAME} has no value");
	km_buf_fini(&out);
}

static void the_report_is_the_last_object_of_a_log(void **state)
{
	static const struct {
		const char *log, *want;
	} rows[] = {
		{ "a\n{1}\n", "{1}" }, { "{1}\n{2}", "{2}" }, { "{1}\nafter\n\n", "{1}" },
		{ "{1}", "{1}" },      { "none\n", NULL },    { "", NULL },
		{ "\n\n", NULL },      { "a {1}\n", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct km_buf log;
		const char *got;
		size_t len = 0;

		km_buf_init(&log);
		km_buf_str(&log, rows[i].log);
		got = cluster_last_object(&log, &len);
		assert_true((got == NULL) == (rows[i].want == NULL));
		if (got != NULL) {
			assert_int_equal(len, strlen(rows[i].want));
			assert_memory_equal(got, rows[i].want, len);
		}
		km_buf_fini(&log);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_made_and_deleted_in_order),
		cmocka_unit_test(what_goes_wrong_is_told),
		cmocka_unit_test(without_kubectl_it_says_how_to_get_it),
		cmocka_unit_test(a_dead_labs_namespace_is_deleted_first),
		cmocka_unit_test(a_pod_that_does_not_start_is_told_and_deleted),
		cmocka_unit_test(a_stressor_that_dies_ends_the_wait),
		cmocka_unit_test(a_report_that_got_lost_is_unknown_not_zero),
		cmocka_unit_test(a_load_without_a_report_fails),
		cmocka_unit_test(when_interrupted_the_namespace_is_deleted),
		cmocka_unit_test(a_pinned_generator_runs_on_this_host),
		cmocka_unit_test(values_are_words_and_none_is_missing),
		cmocka_unit_test(the_report_is_the_last_object_of_a_log),
	};

	return cmocka_run_group_tests_name("rig cluster", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig: the local backend over a fake nginx and fake generators, with our own stressors, on a CPU of
 * this machine, without control groups. What the real ones do: tests/integration/lab-rig.sh.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/child.h"
#include "km/base/file.h"
#include "km/rig/rig.h"

#include "rig/rig_internal.h"
#include "support/fake_apiserver.h"
#include "support/tree.h"

#define FAKES "tests/support/fake_generator/"
#define SHORT (20 * KM_NS_PER_MS)
#define LONG  (600 * KM_NS_PER_S)

struct world {
	struct tree t;
	char lab[PATH_MAX];
	char said[1024]; /* all lines, each with its newline */
	struct km_plan *plan;
	struct km_rig *rig;
	int stop_fd;
};

static void say(void *ctx, const char *line)
{
	struct world *w = ctx;
	size_t len = strlen(w->said);

	(void)snprintf(w->said + len, sizeof(w->said) - len, "%s\n", line);
}

static unsigned a_cpu(unsigned which)
{
	struct km_cpuset allowed;
	unsigned cpu;

	assert_int_equal(km_stress_allowed(&allowed, NULL), 0);
	cpu = km_cpuset_next(&allowed, 0);
	for (; which > 0 && km_cpuset_next(&allowed, cpu + 1) < KM_CPU_MAX; which--)
		cpu = km_cpuset_next(&allowed, cpu + 1);
	return cpu;
}

static const char *build(void)
{
	const char *dir = getenv("KM_BUILD"); /* NOLINT(concurrency-mt-unsafe): one thread */

	return dir != NULL ? dir : "build";
}

/* A plan of two nodes over a fake nginx; extra: lines of YAML behind `load`'s first keys. */
static void plan_of(struct world *w, const char *generator, const char *load, const char *rest)
{
	char text[4096];
	struct km_err err = { .code = 0 };

	(void)snprintf(text, sizeof(text),
	               "name: test\n"
	               "nodes: [{name: node-a, cpus: \"%u\"}, {name: node-b, cpus: \"%u\"}]\n"
	               "target: {program: %s/tests/nginx_fake, bodyBytes: 100}\n"
	               "load: {program: %s, realtime: false, connections: 3%s}\n"
	               "collect: {interval: 100ms, sources: [os]}\n"
	               "%s",
	               a_cpu(0), a_cpu(1), build(), generator, load, rest);
	if (km_plan_parse("test.yaml", text, strlen(text), &w->plan, &err) != 0)
		fail_msg("%s", err.text);
	/* no group of the machine's: a tree of nothing */
	free(w->plan->collect.live.cgroupfs);
	w->plan->collect.live.cgroupfs = strdup(w->t.root);
}

static int open_rig(struct world *w, struct km_err *err)
{
	const struct km_rig_options options = {
		.self = w->lab,
		.scratch_dir = w->t.root,
		.stop_fd = w->stop_fd,
		.say = say,
		.ctx = w,
	};

	return km_rig_open(w->plan, &options, &w->rig, err);
}

static void must_open(struct world *w, const char *generator, const char *load, const char *rest)
{
	struct km_err err = { .code = 0 };

	plan_of(w, generator, load, rest);
	if (open_rig(w, &err) != 0)
		fail_msg("%s", err.text);
}

static void start_target(struct world *w, unsigned replicas)
{
	static const size_t nodes[] = { 0, 1, 0, 1 };
	struct km_err err = { .code = 0 };

	if (km_rig_target_start(w->rig, nodes, replicas, &err) != 0)
		fail_msg("%s", err.text);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	tree_init(&w->t);
	(void)snprintf(w->lab, sizeof(w->lab), "%s/kubemarla-lab", build());
	w->stop_fd = eventfd(0, EFD_CLOEXEC);
	*state = w;
	return 0;
}

static bool holds_anything(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	bool any = false;

	assert_non_null(dir);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is our own */
	while ((e = readdir(dir)) != NULL)
		any = any || strncmp(e->d_name, "kubemarla-lab-", 14) == 0;
	(void)closedir(dir);
	return any;
}

/* Whatever a test did: nothing of it is left. */
static int tear_down(void **state)
{
	struct world *w = *state;

	km_rig_close(w->rig);
	assert_false(holds_anything(w->t.root));
	(void)unsetenv("KM_FAKE_NGINX");   /* NOLINT(concurrency-mt-unsafe) */
	(void)unsetenv("KM_FAKE_ATTACKS"); /* NOLINT(concurrency-mt-unsafe) */
	km_plan_free(w->plan);
	(void)close(w->stop_fd);
	tree_fini(&w->t);
	free(w);
	return 0;
}

static void what_works_otherwise_is_said(void **state)
{
	struct world *w = *state;
	const struct km_rig_facts *f;

	must_open(w, FAKES "vegeta.sh", "", "");
	f = km_rig_facts(w->rig);
	assert_string_equal(f->target, "nginx/fake");
	assert_string_equal(f->generator, "vegeta v0-fake");
	assert_string_equal(f->groups, "no control groups: CPU affinity only");
	assert_non_null(strstr(w->said, "no control groups: CPU affinity only ("));
	assert_string_equal(km_rig_group(w->rig, 0), "");
	assert_int_equal(km_rig_tier(w->rig), KM_TIER_OS);
}

static void a_load_is_measured_from_all_sides(void **state)
{
	const struct km_load_spec spec = { .rps = 50.5, .duration_ns = SHORT, .warm_up_ns = SHORT };
	struct world *w = *state;
	struct km_load_result r;
	struct km_rig_usage usage;
	struct km_rig_kpi kpi;
	struct km_err err = { .code = 0 };
	struct km_stress_result stress;
	char attacks[PATH_MAX];
	struct km_buf text;
	size_t count;

	(void)snprintf(attacks, sizeof(attacks), "%s/attacks", w->t.root);
	(void)setenv("KM_FAKE_ATTACKS", attacks, 1); /* NOLINT(concurrency-mt-unsafe) */
	must_open(w, FAKES "vegeta.sh", "", "");
	assert_int_equal(km_rig_stress_start(w->rig, 1, KM_STRESS_CPU, 20, &err), 0);
	start_target(w, 2);
	assert_int_equal(km_rig_record_begin(w->rig, &err), 0);
	if (km_rig_load(w->rig, &spec, &r, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(km_rig_wait(w->rig, 110 * KM_NS_PER_MS, &err), 0);
	km_buf_init(&text);
	assert_int_equal(km_rig_record_end(w->rig, &text, &usage, &err), 0);
	assert_non_null(strstr(km_buf_cstr(&text), "busy_ns"));
	assert_true(usage.seconds > 0.1 && usage.own_cpus > 0 && usage.foreign_cpus >= 0);
	assert_true(usage.target_utilisation >= 0 && usage.target_utilisation <= 1);
	assert_string_equal(r.generator, "vegeta");
	assert_string_equal(r.version, "v0-fake");
	assert_true(r.p99_ms == 4 && r.requests == 8 && r.errors == 0 && r.offered_rps == 50.5);
	km_rig_kpi(w->rig, &kpi);
	/* the fake sent none: that is what the service's own count is for */
	assert_true(kpi.served == 0 && kpi.difference == -1);
	assert_true(isnan(kpi.prometheus_p99_ms));
	/* the warm-up, and the load */
	km_buf_clear(&text);
	assert_int_equal(km_file_read(attacks, 4096, &text, NULL), 0);
	assert_non_null(strstr(km_buf_cstr(&text), "-output /dev/null -rate 50500/1000s -duration "
	                                           "20000000ns -workers 3"));
	assert_non_null(strstr(km_buf_cstr(&text), "/part-0 -rate 50500/1000s"));
	km_buf_fini(&text);
	assert_int_equal(km_rig_stress_stop(w->rig, &stress, 1, &count, &err), 0);
	assert_int_equal(count, 1);
	assert_int_equal(stress.kind, KM_STRESS_CPU);
	assert_true(stress.duty_ratio > 0);
}

/* A server that answers as it is told; what queries mean to a real Prometheus, nobody here tests.
 */
static void prometheus_is_asked(void **state)
{
	static const char vector[] =
		"{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":["
		"{\"metric\":{},\"value\":[1,\"0.0125\"]}]}}";
	static const char nothing[] = "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\","
				      "\"result\":[]}}";
	const struct km_load_spec spec = { .rps = 50, .duration_ns = SHORT };
	struct world *w = *state;
	static struct fake_apiserver server;
	struct km_load_result r;
	struct km_rig_kpi kpi;
	struct km_err err = { .code = 0 };
	char rest[256];

	fake_apiserver_start(&server);
	(void)snprintf(rest, sizeof(rest),
	               "kpi: {prometheus: \"%s/\", p99Query: \"p99{a}\", rpsQuery: \"rps\"}\n",
	               server.url);
	fake_apiserver_fault(&server,
	                     &(struct fake_fault){ .match = "GET /api/v1/query?query=p99%7Ba%7D",
	                                           .status = 200,
	                                           .body = vector });
	fake_apiserver_fault(&server, &(struct fake_fault){ .match = "GET /api/v1/query?query=rps",
	                                                    .status = 200,
	                                                    .body = nothing });
	must_open(w, FAKES "vegeta.sh", "", rest);
	start_target(w, 1);
	if (km_rig_load(w->rig, &spec, &r, &err) != 0)
		fail_msg("%s", err.text);
	km_rig_kpi(w->rig, &kpi);
	assert_true(kpi.prometheus_p99_ms == 12.5);
	assert_true(isnan(kpi.prometheus_rps));
	assert_non_null(strstr(w->said, "kpi.rpsQuery: saw nothing, want one number"));
	fake_apiserver_stop(&server);
}

static void a_profile_is_one_attack_after_the_other(void **state)
{
	const struct km_load_spec spec = { .rps = 100, .duration_ns = SHORT };
	struct world *w = *state;
	struct km_load_result r;
	char attacks[PATH_MAX];
	struct km_err err = { .code = 0 };
	struct km_buf text;

	(void)snprintf(attacks, sizeof(attacks), "%s/attacks", w->t.root);
	(void)setenv("KM_FAKE_ATTACKS", attacks, 1); /* NOLINT(concurrency-mt-unsafe) */
	must_open(w, FAKES "vegeta.sh", ", profile: stepped, steps: [0.5, 2]", "");
	start_target(w, 1);
	if (km_rig_load(w->rig, &spec, &r, &err) != 0)
		fail_msg("%s", err.text);
	km_buf_init(&text);
	assert_int_equal(km_file_read(attacks, 4096, &text, NULL), 0);
	assert_non_null(strstr(km_buf_cstr(&text), "/part-0 -rate 50/1s -duration 10000000ns"));
	assert_non_null(strstr(km_buf_cstr(&text), "/part-1 -rate 200/1s -duration 10000000ns"));
	km_buf_fini(&text);
	/* vegeta's own, over all parts */
	assert_true(r.offered_rps == 50);
}

static void a_generator_that_does_not_work_says_why(void **state)
{
	static const struct {
		const char *program, *text;
		int code;
	} rows[] = {
		{ FAKES "fails.sh", "vegeta: out of luck", EIO },
		{ FAKES "lies.sh", "vegeta: requests", EIO },
		{ FAKES "refused.sh", "5 requests, none answered well: connection refused", EIO },
	};
	const struct km_load_spec spec = { .rps = 50, .duration_ns = SHORT };
	struct world *w = *state;

	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_err err = { .code = 0 };
		struct km_load_result r;

		must_open(w, rows[i].program, "", "");
		start_target(w, 1);
		assert_int_equal(km_rig_load(w->rig, &spec, &r, &err), -rows[i].code);
		if (strstr(err.text, rows[i].text) == NULL)
			fail_msg("%s: %s", rows[i].program, err.text);
		km_rig_close(w->rig);
		w->rig = NULL;
		km_plan_free(w->plan);
		w->plan = NULL;
	}
}

static void a_stop_ends_a_load(void **state)
{
	const struct km_load_spec spec = { .rps = 50, .duration_ns = LONG };
	const uint64_t one = 1;
	struct world *w = *state;
	struct km_load_result r;
	struct km_err err = { .code = 0 };

	must_open(w, FAKES "hangs.sh", "", "");
	start_target(w, 1);
	assert_int_equal(write(w->stop_fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(km_rig_load(w->rig, &spec, &r, &err), -EINTR);
	assert_string_equal(err.text, "interrupted");
	assert_int_equal(km_rig_wait(w->rig, LONG, &err), -EINTR);
}

/* Stopped while it prepares its memory it has nothing to report. */
static void a_stressor_that_was_started_is_at_work(void **state)
{
	struct world *w = *state;
	struct km_stress_result stress = { .seconds = NAN };
	struct km_err err = { .code = 0 };
	size_t count;

	must_open(w, FAKES "vegeta.sh", "", "");
	if (km_rig_stress_start(w->rig, 0, KM_STRESS_L3, 10, &err) != 0 ||
	    km_rig_stress_stop(w->rig, &stress, 1, &count, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(stress.kind, KM_STRESS_L3);
	assert_true(stress.working_set_bytes > 0);
	/* and whoever cannot wait for it does not */
	assert_int_equal(eventfd_write(w->stop_fd, 1), 0);
	assert_int_equal(km_rig_stress_start(w->rig, 0, KM_STRESS_L3, 10, &err), -EINTR);
	assert_int_equal(km_rig_stress_stop(w->rig, NULL, 0, &count, &err), 0);
	assert_int_equal(count, 0);
}

/* In /tmp anybody may make a name like ours. */
static void only_what_is_a_dead_labs_own_is_removed(void **state)
{
	struct world *w = *state;
	char path[PATH_MAX];

	tree_dir(&w->t, RIG_GROUP_PREFIX "4194999-1");
	tree_put(&w->t, RIG_GROUP_PREFIX "4194999-1/targets", "GET\n");
	tree_put(&w->t, RIG_GROUP_PREFIX "4194999-2", "a file\n");
	tree_dir(&w->t, "elsewhere");
	(void)snprintf(path, sizeof(path), "%s/" RIG_GROUP_PREFIX "4194999-3", w->t.root);
	assert_int_equal(symlink("elsewhere", path), 0);
	must_open(w, FAKES "vegeta.sh", "", "");
	assert_int_equal(unlink(path), 0);
	(void)snprintf(path, sizeof(path), "%s/elsewhere", w->t.root);
	assert_int_equal(rmdir(path), 0);
	(void)snprintf(path, sizeof(path), "%s/" RIG_GROUP_PREFIX "4194999-2", w->t.root);
	assert_int_equal(unlink(path), 0);
	(void)snprintf(path, sizeof(path), "%s/" RIG_GROUP_PREFIX "4194999-1", w->t.root);
	assert_int_equal(access(path, F_OK), -1);
}

static void a_dead_stressor_ends_a_wait(void **state)
{
	struct world *w = *state;
	struct km_err err = { .code = 0 };
	size_t count;

	must_open(w, FAKES "vegeta.sh", "", "");
	assert_int_equal(km_rig_stress_start(w->rig, 0, KM_STRESS_CPU, 10, &err), 0);
	km_child_signal(w->rig->watched[0].child, SIGKILL);
	assert_int_equal(km_rig_wait(w->rig, LONG, &err), -ECHILD);
	assert_string_equal(err.text, "stressor cpu at 10 % on node-a has ended: died of signal 9");
	assert_int_equal(km_rig_stress_stop(w->rig, NULL, 0, &count, &err), -ECHILD);
	/* and then the rig is as new */
	assert_int_equal(km_rig_stress_start(w->rig, 0, KM_STRESS_CPU, 10, &err), 0);
	km_rig_reset(w->rig);
	assert_int_equal(km_rig_wait(w->rig, SHORT, &err), 0);
}

static void a_target_that_does_not_serve_is_refused(void **state)
{
	static const size_t node = 0;
	struct world *w = *state;
	struct km_err err = { .code = 0 };

	(void)setenv("KM_FAKE_NGINX", "dies", 1); /* NOLINT(concurrency-mt-unsafe) */
	must_open(w, FAKES "vegeta.sh", "", "");
	assert_int_equal(km_rig_target_start(w->rig, &node, 1, &err), -ECHILD);
	assert_string_equal(err.text,
	                    "nginx of replica 1 on node-a has ended: fake nginx: out of luck");
	(void)unsetenv("KM_FAKE_NGINX"); /* NOLINT(concurrency-mt-unsafe) */
	start_target(w, 1);
	km_child_signal(w->rig->watched[0].child, SIGKILL);
	assert_int_equal(km_rig_wait(w->rig, LONG, &err), -ECHILD);
	assert_non_null(strstr(err.text, "nginx of replica 1 on node-a has ended"));
	start_target(w, 2);
	assert_int_equal(km_rig_wait(w->rig, SHORT, &err), 0);
}

static void what_is_missing_is_named(void **state)
{
	static const struct {
		const char *generator, *load, *rest, *text;
		int code;
	} rows[] = {
		{ "/no/such/program", "", "", "/no/such/program: No such file", ENOENT },
		{ "no-such-generator", "", "", "no-such-generator is not installed", ENOENT },
		{ FAKES "vegeta.sh", ", cpus: \"1000\"", "",
		  "load.cpus: CPU 1000 is not there or not allowed", ERANGE },
	};
	struct world *w = *state;

	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_err err = { .code = 0 };

		plan_of(w, rows[i].generator, rows[i].load, rows[i].rest);
		assert_int_equal(open_rig(w, &err), -rows[i].code);
		if (strstr(err.text, rows[i].text) == NULL)
			fail_msg("row %zu: %s", i, err.text);
		assert_null(w->rig);
		assert_false(holds_anything(w->t.root));
		km_plan_free(w->plan);
		w->plan = NULL;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_works_otherwise_is_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_load_is_measured_from_all_sides, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(prometheus_is_asked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_profile_is_one_attack_after_the_other, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(a_generator_that_does_not_work_says_why, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(a_stop_ends_a_load, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stressor_that_was_started_is_at_work, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(only_what_is_a_dead_labs_own_is_removed, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(a_dead_stressor_ends_a_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_target_that_does_not_serve_is_refused, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(what_is_missing_is_named, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("rig: local", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's life on the outside: ready line, signals, reloads, exit codes. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"

#include "support/daemon.h"
#include "support/tree.h"

#define TEST_MODEL "tests/fixtures/model/test.ubj"

static const char two_nodes[] = "nodes: [{name: a, cpus: 0-1}, {name: b, cpus: 2-3}]\n"
				"model: {path: \"\"}\n";
static const char ask_ab[] = "{\"Pod\":{\"metadata\":{\"name\":\"p\"}},\"Nodes\":null,"
			     "\"NodeNames\":[\"a\",\"b\"]}";

static void start_with(struct daemon *d, const char *config)
{
	daemon_write(d, "kubemarla.yaml", config);
	if (!daemon_start(d))
		fail_msg("not ready:\n%s", d->text);
}

/* Asks for `path` and wants this status. */
static void want_status(struct daemon *d, const char *path, int status)
{
	struct answer a;

	daemon_request(d, "GET", path, NULL, &a);
	if (a.status != status)
		fail_msg("GET %s: %d, want %d\n%s\n%s", path, a.status, status,
		         a.head != NULL ? a.head : "", d->text);
	answer_fini(&a);
}

static void want_metric(struct daemon *d, const char *line)
{
	struct answer a;

	daemon_request(d, "GET", "/metrics", NULL, &a);
	assert_int_equal(a.status, 200);
	if (strstr(a.body, line) == NULL)
		fail_msg("no \"%s\" in\n%s", line, a.body);
	answer_fini(&a);
}

static void serves_neutrally_without_model_and_data(void **state)
{
	struct daemon *d = *state;
	struct answer a;

	start_with(d, two_nodes);
	want_status(d, "/healthz", 200);
	daemon_request(d, "POST", "/prioritize", ask_ab, &a);
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.body, "\"Host\":\"a\""));
	assert_non_null(strstr(a.body, "\"Host\":\"b\""));
	answer_fini(&a);
	want_metric(d, "kubemarla_build_info{");
	want_metric(d, "kubemarla_start_time_seconds ");
}

static void the_ready_line_names_the_roles(void **state)
{
	static const struct {
		const char *config, *want;
	} rows[] = {
		{ "", " roles=agent+extender+controller " },
		{ "roles: [extender]\n", " roles=extender " },
		{ "roles: [controller, agent]\n", " roles=agent+controller " },
	};
	struct daemon *d = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char config[256];

		(void)snprintf(config, sizeof(config), "%s%s", rows[i].config, two_nodes);
		start_with(d, config);
		if (!daemon_wait_log(d, 0, rows[i].want))
			fail_msg("no \"%s\" in\n%s", rows[i].want, d->text);
		daemon_signal(d, SIGTERM);
		assert_int_equal(daemon_exit_code(d), 0);
	}
}

static void sigterm_and_sigint_stop_with_exit_code_0(void **state)
{
	struct daemon *d = *state;
	static const int signals[] = { SIGTERM, SIGINT };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		start_with(d, two_nodes);
		daemon_signal(d, signals[i]);
		assert_int_equal(daemon_exit_code(d), 0);
		assert_non_null(strstr(d->text, "info app stopped\n"));
		assert_true(daemon_connect(d) < 0);
	}
}

/* A request that never ends holds the drain; the second signal does not wait for it. */
static void a_second_signal_ends_at_once(void **state)
{
	/* the interim answer says that the request is in progress */
	static const char half[] = "POST /filter HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n"
				   "Expect: 100-continue\r\n\r\n";
	struct daemon *d = *state;
	char interim[64];
	int fd;

	start_with(d, two_nodes);
	fd = daemon_connect(d);
	assert_true(fd >= 0);
	assert_int_equal(send(fd, half, sizeof(half) - 1, MSG_NOSIGNAL), sizeof(half) - 1);
	assert_true(recv(fd, interim, sizeof(interim), 0) > 0);
	assert_memory_equal(interim, "HTTP/1.1 100", 12);
	daemon_signal(d, SIGTERM);
	assert_true(daemon_wait_log(d, 0, "stopping signal=SIGTERM"));
	daemon_signal(d, SIGTERM);
	assert_int_equal(daemon_exit_code(d), 1);
	close(fd);
}

static void a_bad_configuration_is_exit_code_2_and_one_line(void **state)
{
	struct daemon *d = *state;

	daemon_write(d, "kubemarla.yaml", "limits:\n  conections: 5\n");
	assert_false(daemon_start(d));
	assert_int_equal(daemon_exit_code(d), 2);
	assert_non_null(strstr(d->text, "kubemarla.yaml:2: limits.conections: no such key, did you "
	                                "mean limits.connections?\n"));
}

static void a_taken_address_is_exit_code_1(void **state)
{
	struct daemon *d = *state;
	struct daemon other;
	char config[128];

	start_with(d, two_nodes);
	daemon_init(&other);
	(void)snprintf(config, sizeof(config), "observe: {address: 127.0.0.1, port: %d}\n",
	               d->port);
	daemon_write(&other, "kubemarla.yaml", config);
	assert_false(daemon_start(&other));
	assert_int_equal(daemon_exit_code(&other), 1);
	assert_non_null(strstr(other.text, "error app failed error="));
	daemon_fini(&other);
}

static void a_refused_reload_keeps_the_old_settings(void **state)
{
	struct daemon *d = *state;

	start_with(d, two_nodes);
	daemon_write(d, "kubemarla.yaml", "nodes: [{name: c}\n");
	daemon_signal(d, SIGHUP);
	assert_true(daemon_wait_log(d, 0, "reload refused error=\""));
	want_metric(d, "kubemarla_reloads_total{result=\"refused\"} 1\n");
	want_metric(d, "kubemarla_reloads_total{result=\"applied\"} 0\n");
	daemon_signal(d, SIGTERM);
	assert_int_equal(daemon_exit_code(d), 0);
}

static void a_reload_changes_nodes_and_names_what_it_cannot(void **state)
{
	struct daemon *d = *state;
	struct answer a;

	start_with(d, two_nodes);
	daemon_write(d, "kubemarla.yaml",
	             "nodes: [{name: c}]\nmodel: {path: \"\"}\nlimits: {connections: 7}\n");
	daemon_signal(d, SIGHUP);
	assert_true(daemon_wait_log(d, 0, "reload applied nodes=1 sampling=restarted"));
	assert_non_null(strstr(d->text, "keys=\"limits.connections\""));
	daemon_request(d, "GET", "/v1/nodes", NULL, &a);
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.body, "\"c\""));
	assert_null(strstr(a.body, "\"a\""));
	answer_fini(&a);
	want_metric(d, "kubemarla_reloads_total{result=\"applied\"} 1\n");
}

static void an_unchanged_reload_keeps_sampling(void **state)
{
	struct daemon *d = *state;
	size_t from = 0;

	start_with(d, two_nodes);
	for (int i = 0; i < 5; i++) {
		from = d->len;
		daemon_signal(d, SIGHUP);
		assert_true(daemon_wait_log(d, from, "reload applied nodes=2 sampling=kept\n"));
	}
	daemon_signal(d, SIGTERM);
	assert_int_equal(daemon_exit_code(d), 0);
}

/* The number behind "Max open files" in /proc/PID/limits: what it may open now. */
static long files_allowed(const struct daemon *d)
{
	char path[64];
	char line[256];
	long allowed = -1;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/limits", (int)d->pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "Max open files", 14) == 0)
			allowed = strtol(line + 14, NULL, 10);
	}
	(void)fclose(f);
	return allowed;
}

static void it_takes_the_descriptors_it_needs(void **state)
{
	struct daemon *d = *state;
	struct rlimit before;
	struct rlimit low;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = (struct rlimit){ .rlim_cur = 128, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	start_with(d, "limits: {connections: 700}\nmodel: {path: \"\"}\n");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(files_allowed(d) > 700 || (rlim_t)files_allowed(d) == before.rlim_max);
}

/* Where more cannot be had that is told, and it serves. */
static void too_few_descriptors_are_told(void **state)
{
	struct daemon *d = *state;
	struct answer a;

	d->files = 128;
	start_with(d, two_nodes);
	assert_int_equal(files_allowed(d), 128);
	assert_true(daemon_wait_log(
		d, 0, "too few descriptors for limits.connections have=128 want=576\n"));
	daemon_request(d, "POST", "/filter", ask_ab, &a);
	assert_int_equal(a.status, 200);
	answer_fini(&a);
}

static void copy_model(const struct daemon *d, size_t cut)
{
	char path[sizeof(d->dir) + 16];
	struct km_err err = { .code = 0 };
	struct km_buf bytes;

	km_buf_init(&bytes);
	if (km_file_read(TEST_MODEL, 64 << 20, &bytes, &err) != 0)
		fail_msg("%s", err.text);
	(void)snprintf(path, sizeof(path), "%s/model.ubj", d->dir);
	assert_int_equal(km_file_write_atomic(path, bytes.data, bytes.len - cut, &err), 0);
	km_buf_fini(&bytes);
}

static void a_bad_model_is_refused_and_the_old_one_serves(void **state)
{
	struct daemon *d = *state;
	char config[256];
	size_t from;

	(void)snprintf(config, sizeof(config), "nodes: [{name: a}]\nmodel: {path: %s/model.ubj}\n",
	               d->dir);
	start_with(d, config);
	assert_true(daemon_wait_log(d, 0, "model absent path="));
	/* No signal needed: the file is looked after. */
	copy_model(d, 0);
	assert_true(daemon_wait_log(d, 0, "model loaded name="));
	want_status(d, "/v1/model", 200);
	from = d->len;
	copy_model(d, 100);
	assert_true(daemon_wait_log(d, from, "model refused error=\""));
	assert_non_null(strstr(d->text + from, "serving=\"the old model\""));
	want_status(d, "/v1/model", 200);
	/* And SIGHUP says it again, but applies the rest. */
	from = d->len;
	daemon_signal(d, SIGHUP);
	assert_true(daemon_wait_log(d, from, "reload applied"));
	assert_non_null(strstr(d->text + from, "model refused error=\""));
}

/* As PCM's server started after us, or a mount: auto takes what two looks in a row have found. */
static void auto_takes_a_source_that_works_by_now(void **state)
{
	struct daemon *d = *state;
	struct tree t;
	char config[512];

	tree_init(&t);
	(void)snprintf(config, sizeof(config),
	               "collect:\n"
	               "  interval: 100ms\n"
	               "  probeInterval: 1s\n"
	               "  pcmServer: {url: \"\"}\n"
	               "  roots: {resctrl: %s/resctrl}\n"
	               "model: {path: \"\"}\n",
	               t.root);
	start_with(d, config);
	assert_true(daemon_wait_log(d, 0, "preflight source=resctrl absent"));
	tree_put(&t, "resctrl/mon_data/mon_L3_00/llc_occupancy", "4096\n");
	assert_true(daemon_wait_log(d, 0, "a better set of sources works by now source=resctrl"));
	assert_true(daemon_wait_log(d, 0, "preflight source=resctrl taken"));
	assert_true(daemon_wait_log(d, 0, "sampling restarted with the sources that work by now"));
	want_status(d, "/readyz", 200);
	daemon_signal(d, SIGTERM);
	assert_int_equal(daemon_exit_code(d), 0);
	tree_fini(&t);
}

int main(void)
{
#define LIFE(test) cmocka_unit_test_setup_teardown(test, daemon_set_up, daemon_tear_down)
	const struct CMUnitTest tests[] = {
		LIFE(serves_neutrally_without_model_and_data),
		LIFE(the_ready_line_names_the_roles),
		LIFE(sigterm_and_sigint_stop_with_exit_code_0),
		LIFE(a_second_signal_ends_at_once),
		LIFE(a_bad_configuration_is_exit_code_2_and_one_line),
		LIFE(a_taken_address_is_exit_code_1),
		LIFE(a_refused_reload_keeps_the_old_settings),
		LIFE(a_reload_changes_nodes_and_names_what_it_cannot),
		LIFE(an_unchanged_reload_keeps_sampling),
		LIFE(auto_takes_a_source_that_works_by_now),
		LIFE(it_takes_the_descriptors_it_needs),
		LIFE(too_few_descriptors_are_told),
		LIFE(a_bad_model_is_refused_and_the_old_one_serves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

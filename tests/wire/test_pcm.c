/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon and its libpcm helper, both for real, over a fake libpcm: whatever that does, the
 * daemon serves, says why, and ends when told to.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support/daemon.h"
#include "support/tree.h"

static const char pod[] = "{\"Pod\":{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"}},"
			  "\"Nodes\":null,\"NodeNames\":[\"a\",\"b\"]}";

struct world {
	struct daemon d;
	struct tree t;
};

/* Their own handlers would turn a crash into an exit code. */
static void sanitizers_leave_crashes_alone(void)
{
	static const char *const names[] = { "ASAN_OPTIONS", "TSAN_OPTIONS" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *old = getenv(names[i]);
		char options[1024];

		(void)snprintf(options, sizeof(options), "%s handle_segv=0 handle_abort=0",
		               old != NULL ? old : "");
		(void)setenv(names[i], options, 1);
	}
}

static void world_init(struct world *w, const char *isolation)
{
	const char *build = getenv("KM_BUILD");
	char library[512];
	char file[256];
	char config[1024];

	(void)snprintf(file, sizeof(file), "%s/tests/libpcm_fake.so",
	               build != NULL ? build : "build");
	(void)snprintf(library, sizeof(library), "%s", file);
	if (file[0] != '/') {
		char *cwd = get_current_dir_name();

		(void)snprintf(library, sizeof(library), "%.200s/%s", cwd, file);
		free(cwd);
	}
	tree_init(&w->t);
	tree_put(&w->t, "sys/devices/system/cpu/present", "0-1\n");
	tree_put(&w->t, "sys/devices/system/cpu/online", "0-1\n");
	tree_put(&w->t, "proc/sys/kernel/nmi_watchdog", "1\n");
	(void)snprintf(config, sizeof(config),
	               "kubernetes: {enabled: off}\n"
	               "nodes: [{name: a, cpus: \"0\"}, {name: b, cpus: \"1\"}]\n"
	               "collect:\n"
	               "  interval: 100ms\n"
	               "  sources: [pcm]\n"
	               "  pcm: {library: \"%s\", isolation: %s}\n"
	               "  roots: {procfs: %s/proc, sysfs: %s/sys}\n",
	               library, isolation, w->t.root, w->t.root);
	(void)setenv("KUBEMARLA_PCM_CPU", "GenuineIntel/6/143", 1);
	daemon_init(&w->d);
	daemon_write(&w->d, "kubemarla.yaml", config);
}

static void start(struct world *w, const char *script)
{
	(void)setenv("LIBPCM_FAKE", script, 1);
	if (!daemon_start(&w->d)) {
		fail_msg("not ready:\n%s", w->d.text);
	}
}

static void world_fini(struct world *w)
{
	daemon_fini(&w->d);
	tree_fini(&w->t);
}

/* The value of a series of /metrics, 0 while it is not there. */
static double metric(struct world *w, const char *series)
{
	struct answer a;
	double value = 0;
	char *at;

	daemon_request(&w->d, "GET", "/metrics", NULL, &a);
	assert_int_equal(a.status, 200);
	at = strstr(a.body, series);
	if (at != NULL) {
		value = strtod(at + strlen(series), NULL);
	}
	answer_fini(&a);
	return value;
}

/* Asks again and again: an answer is all there is to wait for. */
static void until_metric(struct world *w, const char *series, double least)
{
	time_t deadline = time(NULL) + DAEMON_WAIT_MS / 1000;

	while (metric(w, series) < least) {
		if (time(NULL) > deadline) {
			fail_msg("no %s of %g; the log:\n%s", series, least, w->d.text);
		}
	}
}

static void want_service(struct world *w)
{
	struct answer a;

	daemon_request(&w->d, "GET", "/healthz", NULL, &a);
	assert_int_equal(a.status, 200);
	answer_fini(&a);
	daemon_request(&w->d, "POST", "/prioritize", pod, &a);
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.body, "\"a\""));
	answer_fini(&a);
}

static void want_end(struct world *w)
{
	daemon_signal(&w->d, SIGTERM);
	assert_int_equal(daemon_exit_code(&w->d), 0);
}

static void what_libpcm_counts_arrives(void **state)
{
	static const char *const isolations[] = { "process", "thread" };
	struct world w;

	(void)state;
	/* for the thread: who starts the daemon sets what libpcm must find */
	(void)setenv("PCM_NO_MSR", "1", 1);
	(void)setenv("PCM_USE_UNCORE_PERF", "1", 1);
	(void)setenv("PCM_KEEP_NMI_WATCHDOG", "1", 1);
	(void)setenv("PCM_NO_RDT", "1", 1);
	for (size_t i = 0; i < sizeof(isolations) / sizeof(isolations[0]); i++) {
		world_init(&w, isolations[i]);
		/* in a thread it prints where the daemon does, before the ready line if it can */
		start(&w, "quiet");
		until_metric(&w, "kubemarla_agent_samples_total{source=\"pcm\"} ", 5);
		want_service(&w);
		want_end(&w);
		world_fini(&w);
	}
}

static void a_libpcm_that_fails_is_told_and_the_daemon_serves(void **state)
{
	static const struct {
		const char *script, *reason;
	} rows[] = {
		{ "init=-1", "pcm_c_init says -1, wanted 0; libpcm: ERROR: fake vPMU" },
		{ "zeros", "silent zeros" },
		{ "badevent", "libpcm refuses event 0" },
		{ "abort", "kubemarla-pcm died of SIGABRT while starting" },
		{ "segv=2", "kubemarla-pcm died of SIGSEGV while reading" },
	};
	struct world w;

	(void)state;
	world_init(&w, "process");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start(&w, rows[i].script);
		assert_true(daemon_wait_log(&w.d, 0, "source absent kind=pcm reason=\""));
		assert_non_null(strstr(w.d.text, rows[i].reason));
		want_service(&w);
		want_end(&w);
	}
	world_fini(&w);
}

static void a_libpcm_that_hangs_or_prints_does_not_hold_up_the_daemon(void **state)
{
	static const struct {
		const char *script, *series;
		double least;
	} rows[] = {
		{ "hang=3",
		  "kubemarla_agent_source_faults_total{source=\"pcm\",reason=\"timeout\"} ", 1 },
		{ "hang", "kubemarla_agent_tick_seconds_count ", 20 },
		{ "burst=300000", "kubemarla_agent_samples_total{source=\"pcm\"} ", 5 },
	};
	struct world w;

	(void)state;
	world_init(&w, "process");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start(&w, rows[i].script);
		until_metric(&w, rows[i].series, rows[i].least);
		want_service(&w);
		want_end(&w);
	}
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_libpcm_counts_arrives),
		cmocka_unit_test(a_libpcm_that_fails_is_told_and_the_daemon_serves),
		cmocka_unit_test(a_libpcm_that_hangs_or_prints_does_not_hold_up_the_daemon),
	};

	sanitizers_leave_crashes_alone();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

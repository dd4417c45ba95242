/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source "pcm" when things go wrong: libpcm in the real helper that crashes, hangs, prints and
 * lies, and helpers that are no good themselves. Nothing may be late, and every reason is told.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/pcm_world.h"

static void a_libpcm_that_cannot_work_is_absent_at_once(void **state)
{
	static const struct {
		const char *script, *want;
		int code;
	} rows[] = {
		{ "init=-1", "pcm_c_init says -1, wanted 0; libpcm: ERROR: fake vPMU", -EACCES },
		{ "badevent", "libpcm refuses event 0", -EINVAL },
		{ "zeros", "silent zeros", -ENODATA },
	};
	struct km_source_stats stats;
	struct pcm_world w;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		pcm_world_init(&w, 2, rows[i].script, NULL);
		assert_int_equal(pcm_world_open(&w), 0);
		pcm_world_until_absent(&w);
		assert_int_equal(w.state, rows[i].code);
		assert_non_null(strstr(w.err.text, rows[i].want));
		pcm_world_stats(&w, &stats);
		assert_int_equal(stats.fault[KM_FAULT_RESTARTED], 0);
		/* the samples of a libpcm that counts nothing have nothing in them */
		assert_true(w.samples == 0 || isnan(pcm_world_count(&w, 0, KM_COUNT_CYCLES)));
		assert_int_equal(pcm_world_helper(&w)->pid, 0);
		pcm_world_fini(&w);
	}
}

static void a_helper_that_keeps_dying_is_restarted_and_then_absent(void **state)
{
	static const struct {
		const char *script, *helper, *want;
		unsigned samples; /* in each of its lives */
	} rows[] = {
		{ "abort", NULL, "kubemarla-pcm died of SIGABRT while starting", 0 },
		{ "segv=1", NULL, "kubemarla-pcm died of SIGSEGV while reading", 0 },
		{ "segv=4", NULL, "kubemarla-pcm died of SIGSEGV while reading", 2 },
		{ "", "die", "kubemarla-pcm ended with code 3 while starting", 0 },
		{ "", "quit", "kubemarla-pcm ended with code 4 while reading", 0 },
	};
	struct km_source_stats stats;
	struct pcm_world w;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		pcm_world_init(&w, 2, rows[i].script, rows[i].helper);
		assert_int_equal(pcm_world_open(&w), 0);
		pcm_world_until_absent(&w);
		assert_int_equal(w.state, -ECHILD);
		assert_string_equal(w.err.text, rows[i].want);
		pcm_world_stats(&w, &stats);
		assert_int_equal(stats.fault[KM_FAULT_RESTARTED], PCM_FAILURES_MAX - 1);
		assert_int_equal(w.samples, PCM_FAILURES_MAX * rows[i].samples);
		assert_non_null(strstr(stats.note, rows[i].want));
		pcm_world_fini(&w);
	}
}

/* A restart waits, longer each time. */
static void restarts_back_off(void **state)
{
	struct pcm_world w;
	int64_t died_ns;

	(void)state;
	pcm_world_init(&w, 2, "", "die");
	assert_int_equal(pcm_world_open(&w), 0);
	for (unsigned n = 0; n < PCM_FAILURES_MAX - 1; n++) {
		const struct pcm_helper *h = pcm_world_helper(&w);

		while (h->pid != 0) {
			pcm_world_step(&w);
		}
		died_ns = km_clock_mono_ns(km_clock_system()) + w.ahead_ns;
		assert_true(h->retry_ns <= died_ns + (PCM_BACKOFF_NS << n));
		assert_true(h->retry_ns > died_ns + (PCM_BACKOFF_NS << n) / 2);
		assert_int_equal(pcm_world_read(&w), KM_SOURCE_STARTING);
		assert_int_equal(h->pid, 0);
		pcm_world_step(&w);
		assert_int_not_equal(h->pid, 0);
	}
	pcm_world_fini(&w);
}

static void what_happened_long_ago_does_not_count(void **state)
{
	struct pcm_world w;

	(void)state;
	pcm_world_init(&w, 2, "", NULL);
	assert_int_equal(pcm_world_open(&w), 0);
	for (unsigned n = 0; n < 2 * PCM_FAILURES_MAX; n++) {
		unsigned samples = w.samples;

		pcm_world_until_samples(&w, samples + 2);
		w.ahead_ns += PCM_STEADY_NS;
		/* time has jumped: a reading that was on its way is in time all the same */
		pcm_world_helper(&w)->deadline_ns += PCM_STEADY_NS;
		pcm_world_until_samples(&w, samples + 4);
		assert_int_equal(kill(pcm_world_helper(&w)->pid, SIGKILL), 0);
		while (pcm_world_helper(&w)->pid != 0) {
			assert_true(w.state >= 0);
			pcm_world_step(&w);
		}
		assert_int_equal(pcm_world_helper(&w)->failures, 1);
	}
	pcm_world_fini(&w);
}

static void a_hang_is_a_fault_and_a_restart(void **state)
{
	static const struct {
		const char *script, *helper, *want;
		int64_t patience_ns;
		unsigned samples;
	} rows[] = {
		{ "hang", NULL, "libpcm not ready", PCM_START_MAX_NS, 0 },
		{ "hang=4", NULL, "no good reading", PCM_ANSWER_MIN_NS, 2 },
		{ "", "mute", "libpcm not ready", PCM_START_MAX_NS, 0 },
		{ "", "deaf", "no good reading", PCM_ANSWER_MIN_NS, 0 },
		{ "", "half", "no good reading", PCM_ANSWER_MIN_NS, 0 },
	};
	struct km_source_stats stats;
	struct pcm_world w;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		const struct pcm_helper *h;

		pcm_world_init(&w, 2, rows[i].script, rows[i].helper);
		assert_int_equal(pcm_world_open(&w), 0);
		h = pcm_world_helper(&w);
		pcm_world_until_samples(&w, rows[i].samples);
		while (rows[i].patience_ns == PCM_ANSWER_MIN_NS && !h->asked) {
			pcm_world_step(&w);
		}
		assert_int_equal(pcm_world_read(&w),
		                 rows[i].samples > 0 ? KM_SOURCE_LIVE : KM_SOURCE_STARTING);
		w.ahead_ns += rows[i].patience_ns;
		assert_true(pcm_world_read(&w) >= 0);
		pcm_world_stats(&w, &stats);
		assert_int_equal(stats.fault[KM_FAULT_TIMEOUT], 1);
		while (h->pid != 0) {
			pcm_world_step(&w);
		}
		assert_non_null(strstr(h->why, rows[i].want));
		pcm_world_step(&w); /* over the back-off */
		assert_int_not_equal(h->pid, 0);
		pcm_world_stats(&w, &stats);
		assert_int_equal(stats.fault[KM_FAULT_RESTARTED], 1);
		pcm_world_fini(&w);
	}
}

/* Runs `step` with descriptor 2 in a file, which the helper inherits. returns lines with `text`. */
static unsigned lines_on_stderr(void (*step)(struct pcm_world *), struct pcm_world *w,
                                const char *text)
{
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	char line[2048];
	unsigned lines = 0;

	assert_non_null(file);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	step(w);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		lines += strstr(line, text) != NULL;
	}
	(void)fclose(file);
	return lines;
}

static void sample_five(struct pcm_world *w)
{
	assert_int_equal(pcm_world_open(w), 0);
	pcm_world_until_samples(w, 5);
	pcm_world_close(w);
}

static void a_burst_of_output_is_read_and_hardly_logged(void **state)
{
	struct pcm_world w;
	unsigned lines;

	(void)state;
	/* 16 times what a pipe holds, at every call */
	pcm_world_init(&w, 2, "burst=1048576", NULL);
	lines = lines_on_stderr(sample_five, &w, "info pcm libpcm says");
	assert_true(lines >= 16);
	assert_true(lines <= 16 + PCM_WORLD_WAIT_MS / 10000);
	pcm_world_fini(&w);
}

static void a_slow_start_is_waited_for(void **state)
{
	struct pcm_world w;
	char script[128];
	char fifo[96];

	(void)state;
	pcm_world_init(&w, 2, "", NULL);
	(void)snprintf(fifo, sizeof(fifo), "%s/go", w.tree.root);
	(void)snprintf(script, sizeof(script), "fifo=%s", fifo);
	(void)setenv("LIBPCM_FAKE", script, 1);
	assert_int_equal(mkfifo(fifo, 0666), 0);
	assert_int_equal(pcm_world_open(&w), 0);
	pcm_world_step(&w); /* it says that it loads */
	for (int i = 0; i < 100; i++) {
		assert_int_equal(pcm_world_read(&w), KM_SOURCE_STARTING);
		w.ahead_ns += PCM_START_MAX_NS / 200;
	}
	close(open(fifo, O_WRONLY)); /* waits until libpcm waits */
	pcm_world_until_samples(&w, 1);
	assert_int_equal(w.state, KM_SOURCE_LIVE);
	pcm_world_fini(&w);
}

static void garbled_frames_cost_no_more_than_themselves(void **state)
{
	static const struct {
		const char *helper;
		unsigned cpus;
	} rows[] = { { "garbage", 2 }, { "cut", 70 }, { "unasked", 2 } };
	struct km_source_stats stats;
	struct pcm_world w;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		pcm_world_init(&w, 2, "", rows[i].helper);
		assert_int_equal(pcm_world_open(&w), 0);
		pcm_world_until_samples(&w, 3);
		assert_int_equal(w.last.cpu_count, rows[i].cpus);
		/* counts since the last good one: IPC is right whatever was lost */
		assert_true(pcm_world_count(&w, 1, KM_COUNT_INSTRUCTIONS) ==
		            2 * pcm_world_count(&w, 1, KM_COUNT_CYCLES));
		pcm_world_stats(&w, &stats);
		while (stats.fault[KM_FAULT_GARBLED] == 0) {
			pcm_world_step(&w);
			pcm_world_stats(&w, &stats);
		}
		assert_int_equal(stats.fault[KM_FAULT_RESTARTED], 0);
		pcm_world_fini(&w);
	}
}

static void a_flood_is_stopped(void **state)
{
	static const char *const helpers[] = { "flood", "endless" };
	struct km_source_stats stats;
	struct pcm_world w;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(helpers); i++) {
		const struct pcm_helper *h;

		pcm_world_init(&w, 2, "", helpers[i]);
		assert_int_equal(pcm_world_open(&w), 0);
		h = pcm_world_helper(&w);
		/* or it is caught for not being ready: only the pipe's speed decides */
		while (h->phase != PCM_DYING && h->failures == 0) {
			pcm_world_step(&w);
			w.ahead_ns += KM_NS_PER_S;
		}
		pcm_world_stats(&w, &stats);
		assert_true(stats.fault[KM_FAULT_GARBLED] > 0);
		pcm_world_fini(&w);
	}
}

static void frames_of_another_version_are_refused_for_good(void **state)
{
	struct pcm_world w;

	(void)state;
	pcm_world_init(&w, 2, "", "version");
	assert_int_equal(pcm_world_open(&w), 0);
	pcm_world_until_absent(&w);
	assert_int_equal(w.state, -EPROTO);
	assert_non_null(strstr(w.err.text, "version 2, wanted 1"));
	pcm_world_fini(&w);
}

static void readings_from_the_future_are_none(void **state)
{
	struct km_source_stats stats;
	struct pcm_world w;

	(void)state;
	pcm_world_init(&w, 2, "", "future");
	assert_int_equal(pcm_world_open(&w), 0);
	do {
		pcm_world_step(&w);
		pcm_world_stats(&w, &stats);
	} while (stats.fault[KM_FAULT_GARBLED] < 3);
	assert_int_equal(w.samples, 0);
	assert_string_equal(stats.last_bad, "a reading from another time");
	pcm_world_fini(&w);
}

/* The first line of /proc/PID/... that begins with `name`, into line. */
static void proc_line(const char *path, const char *name, char line[static 256])
{
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	do {
		if (fgets(line, 256, file) == NULL) {
			fail_msg("%s has no %s", path, name);
		}
	} while (strncmp(line, name, strlen(name)) != 0);
	(void)fclose(file);
}

static void limits_and_watchdog_are_as_before(void **state)
{
	struct pcm_world w;
	char script[160];
	char path[128];
	char ours[256];
	char its[256];

	(void)state;
	pcm_world_init(&w, 2, "", NULL);
	(void)snprintf(path, sizeof(path), "%s/proc/sys/kernel/nmi_watchdog", w.tree.root);
	(void)snprintf(script, sizeof(script), "nofile,watchdog=%s", path);
	(void)setenv("LIBPCM_FAKE", script, 1);
	assert_int_equal(pcm_world_open(&w), 0);
	pcm_world_until_samples(&w, 1);
	proc_line(path, "", its);
	assert_string_equal(its, "1\n");
	(void)snprintf(path, sizeof(path), "/proc/%d/limits", (int)pcm_world_helper(&w)->pid);
	proc_line(path, "Max open files", its);
	proc_line("/proc/self/limits", "Max open files", ours);
	assert_string_equal(its, ours);
	pcm_world_fini(&w);
}

/* Threads of the helper, and how many of them have a right or could have one again. */
static unsigned count_threads(const struct pcm_world *w, unsigned *with_rights)
{
	char path[128];
	char line[256];
	unsigned threads = 0;
	struct dirent *entry;
	DIR *tasks;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pcm_world_helper(w)->pid);
	tasks = opendir(path);
	assert_non_null(tasks);
	*with_rights = 0;
	while ((entry = readdir(tasks)) != NULL) {
		if (entry->d_name[0] == '.') {
			continue;
		}
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%.20s/status",
		               (int)pcm_world_helper(w)->pid, entry->d_name);
		threads++;
		proc_line(path, "CapPrm:", line);
		*with_rights += strcmp(line, "CapPrm:\t0000000000000000\n") != 0;
		proc_line(path, "CapEff:", line);
		*with_rights += strcmp(line, "CapEff:\t0000000000000000\n") != 0;
		proc_line(path, "NoNewPrivs:", line);
		*with_rights += strcmp(line, "NoNewPrivs:\t1\n") != 0;
	}
	(void)closedir(tasks);
	return threads;
}

static void no_thread_of_the_helper_keeps_rights(void **state)
{
	struct pcm_world w;
	char path[128];
	char line[256];
	unsigned with_rights;

	(void)state;
	pcm_world_init(&w, 2, "thread", NULL);
	assert_int_equal(pcm_world_open(&w), 0);
	pcm_world_until_samples(&w, 1);
	assert_true(count_threads(&w, &with_rights) >= 3); /* main, chatter, libpcm's own */
	assert_int_equal(with_rights, 0);
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pcm_world_helper(&w)->pid);
	proc_line(path, "Uid:", line);
	assert_null(strstr(line, "\t0\t"));
	pcm_world_fini(&w);
}

/*
 * Root that may not change its user, as in a container with few capabilities: each thread has to
 * give up its own. Runs in a child, for what is dropped from the bounding set is gone for good.
 */
static void nor_where_the_user_cannot_change(void **state)
{
	int status = 0;
	pid_t child;

	(void)state;
#ifdef __SANITIZE_THREAD__
	skip(); /* its run-time holds signals back while a thread waits */
#endif
	if (geteuid() != 0) {
		skip();
	}
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		unsigned with_rights = 1;
		unsigned threads = 0;
		struct pcm_world w;

		if (prctl(PR_CAPBSET_DROP, CAP_SETUID, 0, 0, 0) == 0) {
			pcm_world_init(&w, 2, "thread", NULL);
			if (pcm_world_open(&w) == 0) {
				pcm_world_until_samples(&w, 1);
				threads = count_threads(&w, &with_rights);
			}
			pcm_world_fini(&w);
		}
		_exit(threads >= 3 && with_rights == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* In a child of the test: opens a source whose libpcm hangs, tells the helper's pid, and dies. */
static void orphan_a_helper(int tell)
{
	struct pcm_world w;
	pid_t pid;

	pcm_world_init(&w, 2, "hang=1", NULL);
	if (pcm_world_open(&w) != 0) {
		_exit(1);
	}
	while (!pcm_world_helper(&w)->asked) {
		pcm_world_step(&w);
	}
	pid = pcm_world_helper(&w)->pid;
	(void)!write(tell, &pid, sizeof(pid));
	(void)!write(tell, &w.tree, sizeof(w.tree));
	_exit(0);
}

static void a_helper_does_not_outlive_its_daemon(void **state)
{
	struct tree tree;
	int tell[2];
	int status = 0;
	pid_t child;
	pid_t helper;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		orphan_a_helper(tell[1]);
	}
	close(tell[1]);
	assert_int_equal(read(tell[0], &helper, sizeof(helper)), sizeof(helper));
	assert_int_equal(read(tell[0], &tree, sizeof(tree)), sizeof(tree));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	/* ours now; the time limit of the whole test is the deadline */
	assert_int_equal(waitpid(helper, &status, 0), helper);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	tree_fini(&tree);
	close(tell[0]);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_libpcm_that_cannot_work_is_absent_at_once),
		cmocka_unit_test(a_helper_that_keeps_dying_is_restarted_and_then_absent),
		cmocka_unit_test(restarts_back_off),
		cmocka_unit_test(what_happened_long_ago_does_not_count),
		cmocka_unit_test(a_hang_is_a_fault_and_a_restart),
		cmocka_unit_test(a_burst_of_output_is_read_and_hardly_logged),
		cmocka_unit_test(a_slow_start_is_waited_for),
		cmocka_unit_test(garbled_frames_cost_no_more_than_themselves),
		cmocka_unit_test(a_flood_is_stopped),
		cmocka_unit_test(frames_of_another_version_are_refused_for_good),
		cmocka_unit_test(readings_from_the_future_are_none),
		cmocka_unit_test(limits_and_watchdog_are_as_before),
		cmocka_unit_test(no_thread_of_the_helper_keeps_rights),
		cmocka_unit_test(nor_where_the_user_cannot_change),
		cmocka_unit_test(a_helper_does_not_outlive_its_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

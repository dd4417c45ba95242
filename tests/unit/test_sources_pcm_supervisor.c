/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source "pcm" when things go wrong: libpcm in the real helper that crashes, hangs, prints and
 * lies, and helpers that are no good themselves. Nothing may be late, and every reason is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

	(void)state;
	pcm_world_init(&w, 2, "", "die");
	w.frozen_ns = 1000 * KM_NS_PER_S;
	assert_int_equal(pcm_world_open(&w), 0);
	for (unsigned n = 0; n < PCM_FAILURES_MAX - 1; n++) {
		const struct pcm_helper *h = pcm_world_helper(&w);

		while (h->pid != 0) {
			pcm_world_step(&w);
		}
		assert_true(h->retry_ns == pcm_world_now(&w) + (PCM_BACKOFF_NS << n));
		w.frozen_ns = h->retry_ns - 1;
		assert_int_equal(pcm_world_read(&w), KM_SOURCE_STARTING);
		assert_int_equal(h->pid, 0);
		w.frozen_ns++;
		assert_int_equal(pcm_world_read(&w), KM_SOURCE_STARTING);
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
		assert_non_null(strstr(stats.note, rows[i].want)); /* not only once it is gone */
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
	int64_t began_ns;
	unsigned lines;

	(void)state;
	/* 4 times what a pipe holds, at every call */
	pcm_world_init(&w, 2, "burst=262144", NULL);
	began_ns = pcm_world_now(&w);
	lines = lines_on_stderr(sample_five, &w, "info pcm libpcm says");
	assert_true(lines >= 16);
	/* 16, and one in 10 s */
	assert_true(lines <= 17 + (pcm_world_now(&w) - began_ns) / (10 * KM_NS_PER_S));
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
		/* at once when it is fast, after a while when it is slow */
		while (h->phase != PCM_DYING && h->failures == 0) {
			pcm_world_step(&w);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

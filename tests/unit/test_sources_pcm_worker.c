/* SPDX-License-Identifier: Apache-2.0 */
/* The source "pcm" with isolation thread: libpcm, a fake one, in this very process. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
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

#include "support/pcm_world.h"

static void thread_world(struct pcm_world *w, const char *script)
{
	pcm_world_init(w, 2, script, NULL);
	w->live.pcm_isolation_process = false;
	km_libpcm_environment_set(); /* what who starts the daemon does */
}

/* Reads until `samples` came or the source gave up. There is nothing to wait on but the thread. */
static void until_samples(struct pcm_world *w, unsigned samples)
{
	while (w->samples < samples && w->state >= 0) {
		if (km_clock_mono_ns(km_clock_system()) > w->deadline_ns) {
			fail_msg("the thread delivers nothing");
		}
		(void)sched_yield();
		(void)pcm_world_read(w);
	}
}

static void the_thread_counts_as_the_helper_does(void **state)
{
	struct km_source_stats stats;
	struct km_source_offer offer;
	struct pcm_world w;

	(void)state;
	thread_world(&w, "");
	assert_int_equal(pcm_world_probe(&w, &offer), 0);
	assert_true(offer.owns_pmu);
	assert_int_equal(offer.cpu, 1U << KM_COUNT_CYCLES | 1U << KM_COUNT_INSTRUCTIONS |
	                                    1U << KM_COUNT_L2_MISS | 1U << KM_COUNT_L3_MISS);
	assert_int_equal(pcm_world_open(&w), 0);
	until_samples(&w, 3);
	assert_int_equal(w.state, KM_SOURCE_LIVE);
	assert_true(pcm_world_count(&w, 1, KM_COUNT_CYCLES) == 2000);
	assert_true(pcm_world_count(&w, 1, KM_COUNT_INSTRUCTIONS) == 4000);
	assert_true(pcm_world_count(&w, 1, KM_COUNT_L2_MISS) == 20);
	assert_true(pcm_world_count(&w, 1, KM_COUNT_L3_MISS) == 2);
	pcm_world_stats(&w, &stats);
	assert_string_equal(stats.note, "Sapphire Rapids, in a thread");
	pcm_world_fini(&w);
}

static void libpcm_may_be_opened_again_but_not_twice(void **state)
{
	struct pcm_world w;
	struct km_source *first;

	(void)state;
	thread_world(&w, "");
	assert_int_equal(pcm_world_open(&w), 0);
	until_samples(&w, 1);
	first = w.source;
	assert_int_equal(pcm_world_open(&w), -EBUSY);
	w.source = first;
	pcm_world_close(&w);
	assert_int_equal(pcm_world_open(&w), 0);
	until_samples(&w, 1);
	pcm_world_fini(&w);
}

static void what_libpcm_needs_of_the_environment_is_asked_for(void **state)
{
	struct km_source_offer offer;
	struct pcm_world w;

	(void)state;
	thread_world(&w, "");
	(void)unsetenv("PCM_NO_MSR");
	assert_int_equal(pcm_world_open(&w), -EPERM);
	assert_non_null(strstr(w.err.text, "PCM_NO_MSR is \"\", wanted 1"));
	assert_int_equal(pcm_world_probe(&w, &offer), -EPERM);
	(void)setenv("PCM_NO_MSR", "1", 1);
	(void)setenv("PCM_KEEP_NMI_WATCHDOG", "0", 1);
	assert_int_equal(pcm_world_open(&w), -EPERM);
	assert_non_null(strstr(w.err.text, "PCM_KEEP_NMI_WATCHDOG is \"0\", wanted 1"));
	pcm_world_fini(&w);
}

static void what_fails_is_told_and_leaves_libpcm_free(void **state)
{
	static const struct {
		const char *script;
		int code;
	} rows[] = { { "init=-1", -EACCES }, { "badevent", -EINVAL }, { "zeros", -ENODATA } };
	struct pcm_world w;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		thread_world(&w, rows[i].script);
		assert_int_equal(pcm_world_open(&w), 0);
		until_samples(&w, 1000);
		assert_int_equal(w.state, rows[i].code);
		pcm_world_fini(&w);
	}
	thread_world(&w, "");
	pcm_world_set(&w.live.pcm_library, "/no/such");
	assert_int_equal(pcm_world_open(&w), -ENOENT);
	(void)setenv("KUBEMARLA_PCM_CPU", "AuthenticAMD/25/1", 1);
	assert_int_equal(pcm_world_open(&w), -ENOTSUP);
	pcm_world_fini(&w);
}

static void a_hang_stalls_nobody_and_is_left_behind(void **state)
{
	struct km_source_stats stats;
	struct pcm_world w;
	char script[128];
	char fifo[96];
	int64_t before_ns;
	int hold;

	(void)state;
	thread_world(&w, "");
	(void)snprintf(fifo, sizeof(fifo), "%s/go", w.tree.root);
	(void)snprintf(script, sizeof(script), "hangfifo=3,fifo=%s", fifo);
	(void)setenv("LIBPCM_FAKE", script, 1);
	assert_int_equal(mkfifo(fifo, 0666), 0);
	assert_int_equal(pcm_world_open(&w), 0);
	until_samples(&w, 1);
	/* the third reading is asked for, and does not come while we hold the other end */
	assert_int_equal(pcm_world_read(&w), KM_SOURCE_LIVE);
	hold = open(fifo, O_WRONLY);
	assert_true(hold >= 0);
	w.ahead_ns += 2 * PCM_ANSWER_MIN_NS;
	assert_int_equal(pcm_world_read(&w), KM_SOURCE_LIVE);
	assert_int_equal(pcm_world_read(&w), KM_SOURCE_LIVE);
	pcm_world_stats(&w, &stats);
	assert_int_equal(stats.fault[KM_FAULT_TIMEOUT], 1);
	assert_string_equal(stats.note, "libpcm hangs: no reading in 5 s");
	before_ns = km_clock_mono_ns(km_clock_system());
	pcm_world_close(&w);
	assert_true(km_clock_mono_ns(km_clock_system()) > before_ns); /* it came back at all */
	assert_int_equal(pcm_world_open(&w), -EBUSY);
	assert_non_null(strstr(w.err.text, "libpcm is in use"));
	close(hold); /* it was not for ever */
	while (pcm_world_open(&w) == -EBUSY) {
		assert_true(km_clock_mono_ns(km_clock_system()) < w.deadline_ns);
		(void)sched_yield();
	}
	assert_int_equal(w.state, 0);
	(void)setenv("LIBPCM_FAKE", "", 1);
	until_samples(&w, 1);
	pcm_world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_thread_counts_as_the_helper_does),
		cmocka_unit_test(libpcm_may_be_opened_again_but_not_twice),
		cmocka_unit_test(what_libpcm_needs_of_the_environment_is_asked_for),
		cmocka_unit_test(what_fails_is_told_and_leaves_libpcm_free),
		cmocka_unit_test(a_hang_stalls_nobody_and_is_left_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The source "pcm" with the real kubemarla-pcm over a fake libpcm: what it counts, and what not. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/pcm_world.h"

static void check_cpu(const struct pcm_world *w, unsigned cpu, double readings)
{
	double cycles = 1000.0 * (cpu + 1) * readings;

	assert_true(pcm_world_count(w, cpu, KM_COUNT_CYCLES) == cycles);
	assert_true(pcm_world_count(w, cpu, KM_COUNT_INSTRUCTIONS) == 2 * cycles);
	assert_true(pcm_world_count(w, cpu, KM_COUNT_L2_MISS) == cycles / 100);
	assert_true(pcm_world_count(w, cpu, KM_COUNT_L3_MISS) == cycles / 1000);
}

static void counts_are_what_libpcm_counted_between_two_readings(void **state)
{
	struct km_source_stats stats;
	struct pcm_world w;

	(void)state;
	pcm_world_init(&w, 2, "", NULL);
	assert_int_equal(pcm_world_open(&w), 0);
	assert_int_equal(pcm_world_read(&w), KM_SOURCE_STARTING);
	pcm_world_until_samples(&w, 3);
	assert_int_equal(w.state, KM_SOURCE_LIVE);
	assert_int_equal(w.last.cpu_count, 2);
	check_cpu(&w, 0, 1);
	check_cpu(&w, 1, 1);
	/* what the C interface has nothing for */
	assert_true(isnan(pcm_world_count(&w, 0, KM_COUNT_C0_NS)));
	assert_true(isnan(pcm_world_count(&w, 0, KM_COUNT_C6_NS)));
	assert_true(isnan(pcm_world_count(&w, 0, KM_COUNT_IPC_NS)));
	assert_true(isnan(w.last.host[KM_HOST_MEM_READ_BYTES]));
	pcm_world_stats(&w, &stats);
	assert_int_equal(stats.rows, 3);
	for (unsigned f = 0; f < KM_FAULT_N; f++) {
		assert_int_equal(stats.fault[f], 0);
	}
	assert_non_null(strstr(stats.note, "Sapphire Rapids"));
	pcm_world_fini(&w);
}

static void a_reading_of_many_cpus_comes_in_parts(void **state)
{
	struct pcm_world w;

	(void)state;
	pcm_world_init(&w, 1024, "cpus=1024", NULL);
	assert_int_equal(pcm_world_open(&w), 0);
	pcm_world_until_samples(&w, 2);
	assert_int_equal(w.last.cpu_count, 1024);
	for (unsigned cpu = 0; cpu < 1024; cpu++) {
		check_cpu(&w, cpu, 1);
	}
	pcm_world_fini(&w);
}

/* As the kernel's file changes: all at once. */
static void set_online(const struct pcm_world *w, const char *list)
{
	char from[128];
	char to[128];

	tree_put(&w->tree, "new", "%s\n", list);
	(void)snprintf(from, sizeof(from), "%s/new", w->tree.root);
	(void)snprintf(to, sizeof(to), "%s/sys/devices/system/cpu/online", w->tree.root);
	assert_int_equal(rename(from, to), 0);
}

/* The fake ends the process when it is asked for a core it does not have. */
static void cores_that_are_not_present_are_never_asked_for(void **state)
{
	struct pcm_world w;

	(void)state;
	pcm_world_init(&w, 3, "cpus=3", NULL);
	assert_int_equal(pcm_world_open(&w), 0);
	pcm_world_until_samples(&w, 1);
	/* one more is plugged in: libpcm does not know it */
	tree_put(&w.tree, "sys/devices/system/cpu/present", "0-3\n");
	set_online(&w, "0-3");
	pcm_world_until_samples(&w, 3);
	assert_int_equal(w.last.cpu_count, 3);
	pcm_world_fini(&w);
}

static void an_offline_cpu_is_not_measured(void **state)
{
	struct km_source_stats stats;
	struct pcm_world w;

	(void)state;
	pcm_world_init(&w, 2, "", NULL);
	assert_int_equal(pcm_world_open(&w), 0);
	pcm_world_until_samples(&w, 1);
	set_online(&w, "0");
	do {
		pcm_world_until_samples(&w, w.samples + 1);
	} while (!isnan(pcm_world_count(&w, 1, KM_COUNT_CYCLES)));
	check_cpu(&w, 0, 1);
	pcm_world_stats(&w, &stats);
	assert_int_equal(stats.fault[KM_FAULT_VANISHED], 1);
	assert_non_null(strstr(stats.note, "1 of 2 CPUs not measured; GenuineIntel"));
	set_online(&w, "0-1");
	do {
		pcm_world_until_samples(&w, w.samples + 1);
	} while (isnan(pcm_world_count(&w, 1, KM_COUNT_CYCLES)));
	check_cpu(&w, 1, 1);
	pcm_world_fini(&w);
}

static void a_cpu_whose_counters_stand_still_is_not_measured(void **state)
{
	struct pcm_world w;

	(void)state;
	pcm_world_init(&w, 2, "vanish=1", NULL);
	assert_int_equal(pcm_world_open(&w), 0);
	pcm_world_until_samples(&w, 1);
	check_cpu(&w, 1, 1);
	for (unsigned s = 2; s <= 4; s++) { /* 2..3, 3..4, 4..5 */
		pcm_world_until_samples(&w, s);
		assert_true(isnan(pcm_world_count(&w, 1, KM_COUNT_CYCLES)));
		assert_true(isnan(pcm_world_count(&w, 1, KM_COUNT_L3_MISS)));
		check_cpu(&w, 0, 1);
	}
	pcm_world_until_samples(&w, 5);
	check_cpu(&w, 1, 1);
	pcm_world_fini(&w);
}

static void counters_that_wrap_or_run_backwards_are_one_gap(void **state)
{
	static const char *const scripts[] = { "backwards=3", "wrap=3" };
	struct km_source_stats stats;
	struct pcm_world w;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(scripts); i++) {
		pcm_world_init(&w, 2, scripts[i], NULL);
		assert_int_equal(pcm_world_open(&w), 0);
		pcm_world_until_samples(&w, 1);
		check_cpu(&w, 0, 1);
		pcm_world_until_samples(&w, 2);
		for (unsigned c = 0; c < KM_COUNT_CPU_N; c++) {
			assert_true(isnan(pcm_world_count(&w, 0, (enum km_count)c)));
		}
		pcm_world_until_samples(&w, 3);
		assert_true(pcm_world_count(&w, 1, KM_COUNT_CYCLES) == 2000);
		pcm_world_stats(&w, &stats);
		assert_int_equal(stats.fault[KM_FAULT_BACKWARDS], 2); /* of each CPU */
		pcm_world_fini(&w);
	}
}

static void an_impossible_cpu_does_not_take_the_others_with_it(void **state)
{
	struct km_source_stats stats;
	struct pcm_world w;

	(void)state;
	pcm_world_init(&w, 2, "wild=1", NULL);
	assert_int_equal(pcm_world_open(&w), 0);
	pcm_world_until_samples(&w, 2);
	assert_true(isnan(pcm_world_count(&w, 1, KM_COUNT_INSTRUCTIONS)));
	assert_true(isnan(pcm_world_count(&w, 1, KM_COUNT_CYCLES)));
	check_cpu(&w, 0, 1);
	pcm_world_stats(&w, &stats);
	assert_int_equal(stats.fault[KM_FAULT_GARBLED], 1);
	pcm_world_fini(&w);
}

static void an_event_that_never_counts_is_not_zero(void **state)
{
	struct pcm_world w;

	(void)state;
	pcm_world_init(&w, 2, "nol2", NULL);
	assert_int_equal(pcm_world_open(&w), 0);
	pcm_world_until_samples(&w, 2);
	assert_true(isnan(pcm_world_count(&w, 0, KM_COUNT_L2_MISS)));
	assert_true(pcm_world_count(&w, 0, KM_COUNT_L3_MISS) == 1);
	pcm_world_fini(&w);
}

static void an_unknown_intel_processor_gives_ipc_only(void **state)
{
	struct km_source_offer offer;
	struct pcm_world w;

	(void)state;
	pcm_world_init(&w, 2, "", NULL);
	(void)setenv("KUBEMARLA_PCM_CPU", "GenuineIntel/6/250", 1);
	assert_int_equal(pcm_world_probe(&w, &offer), 0);
	assert_int_equal(offer.cpu, 1U << KM_COUNT_CYCLES | 1U << KM_COUNT_INSTRUCTIONS);
	assert_int_equal(pcm_world_open(&w), 0);
	pcm_world_until_samples(&w, 2);
	assert_true(pcm_world_count(&w, 1, KM_COUNT_INSTRUCTIONS) == 4000);
	assert_true(isnan(pcm_world_count(&w, 1, KM_COUNT_L2_MISS)));
	assert_true(isnan(pcm_world_count(&w, 1, KM_COUNT_L3_MISS)));
	pcm_world_fini(&w);
}

static void a_probe_says_what_would_be_counted_or_why_not(void **state)
{
	struct km_source_offer offer;
	struct pcm_world w;

	(void)state;
	pcm_world_init(&w, 2, "hang", NULL); /* init is not a probe's business */
	assert_int_equal(pcm_world_probe(&w, &offer), 0);
	assert_true(offer.owns_pmu);
	assert_int_equal(offer.cpu, 1U << KM_COUNT_CYCLES | 1U << KM_COUNT_INSTRUCTIONS |
	                                    1U << KM_COUNT_L2_MISS | 1U << KM_COUNT_L3_MISS);
	assert_int_equal(offer.host, 0);
	assert_non_null(strstr(offer.note, "GenuineIntel 6/143, Sapphire Rapids"));

	(void)setenv("KUBEMARLA_PCM_CPU", "AuthenticAMD/25/1", 1);
	assert_int_equal(pcm_world_probe(&w, &offer), -ENOTSUP);
	assert_non_null(strstr(w.err.text, "AuthenticAMD 25/1"));
	assert_false(offer.owns_pmu);
	(void)setenv("KUBEMARLA_PCM_CPU", "GenuineIntel/6/143", 1);

	pcm_world_set(&w.live.pcm_library, "/no/such");
	assert_int_equal(pcm_world_probe(&w, &offer), -ENOENT);
	assert_non_null(strstr(w.err.text, "/no/such"));
	/* a library, but of another kind */
	pcm_world_set(&w.live.pcm_library, "libz.so.1");
	assert_int_equal(pcm_world_probe(&w, &offer), -ENOENT);
	assert_non_null(strstr(w.err.text, "pcm_c_build_core_event"));

	pcm_world_set(&w.live.pcm_helper, "/no/helper");
	assert_int_equal(pcm_world_probe(&w, &offer), -ENOENT);
	assert_non_null(strstr(w.err.text, "/no/helper"));
	assert_int_equal(pcm_world_open(&w), -ENOENT);
	assert_non_null(strstr(w.err.text, "/no/helper"));
	/* nor is it beside this test */
	pcm_world_set(&w.live.pcm_helper, "");
	assert_int_equal(pcm_world_open(&w), -ENOENT);
	assert_non_null(strstr(w.err.text, "libexec"));
	pcm_world_fini(&w);
}

static void closing_ends_the_helper(void **state)
{
	static const char *const scripts[] = { "", "hang=2" };
	struct pcm_world w;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(scripts); i++) {
		pid_t pid;

		pcm_world_init(&w, 2, scripts[i], NULL);
		assert_int_equal(pcm_world_open(&w), 0);
		while (pcm_world_helper(&w)->stream.reading.sequence == 0) {
			pcm_world_step(&w);
		}
		pid = pcm_world_helper(&w)->pid;
		pcm_world_close(&w);
		assert_int_equal(kill(pid, 0), -1);
		assert_int_equal(errno, ESRCH);
		pcm_world_fini(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_are_what_libpcm_counted_between_two_readings),
		cmocka_unit_test(a_reading_of_many_cpus_comes_in_parts),
		cmocka_unit_test(cores_that_are_not_present_are_never_asked_for),
		cmocka_unit_test(an_offline_cpu_is_not_measured),
		cmocka_unit_test(a_cpu_whose_counters_stand_still_is_not_measured),
		cmocka_unit_test(counters_that_wrap_or_run_backwards_are_one_gap),
		cmocka_unit_test(an_impossible_cpu_does_not_take_the_others_with_it),
		cmocka_unit_test(an_event_that_never_counts_is_not_zero),
		cmocka_unit_test(an_unknown_intel_processor_gives_ipc_only),
		cmocka_unit_test(a_probe_says_what_would_be_counted_or_why_not),
		cmocka_unit_test(closing_ends_the_helper),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

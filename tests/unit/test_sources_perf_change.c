/* SPDX-License-Identifier: Apache-2.0 */
/* perf while the machine changes: CPUs that go and come, descriptors that run out, PMUs that die.
 */
#include "support/perf_world.h"

#define TYPE_BIG    PERF_TYPE_RAW /* the first kind takes the place of the one PMU */
#define TYPE_LITTLE 10

static uint64_t faults(const struct perf_world *w, enum km_source_fault f)
{
	return w->perf->stats.fault[f];
}

static void a_cpu_that_goes_offline_is_unknown_until_it_is_back(void **state)
{
	struct perf_world w;

	(void)state;
	perf_world_init(&w);
	perf_world_open(&w);
	fake_perf_offline(w.fake, 3);
	put_online(&w, "0-2");
	assert_int_equal(perf_world_tick(&w, 1), 1);
	assert_int_equal(w.last.cpu_count, 4);
	for (size_t c = 0; c < KM_COUNT_CPU_N; c++)
		assert_true(isnan(w.cpu[3][c]));
	check_near(w.cpu[2][KM_COUNT_CYCLES], 3e8, "cycles of another");
	check_near(w.last.host[KM_HOST_MEM_READ_BYTES], 64 * 4e6, "read");
	assert_int_equal(faults(&w, KM_FAULT_VANISHED), 1);
	assert_non_null(strstr(w.perf->stats.note, "3 of 3 CPUs"));
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.cpu[1][KM_COUNT_C6_NS], 0.6e9, "C6 of the thread that is left");
	km_cpuset_add(&w.fake->online, 3);
	put_online(&w, "0-3");
	assert_int_equal(perf_world_tick(&w, 1), 1);
	assert_true(isnan(w.cpu[3][KM_COUNT_CYCLES])); /* the baseline */
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.cpu[3][KM_COUNT_CYCLES], 4e8, "cycles");
	check_near(w.cpu[3][KM_COUNT_C6_NS], 0.6e9, "C6");
	assert_int_equal(faults(&w, KM_FAULT_VANISHED), 1);
	perf_world_fini(&w);
}

static void cpus_may_become_more_and_never_less(void **state)
{
	struct perf_world w;

	(void)state;
	perf_world_init(&w);
	perf_world_open(&w);
	km_cpuset_add(&w.fake->online, 6);
	put_online(&w, "0-3,6");
	assert_int_equal(perf_world_tick(&w, 1), 1);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	assert_int_equal(w.last.cpu_count, 7);
	check_near(w.cpu[6][KM_COUNT_CYCLES], 7e8, "cycles");
	assert_true(isnan(w.cpu[5][KM_COUNT_CYCLES]));
	fake_perf_offline(w.fake, 6);
	put_online(&w, "0-3");
	assert_int_equal(perf_world_tick(&w, 1), 1);
	assert_int_equal(w.last.cpu_count, 7);
	perf_world_fini(&w);
}

static void a_list_of_cpus_that_is_none_changes_nothing(void **state)
{
	static const char *const texts[] = { "", "none", "0-99999" };
	struct perf_world w;

	(void)state;
	perf_world_init(&w);
	perf_world_open(&w);
	for (size_t i = 0; i < KM_ARRAY_LEN(texts); i++) {
		put_online(&w, texts[i]);
		assert_int_equal(perf_world_tick(&w, 1), 1);
		check_near(w.cpu[3][KM_COUNT_CYCLES], 4e8, "cycles");
		assert_int_equal(faults(&w, KM_FAULT_GARBLED), i + 1);
	}
	tree_remove(&w.tree, "sys/devices/system/cpu/online");
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.cpu[3][KM_COUNT_CYCLES], 4e8, "cycles");
	perf_world_fini(&w);
}

/* The kernel says so before sysfs does. */
static void events_that_die_are_opened_again(void **state)
{
	struct perf_world w;

	(void)state;
	perf_world_init(&w);
	perf_world_open(&w);
	fake_perf_offline(w.fake, 0); /* the controllers' CPU too */
	km_cpuset_add(&w.fake->online, 0);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	assert_true(isnan(w.cpu[0][KM_COUNT_CYCLES]));
	assert_true(isnan(w.cpu[0][KM_COUNT_C6_NS]));
	assert_true(isnan(w.last.host[KM_HOST_MEM_READ_BYTES]));
	check_near(w.cpu[1][KM_COUNT_CYCLES], 2e8, "cycles of another");
	assert_int_equal(faults(&w, KM_FAULT_VANISHED), 4); /* CPU, core, controller, TSC */
	assert_int_equal(perf_world_tick(&w, 1), 1);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.cpu[0][KM_COUNT_CYCLES], 1e8, "cycles");
	check_near(w.cpu[0][KM_COUNT_C6_NS], 0.4e9, "C6");
	check_near(w.last.host[KM_HOST_MEM_READ_BYTES], 64 * 4e6, "read");
	perf_world_fini(&w);
}

static void without_descriptors_some_cpus_are_unknown_for_a_while(void **state)
{
	struct perf_world w;

	(void)state;
	perf_world_init(&w);
	/* 2 controllers x 2, TSC, 2 cores x 2, 2 CPUs x 5: and not one more */
	w.fake->kernel_fds_max = 4 + 1 + 4 + 10;
	perf_world_open(&w);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.cpu[1][KM_COUNT_CYCLES], 2e8, "cycles");
	assert_true(isnan(w.cpu[2][KM_COUNT_CYCLES]));
	assert_true(isnan(w.cpu[3][KM_COUNT_C0_NS]));
	assert_int_equal(faults(&w, KM_FAULT_UNAVAILABLE), 2);
	assert_non_null(strstr(w.perf->stats.note, "2 of 4 CPUs"));
	w.fake->kernel_fds_max = 1000;
	w.fake->opens = 0;
	assert_int_equal(perf_world_tick(&w, 1), 1);
	assert_int_equal(w.fake->opens, 0); /* not every tick */
	(void)perf_world_tick(&w, 10);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.cpu[3][KM_COUNT_CYCLES], 4e8, "cycles");
	perf_world_fini(&w);
}

static void c_states_that_found_no_descriptor_are_tried_again(void **state)
{
	struct perf_world w;

	(void)state;
	perf_world_init(&w);
	perf_world_open(&w);
	fake_perf_offline(w.fake, 3);
	put_online(&w, "0-2");
	/* for the 2 controllers x 2, 3 CPUs x 5, and the TSC */
	w.fake->kernel_fds_max = 4 + 15 + 1;
	assert_int_equal(perf_world_tick(&w, 1), 1);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	assert_true(isnan(w.cpu[0][KM_COUNT_C6_NS]));
	check_near(w.cpu[0][KM_COUNT_C0_NS], 0.25e9, "C0");
	assert_int_equal(faults(&w, KM_FAULT_UNAVAILABLE), 2);
	assert_non_null(strstr(w.perf->stats.note, " 0 cores"));
	w.fake->kernel_fds_max = 1000;
	(void)perf_world_tick(&w, 10);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.cpu[0][KM_COUNT_C6_NS], 0.4e9, "C6");
	perf_world_fini(&w);
}

static void perf_leaves_descriptors_to_the_rest_of_the_process(void **state)
{
	struct perf_world w;

	(void)state;
	perf_world_init(&w);
	w.fake->fds_max = 40; /* half of it: 9 for all but CPUs, which take 5 each */
	perf_world_open(&w);
	assert_true(w.fake->open_now <= 20);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.cpu[1][KM_COUNT_CYCLES], 2e8, "cycles");
	assert_true(isnan(w.cpu[2][KM_COUNT_CYCLES]));
	check_near(w.last.host[KM_HOST_MEM_READ_BYTES], 64 * 4e6, "read");
	perf_world_fini(&w);
}

/* A generic event counts on the CPUs of the PMU it names; one that names none is the first kind's.
 */
static double hybrid_rate(uint32_t type, uint64_t config, int cpu)
{
	uint32_t named = (uint32_t)(config >> 32);
	uint32_t pmu = named != 0 ? named : TYPE_BIG;

	if (type == PERF_TYPE_HARDWARE && pmu != (cpu < 2 ? TYPE_BIG : TYPE_LITTLE))
		return -1;
	return busy_rate(type, type == PERF_TYPE_HARDWARE ? config & UINT32_MAX : config, cpu);
}

static void cpus_of_two_kinds_are_counted_each_by_its_pmu(void **state)
{
	struct perf_world w;

	(void)state;
	perf_world_init(&w);
	put_cpu(&w, "GenuineIntel", 6, 151);
	tree_put(&w.tree, PMUS "cpu_core/type", "%u\n", TYPE_BIG);
	tree_put(&w.tree, PMUS "cpu_core/cpus", "0-1\n");
	tree_put(&w.tree, PMUS "cpu_atom/type", "%u\n", TYPE_LITTLE);
	tree_put(&w.tree, PMUS "cpu_atom/cpus", "2\n"); /* the kernel has not seen CPU 3 yet */
	put_online(&w, "0-2");
	w.fake->rate = hybrid_rate;
	perf_world_open(&w);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	for (unsigned cpu = 0; cpu < 3; cpu++) {
		check_near(w.cpu[cpu][KM_COUNT_CYCLES], 1e8 * (cpu + 1), "cycles");
		check_near(w.cpu[cpu][KM_COUNT_L3_MISS], 7e5 * (cpu + 1), "L3, generic");
		check_near(w.cpu[cpu][KM_COUNT_C0_NS], 0.25e9, "C0");
	}
	tree_put(&w.tree, PMUS "cpu_atom/cpus", "2-3\n");
	put_online(&w, "0-3");
	assert_int_equal(perf_world_tick(&w, 1), 1);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.cpu[3][KM_COUNT_CYCLES], 4e8, "cycles of one that came");
	assert_int_equal(faults(&w, KM_FAULT_UNAVAILABLE), 0);
	perf_world_fini(&w);
}

/* Cores whose C-states cannot be opened cost the C-states. */
static double no_c6_rate(uint32_t type, uint64_t config, int cpu)
{
	return type == TYPE_CORE && config == 2 ? -1 : busy_rate(type, config, cpu);
}

static void without_c6_there_is_no_c1(void **state)
{
	struct km_source_offer offer;
	struct perf_world w;

	(void)state;
	perf_world_init(&w);
	w.fake->rate = no_c6_rate;
	perf_world_open(&w);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.cpu[0][KM_COUNT_C0_NS], 0.25e9, "C0");
	assert_true(isnan(w.cpu[0][KM_COUNT_C6_NS]));
	assert_true(isnan(w.cpu[0][KM_COUNT_C1_NS]));
	km_perf_offer(w.perf, &offer);
	assert_int_equal(offer.cpu & (1U << KM_COUNT_C1_NS | 1U << KM_COUNT_C6_NS), 0);
	perf_world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cpu_that_goes_offline_is_unknown_until_it_is_back),
		cmocka_unit_test(cpus_may_become_more_and_never_less),
		cmocka_unit_test(a_list_of_cpus_that_is_none_changes_nothing),
		cmocka_unit_test(events_that_die_are_opened_again),
		cmocka_unit_test(without_descriptors_some_cpus_are_unknown_for_a_while),
		cmocka_unit_test(c_states_that_found_no_descriptor_are_tried_again),
		cmocka_unit_test(perf_leaves_descriptors_to_the_rest_of_the_process),
		cmocka_unit_test(cpus_of_two_kinds_are_counted_each_by_its_pmu),
		cmocka_unit_test(without_c6_there_is_no_c1),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* perf over a constructed sysfs and a fake kernel: what is counted, and what is not. */
#include "support/perf_world.h"

static void counts_of_cpus_cores_and_controllers_are_one_sample(void **state)
{
	struct perf_world w;

	(void)state;
	perf_world_init(&w);
	perf_world_open(&w);
	assert_int_equal(perf_world_tick(&w, 2), 1);
	assert_int_equal(w.last.cpu_count, 4);
	assert_true(w.last.end_ns - w.last.start_ns == 2 * KM_NS_PER_S);
	for (unsigned cpu = 0; cpu < 4; cpu++) {
		const double *c = w.cpu[cpu];
		double c6 = cpu % 2 == 0 ? 0.4 : 0.6; /* of its core */

		check_near(c[KM_COUNT_CYCLES], 2e8 * (cpu + 1), "cycles");
		check_near(c[KM_COUNT_INSTRUCTIONS], 3e8 * (cpu + 1), "instructions");
		check_near(c[KM_COUNT_L2_MISS], 2e6 * (cpu + 1), "L2 misses");
		check_near(c[KM_COUNT_L3_MISS], 2e5 * (cpu + 1), "L3 misses");
		check_near(c[KM_COUNT_C0_NS], 0.25 * 2e9, "C0");
		check_near(c[KM_COUNT_C6_NS], c6 * 2e9, "C6");
		check_near(c[KM_COUNT_C1_NS], (1 - 0.25 - c6 - 0.1) * 2e9, "C1");
		check_near(c[KM_COUNT_IPC_NS], NAN, "IPC as such");
		check_near(c[KM_COUNT_BUSY_NS], NAN, "busy");
	}
	check_near(w.last.host[KM_HOST_MEM_READ_BYTES], 2 * 64 * 4e6, "read");
	check_near(w.last.host[KM_HOST_MEM_WRITE_BYTES], 2 * 64 * 2e6, "write");
	check_near(w.last.host[KM_HOST_L3_OCCUPANCY_BYTES], NAN, "occupancy");
	perf_world_fini(&w);
}

static void the_offer_is_what_the_samples_have(void **state)
{
	static const struct {
		const char *why;
		bool core_events, mperf, cstates, imc;
		uint32_t cpu, host;
		bool owns;
	} rows[] = {
		{ "all", true, true, true, true, 0xff, 3, true },
		{ "no C-states", true, true, false, true, 0x1f, 3, true },
		{ "C0 by ref-cycles", true, false, false, false, 0x1f, 0, true },
		{ "no core events", false, true, true, true, 0xe0, 3, false },
		{ "bandwidth alone", false, false, false, true, 0, 3, false },
		{ "C6 alone", false, false, true, false, 0x80, 0, false },
	};
	/* the bits above, in the order of enum km_count */
	static const enum km_count counts[] = { KM_COUNT_INSTRUCTIONS, KM_COUNT_CYCLES,
		                                KM_COUNT_L2_MISS,      KM_COUNT_L3_MISS,
		                                KM_COUNT_C0_NS,        KM_COUNT_C0_NS,
		                                KM_COUNT_C1_NS,        KM_COUNT_C6_NS };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_source_offer offer;
		struct perf_world w;
		uint32_t cpu = 0;

		for (size_t k = 0; k < KM_ARRAY_LEN(counts); k++) {
			if ((rows[i].cpu & 1U << k) != 0)
				cpu |= 1U << counts[k];
		}
		perf_world_init(&w);
		w.live.perf_core_events = rows[i].core_events;
		if (!rows[i].mperf)
			tree_remove(&w.tree, PMUS "msr/events/mperf");
		if (!rows[i].cstates)
			tree_remove(&w.tree, PMUS "cstate_core");
		if (!rows[i].imc) {
			tree_remove(&w.tree, PMUS "uncore_imc_0");
			tree_remove(&w.tree, PMUS "uncore_imc_1");
		}
		for (int probe = 1; probe >= 0; probe--) {
			if (perf_world_create(&w, probe) != 0)
				fail_msg("%s: %s", rows[i].why, w.err.text);
			km_perf_offer(w.perf, &offer);
			if (offer.cpu != cpu || offer.owns_pmu != rows[i].owns)
				fail_msg("%s: cpu %x, want %x", rows[i].why, offer.cpu, cpu);
			assert_int_equal(offer.host, rows[i].host);
			if (probe) {
				km_perf_free(w.perf);
				assert_int_equal(w.fake->open_now, 0);
			}
		}
		(void)perf_world_tick(&w, 1);
		assert_int_equal(perf_world_tick(&w, 1), 1);
		for (size_t k = 0; k < KM_COUNT_CPU_N; k++)
			assert_int_equal((cpu & 1U << k) != 0,
			                 w.last.cpu_count > 0 && !isnan(w.cpu[3][k]));
		perf_world_fini(&w);
	}
}

static void c0_by_ref_cycles_only_where_they_tick_with_the_tsc(void **state)
{
	static const struct {
		const char *vendor;
		unsigned family, model;
		double c0, l2, l3;
	} rows[] = {
		{ "GenuineIntel", 6, 207, 0.15, 1e6, 1e5 },
		{ "GenuineIntel", 6, 63, NAN, 2e6, 3e5 },
		{ "GenuineIntel", 6, 42, NAN, NAN, 7e5 },
		{ "AuthenticAMD", 25, 1, NAN, NAN, NAN },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct perf_world w;

		perf_world_init(&w);
		put_cpu(&w, rows[i].vendor, rows[i].family, rows[i].model);
		tree_remove(&w.tree, PMUS "msr/events/mperf");
		perf_world_open(&w);
		assert_int_equal(perf_world_tick(&w, 1), 1);
		check_near(w.cpu[0][KM_COUNT_C0_NS], rows[i].c0 * 1e9, "C0");
		check_near(w.cpu[0][KM_COUNT_C6_NS], 0.4e9, "C6");
		check_near(w.cpu[0][KM_COUNT_C1_NS], (1 - 0.4 - 0.1 - rows[i].c0) * 1e9, "C1");
		check_near(w.cpu[0][KM_COUNT_L2_MISS], rows[i].l2, "L2");
		check_near(w.cpu[0][KM_COUNT_L3_MISS], rows[i].l3, "L3");
		check_near(w.cpu[0][KM_COUNT_INSTRUCTIONS], 1.5e8, "instructions");
		perf_world_fini(&w);
	}
}

static double impossible_rate(uint32_t type, uint64_t config, int cpu)
{
	if (type == TYPE_MSR && config == 2 && cpu == 1)
		return 1.1 * TSC_HZ; /* more of C0 than there is time */
	return busy_rate(type, config, cpu);
}

static void a_residency_beyond_time_is_not_known_and_costs_nothing_else(void **state)
{
	struct perf_world w;

	(void)state;
	perf_world_init(&w);
	w.fake->rate = impossible_rate;
	perf_world_open(&w);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.cpu[1][KM_COUNT_C0_NS], NAN, "C0");
	check_near(w.cpu[1][KM_COUNT_C1_NS], NAN, "C1");
	check_near(w.cpu[1][KM_COUNT_C6_NS], 0.6e9, "C6");
	check_near(w.cpu[1][KM_COUNT_CYCLES], 2e8, "cycles");
	check_near(w.cpu[0][KM_COUNT_C0_NS], 0.25e9, "C0 of another");
	assert_int_equal(w.perf->stats.fault[KM_FAULT_GARBLED], 1);
	perf_world_fini(&w);
}

static void a_small_pmu_takes_more_groups(void **state)
{
	struct perf_world w;
	size_t roomy;

	(void)state;
	perf_world_init(&w);
	perf_world_open(&w);
	w.fake->reads = 0;
	(void)perf_world_tick(&w, 1);
	roomy = w.fake->reads;
	km_perf_free(w.perf);
	w.fake->counters = 2; /* of four core events: two groups a CPU */
	w.samples = 0;
	perf_world_open(&w);
	w.fake->reads = 0;
	assert_int_equal(perf_world_tick(&w, 1), 1);
	assert_int_equal(w.fake->reads, roomy + 4);
	check_near(w.cpu[2][KM_COUNT_CYCLES], 3e8, "cycles");
	check_near(w.cpu[2][KM_COUNT_L3_MISS], 3e5, "L3");
	perf_world_fini(&w);
}

static void a_shared_pmu_is_scaled_and_a_crowded_one_not_known(void **state)
{
	struct perf_world w;

	(void)state;
	perf_world_init(&w);
	w.fake->running_ratio = 0.25;
	perf_world_open(&w);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.cpu[0][KM_COUNT_CYCLES], 1e8, "cycles");
	check_near(w.cpu[3][KM_COUNT_L3_MISS], 4e5, "L3");
	check_near(w.cpu[0][KM_COUNT_C0_NS], 0.25e9, "C0");
	perf_world_fini(&w);

	perf_world_init(&w);
	w.fake->running_ratio = 0;
	perf_world_open(&w);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.cpu[0][KM_COUNT_CYCLES], NAN, "cycles");
	check_near(w.cpu[0][KM_COUNT_C0_NS], NAN, "C0: MPERF is in the group");
	check_near(w.cpu[0][KM_COUNT_C6_NS], 0.4e9, "C6");
	assert_int_equal(w.perf->stats.fault[KM_FAULT_UNAVAILABLE], 4);
	perf_world_fini(&w);
}

/* One way of counting for all controllers, or none. */
static void bandwidth_is_counted_once_or_not_at_all(void **state)
{
	struct perf_world w;

	(void)state;
	/* a controller that counts by other events too: its free-running ones are left out */
	perf_world_init(&w);
	put_pmu(&w, "uncore_imc_free_running_0", TYPE_IMC, "0", "0-7");
	put_event(&w, "uncore_imc_free_running_0", "data_read", "event=0x04,umask=0x03", true);
	put_event(&w, "uncore_imc_free_running_0", "data_write", "event=0x04,umask=0x0c", true);
	perf_world_open(&w);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.last.host[KM_HOST_MEM_READ_BYTES], 64 * 4e6, "read");
	km_perf_free(w.perf);
	/* alone, they do */
	tree_remove(&w.tree, PMUS "uncore_imc_0");
	tree_remove(&w.tree, PMUS "uncore_imc_1");
	perf_world_open(&w);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.last.host[KM_HOST_MEM_READ_BYTES], 64 * 1e6, "read");
	perf_world_fini(&w);

	/* one controller says something else, or a part */
	perf_world_init(&w);
	tree_remove(&w.tree, PMUS "uncore_imc_1/events/cas_count_write");
	perf_world_open(&w);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.last.host[KM_HOST_MEM_READ_BYTES], NAN, "read");
	assert_non_null(strstr(w.perf->stats.note, "uncore_imc cannot be read"));
	km_perf_free(w.perf);
	put_event(&w, "uncore_imc_1", "cas_count_write", "event=0x77", true);
	perf_world_open(&w); /* the kernel does not have that event */
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.last.host[KM_HOST_MEM_READ_BYTES], NAN, "read");
	perf_world_fini(&w);
}

static void two_schedulers_are_both_counted_or_left_out(void **state)
{
	struct km_source_offer offer;
	struct perf_world w;

	(void)state;
	perf_world_init(&w);
	put_cpu(&w, "GenuineIntel", 6, 173);
	perf_world_open(&w);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.last.host[KM_HOST_MEM_READ_BYTES], NAN, "read");
	check_near(w.cpu[0][KM_COUNT_L3_MISS], 1e5, "L3");
	km_perf_offer(w.perf, &offer);
	assert_int_equal(offer.host, 0);
	assert_non_null(strstr(offer.note, "uncore_imc counts one of two schedulers"));
	km_perf_free(w.perf);
	for (unsigned i = 0; i < 2; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "uncore_imc_%u", i);
		put_event(&w, name, "cas_count_read_sch0", "event=0x05,umask=0xcf", true);
		put_event(&w, name, "cas_count_read_sch1", "event=0x06,umask=0xcf", true);
		put_event(&w, name, "cas_count_write_sch0", "event=0x05,umask=0xf0", true);
		put_event(&w, name, "cas_count_write_sch1", "event=0x06,umask=0xf0", true);
	}
	perf_world_open(&w);
	assert_int_equal(perf_world_tick(&w, 1), 1);
	check_near(w.last.host[KM_HOST_MEM_READ_BYTES], 64 * 4e6 * 11, "read");
	check_near(w.last.host[KM_HOST_MEM_WRITE_BYTES], 64 * 4e6 * 20.5, "write");
	perf_world_fini(&w);
}

/* A name, and no more than what one can do about it. */
static void a_refusal_says_what_to_set(void **state)
{
	static const struct {
		int refuse;
		bool pmu, trees;
		int want;
		const char *text;
	} rows[] = {
		{ EACCES, true, true, -EACCES,
		  "EACCES, with kernel.perf_event_paranoid 2: want 0 or less, or CAP_PERFMON" },
		{ EPERM, true, true, -EPERM, "or CAP_PERFMON (and a seccomp profile" },
		{ EACCES, true, false, -EACCES, "want 0 or less, or CAP_PERFMON" },
		{ ENOSYS, true, false, -ENOSYS, "no perf_event_open" },
		{ 0, false, false, -ENOENT, "no PMU in this machine" },
		{ EMFILE, true, true, -EMFILE, "Too many open files" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct perf_world w;

		perf_world_init(&w);
		w.fake->refuse = rows[i].refuse;
		w.fake->rate = rows[i].pmu ? busy_rate : no_pmu_rate;
		if (!rows[i].trees) {
			tree_remove(&w.tree, PMUS "cstate_core");
			tree_remove(&w.tree, PMUS "uncore_imc_0");
			tree_remove(&w.tree, PMUS "uncore_imc_1");
		}
		for (int probe = 0; probe < 2; probe++) {
			assert_int_equal(perf_world_create(&w, probe), rows[i].want);
			if (strstr(w.err.text, rows[i].text) == NULL)
				fail_msg("\"%s\", want \"%s\"", w.err.text, rows[i].text);
			assert_null(w.perf);
		}
		perf_world_fini(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_of_cpus_cores_and_controllers_are_one_sample),
		cmocka_unit_test(the_offer_is_what_the_samples_have),
		cmocka_unit_test(c0_by_ref_cycles_only_where_they_tick_with_the_tsc),
		cmocka_unit_test(a_residency_beyond_time_is_not_known_and_costs_nothing_else),
		cmocka_unit_test(a_small_pmu_takes_more_groups),
		cmocka_unit_test(a_shared_pmu_is_scaled_and_a_crowded_one_not_known),
		cmocka_unit_test(bandwidth_is_counted_once_or_not_at_all),
		cmocka_unit_test(two_schedulers_are_both_counted_or_left_out),
		cmocka_unit_test(a_refusal_says_what_to_set),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

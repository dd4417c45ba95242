/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf against this machine's kernel: software events and the TSC counted for real, and what the
 * source says where there is no PMU. Skips where the rights to count a CPU are missing.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/clock.h"

#include "sources/perf_group.h"

#define ROUNDS 200

struct rig {
	struct km_perf_budget budget;
	struct km_perf_set set;
	struct km_source_stats stats;
	struct km_perf_counts v;
};

/* Opens events on the CPU and takes the baseline; skips the test without rights. */
static void rig_open(struct rig *r, unsigned cpu, const struct km_perf_event *events, size_t n)
{
	int why;
	int ret;

	memset(r, 0, sizeof(*r));
	km_perf_budget_init(&r->budget, km_perf_sys_kernel());
	ret = km_perf_set_open(&r->budget, cpu, events, n, &r->set, &why);
	if (ret == -EACCES || ret == -EPERM || ret == -ENOSYS) {
		print_message("# skipped: perf_event_open says %s\n", strerror(-ret));
		skip();
	}
	assert_int_equal(ret, 0);
	assert_int_equal(km_perf_set_read(r->budget.sys, &r->set, &r->v, &r->stats), 0);
	assert_true(isnan(r->v.count[events[0].role])); /* no difference yet */
}

static void rig_read(struct rig *r)
{
	assert_int_equal(km_perf_set_read(r->budget.sys, &r->set, &r->v, &r->stats), 0);
}

static unsigned pin_to_some_cpu(void)
{
	cpu_set_t all;
	cpu_set_t one;
	unsigned cpu = 0;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	return cpu;
}

/* Answers each byte with a byte. */
static void *echo(void *fds)
{
	const int *fd = fds;
	char byte;

	while (read(fd[0], &byte, 1) == 1) {
		if (write(fd[1], &byte, 1) != 1)
			break;
	}
	return NULL;
}

/* Two threads of one CPU wait for each other: each round is two switches on it. */
static void ping_pong(void)
{
	int to[2];
	int from[2];
	int ends[2];
	pthread_t thread;
	char byte = 'x';

	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	ends[0] = to[0];
	ends[1] = from[1];
	assert_int_equal(pthread_create(&thread, NULL, echo, ends), 0);
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(write(to[1], &byte, 1), 1);
		assert_int_equal(read(from[0], &byte, 1), 1);
	}
	assert_int_equal(close(to[1]), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	(void)close(to[0]);
	(void)close(from[0]);
	(void)close(from[1]);
}

static void software_events_count_on_this_machine(void **state)
{
	/* roles stand in for what the kernel counts in software, by two PMUs of its own */
	static const struct km_perf_event events[] = {
		{ .type = PERF_TYPE_SOFTWARE,
		  .config = { PERF_COUNT_SW_CONTEXT_SWITCHES },
		  .role = KM_PERF_INSTRUCTIONS,
		  .scale = 1 },
		{ .type = PERF_TYPE_SOFTWARE,
		  .config = { PERF_COUNT_SW_CPU_CLOCK },
		  .role = KM_PERF_CYCLES,
		  .scale = 1 },
	};
	unsigned cpu = pin_to_some_cpu();
	struct rig r;
	int64_t began_ns;
	double elapsed_ns;

	(void)state;
	began_ns = km_clock_mono_ns(km_clock_system());
	rig_open(&r, cpu, events, KM_ARRAY_LEN(events));
	assert_int_equal(r.set.group_count, 1);
	ping_pong();
	rig_read(&r);
	elapsed_ns = (double)(km_clock_mono_ns(km_clock_system()) - began_ns);
	/* cpu-clock is time: not more of it than passed from before the opening till after */
	assert_true(r.v.count[KM_PERF_CYCLES] > 0);
	assert_true(r.v.count[KM_PERF_CYCLES] <= elapsed_ns);
	assert_true(r.v.count[KM_PERF_INSTRUCTIONS] >= ROUNDS);
	assert_true(isnan(r.v.count[KM_PERF_TSC]));
	assert_int_equal(r.stats.fault[KM_FAULT_UNAVAILABLE], 0);
	/* a difference, not a sum */
	rig_read(&r);
	assert_true(r.v.count[KM_PERF_INSTRUCTIONS] < ROUNDS);
	km_perf_set_close(&r.budget, &r.set);
	assert_int_equal(r.budget.used, 0);
}

/* What residencies are divided by: one rate, in whichever group and on whichever CPU. */
static void the_tsc_ticks_alike_in_every_group(void **state)
{
	struct km_perf_event events[] = {
		{ .type = PERF_TYPE_SOFTWARE,
		  .config = { PERF_COUNT_SW_CONTEXT_SWITCHES },
		  .role = KM_PERF_CYCLES,
		  .scale = 1 },
		{ .role = KM_PERF_TSC },
	};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	double rate[2];
	struct km_perf_pmu pmu;
	struct km_err err;
	struct rig r;

	(void)state;
	if (km_perf_pmu_read("/sys", "msr", &pmu, &err) != 0 ||
	    km_perf_pmu_event("/sys", &pmu, "tsc", false, &events[1], &err) != 0) {
		print_message("# skipped: %s\n", err.text);
		skip();
	}
	/* alone on this CPU, then led by another PMU's event on another */
	for (int i = 0; i < 2; i++) {
		unsigned cpu = i == 0 ? pin_to_some_cpu() : (unsigned)(cpus - 1);

		rig_open(&r, cpu, i == 0 ? &events[1] : events, i == 0 ? 1 : 2);
		assert_int_equal(r.set.group_count, 1);
		ping_pong();
		rig_read(&r);
		assert_true(r.v.count[KM_PERF_TSC] > 0);
		rate[i] = r.v.count[KM_PERF_TSC] / r.v.ns[KM_PERF_TSC];
		km_perf_set_close(&r.budget, &r.set);
	}
	print_message("# %.6f and %.6f ticks a ns\n", rate[0], rate[1]);
	assert_true(fabs(rate[0] - rate[1]) < 0.01 * rate[0]);
}

static void an_event_the_kernel_does_not_know_is_absent(void **state)
{
	static const struct km_perf_event nothing = { .type = PERF_TYPE_HARDWARE,
		                                      .config = { 0xffff } };
	struct km_perf_budget budget;
	struct km_perf_set set;
	int why;
	int ret;

	(void)state;
	km_perf_budget_init(&budget, km_perf_sys_kernel());
	ret = km_perf_set_open(&budget, pin_to_some_cpu(), &nothing, 1, &set, &why);
	assert_true(ret == -ENOENT || ret == -EACCES || ret == -EPERM || ret == -ENOSYS);
	assert_int_equal(budget.used, 0);
	assert_null(set.group);
}

/* Whatever this machine is: counters, or one line that says why there are none. */
static void the_source_tells_what_this_machine_has(void **state)
{
	char sysfs[] = "/sys";
	char procfs[] = "/proc";
	struct km_live_settings live = { .sysfs = sysfs,
		                         .procfs = procfs,
		                         .perf_core_events = true };
	struct km_source_settings settings = { .kind = "perf" };
	const struct km_source_args args = { .settings = &settings, .live = &live };
	struct km_source_offer offer;
	struct km_source *s = NULL;
	struct km_err err = { 0 };
	int ret = km_source_probe(&args, &offer, &err);

	(void)state;
	if (ret == 0) {
		print_message("# %s\n", offer.note);
		assert_true(offer.cpu != 0 || offer.host != 0);
	} else if (ret == -ENOENT) {
		print_message("# %s\n", err.text);
		assert_non_null(strstr(err.text, "no PMU in this machine"));
	} else {
		assert_true(ret == -EACCES || ret == -EPERM || ret == -ENOSYS);
		assert_non_null(strstr(err.text, "perf_event_"));
	}
	assert_int_equal(km_source_open(&args, &s, &err), ret);
	km_source_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(software_events_count_on_this_machine),
		cmocka_unit_test(the_tsc_ticks_alike_in_every_group),
		cmocka_unit_test(an_event_the_kernel_does_not_know_is_absent),
		cmocka_unit_test(the_source_tells_what_this_machine_has),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

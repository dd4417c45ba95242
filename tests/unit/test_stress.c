/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stressors: sizes from a sysfs of our own, what one piece of each kernel does, and real threads on
 * the CPUs this test may use. How fast they are, and what they do to a neighbour, is for `make
 * bench`.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "km/base/clock.h"

#include "stress/stress_internal.h"
#include "support/tree.h"

#define PATIENCE_NS (60 * KM_NS_PER_S)
#define WORKED_NS   (5 * KM_NS_PER_MS)

#define MIB         ((size_t)1 << 20)

static void put_cache(const struct tree *t, unsigned cpu, int index, const char *level,
                      const char *type, const char *size, const char *sharers)
{
	char path[128];
	const struct {
		const char *file, *text;
	} rows[] = { { "level", level },
		     { "type", type },
		     { "size", size },
		     { "shared_cpu_list", sharers } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(path, sizeof(path), "devices/system/cpu/cpu%u/cache/index%d/%s", cpu,
		               index, rows[i].file);
		tree_put(t, path, "%s\n", rows[i].text);
	}
}

static struct km_cpuset cpus_of(const char *list)
{
	struct km_cpuset set;

	assert_int_equal(km_cpuset_parse(list, &set, NULL), 0);
	return set;
}

static void assumed_text(const struct km_caches *c, const char *want)
{
	struct km_buf text;

	km_buf_init(&text);
	km_caches_assumed(c, "/s", &text);
	assert_string_equal(km_buf_cstr(&text), want);
	km_buf_fini(&text);
}

static void caches_are_those_of_sysfs(void **state)
{
	struct km_cpuset cpus = cpus_of("2-3");
	struct km_cpuset sharers = cpus_of("0-3");
	struct km_caches c;
	struct tree t;

	(void)state;
	tree_init(&t);
	tree_put(&t, "devices/system/cpu/online", "0-3\n");
	put_cache(&t, 2, 0, "1", "Data", "48K", "2");
	put_cache(&t, 2, 1, "2", "Instruction", "8K", "2");
	put_cache(&t, 2, 2, "2", "Unified", "1280K", "2");
	put_cache(&t, 2, 3, "3", "Unified", "36M", "0-3");
	assert_int_equal(km_caches_read(t.root, &cpus, &c, NULL), 0);
	assert_int_equal(c.l2.bytes, 1280 * 1024);
	assert_int_equal(c.l3.bytes, 36 * MIB);
	assert_false(c.l2.assumed || c.l3.assumed);
	assert_memory_equal(&c.l3.sharers, &sharers, sizeof(sharers));
	assert_int_equal(km_cpuset_count(&c.l2.sharers), 1);
	assumed_text(&c, "");
	tree_fini(&t);
}

static void what_sysfs_does_not_say_is_assumed_and_told(void **state)
{
	static const struct {
		const char *size; /* of the L3; NULL = there is none */
		bool assumed;
	} rows[] = {
		{ NULL, true },
		{ "0K", true },
		{ "-1K", true },
		{ "big", true },
		{ "9999999999999M", true },
		{ "K", true },
		{ "65536", false },
		{ "4M", false },
	};
	struct km_cpuset cpus = cpus_of("0");
	struct km_caches c;
	struct tree t;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tree_init(&t);
		put_cache(&t, 0, 0, "2", "Unified", "512K", "0");
		if (rows[i].size != NULL)
			put_cache(&t, 0, 1, "3", "Unified", rows[i].size, "0");
		assert_int_equal(km_caches_read(t.root, &cpus, &c, NULL), 0);
		assert_int_equal(c.l2.bytes, 512 * 1024);
		assert_int_equal(c.l3.assumed, rows[i].assumed);
		assert_true(c.l3.bytes == KM_CACHES_L3_BYTES || !rows[i].assumed);
		tree_fini(&t);
	}
	tree_init(&t);
	assert_int_equal(km_caches_read(t.root, &cpus, &c, NULL), 0);
	assumed_text(&c, "L2 of 1 MiB and L3 of 32 MiB assumed: /s has no such cache");
	tree_fini(&t);
}

static void a_cpu_that_is_not_there_is_refused(void **state)
{
	struct km_cpuset none = { .word = { 0 } };
	struct km_cpuset cpus = cpus_of("1,7");
	struct km_caches c;
	struct km_err err;
	struct tree t;

	(void)state;
	tree_init(&t);
	tree_put(&t, "devices/system/cpu/online", "0-3\n");
	assert_int_equal(km_caches_read(t.root, &cpus, &c, &err), -ERANGE);
	assert_string_equal(err.text, "CPU 7 is not online, want CPUs of 0-3");
	assert_int_equal(km_caches_read(t.root, &none, &c, &err), -EINVAL);
	tree_fini(&t);
}

static struct km_caches caches(size_t l2_bytes, size_t l3_bytes, const char *sharers)
{
	return (struct km_caches){ .l2 = { .bytes = l2_bytes },
		                   .l3 = { .bytes = l3_bytes, .sharers = cpus_of(sharers) } };
}

static void working_sets_follow_the_caches(void **state)
{
	static const struct {
		enum km_stress_kind kind;
		size_t l2_mib, l3_mib;
		unsigned sharers;
		size_t want_mib;
		const char *why;
	} rows[] = {
		{ KM_STRESS_L2, 2, 32, 1, 2, "one L2, however many share the L3" },
		{ KM_STRESS_L2, 2, 32, 4, 2, "one L2, however many share the L3" },
		{ KM_STRESS_L3, 1, 32, 1, 32, "all of the L3" },
		{ KM_STRESS_L3, 1, 32, 4, 8, "divided among the threads" },
		{ KM_STRESS_L3, 4, 16, 16, 8, "never what an L2 holds" },
		{ KM_STRESS_MEMBW, 1, 32, 2, 64, "four times the L3" },
		{ KM_STRESS_MEMBW, 1, 2, 1, 64, "never small" },
		{ KM_STRESS_MEMBW, 1, 32, 16, 8, "divided among the threads" },
		{ KM_STRESS_MEMBW, 4, 2, 16, 16, "never what an L2 holds" },
		{ KM_STRESS_MEMBW, 1, 1024, 1, 1024, "never more than 1 GiB" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct km_caches c = caches(rows[i].l2_mib * MIB, rows[i].l3_mib * MIB, "0");

		assert_int_equal(stress_kernel[rows[i].kind].want_bytes(&c, rows[i].sharers),
		                 rows[i].want_mib * MIB);
	}
	assert_null(stress_kernel[KM_STRESS_CPU].want_bytes);
}

/* The second word of a line counts its visits (struct line in kernels.c). */
static void a_walk_comes_by_each_line_once_a_round(void **state)
{
	struct stress_state s = { .bytes = 64 * 1024 * STRESS_WALKS };
	size_t lines = s.bytes / STRESS_LINE_BYTES;
	const uint64_t *word;
	uint64_t rounds;

	(void)state;
	s.memory = aligned_alloc(STRESS_LINE_BYTES, s.bytes);
	assert_non_null(s.memory);
	memset(s.memory, 0, s.bytes);
	stress_kernel[KM_STRESS_L3].prepare(&s);
	do {
		stress_kernel[KM_STRESS_L3].piece(&s);
	} while (s.ops % lines != 0 && s.ops < 100 * lines);
	rounds = s.ops / lines;
	assert_true(rounds > 0 && s.ops % lines == 0);
	assert_int_equal(s.moved_bytes, s.ops * STRESS_LINE_BYTES);
	word = s.memory;
	for (size_t i = 0; i < lines; i++)
		assert_int_equal(word[i * (STRESS_LINE_BYTES / sizeof(*word)) + 1], rounds);
	free(s.memory);
}

static void a_triad_writes_every_element(void **state)
{
	size_t count = 100000; /* not a multiple of a piece */
	struct stress_state s = { .bytes = 3 * count * sizeof(double) };
	double *a;

	(void)state;
	s.memory = malloc(s.bytes);
	assert_non_null(s.memory);
	a = s.memory;
	for (size_t i = 0; i < 3 * count; i++)
		a[i] = i < count ? NAN : 1;
	do {
		stress_kernel[KM_STRESS_MEMBW].piece(&s);
	} while (s.at != 0);
	assert_int_equal(s.ops, count);
	assert_int_equal(s.moved_bytes, 3 * count * sizeof(double));
	for (size_t i = 0; i < count; i++)
		assert_true(a[i] > 2 && a[i] < 2.001);
	free(s.memory);
}

/* CPU time of the process but for the calling thread. */
static int64_t others_ns(void)
{
	static const int who[] = { RUSAGE_SELF, RUSAGE_THREAD };
	int64_t ns[2];

	for (int i = 0; i < 2; i++) {
		struct rusage u;

		assert_int_equal(getrusage(who[i], &u), 0);
		ns[i] = (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * KM_NS_PER_S +
		        (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
	}
	return ns[0] - ns[1];
}

static void threads_work_and_say_what_they_did(void **state)
{
	struct km_cpuset cpus;
	struct km_caches c = caches(MIB, 4 * MIB, "0-63");
	unsigned n;

	(void)state;
	assert_int_equal(km_stress_allowed(&cpus, NULL), 0);
	n = km_cpuset_count(&cpus);
	for (int k = 0; k < KM_STRESS_KIND_N; k++) {
		struct km_stress_options o = { .kind = (enum km_stress_kind)k,
			                       .level_pct = 100,
			                       .cpus = &cpus,
			                       .caches = &c };
		struct km_stress_result r;
		struct km_stress *s;
		int64_t deadline_ns = km_clock_mono_ns(km_clock_system()) + PATIENCE_NS;
		int64_t before_ns;

		assert_int_equal(km_stress_start(&o, &s, NULL), 0);
		before_ns = others_ns();
		while (others_ns() < before_ns + n * WORKED_NS)
			assert_true(km_clock_mono_ns(km_clock_system()) < deadline_ns);
		km_stress_stop(s, &r);
		assert_int_equal(r.kind, k);
		assert_int_equal(r.level_pct, 100);
		assert_memory_equal(&r.cpus, &cpus, sizeof(cpus));
		assert_true(r.seconds > 0 && r.duty_ratio > 0 && r.ops_per_s > 0);
		assert_true(k == KM_STRESS_CPU ? isnan(r.bytes_per_s) : r.bytes_per_s >= 0);
		assert_true((k == KM_STRESS_CPU) == (r.working_set_bytes == 0));
		assert_string_equal(r.unit, km_stress_unit((enum km_stress_kind)k));
		assert_false(r.caches_assumed);
	}
}

static void at_intensity_0_there_is_memory_and_no_work(void **state)
{
	struct km_cpuset all;
	struct km_cpuset one = { .word = { 0 } };
	struct km_caches c = caches(MIB, 4 * MIB, "0-63");
	struct km_stress_options o = { .kind = KM_STRESS_L2, .cpus = &one, .caches = &c };
	struct km_stress_result r;
	struct km_stress *s;

	(void)state;
	assert_int_equal(km_stress_allowed(&all, NULL), 0);
	km_cpuset_add(&one, km_cpuset_next(&all, 0));
	assert_int_equal(km_stress_start(&o, &s, NULL), 0);
	km_stress_stop(s, &r);
	assert_true(r.ops_per_s == 0 && r.bytes_per_s == 0);
	assert_true(r.working_set_bytes == (double)MIB);
	km_stress_stop(NULL, NULL);
}

static void what_cannot_be_stressed_is_refused(void **state)
{
	struct km_cpuset all;
	struct km_cpuset none = { .word = { 0 } };
	struct km_cpuset last = { .word = { 0 } }; /* nobody has that many */
	struct km_caches c = caches(MIB, 4 * MIB, "0-63");
	const struct {
		enum km_stress_kind kind;
		unsigned level_pct;
		const struct km_cpuset *cpus;
		int rc;
		const char *want;
	} rows[] = {
		{ KM_STRESS_KIND_N, 1, &all, -EINVAL, "no kind of stress 5" },
		{ KM_STRESS_CPU, 101, &all, -EINVAL, "intensity: saw 101, want 0 to 100" },
		{ KM_STRESS_CPU, 1, &none, -EINVAL, "no CPU to stress" },
		{ KM_STRESS_CPU, 1, &last, -ERANGE, "CPU 1023 is none that this process may use" },
	};

	(void)state;
	km_cpuset_add(&last, KM_CPU_MAX - 1);
	assert_int_equal(km_stress_allowed(&all, NULL), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct km_stress_options o = { .kind = rows[i].kind,
			                       .level_pct = rows[i].level_pct,
			                       .cpus = rows[i].cpus,
			                       .caches = &c };
		struct km_stress *s;
		struct km_err err;

		assert_int_equal(km_stress_start(&o, &s, &err), rows[i].rc);
		assert_null(s);
		assert_non_null(strstr(err.text, rows[i].want));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(caches_are_those_of_sysfs),
		cmocka_unit_test(what_sysfs_does_not_say_is_assumed_and_told),
		cmocka_unit_test(a_cpu_that_is_not_there_is_refused),
		cmocka_unit_test(working_sets_follow_the_caches),
		cmocka_unit_test(a_walk_comes_by_each_line_once_a_round),
		cmocka_unit_test(a_triad_writes_every_element),
		cmocka_unit_test(threads_work_and_say_what_they_did),
		cmocka_unit_test(at_intensity_0_there_is_memory_and_no_work),
		cmocka_unit_test(what_cannot_be_stressed_is_refused),
	};

	return cmocka_run_group_tests_name("stress", tests, NULL, NULL);
}

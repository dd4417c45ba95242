/* SPDX-License-Identifier: Apache-2.0 */
/* perf's pure parts: the arithmetic of groups by hand-computed cases, events by family and sysfs.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/sources/libpcm.h"

#include "sources/perf_event.h"
#include "sources/perf_scale.h"
#include "support/tree.h"

#define MS UINT64_C(1000000)

static void counts_are_scaled_to_the_time_they_were_enabled(void **state)
{
	static const struct {
		uint64_t enabled[2], running[2], value[2];
		int want;
		double count;
		const char *why;
	} rows[] = {
		{ { 0, 1000 * MS }, { 0, 1000 * MS }, { 0, 4000 }, 0, 4000, "always on" },
		{ { 5, 5 + 1000 * MS }, { 5, 5 + 500 * MS }, { 10, 2010 }, 0, 4000, "half of it" },
		{ { 0, 1000 * MS }, { 0, 250 * MS }, { 7, 1007 }, 0, 4000, "a quarter of it" },
		/* one turn of three: 300 counted in 400 of 1200 ms are 900 */
		{ { 0, 1200 * MS }, { 0, 400 * MS }, { 0, 300 }, 0, 900, "a third of it" },
		/* only what lies between the readings counts: 600 of 800 ms, 30 -> 40 */
		{ { 9000 * MS, 9800 * MS }, { 100 * MS, 700 * MS }, { 12, 42 }, 0, 40, "later" },
		{ { 0, 1000 * MS }, { 0, 50 * MS }, { 0, 3 }, 0, 60, "the least that is known" },
		{ { 0, 1000 * MS }, { 0, 49 * MS }, { 0, 3 }, -EAGAIN, 0, "too little of it" },
		{ { 0, 1000 * MS }, { 0, 0 }, { 0, 0 }, -EAGAIN, 0, "never on: not 0" },
		{ { 7, 7 }, { 7, 7 }, { 5, 5 }, -ENODEV, 0, "its CPU is offline: not 0" },
		{ { 0, 1000 * MS }, { 0, 1000 * MS }, { 5, 5 }, 0, 0, "idle" },
		{ { 0, 1000 * MS }, { 0, 1000 * MS }, { 5, 4 }, -ERANGE, 0, "backwards" },
		{ { 10, 9 }, { 0, 5 }, { 0, 5 }, -ERANGE, 0, "enabled backwards" },
		{ { 0, 1000 }, { 10, 9 }, { 0, 5 }, -ERANGE, 0, "running backwards" },
		{ { 0, 10 * MS },
		  { 0, 10 * MS },
		  { UINT64_MAX - 1, 3 },
		  0,
		  5,
		  "wrapped at 64 bits" },
		/* the two times are read one after the other */
		{ { 0, 1000 * MS }, { 0, 1001 * MS }, { 0, 50 }, 0, 50, "a bit more than all" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_perf_reading before = { rows[i].enabled[0],
			                          rows[i].running[0],
			                          { 0, rows[i].value[0] } };
		struct km_perf_reading after = { rows[i].enabled[1],
			                         rows[i].running[1],
			                         { 0, rows[i].value[1] } };
		double out[2];
		int ret = km_perf_scale(&before, &after, 2, out);

		if (ret != rows[i].want)
			fail_msg("%s: %d, want %d", rows[i].why, ret, rows[i].want);
		if (ret == 0 && fabs(out[1] - rows[i].count) > 1e-9 * rows[i].count)
			fail_msg("%s: %g, want %g", rows[i].why, out[1], rows[i].count);
		if (ret != 0)
			assert_true(isnan(out[0]) && isnan(out[1]));
	}
}

static void a_reading_has_as_many_words_as_its_group(void **state)
{
	const uint64_t words[] = { 2, 11, 12, 101, 102, 103 };
	struct km_perf_reading r;

	(void)state;
	assert_int_equal(km_perf_reading_parse(words, 40, 2, &r), 0);
	assert_true(r.enabled_ns == 11 && r.running_ns == 12);
	assert_true(r.value[0] == 101 && r.value[1] == 102);
	assert_int_equal(km_perf_reading_parse(words, 48, 3, &r), -EBADMSG);
	assert_int_equal(km_perf_reading_parse(words, 32, 1, &r), -EBADMSG);
	assert_int_equal(km_perf_reading_parse(words, 39, 2, &r), -EBADMSG);
	assert_int_equal(km_perf_reading_parse(words, 0, 2, &r), -EBADMSG);
	assert_int_equal(km_perf_reading_parse(words, 40, 9, &r), -EBADMSG);
}

static void codes_come_from_the_allow_list(void **state)
{
	static const struct {
		const char *vendor;
		unsigned family, model;
		bool l2;
		enum km_perf_l3 l3;
		bool ref_is_tsc, halved;
	} rows[] = {
		{ "GenuineIntel", 6, 85, true, KM_PERF_L3_AS_PCM, true, false },
		{ "GenuineIntel", 6, 106, true, KM_PERF_L3_AS_PCM, true, false },
		{ "GenuineIntel", 6, 143, true, KM_PERF_L3_AS_PCM, true, false },
		{ "GenuineIntel", 6, 207, true, KM_PERF_L3_AS_PCM, true, false },
		{ "GenuineIntel", 6, 173, true, KM_PERF_L3_AS_PCM, true, true },
		{ "GenuineIntel", 6, 175, true, KM_PERF_L3_AS_PCM, false, true },
		{ "GenuineIntel", 6, 63, true, KM_PERF_L3_AS_PCM, false, false },
		{ "GenuineIntel", 6, 79, false, KM_PERF_L3_AS_PCM, false, false },
		{ "GenuineIntel", 6, 94, true, KM_PERF_L3_AS_PCM, false, false },
		{ "GenuineIntel", 6, 151, false, KM_PERF_L3_GENERIC, false, false },
		{ "GenuineIntel", 15, 85, false, KM_PERF_L3_GENERIC, false, false },
		{ "AuthenticAMD", 25, 1, false, KM_PERF_L3_NONE, false, false },
		{ "AuthenticAMD", 6, 85, false, KM_PERF_L3_NONE, false, false },
		{ "", 0, 0, false, KM_PERF_L3_NONE, false, false },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_perf_cpu_id id = { .family = rows[i].family, .model = rows[i].model };
		struct km_perf_event e[KM_PERF_CORE_EVENTS_MAX];
		enum km_perf_l3 l3;
		bool l2 = false;
		size_t n;

		(void)snprintf(id.vendor, sizeof(id.vendor), "%s", rows[i].vendor);
		n = km_perf_core_events(&id, e, &l3);
		for (size_t k = 0; k < n; k++) {
			if (e[k].role == KM_PERF_L2_MISS) {
				assert_int_equal(e[k].type, PERF_TYPE_RAW);
				l2 = true;
			}
			if (e[k].role == KM_PERF_L3_MISS)
				assert_int_equal(e[k].type, l3 == KM_PERF_L3_AS_PCM
				                                    ? PERF_TYPE_RAW
				                                    : PERF_TYPE_HARDWARE);
		}
		assert_int_equal(l2, rows[i].l2);
		assert_int_equal(l3, rows[i].l3);
		assert_int_equal(km_perf_ref_is_tsc(&id), rows[i].ref_is_tsc);
		assert_int_equal(km_perf_imc_is_halved(&id), rows[i].halved);
	}
}

/* "cpu/umask=0x20,event=0xd1,name=L3_MISS/": what perf takes as 0x20d1. */
static uint64_t code_of(const char *event)
{
	const char *umask = strstr(event, "umask=0x");
	const char *code = strstr(event, "event=0x");

	assert_non_null(umask);
	assert_non_null(code);
	return strtoul(umask + strlen("umask="), NULL, 16) << 8 |
	       strtoul(code + strlen("event="), NULL, 16);
}

/* A miss is the same thing from either source; where PCM needs a sum perf counts none. */
static void perf_and_pcm_count_the_same_events(void **state)
{
	unsigned known = 0;

	(void)state;
	for (unsigned model = 0; model < 256; model++) {
		struct km_perf_cpu_id id = { "GenuineIntel", 6, model };
		struct km_pcm_cpu cpu = { "GenuineIntel", 6, model, 5, 8 };
		struct km_perf_event e[KM_PERF_CORE_EVENTS_MAX];
		uint64_t code[KM_PERF_ROLE_N] = { 0 };
		struct km_pcm_events events;
		enum km_perf_l3 l3;
		size_t n = km_perf_core_events(&id, e, &l3);

		assert_int_equal(km_pcm_events_find(&cpu, &events, NULL), 0);
		assert_int_equal(l3 == KM_PERF_L3_AS_PCM, events.l3_slots != 0);
		if (events.l3_slots == 0)
			continue;
		known++;
		for (size_t i = 0; i < n; i++)
			code[e[i].role] = e[i].config[0];
		assert_int_equal(events.l3_slots, 1); /* of event 0 */
		assert_int_equal(code[KM_PERF_L3_MISS], code_of(events.event[0]));
		assert_int_equal(code[KM_PERF_L2_MISS],
		                 events.l2_slots == 2 ? code_of(events.event[1]) : 0);
	}
	assert_true(known > 30);
}

static void cpuinfo_names_the_cpu(void **state)
{
	static const struct {
		const char *text;
		int want;
		const char *vendor;
		unsigned family, model;
	} rows[] = {
		{ "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 207\n"
		  "model name\t: INTEL(R) XEON(R)\n",
		  0, "GenuineIntel", 6, 207 },
		{ "model name\t: 9\nvendor_id: AuthenticAMD\ncpu family: 25\nmodel: 1", 0,
		  "AuthenticAMD", 25, 1 },
		{ "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel name\t: 7\n", -EBADMSG, "", 0,
		  0 },
		{ "vendor_id\t: \ncpu family\t: 6\nmodel\t: 7\n", -EBADMSG, "", 0, 0 },
		{ "vendor_id\t: GenuineIntelGenuineIntel\ncpu family\t: 6\nmodel\t: 7\n", -EBADMSG,
		  "", 0, 0 },
		{ "vendor_id\t: GenuineIntel\ncpu family\t: six\nmodel\t: 7\n", -EBADMSG, "", 0,
		  0 },
		{ "CPU implementer\t: 0x41\nCPU architecture: 8\n", -EBADMSG, "", 0, 0 }, /* arm */
		{ "", -EBADMSG, "", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_perf_cpu_id id;

		assert_int_equal(km_perf_cpu_id_parse(rows[i].text, strlen(rows[i].text), &id),
		                 rows[i].want);
		if (rows[i].want != 0)
			continue;
		assert_string_equal(id.vendor, rows[i].vendor);
		assert_int_equal(id.family, rows[i].family);
		assert_int_equal(id.model, rows[i].model);
	}
}

static void terms_are_names_and_numbers(void **state)
{
	static const struct {
		const char *text;
		int want;
		size_t count;
		uint64_t last;
	} rows[] = {
		{ "event=0x04,umask=0x03", 0, 2, 3 },
		{ "event=0x04,umask=0xcf", 0, 2, 0xcf },
		{ "event=12", 0, 1, 12 },
		{ "event=0xff,edge", 0, 2, 1 },
		{ "event=0xFFFFFFFFFFFFFFFF", 0, 1, UINT64_MAX },
		{ "event=0x1FFFFFFFFFFFFFFFF", -EBADMSG, 0, 0 },
		{ "", -EBADMSG, 0, 0 },
		{ "event=", -EBADMSG, 0, 0 },
		{ "=4", -EBADMSG, 0, 0 },
		{ "event=-4", -EBADMSG, 0, 0 },
		{ "event=0x", -EBADMSG, 0, 0 },
		{ "event=0xg", -EBADMSG, 0, 0 },
		{ "event=4,", -EBADMSG, 0, 0 },
		{ "event=4,,umask=1", -EBADMSG, 0, 0 },
		{ "../event=4", -EBADMSG, 0, 0 },
		{ "a_name_of_more_than_thirty_one_letters=4", -EBADMSG, 0, 0 },
		{ "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p", 0, 16, 1 },
		{ "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", -E2BIG, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_perf_terms terms;

		if (km_perf_terms_parse(rows[i].text, &terms) != rows[i].want)
			fail_msg("\"%s\": want %d", rows[i].text, rows[i].want);
		if (rows[i].want == 0) {
			assert_int_equal(terms.count, rows[i].count);
			assert_true(terms.term[terms.count - 1].value == rows[i].last);
		}
	}
}

static void a_format_says_where_bits_go(void **state)
{
	static const struct {
		const char *format;
		uint64_t value;
		int want;
		uint64_t config[3];
	} rows[] = {
		{ "config:0-7", 0x04, 0, { 0x04, 0, 0 } },
		{ "config:8-15", 0x03, 0, { 0x0300, 0, 0 } },
		{ "config:8-15,32-55",
		  0x1234cf,
		  0,
		  { 0x1234 * (UINT64_C(1) << 32) + 0xcf00, 0, 0 } },
		{ "config1:0-63", UINT64_MAX, 0, { 0, UINT64_MAX, 0 } },
		{ "config2:63", 1, 0, { 0, 0, UINT64_C(1) << 63 } },
		{ "config:18", 1, 0, { 1 << 18, 0, 0 } },
		{ "config:0-7", 0x100, -EBADMSG, { 0 } }, /* does not fit */
		{ "config:64", 1, -EBADMSG, { 0 } },
		{ "config:7-0", 1, -EBADMSG, { 0 } },
		{ "config3:0-7", 1, -EBADMSG, { 0 } },
		{ "config", 1, -EBADMSG, { 0 } },
		{ "config:", 1, -EBADMSG, { 0 } },
		{ "config:0-7,", 1, -EBADMSG, { 0 } },
		{ "", 1, -EBADMSG, { 0 } },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_perf_event e = { .type = 0 };

		if (km_perf_format_apply(rows[i].format, rows[i].value, &e) != rows[i].want)
			fail_msg("\"%s\": want %d", rows[i].format, rows[i].want);
		if (rows[i].want == 0)
			assert_memory_equal(e.config, rows[i].config, sizeof(e.config));
	}
}

static void sysfs_describes_an_event(void **state)
{
	struct km_perf_event e = { .role = KM_PERF_READ_BYTES };
	struct km_perf_pmu pmu;
	struct km_err err;
	struct tree t;

	(void)state;
	tree_init(&t);
#define IMC "bus/event_source/devices/uncore_imc_0/"
	assert_int_equal(km_perf_pmu_read(t.root, "uncore_imc_0", &pmu, &err), -ENOENT);
	tree_put(&t, IMC "type", "eleven\n");
	assert_int_equal(km_perf_pmu_read(t.root, "uncore_imc_0", &pmu, &err), -EBADMSG);
	tree_put(&t, IMC "type", "11\n");
	tree_put(&t, IMC "cpumask", "0,28\n");
	assert_int_equal(km_perf_pmu_read(t.root, "uncore_imc_0", &pmu, &err), 0);
	assert_int_equal(pmu.type, 11);
	assert_int_equal(km_cpuset_count(&pmu.cpus), 2);
	assert_true(km_cpuset_has(&pmu.cpus, 28));
	assert_int_equal(km_perf_pmu_event(t.root, &pmu, "cas_count_read", true, &e, &err),
	                 -ENOENT);
	tree_put(&t, IMC "format/event", "config:0-7\n");
	tree_put(&t, IMC "format/umask", "config:8-15\n");
	tree_put(&t, IMC "events/cas_count_read", "event=0x04,umask=0x03\n");
	/* without a scale and a unit nobody knows what a count is worth */
	assert_int_equal(km_perf_pmu_event(t.root, &pmu, "cas_count_read", true, &e, &err),
	                 -EBADMSG);
	assert_int_equal(km_perf_pmu_event(t.root, &pmu, "cas_count_read", false, &e, &err), 0);
	assert_true(e.scale == 1);
	tree_put(&t, IMC "events/cas_count_read.scale", "6.103515625e-5\n");
	tree_put(&t, IMC "events/cas_count_read.unit", "MiB\n");
	assert_int_equal(km_perf_pmu_event(t.root, &pmu, "cas_count_read", true, &e, &err), 0);
	assert_int_equal(e.type, 11);
	assert_true(e.config[0] == 0x0304 && e.config[1] == 0 && e.config[2] == 0);
	assert_true(e.scale == 64);
	assert_int_equal(e.role, KM_PERF_READ_BYTES);
	tree_put(&t, IMC "events/cas_count_read.unit", "Joules\n");
	assert_int_equal(km_perf_pmu_event(t.root, &pmu, "cas_count_read", true, &e, &err),
	                 -EBADMSG);
	tree_put(&t, IMC "events/cas_count_read.unit", "MiB\n");
	tree_put(&t, IMC "events/cas_count_read.scale", "inf\n");
	assert_int_equal(km_perf_pmu_event(t.root, &pmu, "cas_count_read", true, &e, &err),
	                 -EBADMSG);
	tree_put(&t, IMC "events/cas_count_read.scale", "1\n");
	tree_put(&t, IMC "events/cas_count_read", "event=0x04,umask=0x03,thresh=1\n");
	assert_int_equal(km_perf_pmu_event(t.root, &pmu, "cas_count_read", true, &e, &err),
	                 -EBADMSG);
	assert_non_null(strstr(err.text, "term thresh has no place"));
#undef IMC
	tree_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_are_scaled_to_the_time_they_were_enabled),
		cmocka_unit_test(a_reading_has_as_many_words_as_its_group),
		cmocka_unit_test(codes_come_from_the_allow_list),
		cmocka_unit_test(perf_and_pcm_count_the_same_events),
		cmocka_unit_test(cpuinfo_names_the_cpu),
		cmocka_unit_test(terms_are_names_and_numbers),
		cmocka_unit_test(a_format_says_where_bits_go),
		cmocka_unit_test(sysfs_describes_an_event),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

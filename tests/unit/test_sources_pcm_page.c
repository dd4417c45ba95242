/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus' text, pcm-sensor-server's page in it, and the sample between two pages. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/clock.h"

#include "sources/pcm_page.h"
#include "sources/prom_text.h"
#include "support/pcm_page_text.h"

static void a_line_is_a_name_labels_and_a_number(void **state)
{
	static const struct {
		const char *text;
		int next, parse; /* what the two functions say */
		size_t labels;
		double value;
	} rows[] = {
		{ "a 1\n", 1, 0, 0, 1 },
		{ "a 1", 1, 0, 0, 1 },
		{ "a 1\r\n", 1, 0, 0, 1 },
		{ "# HELP a b\n\n  \n\ta{x=\"1\"} -2.5e3\n", 1, 0, 1, -2500 },
		{ "a{x=\"1\",y=\"\"} 0.013\n", 1, 0, 2, 0.013 },
		{ "a{x=\"1\",} 1\n", 1, 0, 1, 1 },
		{ "a { x = \"1\" , y=\"2\" } 1 1700000000000\n", 1, 0, 2, 1 },
		{ "a{} 1 -5\n", 1, 0, 0, 1 },
		{ "a{x=\"q\\\"}\\\\\"} 3\n", 1, 0, 1, 3 },
		{ "a:b_1 18446744073709551615\n", 1, 0, 0, 18446744073709551615.0 },
		{ "a nan\n", 1, 0, 0, NAN },
		{ "a -nan\n", 1, 0, 0, NAN },
		{ "a +Inf\n", 1, 0, 0, INFINITY },
		{ "", 0, 0, 0, 0 },
		{ "# only words\n", 0, 0, 0, 0 },
		{ "1a 1\n", -EBADMSG, 0, 0, 0 },
		{ "a-b 1\n", -EBADMSG, 0, 0, 0 },
		{ "a\n", -EBADMSG, 0, 0, 0 },
		{ "<!DOCTYPE html>\n", -EBADMSG, 0, 0, 0 },
		{ "a \n", 1, -EBADMSG, 0, 0 },
		{ "a 1 2 3\n", 1, -EBADMSG, 0, 0 },
		{ "a 1x\n", 1, -EBADMSG, 0, 0 },
		{ "a{x=\"1\"\n", 1, -EBADMSG, 0, 0 },
		{ "a{x=\"1} 1\n", 1, -EBADMSG, 0, 0 },
		{ "a{x=\"1\\\n", 1, -EBADMSG, 0, 0 },
		{ "a{x=1} 1\n", 1, -EBADMSG, 0, 0 },
		{ "a{x} 1\n", 1, -EBADMSG, 0, 0 },
		{ "a{x=\"1\" y=\"2\"} 1\n", 1, -EBADMSG, 0, 0 },
		{ "a{a=\"\",b=\"\",c=\"\",d=\"\",e=\"\",f=\"\",g=\"\",h=\"\",i=\"\",j=\"\",k=\"\","
		  "l=\"\","
		  "m=\"\"} 1\n",
		  1, -E2BIG, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		/* ends with the heap block, so that reading on is found */
		size_t len = strlen(rows[i].text);
		char *text = malloc(len + (len == 0));
		const char *at = text;
		struct km_prom_line line;
		struct km_prom_sample s;
		int next;

		assert_non_null(text);
		memcpy(text, rows[i].text, len);
		next = km_prom_next(&at, text + len, &line);
		if (next != rows[i].next)
			fail_msg("\"%s\": %d, want %d", rows[i].text, next, rows[i].next);
		if (next == 1) {
			int parse = km_prom_parse(&line, &s);

			if (parse != rows[i].parse)
				fail_msg("\"%s\": %d, want %d", rows[i].text, parse, rows[i].parse);
			if (parse == 0) {
				assert_int_equal(s.label_count, rows[i].labels);
				assert_true(isnan(rows[i].value) ? isnan(s.value)
				                                 : s.value == rows[i].value);
			}
		}
		free(text);
	}
}

struct pair {
	struct km_pcm_page a, b;
	struct km_sample_space space;
	struct km_source_stats stats;
	struct km_err err;
};

static int parse(struct km_pcm_page *page, const struct pcm_host *h, struct km_err *err)
{
	struct km_buf text;
	int ret;

	km_buf_init(&text);
	page_of(&text, h);
	ret = km_pcm_page_parse(page, text.data, text.len, err);
	km_buf_fini(&text);
	return ret;
}

/* The sample of two hosts, 2 s apart by our clock. */
static int sample_of(struct pair *p, const struct pcm_host *a, const struct pcm_host *b)
{
	int ret;

	assert_int_equal(parse(&p->a, a, &p->err), 0);
	assert_int_equal(parse(&p->b, b, &p->err), 0);
	ret = km_pcm_page_sample(&p->a, &p->b, 2 * KM_NS_PER_S, 100 * KM_NS_PER_S, &p->space,
	                         &p->stats);
	if (ret == 1)
		assert_null(km_sample_implausible(&p->space.sample));
	return ret;
}

static void pair_fini(struct pair *p)
{
	km_pcm_page_fini(&p->a);
	km_pcm_page_fini(&p->b);
	km_sample_space_fini(&p->space);
}

static void near(double got, double want, const char *what)
{
	if (isnan(want) ? !isnan(got) : !(fabs(got - want) <= 1e-6 * fabs(want)))
		fail_msg("%s: %.17g, want %.17g", what, got, want);
}

static void two_pages_are_what_was_counted_between_them(void **state)
{
	struct pcm_host a = pcm_host_at(1000);
	struct pcm_host b = pcm_host_at(1002);
	struct pair p = { .err = { 0 } };

	(void)state;
	assert_int_equal(sample_of(&p, &a, &b), 1);
	assert_int_equal(p.space.sample.cpu_count, 8);
	assert_true(p.space.sample.end_ns == 100 * KM_NS_PER_S);
	assert_true(p.space.sample.start_ns == 98 * KM_NS_PER_S);
	for (unsigned cpu = 0; cpu < 8; cpu++) {
		const double *c = p.space.cpu + (size_t)cpu * KM_COUNT_CPU_N;

		near(c[KM_COUNT_INSTRUCTIONS], 3e8 * (cpu + 1), "instructions");
		near(c[KM_COUNT_CYCLES], 2e8 * (cpu + 1), "cycles");
		near(c[KM_COUNT_L2_MISS], 2e6 * (cpu + 1), "L2");
		near(c[KM_COUNT_L3_MISS], 2e5 * (cpu + 1), "L3");
		near(c[KM_COUNT_C0_NS], 0.25 * 2e9, "C0");
		near(c[KM_COUNT_C6_NS], 0.4 * 2e9, "C6");
		near(c[KM_COUNT_C1_NS], 0.25 * 2e9, "C1"); /* 0.1 of it is C3 */
		near(c[KM_COUNT_IPC_NS], NAN, "IPC as such");
	}
	near(p.space.sample.host[KM_HOST_MEM_READ_BYTES], 2 * 2 * 3e9, "read");
	near(p.space.sample.host[KM_HOST_MEM_WRITE_BYTES], 2 * 2 * 1e9, "write");
	near(p.space.sample.host[KM_HOST_L3_OCCUPANCY_BYTES], 8 * 512 * 1024, "occupancy");
	near(p.space.sample.host[KM_HOST_MBM_LOCAL_BYTES], 2 * 8 * 100 * 0x1p20, "local");
	near(p.space.sample.host[KM_HOST_MBM_TOTAL_BYTES], 2 * 8 * 120 * 0x1p20, "total");
	near(p.space.sample.host[KM_HOST_RUNNABLE], NAN, "runnable");
	for (unsigned f = 0; f < KM_FAULT_N; f++)
		assert_int_equal(p.stats.fault[f], 0);
	pair_fini(&p);
}

/* 0 since the beginning is PCM's way to say that it does not count. */
static void zero_for_ever_is_not_measured(void **state)
{
	struct pcm_host a = pcm_host_at(1000);
	struct pcm_host b = pcm_host_at(1002);
	struct km_source_offer offer = { .cpu = 0 };
	struct pair p = { .err = { 0 } };

	(void)state;
	a.no_l2 = a.no_dram = a.no_rdt = a.no_cstates = true;
	b.no_l2 = b.no_dram = b.no_rdt = b.no_cstates = true;
	assert_int_equal(sample_of(&p, &a, &b), 1);
	near(p.space.cpu[KM_COUNT_L2_MISS], NAN, "L2");
	near(p.space.cpu[KM_COUNT_L3_MISS], 2e5, "L3");
	near(p.space.cpu[KM_COUNT_C0_NS], 0.25 * 2e9, "C0");
	near(p.space.cpu[KM_COUNT_C6_NS], NAN, "C6");
	near(p.space.cpu[KM_COUNT_C1_NS], NAN, "C1: C6 is not known");
	for (unsigned h = 0; h < KM_HOST_COUNT_N; h++)
		assert_true(isnan(p.space.sample.host[h]));
	km_pcm_page_offer(&p.b, &offer);
	assert_int_equal(offer.host, 0);
	assert_int_equal(offer.cpu, 1U << KM_COUNT_INSTRUCTIONS | 1U << KM_COUNT_CYCLES |
	                                    1U << KM_COUNT_L3_MISS | 1U << KM_COUNT_C0_NS);
	assert_true(offer.owns_pmu);
	pair_fini(&p);
}

static void an_offline_cpu_is_unknown_and_needs_a_baseline(void **state)
{
	struct pcm_host a = pcm_host_at(1000);
	struct pcm_host b = pcm_host_at(1002);
	struct pair p = { .err = { 0 } };
	const double *five;

	(void)state;
	b.offline_cpu = 5;
	assert_int_equal(sample_of(&p, &a, &b), 1);
	five = p.space.cpu + (size_t)5 * KM_COUNT_CPU_N;
	for (unsigned c = 0; c < KM_COUNT_CPU_N; c++)
		assert_true(isnan(five[c]));
	near(p.space.cpu[(size_t)4 * KM_COUNT_CPU_N + KM_COUNT_CYCLES], 1e9, "another");
	assert_int_equal(p.stats.fault[KM_FAULT_VANISHED], 1);
	assert_int_equal(sample_of(&p, &b, &a), 1); /* back, with all its past */
	five = p.space.cpu + (size_t)5 * KM_COUNT_CPU_N;
	assert_true(isnan(five[KM_COUNT_CYCLES]));
	pair_fini(&p);
}

/* All that a page may have. */
static void the_last_of_1024_cpus_is_one_of_them(void **state)
{
	struct pcm_host a = pcm_host_at(1000);
	struct pcm_host b = pcm_host_at(1002);
	struct pair p = { .err = { 0 } };

	(void)state;
	a.cores = KM_CPU_MAX / 4;
	b.cores = KM_CPU_MAX / 4;
	assert_int_equal(sample_of(&p, &a, &b), 1);
	assert_int_equal(p.space.sample.cpu_count, KM_CPU_MAX);
	near(p.space.cpu[(size_t)(KM_CPU_MAX - 1) * KM_COUNT_CPU_N + KM_COUNT_L3_MISS],
	     2e5 * KM_CPU_MAX, "L3");
	pair_fini(&p);
}

/* PCM was started anew, or somebody reset the counters. */
static void totals_that_run_back_are_unknown(void **state)
{
	struct pcm_host a = pcm_host_at(1000);
	struct pcm_host b = pcm_host_at(3);
	struct pair p = { .err = { 0 } };

	(void)state;
	b.clock_s = a.clock_s + 2;
	assert_int_equal(sample_of(&p, &a, &b), 1);
	for (unsigned i = 0; i < 8 * KM_COUNT_CPU_N; i++)
		assert_true(isnan(p.space.cpu[i]));
	near(p.space.sample.host[KM_HOST_MEM_READ_BYTES], NAN, "read");
	near(p.space.sample.host[KM_HOST_L3_OCCUPANCY_BYTES], 8 * 512 * 1024, "a level");
	assert_true(p.stats.fault[KM_FAULT_BACKWARDS] > 0);
	pair_fini(&p);
}

static void the_servers_clock_is_believed_within_reason(void **state)
{
	static const struct {
		double before, after; /* s, of the server */
		int want;
		double seconds; /* of the sample; ours are 2 */
	} rows[] = {
		{ 10, 12, 1, 2 },  { 10, 12.2, 1, 2.2 }, { 10, 15, 1, 5 },
		{ 10, 31, 1, 2 },  { 10, 10.1, 1, 2 },   { 10, 9, 1, 2 },
		{ NAN, 12, 1, 2 }, { 10, NAN, 1, 2 },    { 10, 10, 0, 0 }, /* the same page */
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct pcm_host a = pcm_host_at(1000);
		struct pcm_host b = pcm_host_at(1002);
		struct pair p = { .err = { 0 } };
		int ret;

		assert_int_equal(parse(&p.a, &a, &p.err), 0);
		assert_int_equal(parse(&p.b, &b, &p.err), 0);
		p.a.clock_us = rows[i].before * 1e6;
		p.b.clock_us = rows[i].after * 1e6;
		ret = km_pcm_page_sample(&p.a, &p.b, 2 * KM_NS_PER_S, 100 * KM_NS_PER_S, &p.space,
		                         &p.stats);
		assert_int_equal(ret, rows[i].want);
		if (ret == 1)
			near((double)(p.space.sample.end_ns - p.space.sample.start_ns) * 1e-9,
			     rows[i].seconds, "seconds");
		pair_fini(&p);
	}
}

/* Old versions number cores by their APIC, and two may have one number. */
static void cpus_that_cannot_be_told_apart_are_unknown(void **state)
{
	static const char *const two_of_one_place =
		"OS_ID{socket=\"0\",core=\"0\",thread=\"0\"} 0\n"
		"Invariant_TSC{socket=\"0\",core=\"0\",thread=\"0\",source=\"core\"} 5\n"
		"OS_ID{socket=\"0\",core=\"0\",thread=\"0\"} 1\n"
		"Invariant_TSC{socket=\"0\",core=\"0\",thread=\"0\",source=\"core\"} 6\n"
		"OS_ID{socket=\"0\",core=\"1\",thread=\"0\"} 2\n"
		"Invariant_TSC{socket=\"0\",core=\"1\",thread=\"0\",source=\"core\"} 7\n";
	static const char *const two_places_of_one =
		"OS_ID{socket=\"0\",core=\"0\",thread=\"0\"} 1\n"
		"OS_ID{socket=\"0\",core=\"0\",thread=\"1\"} 1\n"
		"OS_ID{socket=\"0\",core=\"1\",thread=\"0\"} 2\n"
		"Invariant_TSC{socket=\"0\",core=\"0\",thread=\"0\",source=\"core\"} 5\n"
		"Invariant_TSC{socket=\"0\",core=\"0\",thread=\"1\",source=\"core\"} 6\n"
		"Invariant_TSC{socket=\"0\",core=\"1\",thread=\"0\",source=\"core\"} 7\n";
	const char *const texts[] = { two_of_one_place, two_places_of_one };

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(texts); i++) {
		struct km_pcm_page page = { .cpu_count = 0 };

		assert_int_equal(km_pcm_page_parse(&page, texts[i], strlen(texts[i]), NULL), 0);
		assert_int_equal(page.cpu_count, 3);
		assert_int_equal(page.ambiguous, 2);
		assert_true(isnan(page.total[KM_PAGE_TSC]));
		assert_true(isnan(page.total[KM_PAGE_TOTAL_N + KM_PAGE_TSC]));
		assert_true(page.total[(size_t)2 * KM_PAGE_TOTAL_N + KM_PAGE_TSC] == 7);
		km_pcm_page_fini(&page);
	}
}

static void what_is_no_page_of_pcm_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"<html>not found</html>\n",
		"up 1\nnode_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 5\n",
		"OS_ID{socket=\"0\",core=\"0\"} 0\n",
		"OS_ID{socket=\"0\",core=\"0\",thread=\"0\"} -1\n",
		"OS_ID{socket=\"0\",core=\"0\",thread=\"0\"} 1024\n",
		"OS_ID{socket=\"0\",core=\"0\",thread=\"0\"} 0.5\n",
		"OS_ID{socket=\"0\",core=\"x\",thread=\"0\"} 0\n",
		"OS_ID{socket=\"0\",core=\"70000\",thread=\"0\"} 0\n",
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(texts); i++) {
		struct km_pcm_page page = { .cpu_count = 0 };
		struct km_err err = { 0 };

		assert_int_equal(km_pcm_page_parse(&page, texts[i], strlen(texts[i]), &err),
		                 -EBADMSG);
		assert_non_null(strstr(err.text, "not a page of pcm-sensor-server"));
		km_pcm_page_fini(&page);
	}
}

/* Sockets stand in for the system's own line; a bad number costs its series. */
static void lines_that_lack_cost_no_more_than_themselves(void **state)
{
	static const char text[] =
		"OS_ID{socket=\"0\",core=\"0\",thread=\"0\"} 0\n"
		"Clock_Unhalted_Thread{socket=\"0\",core=\"0\",thread=\"0\",source=\"core\"} -5\n"
		"Invariant_TSC{socket=\"0\",core=\"0\",thread=\"0\",source=\"core\"} 9\n"
		"Invariant_TSC{socket=\"0\",core=\"7\",thread=\"0\",source=\"core\"} 9\n"
		"L2_Cache_Misses{socket=\"0\",core=\"0\",thread=\"0\",source=\"core\"} inf\n"
		"L3_Cache_Misses{socket=\"0\",core=\"0\",thread=\"0\"} 5\n"
		"DRAM_Reads{socket=\"0\",source=\"uncore\"} 10\n"
		"DRAM_Reads{socket=\"1\",source=\"uncore\"} 20\n"
		"DRAM_Writes{socket=\"0\",source=\"uncore\"} 10\n"
		"DRAM_Writes{aggregate=\"system\",source=\"uncore\"} 70\n";
	struct km_pcm_page page = { .cpu_count = 0 };

	(void)state;
	assert_int_equal(km_pcm_page_parse(&page, text, sizeof(text) - 1, NULL), 0);
	assert_int_equal(page.bad_lines, 2);
	assert_true(page.total[KM_PAGE_TSC] == 9);
	assert_true(isnan(page.total[KM_PAGE_CYCLES]));
	assert_true(isnan(page.total[KM_PAGE_L2_MISS]));
	assert_true(isnan(page.total[KM_PAGE_L3_MISS])); /* of no source */
	assert_true(page.host[KM_PAGE_READ_BYTES] == 30);
	assert_true(page.host[KM_PAGE_WRITE_BYTES] == 70);
	assert_true(isnan(page.clock_us));
	km_pcm_page_fini(&page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_a_name_labels_and_a_number),
		cmocka_unit_test(two_pages_are_what_was_counted_between_them),
		cmocka_unit_test(zero_for_ever_is_not_measured),
		cmocka_unit_test(an_offline_cpu_is_unknown_and_needs_a_baseline),
		cmocka_unit_test(the_last_of_1024_cpus_is_one_of_them),
		cmocka_unit_test(totals_that_run_back_are_unknown),
		cmocka_unit_test(the_servers_clock_is_believed_within_reason),
		cmocka_unit_test(cpus_that_cannot_be_told_apart_are_unknown),
		cmocka_unit_test(what_is_no_page_of_pcm_is_refused),
		cmocka_unit_test(lines_that_lack_cost_no_more_than_themselves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

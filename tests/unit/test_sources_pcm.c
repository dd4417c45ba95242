/* SPDX-License-Identifier: Apache-2.0 */
/* PCM's CSV, line by line: headers of every form, units, and rows that cannot be trusted. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/clock.h"
#include "km/base/macros.h"
#include "km/sources/pcm_csv.h"

/* What became of a text of several lines: the codes of its lines and the last sample. */
struct result {
	char codes[64]; /* a letter a line: n none, S sample, r repeated, b bad, E error */
	int error;
	struct km_err err; /* of the last bad line or error */
	struct km_sample sample;
	double cpu[4][KM_COUNT_CPU_N];
	uint32_t cpu_count;
};

static void feed(struct km_pcm_csv *p, const char *text, struct result *r)
{
	memset(r, 0, sizeof(*r));
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");
		struct km_err err = { 0 };
		int got = km_pcm_csv_line(p, text, len, &r->sample, &err);
		size_t at = strlen(r->codes);

		assert_true(at + 1 < sizeof(r->codes));
		r->codes[at] = 'E';
		if (got >= 0) {
			r->codes[at] = "nSrb"[got];
		}
		if (got < 0) {
			r->error = got;
		}
		if (got < 0 || got == KM_PCM_ROW_BAD) {
			r->err = err;
			assert_true(err.text[0] != '\0');
		}
		if (got == KM_PCM_ROW_SAMPLE) {
			for (uint32_t c = 0; c < r->sample.cpu_count && c < 4; c++) {
				memcpy(r->cpu[c], r->sample.cpu + (size_t)c * KM_COUNT_CPU_N,
				       sizeof(r->cpu[c]));
			}
			r->sample.cpu = &r->cpu[0][0]; /* the reader's own is gone soon */
		}
		text += len + (text[len] == '\n');
	}
	r->cpu_count = km_pcm_csv_cpu_count(p);
}

static void parse(const char *text, struct result *r)
{
	struct km_pcm_csv *p;

	assert_int_equal(km_pcm_csv_create(&p), 0);
	feed(p, text, r);
	km_pcm_csv_free(p);
}

static void near(double got, double want)
{
	if (isnan(want) ? !isnan(got) : !(fabs(got - want) <= 1e-9 * fmax(1, fabs(want)))) {
		fail_msg("got %.12g, want %.12g", got, want);
	}
}

static void every_header_form_reads_the_same(void **state)
{
	static const struct {
		const char *header, *end, *why;
	} rows[] = {
		{ "System,System,System,System,Core0 (Socket 0),Core0 (Socket 0),Core1 (Socket 0)\n"
		  "Date,Time,READ,WRITE,IPC,C0res%,IPC\n",
		  "", "two lines, domains repeated" },
		{ "System,System,System,System,Core0 (Socket 0),Core0 (Socket 0),Core1 (Socket "
		  "0),\n"
		  "Date,Time,READ,WRITE,IPC,C0res%,IPC,\n",
		  ",", "a comma at the end of each line, as PCM prints it" },
		{ "System,,,,Core0 (Socket 0),,Core1 (Socket "
		  "0)\nDate,Time,READ,WRITE,IPC,C0res%,IPC\n",
		  "", "domains left empty after the first" },
		{ "System,,,,Core0 (Socket 0),,Core1 (Socket 0),,\n"
		  "Date,Time,READ,WRITE,IPC,C0res%,IPC,L3HIT,\n",
		  ",0.5,", "the last domain carried on" },
		{ "System - Date,System - Time,System - READ,System - WRITE,"
		  "Core0 (Socket 0) - IPC,Core0 (Socket 0) - C0res%,Core1 (Socket 0) - IPC\n",
		  "", "merged" },
		{ "System - Date,System - Time,System - READ,System - WRITE,"
		  "Core0 (Socket 0) - IPC,Core0 (Socket 0) - C0res%,Core1 (Socket 0) - IPC\r\n",
		  "\r", "merged, CRLF left in the line" },
		{ "System,System,System,System,Core0 (Socket12),Core0 (Socket12),Core1 (Socket12)\n"
		  "Date,Time,READ,WRITE,IPC,C0res%,IPC\n",
		  "", "two-digit sockets" },
	};
	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		char text[1024];
		struct result r;

		(void)snprintf(text, sizeof(text),
		               "%s2025-07-01,07:00:00.000,1,2,0.5,10,1.0%s\n"
		               "2025-07-01,07:00:05.000,1,2,0.5,10,1.0%s\n",
		               rows[i].header, rows[i].end, rows[i].end);
		parse(text, &r);
		if (strcmp(r.codes + strlen(r.codes) - 2, "nS") != 0) {
			fail_msg("%s: %s %s", rows[i].why, r.codes, r.err.text);
		}
		assert_int_equal(r.cpu_count, 2);
		assert_true(r.sample.end_ns - r.sample.start_ns == 5 * KM_NS_PER_S);
		near(r.sample.host[KM_HOST_MEM_READ_BYTES], 1e9);
		near(r.sample.host[KM_HOST_MEM_WRITE_BYTES], 2e9);
		near(r.cpu[0][KM_COUNT_C0_NS], 0.5e9);
		near(r.cpu[0][KM_COUNT_IPC_NS], 0.25e9);
		near(r.cpu[0][KM_COUNT_IPC_WEIGHT_NS], 0.5e9);
		near(r.cpu[1][KM_COUNT_IPC_WEIGHT_NS], 5e9); /* C0 unknown: elapsed time */
		near(r.cpu[1][KM_COUNT_C0_NS], NAN);
	}
}

static void units_are_those_that_pcm_prints(void **state)
{
	struct result r;

	(void)state;
	parse("System;System;Socket 0;Socket 0;Socket 0;SKT1;SKT1;SKT1;SKT0 Core C-State;"
	      "Core1 (Socket 0);Core1 (Socket 0);Core1 (Socket 0);Core1 (Socket 0);"
	      "Core1 (Socket 0);Core1 (Socket 0);Core1 (Socket 0)\n"
	      "Date;Time;READ;WRITE;L3OCC;READ;WRITE;L3OCC;C0res%;"
	      "L3MISS;L2MISS;C0res%;C1res%;C6res%;INST;ACYC\n"
	      "2025-07-01;07:00:00;1;2;3;4;5;6;9;0;0;0;0;0;0;0\n"
	      "2025-07-01;07:00:02;1;2;300;4;5;600;9;0.25;1.5;20;30;50;4000;2000\n",
	      &r);
	assert_string_equal(r.codes, "nnnS");
	assert_int_equal(r.cpu_count, 2);
	/* the system's READ is absent: the sockets' sum */
	near(r.sample.host[KM_HOST_MEM_READ_BYTES], 5e9);
	near(r.sample.host[KM_HOST_MEM_WRITE_BYTES], 7e9);
	near(r.sample.host[KM_HOST_L3_OCCUPANCY_BYTES], 900 * 1024.0);
	near(r.cpu[1][KM_COUNT_L3_MISS], 0.25e6);
	near(r.cpu[1][KM_COUNT_L2_MISS], 1.5e6);
	near(r.cpu[1][KM_COUNT_C0_NS], 0.4e9);
	near(r.cpu[1][KM_COUNT_C1_NS], 0.6e9);
	near(r.cpu[1][KM_COUNT_C6_NS], 1e9);
	near(r.cpu[1][KM_COUNT_INSTRUCTIONS], 4e9);
	near(r.cpu[1][KM_COUNT_CYCLES], 2e9);
	near(r.cpu[1][KM_COUNT_IPC_NS], NAN);
	near(r.cpu[1][KM_COUNT_BUSY_NS], NAN);
	for (size_t k = 0; k < KM_COUNT_CPU_N; k++) {
		near(r.cpu[0][k], NAN); /* core 0 is not in the file */
	}
	assert_null(km_sample_implausible(&r.sample));
}

#define HEADER "System - Date,System - Time,System - READ,Core0 - IPC,Core0 - L2MISS\n"

static void a_cell_without_a_number_is_not_measured(void **state)
{
	static const struct {
		const char *ipc, *read;
		double want_ipc_ns, want_read;
		char want_code;
		bool plausible;
	} rows[] = {
		{ "0.5", "1", 0.5e9, 1e9, 'S', true },
		{ "", "", NAN, NAN, 'S', true },
		{ " ", " N/A ", NAN, NAN, 'S', true },
		{ "nan", "-nan", NAN, NAN, 'S', true },
		{ "-1", "1", NAN, 1e9, 'S', true },                 /* PCM: no active cycles */
		{ "0.5", "18446744073.71", 0.5e9, NAN, 'S', true }, /* PCM: (uint64)-1 bytes */
		{ "-0.5", "1", -0.5e9, 1e9, 'S', false },
		{ "17", "1", 17e9, 1e9, 'S', false },
		{ "1e300", "1", INFINITY, 1e9, 'S', false },
		{ "0.5", "-1", 0.5e9, -1e9, 'S', false },
		{ "inf", "1", INFINITY, 1e9, 'S', false },
		{ "0,5", "1", 0, 0, 'b', false },
		{ "0.5x", "1", 0, 0, 'b', false },
		{ "\"0.5\"", "1", 0, 0, 'b', false },
	};
	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		char text[512];
		struct result r;

		(void)snprintf(text, sizeof(text),
		               HEADER "2025-07-01,07:00:00,1,1,1\n2025-07-01,07:00:01,%s,%s,1\n",
		               rows[i].read, rows[i].ipc);
		parse(text, &r);
		if (r.codes[2] != rows[i].want_code) {
			fail_msg("row %zu: %s %s", i, r.codes, r.err.text);
		}
		if (rows[i].want_code != 'S') {
			continue;
		}
		if (isfinite(rows[i].want_ipc_ns) || isnan(rows[i].want_ipc_ns)) {
			near(r.cpu[0][KM_COUNT_IPC_NS], rows[i].want_ipc_ns);
		}
		near(r.sample.host[KM_HOST_MEM_READ_BYTES], rows[i].want_read);
		assert_int_equal(km_sample_implausible(&r.sample) == NULL, rows[i].plausible);
	}
}

static void a_header_that_is_none_is_refused(void **state)
{
	static const struct {
		const char *text;
		int want;
		const char *in_error;
	} rows[] = {
		{ "System,System,System\nDate,Time\n", -EBADMSG, "more domains" },
		{ "System,System\nDate,Time,IPC\n", -EBADMSG, "more metrics" },
		{ "System,System\nDate,Time\n", -EBADMSG, "none of the columns" },
		{ "System - Date,System - IPC\n", -EBADMSG, "Date and Time" },
		{ "System - Date,System - Time,Core1024 (Socket 0) - IPC\n", -E2BIG, "Core1024" },
		{ "System - Date,System - Time,Core99999999999 - IPC\n", -E2BIG, "over 1023" },
	};
	char noise[1024] = "";
	struct result r;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		parse(rows[i].text, &r);
		assert_int_equal(r.error, rows[i].want);
		if (strstr(r.err.text, rows[i].in_error) == NULL) {
			fail_msg("\"%s\" lacks \"%s\"", r.err.text, rows[i].in_error);
		}
	}
	for (size_t i = 0; i < 33; i++) {
		memcpy(noise + 12 * i, "hello,world\n", 13);
	}
	parse(noise, &r);
	assert_int_equal(r.error, -EBADMSG);
	assert_non_null(strstr(r.err.text, "no PCM header"));
	/* a few lines of PCM's own talk are no harm */
	parse(" Intel(r) Performance Counter Monitor\n\n" HEADER "2025-07-01,07:00:00,1,1,1\n", &r);
	assert_string_equal(r.codes, "nnnn");
	assert_int_equal(r.cpu_count, 1);
}

static void a_row_covers_the_time_since_the_row_before(void **state)
{
	static const struct {
		const char *rows;
		const char *codes; /* after the header's n */
		double seconds;    /* of the last sample */
		const char *why;
	} cases[] = {
		{ "2025-07-01,07:00:00.500\n2025-07-01,07:00:02.500\n", "nS", 2, "distance" },
		{ "2025-12-31,23:59:59\n2026-01-01,00:00:01\n", "nS", 2, "date rollover" },
		{ "2024-02-28,23:59:59\n2024-02-29,00:00:00\n", "nS", 1, "leap day" },
		{ "2024-02-29,23:59:59\n2024-03-01,00:00:00\n", "nS", 1, "after it" },
		{ "2025-07-01,07:00:00\n2025-07-01,07:00:01\n2025-07-01,07:00:03\n", "nSS", 2,
		  "a late row covers what it says" },
		{ "2025-07-01,07:00:00\n2025-07-01,07:00:01\n2025-07-01,07:10:00\n", "nSS", 1,
		  "after a gap, the usual interval" },
		{ "2025-07-01,07:00:00\n2025-07-01,07:00:01\n2025-07-01,07:00:xx\n"
		  "2025-07-01,07:00:03\n",
		  "nSbS", 1, "an unreadable time between" },
		{ "2025-07-01,07:00:00\n2025-07-01,07:00:00\n", "nr", 0, "repeated" },
		{ "2025-07-01,07:00:00\n2025-07-01,07:00:01\n2025-07-01,07:00:01\n"
		  "2025-07-01,07:00:02\n",
		  "nSrS", 1, "repeated between" },
		{ "2025-10-26,02:59:59\n2025-10-26,02:00:00\n2025-10-26,02:00:01\n", "nbS", 1,
		  "the end of summer time: the clock starts anew" },
		{ "1969-12-31,23:59:59\n", "b", 0, "a year before 1970" },
		{ "2101-01-01,00:00:00\n", "b", 0, "a year that no trace is of" },
		{ "2025-13-01,00:00:00\n", "b", 0, "month 13" },
		{ "2025-07-01,24:00:00\n", "b", 0, "hour 24" },
		{ "2025-07-01,07:00:00.\n", "b", 0, "a dot without fraction" },
		{ "01.07.2025,07:00:00\n", "b", 0, "another date format" },
	};
	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(cases); i++) {
		char text[1024] = HEADER;
		const char *at = cases[i].rows;
		struct result r;

		while (*at != '\0') {
			size_t len = strcspn(at, "\n");

			(void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
			               "%.*s,1,1,1\n", (int)len, at);
			at += len + 1;
		}
		parse(text, &r);
		if (strcmp(r.codes + 1, cases[i].codes) != 0) {
			fail_msg("%s: %s %s", cases[i].why, r.codes, r.err.text);
		}
		if (cases[i].seconds > 0) {
			near((double)(r.sample.end_ns - r.sample.start_ns) * 1e-9,
			     cases[i].seconds);
		}
	}
}

static void time_never_goes_back(void **state)
{
	struct km_pcm_csv *p;
	struct result r;
	int64_t before;

	(void)state;
	assert_int_equal(km_pcm_csv_create(&p), 0);
	feed(p, HEADER "2025-10-26,02:59:58,1,1,1\n2025-10-26,02:59:59,1,1,1\n", &r);
	before = r.sample.end_ns;
	feed(p, "2025-10-26,02:00:00,1,1,1\n2025-10-26,02:00:01,1,1,1\n", &r);
	assert_string_equal(r.codes, "bS");
	assert_non_null(strstr(r.err.text, "clock went back"));
	assert_true(r.sample.start_ns == before);
	assert_true(r.sample.end_ns == before + KM_NS_PER_S);
	/* a loop's seam: the clock starts anew, at its own time */
	km_pcm_csv_restart(p);
	feed(p, "2025-10-26,01:00:00,1,1,1\n2025-10-26,01:00:01,1,1,1\n", &r);
	assert_string_equal(r.codes, "nS");
	km_pcm_csv_free(p);
}

static void a_clock_that_swings_for_ever_does_not_overflow(void **state)
{
	struct km_pcm_csv *p;
	struct result r;

	(void)state;
	assert_int_equal(km_pcm_csv_create(&p), 0);
	feed(p, HEADER, &r);
	for (int i = 0; i < 20; i++) {
		feed(p, "2099-01-01,00:00:00,1,1,1\n1970-01-01,00:00:00,1,1,1\n", &r);
	}
	km_pcm_csv_free(p);
}

static void rows_that_do_not_fit_the_header_are_bad(void **state)
{
	static const struct {
		const char *row;
		char want;
	} rows[] = {
		{ "2025-07-01,07:00:01,1,1,1", 'S' },
		{ "2025-07-01,07:00:01,1,1,1,", 'S' },
		{ "2025-07-01,07:00:01,1,1,1,,,", 'S' },
		{ "2025-07-01,07:00:01,1,1", 'b' },
		{ "2025-07-01,07:00:01,1,1,1,7", 'b' },
		{ "2025-07-01", 'b' },
		{ "garbage", 'b' },
		{ ",,,,", 'b' },
		{ "   ", 'n' },
	};
	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		char text[512];
		struct result r;

		(void)snprintf(text, sizeof(text), HEADER "2025-07-01,07:00:00,1,1,1\n%s\n",
		               rows[i].row);
		parse(text, &r);
		if (r.codes[2] != rows[i].want) {
			fail_msg("%s: %s %s", rows[i].row, r.codes, r.err.text);
		}
	}
}

#define STATES                                                                                     \
	"System - Date,System - Time,Core0 (Socket 0) - C0res%,Core0 (Socket 0) - C1res%,"         \
	"Core0 (Socket 0) - C7res%\n"

static void a_row_that_accounts_for_less_than_its_neighbours_is_partial(void **state)
{
	static const struct {
		const char
			*c1; /* percent of rows after the first, a letter each: a 88, b 85, ... */
		const char *codes;
		const char *why;
	} rows[] = {
		{ "aaaaaab", "SSSSSSb", "the last row of a trace that PCM was stopped in" },
		{ "aab", "SSS", "too few rows to tell" },
		{ "aaac", "SSSS", "a little less is usual" },
		{ "ddddda", "SSSSSS", "a trace that never accounts for all, then does" },
		{ "aaadddddd", "SSSbSSSSS", "a lasting change is taken after one row" },
		{ "adadadad", "SSSSSSSS", "a trace that swings" },
	};
	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		char text[2048] = STATES "2025-07-01,07:00:00,1,50,9\n";
		size_t count = strlen(rows[i].c1);
		struct result r;

		for (size_t k = 0; k < count; k++) {
			char level = rows[i].c1[k];

			(void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
			               "2025-07-01,07:00:%02zu,2,%d,10\n", k + 1,
			               level == 'a'   ? 88
			               : level == 'b' ? 71
			               : level == 'c' ? 86
			                              : 40);
		}
		parse(text, &r);
		if (strcmp(r.codes + 2, rows[i].codes) != 0) {
			fail_msg("%s: %s %s", rows[i].why, r.codes + 2, r.err.text);
		}
	}
}

static void a_second_header_starts_the_clock_anew(void **state)
{
	struct result r;

	(void)state;
	parse(HEADER "2025-07-01,07:00:00,1,1,1\n2025-07-01,07:00:01,1,1,1\n"
	             "System,System,Core0 (Socket 0),Core2 (Socket 0)\nDate,Time,IPC,IPC\n"
	             "2025-07-01,07:10:00,1,1\n2025-07-01,07:10:01,1,1\n",
	      &r);
	assert_string_equal(r.codes, "nnSnnnS");
	assert_int_equal(r.cpu_count, 3);
}

static void a_declared_interval_replaces_the_distance(void **state)
{
	struct km_pcm_csv *p;
	struct result r;

	(void)state;
	assert_int_equal(km_pcm_csv_create(&p), 0);
	assert_int_equal(km_pcm_csv_cpu_count(p), 0);
	km_pcm_csv_set_interval(p, 2);
	feed(p, HEADER "2025-07-01,07:00:00,1,1,1\n2025-07-01,07:00:30,1,1,1\n", &r);
	assert_string_equal(r.codes, "nnS");
	near((double)(r.sample.end_ns - r.sample.start_ns) * 1e-9, 2);
	km_pcm_csv_set_interval(p, 1e30); /* none that a sampler has: as not declared */
	feed(p, "2025-07-01,07:00:40,1,1,1\n", &r);
	near((double)(r.sample.end_ns - r.sample.start_ns) * 1e-9, 10);
	km_pcm_csv_free(p);
	km_pcm_csv_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_header_form_reads_the_same),
		cmocka_unit_test(units_are_those_that_pcm_prints),
		cmocka_unit_test(a_cell_without_a_number_is_not_measured),
		cmocka_unit_test(a_header_that_is_none_is_refused),
		cmocka_unit_test(a_row_covers_the_time_since_the_row_before),
		cmocka_unit_test(time_never_goes_back),
		cmocka_unit_test(a_clock_that_swings_for_ever_does_not_overflow),
		cmocka_unit_test(rows_that_do_not_fit_the_header_are_bad),
		cmocka_unit_test(a_row_that_accounts_for_less_than_its_neighbours_is_partial),
		cmocka_unit_test(a_second_header_starts_the_clock_anew),
		cmocka_unit_test(a_declared_interval_replaces_the_distance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

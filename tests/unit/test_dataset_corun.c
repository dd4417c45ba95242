/* SPDX-License-Identifier: Apache-2.0 */
/* dataset: files of co-runs. What they say, and what is said of those that say it badly. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/dataset/corun.h"

#define HEAD "platform,workload,neighbour,alone_ms,with_neighbour_ms\n"

static int open_text(const char *text, struct km_corun **out, struct km_err *err)
{
	char path[] = "/tmp/km-corun-XXXXXX";
	int fd = mkstemp(path);
	int rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(close(fd), 0);
	*err = (struct km_err){ .code = 0 };
	rc = km_corun_open(path, out, err);
	assert_int_equal(unlink(path), 0);
	return rc;
}

static void rows_come_sorted_with_their_mirrors(void **state)
{
	static const char text[] =
		"slowdown,platform,workload,neighbour,alone_ms,with_neighbour_ms\n"
		"9,pi,b,a,4,5\n"
		"9,pi,a,b,2,3\n"
		"9,nuc,a,b,1,1\n"
		"9,pi,a,c,2,2.5\n";
	struct km_corun *c = NULL;
	const struct km_corun_row *row;
	struct km_corun_stats stats;
	struct km_err err;
	size_t count;

	(void)state;
	assert_int_equal(open_text(text, &c, &err), 0);
	row = km_corun_rows(c, &count);
	assert_int_equal(count, 4);
	assert_int_equal(km_corun_platforms(c), 2);
	assert_int_equal(km_corun_workloads(c), 3);
	/* ids in the order of their first line: b, a, c */
	assert_string_equal(km_corun_platform(c, row[0].platform), "pi");
	assert_string_equal(km_corun_workload(c, row[0].workload), "b");
	assert_string_equal(km_corun_workload(c, row[0].neighbour), "a");
	assert_true(fabs(row[0].log_slowdown - log(1.25)) < 1e-12);
	assert_true(fabs(row[0].log_alone - log(4)) < 1e-12);
	assert_int_equal(row[0].mirror, 1);
	assert_int_equal(row[1].mirror, 0);
	assert_int_equal(row[2].mirror, KM_CORUN_NONE);
	assert_int_equal(row[3].mirror, KM_CORUN_NONE); /* the same two, elsewhere */
	assert_true(fabs(km_corun_alone(c, 0, 1) - log(2)) < 1e-12);
	assert_true(isnan(km_corun_alone(c, 1, 0)));
	assert_true(isnan(km_corun_alone(c, 0, 2))); /* only ever a neighbour */
	km_corun_stats(c, &stats);
	assert_int_equal(stats.lines, 4);
	assert_int_equal(stats.repeated + stats.unusable + stats.differ, 0);
	assert_true(isnan(stats.repeat_sd));
	km_corun_free(c);
	km_corun_free(NULL);
}

static void repeated_lines_are_one_row_and_tell_the_noise(void **state)
{
	static const char text[] =
		HEAD "p,a,b,1,2\np,a,b,1,2\np,a,b,1,2.42\np,b,a,1,3\np,b,a,1,3.3\n"
		     "p,c,c,1,2\np,c,c,1,4\n";
	struct km_corun *c = NULL;
	const struct km_corun_row *row;
	struct km_corun_stats stats;
	struct km_err err;
	double a = log(2.42 / 2);
	double b = log(1.1);
	size_t count;

	(void)state;
	assert_int_equal(open_text(text, &c, &err), 0);
	row = km_corun_rows(c, &count);
	assert_int_equal(count, 3);
	assert_true(fabs(row[0].log_slowdown - (2 * log(2) + log(2.42)) / 3) < 1e-12);
	km_corun_stats(c, &stats);
	assert_int_equal(stats.repeated, 4);
	/* beside itself it is measured twice by design, not again */
	assert_int_equal(stats.differ, 2);
	assert_true(fabs(stats.repeat_sd - sqrt((a * a / 2 + b * b / 2) / 2)) < 1e-12);
	km_corun_free(c);
}

static void lines_without_a_time_are_counted_and_left_out(void **state)
{
	static const char text[] = HEAD "p,a,b,0,2\np,a,b,1,0\np,a,b,,2\np,a,b,1,\np,a,b,1,2\n";
	struct km_corun *c = NULL;
	struct km_corun_stats stats;
	struct km_err err;
	size_t count;

	(void)state;
	assert_int_equal(open_text(text, &c, &err), 0);
	(void)km_corun_rows(c, &count);
	km_corun_stats(c, &stats);
	assert_int_equal(count, 1);
	assert_int_equal(stats.unusable, 4);
	km_corun_free(c);
}

static void bad_files_are_refused_with_place_and_reason(void **state)
{
	static const char long_name[] = HEAD
		"p,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,b,1,2\n";
	static const struct {
		const char *text, *where, *what;
		int code;
	} rows[] = {
		{ "", "empty", "header", -EBADMSG },
		{ HEAD, "no usable row", "of 0", -ENODATA },
		{ HEAD "p,a,b,0,0\n", "no usable row", "of 1", -ENODATA },
		{ "platform,workload,neighbour,alone_ms\np,a,b,1\n", "no column",
		  "with_neighbour_ms", -EBADMSG },
		{ HEAD "p,a,b,1,2\np,a,b,fast,2\n", ":3: alone_ms", "\"fast\"", -EBADMSG },
		{ HEAD "p,a,b,-1,2\n", ":2: alone_ms", "at least 0", -EBADMSG },
		{ HEAD "p,a,b,1,nan\n", ":2: with_neighbour_ms", "\"nan\"", -EBADMSG },
		{ HEAD "p,,b,1,2\n", ":2: workload", "1 to 64 bytes", -EBADMSG },
		{ long_name, ":2: workload", "1 to 64 bytes", -EBADMSG },
		{ HEAD "p,a,b,1\n", ":2:", "fewer fields", -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_corun *c = NULL;
		struct km_err err;
		int rc = open_text(rows[i].text, &c, &err);

		if (rc != rows[i].code || c != NULL || strstr(err.text, rows[i].where) == NULL ||
		    strstr(err.text, rows[i].what) == NULL)
			fail_msg("row %zu: %d \"%s\"", i, rc, err.text);
	}
}

static void an_absent_file_is_named(void **state)
{
	struct km_err err = { .code = 0 };
	struct km_corun *c = NULL;

	(void)state;
	assert_int_equal(km_corun_open("/nowhere/coruns.csv", &c, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nowhere/coruns.csv"));
	assert_null(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_come_sorted_with_their_mirrors),
		cmocka_unit_test(repeated_lines_are_one_row_and_tell_the_noise),
		cmocka_unit_test(lines_without_a_time_are_counted_and_left_out),
		cmocka_unit_test(bad_files_are_refused_with_place_and_reason),
		cmocka_unit_test(an_absent_file_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

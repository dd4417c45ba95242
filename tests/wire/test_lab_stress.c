/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla-lab stress` as a person runs it: what it prints, and what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/wire/stress_report.h"

#include "support/tool.h"
#include "support/tree.h"

static void it_reports_as_json_and_in_words(void **state)
{
	static const char *const json[] = { "stress", "l2",  "--seconds", "0.05",
		                            "-i",     "100", "--json",    NULL };
	static const char *const words[] = { "stress", "cpu", "-s", "0.01", NULL };
	struct km_stress_result r;
	struct tool_result t;

	(void)state;
	tool_result_init(&t);
	tool_run_program("kubemarla-lab", json, NULL, 0, &t);
	tool_want_code(&t, 0);
	assert_int_equal(km_stress_report_decode(t.out.data, t.out.len, &r, NULL), 0);
	assert_int_equal(r.kind, KM_STRESS_L2);
	assert_true(r.seconds >= 0.05 && r.working_set_bytes > 0);
	tool_run_program("kubemarla-lab", words, NULL, 0, &t);
	tool_want_code(&t, 0);
	tool_want_text(t.out.data, "cpu at 100 %");
	tool_want_text(t.out.data, "rounds/s");
	tool_result_fini(&t);
}

static void bad_input_is_one_line(void **state)
{
	static const struct {
		const char *args[6];
		const char *want;
	} rows[] = {
		{ { "cpuu" }, "no kind \"cpuu\", did you mean cpu?" },
		{ { "l4" }, "did you mean l2?" },
		{ { "zzzz" }, "want cpu, l2, l3, membw or mixed" },
		{ { "cpu", "-i", "101" }, "--intensity: saw \"101\", want 0 to 100" },
		{ { "cpu", "-i", "-1" }, "--intensity: saw \"-1\", want 0 to 100" },
		{ { "cpu", "-i", "half" }, "--intensity: saw \"half\"" },
		{ { "cpu", "-s", "0" }, "--seconds: saw \"0\", want a number over 0" },
		{ { "cpu", "-s", "nan" }, "--seconds: saw \"nan\"" },
		{ { "cpu", "-c", "1-" }, "--cpus: " },
		{ { "cpu", "-c", "" }, "--cpus: saw \"\", want at least one CPU" },
		{ { "cpu", "-c", "1023" }, "--cpus: CPU 1023 is not online" },
		{ { "cpu", "l2" }, "Usage: kubemarla-lab stress KIND" },
		{ { NULL }, "Usage: kubemarla-lab stress KIND" },
		{ { "cpu", "--fast" }, "Usage: kubemarla-lab stress KIND" },
	};
	struct tool_result t;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *args[8] = { "stress" };

		for (size_t a = 0; a < 6; a++)
			args[a + 1] = rows[i].args[a];
		tool_result_init(&t);
		tool_run_program("kubemarla-lab", args, NULL, 0, &t);
		tool_want_code(&t, 2);
		tool_want_text(t.err.data, rows[i].want);
		tool_result_fini(&t);
	}
}

static void caches_that_are_not_told_are_said(void **state)
{
	const char *args[] = { "stress", "l2", "-s", "0.01", "-i", "0", "--sysfs", NULL, NULL };
	struct tool_result t;
	struct tree tree;

	(void)state;
	tree_init(&tree);
	args[7] = tree.root;
	tool_result_init(&t);
	tool_run_program("kubemarla-lab", args, NULL, 0, &t);
	tool_want_code(&t, 0);
	tool_want_text(t.err.data, "L2 of 1 MiB and L3 of 32 MiB assumed: ");
	tool_result_fini(&t);
	tree_fini(&tree);
}

static void without_stress_ng_it_says_how_to_get_it(void **state)
{
	static const char *const args[] = { "stress", "cpu",       "--compare", "-i",
		                            "0",      "--seconds", "0.01",      NULL };
	struct tool_result t;
	struct tree tree;
	char *path = strdup(getenv("PATH")); /* NOLINT: one thread */

	(void)state;
	assert_non_null(path);
	tree_init(&tree);
	(void)setenv("PATH", tree.root, 1); /* NOLINT: one thread */
	tool_result_init(&t);
	tool_run_program("kubemarla-lab", args, NULL, 0, &t);
	(void)setenv("PATH", path, 1); /* NOLINT: one thread */
	tool_want_code(&t, 1);
	tool_want_text(t.err.data, "stress-ng is not installed: apt-get install stress-ng");
	tool_result_fini(&t);
	tree_fini(&tree);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_reports_as_json_and_in_words),
		cmocka_unit_test(bad_input_is_one_line),
		cmocka_unit_test(caches_that_are_not_told_are_said),
		cmocka_unit_test(without_stress_ng_it_says_how_to_get_it),
	};

	return cmocka_run_group_tests_name("lab stress", tests, NULL, NULL);
}

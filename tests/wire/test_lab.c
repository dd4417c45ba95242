/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla-lab` as a person runs it: help, version, suggestions, and what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/tool.h"

static void help_version_and_what_is_no_command(void **state)
{
	static const struct {
		const char *args[3];
		int code;
		const char *out, *err;
	} rows[] = {
		{ { "--help" }, 0, "Usage: kubemarla-lab COMMAND", "" },
		{ { "help", "help" }, 0, "kubemarla-lab(1) has it all.", "" },
		{ { "version" }, 0, "kubemarla-lab ", "" },
		{ { "-V" }, 0, "kubemarla-lab ", "" },
		{ { NULL }, 2, "", "Usage: kubemarla-lab COMMAND" },
		{ { "hepl" }, 2, "", "kubemarla-lab: no command \"hepl\", did you mean help?" },
		{ { "help", "versionx" }, 2, "", "did you mean version?" },
		{ { "frobnicate" }, 2, "", "`kubemarla-lab help` lists them" },
	};
	struct tool_result r;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tool_result_init(&r);
		tool_run_program("kubemarla-lab", rows[i].args, NULL, 0, &r);
		assert_int_equal(r.code, rows[i].code);
		assert_non_null(strstr(r.out.data, rows[i].out));
		assert_non_null(strstr(r.err.data, rows[i].err));
		tool_result_fini(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(help_version_and_what_is_no_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla-lab record` on this machine: what it writes is a trace; what is wrong is told, of
 * `import` too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/base/macros.h"
#include "km/sources/trace.h"

#include "support/tool.h"

/* returns how many samples a text has; fails the test when it is no trace. */
static unsigned samples_of(const char *text, size_t len)
{
	struct km_trace *t = NULL;
	unsigned samples = 0;

	assert_int_equal(km_trace_create(&t), 0);
	while (len > 0) {
		const char *newline = memchr(text, '\n', len);
		struct km_sample s;
		struct km_err err = { .code = 0 };
		int row;

		assert_non_null(newline);
		row = km_trace_line(t, text, (size_t)(newline - text), &s, &err);
		if (row != KM_TRACE_ROW_NONE && row != KM_TRACE_ROW_SAMPLE) {
			fail_msg("%d %s", row, err.text);
		}
		samples += row == KM_TRACE_ROW_SAMPLE;
		len -= (size_t)(newline - text) + 1;
		text = newline + 1;
	}
	assert_true(km_trace_is_whole(t));
	km_trace_free(t);
	return samples;
}

static void the_trace_is_on_standard_output(void **state)
{
	static const char *const args[] = { "record", "--sources",  "os",    "--seconds",
		                            "0.4",    "--interval", "100ms", NULL };
	struct tool_result r;

	(void)state;
	tool_result_init(&r);
	tool_run_program("kubemarla-lab", args, NULL, 0, &r);
	tool_want_code(&r, 0);
	tool_want_text(r.out.data, "start_ns,end_ns,cpu0.busy_ns");
	tool_want_text(r.err.data, " samples of os, tier os\n");
	/* late ticks are one sample, so on a busy machine there may be fewer than four */
	assert_in_range(samples_of(r.out.data, strlen(r.out.data)), 1, 4);
	tool_result_fini(&r);
}

static void the_trace_is_a_file_packed_when_its_name_says_so(void **state)
{
	char path[] = "/tmp/km-test-record-XXXXXX.csv.gz";
	const char *const args[] = { "record",    "--sources", "os",
		                     "--seconds", "0.2",       "--interval",
		                     "100ms",     "--nodes",   "a=0@no-such-group",
		                     "--out",     path,        "--json",
		                     NULL };
	struct tool_result r;
	struct km_buf text;
	int fd = mkstemps(path, 7);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	tool_result_init(&r);
	km_buf_init(&text);
	tool_run_program("kubemarla-lab", args, NULL, 0, &r);
	tool_want_code(&r, 0);
	tool_want_text(r.out.data, "\"sources\":\"os\",\"tier\":\"os\"");
	assert_int_equal(km_file_read(path, 1 << 20, &text, NULL), 0);
	assert_in_range(samples_of(text.data, text.len), 1, 2);
	km_buf_fini(&text);
	tool_result_fini(&r);
	assert_int_equal(unlink(path), 0);
}

static void what_is_wrong_is_told(void **state)
{
	static const struct {
		const char *args[7];
		int code;
		const char *err;
	} rows[] = {
		{ { "record", "--seconds", "0" }, 2, "--seconds: saw \"0\"" },
		{ { "record", "more" }, 2, "record [OPTION]" },
		{ { "record", "--nodes", "a=0,b=0" }, 2, "both have CPU 0" },
		{ { "record", "--nodes", "a=0-1,3,b=1" }, 2, "both have CPU 1" },
		{ { "record", "--nodes", "a" }, 2, "want a CPU list" },
		{ { "record", "--nodes", "A\"b=0" }, 2, "nodes[0].name" },
		{ { "record", "--interval", "soon" }, 2, "collect.interval" },
		{ { "record", "--sources", "os, perv" }, 2, "collect.sources[1]" },
		{ { "record", "--config", "/no/such", "--nodes", "a=0" },
		  2,
		  "--config has the nodes" },
		{ { "record", "--config", "/no/such" }, 2, "/no/such" },
		{ { "import", "/no/such" }, 2, "import FOLDER --out DIR" },
		{ { "import", "/no/such", "--out", "/no/such/either" },
		  2,
		  "/no/such: No such file" },
		{ { "import", "/no/such", "--out", "x", "--service-on", "3" }, 2, "import FOLDER" },
		{ { "record", "--sources", "os" }, 1, "/no/such/dir" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		const char *args[10] = { NULL };
		static const char *const unwritable[] = {
			"--seconds", "0.1", "--interval", "100ms", "--out", "/no/such/dir/x.csv"
		};
		struct tool_result r;

		memcpy(args, rows[i].args, sizeof(rows[i].args));
		if (rows[i].code == 1) {
			memcpy(args + 3, unwritable, sizeof(unwritable));
		}
		tool_result_init(&r);
		tool_run_program("kubemarla-lab", args, NULL, 0, &r);
		tool_want_code(&r, rows[i].code);
		tool_want_text(r.err.data, rows[i].err);
		assert_int_equal(r.out.len, 0);
		tool_result_fini(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_trace_is_on_standard_output),
		cmocka_unit_test(the_trace_is_a_file_packed_when_its_name_says_so),
		cmocka_unit_test(what_is_wrong_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla-pcm` as a person runs it: help, check, one reading as JSON, and what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "support/tool.h"
#include "support/tree.h"

struct run {
	struct tree tree;
	char library[256], procfs[96], sysfs[96];
	struct tool_result r;
};

static void run_init(struct run *x, const char *script)
{
	const char *build = getenv("KM_BUILD");

	tree_init(&x->tree);
	assert_int_equal(chmod(x->tree.root, 0755), 0);
	tree_put(&x->tree, "sys/devices/system/cpu/present", "0-2\n");
	tree_put(&x->tree, "sys/devices/system/cpu/online", "0,2\n");
	tree_dir(&x->tree, "proc");
	(void)snprintf(x->library, sizeof(x->library), "%s/tests/libpcm_fake.so",
	               build != NULL ? build : "build");
	(void)snprintf(x->procfs, sizeof(x->procfs), "%s/proc", x->tree.root);
	(void)snprintf(x->sysfs, sizeof(x->sysfs), "%s/sys", x->tree.root);
	(void)setenv("KUBEMARLA_PCM_CPU", "GenuineIntel/6/143", 1);
	(void)setenv("LIBPCM_FAKE", script, 1);
}

static void run_fini(struct run *x)
{
	tool_result_fini(&x->r);
	tree_fini(&x->tree);
}

static void run(struct run *x, const char *mode)
{
	const char *const args[] = { mode,      "--library", x->library,  "--procfs", x->procfs,
		                     "--sysfs", x->sysfs,    "--seconds", "0.001",    NULL };

	tool_result_init(&x->r);
	tool_run_program("kubemarla-pcm", args, NULL, 0, &x->r);
}

static void once_prints_one_reading_as_json(void **state)
{
	static const char head[] =
		"{\"processor\":\"GenuineIntel/6/143\",\"family\":\"Sapphire Rapids\",\"seconds\":";
	struct run x;

	(void)state;
	run_init(&x, "cpus=3");
	run(&x, "--once");
	assert_int_equal(x.r.code, 0);
	assert_memory_equal(x.r.out.data, head, sizeof(head) - 1);
	/* CPU 1 is offline */
	assert_non_null(strstr(
		x.r.out.data,
		",\"cpus\":["
		"{\"cpu\":0,\"cycles\":1000,\"instructions\":2000,\"l2Misses\":10,\"l3Misses\":1},"
		"{\"cpu\":1,\"cycles\":null,\"instructions\":null,\"l2Misses\":null,"
		"\"l3Misses\":null},"
		"{\"cpu\":2,\"cycles\":3000,\"instructions\":6000,\"l2Misses\":30,"
		"\"l3Misses\":3}]}\n"));
	/* what libpcm prints is in the log, not among it */
	assert_string_equal(x.r.err.data, "info pcm libpcm says \"fake libpcm\"\n");
	run_fini(&x);
}

static void a_failure_is_one_line_and_exit_code_1(void **state)
{
	struct run x;

	(void)state;
	run_init(&x, "init=-1");
	run(&x, "--once");
	assert_int_equal(x.r.code, 1);
	assert_string_equal(x.r.out.data, "");
	assert_non_null(strstr(x.r.err.data, "error pcm absent reason=\"pcm_c_init says -1, wanted "
	                                     "0; libpcm: ERROR: fake vPMU is not enabled\"\n"));
	run_fini(&x);
}

static void check_says_what_would_be_counted(void **state)
{
	struct run x;

	(void)state;
	run_init(&x, "init=-1"); /* which a check does not call */
	run(&x, "--check");
	assert_int_equal(x.r.code, 0);
	assert_string_equal(x.r.out.data, "ok: GenuineIntel 6/143, Sapphire Rapids: cycles, "
	                                  "instructions, L2 and L3 misses\n");
	tool_result_fini(&x.r);
	(void)setenv("KUBEMARLA_PCM_CPU", "AuthenticAMD/25/1", 1);
	run(&x, "--check");
	assert_int_equal(x.r.code, 1);
	assert_non_null(strstr(x.r.out.data, "absent: processor AuthenticAMD 25/1: "));
	run_fini(&x);
}

static void help_and_usage(void **state)
{
	static const struct {
		const char *args[4];
		int code;
		const char *out, *err;
	} rows[] = {
		{ { "--help" }, 0, "Usage: kubemarla-pcm", "" },
		{ { "-V" }, 0, "kubemarla-pcm ", "" },
		{ { NULL }, 2, "", "Usage: kubemarla-pcm" },
		{ { "--once", "--frames" }, 2, "", "Usage: " },
		{ { "--once", "--seconds", "0" }, 2, "", "saw 0, want 0.001 to 3600" },
		{ { "--once", "extra" }, 2, "", "Usage: " },
		{ { "--reset" }, 2, "", "Usage: " },
	};
	struct tool_result r;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tool_result_init(&r);
		tool_run_program("kubemarla-pcm", rows[i].args, NULL, 0, &r);
		assert_int_equal(r.code, rows[i].code);
		assert_non_null(strstr(r.out.data, rows[i].out));
		assert_non_null(strstr(r.err.data, rows[i].err));
		tool_result_fini(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(once_prints_one_reading_as_json),
		cmocka_unit_test(a_failure_is_one_line_and_exit_code_1),
		cmocka_unit_test(check_says_what_would_be_counted),
		cmocka_unit_test(help_and_usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

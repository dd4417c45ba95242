/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla-lab check` as a person runs it: the example, its JSON, and plans that are refused. */
#include <cjson/cJSON.h>
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

#include "support/tool.h"

#define RUN(r, ...)                                                                                \
	tool_run_program("kubemarla-lab", (const char *[]){ __VA_ARGS__, NULL }, NULL, 0, (r))

static void the_example_is_a_plan(void **state)
{
	struct tool_result r;

	(void)state;
	tool_result_init(&r);
	RUN(&r, "check", "deploy/examples/lab-demo.yaml");
	tool_want_code(&r, 0);
	tool_want_text(r.out.data, "lab-demo: valid, mode local");
	tool_want_text(r.out.data, "r2__cpu60_on-target__1replicas_300rps\n");
	tool_want_text(r.out.data, "12 runs of 14 s: 2 min 48 s");
	tool_want_text(r.out.data, "90 plays of a trial: 21 min 0 s");
	tool_result_fini(&r);
}

static void json_has_what_the_text_has(void **state)
{
	struct tool_result r;
	cJSON *json;
	const cJSON *runs;

	(void)state;
	tool_result_init(&r);
	RUN(&r, "check", "--json", "deploy/examples/lab-demo.yaml");
	tool_want_code(&r, 0);
	json = cJSON_Parse(r.out.data);
	assert_non_null(json);
	runs = cJSON_GetObjectItemCaseSensitive(json, "runs");
	assert_int_equal(cJSON_GetArraySize(runs), 12);
	assert_true(cJSON_GetObjectItemCaseSensitive(json, "totalSeconds")->valuedouble == 168);
	assert_true(cJSON_GetObjectItemCaseSensitive(json, "trialPlays")->valuedouble == 90);
	assert_non_null(cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(runs, 0), "stressor"));
	cJSON_Delete(json);
	tool_result_fini(&r);
}

static void a_bad_plan_is_a_usage_error_with_its_line(void **state)
{
	static const char text[] = "name: t\nnodes: [{name: a, cpus: \"0\"}]\ntime: {before: 1s}\n";
	char path[] = "/tmp/km_lab_XXXXXX";
	struct tool_result r;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(km_file_write_atomic(path, text, sizeof(text) - 1, NULL), 0);
	tool_result_init(&r);
	RUN(&r, "check", path);
	tool_want_code(&r, 2);
	tool_want_text(r.err.data, ":3: time: no such key, did you mean times?");
	RUN(&r, "check", "/nowhere.yaml");
	tool_want_code(&r, 2);
	tool_want_text(r.err.data, "/nowhere.yaml: No such file");
	RUN(&r, "check");
	tool_want_code(&r, 2);
	RUN(&r, "check", "--help");
	tool_want_code(&r, 0);
	tool_want_text(r.out.data, "check PLAN");
	tool_result_fini(&r);
	(void)unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_is_a_plan),
		cmocka_unit_test(json_has_what_the_text_has),
		cmocka_unit_test(a_bad_plan_is_a_usage_error_with_its_line),
	};

	return cmocka_run_group_tests_name("lab check", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `kubemarla model` and `kubemarla eval --html` as a person runs them: on the fixed test model, on
 * one trained here from a synthetic folder, and on what is no model.
 */
#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/base/macros.h"

#include "support/dataset_world.h"
#include "support/tool.h"
#include "support/xml.h"

#define MODEL "tests/fixtures/model/test.ubj"

static struct dataset_world world; /* of the whole file: its model takes a second to train */
static struct tool_result result;

#define RUN(...) tool_run((const char *[]){ __VA_ARGS__, NULL }, NULL, 0, &result)

static const char *trained(void)
{
	return dataset_world_path(&world, "model.ubj");
}

static int setup(void **state)
{
	static const char *const features[] = { "node.ipc.mean", "node.c0_ratio.mean",
		                                "host.mem_write_bytes_per_s.std", "pod.rps" };

	(void)state;
	tool_result_init(&result);
	dataset_world_init(&world);
	dataset_world_plan(&world, 3);
	dataset_world_write(&world);
	(void)dataset_world_features(&world, "placement", "  rounds: 8\n", features,
	                             KM_ARRAY_LEN(features));
	RUN("train", "--dataset", world.dir, "--out", trained(), "--no-baselines");
	if (result.code != 0) {
		print_error("%s", result.err.data);
		return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tool_result_fini(&result);
	dataset_world_fini(&world);
	return 0;
}

static void want_code(int code)
{
	if (result.code != code)
		fail_msg("exit code %d, want %d\n%s%s", result.code, code, result.out.data,
		         result.err.data);
}

static void want(const struct km_buf *text, const char *part)
{
	if (strstr(text->data, part) == NULL)
		fail_msg("no \"%s\" in:\n%s", part, text->data);
}

static size_t lines(const struct km_buf *text)
{
	size_t count = 0;

	for (size_t i = 0; i < text->len; i++)
		count += text->data[i] == '\n';
	return count;
}

static void show_says_what_the_file_says_of_itself(void **state)
{
	(void)state;
	RUN("model", "show", MODEL);
	want_code(0);
	want(&result.out, "name      test\ntask      placement, tier uncore\n");
	want(&result.out, "\nscores    none\n");
	want(&result.out, "  TRAINED FROM  ");
	want(&result.out, "\nhost.mem_write_bytes_per_s.mean ");
	want(&result.out, " GB/s ");
	RUN("model", "show", trained());
	want_code(0);
	want(&result.out, "leave-campaign-out\n");
	want(&result.out, "\n          metrics: rows ");
	want(&result.out, ", mae 0.");
	want(&result.out, "interval  90 % of slowdowns: ");
}

static void show_as_json_is_v1_model_and_the_gain(void **state)
{
	const cJSON *feature;
	const cJSON *interval;
	double gain = 0;
	cJSON *tree;

	(void)state;
	RUN("model", "show", trained(), "--json");
	want_code(0);
	tree = cJSON_Parse(result.out.data);
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(tree, "loaded")));
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "features")), 4);
	cJSON_ArrayForEach(feature, cJSON_GetObjectItem(tree, "features")) gain +=
		cJSON_GetNumberValue(cJSON_GetObjectItem(feature, "gain"));
	assert_true(fabs(gain - 1) < 1e-5);
	assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "intervals")) > 0);
	cJSON_ArrayForEach(interval, cJSON_GetObjectItem(tree, "intervals"))
	{
		double middle = cJSON_GetNumberValue(cJSON_GetObjectItem(interval, "slowdown"));

		assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(interval, "low")) <= middle);
		assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(interval, "high")) >= middle);
	}
	assert_non_null(cJSON_GetObjectItem(cJSON_GetObjectItem(tree, "metrics"), "metrics"));
	cJSON_Delete(tree);
}

static void check_takes_a_model_and_nothing_else(void **state)
{
	const char *cut = dataset_world_path(&world, "cut.ubj");
	struct km_buf bytes;

	(void)state;
	RUN("model", "check", MODEL);
	want_code(0);
	want(&result.out, MODEL ": usable: test, placement, 5 features, tier uncore, ");
	assert_int_equal(lines(&result.out), 1);
	km_buf_init(&bytes);
	assert_int_equal(km_file_read(MODEL, 1 << 20, &bytes, NULL), 0);
	dataset_world_put(&world, "cut.ubj", bytes.data, bytes.len - 9);
	km_buf_fini(&bytes);
	for (size_t i = 0; i < 4; i++) {
		const char *const bad[] = { "README.md", cut, "no/such/file", "tests" };

		RUN("model", "check", bad[i]);
		assert_int_not_equal(result.code, 0);
		assert_int_equal(result.out.len, 0);
		assert_int_equal(lines(&result.err), 1);
		want(&result.err, bad[i]);
		if (i < 3)
			want_code(2);
	}
}

static void diff_of_a_model_with_itself_is_nothing(void **state)
{
	(void)state;
	RUN("model", "diff", MODEL, MODEL);
	want_code(0);
	assert_int_equal(result.out.len, 0);
}

static void diff_names_what_is_not_shared(void **state)
{
	(void)state;
	RUN("model", "diff", MODEL, trained());
	want_code(1);
	want(&result.out, "- " MODEL " ");
	want(&result.out, "\nname      - test\n          + ");
	want(&result.out, "\nfeature   - node.l3_miss_per_s.mean\n");
	want(&result.out, "\nfeature   - host.mem_write_bytes_per_s.mean\n");
	want(&result.out, "\nfeature   + host.mem_write_bytes_per_s.std\n");
	want(&result.out, "\nrange     node.ipc.mean: ");
	want(&result.out, "\nscore     + metrics.mae 0.");
	want(&result.out, "\nslowdowns of 13 golden rows differ by ");
	if (strstr(result.out.data, "feature   + node.ipc.mean") != NULL)
		fail_msg("shared, and said to be missing:\n%s", result.out.data);
	/* the other way round, signs turn */
	RUN("model", "diff", trained(), MODEL);
	want_code(1);
	want(&result.out, "\nfeature   + node.l3_miss_per_s.mean\n");
	want(&result.out, "\nscore     - metrics.mae 0.");
	RUN("model", "diff", MODEL, "README.md");
	want_code(2);
}

static void wrong_arguments_are_told_what_there_is(void **state)
{
	static const char *const wrong[][4] = {
		{ "model", NULL },
		{ "model", "show", NULL },
		{ "model", "shows", MODEL, NULL },
		{ "model", "diff", MODEL, NULL },
	};
	static const char *const asked[][4] = {
		{ "model", "--help", NULL },
		{ "model", "show", "--help", NULL },
		{ "help", "model", NULL },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(wrong); i++) {
		tool_run(wrong[i], NULL, 0, &result);
		want_code(2);
		want(&result.err, "Usage: kubemarla model show FILE");
	}
	for (size_t i = 0; i < KM_ARRAY_LEN(asked); i++) {
		tool_run(asked[i], NULL, 0, &result);
		want_code(0);
		want(&result.out, "Usage: kubemarla model show FILE");
	}
}

static void read_page(struct km_buf *out, const char *name)
{
	const char *trouble;

	km_buf_init(out);
	assert_int_equal(km_file_read(dataset_world_path(&world, name), 16 << 20, out, NULL), 0);
	trouble = xml_trouble(km_buf_cstr(out), out->len);
	if (trouble != NULL)
		fail_msg("%s", trouble);
}

static void eval_writes_a_page_beside_its_report(void **state)
{
	struct km_buf page;
	cJSON *tree;

	(void)state;
	RUN("eval", "--dataset", world.dir, "--model", trained(), "--json", "--html",
	    dataset_world_path(&world, "given.html"));
	want_code(0);
	tree = cJSON_Parse(result.out.data); /* standard output is JSON only */
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "gain")), 4);
	cJSON_Delete(tree);
	read_page(&page, "given.html");
	want(&page, "trained on these very runs");
	want(&page, "ridge regression");
	assert_int_equal(xml_count(km_buf_cstr(&page), "figure"), 7);
	km_buf_fini(&page);
}

/* gnuplot is looked for in PATH. */
static void a_page_without_gnuplot_has_its_tables(void **state)
{
	const char *path = getenv("PATH"); /* NOLINT(concurrency-mt-unsafe): one thread */
	char *kept = strdup(path != NULL ? path : "");
	struct km_buf page;

	(void)state;
	assert_int_equal(setenv("PATH", "/nowhere", 1), 0); /* NOLINT(concurrency-mt-unsafe) */
	RUN("eval", "--dataset", world.dir, "--model", trained(), "--cv", "campaign",
	    "--no-baselines", "--html", dataset_world_path(&world, "cv.html"));
	assert_int_equal(setenv("PATH", kept, 1), 0); /* NOLINT(concurrency-mt-unsafe) */
	free(kept);
	want_code(0);
	want(&result.err, "gnuplot is not installed (Debian package gnuplot-nox)");
	read_page(&page, "cv.html");
	want(&page, "Debian package gnuplot-nox");
	want(&page, "<td>host.mem_write_bytes_per_s.std</td>"); /* the gain is there with --cv */
	assert_int_equal(xml_count(km_buf_cstr(&page), "svg"), 0);
	assert_true(xml_count(km_buf_cstr(&page), "table") >= 8);
	km_buf_fini(&page);
}

static void a_page_that_cannot_be_written_is_an_error(void **state)
{
	const char *where = dataset_world_path(&world, "no/such/folder/page.html");
	struct stat st;

	(void)state;
	RUN("eval", "--dataset", world.dir, "--model", trained(), "--no-baselines", "--html",
	    where);
	want_code(1);
	want(&result.err, where);
	assert_int_not_equal(stat(where, &st), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(show_says_what_the_file_says_of_itself),
		cmocka_unit_test(show_as_json_is_v1_model_and_the_gain),
		cmocka_unit_test(check_takes_a_model_and_nothing_else),
		cmocka_unit_test(diff_of_a_model_with_itself_is_nothing),
		cmocka_unit_test(diff_names_what_is_not_shared),
		cmocka_unit_test(wrong_arguments_are_told_what_there_is),
		cmocka_unit_test(eval_writes_a_page_beside_its_report),
		cmocka_unit_test(a_page_without_gnuplot_has_its_tables),
		cmocka_unit_test(a_page_that_cannot_be_written_is_an_error),
	};

	return cmocka_run_group_tests_name("models", tests, setup, teardown);
}

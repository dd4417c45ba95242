/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla-lab report` and `trial` as a person runs them, on plays that nobody played. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"

#include "support/runs_world.h"
#include "support/tool.h"
#include "support/trial_world.h"
#include "support/xml.h"

/* A results folder with a trial in it. */
struct place {
	char dir[64];
};

static int set_up(void **state)
{
	struct place *at = calloc(1, sizeof(*at));
	struct km_plays world;
	struct km_plays written;
	int lock;

	if (at == NULL)
		return -1;
	(void)snprintf(at->dir, sizeof(at->dir), "/tmp/km-report-XXXXXX");
	if (mkdtemp(at->dir) == NULL)
		return -1;
	*state = at;
	lock = km_plays_lock(at->dir, NULL);
	if (lock < 0)
		return -1;
	(void)close(lock);
	world_fill(&world, 6, 0.1);
	km_plays_init(&written);
	for (size_t i = 0; i < world.count; i++) {
		if (km_plays_add(&written, at->dir, &world.play[i], NULL) != 0)
			return -1;
	}
	km_plays_fini(&written);
	km_plays_fini(&world);
	return 0;
}

static int tear_down(void **state)
{
	struct place *at = *state;
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", at->dir);
	free(at);
	return system(command); /* NOLINT(cert-env33-c,concurrency-mt-unsafe): a path of ours */
}

static void put_run(const char *dir, const struct km_run_record *run)
{
	char path[256];
	struct km_buf text;

	(void)snprintf(path, sizeof(path), "%s/runs", dir);
	(void)mkdir(path, 0777); /* the second time it is there */
	(void)snprintf(path, sizeof(path), "%s/runs/%s.json", dir, run->id);
	km_buf_init(&text);
	km_run_record_encode(run, &text);
	assert_int_equal(km_file_write_atomic(path, text.data, text.len, NULL), 0);
	km_buf_fini(&text);
}

static void report(struct tool_result *r, const char *const *args)
{
	tool_result_init(r);
	tool_run_program("kubemarla-lab", args, NULL, 0, r);
}

static void text_json_and_page_are_of_the_same_plays(void **state)
{
	const struct place *at = *state;
	char path[128];
	struct tool_result r[3];
	struct km_buf page;

	(void)snprintf(path, sizeof(path), "%s/page.html", at->dir);
	report(&r[0], (const char *const[]){ "report", at->dir, "--html", path, NULL });
	tool_want_code(&r[0], 0);
	tool_want_text(r[0].out.data, "kubemarla against random: p99 -");
	tool_want_text(r[0].out.data, ": lower");
	tool_want_text(r[0].out.data,
	               "the same from the recorded plays: kubemarla-lab report /tmp/");
	tool_want_text(r[0].err.data, "kubemarla-lab: wrote /tmp/");
	km_buf_init(&page);
	assert_int_equal(km_file_read(path, 8u << 20, &page, NULL), 0);
	assert_null(xml_trouble(km_buf_cstr(&page), page.len));
	tool_want_text(km_buf_cstr(&page), "p99 against random");
	report(&r[1], (const char *const[]){ "report", at->dir, "--json", NULL });
	report(&r[2], (const char *const[]){ "report", at->dir, "--json", NULL });
	tool_want_code(&r[1], 0);
	tool_want_text(r[1].out.data, "\"verdict\":\"lower\"");
	assert_string_equal(r[1].out.data, r[2].out.data);
	km_buf_fini(&page);
	for (size_t i = 0; i < 3; i++)
		tool_result_fini(&r[i]);
}

static void what_cannot_be_reported_is_said(void **state)
{
	static const struct {
		const char *args[4];
		int code;
		const char *out, *err;
	} rows[] = {
		{ { "report", "/tmp/km-no-such-folder" }, 1, "", "no results of an experiment" },
		{ { "report" }, 2, "", "Usage: kubemarla-lab report DIR" },
		{ { "report", "a", "b" }, 2, "", "Usage: kubemarla-lab report DIR" },
		{ { "report", "--frob" }, 2, "", "Usage: kubemarla-lab report DIR" },
		{ { "report", "--help" }, 0, "Usage: kubemarla-lab report DIR", "" },
	};
	const struct place *at = *state;
	struct tool_result r;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		report(&r, rows[i].args);
		tool_want_code(&r, rows[i].code);
		tool_want_text(r.out.data, rows[i].out);
		tool_want_text(r.err.data, rows[i].err);
		tool_result_fini(&r);
	}
	report(&r,
	       (const char *const[]){ "report", at->dir, "--html", "/proc/no/page.html", NULL });
	tool_want_code(&r, 1);
	tool_want_text(r.err.data, "/proc/no/page.html");
	tool_want_text(r.out.data, "kubemarla against");
	tool_result_fini(&r);
}

/* A folder may have both, and then there are two of everything. */
static void runs_and_trial_are_both_reported(void **state)
{
	const struct place *at = *state;
	struct km_run_record run = runs_one(1, "cpu", 50, "target", 3.5);
	struct km_run_record alone = runs_one(1, "", 0, "", 0.5);
	char page[128];
	struct tool_result r;
	struct km_buf text;

	put_run(at->dir, &run);
	put_run(at->dir, &alone);
	(void)snprintf(page, sizeof(page), "%s/page.html", at->dir);
	report(&r, (const char *const[]){ "report", at->dir, "--html", page, NULL });
	tool_want_code(&r, 0);
	tool_want_text(r.out.data, "2 runs in 2 conditions");
	tool_want_text(r.out.data, "cpu 50 % on target");
	tool_want_text(r.out.data, "kubemarla against random");
	tool_want_text(r.err.data, "/page.html");
	tool_want_text(r.err.data, "/trial-page.html");
	km_buf_init(&text);
	assert_int_equal(km_file_read(page, 8u << 20, &text, NULL), 0);
	assert_null(xml_trouble(km_buf_cstr(&text), text.len));
	tool_want_text(km_buf_cstr(&text), "cpu 50 % on target");
	km_buf_fini(&text);
	tool_result_fini(&r);
	report(&r, (const char *const[]){ "report", at->dir, "--json", NULL });
	tool_want_code(&r, 0);
	tool_want_text(r.out.data, "{\"runs\":2,");
	tool_want_text(r.out.data, "\n{\"planHash\":");
	tool_result_fini(&r);
}

/* What ends a trial before anything is started; the rest needs nginx and a generator. */
static void a_trial_that_cannot_be_is_refused(void **state)
{
	const struct place *at = *state;
	const struct {
		const char *plan;
		int code;
		const char *err;
	} rows[] = {
		{ "name: t\n", 2, "nodes" },
		{ "name: t\nnodes: [{name: a, cpus: 0}]\nmatrix: {on: [target]}\n", 2,
		  "want two to choose from" },
		{ "name: t\nnodes: [{name: a, cpus: 0}, {name: b, cpus: 1}]\n", 2,
		  "plays of another plan" },
	};
	struct tool_result r;
	char plan[128];

	(void)snprintf(plan, sizeof(plan), "%s/plan.yaml", at->dir);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
			km_file_write_atomic(plan, rows[i].plan, strlen(rows[i].plan), NULL), 0);
		report(&r,
		       (const char *const[]){ "trial", plan, "--out", at->dir, "-m", "m", NULL });
		tool_want_code(&r, rows[i].code);
		tool_want_text(r.err.data, rows[i].err);
		tool_result_fini(&r);
	}
	report(&r, (const char *const[]){ "trial", plan, NULL });
	tool_want_code(&r, 2);
	tool_want_text(r.err.data, "Usage: kubemarla-lab trial PLAN --out DIR");
	tool_result_fini(&r);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(text_json_and_page_are_of_the_same_plays),
		TEST(what_cannot_be_reported_is_said),
		TEST(runs_and_trial_are_both_reported),
		TEST(a_trial_that_cannot_be_is_refused),
	};

	return cmocka_run_group_tests_name("lab_report", tests, NULL, NULL);
}

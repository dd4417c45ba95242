/* SPDX-License-Identifier: Apache-2.0 */
/* experiment: from runs to conditions and slowdowns, and a page that hides none of them. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/experiment/run_result.h"

#include "support/runs_world.h"
#include "support/xml.h"

static const struct km_plotter absent = { .program = "tests/support/fake_gnuplot/is-not-there" };

static void summarise(const struct km_runs *all, struct km_run_result *r)
{
	struct km_err err = { .code = 0 };

	if (km_run_summarise(all, r, &err) != 0)
		fail_msg("%s", err.text);
}

static const struct km_run_condition *condition(const struct km_run_result *r, const char *title)
{
	for (size_t i = 0; i < r->conditions; i++) {
		if (strcmp(r->condition[i].title, title) == 0)
			return &r->condition[i];
	}
	fail_msg("no condition %s", title);
	return NULL;
}

static void numbers_are_those_worked_out_by_hand(void **state)
{
	struct km_runs all = { .count = 0 };
	const struct km_run_condition *c;
	struct km_run_result r;

	(void)state;
	runs_add(&all, runs_one(1, "", 0, "", 0.3));
	runs_add(&all, runs_one(2, "", 0, "", 0.5));
	runs_add(&all, runs_one(1, "cpu", 100, "target", 4));
	runs_add(&all, runs_one(1, "cpu", 100, "target", 1));
	runs_add(&all, runs_one(2, "cpu", 100, "target", 8));
	runs_add(&all, runs_one(1, "cpu", 50, "target", 2));
	runs_add(&all, runs_one(1, "cpu", 50, "other", 0.4));
	runs_add(&all, runs_one(1, "cpu", 50, "other", NAN));
	all.run[2].saturated = true;
	all.run[3].server_requests = 4100;
	all.run[4].load.errors = 9;
	all.run[5].rps = 1000; /* another load: nothing to compare with */
	all.run[5].load.requests = 0;
	(void)snprintf(all.run[6].gate, sizeof(all.run[6].gate), "busy");
	summarise(&all, &r);
	assert_true(r.runs == 8 && r.conditions == 4 && r.saturated == 1 && r.with_errors == 1);
	assert_true(r.served_apart == 1 && r.kept == 1 && r.gated == 0 && r.no_p99 == 1);
	c = condition(&r, "no interference");
	assert_true(c->runs == 2 && c->median_ms == 0.4 && c->baseline_ms == 0.4);
	assert_ptr_equal(c, &r.condition[0]);
	c = condition(&r, "cpu 100 % on target");
	assert_true(c->runs == 3 && c->repeats == 2 && c->median_ms == 4 && c->saturated == 1);
	assert_true(c->least_ms == 1 && c->most_ms == 8);
	assert_true(fabs(c->slowdown - cbrt(10 * 2.5 * 20)) < 1e-9);
	assert_true(fabs(c->slowdown_low - 5) < 1e-9 && fabs(c->slowdown_high - 20) < 1e-9);
	c = condition(&r, "cpu 50 % on target");
	assert_true(isnan(c->baseline_ms) && isnan(c->slowdown) && isnan(c->slowdown_low));
	c = condition(&r, "cpu 50 % on other");
	assert_true(c->runs == 1 && fabs(c->slowdown - 1) < 1e-12 && isnan(c->slowdown_low));
	assert_true(fabs(km_run_slowdown(&r, &all.run[4]) - 20) < 1e-9);
	assert_true(isnan(km_run_served_difference(&all.run[5])));
	assert_true(fabs(km_run_served_difference(&all.run[3]) - 0.025) < 1e-12);
	km_run_result_fini(&r);
	km_runs_fini(&all);
}

/* As in runs.csv: it is a run of its condition, and no measure of others. */
static void a_gated_run_is_a_baseline_only_where_there_is_no_other(void **state)
{
	struct km_runs all = { .count = 0 };
	struct km_run_result r;

	(void)state;
	runs_add(&all, runs_one(1, "", 0, "", 9));
	runs_add(&all, runs_one(1, "cpu", 100, "target", 4));
	(void)snprintf(all.run[0].gate, sizeof(all.run[0].gate), "busy");
	summarise(&all, &r);
	assert_true(condition(&r, "no interference")->baseline_ms == 9);
	km_run_result_fini(&r);
	runs_add(&all, runs_one(2, "", 0, "", 0.5));
	summarise(&all, &r);
	assert_true(condition(&r, "no interference")->runs == 2);
	assert_true(condition(&r, "no interference")->baseline_ms == 0.5);
	assert_true(condition(&r, "cpu 100 % on target")->baseline_ms == 0.5);
	km_run_result_fini(&r);
	km_runs_fini(&all);
}

static void slowdowns_are_the_worlds(void **state)
{
	struct km_run_result r;
	struct km_runs all;
	struct km_buf out;

	(void)state;
	runs_fill(&all, 3, 0.02);
	summarise(&all, &r);
	assert_int_equal(r.conditions, 9);
	assert_true(fabs(condition(&r, "cpu 50 % on target")->slowdown / 6 - 1) < 0.06);
	assert_true(fabs(condition(&r, "l3 100 % on target")->slowdown / 11 - 1) < 0.06);
	assert_true(fabs(condition(&r, "l3 100 % on other")->slowdown - 1) < 0.06);
	km_buf_init(&out);
	km_run_result_text(&r, &out);
	assert_non_null(strstr(km_buf_cstr(&out), "27 runs in 9 conditions"));
	assert_non_null(strstr(km_buf_cstr(&out), "cpu 100 % on target"));
	assert_non_null(strstr(km_buf_cstr(&out), "gates: 0 attempts were made again"));
	km_buf_clear(&out);
	km_run_result_json(&r, &out);
	assert_non_null(strstr(km_buf_cstr(&out), "\"stressor\":null,\"levelPercent\":null"));
	km_buf_fini(&out);
	km_run_result_fini(&r);
	km_runs_fini(&all);
}

static void nothing_made_is_no_result(void **state)
{
	struct km_runs all = { .count = 0 };
	struct km_err err = { .code = 0 };
	struct km_run_result r;

	(void)state;
	assert_int_equal(km_run_summarise(&all, &r, &err), -ENODATA);
	assert_non_null(strstr(err.text, "no run is finished yet"));
	all.unreadable = 1;
	assert_int_equal(km_run_summarise(&all, &r, &err), -ENODATA);
	assert_non_null(strstr(err.text, "not one run that can be read"));
}

/* ---- files ---- */

static int make_folder(void **state)
{
	static char dir[64];
	char path[128];

	(void)snprintf(dir, sizeof(dir), "/tmp/km-runs-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	for (size_t i = 0; i < 3; i++) {
		static const char *const below[] = { "runs", "gated", "traces" };

		(void)snprintf(path, sizeof(path), "%s/%s", dir, below[i]);
		if (mkdir(path, 0777) != 0)
			return -1;
	}
	*state = dir;
	return 0;
}

static int remove_folder(void **state)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
	return system(command); /* NOLINT(cert-env33-c,concurrency-mt-unsafe): a path of ours */
}

static void put(const char *dir, const char *name, const char *text)
{
	struct km_err err = { .code = 0 };
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (km_file_write_atomic(path, text, strlen(text), &err) != 0)
		fail_msg("%s", err.text);
}

/* Eight samples of a second; busy: of CPU 0, which is node-a. */
static void put_trace(const char *dir, const char *name, int64_t start_s, double busy)
{
	struct km_buf text;

	km_buf_init(&text);
	km_buf_str(&text, "start_ns,end_ns,cpu0.busy_ns,cpu1.busy_ns,host.cpu_psi_ns\n");
	for (int i = 0; i < 8; i++)
		km_buf_printf(&text, "%lld000000000,%lld000000000,%.0f,1000000,%.0f\n",
		              (long long)start_s + i, (long long)start_s + i + 1, busy * 1e9,
		              busy * 2e8);
	put(dir, name, km_buf_cstr(&text));
	km_buf_fini(&text);
}

static void put_runs(const char *dir, const struct km_runs *all)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct km_run_record *r = &all->run[i];
		int64_t start_s = r->start_unix_ms / 1000;
		double busy = r->stressed && strcmp(r->on, "target") == 0
		                      ? (double)r->level_pct / 100
		                      : 0.02;
		char name[160];
		struct km_buf text;

		km_buf_init(&text);
		km_run_record_encode(r, &text);
		(void)snprintf(name, sizeof(name), "runs/%s.json", r->id);
		put(dir, name, km_buf_cstr(&text));
		km_buf_fini(&text);
		put_trace(dir, r->trace_before, start_s, busy);
		put_trace(dir, r->trace_during, start_s + 9, fmin(1, busy + 0.1));
	}
	put(dir, "plan.yaml",
	    "name: t\nnodes: [{name: node-a, cpus: 0}, {name: node-b, cpus: 1}]\n"
	    "load: {profile: trace, trace: not-in-the-folder.csv}\n");
	put(dir, "provenance.json",
	    "{\"name\":\"t\",\"machine\":{\"cpu\":\"A CPU of <somebody>\",\"cpus\":2}}");
	put(dir, "provenance.2.json", "{\"machine\":{\"kernel\":\"another kernel\"}}");
}

static void what_is_on_disk_is_read(void **state)
{
	const char *dir = *state;
	struct km_runs world;
	struct km_runs all;
	struct km_buf text;

	runs_fill(&world, 2, 0.1);
	put_runs(dir, &world);
	put(dir, "runs/broken.json", "{");
	km_buf_init(&text);
	km_run_record_encode(&world.run[0], &text);
	put(dir, "gated/r1__none1__1replicas_500rps.1.json", km_buf_cstr(&text));
	km_buf_fini(&text);
	assert_true(km_runs_there(dir) && !km_runs_there("/tmp/km-no-such"));
	assert_int_equal(km_runs_read(dir, &all, NULL), 0);
	assert_true(all.count == world.count && all.gated_count == 1 && all.unreadable == 1);
	assert_non_null(strstr(all.why.text, "runs/broken.json"));
	for (size_t i = 0; i < all.count; i++)
		assert_string_equal(all.run[i].id, world.run[i].id);
	km_runs_fini(&all);
	km_runs_fini(&world);
}

static void page_of(const struct km_runs *all, const char *dir, const struct km_plotter *plotter,
                    struct km_buf *out, struct km_err *missing)
{
	struct km_run_result r;
	const char *trouble;

	summarise(all, &r);
	assert_int_equal(km_run_result_html(&r, dir, plotter, out, missing), 0);
	trouble = xml_trouble(km_buf_cstr(out), out->len);
	if (trouble != NULL)
		fail_msg("%s", trouble);
	km_run_result_fini(&r);
}

static void want(struct km_buf *page, const char *part)
{
	if (strstr(km_buf_cstr(page), part) == NULL)
		fail_msg("no \"%s\" in the page", part);
}

static void the_page_hides_nothing(void **state)
{
	const char *dir = *state;
	struct km_err missing = { .code = 0 };
	struct km_run_record again;
	struct km_runs all;
	struct km_buf out;

	runs_fill(&all, 2, 0.1);
	put_runs(dir, &all);
	again = all.run[3];
	(void)snprintf(again.gate, sizeof(again.gate), "0.77 CPUs busy with <something> else");
	all.gated = &again;
	all.gated_count = 1;
	all.run[4].saturated = true;
	all.run[5].load.errors = 1;
	all.run[6].server_requests = 1;
	(void)snprintf(all.run[7].gate, sizeof(all.run[7].gate), "0.55 CPUs");
	(void)snprintf(all.run[8].trace_before, sizeof(all.run[8].trace_before), "traces/none");
	km_buf_init(&out);
	page_of(&all, dir, &absent, &out, &missing);
	assert_int_equal(missing.code, ENOENT);
	want(&out, "0.77 CPUs busy with &lt;something&gt; else");
	want(&out, "0.55 CPUs");
	want(&out, "busy CPUs");
	want(&out, "failed requests");
	want(&out, "counts differ");
	want(&out, "1 runs have no trace that can be read");
	/* what drove the load is not needed to say where CPUs are */
	assert_null(strstr(out.data, "not-in-the-folder"));
	want(&out, "A CPU of &lt;somebody&gt;");
	want(&out, "<title>Experiment: t</title>");
	want(&out, "went on under another set-up");
	want(&out, "another kernel");
	want(&out, "1 attempts were made again, 1 runs are kept");
	want(&out, "l3 100 % on other");
	for (size_t i = 0; i < all.count; i++)
		want(&out, all.run[i].id);
	all.gated = NULL;
	all.gated_count = 0;
	km_buf_clear(&out);
	page_of(&all, "/tmp/km-no-such", &absent, &out, &missing);
	want(&out, "18 runs have no trace that can be read");
	want(&out, "not there, or not readable");
	want(&out, "Nothing was made again.");
	km_buf_fini(&out);
	km_runs_fini(&all);
}

static void with_gnuplot_every_plot_is_there(void **state)
{
	const char *dir = *state;
	struct km_err missing = { .code = 0 };
	struct km_runs all;
	struct km_buf out;

	runs_fill(&all, 3, 0.1);
	put_runs(dir, &all);
	km_buf_init(&out);
	page_of(&all, dir, NULL, &out, &missing);
	if (missing.code == ENOENT)
		skip(); /* no gnuplot here */
	if (missing.code != 0)
		fail_msg("%s", missing.text);
	assert_int_equal(xml_count(km_buf_cstr(&out), "svg"), 7);
	km_buf_fini(&out);
	km_runs_fini(&all);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_those_worked_out_by_hand),
		cmocka_unit_test(a_gated_run_is_a_baseline_only_where_there_is_no_other),
		cmocka_unit_test(slowdowns_are_the_worlds),
		cmocka_unit_test(nothing_made_is_no_result),
		TEST(what_is_on_disk_is_read),
		TEST(the_page_hides_nothing),
		TEST(with_gnuplot_every_plot_is_there),
	};

	return cmocka_run_group_tests_name("experiment_run_result", tests, NULL, NULL);
}

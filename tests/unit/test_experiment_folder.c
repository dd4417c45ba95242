/* SPDX-License-Identifier: Apache-2.0 */
/* experiment: whose a results folder is, when a run counts, and the tables that come out of it. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/experiment/folder.h"

#include "support/tree.h"

#define PLAN                                                                                       \
	"name: t\nnodes: [{name: a, cpus: \"0\"}, {name: b, cpus: \"1,3\"}]\n"                     \
	"matrix: {stressors: [cpu, mixed], levels: [50], on: [other], rps: [500], repeats: 2}\n"
#define MORE                                                                                       \
	"name: t\nnodes: [{name: a, cpus: \"0\"}, {name: b, cpus: \"1,3\"}]\n"                     \
	"matrix: {stressors: [cpu, mixed], levels: [50], on: [other], rps: [500], repeats: 3}\n"
#define OTHER                                                                                      \
	"name: t\nnodes: [{name: a, cpus: \"0\"}, {name: b, cpus: \"1,3\"}]\n"                     \
	"matrix: {stressors: [cpu, mixed], levels: [60], on: [other], rps: [500], repeats: 2}\n"

struct world {
	struct tree tree;
	char dir[80];
	struct km_plan *plan;
	struct km_folder *f;
};

static struct km_plan *parsed(const char *text)
{
	struct km_plan *p = NULL;

	assert_int_equal(km_plan_parse("p", text, strlen(text), &p, NULL), 0);
	return p;
}

static int open_as(struct world *w, const char *text, struct km_err *err)
{
	km_folder_close(w->f);
	km_plan_free(w->plan);
	w->f = NULL;
	w->plan = parsed(text);
	return km_folder_open(w->dir, w->plan, text, strlen(text), &w->f, err);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	tree_init(&w->tree);
	(void)snprintf(w->dir, sizeof(w->dir), "%s/out", w->tree.root);
	assert_int_equal(open_as(w, PLAN, NULL), 0);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	km_folder_close(w->f);
	km_plan_free(w->plan);
	tree_fini(&w->tree);
	free(w);
	return 0;
}

static int commit(struct world *w, size_t i, double p99_ms, const char *gate, struct km_err *err)
{
	const struct km_run_spec *spec = km_folder_run(w->f, i);
	struct km_run_record r;
	struct km_buf csv;
	int rc;

	km_run_record_init(&r);
	(void)snprintf(r.id, sizeof(r.id), "%s", spec->id);
	r.repeat = spec->repeat;
	r.attempt = 1;
	r.server_requests = 2000;
	r.kpi_p99_ms = 1.25;
	r.stressed = spec->stressed;
	if (spec->stressed) {
		(void)snprintf(r.stressor, sizeof(r.stressor), "%s",
		               km_stress_kind_name(spec->kind));
		(void)snprintf(r.on, sizeof(r.on), "%s", spec->on);
		(void)snprintf(r.stress_node, sizeof(r.stress_node), "b");
		r.level_pct = spec->level_pct;
	}
	(void)snprintf(r.target_node, sizeof(r.target_node), "a");
	(void)snprintf(r.gate, sizeof(r.gate), "%s", gate);
	r.replicas = spec->replicas;
	r.rps = spec->rps;
	r.start_unix_ms = INT64_C(1800000000123);
	r.interval_s = 1;
	r.load.p99_ms = p99_ms;
	r.during.target_utilisation = 0.25;
	km_buf_init(&csv);
	km_buf_str(&csv, "start_ns,end_ns,cpu0.busy_ns\n0,1000000000,5\n");
	rc = km_folder_commit(w->f, i, &r, &csv, &csv, err);
	km_buf_fini(&csv);
	return rc;
}

static size_t index_of(const struct world *w, const char *id)
{
	size_t i = 0;

	while (strcmp(km_folder_run(w->f, i)->id, id) != 0) {
		i++;
		assert_true(i < km_folder_run_count(w->f));
	}
	return i;
}

static void read_file(const struct world *w, const char *name, struct km_buf *out)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	km_buf_clear(out);
	assert_int_equal(km_file_read(path, 1u << 20, out, NULL), 0);
	(void)km_buf_cstr(out);
}

static void write_file(const struct world *w, const char *name, const char *text)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	assert_int_equal(km_file_write_atomic(path, text, strlen(text), NULL), 0);
}

static bool exists(const struct world *w, const char *name)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	return access(path, F_OK) == 0;
}

static void finished_runs_are_there_when_it_is_opened_again(void **state)
{
	struct world *w = *state;

	assert_int_equal(km_folder_run_count(w->f), 8);
	assert_int_equal(km_folder_finished(w->f), 0);
	assert_int_equal(commit(w, 3, 0.5, "", NULL), 0);
	assert_int_equal(commit(w, 0, 0.7, "", NULL), 0);
	assert_int_equal(open_as(w, PLAN, NULL), 0);
	assert_int_equal(km_folder_finished(w->f), 2);
	assert_non_null(km_folder_record(w->f, 3));
	assert_true(km_folder_record(w->f, 3)->load.p99_ms == 0.5);
	assert_null(km_folder_record(w->f, 1));
	assert_true(exists(w, "plan.yaml"));
}

static void more_repeats_go_on_in_the_same_folder(void **state)
{
	struct world *w = *state;

	assert_int_equal(commit(w, 3, 0.5, "", NULL), 0);
	assert_int_equal(open_as(w, MORE, NULL), 0);
	assert_int_equal(km_folder_run_count(w->f), 12);
	assert_int_equal(km_folder_finished(w->f), 1);
	assert_non_null(km_folder_record(w->f, 3));
}

static void another_plan_is_refused_with_what_differs(void **state)
{
	struct world *w = *state;
	struct km_err err = { .code = 0 };

	assert_int_equal(commit(w, 3, 0.5, "", NULL), 0);
	assert_int_equal(open_as(w, OTHER, &err), -EEXIST);
	assert_non_null(strstr(err.text, "has \"matrix.levels: 50\", here \"matrix.levels: 60\""));
	assert_int_equal(open_as(w, PLAN, NULL), 0); /* and nothing was changed */
}

/* As after a first attempt on a machine without the plan's generator. */
static void a_plan_that_was_mended_has_the_folder_in_which_nothing_was_made(void **state)
{
	struct world *w = *state;

	assert_int_equal(open_as(w, OTHER, NULL), 0);
	assert_int_equal(commit(w, 3, 0.5, "", NULL), 0);
	assert_int_equal(open_as(w, OTHER, NULL), 0);
	assert_int_equal(km_folder_finished(w->f), 1);
	assert_int_equal(open_as(w, PLAN, NULL), -EEXIST);
}

static void a_folder_of_somebody_else_is_left_alone(void **state)
{
	struct world *w = *state;
	struct km_err err = { .code = 0 };
	char path[100];

	(void)snprintf(path, sizeof(path), "%s/plan.identity", w->dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(open_as(w, PLAN, &err), -EEXIST);
	assert_non_null(strstr(err.text, "no plan.identity"));
}

static void two_at_a_time_are_one_too_many(void **state)
{
	struct world *w = *state;
	struct km_folder *second = NULL;
	struct km_err err = { .code = 0 };

	assert_int_equal(km_folder_open(w->dir, w->plan, PLAN, strlen(PLAN), &second, &err),
	                 -EBUSY);
	assert_null(second);
	assert_non_null(strstr(err.text, "another kubemarla-lab"));
}

static void half_written_runs_do_not_count(void **state)
{
	struct world *w = *state;
	char name[200];
	char path[300];

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(commit(w, i, 0.5, "", NULL), 0);
	/* A record that is cut off, one whose trace is gone, and one under another's name. */
	(void)snprintf(name, sizeof(name), "runs/%s.json", km_folder_run(w->f, 0)->id);
	write_file(w, name, "{\"id\":\"r1__");
	(void)snprintf(path, sizeof(path), "%s/traces/%s__before.csv.gz", w->dir,
	               km_folder_run(w->f, 1)->id);
	assert_int_equal(unlink(path), 0);
	(void)snprintf(path, sizeof(path), "%s/runs/%s.json", w->dir, km_folder_run(w->f, 2)->id);
	(void)snprintf(name, sizeof(name), "%s/runs/%s.json", w->dir, km_folder_run(w->f, 5)->id);
	assert_int_equal(rename(path, name), 0);
	write_file(w, "traces/x.1-2.tmp", "cut off");
	write_file(w, "runs.csv.1-2.tmp", "cut off");
	assert_int_equal(open_as(w, PLAN, NULL), 0);
	assert_int_equal(km_folder_finished(w->f), 1);
	assert_non_null(km_folder_record(w->f, 3));
	assert_false(exists(w, "traces/x.1-2.tmp"));
	assert_false(exists(w, "runs.csv.1-2.tmp"));
}

/* As a full disk: a write that fails in the middle. */
static void a_failed_write_keeps_what_was_finished(void **state)
{
	struct world *w = *state;
	struct rlimit old;
	struct rlimit little;
	struct km_err err = { .code = 0 };
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	char name[200];
	int rc;

	assert_int_equal(commit(w, 0, 0.5, "", NULL), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	little = old;
	little.rlim_cur = 200; /* both traces are smaller, the record is larger */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	rc = commit(w, 1, 0.5, "", &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, handler);
	assert_int_equal(rc, -EFBIG);
	assert_non_null(strstr(err.text, ".json: write"));
	assert_null(km_folder_record(w->f, 1));
	(void)snprintf(name, sizeof(name), "runs/%s.json", km_folder_run(w->f, 1)->id);
	assert_false(exists(w, name));
	assert_int_equal(open_as(w, PLAN, NULL), 0);
	assert_int_equal(km_folder_finished(w->f), 1);
	assert_int_equal(commit(w, 1, 0.5, "", NULL), 0);
}

static void gated_attempts_are_counted_across_processes(void **state)
{
	struct world *w = *state;
	struct km_run_record r;

	km_run_record_init(&r);
	(void)snprintf(r.id, sizeof(r.id), "%s", km_folder_run(w->f, 2)->id);
	(void)snprintf(r.target_node, sizeof(r.target_node), "a");
	assert_int_equal(km_folder_gated(w->f, 2), 0);
	assert_int_equal(km_folder_gate(w->f, 2, &r, NULL), 0);
	assert_int_equal(km_folder_gate(w->f, 2, &r, NULL), 0);
	assert_int_equal(open_as(w, PLAN, NULL), 0);
	assert_int_equal(km_folder_gated(w->f, 2), 2);
	assert_int_equal(km_folder_gated(w->f, 1), 0);
	assert_int_equal(km_folder_finished(w->f), 0);
}

static void the_tables_are_a_dataset(void **state)
{
	struct world *w = *state;
	struct km_buf text;

	km_buf_init(&text);
	/* The median of 0.4, 0.6 and 0.8: the gated 9 is not one of them. */
	assert_int_equal(commit(w, index_of(w, "r1__none1__1replicas_500rps"), 0.4, "", NULL), 0);
	assert_int_equal(commit(w, index_of(w, "r1__none2__1replicas_500rps"), 9, "x", NULL), 0);
	assert_int_equal(commit(w, index_of(w, "r2__none1__1replicas_500rps"), 0.8, "", NULL), 0);
	assert_int_equal(commit(w, index_of(w, "r2__none2__1replicas_500rps"), 0.6, "", NULL), 0);
	assert_int_equal(
		commit(w, index_of(w, "r2__mixed50_on-other__1replicas_500rps"), 1.5, "", NULL), 0);
	read_file(w, "runs.csv", &text);
	assert_non_null(strstr(
		text.data,
		"r2__mixed50_on-other__1replicas_500rps,t_r2,mixed50_other,1,1,1,mixed,50,b,a,0,"
		"\"1,3\",a,b,remote,1,500,,,,1.5,,,,0,2000,1.25,,0.6,3,2.5,0.4,0.25,,0,0,1,"
		"2027-01-15T08:00:00Z,traces/r2__mixed50_on-other__1replicas_500rps__during.csv.gz"
		"\n"));
	assert_non_null(
		strstr(text.data, "r1__none1__1replicas_500rps,t_r1,none,0,0,0,none,0,none,"));
	read_file(w, "pairs.csv", &text);
	assert_non_null(strstr(
		text.data,
		"empty,score,r2__mixed50_on-other__1replicas_500rps,"
		"traces/r2__mixed50_on-other__1replicas_500rps__before.csv.gz,a,0,0,0,"
		"r2__mixed50_on-other__1replicas_500rps,t_r2,t,mixed50_other,remote,1,500,1.5,0.6,"
		"2.5,0.4,1\n"));
	km_buf_fini(&text);
}

/* Learned from, but no model is judged by them; unless the plan says that gates do not matter. */
static void kept_runs_with_a_gate_are_marked_in_both_tables(void **state)
{
	struct world *w = *state;
	struct km_buf text;

	km_buf_init(&text);
	assert_int_equal(commit(w, index_of(w, "r1__none1__1replicas_500rps"), 0.4, "", NULL), 0);
	assert_int_equal(commit(w, index_of(w, "r1__none2__1replicas_500rps"), 9, "x", NULL), 0);
	read_file(w, "pairs.csv", &text);
	assert_non_null(strstr(text.data, "\nempty,score,r1__none1__1replicas_500rps,"));
	assert_non_null(strstr(text.data, "\nempty,augment,r1__none2__1replicas_500rps,"));
	read_file(w, "runs.csv", &text);
	assert_non_null(strstr(text.data, ",0,0,1,2027-01-15T08:00:00Z,traces/r1__none1__"));
	assert_non_null(strstr(text.data, ",0,1,1,2027-01-15T08:00:00Z,traces/r1__none2__"));
	assert_int_equal(open_as(w, PLAN "gates: {action: keep}\n", NULL), 0);
	assert_int_equal(km_folder_tables(w->f, NULL), 0);
	read_file(w, "pairs.csv", &text);
	assert_non_null(strstr(text.data, "\nempty,score,r1__none2__1replicas_500rps,"));
	km_buf_fini(&text);
}

static void without_a_baseline_there_is_no_slowdown(void **state)
{
	struct world *w = *state;
	struct km_buf text;

	km_buf_init(&text);
	assert_int_equal(
		commit(w, index_of(w, "r1__cpu50_on-other__1replicas_500rps"), 1.5, "", NULL), 0);
	read_file(w, "pairs.csv", &text);
	assert_ptr_equal(strchr(text.data, '\n'), text.data + text.len - 1); /* a header alone */
	read_file(w, "runs.csv", &text);
	assert_non_null(strstr(text.data, ",1.5,,,,0,2000,1.25,,,0,,,0.25,"));
	km_buf_fini(&text);
}

static void without_counters_there_are_no_pairs(void **state)
{
	struct world *w = *state;
	struct km_buf text;

	tree_remove(&w->tree, "out");
	assert_int_equal(open_as(w, "mode: cluster\ncluster: {recorder: none}\n" PLAN, NULL), 0);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(commit(w, i, 0.5, "", NULL), 0);
	km_buf_init(&text);
	read_file(w, "pairs.csv", &text);
	assert_ptr_equal(strchr(text.data, '\n'), text.data + text.len - 1);
	read_file(w, "runs.csv", &text);
	assert_null(strstr(text.data, "traces/"));
	km_buf_fini(&text);
}

/* Else a dataset would depend on where it was interrupted. */
static void the_tables_do_not_depend_on_the_order_of_the_runs(void **state)
{
	struct world *w = *state;
	struct km_buf forward;
	struct km_buf backward;

	km_buf_init(&forward);
	km_buf_init(&backward);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(commit(w, i, 0.5 + (double)i, "", NULL), 0);
	read_file(w, "runs.csv", &forward);
	km_folder_close(w->f);
	w->f = NULL;
	tree_remove(&w->tree, "out");
	assert_int_equal(open_as(w, PLAN, NULL), 0);
	for (size_t i = 8; i-- > 0;)
		assert_int_equal(commit(w, i, 0.5 + (double)i, "", NULL), 0);
	read_file(w, "runs.csv", &backward);
	assert_string_equal(forward.data, backward.data);
	km_buf_fini(&forward);
	km_buf_fini(&backward);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_FOLDER(finished_runs_are_there_when_it_is_opened_again),
		IN_A_FOLDER(more_repeats_go_on_in_the_same_folder),
		IN_A_FOLDER(another_plan_is_refused_with_what_differs),
		IN_A_FOLDER(a_plan_that_was_mended_has_the_folder_in_which_nothing_was_made),
		IN_A_FOLDER(a_folder_of_somebody_else_is_left_alone),
		IN_A_FOLDER(two_at_a_time_are_one_too_many),
		IN_A_FOLDER(half_written_runs_do_not_count),
		IN_A_FOLDER(a_failed_write_keeps_what_was_finished),
		IN_A_FOLDER(gated_attempts_are_counted_across_processes),
		IN_A_FOLDER(the_tables_are_a_dataset),
		IN_A_FOLDER(without_a_baseline_there_is_no_slowdown),
		IN_A_FOLDER(kept_runs_with_a_gate_are_marked_in_both_tables),
		IN_A_FOLDER(without_counters_there_are_no_pairs),
		IN_A_FOLDER(the_tables_do_not_depend_on_the_order_of_the_runs),
	};

	return cmocka_run_group_tests_name("experiment folder", tests, NULL, NULL);
}

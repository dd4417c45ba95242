/* SPDX-License-Identifier: Apache-2.0 */
/*
 * experiment: the order of a run, what becomes of runs that fail or are gated, and that the same
 * call goes on where it was stopped. By a stand-in for the rig: tests/support/fake_rig.h.
 */
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
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/experiment/folder.h"
#include "km/experiment/run.h"

#include "support/fake_rig.h"
#include "support/tree.h"

#define PLAN_(gates)                                                                               \
	"name: t\nnodes: [{name: a, cpus: \"0\"}, {name: b, cpus: \"1\"}]\n"                       \
	"matrix: {stressors: [cpu], levels: [50], rps: [500], repeats: 2, baselines: 1}\n"         \
	"times: {warmUp: 1s, before: 4s, settle: 500ms, during: 5s, coolDown: 2s}\n"               \
	"gates: " gates "\n"
#define RUNS 6
#define PLAN PLAN_("{foreignCpu: 0.1, action: repeat, repeats: 2}")

struct world {
	struct tree tree;
	char dir[80];
	struct fake_rig *rig;
	struct km_plan *plan;
	struct km_err err;
	size_t finished;
	size_t events[KM_EXPERIMENT_FINISHED + 1];
	double remaining_s; /* of the last event */
	char gate[KM_RUN_TEXT_MAX];
};

static void progress(void *ctx, const struct km_experiment_progress *p)
{
	struct world *w = ctx;

	w->events[p->event]++;
	w->remaining_s = p->remaining_s;
	assert_int_equal(p->count, RUNS);
	if (p->event == KM_EXPERIMENT_GATED)
		(void)snprintf(w->gate, sizeof(w->gate), "%s", p->record->gate);
}

static int run(struct world *w, const char *text)
{
	struct km_experiment_options o = {
		.text = text,
		.len = strlen(text),
		.dir = w->dir,
		.self = "kubemarla-lab",
		.scratch = w->tree.root,
		.version = "test",
		.stop_fd = -1,
		.progress = progress,
		.ctx = w,
	};

	km_plan_free(w->plan);
	w->plan = NULL;
	assert_int_equal(km_plan_parse("p", text, strlen(text), &w->plan, NULL), 0);
	o.plan = w->plan;
	memset(w->events, 0, sizeof(w->events));
	w->err = (struct km_err){ .code = 0 };
	return km_experiment_run(&o, &w->finished, &w->err);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	tree_init(&w->tree);
	(void)snprintf(w->dir, sizeof(w->dir), "%s/out", w->tree.root);
	w->rig = fake_rig_init();
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	assert_int_equal(w->rig->opened, w->rig->closed);
	km_plan_free(w->plan);
	tree_fini(&w->tree);
	fake_rig_fini();
	free(w);
	return 0;
}

static void fail_from(struct world *w, const char *op, unsigned nth, unsigned times, int rc)
{
	w->rig->failure[w->rig->failures++] =
		(struct fake_rig_failure){ op, nth, times, rc, "fake: its last words" };
}

static void read_file(const struct world *w, const char *name, struct km_buf *out)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	km_buf_clear(out);
	assert_int_equal(km_file_read(path, 1u << 20, out, NULL), 0);
	(void)km_buf_cstr(out);
}

static void a_run_has_its_order(void **state)
{
	static const char stressed[] = "stress 0 cpu 50\nwait 1000\nbegin\nwait 4000\nend\n"
				       "target 0 x1\nwait 500\nbegin\nload 500 5000\nend\n"
				       "unstress\nuntarget\nwait 2000\n";
	static const char alone[] = "wait 1000\nbegin\nwait 4000\nend\n"
				    "target 0 x1\nwait 500\nbegin\nload 500 5000\nend\n"
				    "unstress\nuntarget\nwait 2000\n";
	struct world *w = *state;
	const char *log;
	const char *other;

	assert_int_equal(run(w, PLAN), 0);
	log = km_buf_cstr(&w->rig->log);
	assert_non_null(strstr(log, stressed));
	other = strstr(log, "stress 1 cpu 50\n");
	assert_non_null(other);
	assert_int_equal(strncmp(strchr(other, '\n') + 1, alone, strlen(alone)), 0);
	assert_int_equal(w->rig->resets, RUNS);
}

static void all_runs_are_made_and_kept(void **state)
{
	struct world *w = *state;
	struct km_folder *f = NULL;
	struct km_buf text;

	assert_int_equal(run(w, PLAN), 0);
	assert_int_equal(w->finished, RUNS);
	assert_int_equal(w->events[KM_EXPERIMENT_OPENED], 1);
	assert_int_equal(w->events[KM_EXPERIMENT_STARTED], RUNS);
	assert_int_equal(w->events[KM_EXPERIMENT_FINISHED], RUNS);
	assert_true(w->remaining_s == 0);
	assert_int_equal(km_folder_open(w->dir, w->plan, "", 0, &f, NULL), 0);
	for (size_t i = 0; i < RUNS; i++) {
		const struct km_run_record *r = km_folder_record(f, i);

		assert_non_null(r);
		assert_true(r->load.p99_ms == 1.5 + (double)i);
		assert_int_equal(r->stress_count, r->stressed);
		assert_true(r->server_requests == 4000);
		assert_string_equal(r->tier, "os");
		assert_false(r->saturated);
	}
	km_folder_close(f);
	km_buf_init(&text);
	read_file(w, "provenance.json", &text);
	assert_non_null(strstr(text.data, "\"generator\":\"fake 2\""));
	assert_non_null(strstr(text.data, "\"kubemarlaLab\":\"test\""));
	km_buf_fini(&text);
}

static void the_same_call_goes_on_where_it_was_stopped(void **state)
{
	struct world *w = *state;

	fail_from(w, "load", 3, 1, -EINTR);
	assert_int_equal(run(w, PLAN), -EINTR);
	assert_int_equal(w->finished, 2);
	assert_int_equal(w->rig->loads, 3);
	assert_int_equal(w->rig->closed, 1);
	assert_int_equal(run(w, PLAN), 0);
	assert_int_equal(w->finished, RUNS);
	assert_int_equal(w->rig->loads, 3 + RUNS - 2); /* none twice but the one it was in */
	assert_int_equal(run(w, PLAN), 0);
	assert_int_equal(w->rig->opened, 2); /* complete: nothing is started */
}

static void foreign_use_makes_a_run_anew(void **state)
{
	/* The first run before its load, the second attempt of it while under load. */
	static const double foreign[] = { 0.3, 0, 0, 0.2 };
	struct world *w = *state;
	struct km_buf text;

	w->rig->foreign_cpus = foreign;
	w->rig->foreign_count = 4;
	assert_int_equal(run(w, PLAN), 0);
	assert_int_equal(w->events[KM_EXPERIMENT_GATED], 2);
	assert_string_equal(w->gate, "0.2 CPUs busy with something else, want at most 0.1");
	assert_int_equal(w->rig->loads, RUNS + 2);
	km_buf_init(&text);
	read_file(w, "runs.csv", &text);
	assert_null(strstr(text.data, ",0.2,"));
	km_buf_fini(&text);
}

static void after_its_repeats_a_run_is_kept_and_marked(void **state)
{
	static const double foreign[] = { 0.3, 0.3, 0.3, 0.3, 0.3, 0.3 };
	struct world *w = *state;
	struct km_folder *f = NULL;
	size_t marked = 0;

	w->rig->foreign_cpus = foreign;
	w->rig->foreign_count = 6;
	w->rig->utilisation = 0.9;
	assert_int_equal(run(w, PLAN), 0);
	assert_int_equal(w->events[KM_EXPERIMENT_GATED], 2);
	assert_int_equal(km_folder_open(w->dir, w->plan, "", 0, &f, NULL), 0);
	for (size_t i = 0; i < RUNS; i++) {
		marked += km_folder_record(f, i)->gate[0] != '\0';
		assert_true(km_folder_record(f, i)->saturated);
	}
	assert_int_equal(marked, 1);
	assert_int_equal(km_folder_record(f, 0)->attempt, 3);
	km_folder_close(f);
}

static void a_gate_may_stop_or_only_mark(void **state)
{
	static const double foreign[] = { 0, 0, 0.3 };
	struct world *w = *state;

	w->rig->foreign_cpus = foreign;
	w->rig->foreign_count = 3;
	assert_int_equal(run(w, PLAN_("{action: abort}")), -ECANCELED);
	assert_int_equal(w->finished, 1);
	assert_non_null(strstr(w->err.text, "0.3 CPUs busy"));
	assert_int_equal(run(w, PLAN_("{action: keep}")), 0); /* a gate is no other plan */
	assert_int_equal(w->events[KM_EXPERIMENT_GATED], 0);
	assert_int_equal(w->finished, RUNS);
}

static void what_was_not_measured_gates_nothing(void **state)
{
	static const double foreign[] = { NAN, NAN };
	struct world *w = *state;

	w->rig->foreign_cpus = foreign;
	w->rig->foreign_count = 2;
	assert_int_equal(run(w, PLAN), 0);
	assert_int_equal(w->events[KM_EXPERIMENT_GATED], 0);
}

/* {operation, its errno}: one failure is made good, three in a row end it. */
static void a_process_that_dies_costs_an_attempt(void **state)
{
	static const struct {
		const char *op;
		int rc;
	} row[] = {
		{ "stress", -ECHILD }, { "wait", -ECHILD },     { "target", -ETIMEDOUT },
		{ "load", -EIO },      { "unstress", -ECHILD },
	};
	struct world *w = *state;

	for (size_t i = 0; i < KM_ARRAY_LEN(row); i++) {
		(void)snprintf(w->dir, sizeof(w->dir), "%s/good%zu", w->tree.root, i);
		w->rig = fake_rig_init();
		fail_from(w, row[i].op, 1, 1, row[i].rc);
		assert_int_equal(run(w, PLAN), 0);
		assert_int_equal(w->events[KM_EXPERIMENT_GATED], 1);
		assert_string_equal(w->gate, "fake: its last words");
		assert_int_equal(w->finished, RUNS);

		(void)snprintf(w->dir, sizeof(w->dir), "%s/bad%zu", w->tree.root, i);
		w->rig = fake_rig_init();
		fail_from(w, row[i].op, 1, 1000, row[i].rc);
		assert_int_equal(run(w, PLAN), row[i].rc);
		assert_non_null(strstr(w->err.text, ": fake: its last words"));
		assert_int_equal(strncmp(w->err.text, "r1__", 4), 0);
		assert_true(w->finished < 3); /* the first is the only one without a stressor */
		assert_int_equal(w->rig->resets, w->events[KM_EXPERIMENT_STARTED]);
	}
}

static void a_machine_without_the_tools_is_told_at_once(void **state)
{
	struct world *w = *state;

	fail_from(w, "open", 1, 1, -ENOENT);
	assert_int_equal(run(w, PLAN), -ENOENT);
	assert_string_equal(w->err.text, "fake: its last words");
	assert_int_equal(w->events[KM_EXPERIMENT_STARTED], 0);
	assert_int_equal(run(w, PLAN), 0);
}

/* As a full disk: the run whose record cannot be written does not count, the next call makes it. */
static void a_full_disk_ends_it_and_loses_nothing(void **state)
{
	struct world *w = *state;
	struct rlimit old;
	struct rlimit little;
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	int rc;

	fail_from(w, "load", 3, 1, -EINTR);
	assert_int_equal(run(w, PLAN), -EINTR);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	little = old;
	little.rlim_cur = 700; /* the plan and its identity are smaller, a record is larger */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	rc = run(w, PLAN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, handler);
	assert_int_equal(rc, -EFBIG);
	assert_int_equal(w->finished, 2);
	assert_int_equal(run(w, PLAN), 0);
	assert_int_equal(w->finished, RUNS);
}

#define WITH_A_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_A_RIG(a_run_has_its_order),
		WITH_A_RIG(all_runs_are_made_and_kept),
		WITH_A_RIG(the_same_call_goes_on_where_it_was_stopped),
		WITH_A_RIG(foreign_use_makes_a_run_anew),
		WITH_A_RIG(after_its_repeats_a_run_is_kept_and_marked),
		WITH_A_RIG(a_gate_may_stop_or_only_mark),
		WITH_A_RIG(what_was_not_measured_gates_nothing),
		WITH_A_RIG(a_process_that_dies_costs_an_attempt),
		WITH_A_RIG(a_machine_without_the_tools_is_told_at_once),
		WITH_A_RIG(a_full_disk_ends_it_and_loses_nothing),
	};

	return cmocka_run_group_tests_name("experiment run", tests, NULL, NULL);
}

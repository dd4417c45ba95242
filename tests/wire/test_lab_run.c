/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla-lab run` where nothing can be run: what it says, its exit codes, what it leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/tool.h"
#include "support/tree.h"

struct world {
	struct tree tree;
	struct tool_result r;
	char plan[100], dir[100];
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	tree_init(&w->tree);
	tool_result_init(&w->r);
	(void)snprintf(w->plan, sizeof(w->plan), "%s/plan.yaml", w->tree.root);
	(void)snprintf(w->dir, sizeof(w->dir), "%s/out", w->tree.root);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	tool_result_fini(&w->r);
	tree_fini(&w->tree);
	free(w);
	return 0;
}

static void run(struct world *w, const char *plan)
{
	tree_put(&w->tree, "plan.yaml", "%s", plan);
	tool_run_program("kubemarla-lab", (const char *[]){ "run", w->plan, "--out", w->dir, NULL },
	                 NULL, 0, &w->r);
}

static bool exists(const struct world *w, const char *name)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	return access(path, F_OK) == 0;
}

static void arguments_are_checked_first(void **state)
{
	struct world *w = *state;

	tool_run_program("kubemarla-lab", (const char *[]){ "run", w->plan, NULL }, NULL, 0, &w->r);
	tool_want_code(&w->r, 2);
	tool_want_text(w->r.err.data, "run PLAN --out DIR");
	run(w, "name: t\n");
	tool_want_code(&w->r, 2);
	tool_want_text(w->r.err.data, "nodes: saw nothing");
	assert_false(exists(w, ""));
	tool_run_program("kubemarla-lab", (const char *[]){ "run", "--help", NULL }, NULL, 0,
	                 &w->r);
	tool_want_code(&w->r, 0);
}

static void a_program_that_is_missing_is_named(void **state)
{
	struct world *w = *state;

	run(w, "name: t\nnodes: [{name: a, cpus: \"0\"}]\n"
	       "target: {program: /nowhere/nginx}\n");
	tool_want_code(&w->r, 1);
	tool_want_text(w->r.err.data, "/nowhere/nginx");
	tool_want_text(w->r.err.data, "resume with: kubemarla-lab run ");
	tool_want_text(w->r.out.data, "36 runs, 0 finished");
	assert_true(exists(w, "plan.yaml"));
	assert_false(exists(w, "runs.csv"));
}

static void cpus_that_are_not_here_are_named(void **state)
{
	struct world *w = *state;

	run(w, "name: t\nnodes: [{name: a, cpus: \"1023\"}]\ntarget: {program: /bin/true}\n"
	       "load: {program: /bin/true}\n");
	tool_want_code(&w->r, 2);
	tool_want_text(w->r.err.data, "1023");
}

static void another_plan_is_refused(void **state)
{
	struct world *w = *state;

	run(w, "name: t\nnodes: [{name: a, cpus: \"0\"}]\ntarget: {program: /nowhere/nginx}\n");
	tool_want_code(&w->r, 1);
	tree_put(&w->tree, "out/runs/r1__none1__1replicas_500rps.json", "%s", "{}\n");
	run(w, "name: u\nnodes: [{name: a, cpus: \"0\"}]\ntarget: {program: /nowhere/nginx}\n");
	tool_want_code(&w->r, 2);
	tool_want_text(w->r.err.data, "it has \"name: t\", here \"name: u\"");
}

#define IN_A_TREE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_TREE(arguments_are_checked_first),
		IN_A_TREE(a_program_that_is_missing_is_named),
		IN_A_TREE(cpus_that_are_not_here_are_named),
		IN_A_TREE(another_plan_is_refused),
	};

	return cmocka_run_group_tests_name("lab run", tests, NULL, NULL);
}

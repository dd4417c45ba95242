/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla simulate` as a person runs it, on a synthetic folder and a made-up file of co-runs. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/eval_world.h"
#include "support/tool.h"
#include "support/xml.h"

struct world {
	struct dataset_world data; /* four campaigns, features.yaml */
	struct tool_result r;
};

static const char *path(const struct world *w, const char *name)
{
	return dataset_world_path(&w->data, name);
}

#define RUN(w, ...) tool_run((const char *[]){ "simulate", __VA_ARGS__, NULL }, NULL, 0, &(w)->r)

/* Eight programs beside one another on two boards. */
static void put_coruns(const struct world *w)
{
	struct km_buf text;

	km_buf_init(&text);
	km_buf_str(&text, "platform,workload,neighbour,alone_ms,with_neighbour_ms\n");
	for (int p = 0; p < 2; p++) {
		for (int a = 0; a < 8; a++) {
			for (int b = 0; b < 8; b++) {
				if (a != b)
					km_buf_printf(&text, "p%d,w%d,w%d,%d,%g\n", p, a, b, a + 1,
					              (a + 1) * (1.1 + 0.05 * b));
			}
		}
	}
	dataset_world_put(&w->data, "coruns.csv", text.data, text.len);
	km_buf_fini(&text);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -1;
	eval_world_init(&w->data, 4);
	put_coruns(w);
	tool_result_init(&w->r);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	dataset_world_fini(&w->data);
	tool_result_fini(&w->r);
	free(w);
	return 0;
}

/* All of standard output is one JSON object and a newline. */
static cJSON *json_of(const struct tool_result *r)
{
	const char *end = NULL;
	cJSON *tree = cJSON_ParseWithOpts(r->out.data, &end, 0);

	if (tree == NULL || strcmp(end, "\n") != 0)
		fail_msg("no JSON object and a newline:\n%s", r->out.data);
	return tree;
}

static const cJSON *setting_of(const cJSON *tree, const char *name)
{
	const cJSON *s;

	cJSON_ArrayForEach(s, cJSON_GetObjectItem(tree, "settings"))
	{
		if (strcmp(cJSON_GetObjectItem(s, "name")->valuestring, name) == 0)
			return s;
	}
	return NULL;
}

static const cJSON *arm_of(const cJSON *setting, const char *name)
{
	const cJSON *a;

	cJSON_ArrayForEach(a, cJSON_GetObjectItem(setting, "arms"))
	{
		if (strcmp(cJSON_GetObjectItem(a, "name")->valuestring, name) == 0)
			return a;
	}
	return NULL;
}

static double value_of(const cJSON *setting, const char *arm, const char *metric)
{
	const cJSON *n = cJSON_GetObjectItem(arm_of(setting, arm), metric);

	n = cJSON_GetObjectItem(n, "value");
	return cJSON_IsNumber(n) ? n->valuedouble : (double)NAN;
}

static void each_world_runs_alone_and_says_what_it_skips(void **state)
{
	struct world *w = *state;
	const cJSON *s;
	cJSON *tree;

	RUN(w, "--corun", path(w, "coruns.csv"), "--seeds", "2", "--json");
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.err.data, "no --dataset: the nginx world is skipped\n");
	tree = json_of(&w->r);
	s = setting_of(tree, "corun-pairs");
	assert_non_null(s);
	assert_non_null(arm_of(s, "oracle-one-sided"));
	assert_null(arm_of(s, "thesis"));
	assert_true(value_of(s, "oracle", "gapClosed") == 1);
	assert_true(isnan(value_of(s, "ours", "moves"))); /* null, not 0 */
	assert_null(setting_of(tree, "nginx-local-10min"));
	cJSON_Delete(tree);
	RUN(w, "--learn", path(w, "coruns.csv"), "--seeds", "1", "--json");
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.err.data, "--learn without --corun");
	cJSON_Delete(json_of(&w->r));
}

static void machines_are_judged_by_models_that_have_not_seen_them(void **state)
{
	struct world *w = *state;
	const cJSON *s;
	const cJSON *note;
	bool told = false;
	cJSON *tree;

	RUN(w, "--dataset", w->data.dir, "--features", path(w, "features.yaml"), "--seeds", "3",
	    "--nodes", "2", "--json");
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.err.data, "no --corun: the corun world is skipped\n");
	tree = json_of(&w->r);
	s = setting_of(tree, "nginx-local-10min");
	assert_non_null(s);
	assert_true(cJSON_GetObjectItem(s, "decisions")->valuedouble > 50);
	assert_true(value_of(s, "ours", "gapClosed") > value_of(s, "random", "gapClosed"));
	assert_non_null(arm_of(s, "oracle-late"));
	assert_null(arm_of(s, "ours-no-harm"));
	assert_true(value_of(s, "ours", "moves") >= 0);
	cJSON_ArrayForEach(note, cJSON_GetObjectItem(tree, "notes")) told |=
		strstr(note->valuestring, "trained without both") != NULL;
	assert_true(told);
	cJSON_Delete(tree);
}

static void a_given_model_is_used_as_it_is(void **state)
{
	struct world *w = *state;

	tool_run((const char *[]){ "train", "--dataset", w->data.dir, "--out", path(w, "model.ubj"),
	                           "--no-baselines", "--features", path(w, "features.yaml"), NULL },
	         NULL, 0, &w->r);
	tool_want_code(&w->r, 0);
	RUN(w, "--dataset", w->data.dir, "--model", path(w, "model.ubj"), "--seeds", "2", "--nodes",
	    "2");
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data, "model.ubj as it is");
	tool_want_text(w->r.out.data, "nginx-remote-10min");
	if (strstr(w->r.out.data, "nginx-local-null") != NULL)
		fail_msg("a given model has no permuted labels:\n%s", w->r.out.data);
}

/* Two campaigns: judging them leaves none to learn from. A model from elsewhere needs none. */
static void a_folder_too_small_to_learn_from_is_judged_by_a_given_model(void **state)
{
	struct world *w = *state;
	struct dataset_world small;

	eval_world_init(&small, 2);
	RUN(w, "--dataset", small.dir, "--features", path(w, "features.yaml"), "--seeds", "1",
	    "--nodes", "2");
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data, "nothing is left to learn from");
	tool_want_text(w->r.out.data, "nginx-local-10min: skipped");
	tool_run((const char *[]){ "train", "--dataset", w->data.dir, "--out", path(w, "other.ubj"),
	                           "--no-baselines", "--features", path(w, "features.yaml"), NULL },
	         NULL, 0, &w->r);
	tool_want_code(&w->r, 0);
	RUN(w, "--dataset", small.dir, "--model", path(w, "other.ubj"), "--seeds", "1", "--nodes",
	    "2", "--json");
	tool_want_code(&w->r, 0);
	cJSON_Delete(json_of(&w->r));
	if (strstr(w->r.out.data, "\"thesis\"") != NULL)
		fail_msg("nothing was there to train it from:\n%s", w->r.out.data);
	tool_want_text(w->r.out.data, "\"ours\"");
	dataset_world_fini(&small);
}

static void bursts_show_what_the_ledger_is_for(void **state)
{
	struct world *w = *state;
	const cJSON *b;
	double with = NAN;
	double without = NAN;
	cJSON *tree;

	RUN(w, "--burst", "--json");
	tool_want_code(&w->r, 0);
	tree = json_of(&w->r);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "settings")), 0);
	cJSON_ArrayForEach(b, cJSON_GetObjectItem(tree, "bursts"))
	{
		double ratio = cJSON_GetObjectItem(b, "maxOverMean")->valuedouble;

		if (cJSON_GetObjectItem(b, "nodes")->valueint != 20)
			continue;
		if (cJSON_IsTrue(cJSON_GetObjectItem(b, "ledger")))
			with = ratio;
		else
			without = ratio;
	}
	assert_true(with <= 1.25);
	assert_true(without > with);
	cJSON_Delete(tree);
}

static void the_page_is_well_formed(void **state)
{
	struct world *w = *state;
	struct km_buf page;
	struct km_err err = { .code = 0 };

	RUN(w, "--corun", path(w, "coruns.csv"), "--seeds", "1", "--html", path(w, "page.html"));
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.err.data, "wrote");
	km_buf_init(&page);
	assert_int_equal(km_file_read(path(w, "page.html"), 1u << 24, &page, &err), 0);
	if (xml_trouble(page.data, page.len) != NULL)
		fail_msg("%s", xml_trouble(page.data, page.len));
	km_buf_fini(&page);
}

static void what_is_wrong_is_said(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *option, *value, *part;
	} rows[] = {
		{ "--seeds", "0", "--seeds: saw \"0\", want 1 to 1000" },
		{ "--seeds", "many", "--seeds: saw \"many\"" },
		{ "--nodes", "1", "--nodes: saw \"1\", want 2 to 64" },
		{ "--lag", "61", "--lag: saw \"61\", want 0 to 60" },
		{ "--scale", "50", "--scale: saw \"50\", want 10 or 100" },
		{ "--max-slowdown", "1", "--max-slowdown: saw \"1\"" },
		{ "--corun", "/nowhere/x.csv", "/nowhere/x.csv" },
		{ "--dataset", "/nowhere", "/nowhere" },
	};

	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		RUN(w, rows[i].option, rows[i].value, "--json");
		tool_want_code(&w->r, 2);
		tool_want_text(w->r.err.data, rows[i].part);
		assert_int_equal(w->r.out.len, 0);
	}
	RUN(w, "--json");
	tool_want_code(&w->r, 2);
	tool_want_text(w->r.err.data, "want --dataset, --corun, --learn or --burst");
	RUN(w, "--help");
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data, "--first-seed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_world_runs_alone_and_says_what_it_skips),
		cmocka_unit_test(machines_are_judged_by_models_that_have_not_seen_them),
		cmocka_unit_test(a_given_model_is_used_as_it_is),
		cmocka_unit_test(a_folder_too_small_to_learn_from_is_judged_by_a_given_model),
		cmocka_unit_test(bursts_show_what_the_ledger_is_for),
		cmocka_unit_test(the_page_is_well_formed),
		cmocka_unit_test(what_is_wrong_is_said),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

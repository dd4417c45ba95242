/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a folder of the laboratory's to answers: train, judge and serve with the feature list of
 * models/os-nginx. The folder is SYNTHETIC (tests/fixtures/gen_lab.c); the daemon reads this
 * machine's kernel.
 */
#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/file.h"

#include "support/tool.h"
#include "support/wire.h"

#define LIST "models/os-nginx/features.yaml"

struct world {
	struct daemon daemon; /* its directory holds the folder, too */
	char folder[256], model[256];
	struct tool_result r;
};

#define RUN(w, ...) tool_run((const char *[]){ __VA_ARGS__, NULL }, NULL, 0, &(w)->r)

static void generate(struct world *w, const char *name, const char *repeats)
{
	(void)snprintf(w->folder, sizeof(w->folder), "%.200s/%s", w->daemon.dir, name);
	(void)snprintf(w->model, sizeof(w->model), "%.200s/model.ubj", w->daemon.dir);
	tool_run_program("tests/gen_lab", (const char *[]){ w->folder, repeats, NULL }, NULL, 0,
	                 &w->r);
	tool_want_code(&w->r, 0);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -1;
	daemon_init(&w->daemon);
	tool_result_init(&w->r);
	generate(w, "lab", "3");
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	tool_result_fini(&w->r);
	daemon_fini(&w->daemon);
	free(w);
	return 0;
}

static void train(struct world *w)
{
	RUN(w, "train", "--dataset", w->folder, "--features", LIST, "--out", w->model);
	tool_want_code(&w->r, 0);
}

static void a_folder_of_empty_candidates_trains_and_says_so(void **state)
{
	struct world *w = *state;
	cJSON *report;
	const cJSON *metrics;

	train(w);
	tool_want_text(w->r.out.data, "  model, empty candidate         84 ");
	assert_null(strstr(w->r.out.data, "lighter"));
	tool_want_text(w->r.out.data, "baseline linear");
	assert_null(strstr(w->r.out.data, "baseline thesis"));
	tool_want_text(w->r.out.data, "baseline CPU use");
	tool_want_text(w->r.out.data, "left out: thesis, none of its counters was measured here");
	RUN(w, "model", "check", w->model);
	tool_want_text(w->r.out.data, "usable: os-nginx, placement, 8 features, tier os");
	RUN(w, "eval", "--dataset", w->folder, "--features", LIST, "--model", w->model, "--cv",
	    "campaign", "--json");
	tool_want_code(&w->r, 0);
	report = cJSON_Parse(w->r.out.data);
	assert_non_null(report);
	metrics = cJSON_GetObjectItem(report, "metrics");
	assert_string_equal(cJSON_GetObjectItem(report, "kind")->valuestring, "empty");
	assert_int_equal(cJSON_GetObjectItem(metrics, "rows")->valueint, 84);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(report, "byScenario")), 13);
	/* the formula is there to be found; by chance it is 0 */
	assert_true(cJSON_GetObjectItem(metrics, "r2")->valuedouble > 0.6);
	assert_true(cJSON_Compare(metrics, cJSON_GetObjectItem(report, "empty"), true));
	cJSON_Delete(report);
}

static void protocols_that_make_no_sense_are_told(void **state)
{
	struct world *w = *state;

	train(w);
	RUN(w, "eval", "--dataset", w->folder, "--features", LIST, "--model", w->model, "--cv",
	    "scenario", "--no-baselines");
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data, "leave-scenario-out");
	RUN(w, "eval", "--dataset", w->folder, "--features", LIST, "--model", w->model, "--cv",
	    "family");
	tool_want_code(&w->r, 2);
	tool_want_text(w->r.err.data,
	               "leave-family-out: one group only, want at least two: all rows "
	               "are of family lab\n");
	generate(w, "one", "1");
	RUN(w, "train", "--dataset", w->folder, "--features", LIST, "--out", w->model);
	tool_want_code(&w->r, 2);
	tool_want_text(w->r.err.data, "all rows are of campaign lab_r1\n");
}

static void some_forty_rows_are_enough_to_train(void **state)
{
	struct world *w = *state;

	generate(w, "two", "2"); /* 56 rows, 28 to learn from in each fold */
	train(w);
	tool_want_text(w->r.out.data, "  model, empty candidate         56 ");
}

static void the_page_is_of_empty_candidates(void **state)
{
	struct world *w = *state;
	char path[280];
	struct km_buf page;

	(void)snprintf(path, sizeof(path), "%s.html", w->model);
	RUN(w, "train", "--dataset", w->folder, "--features", LIST, "--out", w->model, "--html",
	    path);
	tool_want_code(&w->r, 0);
	km_buf_init(&page);
	assert_int_equal(km_file_read(path, 64 << 20, &page, NULL), 0);
	tool_want_text(km_buf_cstr(&page), "The figures are over 84 rows (empty candidate).");
	assert_null(strstr(km_buf_cstr(&page), "lighter"));
	assert_null(strstr(km_buf_cstr(&page), "pods in flight"));
	km_buf_fini(&page);
}

static void trained_twice_it_has_the_same_bytes(void **state)
{
	struct world *w = *state;
	struct km_buf bytes[2];

	for (size_t i = 0; i < 2; i++) {
		train(w);
		km_buf_init(&bytes[i]);
		assert_int_equal(km_file_read(w->model, 64 << 20, &bytes[i], NULL), 0);
	}
	assert_int_equal(bytes[0].len, bytes[1].len);
	assert_memory_equal(bytes[0].data, bytes[1].data, bytes[0].len);
	km_buf_fini(&bytes[0]);
	km_buf_fini(&bytes[1]);
}

/* The one prediction for node-a, asked until it has a slowdown, or `tries` are over. */
static cJSON *predicted(struct world *w)
{
	static const char body[] = "{\"pod\":{\"rps\":1000,\"replicas\":1},\"nodes\":[\"node-a\"]}";
	struct answer a;
	cJSON *answer;
	cJSON *first;

	daemon_request(&w->daemon, "POST", "/v1/predict", body, &a);
	assert_int_equal(a.status, 200);
	answer = cJSON_Parse(a.body);
	answer_fini(&a);
	assert_non_null(answer);
	first = cJSON_DetachItemFromArray(cJSON_GetObjectItem(answer, "predictions"), 0);
	cJSON_Delete(answer);
	assert_non_null(first);
	return first;
}

static void start(struct world *w, const char *model, const char *sources)
{
	char yaml[1024];

	(void)snprintf(yaml, sizeof(yaml),
	               "nodes: [{name: node-a, cpus: \"0\"}, {name: node-b, cpus: \"1\"}]\n"
	               "collect: {interval: 1s, sources: %s}\nmodel: {path: \"%s\"}\n",
	               sources, model);
	wire_start(&w->daemon, yaml);
}

static void a_daemon_with_the_kernels_own_counts_predicts_in_tier_os(void **state)
{
	struct world *w = *state;
	cJSON *p;

	train(w);
	start(w, w->model, "[os]");
	(void)wire_wait_metric(&w->daemon, "kubemarla_node_busy_ratio{node=\"node-a\"}", 0);
	p = predicted(w);
	assert_string_equal(cJSON_GetObjectItem(p, "tier")->valuestring, "os");
	assert_true(cJSON_IsNumber(cJSON_GetObjectItem(p, "slowdown")));
	assert_true(cJSON_GetObjectItem(p, "slowdown")->valuedouble > 0.5);
	assert_true(cJSON_GetObjectItem(p, "low")->valuedouble <=
	            cJSON_GetObjectItem(p, "slowdown")->valuedouble);
	cJSON_Delete(p);
	daemon_signal(&w->daemon, 15);
	assert_int_equal(daemon_exit_code(&w->daemon), 0);
}

static void a_model_of_a_better_tier_stays_neutral_there(void **state)
{
	struct world *w = *state;
	cJSON *p;

	start(w, "models/pcm-nginx/model.ubj", "[os]");
	(void)wire_wait_metric(&w->daemon, "kubemarla_node_busy_ratio{node=\"node-a\"}", 0);
	p = predicted(w);
	assert_string_equal(cJSON_GetObjectItem(p, "tier")->valuestring, "os");
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(p, "slowdown")));
	cJSON_Delete(p);
	daemon_signal(&w->daemon, 15);
	assert_int_equal(daemon_exit_code(&w->daemon), 0);
}

/* What was recorded is what the daemon serves: rows of nodes go to the nodes of that name. */
static void a_trace_of_the_laboratory_is_replayed(void **state)
{
	struct world *w = *state;
	char sources[512];
	cJSON *p;

	train(w);
	(void)snprintf(sources, sizeof(sources),
	               "[{replay: {file: \"%.200s/traces/"
	               "r1__cpu100_on-target__1replicas_1000rps__before.csv.gz\", "
	               "nodes: [node-b, node-a], speed: 1000}}]",
	               w->folder);
	start(w, w->model, sources);
	wire_wait_replayed(&w->daemon, 1);
	assert_true(wire_metric(&w->daemon, "kubemarla_node_busy_ratio{node=\"node-a\"}") > 0.9);
	assert_true(wire_metric(&w->daemon, "kubemarla_node_busy_ratio{node=\"node-b\"}") < 0.1);
	assert_true(wire_metric(&w->daemon, "kubemarla_node_cpu_psi_ratio{node=\"node-a\"}") >
	            0.005);
	assert_true(wire_metric(&w->daemon, "kubemarla_node_cpu_psi_ratio{node=\"node-b\"}") <
	            0.001);
	p = predicted(w);
	assert_string_equal(cJSON_GetObjectItem(p, "tier")->valuestring, "os");
	assert_true(cJSON_GetObjectItem(p, "slowdown")->valuedouble > 2);
	cJSON_Delete(p);
	daemon_signal(&w->daemon, 15);
	assert_int_equal(daemon_exit_code(&w->daemon), 0);
}

#define LAB_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(a_folder_of_empty_candidates_trains_and_says_so),
		LAB_TEST(protocols_that_make_no_sense_are_told),
		LAB_TEST(some_forty_rows_are_enough_to_train),
		LAB_TEST(the_page_is_of_empty_candidates),
		LAB_TEST(trained_twice_it_has_the_same_bytes),
		LAB_TEST(a_daemon_with_the_kernels_own_counts_predicts_in_tier_os),
		LAB_TEST(a_model_of_a_better_tier_stays_neutral_there),
		LAB_TEST(a_trace_of_the_laboratory_is_replayed),
	};

	return cmocka_run_group_tests_name("lab_model", tests, NULL, NULL);
}

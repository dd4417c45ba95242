/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon's decision log, and `kubemarla replay` of it: the same model answers the same. */
#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/extender_case.h"
#include "support/tool.h"

#define MODEL "tests/fixtures/model/test.ubj"
#define CALLS "kubemarla_decision_log_calls_total"

struct world {
	struct daemon d;
	struct tool_result r;
	char log[128];
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -1;
	daemon_init(&w->d);
	tool_result_init(&w->r);
	(void)snprintf(w->log, sizeof(w->log), "%s/decisions.log", w->d.dir);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	tool_result_fini(&w->r);
	daemon_fini(&w->d);
	free(w);
	return 0;
}

#define RUN(w, ...) tool_run((const char *[]){ __VA_ARGS__, NULL }, NULL, 0, &(w)->r)

static double number(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

static void place(const struct daemon *d, int i)
{
	static const char *const routes[] = { "/filter", "/prioritize" };
	char body[512];

	(void)snprintf(
		body, sizeof(body),
		"{\"Pod\":{\"metadata\":{\"name\":\"p-%d\",\"uid\":\"u-%d\",\"annotations\":{"
		"\"kubemarla.io/rps\":\"%d\"},\"ownerReferences\":[{\"controller\":true,"
		"\"kind\":\"Job\",\"name\":\"j-%d\"}]}},\"Nodes\":null,\"NodeNames\":["
		"\"quiet\",\"some\",\"noisy\",\"blind\",\"ghost\"]}",
		i, i, 500 + 700 * (i % 5), i % 2);
	for (size_t k = 0; k < 2; k++) {
		struct answer a;

		daemon_request(d, "POST", routes[k], body, &a);
		assert_int_equal(a.status, 200);
		answer_fini(&a);
	}
}

/* The replay of `path` as JSON. */
static cJSON *replay(struct world *w, const char *path, const char *model)
{
	cJSON *tree;

	RUN(w, "replay", path, "--model", model, "--json");
	tool_want_code(&w->r, 0);
	tree = cJSON_Parse(w->r.out.data);
	assert_non_null(tree);
	return tree;
}

static void the_same_model_answers_the_same(void **state)
{
	struct world *w = *state;
	char other[160];
	cJSON *tree;

	extender_start(&w->d, EXTENDER_NODES EXTENDER_MODEL
	               "decide: {maxAge: 1h, log: \"@DIR@/decisions.log\"}\n");
	for (int i = 0; i < 10; i++)
		place(&w->d, i);
	(void)wire_wait_metric(&w->d, CALLS, 20);
	tree = replay(w, w->log, MODEL);
	assert_true(number(tree, "calls") == 20 && number(tree, "identical") == 20);
	assert_true(number(tree, "choices") == 10 && number(tree, "same") == 10);
	assert_true(number(tree, "changed") == 0 && number(tree, "badLines") == 0);
	assert_true(number(tree, "rowsMissing") == 0);
	cJSON_Delete(tree);

	/* logrotate: the renamed file is whole, and so is the new one */
	(void)snprintf(other, sizeof(other), "%s.1", w->log);
	assert_int_equal(rename(w->log, other), 0);
	daemon_signal(&w->d, SIGHUP);
	assert_true(daemon_wait_log(&w->d, 0, "reload applied"));
	for (int i = 0; i < 3; i++)
		place(&w->d, i);
	(void)wire_wait_metric(&w->d, CALLS, 26);
	tree = replay(w, w->log, MODEL);
	/* it begins with pods in flight that it does not tell of: scores may differ */
	assert_true(number(tree, "calls") == 6 && number(tree, "badLines") == 0);
	cJSON_Delete(tree);
	tree = replay(w, other, MODEL);
	assert_true(number(tree, "calls") == 20 && number(tree, "identical") == 20);
	cJSON_Delete(tree);
	daemon_signal(&w->d, SIGTERM);
	assert_int_equal(daemon_exit_code(&w->d), 0);
}

/* Three nodes and what was answered about them by nobody in particular. */
#define HEAD                                                                                       \
	"{\"kind\":\"settings\",\"time\":\"2026-11-30T07:41:02.123Z\",\"maxAgeSeconds\":15,"       \
	"\"onStale\":\"Neutral\",\"scoreScale\":10,\"minMaxSlowdown\":1.2,\"risk\":0.5,"           \
	"\"harmFilter\":true,\"harmScore\":true,\"ledgerOff\":false,"                              \
	"\"reservationTTLSeconds\":0,\"unknownSlowdown\":1.1}\n"                                   \
	"{\"kind\":\"schema\",\"windowSeconds\":60,\"binSeconds\":5,\"features\":["                \
	"\"node.ipc.mean\",\"node.c0_ratio.mean\",\"node.l3_miss_per_s.mean\","                    \
	"\"host.mem_write_bytes_per_s.mean\"]}\n"                                                  \
	"{\"kind\":\"nodes\",\"names\":[\"idle\",\"busy\",\"mid\"]}\n"                             \
	"{\"kind\":\"row\",\"node\":0,\"version\":1,\"windowEndNs\":1,\"tier\":\"uncore\","        \
	"\"values\":[2.2,0.05,1e6,1e8]}\n"                                                         \
	"{\"kind\":\"row\",\"node\":1,\"version\":1,\"windowEndNs\":1,\"tier\":\"uncore\","        \
	"\"values\":[0.5,0.95,5e7,7e9]}\n"                                                         \
	"{\"kind\":\"row\",\"node\":2,\"version\":1,\"windowEndNs\":1,\"tier\":\"uncore\","        \
	"\"values\":[1.2,0.5,2e7,null]}\n"
#define DECISION(id, call, from, nodes, ages, scores, rejected)                                    \
	"{\"kind\":\"decision\",\"id\":" id ",\"call\":\"" call "\",\"time\":null,"                \
	"\"atNs\":5000000000,\"pod\":{\"namespace\":\"shop\",\"name\":\"web-" id                   \
	"\",\"uid\":\"\"},\"says\":{\"labels\":[[\"app\",\"web\"]],\"ownerKind\":\"\","            \
	"\"ownerName\":\"\",\"rps\":null,\"maxSlowdown\":null,\"class\":\"\"},\"workload\":{"      \
	"\"rps\":1000,\"replicas\":1,\"maxSlowdown\":2,"                                           \
	"\"mode\":\"Enforce\",\"onStale\":\"Neutral\",\"class\":\"\"},\"workloadFrom\":\"" from    \
	"\",\"policy\":null,\"service\":null,\"podRps\":null,\"modelHash\":null,\"nodes\":" nodes  \
	",\"agesUs\":" ages ",\"scores\":" scores ",\"rejected\":" rejected "}\n"

static const char golden_log[] = HEAD
	/* the best is chosen again */
	DECISION("1", "prioritize", "policy", "[0,1,2]", "[1000,1000,1000]", "[9,1,3]", "[]")
	/* the busy one was chosen: not again */
	DECISION("2", "prioritize", "policy", "[0,1,2]", "[1000,1000,1000]", "[1,9,3]", "[]")
	/* a tie with the best in it */
	DECISION("3", "prioritize", "policy", "[0,1,\"ghost\"]", "[1000,1000,null]", "[7,7,1]",
                 "[]")
	/* nothing was rejected; the busy one would be */
	DECISION("4", "filter", "policy", "[0,1]", "[1000,1000]", "[9,1]", "[]")
	/* one node is no choice; its data was too old */
	DECISION("5", "prioritize", "policy", "[1]", "[20000000]", "[5]", "[]")
	/* as the formula has it: 10 (1 - 0.8 ln 1.027 / ln 2) and 10 x 0.2 ln 2 / ln 3.587 */
	DECISION("6", "filter", "policy", "[0,1]", "[1000,1000]", "[10,1]", "[1]");

static const char golden_json[] =
	"{\"model\":\"test\",\"modelHash\":\"2f90cce969fd41cc\",\"calls\":6,\"identical\":1,"
	"\"choices\":3,\"same\":1,\"overlapping\":1,\"changed\":1,"
	"\"meanSlowdown\":{\"choices\":3,\"then\":1.91942,\"now\":1.02709},"
	"\"meanSlowdownChanged\":{\"choices\":1,\"then\":3.58699,\"now\":1.02709},"
	"\"filterCalls\":2,\"filterChanged\":1,\"rowsMissing\":0,\"lines\":12,\"badLines\":0,"
	"\"lastLineCut\":false,\"answeredBy\":[{\"modelHash\":null,\"calls\":6}],"
	"\"changes\":[{\"id\":2,\"pod\":\"shop/web-2\",\"then\":\"busy\",\"slowdownThen\":3.58699,"
	"\"now\":\"idle\",\"slowdownNow\":1.02709}]}\n";

static void a_log_gives_the_answer_it_always_gave(void **state)
{
	static const char *const parts[] = {
		"on 6 calls, answered then by no model (6).\n1 of them would have been answered "
		"the same in every score and rejection.\nOf 3 choices 1 (33.3 %) are the same, 1 "
		"(33.3 %) overlap, 1 (33.3 %) changed.\n",
		"\nOf 2 calls to /filter 1 would have dropped other nodes.\n",
		"\nREQUEST  POD         CHOSEN  SLOWDOWN  INSTEAD  SLOWDOWN\n"
		"      2  shop/web-2  busy        3.59  idle         1.03\n",
	};
	struct world *w = *state;

	daemon_write(&w->d, "decisions.log", golden_log);
	RUN(w, "replay", w->log, "--model", MODEL, "--json");
	tool_want_code(&w->r, 0);
	assert_string_equal(w->r.err.data, "");
	assert_string_equal(w->r.out.data, golden_json);
	RUN(w, "replay", w->log, "--model", MODEL);
	tool_want_code(&w->r, 0);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		tool_want_text(w->r.out.data, parts[i]);
}

/* Another model of the same features, and other settings. */
static void another_model_and_other_settings_are_asked(void **state)
{
	struct world *w = *state;
	char path[160];
	char yaml[160];
	char text[256];
	cJSON *tree;

	daemon_write(&w->d, "decisions.log", golden_log);
	(void)snprintf(path, sizeof(path), "%s/other.ubj", w->d.dir);
	tool_run_program("tests/gen_model", (const char *[]){ path, "7", NULL }, NULL, 0, &w->r);
	tool_want_code(&w->r, 0);
	tree = replay(w, w->log, path);
	assert_true(number(tree, "choices") == 3 && number(tree, "calls") == 6);
	assert_string_not_equal(cJSON_GetStringValue(cJSON_GetObjectItem(tree, "modelHash")),
	                        "2f90cce969fd41cc");
	cJSON_Delete(tree);
	/* The same nodes, with other scores. */
	daemon_write(&w->d, "settings.yaml", "decide: {scoreScale: 100}\n");
	(void)snprintf(yaml, sizeof(yaml), "%s/settings.yaml", w->d.dir);
	RUN(w, "replay", w->log, "--model", MODEL, "-c", yaml, "--json");
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data, "\"identical\":0,\"choices\":3,\"same\":1,");
	/* A policy that only observes rejects nobody and scores all alike. */
	daemon_write(&w->d, "policies.yaml",
	             "apiVersion: kubemarla.io/v1alpha1\nkind: InterferencePolicy\n"
	             "metadata: {namespace: shop, name: all}\n"
	             "spec: {selector: {matchLabels: {app: web}}, mode: Observe}\n");
	(void)snprintf(text, sizeof(text), "decide: {policies: \"%s/policies.yaml\"}\n", w->d.dir);
	daemon_write(&w->d, "settings.yaml", text);
	RUN(w, "replay", w->log, "--model", MODEL, "-c", yaml, "--json");
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data, "\"same\":0,\"overlapping\":3,\"changed\":0,");
	daemon_write(&w->d, "policies.yaml", "kind: Pod\n");
	RUN(w, "replay", w->log, "--model", MODEL, "-c", yaml);
	tool_want_code(&w->r, 2);
	tool_want_text(w->r.err.data, "kubemarla: decide.policies: ");
	daemon_write(&w->d, "settings.yaml", "decide: {maxAge: never}\n");
	RUN(w, "replay", w->log, "--model", MODEL, "-c", yaml);
	tool_want_code(&w->r, 2);
	tool_want_text(w->r.err.data, "settings.yaml:1: decide.maxAge: saw never");
}

static void bad_lines_are_counted_with_their_numbers(void **state)
{
	static const char lines[] =
		"not json\n" HEAD "{\"kind\":\"row\",\"node\":9,\"version\":1,\"windowEndNs\":1,"
		"\"tier\":\"core\",\"values\":[1,2,3,4]}\n"
		"{\"kind\":\"row\",\"node\":0,\"version\":1,\"windowEndNs\":1,\"tier\":\"core\","
		"\"values\":[1]}\n"
		"{\"kind\":\"verse\"}\n" DECISION("1", "prioritize", "policy", "[0,7]", "[1,1]",
	                                          "[9,1]", "[]")
			DECISION("2", "prioritize", "policy", "[0,1]", "[1,1]", "[9]", "[]")
				DECISION("3", "prioritize", "policy", "[0,1]", "[1,1]", "[9,1]",
	                                 "[]") "{\"kind\":\"deci";
	struct world *w = *state;

	daemon_write(&w->d, "decisions.log", lines);
	RUN(w, "replay", w->log, "--model", MODEL);
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.err.data, "decisions.log:1: want a JSON object\n");
	tool_want_text(w->r.err.data,
	               "decisions.log:8: row: node 9 of 3, want schema and nodes before\n");
	tool_want_text(w->r.err.data, "decisions.log:9: row: saw 1 values, want 4\n");
	tool_want_text(w->r.err.data,
	               "decisions.log:10: kind: saw verse, want settings, schema, nodes, "
	               "row or decision\n");
	tool_want_text(w->r.err.data, "decisions.log:11: decision: node 7 of 3\n"
	                              "kubemarla: ");
	tool_want_text(w->r.err.data, "decisions.log: more bad lines are only counted\n");
	tool_want_text(w->r.out.data, "\n6 of 13 lines are bad.\nThe last line is cut.\n");
	tool_want_text(w->r.out.data, "\nOf 1 choices 1 (100.0 %) are the same");
}

static void what_cannot_be_replayed_is_refused(void **state)
{
	static const struct {
		const char *log, *says;
	} rows[] = {
		{ "", ": no decision in 0 lines, 0 of them bad\n" },
		{ HEAD, ": no decision in 6 lines, 0 of them bad\n" },
		{ "{\"kind\":\"schema\",\"windowSeconds\":30,\"binSeconds\":5,\"features\":[]}\n",
		  ":1: the log has windows of 30 s in bins of 5 s, the model wants 60 s in 5 s\n" },
		{ "{\"kind\":\"schema\",\"windowSeconds\":60,\"binSeconds\":5,\"features\":["
		  "\"node.ipc.mean\"]}\n",
		  ":1: the model reads node.c0_ratio.mean, which is not in the log\n" },
	};
	static const char *const wrong[] = { "replay", "replay a", "replay a b --model m",
		                             "replay --model m", "replay a -x" };
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		daemon_write(&w->d, "decisions.log", rows[i].log);
		RUN(w, "replay", w->log, "--model", MODEL);
		tool_want_code(&w->r, 2);
		tool_want_text(w->r.err.data, rows[i].says);
	}
	RUN(w, "replay", "no-such-file", "--model", MODEL);
	tool_want_code(&w->r, 2);
	tool_want_text(w->r.err.data, "no-such-file: No such file or directory\n");
	RUN(w, "replay", w->log, "--model", "no-such-model");
	tool_want_code(&w->r, 2);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *args[8] = { NULL };
		char copy[64];
		char *rest = copy;

		(void)snprintf(copy, sizeof(copy), "%s", wrong[i]);
		for (int k = 0; k < 7; k++)
			args[k] = strsep(&rest, " ");
		tool_run(args, NULL, 0, &w->r);
		tool_want_code(&w->r, 2);
		tool_want_text(w->r.err.data, "Usage: kubemarla replay LOG");
	}
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_WORLD(the_same_model_answers_the_same),
		WITH_WORLD(a_log_gives_the_answer_it_always_gave),
		WITH_WORLD(another_model_and_other_settings_are_asked),
		WITH_WORLD(bad_lines_are_counted_with_their_numbers),
		WITH_WORLD(what_cannot_be_replayed_is_refused),
	};

	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}

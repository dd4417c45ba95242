/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla ask` and `top` against a daemon: tables, JSON, narrow terminals, what goes wrong. */
#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/tool.h"
#include "support/wire.h"

/* Four hosts of eight CPUs; the counters of one never come. */
static const char config[] = "nodes:\n"
			     "- {name: noisy, cpus: 0-3}\n"
			     "- {name: quiet, cpus: 0-3}\n"
			     "- {name: some, cpus: 0-3}\n"
			     "- {name: blind, cpus: 0-3}\n"
			     "collect:\n"
			     "  interval: 100ms\n"
			     "  sources:\n"
			     "  - replay: {file: \"@DIR@/noisy.csv\", node: noisy, speed: 100000}\n"
			     "  - replay: {file: \"@DIR@/quiet.csv\", node: quiet, speed: 100000}\n"
			     "  - replay: {file: \"@DIR@/some.csv\", node: some, speed: 100000}\n"
			     "  - replay: {file: \"@DIR@/absent.csv\", node: blind}\n"
			     "model: {path: tests/fixtures/model/test.ubj}\n"
			     "decide: {maxAge: 1h}\n";

static const char request[] =
	"{\"Pod\":{\"metadata\":{\"name\":\"p\",\"annotations\":{\"kubemarla.io/rps\":\"3000\","
	"\"kubemarla.io/max-slowdown\":\"3\"}}},\"Nodes\":null,"
	"\"NodeNames\":[\"blind\",\"noisy\",\"quiet\",\"some\",\"\xe8\x8a\x82\\u001b[2J\"]}";

struct world {
	struct daemon d;
	struct tool_result r;
	char url[64];
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -1;
	daemon_init(&w->d);
	tool_result_init(&w->r);
	wire_trace(&w->d, "quiet", "none", 1);
	wire_trace(&w->d, "some", "l3:2", 2);
	wire_trace(&w->d, "noisy", "l3:4", 3);
	wire_start(&w->d, config);
	wire_wait_replayed(&w->d, 3);
	(void)snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%d/", w->d.port);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	tool_result_fini(&w->r);
	wire_stop(&w->d);
	free(w);
	return 0;
}

#define RUN(w, input, columns, ...)                                                                \
	tool_run((const char *[]){ __VA_ARGS__, NULL }, input, columns, &(w)->r)

/* Scores by design.md's formula: 10 (1 - 0.8 ln s / ln 3) up to 3, 10 * 0.2 ln 3 / ln s above; who
 * has no counters gets the middle, or less where the median of the others is lower. */
static const char table[] =
	"Model test; a pod of 3000 requests/s that tolerates a slowdown of 3; scores from 0 to 10."
	"\n\n"
	"NODE    TIER    SLOWDOWN  90% INTERVAL  SCORE  FILTER  MAIN REASON\n"
	"quiet   uncore      1.37   1.09 - 1.88      8  pass    memory writes 25 MB/s: -0.93 "
	"slowdown\n"
	"some    uncore      2.15   1.72 - 2.96      4  pass    memory writes 2.58 GB/s: -0.50 "
	"slowdown\n"
	"blind   none           -             -      4  pass    node has no counters to predict "
	"from\n"
	"\xe8\x8a\x82?[2J  none           -             -      4  pass    node has no counters to "
	"predict from\n"
	"noisy   uncore      3.84   2.99 - 5.43      2  pass    memory writes 6.49 GB/s: +0.97 "
	"slowdown\n";

static void ask_shows_the_best_node_first(void **state)
{
	struct world *w = *state;

	RUN(w, request, 0, "ask", "-s", w->url, "-f", "-");
	tool_want_code(&w->r, 0);
	assert_string_equal(w->r.out.data, table);
	assert_string_equal(w->r.err.data, "");
}

static void ask_reads_files_and_takes_addresses(void **state)
{
	struct world *w = *state;
	char path[128];
	char *address = strdup(w->url + strlen("http://"));

	assert_non_null(address);
	address[strlen(address) - 1] = '\0'; /* the slash */
	daemon_write(&w->d, "request.json", request);
	(void)snprintf(path, sizeof(path), "%s/request.json", w->d.dir);
	RUN(w, NULL, 0, "ask", "--server", address, "--file", path);
	free(address);
	tool_want_code(&w->r, 0);
	assert_string_equal(w->r.out.data, table);
}

/* nodeCacheCapable: false; the answer to /filter has another form then. */
static void ask_reads_answers_with_whole_nodes(void **state)
{
	static const char nodes[] =
		"{\"Pod\":null,\"Nodes\":{\"items\":[{\"metadata\":{\"name\":\"quiet\"}},"
		"{\"metadata\":{\"name\":\"noisy\"}}]},\"NodeNames\":null}";
	struct world *w = *state;

	RUN(w, nodes, 0, "ask", "-s", w->url, "-f", "-");
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data, "\nquiet  uncore      1.04   0.83 - 1.43     10  pass    ");
	tool_want_text(w->r.out.data, "\nnoisy  uncore      2.41   1.88 - 3.41      2  pass    ");
}

static void ask_about_no_node_is_an_empty_table(void **state)
{
	struct world *w = *state;

	RUN(w, "{\"NodeNames\":[]}", 0, "ask", "-s", w->url, "-f", "-");
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data, "\nNODE  TIER  SLOWDOWN");
	tool_want_text(w->r.out.data, "\nThe request names no node.\n");
}

static void ask_as_json_has_all_three_answers(void **state)
{
	struct world *w = *state;
	cJSON *tree;

	RUN(w, request, 0, "ask", "-s", w->url, "-f", "-", "--json");
	tool_want_code(&w->r, 0);
	tree = cJSON_Parse(w->r.out.data);
	assert_non_null(tree);
	assert_int_equal(cJSON_GetArraySize(tree), 3);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetObjectItem(tree, "filter"),
	                                                        "NodeNames")),
	                 5);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "prioritize")), 5);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(
				 cJSON_GetObjectItem(tree, "explain"), "nodes")),
	                 5);
	cJSON_Delete(tree);
}

static void top_shows_all_nodes_and_what_they_measure(void **state)
{
	static const char *const lines[] = {
		"Model test; a pod of 1000 requests/s that tolerates a slowdown of 2.\n\n",
		"  SLOWDOWN  90% INTERVAL  SCORE    IPC       C0  L3 MISS/S  MEM WRITE\n",
		"\nquiet  uncore  ",
		"      1.04   0.83 - 1.43     10  0.852    0.3 %          0    25 MB/s\n",
		"      2.41   1.88 - 3.41      2  0.244   1.03 %        52k  6.49 GB/s\n",
		"\nblind  none    ",
		" -         -             -      5      -        -          -          -\n",
	};
	struct world *w = *state;

	/* Without a request `ask` is the same. */
	for (int i = 0; i < 2; i++) {
		RUN(w, NULL, 0, i == 0 ? "top" : "ask", "-s", w->url);
		tool_want_code(&w->r, 0);
		for (size_t k = 0; k < sizeof(lines) / sizeof(lines[0]); k++)
			tool_want_text(w->r.out.data, lines[k]);
	}
}

static void top_as_json_is_the_answer_as_it_came(void **state)
{
	struct world *w = *state;
	cJSON *tree;

	RUN(w, NULL, 0, "top", "--json", "-s", w->url);
	tool_want_code(&w->r, 0);
	tree = cJSON_Parse(w->r.out.data);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "nodes")), 4);
	cJSON_Delete(tree);
}

/* Columns of a line, where each character takes one. */
static size_t columns_of(const char *line, size_t len)
{
	size_t columns = 0;

	for (size_t i = 0; i < len; i++)
		columns += ((unsigned char)line[i] & 0xc0) != 0x80;
	return columns;
}

/* Behind the sentence, no line is wider than the terminal. */
static void want_within(const char *text, size_t most)
{
	const char *line = strstr(text, "\n\n");

	assert_non_null(line);
	for (line += 2; *line != '\0'; line += strcspn(line, "\n") + 1) {
		size_t columns = columns_of(line, strcspn(line, "\n"));

		if (columns > most)
			fail_msg("%zu columns, want %zu at most:\n%s", columns, most, text);
	}
}

static void tables_fit_the_terminal(void **state)
{
	static const char names[] =
		"{\"NodeNames\":[\"quiet\",\"a-node-with-a-rather-long-name\"]}";
	struct world *w = *state;

	RUN(w, names, 100, "ask", "-s", w->url, "-f", "-");
	tool_want_code(&w->r, 0);
	want_within(w->r.out.data, 100);
	tool_want_text(w->r.out.data,
	               "\na-node-with-a-rather-long-name  none "); /* reasons are cut first */
	tool_want_text(w->r.out.data, "...\n");
	RUN(w, names, 80, "ask", "-s", w->url, "-f", "-");
	want_within(w->r.out.data, 80);
	tool_want_text(w->r.out.data, "\na-node-with-...  none "); /* then names */
	RUN(w, NULL, 72, "top", "-s", w->url);
	want_within(w->r.out.data, 72);
	tool_want_text(w->r.out.data, "SCORE    IPC");
	assert_null(strstr(w->r.out.data, "MEM WRITE"));
	/* What cannot be, is not: figures are never cut. */
	RUN(w, names, 10, "ask", "-s", w->url, "-f", "-");
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data, "1.04   0.83 - 1.43");
}

static void an_unreachable_daemon_is_told_with_what_to_start(void **state)
{
	struct world *w = *state;

	RUN(w, request, 0, "ask", "-s", "127.0.0.1:1", "-f", "-");
	tool_want_code(&w->r, 1);
	assert_string_equal(w->r.out.data, "");
	tool_want_text(w->r.err.data, "kubemarla: http://127.0.0.1:1/filter: ");
	tool_want_text(w->r.err.data, "`kubemarlad -c FILE` starts one, `make run`");
	RUN(w, NULL, 0, "top", "-s", "127.0.0.1:1");
	tool_want_code(&w->r, 1);
	tool_want_text(w->r.err.data, "http://127.0.0.1:1/v1/nodes: ");
}

static void what_is_wrong_is_named(void **state)
{
	struct world *w = *state;
	char base[128];

	RUN(w, "{\"NodeNames\":7}", 0, "ask", "-s", w->url, "-f", "-");
	tool_want_code(&w->r, 2);
	tool_want_text(w->r.err.data,
	               "/filter: status 400: NodeNames: JSON: byte 13: saw a number, "
	               "want an array\n");
	RUN(w, "", 0, "ask", "-s", w->url, "-f", "-");
	tool_want_code(&w->r, 2);
	tool_want_text(w->r.err.data, "status 400: JSON: byte 0: saw the end, want an object\n");
	RUN(w, NULL, 0, "ask", "-s", w->url, "-f", "no-such-file");
	tool_want_code(&w->r, 2);
	tool_want_text(w->r.err.data, "kubemarla: no-such-file: No such file or directory\n");
	RUN(w, NULL, 0, "top", "-s", "ftp://127.0.0.1");
	tool_want_code(&w->r, 1);
	tool_want_text(w->r.err.data, "want a URL of http:// or https://\n");
	(void)snprintf(base, sizeof(base), "%sv2", w->url);
	RUN(w, NULL, 0, "top", "-s", base);
	tool_want_code(&w->r, 1);
	tool_want_text(w->r.err.data, "/v2/v1/nodes: status 404: ");
	tool_want_text(w->r.err.data, "Is it a kubemarlad, with the role extender?\n");
}

static void arguments_are_explained(void **state)
{
	static const char *const wrong[] = { "top -f x", "top extra", "ask -x", "ask -s",
		                             "ask a b" };
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *args[4] = { NULL };
		char copy[32];
		char *rest = copy;

		(void)snprintf(copy, sizeof(copy), "%s", wrong[i]);
		for (int k = 0; k < 3; k++)
			args[k] = strsep(&rest, " ");
		tool_run(args, NULL, 0, &w->r);
		tool_want_code(&w->r, 2);
		tool_want_text(w->r.err.data, "Usage: kubemarla ");
	}
	RUN(w, NULL, 0, "ask", "--help");
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data, "Usage: kubemarla ask [-s URL] [-f FILE] [--json]\n");
	RUN(w, NULL, 0, "help", "top");
	tool_want_code(&w->r, 0);
	tool_want_text(w->r.out.data, "Usage: kubemarla top [-s URL] [--json]\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ask_shows_the_best_node_first),
		cmocka_unit_test(ask_reads_files_and_takes_addresses),
		cmocka_unit_test(ask_reads_answers_with_whole_nodes),
		cmocka_unit_test(ask_about_no_node_is_an_empty_table),
		cmocka_unit_test(ask_as_json_has_all_three_answers),
		cmocka_unit_test(top_shows_all_nodes_and_what_they_measure),
		cmocka_unit_test(top_as_json_is_the_answer_as_it_came),
		cmocka_unit_test(tables_fit_the_terminal),
		cmocka_unit_test(an_unreachable_daemon_is_told_with_what_to_start),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(arguments_are_explained),
	};

	return cmocka_run_group_tests_name("asking a daemon", tests, set_up, tear_down);
}

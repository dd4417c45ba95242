/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `kubemarla ask` and `top` before answers that no kubemarlad of this release gives, or that are
 * none. A fake daemon gives them: an HTTP server in this process with texts per route.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/clock.h"
#include "km/base/macros.h"
#include "km/net/server.h"

#include "support/tool.h"

struct script {
	int status; /* of all but /filter's; 0 = 200 */
	const char *filter, *prioritize, *explain, *nodes;
};

/* What the fake says now. */
static struct script fake;
static pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;

static void fake_says(struct script what)
{
	(void)pthread_mutex_lock(&fake_lock);
	fake = what;
	(void)pthread_mutex_unlock(&fake_lock);
}

static struct script fake_script(void)
{
	struct script now;

	(void)pthread_mutex_lock(&fake_lock);
	now = fake;
	(void)pthread_mutex_unlock(&fake_lock);
	return now;
}

static struct km_server *server;
static char url[64];

static void fake_answer(void *ctx, const struct km_http_request *req, struct km_http_reply *reply)
{
	const struct script now = fake_script();
	const struct {
		const char *path, *text;
	} routes[] = {
		{ "/filter", now.filter },
		{ "/prioritize", now.prioritize },
		{ "/v1/explain", now.explain },
		{ "/v1/nodes", now.nodes },
	};

	(void)ctx;
	for (size_t i = 0; i < KM_ARRAY_LEN(routes); i++) {
		if (strcmp(req->path, routes[i].path) == 0)
			km_buf_str(&reply->body, routes[i].text != NULL ? routes[i].text : "");
	}
	if (now.status != 0 && strcmp(req->path, "/filter") != 0)
		reply->status = now.status;
}

static void fake_refuse(void *ctx, int status, const char *message, struct km_http_reply *reply)
{
	(void)ctx;
	km_buf_printf(&reply->body, "%d %s", status, message);
}

static int set_up(void **state)
{
	const struct km_server_options options = {
		.address = "127.0.0.1",
		.body_bytes = 1000000,
		.connections = 16,
		.request_deadline_ns = 60 * KM_NS_PER_S,
		.idle_ns = 60 * KM_NS_PER_S,
		.threads = 1,
		.handler = fake_answer,
		.refuse = fake_refuse,
	};
	struct km_err err;

	(void)state;
	if (km_server_start(&options, &server, &err) != 0)
		return -1;
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", km_server_port(server));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return (int)km_server_free(server, 0);
}

static void run(struct tool_result *r, const char *command)
{
	const char *const ask[] = { "ask", "-s", url, "-f", "-", NULL };
	const char *const top[] = { "top", "-s", url, NULL };

	tool_run(strcmp(command, "ask") == 0 ? ask : top, "{}", 0, r);
}

#define EXPLAINED(cut, nodes)                                                                      \
	"{\"model\":{\"name\":\"m\"},\"workload\":{\"rps\":10,\"maxSlowdown\":2},\"scoreScale\":"  \
	"100,"                                                                                     \
	"\"cut\":" cut ",\"nodes\":[" nodes "]}"

static void what_the_filter_rejects_stands_last(void **state)
{
	struct tool_result r;

	(void)state;
	tool_result_init(&r);
	fake_says((struct script){
		.filter = "{\"NodeNames\":[\"b\"],\"FailedNodes\":{\"a\":\"too slow\"},"
			  "\"FailedAndUnresolvableNodes\":{\"c\":\"no data\"},\"Error\":\"\"}",
		.prioritize = "[{\"Host\":\"a\",\"Score\":90},{\"Host\":\"b\",\"Score\":10},"
			      "{\"Host\":\"c\",\"Score\":50}]",
		.explain = EXPLAINED(
			"true",
			"{\"node\":\"a\",\"tier\":\"core\",\"slowdown\":1.5,\"low\":1,\"high\":2,"
			"\"message\":\"too "
			"slow\"},{\"node\":\"b\",\"tier\":\"os\",\"slowdown\":1e300,"
			"\"low\":null,\"high\":7},{\"node\":\"c\"}"),
	});
	run(&r, "ask");
	assert_int_equal(r.code, 0);
	assert_non_null(strstr(r.out.data, "; scores from 0 to 100.\n"));
	assert_non_null(
		strstr(r.out.data, "\nb     os      1e+300             -     10  pass    -\na "));
	assert_non_null(strstr(r.out.data, "1.00 - 2.00     90  reject  too slow\nc "));
	assert_non_null(strstr(r.out.data, "-     50  reject  no data\n"));
	assert_non_null(
		strstr(r.out.data, "\nMore nodes than /v1/explain gives main reasons for."));
	tool_result_fini(&r);
}

static void answers_that_are_none_are_told(void **state)
{
	static const char filtered[] = "{\"NodeNames\":[\"a\"]}";
	static const char scored[] = "[{\"Host\":\"a\",\"Score\":1}]";
	static const struct {
		const char *filter, *prioritize, *explain, *nodes, *told;
		int status;
	} rows[] = {
		{ "<html>", NULL, NULL, NULL, "the answer is no filter result of a kubemarlad\n",
		  0 },
		{ "", NULL, NULL, NULL, "the answer is no filter result of a kubemarlad\n", 0 },
		{ "{\"Error\":\"I am down\"}", NULL, NULL, NULL,
		  "the filter's answer is an error: I am down\n", 0 },
		{ filtered, "{}", NULL, NULL, "the answer is no priority list of a kubemarlad\n",
		  0 },
		{ filtered, scored, "[]", NULL, "the answer is no list of nodes of a kubemarlad\n",
		  0 },
		{ NULL, NULL, NULL, "{\"nodes\":7}",
		  "the answer is no list of nodes of a kubemarlad\n", 0 },
		{ NULL, NULL, NULL, "{\"error\":{\"code\":\"x\",\"message\":\"no memory\"}}",
		  "/v1/nodes: status 503: no memory\n", 503 },
		{ NULL, NULL, NULL, "<html>",
		  "/v1/nodes: status 500\nIs it a kubemarlad, with the role extender?\n", 500 },
		{ filtered, "{\"error\":{\"message\":\"not this\"}}", NULL, NULL,
		  "/prioritize: status 404: not this\nIs it a kubemarlad", 404 },
	};
	struct tool_result r;

	(void)state;
	tool_result_init(&r);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		fake_says((struct script){ rows[i].status, rows[i].filter, rows[i].prioritize,
		                           rows[i].explain, rows[i].nodes });
		run(&r, rows[i].nodes != NULL ? "top" : "ask");
		if (r.code != 1 || strstr(r.err.data, rows[i].told) == NULL)
			fail_msg("%s: code %d, no \"%s\" in\n%s", rows[i].filter, r.code,
			         rows[i].told, r.err.data);
		assert_string_equal(r.out.data, "");
	}
	tool_result_fini(&r);
}

static void nodes_of_a_bare_answer_are_shown(void **state)
{
	struct tool_result r;

	(void)state;
	tool_result_init(&r);
	fake_says((struct script){
		.nodes = "{\"model\":null,\"nodes\":[{\"name\":\"a\"},{\"name\":7},8,"
			 "{\"name\":\"b\",\"ageSeconds\":1e6,\"features\":{\"node.busy_ratio."
			 "mean\":0.5}}]}" });
	run(&r, "top");
	assert_int_equal(r.code, 0);
	assert_non_null(strstr(r.out.data, "No model: answers are neutral.\n\nNODE  TIER "));
	assert_non_null(strstr(r.out.data, "1000000.0 s         -             -      -  50 %\n"));
	fake_says((struct script){ .nodes = "{\"nodes\":[]}" });
	run(&r, "top");
	assert_int_equal(r.code, 0);
	assert_non_null(strstr(r.out.data, "\nIt knows no nodes: its configuration names none.\n"));
	tool_result_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_filter_rejects_stands_last),
		cmocka_unit_test(answers_that_are_none_are_told),
		cmocka_unit_test(nodes_of_a_bare_answer_are_shown),
	};

	return cmocka_run_group_tests_name("odd answers to the tool", tests, set_up, tear_down);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire without memory: the Nth allocation fails, for every N that is reached. The allocator is
 * replaced in this program, which sanitizers do themselves: their flavours skip these tests.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/wire/answers.h"
#include "km/wire/client_answers.h"
#include "km/wire/decision_lines.h"
#include "km/wire/extender.h"
#include "km/wire/kube_objects.h"
#include "km/wire/kube_stream.h"
#include "km/wire/predict.h"

#include "support/failing_alloc.h"

/* Runs `step` with the first, second, ... allocation failing, until none of them does. */
static void with_every_failure(int (*step)(void))
{
	int rc = -ENOMEM;
	long n = 0;

	if (!REPLACED)
		skip();
	do {
		has_failed = false;
		allocations_left = n++;
		rc = step();
		allocations_left = -1;
		assert_int_equal(rc, has_failed ? -ENOMEM : 0);
		assert_true(n < 10000);
	} while (has_failed);
	assert_true(n > 1);
}

/* 300 names, some escaped, so that every table and every decoding allocates. */
static const char *extender_body(void)
{
	static char body[16384];
	size_t at = 0;

	if (body[0] == '\0') {
		at += (size_t)snprintf(
			body, sizeof(body),
			"{\"Pod\":{\"metadata\":{\"name\":\"p\\u0041\"}},\"NodeNames\":[");
		for (int i = 0; i < 300; i++)
			at += (size_t)snprintf(body + at, sizeof(body) - at, "%s\"n\\u0041%d\"",
			                       i ? "," : "", i);
		(void)snprintf(body + at, sizeof(body) - at, "]}");
	}
	return body;
}

static int decode_and_answer(void)
{
	static const int32_t score[300];
	struct km_extender_args args;
	struct km_arena arena;
	struct km_buf out;
	int rc;

	km_arena_init(&arena, 0);
	km_buf_init(&out);
	rc = km_extender_decode(extender_body(), strlen(extender_body()), 64, 1, &arena, &args,
	                        NULL);
	if (rc == 0) {
		km_extender_write_filter(&out, &args, NULL, NULL, 0);
		km_extender_write_priorities(&out, &args, score);
		rc = km_buf_ok(&out) ? 0 : -ENOMEM;
	}
	km_buf_fini(&out);
	km_arena_fini(&arena);
	return rc;
}

static int decode_prediction(void)
{
	static const char body[] =
		"{\"pod\":{\"class\":\"\\u0041\"},\"nodes\":[\"\\u0041\",\"b\"]}";
	struct km_predict_args args;
	struct km_arena arena;
	int rc;

	km_arena_init(&arena, 0);
	rc = km_predict_decode(body, sizeof(body) - 1, 64, &arena, &args, NULL);
	km_arena_fini(&arena);
	return rc;
}

static int explain(void)
{
	const struct km_answer_contribution c = { "node.ipc.mean", 0.5, 0.3, 0.5 };
	const struct km_answer_explanation why = { 1.5, 0.1, &c, 1 };
	const struct km_answer_verdict verdict = { true, 7, "Fits", "fits" };
	const struct km_answer_node node = { .name = { "a", 1 } };
	const struct km_workload w = { .rps = 1, .replicas = 1, .max_slowdown = 2 };
	const struct km_vote vote = { .weight = 10 };
	const struct km_answer_question question = {
		.pod_name = { "p", 1 }, .workload = &w, .scale = 10, .vote = &vote, .explained = 1
	};
	struct km_buf out;
	struct km_json j;
	int rc;

	km_buf_init(&out);
	j = km_json_to(&out);
	km_answer_explain_begin(&j, &question, NULL);
	km_answer_explain_node(&j, &node, &verdict, &why);
	km_answer_end(&j);
	rc = km_buf_ok(&out) ? 0 : -ENOMEM;
	km_buf_fini(&out);
	return rc;
}

/* cJSON does not tell lack of memory from bad text: both are "no such answer". */
static int read_answer(void)
{
	static const char body[] = "{\"nodes\":[{\"name\":\"a\",\"tier\":\"core\"}]}";
	struct km_client_table t;
	int rc;

	km_client_table_init(&t);
	rc = km_client_read_nodes(&t, body, sizeof(body) - 1, NULL);
	km_client_table_fini(&t);
	return rc == -EBADMSG ? -ENOMEM : rc;
}

static int remembered(void)
{
	const struct km_workload w = { .rps = 1, .replicas = 1, .max_slowdown = 2 };
	const struct km_answer_reason reason = { "Fits", "fits", 1, 0 };
	const struct km_answer_decision d = { .id = 1,
		                              .pod_name = { "p", 1 },
		                              .workload = &w,
		                              .workload_from = "default",
		                              .reason = &reason,
		                              .reason_count = 1 };
	const struct km_answer_verdict verdict = { true, 7, "Fits", "fits" };
	const struct km_answer_node node = { .name = { "a", 1 }, .state = "fresh" };
	struct km_buf out;
	struct km_json j;
	int rc;

	km_buf_init(&out);
	j = km_json_to(&out);
	km_answer_decisions_begin(&j, 1, 10, 1);
	km_answer_decision_begin(&j, &d);
	for (int i = 0; i < 50; i++)
		km_answer_decision_node(&j, &node, &verdict);
	km_answer_decision_end(&j);
	km_answer_decisions_end(&j, false);
	rc = km_buf_ok(&out) ? 0 : -ENOMEM;
	km_buf_fini(&out);
	return rc;
}

/* As above: without memory a line may look like a bad one. */
static int read_line(void)
{
	static const char line[] =
		"{\"kind\":\"decision\",\"id\":1,\"call\":\"filter\",\"atNs\":1,"
		"\"pod\":{\"namespace\":\"s\",\"name\":\"p\",\"uid\":\"\"},"
		"\"says\":{\"labels\":[[\"a\",\"b\"]],\"ownerKind\":\"\",\"ownerName\":\"\","
		"\"rps\":null,\"maxSlowdown\":null,\"class\":\"\"},"
		"\"workload\":{\"rps\":1,\"replicas\":1,\"maxSlowdown\":2,\"mode\":\"Prefer\","
		"\"onStale\":\"Neutral\",\"class\":\"\"},\"workloadFrom\":\"default\","
		"\"policy\":null,\"service\":null,\"podRps\":null,\"modelHash\":null,"
		"\"nodes\":[0,\"x\"],\"agesUs\":[1,null],\"scores\":[1,2],\"rejected\":[]}";
	struct km_decision_line read;
	struct km_arena arena;
	struct km_buf out;
	int rc;

	km_arena_init(&arena, 0);
	km_buf_init(&out);
	rc = km_decision_line_read(line, sizeof(line) - 1, &arena, &read, NULL);
	if (rc == 0)
		km_decision_line_decision(&out, &read.decision);
	if (rc == -EINVAL || !km_buf_ok(&out))
		rc = -ENOMEM;
	km_buf_fini(&out);
	km_arena_fini(&arena);
	return rc;
}

static int decode_object(void *ctx, const char *json, size_t len)
{
	struct km_kube_pod pod;
	struct km_kube_node node;
	struct km_kube_lease lease;
	struct km_kube_status status;
	int rc = km_kube_pod_decode(json, len, ctx, &pod);

	if (rc == 0)
		rc = km_kube_node_decode(json, len, ctx, &node);
	if (rc == 0)
		rc = km_kube_lease_decode(json, len, ctx, &lease);
	if (rc == 0)
		rc = km_kube_status_decode(json, len, ctx, &status);
	return rc;
}

/* A list and a watch in pieces, so that objects are kept; every text escaped, so that it is
 * decoded. */
static int read_objects(void)
{
	static const char text[] =
		"{\"kind\":\"Status\",\"metadata\":{\"resourceVersion\":\"1\",\"continue\":"
		"\"\\u0041\"},\"items\":[{"
		"\"kind\":\"Status\",\"reason\":\"\\u0041\",\"metadata\":{\"name\":\"\\u0041\","
		"\"labels\":{\"a\":\"\\u0041\"},\"annotations\":{\"kubemarla.io/verdict\":"
		"\"\\u0041\"}},\"spec\":{\"nodeName\":\"\\u0041\",\"holderIdentity\":\"\\u0041\"},"
		"\"status\":{\"podIP\":\"\\u0041\",\"addresses\":[{\"type\":\"InternalIP\","
		"\"address\":\"\\u0041\"}],\"conditions\":[{\"type\":\"PodScheduled\",\"status\":"
		"\"False\",\"reason\":\"\\u0041\"}]}}]}\n";
	struct km_kube_lines *lines = NULL;
	struct km_kube_list *list = NULL;
	struct km_arena arena;
	int rc;

	km_arena_init(&arena, 0);
	rc = km_kube_list_create(10000, decode_object, &arena, &list);
	if (rc == 0)
		rc = km_kube_lines_create(10000, decode_object, &arena, &lines);
	for (size_t at = 0; rc == 0 && at < sizeof(text) - 1; at += 7) {
		size_t left = sizeof(text) - 1 - at;

		rc = km_kube_list_feed(list, text + at, left < 7 ? left : 7, NULL);
		if (rc == 0)
			rc = km_kube_lines_feed(lines, text + at, left < 7 ? left : 7);
	}
	km_kube_list_free(list);
	km_kube_lines_free(lines);
	km_arena_fini(&arena);
	return rc;
}

static void objects_of_the_api_server(void **state)
{
	(void)state;
	with_every_failure(read_objects);
}

static void scheduler_requests(void **state)
{
	(void)state;
	(void)extender_body();
	with_every_failure(decode_and_answer);
}

static void predict_requests(void **state)
{
	(void)state;
	with_every_failure(decode_prediction);
}

static void explanations(void **state)
{
	(void)state;
	with_every_failure(explain);
}

static void answers_read_by_the_tool(void **state)
{
	(void)state;
	with_every_failure(read_answer);
}

static void decisions_remembered(void **state)
{
	(void)state;
	with_every_failure(remembered);
}

static void decisions_logged(void **state)
{
	(void)state;
	with_every_failure(read_line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scheduler_requests),
		cmocka_unit_test(predict_requests),
		cmocka_unit_test(explanations),
		cmocka_unit_test(answers_read_by_the_tool),
		cmocka_unit_test(decisions_remembered),
		cmocka_unit_test(decisions_logged),
		cmocka_unit_test(objects_of_the_api_server),
	};

	return cmocka_run_group_tests_name("wire without memory", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/decisions of a running daemon: what was decided for whom, and what is not asked well. */
#include <cjson/cJSON.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/extender_case.h"

#define ALL "\"quiet\",\"some\",\"noisy\",\"blind\",\"ghost\""

static int set_up(void **state)
{
	struct daemon *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return -1;
	daemon_init(d);
	extender_start(d, EXTENDER_NODES EXTENDER_MODEL "decide: {maxAge: 1h}\n");
	*state = d;
	return 0;
}

static int tear_down(void **state)
{
	wire_stop(*state);
	free(*state);
	return 0;
}

static void post(const struct daemon *d, const char *path, const char *pod, const char *nodes)
{
	struct answer a;
	char body[1024];

	(void)snprintf(body, sizeof(body),
	               "{\"Pod\":{\"metadata\":{\"namespace\":\"shop\",\"name\":\"%s\"}},"
	               "\"Nodes\":null,\"NodeNames\":[%s]}",
	               pod, nodes);
	daemon_request(d, "POST", path, body, &a);
	assert_int_equal(a.status, 200);
	answer_fini(&a);
}

static cJSON *get(const struct daemon *d, const char *path)
{
	struct answer a;
	cJSON *tree;

	daemon_request(d, "GET", path, NULL, &a);
	assert_int_equal(a.status, 200);
	tree = cJSON_ParseWithLength(a.body, a.body_len);
	assert_non_null(tree);
	answer_fini(&a);
	return tree;
}

static double number(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

static const char *text(const cJSON *object, const char *key)
{
	const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

	return value != NULL ? value : "(none)";
}

static cJSON *decisions(const cJSON *tree)
{
	return cJSON_GetObjectItemCaseSensitive(tree, "decisions");
}

static void a_pod_is_one_decision_with_all_its_nodes(void **state)
{
	static const char *const order[] = { "quiet", "some", "blind", "ghost", "noisy" };
	const struct daemon *d = *state;
	const cJSON *one;
	const cJSON *node;
	size_t i = 0;
	cJSON *tree;

	post(d, "/filter", "web-1", ALL);
	post(d, "/prioritize", "web-1", ALL);
	tree = get(d, "/v1/decisions?pod=web-1&namespace=shop");
	assert_int_equal(cJSON_GetArraySize(decisions(tree)), 1);
	one = decisions(tree)->child;
	assert_string_equal(text(cJSON_GetObjectItem(one, "pod"), "name"), "web-1");
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(one, "calls")), 2);
	assert_true(number(one, "prioritizeId") > number(one, "id"));
	assert_true(number(one, "asked") == 5 && number(one, "passed") == 5);
	assert_true(number(one, "scored") == 5 && number(one, "scoreScale") == 10);
	assert_true(number(one, "bestScore") == 10 && number(one, "bestNodes") == 1);
	assert_true(number(one, "worstScore") == 2);
	assert_string_equal(text(one, "workloadFrom"), "default");
	assert_int_equal(strlen(text(one, "modelHash")), 16);
	cJSON_ArrayForEach(node, cJSON_GetObjectItem(one, "nodes"))
	{
		bool measured = i < 2 || i == 4;

		assert_string_equal(text(node, "node"), order[i]);
		assert_string_equal(text(node, "data"), measured ? "fresh" : "absent");
		assert_int_equal(isnan(number(node, "slowdown")), !measured);
		i++;
	}
	assert_int_equal(i, 5);
	cJSON_Delete(tree);
}

/* What the decision says is what /prioritize answered and /v1/explain says. */
static void decisions_agree_with_explanations(void **state)
{
	const struct daemon *d = *state;
	const cJSON *node;
	struct answer a;
	cJSON *tree;
	cJSON *why;

	post(d, "/prioritize", "agree", ALL);
	tree = get(d, "/v1/decisions?pod=agree");
	daemon_request(d, "POST", "/v1/explain", "{\"NodeNames\":[" ALL "]}", &a);
	why = cJSON_ParseWithLength(a.body, a.body_len);
	assert_non_null(why);
	cJSON_ArrayForEach(node, cJSON_GetObjectItem(decisions(tree)->child, "nodes"))
	{
		const cJSON *other;

		cJSON_ArrayForEach(other, cJSON_GetObjectItem(why, "nodes"))
		{
			if (strcmp(text(other, "node"), text(node, "node")) != 0)
				continue;
			assert_true(number(other, "score") == number(node, "score"));
			assert_string_equal(text(other, "reason"), text(node, "reason"));
			if (!isnan(number(node, "slowdown")))
				assert_true(
					fabs(number(other, "slowdown") / number(node, "slowdown") -
				             1) < 1e-3);
		}
	}
	cJSON_Delete(why);
	cJSON_Delete(tree);
	answer_fini(&a);
}

static void the_newest_come_first_and_no_more_than_asked(void **state)
{
	const struct daemon *d = *state;
	char path[64];
	cJSON *tree;
	double id;

	for (int i = 0; i < 25; i++)
		post(d, "/prioritize", i % 2 == 0 ? "even" : "odd", "\"quiet\"");
	tree = get(d, "/v1/decisions?pod=even&limit=3");
	assert_int_equal(cJSON_GetArraySize(decisions(tree)), 3);
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(tree, "cut")));
	id = number(decisions(tree)->child, "id");
	assert_true(id > number(decisions(tree)->child->next, "id"));
	cJSON_Delete(tree);
	tree = get(d, "/v1/decisions?pod=even");
	assert_int_equal(cJSON_GetArraySize(decisions(tree)), 13);
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(tree, "cut")));
	cJSON_Delete(tree);
	tree = get(d, "/v1/decisions");
	assert_int_equal(cJSON_GetArraySize(decisions(tree)), 20);
	assert_true(number(tree, "held") >= 25 && number(tree, "capacity") == 10000);
	cJSON_Delete(tree);
	(void)snprintf(path, sizeof(path), "/v1/decisions?id=%.0f", id);
	tree = get(d, path);
	assert_int_equal(cJSON_GetArraySize(decisions(tree)), 1);
	assert_true(number(decisions(tree)->child, "id") == id);
	cJSON_Delete(tree);
}

static void a_decision_is_explained_by_its_id(void **state)
{
	const struct daemon *d = *state;
	char path[96];
	const cJSON *vote;
	const cJSON *node;
	cJSON *tree;
	double id;

	post(d, "/filter", "why-me", ALL);
	post(d, "/prioritize", "why-me", ALL);
	tree = get(d, "/v1/decisions?pod=why-me");
	id = number(decisions(tree)->child, "prioritizeId");
	cJSON_Delete(tree);
	(void)snprintf(path, sizeof(path), "/v1/explain?id=%.0f&weight=3", id);
	tree = get(d, path);
	assert_true(number(tree, "decision") == id - 1); /* both of its requests name it */
	assert_string_equal(text(cJSON_GetObjectItem(tree, "pod"), "name"), "why-me");
	vote = cJSON_GetObjectItem(tree, "vote");
	assert_true(number(vote, "points") == 300 && number(vote, "inTreePoints") == 1200);
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(vote, "weightAssumed")));
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "nodes")), 5);
	node = cJSON_GetObjectItem(tree, "nodes")->child;
	assert_string_equal(text(node, "node"), "quiet");
	assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(node, "contributions")) > 0);
	cJSON_Delete(tree);
}

static void nobody_knows_a_pod_that_was_never_asked_about(void **state)
{
	static const char *const paths[] = {
		"/v1/decisions?pod=nobody",
		"/v1/decisions?pod=web-1&namespace=elsewhere",
		"/v1/decisions?pod=%22%7b%00",
		"/v1/decisions?id=9000000000000000000",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		cJSON *tree = get(*state, paths[i]);

		assert_int_equal(cJSON_GetArraySize(decisions(tree)), 0);
		cJSON_Delete(tree);
	}
}

static void what_is_asked_wrongly_is_named(void **state)
{
	static const struct {
		const char *method, *path;
		int status;
		const char *says;
	} rows[] = {
		{ "POST", "/v1/decisions", 405, "GET and HEAD only" },
		{ "GET", "/v1/decisions?limit=0", 400,
		  "limit: saw \\\"0\\\", want a whole number from 1 to 200" },
		{ "GET", "/v1/decisions?limit=201", 400, "want a whole number from 1 to 200" },
		{ "GET", "/v1/decisions?limit=many", 400, "limit: saw \\\"many\\\"" },
		{ "GET", "/v1/decisions?limit=", 400, "limit: saw \\\"\\\"" },
		{ "GET", "/v1/explain", 400, "id: saw none, want that of a decision" },
		{ "GET", "/v1/explain?id=9000000000000000000", 404, "no such decision" },
		{ "GET", "/v1/explain?id=x", 400, "id: saw \\\"x\\\"" },
		{ "GET", "/v1/explain?id=1&weight=0", 400, "weight: saw \\\"0\\\", want" },
		{ "PUT", "/v1/explain", 405, "GET, HEAD and POST only" },
		{ "GET", "/v1/decisions?id=-1", 400, "id: saw \\\"-1\\\"" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct answer a;

		daemon_request(*state, rows[i].method, rows[i].path, NULL, &a);
		assert_int_equal(a.status, rows[i].status);
		if (strstr(a.body, rows[i].says) == NULL)
			fail_msg("%s: no %s in %s", rows[i].path, rows[i].says, a.body);
		answer_fini(&a);
	}
}

#define ASKERS 4
#define EACH   50

static void *ask_many(void *arg)
{
	for (int i = 0; i < EACH; i++) {
		post(arg, "/filter", "many", ALL);
		post(arg, "/prioritize", "many", ALL);
	}
	return NULL;
}

static void many_decide_while_others_read(void **state)
{
	pthread_t thread[ASKERS];
	cJSON *tree;

	for (size_t i = 0; i < ASKERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, ask_many, *state), 0);
	for (int i = 0; i < EACH; i++)
		cJSON_Delete(get(*state, "/v1/decisions?pod=many&limit=200"));
	for (size_t i = 0; i < ASKERS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	tree = get(*state, "/v1/decisions?pod=many&limit=200");
	assert_int_equal(cJSON_GetArraySize(decisions(tree)), 200);
	cJSON_Delete(tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pod_is_one_decision_with_all_its_nodes),
		cmocka_unit_test(decisions_agree_with_explanations),
		cmocka_unit_test(the_newest_come_first_and_no_more_than_asked),
		cmocka_unit_test(a_decision_is_explained_by_its_id),
		cmocka_unit_test(nobody_knows_a_pod_that_was_never_asked_about),
		cmocka_unit_test(what_is_asked_wrongly_is_named),
		cmocka_unit_test(many_decide_while_others_read),
	};

	return cmocka_run_group_tests_name("decisions", tests, set_up, tear_down);
}

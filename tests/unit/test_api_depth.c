/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model out of its depth says so wherever it is asked: the routes and the metrics, with a real
 * model, picture and decision behind them.
 */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "km/api/routes.h"

#include "support/decide_world.h"

static struct world world;
static struct km_api api;

/* No server, so no query string. */
const char *km_http_query(const struct km_http_request *r, const char *name)
{
	(void)r;
	(void)name;
	return NULL;
}

const char *km_http_header(const struct km_http_request *r, const char *name)
{
	return km_http_query(r, name);
}

static int setup(void **state)
{
	static const double far_row[FEATURES] = { 9, 0.05, 1e6, 5e11, NAN };
	const double *const rows[] = { far_row, busy_row };

	(void)state;
	world_init_ready(&world);
	publish(&world, host_rows(&world, km_model_schema(world.model), 0, 2, rows));
	api = (struct km_api){
		.roles = KM_ROLE_EXTENDER,
		.json_depth = 64,
		.decide = world.decide,
		.cluster = world.cluster,
		.own = world.cluster,
		.metrics = world.metrics,
		.clock = &world.clock,
		.version = "test",
	};
	km_api_agent_init(&api);
	return km_api_register_metrics(&api);
}

static int teardown(void **state)
{
	(void)state;
	km_api_agent_fini(&api);
	world_fini(&world);
	return 0;
}

static void call(enum km_http_method method, const char *path, const char *body,
                 struct km_http_reply *reply)
{
	const struct km_http_request req = {
		.method = method,
		.path = path,
		.body = body,
		.body_len = strlen(body),
		.arena = &world.arena,
	};

	*reply = (struct km_http_reply){ .status = 200 };
	km_buf_init(&reply->body);
	km_api_handle(&api, &req, reply);
	assert_int_equal(reply->status, 200);
}

/* The entry of a node in the answer's list. */
static const cJSON *entry_of(const cJSON *tree, const char *list, const char *key, const char *name)
{
	const cJSON *entry;

	cJSON_ArrayForEach(entry, cJSON_GetObjectItem(tree, list))
	{
		if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(entry, key)), name) == 0)
			return entry;
	}
	fail_msg("no node %s in %s", name, list);
	return NULL;
}

static double number(const cJSON *entry, const char *key)
{
	const cJSON *item = cJSON_GetObjectItem(entry, key);

	if (item == NULL)
		fail_msg("no %s", key);
	return item != NULL && cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

static double width(const cJSON *entry)
{
	return log(number(entry, "high") / number(entry, "low"));
}

static void routes_say_how_many_features_are_out_of_range(void **state)
{
	static const struct {
		enum km_http_method method;
		const char *path, *body, *list, *key;
	} rows[] = {
		{ KM_HTTP_POST, "/v1/predict", "{}", "predictions", "node" },
		{ KM_HTTP_GET, "/v1/nodes", "", "nodes", "name" },
		{ KM_HTTP_POST, "/v1/explain", "{\"NodeNames\":[\"idle\",\"busy\",\"dark\"]}",
		  "nodes", "node" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_http_reply reply;
		const cJSON *idle;
		const cJSON *busy;
		cJSON *tree;

		call(rows[i].method, rows[i].path, rows[i].body, &reply);
		tree = cJSON_Parse(km_buf_cstr(&reply.body));
		idle = entry_of(tree, rows[i].list, rows[i].key, "idle");
		busy = entry_of(tree, rows[i].list, rows[i].key, "busy");
		assert_true(number(idle, "featuresOutsideTraining") == 2);
		assert_true(number(busy, "featuresOutsideTraining") == 0);
		assert_true(width(idle) > 1.15 * width(busy)); /* 1.1 to the second power */
		/* where nothing is predicted, nothing was out of range */
		assert_true(isnan(number(entry_of(tree, rows[i].list, rows[i].key, "dark"),
		                         "featuresOutsideTraining")));
		cJSON_Delete(tree);
		km_buf_fini(&reply.body);
	}
}

static void metrics_say_so_too(void **state)
{
	struct km_http_reply reply;
	const char *text;

	(void)state;
	call(KM_HTTP_GET, "/metrics", "", &reply);
	text = km_buf_cstr(&reply.body);
	assert_non_null(
		strstr(text, "\nkubemarla_node_features_outside_training{node=\"idle\"} 2\n"));
	assert_non_null(
		strstr(text, "\nkubemarla_node_features_outside_training{node=\"busy\"} 0\n"));
	assert_null(strstr(text, "kubemarla_node_features_outside_training{node=\"dark\"}"));
	km_buf_fini(&reply.body);
	call(KM_HTTP_GET, "/metrics", "", &reply);
	assert_non_null(strstr(km_buf_cstr(&reply.body),
	                       "\nkubemarla_predictions_outside_range_total 1\n"));
	km_buf_fini(&reply.body);
}

static void explanations_are_in_words_and_add_up(void **state)
{
	struct km_http_reply reply;
	const cJSON *busy;
	const cJSON *part;
	double sum;
	cJSON *tree;

	(void)state;
	call(KM_HTTP_POST, "/v1/explain", "{\"NodeNames\":[\"busy\"]}", &reply);
	tree = cJSON_Parse(km_buf_cstr(&reply.body));
	busy = entry_of(tree, "nodes", "node", "busy");
	sum = number(busy, "typicalSlowdown") + number(busy, "otherContributions");
	cJSON_ArrayForEach(part, cJSON_GetObjectItem(busy, "contributions"))
	{
		const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(part, "text"));
		char want[32];

		(void)snprintf(want, sizeof(want), ": %+.2f slowdown", number(part, "slowdown"));
		if (strstr(text, want) == NULL || strstr(text, ".mean") != NULL)
			fail_msg("%s", text);
		sum += number(part, "slowdown");
	}
	assert_true(fabs(sum - number(busy, "slowdown")) < 1e-3);
	assert_non_null(strstr(km_buf_cstr(&reply.body), "\"memory writes 7 GB/s: +"));
	cJSON_Delete(tree);
	km_buf_fini(&reply.body);
}

static void refusals_of_the_server_have_our_form(void **state)
{
	struct km_http_reply reply = { .status = 200 };

	(void)state;
	km_buf_init(&reply.body);
	km_api_refuse(&api, 413, "body over 8388608 bytes", &reply);
	assert_int_equal(reply.status, 413);
	assert_string_equal(km_buf_cstr(&reply.body),
	                    "{\"error\":{\"code\":\"bodyTooLarge\","
	                    "\"message\":\"body over 8388608 bytes\"}}\n");
	km_buf_fini(&reply.body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(routes_say_how_many_features_are_out_of_range,
		                                setup, teardown),
		cmocka_unit_test_setup_teardown(metrics_say_so_too, setup, teardown),
		cmocka_unit_test_setup_teardown(refusals_of_the_server_have_our_form, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(explanations_are_in_words_and_add_up, setup,
		                                teardown),
	};

	return cmocka_run_group_tests_name("api_depth", tests, NULL, NULL);
}

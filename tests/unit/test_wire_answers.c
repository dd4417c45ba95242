/* SPDX-License-Identifier: Apache-2.0 */
/* wire: /v1/predict bodies, our own answers, and the tool's reading of them. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
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
#include "km/wire/predict.h"

static const struct km_workload default_workload = {
	.rps = 1000, .replicas = 1, .max_slowdown = 2, .mode = KM_MODE_PREFER
};

static void predict_bodies_are_read_or_refused_by_name(void **state)
{
	static const struct {
		const char *body;
		const char *error; /* NULL = accepted */
		double rps;
		double replicas;
		size_t count;
		bool all;
	} rows[] = {
		{ "{\"pod\":{\"rps\":1500,\"replicas\":2},\"nodes\":[\"a\",\"b\"]}", NULL, 1500, 2,
		  2, false },
		{ "{}", NULL, 1000, 1, 0, true },
		{ "{\"pod\":null,\"nodes\":null}", NULL, 1000, 1, 0, true },
		{ "{\"nodes\":[]}", NULL, 1000, 1, 0, false },
		{ "{\"pod\":{\"rps\":null,\"class\":\"batch\"},\"nodes\":[\"n\\u00e9\"]}", NULL,
		  1000, 1, 1, false },
		{ "{\"pod\":{\"rps\":\"1500\"}}",
		  "pod.rps: saw a string, want a number from 1e-6 to 1e9", 0, 0, 0, false },
		{ "{\"pod\":{\"rps\":0}}", "pod.rps: saw 0, want a number from 1e-6 to 1e9", 0, 0,
		  0, false },
		{ "{\"pod\":{\"rps\":1e400}}", "pod.rps: saw 1e400, want a number from 1e-6 to 1e9",
		  0, 0, 0, false },
		{ "{\"pod\":{\"replicas\":0.5}}",
		  "pod.replicas: saw 0.5, want a number from 1 to 1e6", 0, 0, 0, false },
		{ "{\"pod\":{\"maxSlowdown\":1}}",
		  "pod.maxSlowdown: saw 1, want a number from 1.05 to 1e6", 0, 0, 0, false },
		{ "{\"pod\":{\"rsp\":1}}",
		  "saw the key \"rsp\", want one of rps, replicas, maxSlowdown, class", 0, 0, 0,
		  false },
		{ "{\"node\":[]}", "saw the key \"node\", want one of pod, nodes", 0, 0, 0, false },
		{ "{\"nodes\":[\"a\",7]}", "nodes[1]: JSON: byte 14: saw a number, want a string",
		  0, 0, 0, false },
		{ "{\"pod\":{\"class\":\"0123456789012345678901234567890123456789\"}}",
		  "pod.class: saw 40 bytes, want less than 32", 0, 0, 0, false },
		{ "[]", "JSON: byte 0: saw an array, want an object", 0, 0, 0, false },
		{ "{} \n", NULL, 1000, 1, 0, true },
		{ "{\"pod\":{}},\"nodes\":[\"a\"]}", "JSON: byte 10: saw more, want the end", 0, 0,
		  0, false },
		{ "{}{}", "JSON: byte 2: saw more, want the end", 0, 0, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_predict_args args;
		struct km_workload w;
		struct km_arena arena;
		struct km_err err = { .code = 0 };
		int rc;

		km_arena_init(&arena, 0);
		rc = km_predict_decode(rows[i].body, strlen(rows[i].body), 64, &arena, &args, &err);
		if (rows[i].error) {
			assert_int_equal(rc, -EINVAL);
			assert_string_equal(err.text, rows[i].error);
		} else {
			assert_int_equal(rc, 0);
			km_predict_workload(&args, &default_workload, &w);
			assert_true(w.rps == rows[i].rps && w.replicas == rows[i].replicas);
			assert_int_equal(args.count, rows[i].count);
			assert_int_equal(args.all_nodes, rows[i].all);
		}
		km_arena_fini(&arena);
	}
}

static void errors_are_json_whatever_the_message(void **state)
{
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	km_json_error(&out, "badRequest", "saw \"x\\\n\", cut UTF-8: \xe2\x82");
	assert_string_equal(km_buf_cstr(&out),
	                    "{\"error\":{\"code\":\"badRequest\",\"message\":\"saw "
	                    "\\\"x\\\\\\n\\\", cut UTF-8: \xef\xbf\xbd\xef\xbf\xbd\"}}\n");
	km_buf_fini(&out);
}

static struct km_schema *two_features(void)
{
	static const char *const names[] = { "node.ipc.mean", "host.mem_write_bytes_per_s.mean",
		                             "pod.rps" };
	struct km_schema *schema = NULL;

	assert_int_equal(km_schema_create(names, 3, 60, 5, &schema, NULL), 0);
	return schema;
}

static void not_measured_is_null_and_never_zero(void **state)
{
	const struct km_answer_node node = {
		.name = { "b", 1 },
		.tier = KM_TIER_NONE,
		.age_s = NAN,
		.slowdown = NAN,
		.low = NAN,
		.high = NAN,
	};
	const struct km_answer_verdict verdict = { true, 5, "NoData", "no data of this node" };
	struct km_schema *schema = two_features();
	const double row[] = { NAN, 4.1e9, NAN };
	struct km_buf out;
	struct km_json j;

	(void)state;
	km_buf_init(&out);
	j = km_json_to(&out);
	km_answer_nodes_begin(&j, NULL, &default_workload);
	km_answer_nodes_node(&j, &node, &verdict, schema, row);
	km_answer_nodes_node(&j, &node, &verdict, schema, NULL);
	km_answer_end(&j);
	assert_string_equal(
		km_buf_cstr(&out),
		"{\"model\":null,\"workload\":{\"rps\":1000,\"replicas\":1,\"maxSlowdown\":2,"
		"\"mode\":\"Prefer\",\"onStale\":\"Neutral\",\"class\":\"\"},\"nodes\":["
		"{\"name\":\"b\",\"tier\":\"none\",\"ageSeconds\":null,\"predictedSlowdown\":null,"
		"\"low\":null,\"high\":null,\"featuresOutsideTraining\":null,"
		"\"featuresMissing\":null,\"score\":5,\"passes\":true,\"reason\":\"NoData\","
		"\"message\":\"no data of this node\",\"contention\":null,"
		"\"features\":{\"node.ipc.mean\":null,"
		"\"host.mem_write_bytes_per_s.mean\":4100000000}},"
		"{\"name\":\"b\",\"tier\":\"none\",\"ageSeconds\":null,\"predictedSlowdown\":null,"
		"\"low\":null,\"high\":null,\"featuresOutsideTraining\":null,"
		"\"featuresMissing\":null,\"score\":5,\"passes\":true,\"reason\":\"NoData\","
		"\"message\":\"no data of this node\",\"contention\":null,"
		"\"features\":{}}]}\n");
	km_buf_fini(&out);
	km_schema_unref(schema);
}

static void contention_is_a_cause_and_a_sentence(void **state)
{
	const struct km_triage triage = { KM_TRIAGE_SELF, 0.4, 0.25, NAN, true };
	const struct km_answer_measured m = { .name = { "a", 1 }, .triage = &triage };
	const struct km_answer_source source = { "perf", "absent", "no \"PMU\"" };
	struct km_buf out;
	struct km_json j;

	(void)state;
	km_buf_init(&out);
	j = km_json_to(&out);
	km_answer_features_begin(&j, NULL, &source, 1);
	km_answer_features_node(&j, &m, NULL, NULL);
	km_answer_end(&j);
	assert_non_null(strstr(km_buf_cstr(&out), "\"sources\":[{\"source\":\"perf\",\"state\":"
	                                          "\"absent\",\"detail\":\"no \\\"PMU\\\"\"}]"));
	assert_non_null(strstr(km_buf_cstr(&out),
	                       "\"contention\":{\"cause\":\"self\",\"message\":\"its own CPU "
	                       "quota holds it back: CPU pressure of the host 0.40 high, "
	                       "throttling 0.25 high, steal not measured\"}"));
	km_buf_fini(&out);
}

static void features_are_said_in_units_people_read(void **state)
{
	static const struct {
		const char *feature;
		double value;
		const char *want;
	} rows[] = {
		{ "host.mem_write_bytes_per_s.mean", 4.1e9, "4.1 GB/s" },
		{ "host.l3_occupancy_bytes.mean", 512, "512 B" },
		{ "node.l3_miss_per_s.p95", 12345678, "12.3M misses/s" },
		{ "node.c0_ratio.mean", 0.421, "42.1 %" },
		{ "node_vs_peer.ipc.mean", -0.6931471805599453, "0.5x" },
		{ "pod.rps", 1500, "1.5k requests/s" },
		{ "inflight.batch", 2, "2 pods" },
		{ "node.ipc.mean", NAN, "unknown" },
		{ "no such feature", 3, "3" },
		{ "node.ipc.mean", 0, "0" },
	};
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		km_buf_clear(&out);
		km_answer_human(&out, rows[i].feature, rows[i].value);
		assert_string_equal(km_buf_cstr(&out), rows[i].want);
	}
	km_buf_fini(&out);
}

/* Writes each answer and reads it back with the tool's reader. */
static void tool_reads_what_the_daemon_writes(void **state)
{
	static const char *const wanted[] = { "node.ipc.mean" };
	static const char filter[] = "{\"Nodes\":null,\"NodeNames\":[\"a\"],\"FailedNodes\":{"
				     "\"b\":\"too slow\"},\"FailedAndUnresolvableNodes\":{},"
				     "\"Error\":\"\"}";
	static const char scores[] = "[{\"Host\":\"a\",\"Score\":9},{\"Host\":\"b\",\"Score\":1}]";
	const struct km_answer_model model = { "m", 0xff };
	const struct km_answer_node node = {
		.name = { "a", 1 },
		.tier = KM_TIER_CORE,
		.age_s = 1.25,
		.slowdown = 1.5,
		.low = 1.25,
		.high = 2,
		.outside = 3,
	};
	const struct km_answer_verdict verdict = { true, 7, "Fits", "fits" };
	const struct km_answer_contribution c = { "node.ipc.mean", 0.5, 0.314, 0.4 };
	const struct km_answer_explanation why = { 1.25, -0.15, &c, 1 };
	struct km_schema *schema = two_features();
	const double row[] = { 0.5, 1, NAN };
	static const char outside[] = "\"featuresOutsideTraining\":3,\"featuresMissing\":0";
	struct km_vote vote;
	const struct km_answer_question question = { .workload = &default_workload,
		                                     .scale = 10,
		                                     .vote = &vote,
		                                     .explained = 1,
		                                     .cut = true };
	struct km_client_table t;
	struct km_buf out;
	struct km_json j;

	(void)state;
	km_buf_init(&out);
	km_client_table_init(&t);
	t.feature_name = wanted;
	t.feature_count = 1;
	assert_int_equal(km_client_read_filter(&t, filter, strlen(filter), NULL), 0);
	assert_int_equal(km_client_read_priorities(&t, scores, strlen(scores), NULL), 0);
	km_vote_count(10, 10, KM_VOTE_IN_TREE_WEIGHT, &vote);
	j = km_json_to(&out);
	km_answer_explain_begin(&j, &question, &model);
	km_answer_explain_node(&j, &node, &verdict, &why);
	km_answer_end(&j);
	assert_int_equal(km_client_read_nodes(&t, out.data, out.len, NULL), 0);
	assert_non_null(strstr(km_buf_cstr(&out), outside));
	assert_non_null(strstr(km_buf_cstr(&out), "\"decision\":null,\"model\":{\"name\":\"m\","));
	assert_non_null(strstr(km_buf_cstr(&out), "\"vote\":{\"weight\":10,\"weightAssumed\":true,"
	                                          "\"pointsPerScore\":100,\"points\":1000,"
	                                          "\"inTreePoints\":1200,\"share\":0.4545},"));
	assert_non_null(strstr(km_buf_cstr(&out), "\"typicalSlowdown\":1.25,\"contributions\":[{"
	                                          "\"feature\":\"node.ipc.mean\",\"value\":0.5,"
	                                          "\"slowdown\":0.4,\"logSlowdown\":0.314,"));
	assert_non_null(strstr(km_buf_cstr(&out), "}],\"otherContributions\":-0.15}"));
	assert_int_equal(t.count, 2);
	assert_string_equal(t.model, "m");
	assert_true(t.cut && t.rps == 1000 && t.score_scale == 10);
	assert_string_equal(t.node[0].filter, "pass");
	assert_string_equal(t.node[1].filter, "too slow");
	assert_string_equal(t.node[0].main, "IPC on the node 0.5: +0.40 slowdown");
	assert_true(t.node[0].score == 9 && t.node[0].slowdown == 1.5 && t.node[0].high == 2);
	assert_true(isnan(t.node[1].slowdown));

	km_buf_clear(&out);
	j = km_json_to(&out);
	km_answer_nodes_begin(&j, &model, &default_workload);
	km_answer_nodes_node(&j, &node, &verdict, schema, row);
	km_answer_end(&j);
	assert_int_equal(km_client_read_nodes(&t, out.data, out.len, NULL), 0);
	assert_non_null(strstr(km_buf_cstr(&out), outside));
	assert_true(t.node[0].feature[0] == 0.5 && t.node[0].age_s == 1.25);

	km_buf_clear(&out);
	j = km_json_to(&out);
	km_answer_predict_begin(&j, &model, &default_workload);
	km_answer_predict_node(&j, &node);
	km_answer_end(&j);
	assert_non_null(strstr(km_buf_cstr(&out), "\"normalizedPerformance\":0.666667"));
	assert_int_equal(km_client_read_nodes(&t, out.data, out.len, NULL), 0);
	assert_non_null(strstr(km_buf_cstr(&out), outside));
	assert_int_equal(km_client_read_nodes(&t, "[]", 2, NULL), -EBADMSG);
	assert_int_equal(km_client_read_filter(&t, "x", 1, NULL), -EBADMSG);
	assert_int_equal(km_client_read_priorities(&t, "{}", 2, NULL), -EBADMSG);
	km_client_table_fini(&t);
	km_buf_fini(&out);
	km_schema_unref(schema);
}

static void tool_reads_both_forms_of_a_filter_result(void **state)
{
	static const struct {
		const char *body;
		const char *error; /* NULL = accepted, with a passing and b not */
	} rows[] = {
		{ "{\"Nodes\":{\"metadata\":{},\"items\":[{\"metadata\":{\"name\":\"a\"}},"
		  "{\"metadata\":null},7]},\"NodeNames\":null,\"FailedNodes\":{\"b\":\"no\"},"
		  "\"FailedAndUnresolvableNodes\":null,\"Error\":\"\"}",
		  NULL },
		{ "{\"NodeNames\":[\"a\",7],\"FailedAndUnresolvableNodes\":{\"b\":\"no\"}}", NULL },
		{ "{\"NodeNames\":[\"a\"],\"Error\":\"down\"}",
		  "the filter's answer is an error: down" },
		{ "{\"Nodes\":null,\"NodeNames\":null}",
		  "the answer is no filter result of a kubemarlad" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_client_table t;
		struct km_err err = { .code = 0 };
		int rc;

		km_client_table_init(&t);
		rc = km_client_read_filter(&t, rows[i].body, strlen(rows[i].body), &err);
		if (rows[i].error) {
			assert_int_equal(rc, -EBADMSG);
			assert_string_equal(err.text, rows[i].error);
		} else {
			assert_int_equal(rc, 0);
			assert_int_equal(t.count, 2);
			assert_string_equal(t.node[0].name, "a");
			assert_string_equal(t.node[0].filter, KM_CLIENT_PASS);
			assert_string_equal(t.node[1].filter, "no");
		}
		km_client_table_fini(&t);
	}
}

/* Every node has the same pod to expect: that is no reason for one of them. */
static void a_main_reason_is_what_a_node_measures(void **state)
{
	static const struct {
		const char *contributions;
		const char *want;
	} rows[] = {
		{ "[{\"feature\":\"pod.rps\",\"text\":\"pod\"},"
		  "{\"feature\":\"node.ipc.mean\",\"text\":\"ipc\"}]",
		  "ipc" },
		{ "[{\"feature\":\"pod.rps\",\"text\":\"pod\"}]", "pod" },
		{ "[]", NULL },
		{ "7", NULL },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_client_table t;
		char body[256];

		(void)snprintf(body, sizeof(body),
		               "{\"nodes\":[{\"node\":\"a\",\"contributions\":%s}]}",
		               rows[i].contributions);
		km_client_table_init(&t);
		assert_int_equal(km_client_read_nodes(&t, body, strlen(body), NULL), 0);
		if (rows[i].want)
			assert_string_equal(t.node[0].main, rows[i].want);
		else
			assert_null(t.node[0].main);
		km_client_table_fini(&t);
	}
}

static void model_and_status_are_json(void **state)
{
	static const char *const reasons[] = { "no model", "no data of any node" };
	struct km_schema *schema = two_features();
	struct km_answer_model_card card = {
		.name = "m", .metrics_json = "{\"mae\":0.1}", .hash = 1, .schema = schema
	};
	struct km_buf out;
	cJSON *tree;

	(void)state;
	km_buf_init(&out);
	km_answer_model(&out, NULL);
	assert_string_equal(km_buf_cstr(&out), "{\"loaded\":false}\n");
	km_buf_clear(&out);
	km_answer_model(&out, &card);
	tree = cJSON_Parse(km_buf_cstr(&out));
	assert_non_null(tree);
	assert_true(cJSON_IsObject(cJSON_GetObjectItem(tree, "metrics")));
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "features")), 3);
	cJSON_Delete(tree);
	card.metrics_json = "{\"mae\":0.1},";
	km_buf_clear(&out);
	km_answer_model(&out, &card);
	tree = cJSON_Parse(km_buf_cstr(&out));
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(tree, "metrics")));
	cJSON_Delete(tree);
	km_buf_clear(&out);
	km_answer_status(&out, "ready", reasons, 2);
	assert_string_equal(
		km_buf_cstr(&out),
		"{\"status\":\"ready\",\"reasons\":[\"no model\",\"no data of any node\"]}\n");
	km_buf_fini(&out);
	km_schema_unref(schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(predict_bodies_are_read_or_refused_by_name),
		cmocka_unit_test(errors_are_json_whatever_the_message),
		cmocka_unit_test(not_measured_is_null_and_never_zero),
		cmocka_unit_test(contention_is_a_cause_and_a_sentence),
		cmocka_unit_test(features_are_said_in_units_people_read),
		cmocka_unit_test(tool_reads_what_the_daemon_writes),
		cmocka_unit_test(tool_reads_both_forms_of_a_filter_result),
		cmocka_unit_test(a_main_reason_is_what_a_node_measures),
		cmocka_unit_test(model_and_status_are_json),
	};

	return cmocka_run_group_tests_name("wire answers", tests, NULL, NULL);
}

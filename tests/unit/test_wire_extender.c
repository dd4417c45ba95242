/* SPDX-License-Identifier: Apache-2.0 */
/* wire: ExtenderArgs in, filter results and priorities out, pods. */
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

#include "km/wire/extender.h"

#include "support/extender_oracle.h"

/* Decodes body and joins the names with '|'. returns the result code. */
static int names_of(const char *body, char *joined, size_t size, struct km_extender_args *args)
{
	struct km_arena arena;
	struct km_err err = { .code = 0 };
	size_t at = 0;
	int rc;

	km_arena_init(&arena, 0);
	joined[0] = '\0';
	rc = km_extender_decode(body, strlen(body), 64, 1, &arena, args, &err);
	if (rc != 0)
		(void)snprintf(joined, size, "%s", err.text);
	for (size_t i = 0; rc == 0 && i < args->count && at < size; i++)
		at += (size_t)snprintf(joined + at, size - at, "%s%.*s", i ? "|" : "",
		                       (int)args->name[i].len, args->name[i].text);
	km_arena_fini(&arena);
	return rc;
}

static void node_names_of_every_body_a_scheduler_may_send(void **state)
{
	static const struct {
		const char *body;
		int rc;
		enum km_extender_form form;
		const char *want; /* names joined by '|', or the error */
	} rows[] = {
		{ "{\"Pod\":{},\"Nodes\":null,\"NodeNames\":[\"a\",\"b\"]}", 0,
		  KM_EXTENDER_NODE_NAMES, "a|b" },
		{ "{\"pod\":{},\"nodes\":null,\"nodenames\":[\"a\"]}", 0, KM_EXTENDER_NODE_NAMES,
		  "a" },
		{ "{\"NodeNames\":[\"a\",\"b\",\"a\",\"\\u0061\"]}", 0, KM_EXTENDER_NODE_NAMES,
		  "a|b" },
		{ "{\"NodeNames\":[\"node A\",\"n\xc3\xa9\",\"\",\"q\\\"\"]}", 0,
		  KM_EXTENDER_NODE_NAMES, "node A|n\xc3\xa9||q\"" },
		{ "{\"NodeNames\":[\"a\"],\"NodeNames\":[\"b\"]}", 0, KM_EXTENDER_NODE_NAMES, "b" },
		{ "{\"NodeNames\":[\"a\"],\"nodeNames\":null}", 0, KM_EXTENDER_NONE, "" },
		{ "{\"NodeNames\":[\"a\"],\"Nodes\":{\"items\":[{\"metadata\":{\"name\":\"z\"}}]}}",
		  0, KM_EXTENDER_NODE_NAMES, "a" },
		{ "{\"NodeNames\":[\"a\"],\"NodeNames\":null,"
		  "\"Nodes\":{\"items\":[{\"metadata\":{\"name\":\"z\"}}]}}",
		  0, KM_EXTENDER_NODES, "z" },
		{ "{\"Nodes\":{\"metadata\":{},\"items\":[{\"metadata\":{\"name\":\"x\","
		  "\"labels\":{\"name\":\"no\"}},\"spec\":{}},{\"metadata\":{\"name\":\"y\"}}]},"
		  "\"NodeNames\":null}",
		  0, KM_EXTENDER_NODES, "x|y" },
		{ "{\"Nodes\":{\"items\":null}}", 0, KM_EXTENDER_NODES, "" },
		{ "{\"Nodes\":{}}", 0, KM_EXTENDER_NODES, "" },
		{ "{\"Pod\":null,\"Nodes\":null,\"NodeNames\":null}", 0, KM_EXTENDER_NONE, "" },
		{ "{\"NodeNames\":[]}", 0, KM_EXTENDER_NODE_NAMES, "" },
		{ "{}", 0, KM_EXTENDER_NONE, "" },
		{ "{\"Later\":[{\"x\":[1,2]}],\"NodeNames\":[\"a\"]}garbage", 0,
		  KM_EXTENDER_NODE_NAMES, "a" },
		{ "[]", -EINVAL, 0, "JSON: byte 0: saw an array, want an object" },
		{ "null", -EINVAL, 0, "JSON: byte 0: saw null, want an object" },
		{ "", -EINVAL, 0, "JSON: byte 0: saw the end, want an object" },
		{ "{\"NodeNames\":[\"a\"]", -EINVAL, 0,
		  "JSON: byte 18: saw the end, want ',' or '}'" },
		{ "{\"NodeNames\":{}}", -EINVAL, 0,
		  "NodeNames: JSON: byte 13: saw an object, want an array" },
		{ "{\"NodeNames\":[1]}", -EINVAL, 0,
		  "NodeNames: JSON: byte 14: saw a number, want a string" },
		{ "{\"Nodes\":[]}", -EINVAL, 0, "Nodes: saw an array, want an object or null" },
		{ "{\"Pod\":\"x\"}", -EINVAL, 0, "Pod: saw a string, want an object or null" },
		{ "{\"Nodes\":{\"items\":7}}", -EINVAL, 0,
		  "Nodes.items: JSON: byte 0: saw a number, want an array" },
		{ "{\"Nodes\":{\"items\":[{},{\"metadata\":{\"name\":\"a\"}}]}}", 0,
		  KM_EXTENDER_NODES, "|a" },
		{ "{\"Nodes\":{\"items\":[{\"metadata\":{\"name\":7}}]}}", -EINVAL, 0,
		  "Nodes.items[0].metadata.name: saw a number, want a string" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_extender_args args;
		char joined[256];

		if (names_of(rows[i].body, joined, sizeof(joined), &args) != rows[i].rc ||
		    strcmp(joined, rows[i].want) != 0)
			fail_msg("%s: <%s>, want <%s>", rows[i].body, joined, rows[i].want);
		if (rows[i].rc == 0)
			assert_int_equal(args.form, rows[i].form);
		assert_int_equal(extender_oracle(rows[i].body, strlen(rows[i].body)), rows[i].rc);
	}
}

static void answers_echo_what_was_asked_byte_for_byte(void **state)
{
	static const char body[] = "{\"NodeNames\":[\"a\",\"b\\u0062\",\"c\",\"d\",\"a\"]}";
	static const struct km_extender_reason reasons[] = { { "too slow", false },
		                                             { "no data", true } };
	const uint8_t outcome[] = { KM_EXTENDER_PASS, 0, 1, KM_EXTENDER_PASS };
	const int32_t score[] = { 10, 0, -3, 100 };
	struct km_extender_args args;
	struct km_arena arena;
	struct km_buf out;

	(void)state;
	km_arena_init(&arena, 0);
	km_buf_init(&out);
	assert_int_equal(km_extender_decode(body, sizeof(body) - 1, 64, 1, &arena, &args, NULL), 0);
	assert_int_equal(args.count, 4);
	assert_int_equal(args.repeated, 1);
	km_extender_write_filter(&out, &args, outcome, reasons, 2);
	assert_string_equal(km_buf_cstr(&out),
	                    "{\"Nodes\":null,\"NodeNames\":[\"a\",\"d\"],"
	                    "\"FailedNodes\":{\"b\\u0062\":\"too slow\"},"
	                    "\"FailedAndUnresolvableNodes\":{\"c\":\"no data\"},\"Error\":\"\"}");
	km_buf_clear(&out);
	km_extender_write_priorities(&out, &args, score);
	assert_string_equal(km_buf_cstr(&out),
	                    "[{\"Host\":\"a\",\"Score\":10},{\"Host\":\"b\\u0062\",\"Score\":0},"
	                    "{\"Host\":\"c\",\"Score\":-3},{\"Host\":\"d\",\"Score\":100}]");
	km_buf_fini(&out);
	km_arena_fini(&arena);
}

static void nodes_survive_as_the_objects_they_came_as(void **state)
{
	static const char body[] = "{\"Nodes\":{\"items\":[{\"metadata\":{\"name\":\"x\"},"
				   "\"spec\":{\"a\":[1,2]}}, {\"metadata\":{\"name\":\"y\"}}]}}";
	static const struct km_extender_reason reasons[] = { { "too slow", false } };
	const uint8_t outcome[] = { KM_EXTENDER_PASS, 0 };
	struct km_extender_args args;
	struct km_arena arena;
	struct km_buf out;

	(void)state;
	km_arena_init(&arena, 0);
	km_buf_init(&out);
	assert_int_equal(km_extender_decode(body, sizeof(body) - 1, 64, 1, &arena, &args, NULL), 0);
	km_extender_write_filter(&out, &args, outcome, reasons, 1);
	assert_string_equal(
		km_buf_cstr(&out),
		"{\"Nodes\":{\"metadata\":{},\"items\":[{\"metadata\":{\"name\":\"x\"},"
		"\"spec\":{\"a\":[1,2]}}]},\"NodeNames\":null,\"FailedNodes\":{\"y\":\"too slow\"},"
		"\"FailedAndUnresolvableNodes\":{},\"Error\":\"\"}");
	km_buf_fini(&out);
	km_arena_fini(&arena);
}

static void pods_in_every_shape_are_read(void **state)
{
	static const struct {
		const char *pod;
		const char *name;
		double rps;
		double max_slowdown;
		const char *class_name;
		unsigned bad;
		const char *why;
	} rows[] = {
		{ "null", "", NAN, NAN, "", 0, "no pod" },
		{ "{}", "", NAN, NAN, "", 0, "empty" },
		{ "{\"metadata\":null,\"spec\":{\"containers\":null}}", "", NAN, NAN, "", 0,
		  "nulls" },
		{ "{\"metadata\":{\"name\":\"web\",\"creationTimestamp\":null},\"spec\":{"
		  "\"initContainers\":[{\"resources\":{\"requests\":{\"cpu\":\"500m\"}}}]}}",
		  "web", NAN, NAN, "", 0, "labels absent, init containers only" },
		{ "{\"metadata\":{\"name\":\"w\",\"annotations\":{\"kubemarla.io/rps\":\"1500\","
		  "\"kubemarla.io/max-slowdown\":\"1.5\",\"kubemarla.io/class\":\"batch\"}}}",
		  "w", 1500, 1.5, "batch", 0, "all annotations" },
		{ "{\"metadata\":{\"annotations\":{\"kubemarla.io/rps\":\"1e3\"}}}", "", 1000, NAN,
		  "", 0, "exponent" },
		{ "{\"metadata\":{\"annotations\":{\"kubemarla.io/rps\":\"0\","
		  "\"kubemarla.io/max-slowdown\":\"1.01\",\"kubemarla.io/class\":\"\"}}}",
		  "", NAN, NAN, "", 3, "out of range" },
		{ "{\"metadata\":{\"annotations\":{\"kubemarla.io/rps\":\"-5\","
		  "\"kubemarla.io/max-slowdown\":\"nan\"}}}",
		  "", NAN, NAN, "", 2, "negative, not a number" },
		{ "{\"metadata\":{\"annotations\":{\"kubemarla.io/rps\":\"many\","
		  "\"kubemarla.io/max-slowdown\":\"inf\"}}}",
		  "", NAN, NAN, "", 2, "text, infinite" },
		{ "{\"metadata\":{\"annotations\":{\"kubemarla.io/rps\":1500,"
		  "\"kubemarla.io/class\":[]}}}",
		  "", NAN, NAN, "", 2, "annotations are strings" },
		{ "{\"metadata\":[{\"name\":\"x\"}]}", "", NAN, NAN, "", 0, "metadata no object" },
		{ "{\"metadata\":{\"name\":7,\"annotations\":\"x\"}}", "", NAN, NAN, "", 0,
		  "wrong types" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_extender_args args;
		struct km_arena arena;
		char body[512];
		int len = snprintf(body, sizeof(body), "{\"Pod\":%s,\"NodeNames\":[\"a\"]}",
		                   rows[i].pod);

		km_arena_init(&arena, 0);
		assert_int_equal(km_extender_decode(body, (size_t)len, 64, 1, &arena, &args, NULL),
		                 0);
		if (!oracle_name_is(args.pod.name, rows[i].name) ||
		    !oracle_name_is(args.pod.class_name, rows[i].class_name) ||
		    args.pod.bad_annotations != rows[i].bad ||
		    (args.pod.rps != rows[i].rps && !(isnan(args.pod.rps) && isnan(rows[i].rps))) ||
		    (args.pod.max_slowdown != rows[i].max_slowdown &&
		     !(isnan(args.pod.max_slowdown) && isnan(rows[i].max_slowdown))))
			fail_msg("%s: rps %g, max-slowdown %g, bad %u", rows[i].why, args.pod.rps,
			         args.pod.max_slowdown, args.pod.bad_annotations);
		km_arena_fini(&arena);
	}
}

static void annotations_override_the_default_workload(void **state)
{
	const struct km_workload base = { .rps = 1000, .replicas = 2, .max_slowdown = 2.0 };
	struct km_workload got;
	struct km_pod pod;

	(void)state;
	km_pod_init(&pod);
	km_pod_workload(&pod, &base, 1.2, &got);
	assert_memory_equal(&got, &base, sizeof(got));
	pod.rps = 300;
	pod.max_slowdown = 1.1;
	pod.class_name = (struct km_name){ "batch-", 5 };
	km_pod_workload(&pod, &base, 1.2, &got);
	assert_true(got.rps == 600);
	assert_true(got.max_slowdown == 1.2);
	assert_string_equal(got.class_name, "batch");
}

/* {"Pod":{...PAD...},"NodeNames":[n names by the format]} */
static void body_with(struct km_buf *b, size_t pad, size_t names, const char *format)
{
	km_buf_str(b, "{\"Pod\":{\"metadata\":{\"name\":\"p\"},\"spec\":{\"x\":\"");
	for (size_t i = 0; i < pad; i += 16)
		km_buf_str(b, "0123456789abcdef");
	km_buf_str(b, "\"}},\"Nodes\":null,\"NodeNames\":[");
	for (size_t i = 0; i < names; i++) {
		km_buf_str(b, i ? ",\"" : "\"");
		km_buf_str(b, format);
		if (format[0] != '=')
			km_buf_int(b, (long long)i);
		km_buf_char(b, '"');
	}
	km_buf_str(b, "]}");
}

static void big_requests_are_read_whole(void **state)
{
	static const struct {
		size_t pad;
		size_t names;
		const char *format;
		size_t distinct;
	} rows[] = {
		{ 0, 5000, "node-", 5000 },
		{ 2u << 20, 2, "node-", 2 },
		{ 0, 200000, "=equal", 1 },
		{ 0, 200000, "n", 200000 },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_extender_args args;
		struct km_arena arena;
		struct km_buf body;

		km_arena_init(&arena, 0);
		km_buf_init(&body);
		body_with(&body, rows[i].pad, rows[i].names, rows[i].format);
		assert_int_equal(
			km_extender_decode(body.data, body.len, 64, 1, &arena, &args, NULL), 0);
		assert_int_equal(args.count, rows[i].distinct);
		assert_int_equal(args.count + args.repeated, rows[i].names);
		km_buf_fini(&body);
		km_arena_fini(&arena);
	}
}

/* In whichever form: the memory of a request is bounded by more than its bytes. */
static void more_names_than_any_cluster_has_are_refused(void **state)
{
	static const struct {
		const char *head;
		const char *each;
		const char *tail;
	} rows[] = {
		{ "{\"NodeNames\":[", "\"\"", "]}" },
		{ "{\"Nodes\":{\"items\":[", "{}", "]}}" },
	};

	(void)state;
	for (size_t i = 0; i < 2 * KM_ARRAY_LEN(rows); i++) {
		size_t names = KM_EXTENDER_NAMES_MAX + i % 2;
		struct km_extender_args args;
		struct km_arena arena;
		struct km_buf body;
		struct km_err err = { .code = 0 };
		int rc;

		km_arena_init(&arena, 0);
		km_buf_init(&body);
		km_buf_str(&body, rows[i / 2].head);
		for (size_t n = 0; n < names; n++) {
			km_buf_str(&body, n > 0 ? "," : "");
			km_buf_str(&body, rows[i / 2].each);
		}
		km_buf_str(&body, rows[i / 2].tail);
		rc = km_extender_decode(body.data, body.len, 64, 1, &arena, &args, &err);
		assert_int_equal(rc, i % 2 == 0 ? 0 : -EINVAL);
		if (rc == 0)
			assert_int_equal(args.count + args.repeated, names);
		else
			assert_non_null(strstr(err.text, "saw more than 262144 names, want fewer"));
		km_buf_fini(&body);
		km_arena_fini(&arena);
	}
}

static void every_cut_of_a_body_is_refused(void **state)
{
	static const char body[] =
		"{\"Pod\":{\"metadata\":{\"name\":\"w\\u0041\",\"annotations\":{\"k\":\"v\"}},"
		"\"n\":[1.5e3,true,null]},\"Nodes\":null,\"NodeNames\":[\"a\",\"b\\n\","
		"\"\xc3\xa9\"]}";

	(void)state;
	for (size_t len = 0; len < sizeof(body) - 1; len++) {
		char *cut = malloc(len + 1);

		assert_non_null(cut);
		memcpy(cut, body, len);
		assert_int_equal(extender_oracle(cut, len), -EINVAL);
		free(cut);
	}
	assert_int_equal(extender_oracle(body, sizeof(body) - 1), 0);
}

static bool is(struct km_name name, const char *want)
{
	return name.len == strlen(want) &&
	       (name.len == 0 || memcmp(name.text, want, name.len) == 0);
}

/* What tells pods apart: labels, and the one owner that controls them. */
static void labels_and_the_controller_of_a_pod(void **state)
{
	static const struct {
		const char *metadata;
		size_t labels;
		const char *first, *value, *kind, *owner;
	} rows[] = {
		{ "{}", 0, "", "", "", "" },
		{ "{\"labels\":{\"app\":\"web\",\"tier\":\"\"}}", 2, "app", "web", "", "" },
		{ "{\"labels\":{\"a\":1,\"b\":null,\"c\":\"d\\u0065\"}}", 1, "c", "de", "", "" },
		{ "{\"labels\":[\"app\"],\"ownerReferences\":{}}", 0, "", "", "", "" },
		{ "{\"ownerReferences\":[{\"kind\":\"Node\",\"name\":\"n\"},"
		  "{\"kind\":\"ReplicaSet\",\"name\":\"web-5d\",\"controller\":true}]}",
		  0, "", "", "ReplicaSet", "web-5d" },
		{ "{\"ownerReferences\":[7,null,{\"controller\":\"yes\",\"name\":\"x\"}]}", 0, "",
		  "", "", "" },
		{ "{\"labels\":null,\"ownerReferences\":[{\"controller\":true,\"name\":7}]}", 0, "",
		  "", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct km_extender_args args;
		struct km_arena arena;
		char body[512];
		const struct km_pod *pod = &args.pod;

		(void)snprintf(body, sizeof(body), "{\"Pod\":{\"metadata\":%s}}", rows[i].metadata);
		km_arena_init(&arena, 0);
		assert_int_equal(km_extender_decode(body, strlen(body), 64, 1, &arena, &args, NULL),
		                 0);
		if (pod->label_count != rows[i].labels || !is(pod->owner_kind, rows[i].kind) ||
		    !is(pod->owner_name, rows[i].owner) ||
		    (rows[i].labels > 0 && (!is(pod->label[0].key, rows[i].first) ||
		                            !is(pod->label[0].value, rows[i].value))))
			fail_msg("row %zu: %zu labels, owner %.*s", i, pod->label_count,
			         (int)pod->owner_name.len, pod->owner_name.text);
		km_arena_fini(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_and_the_controller_of_a_pod),
		cmocka_unit_test(node_names_of_every_body_a_scheduler_may_send),
		cmocka_unit_test(answers_echo_what_was_asked_byte_for_byte),
		cmocka_unit_test(nodes_survive_as_the_objects_they_came_as),
		cmocka_unit_test(pods_in_every_shape_are_read),
		cmocka_unit_test(annotations_override_the_default_workload),
		cmocka_unit_test(big_requests_are_read_whole),
		cmocka_unit_test(more_names_than_any_cluster_has_are_refused),
		cmocka_unit_test(every_cut_of_a_body_is_refused),
	};

	return cmocka_run_group_tests_name("wire extender", tests, NULL, NULL);
}

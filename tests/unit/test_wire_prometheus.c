/* SPDX-License-Identifier: Apache-2.0 */
/* wire: answers of Prometheus to instant queries, good, odd and hostile. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/buf.h"
#include "km/wire/prometheus.h"

#define VECTOR(result)                                                                             \
	"{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[" result "]}}"
#define SERIES(labels, value) "{\"metric\":{" labels "},\"value\":[1435781451.781,\"" value "\"]}"

static struct km_arena arena;

static int decode(const char *body, size_t max, struct km_prometheus_answer *a, struct km_err *err)
{
	km_arena_reset(&arena);
	return km_prometheus_decode(body, strlen(body), max, &arena, a, err);
}

static void good(const char *body, struct km_prometheus_answer *a)
{
	struct km_err err = { .code = 0 };

	if (decode(body, 100, a, &err) != 0)
		fail_msg("%s: %s", body, err.text);
}

static bool label_is(const struct km_prometheus_series *s, const char *name, const char *want)
{
	struct km_name value = km_prometheus_label(s, name);

	return value.text != NULL && value.len == strlen(want) &&
	       memcmp(value.text, want, value.len) == 0;
}

static void a_vector_keeps_labels_and_values(void **state)
{
	struct km_prometheus_answer a;

	(void)state;
	good("{\"status\":\"success\",\"warnings\":[\"w\"],\"data\":{\"resultType\":\"vector\","
	     "\"result\":[" SERIES("\"__name__\":\"up\",\"node\":\"a\\u002db\"",
	                           "0.25") "," SERIES("", "1e3") "],\"stats\":{}}}",
	     &a);
	assert_int_equal(a.count, 2);
	assert_int_equal(a.left_out, 0);
	assert_int_equal(a.series[0].label_count, 2);
	assert_true(label_is(&a.series[0], "node", "a-b"));
	assert_true(a.series[0].value == 0.25);
	assert_true(a.series[0].time_s == 1435781451.781);
	assert_int_equal(a.series[1].label_count, 0);
	assert_null(km_prometheus_label(&a.series[1], "node").text);
	assert_true(a.series[1].value == 1000);
}

static void what_is_not_one_number_is_none(void **state)
{
	static const struct {
		const char *body;
		double want;
		bool several;
	} rows[] = {
		{ VECTOR(SERIES("", "0.5")), 0.5, false },
		{ VECTOR(SERIES("\"a\":\"b\"", "-0")), 0, false },
		{ VECTOR(SERIES("", "NaN")), NAN, false },
		{ VECTOR(SERIES("", "+Inf")), NAN, false },
		{ VECTOR(SERIES("", "-Inf")), NAN, false },
		{ VECTOR(""), NAN, false },
		{ VECTOR(SERIES("", "1") "," SERIES("", "1")), NAN, true },
		{ VECTOR("{\"metric\":{},\"histogram\":[1,{\"count\":\"1\"}]}"), NAN, false },
		{ "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\","
		  "\"result\":[1,\"2.5\"]}}",
		  2.5, false },
		{ "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\","
		  "\"result\":[1,\"NaN\"]}}",
		  NAN, false },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_prometheus_answer a;
		bool several;
		double got;

		good(rows[i].body, &a);
		got = km_prometheus_number(&a, &several);
		if (isnan(rows[i].want) ? !isnan(got) : !(got == rows[i].want))
			fail_msg("%s: saw %g, want %g", rows[i].body, got, rows[i].want);
		assert_int_equal(several, rows[i].several);
	}
}

static void what_is_no_answer_says_why(void **state)
{
	static const struct {
		const char *body;
		int want;
		const char *text;
	} rows[] = {
		{ "", -EINVAL, "JSON" },
		{ "<html>", -EINVAL, "JSON" },
		{ "[]", -EINVAL, "an object" },
		{ "{}", -EPROTO, "no status" },
		{ "{\"status\":\"success\"} x", -EINVAL, "want its end" },
		{ "{\"status\":\"success\"", -EINVAL, "JSON" },
		{ "{\"status\":\"success\"}", -EPROTO, "no data" },
		{ "{\"status\":\"success\",\"data\":{}}", -EPROTO, "no result" },
		{ "{\"status\":\"success\",\"data\":{\"result\":[]}}", -EPROTO, "no result type" },
		{ "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"parse \\\"x\\\"\"}",
		  -EREMOTEIO, "Prometheus: bad_data: parse \"x\"" },
		{ "{\"status\":\"error\"}", -EREMOTEIO, "Prometheus" },
		{ "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[]}}",
		  -EPROTO, "saw matrix" },
		{ "{\"status\":\"success\",\"data\":{\"resultType\":\"string\","
		  "\"result\":[1,\"x\"]}}",
		  -EPROTO, "saw string" },
		{ VECTOR("1"), -EPROTO, "series that are none" },
		{ VECTOR("{}"), -EPROTO, "series that are none" },
		{ VECTOR("{\"metric\":{},\"value\":[1]}"), -EPROTO, "series" },
		{ VECTOR("{\"metric\":{},\"value\":[1,2]}"), -EPROTO, "series" },
		{ VECTOR("{\"metric\":{},\"value\":[1,\"x\"]}"), -EPROTO, "series" },
		{ VECTOR("{\"metric\":{},\"value\":[\"1\",\"2\"]}"), -EPROTO, "series" },
		{ VECTOR("{\"metric\":{},\"value\":[1,\"2\",3]}"), -EPROTO, "series" },
		{ VECTOR("{\"metric\":{\"a\":1},\"value\":[1,\"2\"]}"), -EPROTO, "series" },
		{ VECTOR("{\"metric\":[],\"value\":[1,\"2\"]}"), -EPROTO, "series" },
		{ VECTOR("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"), -EINVAL, "nesting" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_prometheus_answer a;
		struct km_err err = { .code = 0 };
		int rc = decode(rows[i].body, 100, &a, &err);

		if (rc != rows[i].want || strstr(err.text, rows[i].text) == NULL)
			fail_msg("%s: %d \"%s\", want %d \"%s\"", rows[i].body, rc, err.text,
			         rows[i].want, rows[i].text);
		assert_int_equal(a.count, 0);
		assert_true(isnan(km_prometheus_number(&a, NULL)));
	}
}

static void many_series_and_labels_are_bounded(void **state)
{
	static const char body[] = VECTOR(SERIES("", "1") "," SERIES("", "2") "," SERIES("", "3"));
	struct km_prometheus_answer a;
	struct km_buf many;
	bool several;

	(void)state;
	assert_int_equal(decode(body, 2, &a, NULL), 0);
	assert_int_equal(a.count, 2);
	assert_int_equal(a.left_out, 1);
	assert_int_equal(decode(body, 1, &a, NULL), 0);
	assert_true(isnan(km_prometheus_number(&a, &several)) && several);
	assert_int_equal(decode(body, 0, &a, NULL), 0);
	assert_int_equal(a.count, 0);
	km_buf_init(&many);
	km_buf_str(&many, "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\","
	                  "\"result\":[{\"metric\":{\"l\":\"x\"");
	for (int i = 0; i < 200; i++)
		km_buf_printf(&many, ",\"l%d\":\"%d\"", i, i);
	km_buf_str(&many, "},\"value\":[1,\"2\"]}]}}");
	assert_int_equal(decode(km_buf_cstr(&many), 9, &a, NULL), 0);
	assert_int_equal(a.series[0].label_count, KM_PROMETHEUS_LABELS_MAX);
	km_buf_fini(&many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_vector_keeps_labels_and_values),
		cmocka_unit_test(what_is_not_one_number_is_none),
		cmocka_unit_test(what_is_no_answer_says_why),
		cmocka_unit_test(many_series_and_labels_are_bounded),
	};
	int failed;

	km_arena_init(&arena, 0);
	failed = cmocka_run_group_tests_name("wire prometheus", tests, NULL, NULL);
	km_arena_fini(&arena);
	return failed;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Single values out of JSON by their path. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/wire/pick.h"

static struct km_json_slice whole(const char *text)
{
	struct km_json_slice out;

	assert_int_equal(km_json_whole(text, strlen(text), &out, NULL), 0);
	return out;
}

static void values_are_found_by_their_path(void **state)
{
	static const struct {
		const char *json, *path, *want;
	} rows[] = {
		{ "{\"a\":\"x\"}", "a", "x" },
		{ "{\"a\":{\"b\":{\"c\":\"x\"}}}", "a/b/c", "x" },
		{ "{\"a\":\"x\",\"a\":\"y\"}", "a", "y" },
		{ "{\"a\":\"q\\\"\\u00e9\"}", "a", "q\"\xc3\xa9" },
		{ "{\"\\u0061\":\"x\"}", "a", "x" },
		{ "{\"a.b\":\"x\"}", "a.b", "x" },
		{ "{\"a\":\"x\"}", "b", "" },
		{ "{\"a\":\"x\"}", "a/b", "" },
		{ "{\"a\":1}", "a", "" },
		{ "[]", "a", "" },
		{ "null", "a", "" },
		{ "{\"a\":\"0123456789\"}", "a", "0123456" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		const struct km_json_slice from = whole(rows[i].json);
		char out[8];

		if (strcmp(km_json_pick_text(&from, rows[i].path, out, sizeof(out)),
		           rows[i].want) != 0)
			fail_msg("%s at %s: \"%s\"", rows[i].json, rows[i].path, out);
	}
}

static void numbers_and_lists(void **state)
{
	const struct km_json_slice from = whole("{\"n\":-7,\"f\":1.5,\"l\":[1,{},[2]],\"e\":[]}");
	static const char *const paths[] = { "l", "e", "n", "none" };
	static const size_t counts[] = { 3, 0, 0, 0 };

	(void)state;
	assert_int_equal(km_json_pick_integer(&from, "n", 3), -7);
	assert_int_equal(km_json_pick_integer(&from, "f", 3), 3);
	assert_int_equal(km_json_pick_integer(&from, "none", 3), 3);
	for (size_t i = 0; i < KM_ARRAY_LEN(paths); i++) {
		const struct km_json_slice list = km_json_pick(&from, paths[i]);
		struct km_json_items items = km_json_items(&list);
		struct km_json_slice item;
		size_t n = 0;

		while (km_json_next(&items, &item))
			n++;
		assert_false(km_json_next(&items, &item));
		assert_int_equal(n, counts[i]);
	}
}

static void what_is_no_single_value_is_refused(void **state)
{
	static const char *const texts[] = {
		"", "{", "{}{}", "{\"a\":}", "x", "[1,]", "{}x", "1 ]"
	};
	struct km_json_slice out;
	struct km_err err;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(texts); i++) {
		err.text[0] = '\0';
		if (km_json_whole(texts[i], strlen(texts[i]), &out, &err) != -EINVAL ||
		    out.kind != KM_JSON_ABSENT || err.text[0] == '\0')
			fail_msg("\"%s\": %s", texts[i], err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_found_by_their_path),
		cmocka_unit_test(numbers_and_lists),
		cmocka_unit_test(what_is_no_single_value_is_refused),
	};

	return cmocka_run_group_tests_name("picking JSON", tests, NULL, NULL);
}

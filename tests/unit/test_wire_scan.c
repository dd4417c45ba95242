/* SPDX-License-Identifier: Apache-2.0 */
/* wire: the scanner and the writer. */
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

#include "km/base/rng.h"
#include "km/wire/json.h"
#include "km/wire/scan.h"

#include "wire/wire_internal.h"

static void only_strict_json_is_accepted(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *why;
	} rows[] = {
		{ "{}", 0, "empty object" },
		{ " \t\r\n[ ]", 0, "white space" },
		{ "[1,-0,0.5,1e9,1E-9,-1.25e+3]", 0, "numbers" },
		{ "{\"a\":[true,false,null,\"x\"],\"b\":{}}", 0, "every kind" },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"", 0, "every escape" },
		{ "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", 0, "UTF-8 of 2, 3 and 4 bytes" },
		{ "[1]trailing", 0, "bytes behind the value are ignored, as Go's decoder does" },
		{ "", -EINVAL, "nothing" },
		{ "  ", -EINVAL, "only white space" },
		{ "{", -EINVAL, "cut after {" },
		{ "{\"a\"", -EINVAL, "cut after a key" },
		{ "{\"a\":", -EINVAL, "cut after a colon" },
		{ "{\"a\":1", -EINVAL, "cut after a value" },
		{ "{\"a\":1,}", -EINVAL, "comma before }" },
		{ "[1,]", -EINVAL, "comma before ]" },
		{ "[,1]", -EINVAL, "comma first" },
		{ "[1 2]", -EINVAL, "no comma" },
		{ "{\"a\" 1}", -EINVAL, "no colon" },
		{ "{a:1}", -EINVAL, "bare key" },
		{ "{1:1}", -EINVAL, "number as key" },
		{ "[1}", -EINVAL, "wrong bracket" },
		{ "\"abc", -EINVAL, "open string" },
		{ "\"a\nb\"", -EINVAL, "raw newline in a string" },
		{ "\"a\\x\"", -EINVAL, "unknown escape" },
		{ "\"\\u12g4\"", -EINVAL, "bad hexadecimal" },
		{ "\"\\u12", -EINVAL, "cut escape" },
		{ "\"\\", -EINVAL, "cut backslash" },
		{ "\"\xff\"", -EINVAL, "no UTF-8" },
		{ "\"\xc0\xaf\"", -EINVAL, "overlong UTF-8" },
		{ "\"\xed\xa0\x80\"", -EINVAL, "surrogate in UTF-8" },
		{ "\"\xe2\x82\"", -EINVAL, "cut UTF-8" },
		{ "[01]", -EINVAL, "leading zero" },
		{ "[-]", -EINVAL, "only a sign" },
		{ "[+1]", -EINVAL, "plus sign" },
		{ "[.5]", -EINVAL, "no digit before the point" },
		{ "[1.]", -EINVAL, "no digit behind the point" },
		{ "[1e]", -EINVAL, "no exponent" },
		{ "[NaN]", -EINVAL, "NaN" },
		{ "[tru]", -EINVAL, "cut literal" },
		{ "\xef\xbb\xbf{}", -EINVAL, "byte order mark" },
		{ "'a'", -EINVAL, "single quotes" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		/* A copy of exactly that size, so that a sanitizer sees one byte too many. */
		size_t len = strlen(rows[i].text);
		char *text = malloc(len + 1);
		struct km_err err = { .code = 0 };
		struct km_scan s;

		assert_non_null(text);
		memcpy(text, rows[i].text, len);
		text = realloc(text, len ? len : 1);
		km_scan_init(&s, text, len, 64, &err);
		if (km_scan_value(&s, NULL) != rows[i].rc)
			fail_msg("%s: <%s>: want %d (%s)", rows[i].why, rows[i].text, rows[i].rc,
			         err.text);
		free(text);
	}
}

static void nesting_is_bounded_at_the_limit_exactly(void **state)
{
	char text[4096];

	(void)state;
	for (uint32_t depth = 1; depth <= 70; depth++) {
		struct km_scan s;
		struct km_err err;

		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		km_scan_init(&s, text, 2 * (size_t)depth, 64, &err);
		assert_int_equal(km_scan_value(&s, NULL), depth <= 64 ? 0 : -EINVAL);
	}
	for (uint32_t depth = 998; depth <= 1002; depth++) {
		struct km_scan s;

		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		km_scan_init(&s, text, 2 * (size_t)depth, 1u << 30, NULL);
		assert_int_equal(km_scan_value(&s, NULL), depth <= KM_SCAN_DEPTH_MAX ? 0 : -EINVAL);
	}
}

static void errors_name_the_place_and_the_want(void **state)
{
	struct km_err err = { .code = 0 };
	struct km_scan s;

	(void)state;
	km_scan_init(&s, "[1;2]", 5, 64, &err);
	assert_int_equal(km_scan_value(&s, NULL), -EINVAL);
	assert_string_equal(err.text, "JSON: byte 2: saw ';', want ',' or ']'");
	km_scan_init(&s, "[1", 2, 64, &err);
	assert_int_equal(km_scan_value(&s, NULL), -EINVAL);
	assert_string_equal(err.text, "JSON: byte 2: saw the end, want ',' or ']'");
	km_scan_init(&s, "7", 1, 64, &err);
	assert_int_equal(km_scan_object(&s), -EINVAL);
	assert_string_equal(err.text, "JSON: byte 0: saw a number, want an object");
}

static void members_fold_case_and_the_last_wins(void **state)
{
	static const char text[] = "{\"pod\":1,\"POD\":2,\"x\":{\"Pod\":9},\"P\\u006fd\":\"3\"}";
	struct km_json_slice pod;
	const struct km_json_want want[] = { { "Pod", &pod } };
	struct km_scan s;

	(void)state;
	km_scan_init(&s, text, sizeof(text) - 1, 64, NULL);
	assert_int_equal(km_scan_members(&s, want, 1, true), 0);
	assert_int_equal(pod.kind, KM_JSON_STRING);
	assert_memory_equal(pod.text, "\"3\"", 3);
	km_scan_init(&s, "{\"pod\":1}", 9, 64, NULL);
	assert_int_equal(km_scan_members(&s, want, 1, false), 0);
	assert_int_equal(pod.kind, KM_JSON_ABSENT);
}

static void escapes_decode_as_go_decodes_them(void **state)
{
	static const struct {
		const char *token;
		const char *want;
	} rows[] = {
		{ "\"\"", "" },
		{ "\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz" },
		{ "\"\\u0041\\u00e9\\u20ac\"", "A\xc3\xa9\xe2\x82\xac" },
		{ "\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80" },
		{ "\"\\uD83D\\uDE00!\"", "\xf0\x9f\x98\x80!" },
		{ "\"\\ud83d\"", "\xef\xbf\xbd" },
		{ "\"\\ude00x\"", "\xef\xbf\xbdx" },
		{ "\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
		                        "A" },
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_json_slice slice;
		struct km_scan s;

		km_scan_init(&s, rows[i].token, strlen(rows[i].token), 64, NULL);
		assert_int_equal(km_scan_string(&s, &slice), 0);
		assert_int_equal(km_json_unescape(&slice, out), strlen(rows[i].want));
		assert_memory_equal(out, rows[i].want, strlen(rows[i].want));
	}
}

static void vector_and_scalar_steps_agree(void **state)
{
	static const char alphabet[] = "abcxyz019 \"\\\x1f\x20\x7f\x80\xff\n";
	struct km_rng rng;

	(void)state;
	km_rng_init(&rng, 1);
	for (int round = 0; round < 20000; round++) {
		size_t len = km_rng_below(&rng, 70);
		uint32_t letters = round % 2 ? 9 : (uint32_t)sizeof(alphabet) - 1;
		char *text = malloc(len + 1);
		bool high_vector = false;
		bool high_scalar = false;
		const char *vector;

		assert_non_null(text);
		for (size_t i = 0; i < len; i++)
			text[i] = alphabet[km_rng_below(&rng, letters)];
		if (len > 0)
			text[km_rng_below(&rng, (uint32_t)len)] = (char)km_rng_u64(&rng);
		vector = km_wire_plain_run(text, text + len, &high_vector);
		assert_ptr_equal(vector, km_wire_plain_run_scalar(text, text + len, &high_scalar));
		assert_int_equal(high_vector, high_scalar);
		free(text);
	}
}

/* Arrays of strings read at once and one by one: the same strings, verdicts and errors. */
static void strings_at_once_agree_with_one_by_one(void **state)
{
	static const char *const parts[] = { "\"node-1\"", "\"\"",      "\"a\\n\"", "\"\xc3\xa9\"",
		                             "\"\xff\"",   "\"a\x01\"", " ",        ",",
		                             ",",          ",",         "]",        "7",
		                             "\"open",     "[" };
	struct km_rng rng;

	(void)state;
	km_rng_init(&rng, 1);
	for (int round = 0; round < 50000; round++) {
		uint32_t some = km_rng_below(&rng, 12);
		struct km_err at_once = { .code = 0 };
		struct km_err by_one = { .code = 0 };
		struct km_name got[16];
		struct km_scan a;
		struct km_scan b;
		size_t max = 1 + km_rng_below(&rng, 5);
		size_t total = 0;
		size_t seen = 0;
		bool escaped = false;
		bool want_escaped = false;
		char text[160] = "[";
		int rc_a;
		int rc_b;

		for (uint32_t i = 0; i < some; i++)
			(void)strncat(text, parts[km_rng_below(&rng, KM_ARRAY_LEN(parts))], 12);
		if (round % 3 != 0)
			(void)strncat(text, "]", 2);
		km_scan_init(&a, text, strlen(text), 64, &at_once);
		km_scan_init(&b, text, strlen(text), 64, &by_one);
		assert_int_equal(km_scan_array(&a), 0);
		assert_int_equal(km_scan_array(&b), 0);
		do {
			size_t count = 0;

			rc_a = km_scan_strings(&a, got + total, max, &count, &escaped);
			total += count;
		} while (rc_a == KM_SCAN_MORE);
		while ((rc_b = km_scan_element(&b)) == KM_SCAN_MORE) {
			struct km_json_slice one;

			rc_b = km_scan_string(&b, &one);
			if (rc_b != 0)
				break;
			want_escaped = want_escaped || one.escaped;
			assert_true(seen < total);
			assert_ptr_equal(got[seen].text, one.text);
			assert_int_equal(got[seen].len, one.len);
			seen++;
		}
		assert_int_equal(rc_a, rc_b);
		assert_int_equal(total, seen);
		assert_int_equal(escaped, want_escaped);
		assert_string_equal(at_once.text, by_one.text);
		if (rc_a == 0)
			assert_ptr_equal(a.p, b.p);
	}
}

static void writer_escapes_and_separates(void **state)
{
	struct km_buf b;
	struct km_json j;

	(void)state;
	km_buf_init(&b);
	j = km_json_to(&b);
	km_json_begin(&j, '{');
	km_json_put_string(&j, "s", "q\" b\\ n\n c\x01 e\xc3\xa9 bad\xff.");
	km_json_put_string(&j, "none", NULL);
	km_json_put_number(&j, "nan", NAN);
	km_json_put_number(&j, "inf", INFINITY);
	km_json_put_number(&j, "int", 7.0);
	km_json_put_number(&j, "real", 0.1);
	km_json_put_rounded(&j, "rounded", 1.23456789, 4);
	km_json_put_integer(&j, "i", -3);
	km_json_put_bool(&j, "t", true);
	km_json_key(&j, "a");
	km_json_begin(&j, '[');
	km_json_begin(&j, '[');
	km_json_end(&j, ']');
	km_json_begin(&j, '{');
	km_json_end(&j, '}');
	km_json_raw(&j, "", 0);
	km_json_hash(&j, 0xabcULL);
	km_json_end(&j, ']');
	km_json_end(&j, '}');
	assert_string_equal(
		km_buf_cstr(&b),
		"{\"s\":\"q\\\" b\\\\ n\\n c\\u0001 e\xc3\xa9 bad\xef\xbf\xbd.\",\"none\":null,"
		"\"nan\":null,\"inf\":null,\"int\":7,\"real\":0.1,\"rounded\":1.235,\"i\":-3,"
		"\"t\":true,\"a\":[[],{},null,\"0000000000000abc\"]}");
	km_buf_fini(&b);
}

static void whatever_is_written_reads_back(void **state)
{
	struct km_rng rng;

	(void)state;
	km_rng_init(&rng, 2);
	for (int round = 0; round < 5000; round++) {
		char text[40];
		uint32_t len = km_rng_below(&rng, sizeof(text));
		struct km_buf b;
		struct km_json j;
		struct km_scan s;
		cJSON *tree;

		for (uint32_t i = 0; i < len; i++)
			text[i] = (char)(1 + km_rng_below(&rng, 255));
		km_buf_init(&b);
		j = km_json_to(&b);
		km_json_name(&j, (struct km_name){ text, len });
		tree = cJSON_Parse(km_buf_cstr(&b));
		assert_non_null(tree);
		if (km_wire_utf8_valid(text, text + len)) {
			assert_int_equal(strlen(tree->valuestring), len);
			assert_memory_equal(tree->valuestring, text, len);
		}
		km_scan_init(&s, b.data, b.len, 1, NULL);
		assert_int_equal(km_scan_value(&s, NULL), 0);
		cJSON_Delete(tree);
		km_buf_fini(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_strict_json_is_accepted),
		cmocka_unit_test(nesting_is_bounded_at_the_limit_exactly),
		cmocka_unit_test(errors_name_the_place_and_the_want),
		cmocka_unit_test(members_fold_case_and_the_last_wins),
		cmocka_unit_test(escapes_decode_as_go_decodes_them),
		cmocka_unit_test(vector_and_scalar_steps_agree),
		cmocka_unit_test(strings_at_once_agree_with_one_by_one),
		cmocka_unit_test(writer_escapes_and_separates),
		cmocka_unit_test(whatever_is_written_reads_back),
	};

	return cmocka_run_group_tests_name("wire scan", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* base without files: errors, buffer, arena, numbers, hash, cpuset, generator. */
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

#include "km/base/arena.h"
#include "km/base/buf.h"
#include "km/base/cpuset.h"
#include "km/base/err.h"
#include "km/base/hash.h"
#include "km/base/num.h"
#include "km/base/rng.h"

static void error_text_grows_as_it_rises(void **state)
{
	struct km_err err = { .code = 0 };
	char text[64];

	(void)state;
	assert_int_equal(km_err_set(&err, EINVAL, "maxP99: \"%s\", want a number", "x"), -EINVAL);
	assert_int_equal(km_err_prefix(&err, "policy %s", "slo"), -EINVAL);
	assert_string_equal(err.text, "policy slo: maxP99: \"x\", want a number");
	assert_int_equal(km_err_errno(&err, ENOENT, "/a"), -ENOENT);
	assert_string_equal(err.text, "/a: No such file or directory");
	assert_int_equal(km_err_set(NULL, EIO, "nobody listens"), -EIO);
	assert_true(km_err_prefix(NULL, "x") < 0);
	assert_string_equal(km_strerror(EACCES, text, sizeof(text)), "Permission denied");
}

static void error_texts_are_one_line_whatever_was_seen(void **state)
{
	struct km_err err = { .code = 0 };

	(void)state;
	(void)km_err_set(&err, EINVAL, "saw \"%s\"", "a\nb\x1b[2J\x7f\t\xc3\xa9");
	assert_string_equal(err.text, "saw \"a?b?[2J??\xc3\xa9\"");
	(void)km_err_prefix(&err, "%s", "x\r\n");
	assert_string_equal(err.text, "x??: saw \"a?b?[2J??\xc3\xa9\"");
	(void)km_err_errno(&err, ENOENT, "%s", "/a\n");
	assert_string_equal(err.text, "/a?: No such file or directory");
}

static void long_error_text_is_cut_not_overrun(void **state)
{
	struct km_err err = { .code = 0 };

	(void)state;
	(void)km_err_set(&err, EINVAL, "%0500d", 1);
	(void)km_err_prefix(&err, "%0500d", 2);
	assert_int_equal(strlen(err.text), KM_ERR_TEXT_MAX - 1);
}

static void buffer_appends_and_hands_over(void **state)
{
	struct km_buf b;
	size_t len;
	char *taken;

	(void)state;
	km_buf_init(&b);
	assert_string_equal(km_buf_cstr(&b), "");
	km_buf_str(&b, "a");
	km_buf_char(&b, 'b');
	km_buf_append(&b, "cd", 2);
	km_buf_printf(&b, "%0300d", 7);
	assert_int_equal(b.len, 304);
	taken = km_buf_take(&b, &len);
	assert_int_equal(len, 304);
	assert_int_equal(strlen(taken), 304);
	assert_int_equal(b.cap, 0);
	free(taken);
	km_buf_fini(&b);
}

static void buffer_failure_sticks_until_cleared(void **state)
{
	struct km_buf b;
	size_t len = 1;

	(void)state;
	km_buf_init(&b);
	km_buf_str(&b, "kept");
	assert_int_equal(km_buf_reserve(&b, SIZE_MAX), -ENOMEM);
	km_buf_str(&b, "lost");
	assert_false(km_buf_ok(&b));
	assert_int_equal(b.len, 4);
	assert_string_equal(km_buf_cstr(&b), "");
	km_buf_clear(&b);
	assert_true(km_buf_ok(&b));
	assert_int_equal(km_buf_reserve(&b, SIZE_MAX), -ENOMEM);
	assert_null(km_buf_take(&b, &len));
	assert_int_equal(len, 0);
}

static void numbers_print_shortest_and_read_back(void **state)
{
	static const struct {
		double value;
		const char *want;
	} rows[] = {
		{ 0, "0" },
		{ -0.0, "-0" },
		{ 1, "1" },
		{ -42, "-42" },
		{ 0.1, "0.1" },
		{ -12.050001, "-12.050001" },
		{ 0.0001, "0.0001" },
		{ 0.00001, "1e-05" },
		{ 1234567.0000001, "1234567.0000001" },
		{ 999999999.999999, "999999999.999999" },
		{ 123456789012.25, "123456789012.25" },
		{ 1.0 / 3, "0.3333333333333333" },
		{ 0.1 + 0.2, "0.30000000000000004" },
		{ 123456789012345, "123456789012345" },
		{ 1e15, "1e+15" },
		{ 1e300, "1e+300" },
		{ 5e-324, "4.94065645841247e-324" },
		{ NAN, "NaN" },
		{ INFINITY, "+Inf" },
		{ -INFINITY, "-Inf" },
	};
	struct km_buf b;

	(void)state;
	km_buf_init(&b);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		km_buf_clear(&b);
		km_buf_double(&b, rows[i].value);
		assert_string_equal(km_buf_cstr(&b), rows[i].want);
	}
	km_buf_clear(&b);
	km_buf_int(&b, INT64_MIN);
	km_buf_char(&b, ' ');
	km_buf_int(&b, INT64_MAX);
	assert_string_equal(km_buf_cstr(&b), "-9223372036854775808 9223372036854775807");
	km_buf_fini(&b);
}

static void short_decimals_print_as_printf_would(void **state)
{
	struct km_rng rng;
	struct km_buf b;
	char want[64];

	(void)state;
	km_rng_init(&rng, 3);
	km_buf_init(&b);
	for (int i = 0; i < 100000; i++) {
		double scale = pow(10, km_rng_below(&rng, 9));
		double value = nearbyint((km_rng_unit(&rng) - 0.5) * 1e10) / scale;

		(void)snprintf(want, sizeof(want), "%.15g", value);
		km_buf_clear(&b);
		km_buf_double(&b, value);
		assert_string_equal(km_buf_cstr(&b), want);
	}
	km_buf_fini(&b);
}

static void doubles_parse_strictly(void **state)
{
	static const struct {
		const char *text;
		int want_rc;
		double want;
	} rows[] = {
		{ "0", 0, 0 },
		{ "-1.5", 0, -1.5 },
		{ "+2", 0, 2 },
		{ ".5", 0, 0.5 },
		{ "5.", 0, 5 },
		{ "0.00012", 0, 0.00012 },
		{ "1e3", 0, 1000 },
		{ "1E-3", 0, 0.001 },
		{ "1e22", 0, 1e22 },
		{ "9007199254740993", 0, 9007199254740992.0 }, /* ties to even, as strtod */
		{ "0.30000000000000004", 0, 0.30000000000000004 },
		{ "1e400", 0, INFINITY },
		{ "1e-400", 0, 0 },
		{ "1e999999999999", 0, INFINITY },
		{ "inf", 0, INFINITY },
		{ "-INF", 0, -INFINITY },
		{ "", -EINVAL, 0 },
		{ "-", -EINVAL, 0 },
		{ ".", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1e", -EINVAL, 0 },
		{ "1e+", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "1,5", -EINVAL, 0 },
		{ "1.2.3", -EINVAL, 0 },
		{ "infinity", -EINVAL, 0 },
		{ "nan(1)", -EINVAL, 0 },
		{ "--1", -EINVAL, 0 },
		{ "-.inf", -EINVAL, 0 },
	};
	char longer[KM_NUM_MAX_BYTES + 2];
	double got;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		int rc = km_num_double(rows[i].text, strlen(rows[i].text), &got);

		if (rc != rows[i].want_rc || (rc == 0 && got != rows[i].want))
			fail_msg("\"%s\": rc %d value %.17g", rows[i].text, rc, got);
	}
	assert_int_equal(km_num_double("NaN", 3, &got), 0);
	assert_true(isnan(got));
	memset(longer, '7', sizeof(longer));
	assert_int_equal(km_num_double(longer, sizeof(longer), &got), -EINVAL);
}

static void doubles_round_as_strtod(void **state)
{
	struct km_rng rng;
	char text[64];

	(void)state;
	km_rng_init(&rng, 1);
	for (int i = 0; i < 200000; i++) {
		int digits = 1 + (int)km_rng_below(&rng, 19);
		double value =
			(km_rng_unit(&rng) - 0.5) * pow(10, (double)km_rng_below(&rng, 60) - 30);
		int len = snprintf(text, sizeof(text), i % 2 ? "%.*g" : "%.*e", digits, value);
		double got = NAN;

		assert_int_equal(km_num_double(text, (size_t)len, &got), 0);
		if (got != strtod(text, NULL))
			fail_msg("%s: %.17g, want %.17g", text, got, strtod(text, NULL));
	}
}

static void integers_parse_to_the_edge(void **state)
{
	static const struct {
		const char *text;
		int want_rc;
		int64_t want;
	} rows[] = {
		{ "0", 0, 0 },
		{ "-7", 0, -7 },
		{ "+7", 0, 7 },
		{ "9223372036854775807", 0, INT64_MAX },
		{ "-9223372036854775808", 0, INT64_MIN },
		{ "9223372036854775808", -ERANGE, 0 },
		{ "-9223372036854775809", -ERANGE, 0 },
		{ "99999999999999999999", -ERANGE, 0 },
		{ "99999999999999999999x", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "-", -EINVAL, 0 },
		{ "1.0", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		int64_t got = 0;
		int rc = km_num_int(rows[i].text, strlen(rows[i].text), &got);

		if (rc != rows[i].want_rc || got != rows[i].want)
			fail_msg("\"%s\": rc %d value %lld", rows[i].text, rc, (long long)got);
	}
}

static void arena_repeats_a_request_without_new_blocks(void **state)
{
	struct km_arena a;
	const void *block;

	(void)state;
	km_arena_init(&a, 1 << 20);
	for (int i = 0; i < 1000; i++) {
		char *p = km_arena_strndup(&a, "node", 4);

		assert_int_equal((uintptr_t)p % 16, 0);
		assert_string_equal(p, "node");
	}
	km_arena_reset(&a);
	block = a.head;
	for (int i = 0; i < 1000; i++)
		assert_non_null(km_arena_alloc(&a, 5));
	assert_ptr_equal(a.head, block);
	km_arena_fini(&a);
}

static void arena_gives_back_what_one_huge_request_took(void **state)
{
	struct km_arena a;

	(void)state;
	km_arena_init(&a, 65536);
	assert_non_null(km_arena_alloc(&a, 1 << 20));
	km_arena_reset(&a);
	assert_true(a.total <= 65536);
	assert_null(km_arena_calloc(&a, SIZE_MAX / 2, 4));
	assert_null(km_arena_alloc(&a, SIZE_MAX - 8));
	assert_null(km_arena_strndup(&a, "x", SIZE_MAX));
	assert_non_null(km_arena_calloc(&a, 0, 8));
	km_arena_fini(&a);
}

static void hash_depends_on_every_byte_and_the_seed(void **state)
{
	unsigned char key[64];

	(void)state;
	for (size_t len = 0; len <= sizeof(key); len++) {
		uint64_t base;

		memset(key, 0x5a, sizeof(key));
		base = km_hash64(key, len, 1);
		assert_true(km_hash64(key, len, 2) != base);
		assert_true(len == 0 || km_hash64(key, len - 1, 1) != base);
		for (size_t i = 0; i < len; i++) {
			key[i] ^= 1;
			assert_true(km_hash64(key, len, 1) != base);
			key[i] ^= 1;
		}
	}
}

static void cpu_lists_parse_as_the_kernel_prints_them(void **state)
{
	static const struct {
		const char *text;
		int want_rc;
		const char *want;
	} rows[] = {
		{ "", 0, "" },
		{ "\n", 0, "" },
		{ "0", 0, "0" },
		{ "0-2,5\n", 0, "0-2,5" },
		{ "5,0-2,1", 0, "0-2,5" },
		{ "63-64", 0, "63-64" },
		{ "0-1023", 0, "0-1023" },
		{ "1024", -ERANGE, NULL },
		{ "0-99999999999", -ERANGE, NULL },
		{ "3-1", -EINVAL, NULL },
		{ "1,", -EINVAL, NULL },
		{ ",1", -EINVAL, NULL },
		{ "1,,2", -EINVAL, NULL },
		{ "1-", -EINVAL, NULL },
		{ "a", -EINVAL, NULL },
		{ "1 2", -EINVAL, NULL },
		{ "1\n2", -EINVAL, NULL },
	};
	struct km_buf b;

	(void)state;
	km_buf_init(&b);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_cpuset set;
		int rc = km_cpuset_parse(rows[i].text, &set, NULL);

		if (rc != rows[i].want_rc)
			fail_msg("\"%s\": rc %d", rows[i].text, rc);
		if (rc != 0)
			continue;
		km_buf_clear(&b);
		km_cpuset_format(&set, &b);
		assert_string_equal(km_buf_cstr(&b), rows[i].want);
	}
	km_buf_fini(&b);
}

static void cpu_sets_count_walk_and_overlap(void **state)
{
	struct km_cpuset a = { .word = { 0 } };
	struct km_cpuset b = { .word = { 0 } };
	unsigned sum = 0;

	(void)state;
	km_cpuset_add(&a, 0);
	km_cpuset_add(&a, 130);
	km_cpuset_add(&a, 1023);
	km_cpuset_add(&a, KM_CPU_MAX); /* out of range: ignored */
	assert_int_equal(km_cpuset_count(&a), 3);
	km_cpuset_each (cpu, &a)
		sum += cpu;
	assert_int_equal(sum, 1153);
	assert_false(km_cpuset_intersects(&a, &b));
	km_cpuset_add(&b, 130);
	assert_true(km_cpuset_intersects(&a, &b));
	assert_false(km_cpuset_has(&a, 5000));
}

static void generator_repeats_and_is_uniform(void **state)
{
	struct km_rng a;
	struct km_rng b;
	double sum = 0;
	double squares = 0;
	unsigned hits[3] = { 0 };

	(void)state;
	km_rng_init(&a, 7);
	km_rng_init(&b, 7);
	for (int i = 0; i < 30000; i++) {
		double unit = km_rng_unit(&a);
		double normal;

		assert_true(unit >= 0 && unit < 1);
		assert_true(unit == km_rng_unit(&b));
		hits[km_rng_below(&a, 3)]++;
		(void)km_rng_below(&b, 3);
		normal = km_rng_normal(&a);
		(void)km_rng_normal(&b);
		sum += normal;
		squares += normal * normal;
	}
	for (size_t i = 0; i < 3; i++)
		assert_in_range(hits[i], 9600, 10400);
	assert_true(fabs(sum / 30000) < 0.03);
	assert_true(fabs(squares / 30000 - 1) < 0.05);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_texts_are_one_line_whatever_was_seen),
		cmocka_unit_test(error_text_grows_as_it_rises),
		cmocka_unit_test(long_error_text_is_cut_not_overrun),
		cmocka_unit_test(buffer_appends_and_hands_over),
		cmocka_unit_test(buffer_failure_sticks_until_cleared),
		cmocka_unit_test(numbers_print_shortest_and_read_back),
		cmocka_unit_test(short_decimals_print_as_printf_would),
		cmocka_unit_test(doubles_parse_strictly),
		cmocka_unit_test(doubles_round_as_strtod),
		cmocka_unit_test(integers_parse_to_the_edge),
		cmocka_unit_test(arena_repeats_a_request_without_new_blocks),
		cmocka_unit_test(arena_gives_back_what_one_huge_request_took),
		cmocka_unit_test(hash_depends_on_every_byte_and_the_seed),
		cmocka_unit_test(cpu_lists_parse_as_the_kernel_prints_them),
		cmocka_unit_test(cpu_sets_count_walk_and_overlap),
		cmocka_unit_test(generator_repeats_and_is_uniform),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

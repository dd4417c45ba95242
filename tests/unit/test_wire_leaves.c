/* SPDX-License-Identifier: Apache-2.0 */
/* wire: a JSON text of unknown shape as a flat list. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/buf.h"
#include "km/wire/leaves.h"

static void put(void *ctx, const char *path, const char *value)
{
	km_buf_printf(ctx, "%s=%s\n", path, value);
}

static void values_come_with_their_path(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *want;
	} rows[] = {
		{ "{\"a\":{\"b\":0.125,\"c\":[1,\"x\",null,true]},\"d\":false}", 0,
		  "a.b=0.125\na.c.0=1\na.c.1=x\na.c.2=null\na.c.3=true\nd=false\n" },
		{ "[{\"a\":1},{}]", 0, "0.a=1\n" },
		{ "7", 0, "=7\n" },
		{ "{}", 0, "" },
		/* what could steer a terminal does not */
		{ "{\"\\u001b[2J\":\"a\\u0007\\nb\",\"\xc3\xa4_\":1e999}", 0,
		  "?[2J=a??b\n??_=null\n" },
		{ "", -EBADMSG, "" },
		{ "{\"a\":", -EBADMSG, "" },
		{ "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", -EBADMSG, "" },
		{ "[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]", 0, "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0=1\n" },
	};
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		km_buf_clear(&out);
		assert_int_equal(
			km_json_leaves(rows[i].text, strlen(rows[i].text), put, &out, NULL),
			rows[i].rc);
		assert_string_equal(km_buf_cstr(&out), rows[i].want);
	}
	km_buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(values_come_with_their_path) };

	return cmocka_run_group_tests_name("wire_leaves", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client against a server of ours, and against ones that misbehave. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/net/client.h"

#include "support/http_server.h"
#include "support/raw_server.h"

static struct http_server world;

static int start(void **state)
{
	struct km_server_options o = http_server_options();

	(void)state;
	http_server_start(&world, &o);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	http_server_stop(&world);
	return 0;
}

static struct km_client *client(const struct km_client_options *options)
{
	struct km_err err = { .code = 0 };
	struct km_client *c;

	if (km_client_create(options, &c, &err) != 0)
		fail_msg("%s", err.text);
	return c;
}

static int get(struct km_client *c, int port, const char *path, struct km_buf *out,
               struct km_err *err)
{
	char url[128];

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", port, path);
	return km_client_do(c, url, NULL, 0, out, err);
}

static void gets_and_posts_in_turn(void **state)
{
	struct km_client *c = client(NULL);
	struct km_err err = { .code = 0 };
	struct km_buf out;
	char url[128];

	(void)state;
	km_buf_init(&out);
	for (int i = 0; i < 3; i++) {
		km_buf_clear(&out);
		assert_int_equal(get(c, world.at.port, "/a?q=1", &out, &err), 200);
		assert_string_equal(km_buf_cstr(&out), "GET /a 0 811c9dc5 query=1 header=-");
		(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/b", world.at.port);
		km_buf_clear(&out);
		assert_int_equal(km_client_do(c, url, "a\0c", 3, &out, &err), 200);
		assert_memory_equal(km_buf_cstr(&out), "POST /b 3 ", 10);
		km_buf_clear(&out);
		assert_int_equal(km_client_do(c, url, "", 0, &out, &err), 200);
		assert_memory_equal(km_buf_cstr(&out), "POST /b 0 ", 10);
	}
	assert_int_equal(get(c, world.at.port, "/headers", &out, &err), 405);
	assert_int_equal(get(c, world.at.port, "/fail", &out, &err), 503);
	km_buf_fini(&out);
	km_client_free(c);
}

static void large_bodies_go_both_ways(void **state)
{
	struct km_client *c = client(NULL);
	struct km_err err = { .code = 0 };
	struct km_buf out;
	char *body = calloc(1, 1000000);
	char url[128];

	(void)state;
	assert_non_null(body);
	km_buf_init(&out);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/b", world.at.port);
	assert_int_equal(km_client_do(c, url, body, 1000000, &out, &err), 200);
	assert_memory_equal(km_buf_cstr(&out), "POST /b 1000000 ", 16);
	km_buf_clear(&out);
	assert_int_equal(get(c, world.at.port, "/big?n=3000000", &out, &err), 200);
	assert_int_equal(out.len, 3000000);
	free(body);
	km_buf_fini(&out);
	km_client_free(c);
}

static void answers_over_the_bound_are_refused(void **state)
{
	const struct km_client_options o = { .max_body_bytes = 1000 };
	struct km_client *c = client(&o);
	struct km_err err = { .code = 0 };
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	assert_int_equal(get(c, world.at.port, "/big?n=1001", &out, &err), -EFBIG);
	assert_non_null(strstr(err.text, "over 1000 bytes"));
	km_buf_clear(&out);
	assert_int_equal(get(c, world.at.port, "/big?n=1000", &out, &err), 200);
	assert_int_equal(out.len, 1000);
	km_buf_fini(&out);
	km_client_free(c);
}

static void slow_answers_time_out(void **state)
{
	const struct km_client_options o = { .timeout_ns = 100 * KM_NS_PER_MS };
	struct km_client *c = client(&o);
	struct km_err err = { .code = 0 };
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	assert_int_equal(get(c, world.at.port, "/hold", &out, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "/hold"));
	http_server_release();
	km_buf_fini(&out);
	km_client_free(c);
}

static void bad_urls_are_einval(void **state)
{
	static const char *const urls[] = { "", "http://", "ftp://127.0.0.1/a",
		                            "file:///etc/passwd", "http://[::1/" };
	struct km_client *c = client(NULL);
	struct km_err err = { .code = 0 };
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	for (size_t i = 0; i < KM_ARRAY_LEN(urls); i++) {
		int rc = km_client_do(c, urls[i], NULL, 0, &out, &err);

		if (rc != -EINVAL)
			fail_msg("\"%s\": %d %s", urls[i], rc, err.text);
	}
	km_buf_fini(&out);
	km_client_free(c);
}

static void nobody_there_is_econnrefused(void **state)
{
	struct km_client *c = client(NULL);
	struct km_err err = { .code = 0 };
	struct km_buf out;
	int port;
	int fd = raw_bind(&port); /* nobody else's, but not listening */

	(void)state;
	km_buf_init(&out);
	assert_int_equal(get(c, port, "/a", &out, &err), -ECONNREFUSED);
	assert_memory_equal(err.text, "http://127.0.0.1:", 17);
	(void)close(fd);
	km_buf_fini(&out);
	km_client_free(c);
}

static int answered_with(const char *bytes, struct km_buf *out, struct km_err *err)
{
	struct km_client_options o = { .timeout_ns = 5 * KM_NS_PER_S };
	const struct raw_turn turn = { .bytes = bytes, .then = RAW_CLOSE };
	struct km_client *c = client(&o);
	static struct raw_server raw;
	int rc;

	raw_server_start(&raw, &turn, 1);
	rc = get(c, raw.port, "/a", out, err);
	km_client_free(c);
	raw_server_stop(&raw);
	return rc;
}

static void other_peoples_answers(void **state)
{
	static const struct {
		const char *bytes;
		int want;
		const char *why;
	} rows[] = {
		{ "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: "
		  "0\r\n\r\n",
		  302, "redirects are not followed" },
		{ "SSH-2.0-OpenSSH_9.2\r\n", -EPROTO, "no HTTP" },
		{ "", -EPROTO, "nothing" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", -EPROTO, "half a body" },
		{ "HTTP/1.1 200 OK\r\n\r\nabc", 200, "a body until the end" },
	};
	struct km_err err = { .code = 0 };
	struct km_buf out;

	(void)state;
	km_buf_init(&out);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		int rc = answered_with(rows[i].bytes, &out, &err);

		if (rc != rows[i].want)
			fail_msg("%s: %d %s, want %d", rows[i].why, rc, err.text, rows[i].want);
	}
	km_buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gets_and_posts_in_turn),
		cmocka_unit_test(large_bodies_go_both_ways),
		cmocka_unit_test(answers_over_the_bound_are_refused),
		cmocka_unit_test(slow_answers_time_out),
		cmocka_unit_test(bad_urls_are_einval),
		cmocka_unit_test(nobody_there_is_econnrefused),
		cmocka_unit_test_setup_teardown(other_peoples_answers, NULL, NULL),
	};

	return cmocka_run_group_tests_name("HTTP client", tests, start, stop);
}

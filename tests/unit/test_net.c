/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server: what a handler sees and what a client gets, as bytes. Limits: test_net_limits.
 */
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

#include "support/http_server.h"

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

static void call(const char *request, bool no_body, struct wire_answer *a)
{
	int fd = daemon_connect(&world.at);

	assert_true(fd >= 0);
	assert_true(wire_send(fd, request, strlen(request)));
	assert_true(wire_receive(fd, no_body, a));
	(void)close(fd);
}

static void handlers_see_requests_as_sent(void **state)
{
	static const struct {
		const char *request, *want, *why;
	} rows[] = {
		{ "GET /a HTTP/1.1\r\nHost: t\r\n\r\n", "GET /a 0 811c9dc5 query=- header=-",
		  "plain" },
		{ "GET /%41%2f%00+x/ HTTP/1.1\r\nHost: t\r\n\r\n",
		  "GET /%41%2f%00+x/ 0 811c9dc5 query=- header=-", "paths are not decoded" },
		{ "GET /a?q=x%20y%zz+%00 HTTP/1.1\r\nHost: t\r\n\r\n",
		  "GET /a 0 811c9dc5 query=x y%zz %00 header=-", "arguments are, but for a NUL" },
		{ "GET /a?p=1&q=caf%C3%a9 HTTP/1.1\r\nHost: t\r\n\r\n",
		  "GET /a 0 811c9dc5 query=caf\xc3\xa9 header=-", "the second argument" },
		{ "GET /a?q HTTP/1.1\r\nHost: t\r\n\r\n", "GET /a 0 811c9dc5 query=- header=-",
		  "an argument without a value is absent" },
		{ "GET /a?q=%4 HTTP/1.1\r\nHost: t\r\n\r\n", "GET /a 0 811c9dc5 query=%4 header=-",
		  "half an escape stays" },
		{ "GET /a HTTP/1.1\r\nHost: t\r\nx-tEST: v w\r\n\r\n",
		  "GET /a 0 811c9dc5 query=- header=v w", "header names in any case" },
		{ "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc",
		  "POST /a 3 1a47e90b query=- header=-", "a body" },
		{ "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
		  "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
		  "POST /a 3 1a47e90b query=- header=-", "a body in chunks" },
		{ "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n",
		  "POST /a 0 811c9dc5 query=- header=-", "an empty body" },
		{ "PUT /a HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n",
		  "PUT /a 0 811c9dc5 query=- header=-", "PUT" },
		{ "DELETE /a HTTP/1.1\r\nHost: t\r\n\r\n", "OTHER /a 0 811c9dc5 query=- header=-",
		  "any other method" },
		{ "BREW /a HTTP/1.1\r\nHost: t\r\n\r\n", "OTHER /a 0 811c9dc5 query=- header=-",
		  "any other word" },
	};
	struct wire_answer a;

	(void)state;
	wire_answer_init(&a);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		call(rows[i].request, false, &a);
		if (a.status != 200 || strcmp(a.body.data, rows[i].want) != 0)
			fail_msg("%s: got %d %s, want %s", rows[i].why, a.status, a.body.data,
			         rows[i].want);
	}
	wire_answer_fini(&a);
}

static void answers_carry_what_handlers_wrote(void **state)
{
	struct wire_answer a;

	(void)state;
	wire_answer_init(&a);
	call("GET /headers HTTP/1.1\r\nHost: t\r\n\r\n", false, &a);
	assert_int_equal(a.status, 405);
	assert_non_null(strstr(a.head.data, "\r\nContent-Type: text/plain\r\n"));
	assert_non_null(strstr(a.head.data, "\r\nAllow: GET, HEAD\r\n"));
	assert_non_null(strcasestr(a.head.data, "\r\nETag: \"tag\"\r\n"));
	call("GET /a HTTP/1.1\r\nHost: t\r\n\r\n", false, &a);
	assert_non_null(strstr(a.head.data, "\r\nContent-Type: application/json\r\n"));
	assert_null(strcasestr(a.head.data, "\r\nAllow:"));
	assert_null(strcasestr(a.head.data, "\r\nETag:"));
	/* Nothing of the request before is left in a recycled one. */
	assert_string_equal(a.body.data, "GET /a 0 811c9dc5 query=- header=-");
	call("GET /big?n=0 HTTP/1.1\r\nHost: t\r\n\r\n", false, &a);
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.head.data, "\r\nContent-Length: 0\r\n"));
	wire_answer_fini(&a);
}

static void head_is_answered_without_the_body(void **state)
{
	static const char two[] = "HEAD /big?n=1000 HTTP/1.1\r\nHost: t\r\n\r\n"
				  "GET /a HTTP/1.1\r\nHost: t\r\n\r\n";
	int fd = daemon_connect(&world.at);
	struct wire_answer a;

	(void)state;
	wire_answer_init(&a);
	assert_true(wire_send(fd, two, strlen(two)));
	assert_true(wire_receive(fd, true, &a));
	assert_non_null(strstr(a.head.data, "\r\nContent-Length: 1000\r\n"));
	assert_true(wire_receive(fd, false, &a));
	assert_memory_equal(a.body.data, "GET /a ", 7);
	(void)close(fd);
	wire_answer_fini(&a);
}

static void out_of_memory_in_a_handler_is_503(void **state)
{
	struct wire_answer a;

	(void)state;
	wire_answer_init(&a);
	call("GET /fail HTTP/1.1\r\nHost: t\r\n\r\n", false, &a);
	assert_int_equal(a.status, 503);
	assert_string_equal(a.body.data, "503 out of memory for this request");
	call("GET /a HTTP/1.1\r\nHost: t\r\n\r\n", false, &a);
	assert_int_equal(a.status, 200);
	assert_true(http_server_wait_metric(
		&world, "kubemarla_http_refused_total{listener=\"test\",reason=\"memory\"} 1\n"));
	wire_answer_fini(&a);
}

static void bodies_arrive_whole_at_any_size(void **state)
{
	static const size_t sizes[] = { 1, 1023, 32767, 32768, 65536, 134000, 999999, 1000000 };
	struct wire_answer a;
	char want[64];
	char *body = malloc(1000000);

	(void)state;
	assert_non_null(body);
	for (size_t i = 0; i < 1000000; i++)
		body[i] = (char)(i * 7 % 251);
	wire_answer_init(&a);
	for (size_t i = 0; i < KM_ARRAY_LEN(sizes); i++) {
		wire_call(&world.at, "POST", "/a", "", body, sizes[i], &a);
		(void)snprintf(want, sizeof(want), "POST /a %zu %08x query=- header=-", sizes[i],
		               http_sum(body, sizes[i]));
		assert_string_equal(km_buf_cstr(&a.body), want);
	}
	free(body);
	wire_answer_fini(&a);
}

static void large_answers_arrive_whole(void **state)
{
	struct wire_answer a;

	(void)state;
	wire_answer_init(&a);
	call("GET /big?n=5000000 HTTP/1.1\r\nHost: t\r\n\r\n", false, &a);
	assert_int_equal(a.body.len, 5000000);
	wire_answer_fini(&a);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	static const char three[] = "GET /1 HTTP/1.1\r\nHost: t\r\n\r\n"
				    "POST /2 HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc"
				    "GET /3 HTTP/1.1\r\nHost: t\r\n\r\n";
	static const char *const want[] = { "GET /1 0", "POST /2 3", "GET /3 0" };
	int fd = daemon_connect(&world.at);
	struct wire_answer a;

	(void)state;
	wire_answer_init(&a);
	assert_true(wire_send(fd, three, strlen(three)));
	for (size_t i = 0; i < KM_ARRAY_LEN(want); i++) {
		assert_true(wire_receive(fd, false, &a));
		assert_memory_equal(a.body.data, want[i], strlen(want[i]));
	}
	(void)close(fd);
	wire_answer_fini(&a);
}

static void http_1_0_closes_unless_asked_to_keep(void **state)
{
	static const char once[] = "GET /a HTTP/1.0\r\n\r\n";
	static const char keep[] = "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
	int fd = daemon_connect(&world.at);
	struct wire_answer a;

	(void)state;
	wire_answer_init(&a);
	for (int i = 0; i < 3; i++) {
		assert_true(wire_send(fd, keep, strlen(keep)));
		assert_true(wire_receive(fd, false, &a));
		assert_int_equal(a.status, 200);
	}
	assert_true(wire_send(fd, once, strlen(once)));
	assert_true(wire_receive(fd, false, &a));
	assert_int_equal(a.status, 200);
	assert_in_range(http_closed_after_ms(fd, WIRE_PATIENCE_MS), 0, WIRE_PATIENCE_MS);
	(void)close(fd);
	wire_answer_fini(&a);
}

static void expect_100_is_answered_before_the_body(void **state)
{
	static const char head[] = "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n"
				   "Expect: 100-continue\r\n\r\n";
	int fd = daemon_connect(&world.at);
	struct wire_answer a;

	(void)state;
	wire_answer_init(&a);
	assert_true(wire_send(fd, head, strlen(head)));
	assert_true(wire_receive(fd, true, &a));
	assert_int_equal(a.status, 100);
	assert_true(wire_send(fd, "abc", 3));
	assert_true(wire_receive(fd, false, &a));
	assert_memory_equal(a.body.data, "POST /a 3 1a47e90b", 18);
	(void)close(fd);
	wire_answer_fini(&a);
}

/* One request after the other: all get the same memory. */
static void steady_requests_reuse_their_memory(void **state)
{
	const void *first = NULL;
	struct wire_answer a;
	char *body = calloc(1, 134000);

	(void)state;
	assert_non_null(body);
	wire_answer_init(&a);
	/* What the tests before had is all given back. */
	assert_true(http_server_wait_metric(&world,
	                                    "kubemarla_http_connections{listener=\"test\"} 0\n"));
	for (int i = 0; i < 5; i++) {
		wire_call(&world.at, "POST", "/a", "", body, 134000, &a);
		assert_int_equal(a.status, 200);
		/* The one before gave its memory back before its connection ended. */
		assert_true(http_server_wait_metric(
			&world, "kubemarla_http_connections{listener=\"test\"} 0\n"));
		if (i == 0)
			first = http_server_last_body();
		assert_ptr_equal(http_server_last_body(), first);
	}
	free(body);
	wire_answer_fini(&a);
}

/* A handler that waits holds one thread; connections are spread over both. */
static void threads_serve_side_by_side_and_are_initialised_once(void **state)
{
	static const char held[] = "GET /hold HTTP/1.1\r\nHost: t\r\n\r\n";
	static const char quick[] = "GET /a HTTP/1.1\r\nHost: t\r\n\r\n";
	int first = daemon_connect(&world.at);
	struct wire_answer a;
	int second;

	(void)state;
	wire_answer_init(&a);
	assert_true(wire_send(first, held, strlen(held)));
	assert_true(http_server_wait_held(1));
	second = daemon_connect(&world.at);
	for (int i = 0; i < 3; i++) {
		assert_true(wire_send(second, quick, strlen(quick)));
		assert_true(wire_receive(second, false, &a));
		assert_int_equal(a.status, 200);
	}
	http_server_release();
	assert_true(wire_receive(first, false, &a));
	assert_memory_equal(a.body.data, "GET /hold ", 10);
	assert_int_equal(http_server_threads(), 2);
	(void)close(first);
	(void)close(second);
	wire_answer_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handlers_see_requests_as_sent),
		cmocka_unit_test(answers_carry_what_handlers_wrote),
		cmocka_unit_test(head_is_answered_without_the_body),
		cmocka_unit_test(out_of_memory_in_a_handler_is_503),
		cmocka_unit_test(bodies_arrive_whole_at_any_size),
		cmocka_unit_test(large_answers_arrive_whole),
		cmocka_unit_test(pipelined_requests_are_answered_in_order),
		cmocka_unit_test(http_1_0_closes_unless_asked_to_keep),
		cmocka_unit_test(expect_100_is_answered_before_the_body),
		cmocka_unit_test(steady_requests_reuse_their_memory),
		cmocka_unit_test(threads_serve_side_by_side_and_are_initialised_once),
	};

	return cmocka_run_group_tests_name("HTTP server", tests, start, stop);
}

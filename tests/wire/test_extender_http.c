/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /filter and /prioritize on the wire: HTTP around the bodies, and bodies that are none or mean
 * harm. No data and no model here: every node that is judged gets the middle.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/macros.h"

#include "support/extender_case.h"

#define BODY_LIMIT           ((size_t)8 << 20) /* limits.bodyBytes as it comes */

#define ERROR(code, message) "{\"error\":{\"code\":\"" code "\",\"message\":\"" message "\"}}\n"
#define BAD(message)         ERROR("badRequest", message)
#define TOO_LARGE            ERROR("bodyTooLarge", "the body is larger than limits.bodyBytes")
#define NOT_FOUND            ERROR("notFound", "no such route; GET / lists them")
#define NOT_ALLOWED          ERROR("methodNotAllowed", "this route takes POST only")

#define ASK_A                "{\"Pod\":null,\"Nodes\":null,\"NodeNames\":[\"a\"]}"
#define PASS_A                                                                                     \
	"{\"Nodes\":null,\"NodeNames\":[\"a\"],\"FailedNodes\":{},"                                \
	"\"FailedAndUnresolvableNodes\":{},\"Error\":\"\"}"
#define SCORE_A "[{\"Host\":\"a\",\"Score\":5}]"

static struct daemon the_daemon;

static int set_up(void **state)
{
	daemon_init(&the_daemon);
	wire_start(&the_daemon,
	           "nodes: [{name: a}]\ncollect: {sources: []}\nmodel: {path: \"\"}\n");
	*state = &the_daemon;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	wire_stop(&the_daemon);
	return 0;
}

static void headers_do_not_matter(void **state)
{
#define AS_WITHOUT(what, ...)                                                                      \
	{                                                                                          \
		what, ASK_A, .filter = PASS_A, .prioritize = SCORE_A, __VA_ARGS__                  \
	}
	static const struct extender_case cases[] = {
		AS_WITHOUT("as kube-scheduler asks", .headers = NULL),
		AS_WITHOUT("no Content-Type", .headers = ""),
		AS_WITHOUT("a wrong Content-Type", .headers = "Content-Type: text/html\r\n"),
		AS_WITHOUT("a form's Content-Type",
		           .headers = "Content-Type: application/x-www-form-urlencoded\r\n"),
		AS_WITHOUT("a part's Content-Type",
		           .headers = "Content-Type: multipart/form-data; boundary=x\r\n"),
		AS_WITHOUT("headers that mean nothing to us",
		           .headers = "Accept: text/plain\r\nAccept-Encoding: gzip\r\n"
		                      "Authorization: Bearer x\r\nIf-None-Match: *\r\n"
		                      "Range: bytes=0-1\r\n"),
		AS_WITHOUT("a trailing slash", .suffix = "/"),
		AS_WITHOUT("a query", .suffix = "?timeout=5s"),
		AS_WITHOUT("a slash and a query", .suffix = "/?"),
		{ .name = NULL },
	};

	extender_check_all(*state, cases);
}

static void only_post_is_allowed(void **state)
{
	static const char *const methods[] = { "GET", "PUT", "DELETE", "PATCH", "OPTIONS" };
	static const char *const routes[] = { "/filter", "/prioritize" };
	struct daemon *d = *state;
	struct wire_answer a;

	wire_answer_init(&a);
	for (size_t r = 0; r < KM_ARRAY_LEN(routes); r++) {
		for (size_t i = 0; i < KM_ARRAY_LEN(methods); i++) {
			bool bare = strcmp(methods[i], "GET") == 0;

			wire_call(d, methods[i], routes[r], "", bare ? NULL : ASK_A,
			          bare ? 0 : strlen(ASK_A), &a);
			extender_want(&a, methods[i], 405, NOT_ALLOWED, strlen(NOT_ALLOWED));
			assert_non_null(strstr(a.head.data, "\r\nAllow: POST\r\n"));
		}
		wire_call(d, "HEAD", routes[r], "", NULL, 0, &a);
		assert_int_equal(a.status, 405);
	}
	wire_answer_fini(&a);
}

static void other_paths_are_not_found(void **state)
{
	static const char *const paths[] = { "/filters",     "/Filter", "/filter/x", "//filter",
		                             "/filter//",    "/bind",   "/preempt",  "/%66ilter",
		                             "/../filter",   "*",       "/v1",       "/v1/filter",
		                             "/prioritize/." };
	struct daemon *d = *state;
	struct wire_answer a;

	wire_answer_init(&a);
	for (size_t i = 0; i < KM_ARRAY_LEN(paths); i++) {
		wire_call(d, "POST", paths[i], "", ASK_A, strlen(ASK_A), &a);
		extender_want(&a, paths[i], 404, NOT_FOUND, strlen(NOT_FOUND));
	}
	wire_answer_fini(&a);
}

static void what_is_no_request_is_our_400(void **state)
{
#define REFUSED(what, text, message)                                                               \
	{                                                                                          \
		what, text, .status = 400, .filter = BAD(message)                                  \
	}
	static const struct extender_case cases[] = {
		REFUSED("no body at all", NULL, "JSON: byte 0: saw the end, want an object"),
		REFUSED("an empty body", "", "JSON: byte 0: saw the end, want an object"),
		REFUSED("blanks", " \n", "JSON: byte 2: saw the end, want an object"),
		REFUSED("truncated", "{\"NodeNames\":[\"a\"",
		        "NodeNames: JSON: byte 17: saw the end, want ',' or ']'"),
		REFUSED("not JSON", "pod=a", "JSON: byte 0: saw 'p', want an object"),
		REFUSED("a UTF-8 mark in front", "\xef\xbb\xbf{}",
		        "JSON: byte 0: saw byte 0xef, want an object"),
		REFUSED("an array on top", "[" ASK_A "]",
		        "JSON: byte 0: saw an array, want an object"),
		REFUSED("a string on top", "\"a\"", "JSON: byte 0: saw a string, want an object"),
		REFUSED("a number on top", "1", "JSON: byte 0: saw a number, want an object"),
		REFUSED("null on top", "null", "JSON: byte 0: saw null, want an object"),
		REFUSED("NaN", "{\"a\":NaN}", "JSON: byte 5: saw 'N', want a value"),
		REFUSED("single quotes", "{'a':1}", "JSON: byte 1: saw ''', want a key in quotes"),
		REFUSED("a comma at the end", "{\"a\":1,}",
		        "JSON: byte 7: saw '}', want a key in quotes"),
		REFUSED("a control character in a string", "{\"NodeNames\":[\"a\x01\"]}",
		        "NodeNames: JSON: byte 16: saw byte 0x01, want no raw control character in "
		        "a string"),
		REFUSED("bytes that are no UTF-8", "{\"NodeNames\":[\"\xff\"]}",
		        "NodeNames: JSON: byte 14: saw '\\\"', want valid UTF-8 in the string"),
		REFUSED("NodeNames of numbers", "{\"NodeNames\":[1]}",
		        "NodeNames: JSON: byte 14: saw a number, want a string"),
		REFUSED("NodeNames a string", "{\"NodeNames\":\"a\"}",
		        "NodeNames: JSON: byte 13: saw a string, want an array"),
		REFUSED("Nodes an array", "{\"Nodes\":[]}",
		        "Nodes: saw an array, want an object or null"),
		REFUSED("Pod a number", "{\"Pod\":1,\"NodeNames\":[\"a\"]}",
		        "Pod: saw a number, want an object or null"),
		REFUSED("a Node that is none", "{\"Nodes\":{\"items\":[1]}}",
		        "JSON: byte 0: saw a number, want an object"),
		{ .name = NULL },
	};

	extender_check_all(*state, cases);
}

/* However much of it is missing: there is an answer, and it is a 400. */
static void every_truncation_is_refused(void **state)
{
	static const char whole[] =
		"{\"Pod\":{\"a\":[1.5e-3,null,true,\"\\u00e9\\n\"]},\"Nodes\":null,\"NodeNames\":["
		"\"a\",\"\xc3\xb6\"]}";
	static const char begins[] = "{\"error\":{\"code\":\"badRequest\",\"message\":\"";
	struct daemon *d = *state;
	struct wire_answer a;

	wire_answer_init(&a);
	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		wire_call(d, "POST", len % 2 == 0 ? "/filter" : "/prioritize", "", whole, len, &a);
		if (a.status != 400 || strncmp(a.body.data, begins, strlen(begins)) != 0)
			fail_msg("%zu bytes: %d %s", len, a.status, a.body.data);
	}
	wire_call(d, "POST", "/filter", "", whole, sizeof(whole) - 1, &a);
	assert_int_equal(a.status, 200);
	wire_answer_fini(&a);
}

/* A request with `depth` containers inside each other, its own object included. */
static void nest(struct km_buf *out, int depth, const char *open, const char *close)
{
	km_buf_clear(out);
	km_buf_str(out, "{\"NodeNames\":[\"a\"],\"Pod\":{\"x\":");
	for (int i = 2; i < depth; i++)
		km_buf_str(out, open);
	km_buf_str(out, "0");
	for (int i = 2; i < depth; i++)
		km_buf_str(out, close);
	km_buf_str(out, "}}");
}

static void nesting_is_bounded(void **state)
{
	static const struct {
		const char *open, *close;
	} kinds[] = { { "[", "]" }, { "{\"\":", "}" } };
	static const int depths[] = { 65, 1000, 100000 };
	struct extender_case c;
	struct km_buf body;
	char want[128];

	km_buf_init(&body);
	for (size_t k = 0; k < KM_ARRAY_LEN(kinds); k++) {
		nest(&body, 64, kinds[k].open, kinds[k].close);
		c = (struct extender_case){ "64 deep", km_buf_cstr(&body), .filter = PASS_A,
			                    .prioritize = SCORE_A };
		extender_check(*state, &c);
		/* The 65th opens behind 62 more than the two that are there. */
		(void)snprintf(want, sizeof(want),
		               BAD("JSON: byte %zu: saw nesting over 64, want less"),
		               strlen("{\"NodeNames\":[\"a\"],\"Pod\":{\"x\":") +
		                       62 * strlen(kinds[k].open));
		for (size_t i = 0; i < KM_ARRAY_LEN(depths); i++) {
			nest(&body, depths[i], kinds[k].open, kinds[k].close);
			c = (struct extender_case){ "over 64 deep", km_buf_cstr(&body),
				                    .status = 400, .filter = want };
			extender_check(*state, &c);
		}
	}
	km_buf_fini(&body);
}

/* ---- bodies over the limit ---- */

static void an_announced_length_over_the_limit_is_413(void **state)
{
	static const struct extender_case cases[] = {
		{ "one byte over, none sent", NULL, .headers = "Content-Length: 8388609\r\n",
		  .status = 413, .filter = TOO_LARGE },
		{ "a terabyte, none sent", NULL, .headers = "Content-Length: 1099511627776\r\n",
		  .status = 413, .filter = TOO_LARGE },
		{ .name = NULL },
	};

	struct wire_answer a;

	extender_check_all(*state, cases);
	assert_true(daemon_wait_log(*state, 0,
	                            "refused a request status=413: the body is larger than "
	                            "limits.bodyBytes; nodeCacheCapable:true makes them small"));
	/* libmicrohttpd answers this one by itself. */
	wire_answer_init(&a);
	wire_call(*state, "POST", "/filter", "Content-Length: 99999999999999999999\r\n", NULL, 0,
	          &a);
	assert_int_equal(a.status, 413);
	wire_answer_fini(&a);
}

/* Blanks make a body as long as it has to be. */
static void the_limit_itself_is_no_offence(void **state)
{
	struct extender_case c = { "the limit", .len = BODY_LIMIT, .filter = PASS_A,
		                   .prioritize = SCORE_A };
	char *body = malloc(BODY_LIMIT + 2);

	assert_non_null(body);
	memset(body, ' ', BODY_LIMIT + 2);
	memcpy(body + 1000000, ASK_A, strlen(ASK_A));
	c.body = body;
	extender_check(*state, &c);
	c = (struct extender_case){ "one byte more", body, BODY_LIMIT + 1, .status = 413,
		                    .filter = TOO_LARGE };
	extender_check(*state, &c);
	free(body);
}

/* Without an announced length it is seen when it comes. */
static void a_body_in_chunks_over_the_limit_is_413(void **state)
{
	static const char head[] = "POST /filter HTTP/1.1\r\nHost: t\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n800001\r\n";
	struct daemon *d = *state;
	struct wire_answer a;
	char *body = malloc(BODY_LIMIT + 1);
	int fd = daemon_connect(d);

	assert_non_null(body);
	memset(body, ' ', BODY_LIMIT + 1);
	wire_answer_init(&a);
	assert_true(wire_send(fd, head, strlen(head)));
	assert_true(wire_send(fd, body, BODY_LIMIT + 1));
	assert_true(wire_send(fd, "\r\n0\r\n\r\n", 7));
	assert_true(wire_receive(fd, false, &a));
	assert_int_equal(a.status, 413);
	assert_string_equal(a.body.data, TOO_LARGE);
	/* All of it was read, so the connection is good for more. */
	assert_true(wire_send(fd, head, strlen(head) - strlen("800001\r\n")));
	assert_true(wire_send(fd, "2b\r\n" ASK_A "\r\n0\r\n\r\n", strlen(ASK_A) + 11));
	assert_true(wire_receive(fd, false, &a));
	assert_string_equal(a.body.data, PASS_A);
	(void)close(fd);
	wire_answer_fini(&a);
	free(body);
}

/* ---- connections ---- */

static void keep_alive_is_as_the_version_says(void **state)
{
	static const struct {
		const char *name, *version, *header;
		bool stays;
	} rows[] = {
		{ "HTTP/1.0", "1.0", "", false },
		{ "HTTP/1.0 keep-alive", "1.0", "Connection: keep-alive\r\n", true },
		{ "HTTP/1.0 Keep-Alive", "1.0", "Connection: Keep-Alive\r\n", true },
		{ "HTTP/1.1", "1.1", "", true },
		{ "HTTP/1.1 close", "1.1", "Connection: close\r\n", false },
	};
	struct daemon *d = *state;
	struct wire_answer a;
	char request[512];

	wire_answer_init(&a);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		int fd = daemon_connect(d);

		(void)snprintf(request, sizeof(request),
		               "POST /prioritize HTTP/%s\r\nHost: t\r\n%sContent-Length: %zu\r\n"
		               "\r\n" ASK_A,
		               rows[i].version, rows[i].header, strlen(ASK_A));
		for (int k = 0; k < (rows[i].stays ? 3 : 1); k++) {
			assert_true(wire_send(fd, request, strlen(request)));
			if (!wire_receive(fd, false, &a))
				fail_msg("%s: closed without answer %d", rows[i].name, k);
			assert_int_equal(a.status, 200);
			assert_string_equal(a.body.data, SCORE_A);
		}
		if (!rows[i].stays && wire_receive(fd, false, &a))
			fail_msg("%s: stays open", rows[i].name);
		(void)close(fd);
	}
	wire_answer_fini(&a);
}

static void requests_in_one_packet_are_answered_in_order(void **state)
{
	struct daemon *d = *state;
	struct wire_answer a;
	struct km_buf sent;
	int fd = daemon_connect(d);

	wire_answer_init(&a);
	km_buf_init(&sent);
	for (int i = 0; i < 20; i++) {
		km_buf_printf(&sent,
		              "POST %s HTTP/1.1\r\nHost: t\r\nContent-Length: %zu\r\n\r\n" ASK_A,
		              i % 2 == 0 ? "/filter" : "/prioritize", strlen(ASK_A));
	}
	assert_true(wire_send(fd, sent.data, sent.len));
	for (int i = 0; i < 20; i++) {
		assert_true(wire_receive(fd, false, &a));
		assert_string_equal(a.body.data, i % 2 == 0 ? PASS_A : SCORE_A);
	}
	(void)close(fd);
	km_buf_fini(&sent);
	wire_answer_fini(&a);
}

static void a_client_that_waits_for_100_gets_it(void **state)
{
	static const char head[] = "POST /filter HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
				   "Content-Length: 43\r\n\r\n";
	static const char too_long[] =
		"POST /filter HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
		"Content-Length: 8388609\r\n\r\n";
	struct daemon *d = *state;
	struct wire_answer a;
	int fd = daemon_connect(d);

	_Static_assert(sizeof(ASK_A) - 1 == 43, "the length above");
	wire_answer_init(&a);
	assert_true(wire_send(fd, head, strlen(head)));
	assert_true(wire_receive(fd, true, &a));
	assert_int_equal(a.status, 100);
	assert_true(wire_send(fd, ASK_A, strlen(ASK_A)));
	assert_true(wire_receive(fd, false, &a));
	assert_string_equal(a.body.data, PASS_A);
	/* And is told at once that it need not send. */
	assert_true(wire_send(fd, too_long, strlen(too_long)));
	assert_true(wire_receive(fd, false, &a));
	assert_int_equal(a.status, 413);
	(void)close(fd);
	wire_answer_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_do_not_matter),
		cmocka_unit_test(only_post_is_allowed),
		cmocka_unit_test(other_paths_are_not_found),
		cmocka_unit_test(what_is_no_request_is_our_400),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(an_announced_length_over_the_limit_is_413),
		cmocka_unit_test(the_limit_itself_is_no_offence),
		cmocka_unit_test(a_body_in_chunks_over_the_limit_is_413),
		cmocka_unit_test(keep_alive_is_as_the_version_says),
		cmocka_unit_test(requests_in_one_packet_are_answered_in_order),
		cmocka_unit_test(a_client_that_waits_for_100_gets_it),
	};

	return cmocka_run_group_tests_name("extender over HTTP", tests, set_up, tear_down);
}

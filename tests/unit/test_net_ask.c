/* SPDX-License-Identifier: Apache-2.0 */
/* What km_client_ask sends, byte by byte, and what it makes of answers, silence and cut streams. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "km/base/clock.h"
#include "km/base/macros.h"
#include "km/net/client.h"

#include "support/raw_server.h"

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define STREAM   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static struct raw_server server;

struct asked {
	struct km_client *client;
	struct km_buf out;
	struct km_http_told told;
	struct km_err err;
	char url[64];
	int result;
};

static void begin(struct asked *a, const struct raw_turn *turn, size_t turns,
                  const struct km_client_options *options)
{
	*a = (struct asked){ .client = NULL };
	raw_server_start(&server, turn, turns);
	km_buf_init(&a->out);
	assert_int_equal(km_client_create(options, &a->client, &a->err), 0);
	(void)snprintf(a->url, sizeof(a->url), "http://127.0.0.1:%d/a", server.port);
}

static void end(struct asked *a)
{
	km_client_free(a->client);
	raw_server_stop(&server);
	km_buf_fini(&a->out);
}

static int ask(struct asked *a, struct km_http_ask question)
{
	question.url = a->url;
	return km_client_ask(a->client, &question, &a->out, &a->told, &a->err);
}

static void the_request_as_bytes(void **state)
{
	static const struct {
		struct km_http_ask ask;
		const char *want[4]; /* each is in the request */
		const char *none;    /* and this is not */
	} rows[] = {
		{ { .method = NULL }, { "GET /a HTTP/1.1\r\n", "Accept: */*\r\n" }, "Authoriz" },
		{ { .body = "x", .body_len = 1 },
		  { "POST /a HTTP/1.1\r\n", "Content-Type: application/json\r\n",
		    "Content-Length: 1\r\n", "\r\n\r\nx" },
		  "Expect" },
		{ { .method = "PATCH",
		    .content_type = "application/merge-patch+json",
		    .accept = "application/json",
		    .body = "{}",
		    .body_len = 2 },
		  { "PATCH /a HTTP/1.1\r\n", "Content-Type: application/merge-patch+json\r\n",
		    "Accept: application/json\r\n", "\r\n\r\n{}" },
		  "*/*" },
		{ { .method = "DELETE" }, { "DELETE /a HTTP/1.1\r\n" }, "Content-" },
		{ { .method = "HEAD" }, { "HEAD /a HTTP/1.1\r\n" }, "Content-" },
		{ { .method = "PUT", .body = "", .body_len = 0 },
		  { "PUT /a HTTP/1.1\r\n", "Content-Length: 0\r\n" },
		  "Expect" },
		{ { .method = "GET" }, { "GET /a HTTP/1.1\r\n" }, "If-None" },
		{ { .bearer = "abc.def", .if_none_match = "\"7\"", .gzip = true },
		  { "GET /a HTTP/1.1\r\n", "Authorization: Bearer abc.def\r\n",
		    "If-None-Match: \"7\"\r\n", "Accept-Encoding: gzip\r\n" },
		  "Content-" },
		{ { .method = NULL }, { "GET /a HTTP/1.1\r\n" }, "Accept-Encoding" },
	};
	struct raw_turn turns[KM_ARRAY_LEN(rows)];
	struct asked a;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++)
		turns[i] = (struct raw_turn){ .bytes = OK_EMPTY };
	begin(&a, turns, KM_ARRAY_LEN(turns), NULL);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		if (ask(&a, rows[i].ask) != 200)
			fail_msg("row %zu: %s", i, a.err.text);
	}
	end(&a);
	assert_int_equal(server.connections, 1);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		for (size_t k = 0; k < 4 && rows[i].want[k] != NULL; k++) {
			if (strstr(server.request[i], rows[i].want[k]) == NULL)
				fail_msg("row %zu: no \"%s\" in\n%s", i, rows[i].want[k],
				         server.request[i]);
		}
		if (strstr(server.request[i], rows[i].none) != NULL)
			fail_msg("row %zu: \"%s\" in\n%s", i, rows[i].none, server.request[i]);
	}
}

static void what_would_break_the_request_is_not_sent(void **state)
{
	static const struct {
		struct km_http_ask ask;
		const char *why;
	} rows[] = {
		{ { .method = "GET /b HTTP/1.1\r\nX" }, "method" },
		{ { .method = "" }, "method" },
		{ { .bearer = "abc\r\nX-Other: 1" }, "Authorization" },
		{ { .if_none_match = "\"1\"\n" }, "If-None-Match" },
		{ { .accept = "a\x01" }, "Accept" },
		{ { .content_type = "a\x7f" }, "Content-Type" },
	};
	struct asked a;

	(void)state;
	begin(&a, NULL, 0, NULL);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		int rc = ask(&a, rows[i].ask);

		if (rc != -EINVAL || strstr(a.err.text, rows[i].why) == NULL)
			fail_msg("row %zu: %d %s", i, rc, a.err.text);
	}
	end(&a);
	assert_int_equal(server.connections, 0);
}

static void what_the_answer_says_beside_its_body(void **state)
{
	static const struct {
		const char *bytes;
		int status;
		const char *etag;
		int64_t retry_after_s;
		const char *body;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 2\r\n\r\nhi", 200, "\"a\"", -1,
		  "hi" },
		{ "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", 304, "\"a\"", -1, "" },
		{ "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 3\r\n\r\nno!", 429, "", 7,
		  "no!" },
		{ "HTTP/1.1 503 No\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n", 503, "", 0,
		  "" },
		{ "HTTP/1.1 503 No\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		  "Content-Length: 0\r\n\r\n",
		  503, "", 0, "" },
		{ "HTTP/1.1 503 No\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n", 503, "", -1,
		  "" },
		{ "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 500, "", -1, "" },
		{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx",
		  201, "", -1, "x" },
		{ "HTTP/1.1 200 OK\r\nETag: \""
		  "0123456789012345678901234567890123456789012345678901234567890123456789"
		  "0123456789012345678901234567890123456789012345678901234567890123456789"
		  "\"\r\nContent-Length: 0\r\n\r\n",
		  200, "", -1, "" },
	};
	struct raw_turn turns[KM_ARRAY_LEN(rows)];
	struct asked a;

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++)
		turns[i] = (struct raw_turn){ .bytes = rows[i].bytes };
	begin(&a, turns, KM_ARRAY_LEN(turns), NULL);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		int rc;

		km_buf_clear(&a.out);
		rc = ask(&a, (struct km_http_ask){ .if_none_match = "\"a\"" });
		if (rc != rows[i].status || a.told.status != rows[i].status ||
		    a.told.retry_after_s != rows[i].retry_after_s)
			fail_msg("row %zu: %d, retry after %lld: %s", i, rc,
			         (long long)a.told.retry_after_s, a.err.text);
		assert_string_equal(a.told.etag, rows[i].etag);
		assert_string_equal(km_buf_cstr(&a.out), rows[i].body);
	}
	end(&a);
	assert_int_equal(server.connections, 1);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): zlib writes there */
static size_t gzipped(char *text, unsigned char *out, size_t out_size)
{
	z_stream z = { .next_in = (Bytef *)text,
		       .avail_in = (uInt)strlen(text),
		       .next_out = out,
		       .avail_out = (uInt)out_size };

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	(void)deflateEnd(&z);
	return z.total_out;
}

static void gzip_is_decoded_or_an_error(void **state)
{
	static char text[200001];
	static unsigned char packed[4096];
	static char answer[3][8192];
	const struct km_client_options o = { .max_body_bytes = 150000 };
	struct raw_turn turns[3];
	struct asked a;
	size_t len;

	(void)state;
	memset(text, 'z', 100000);
	for (size_t i = 0; i < 3; i++) {
		int head;

		if (i == 2)
			memset(text, 'z', 200000);
		len = gzipped(text, packed, sizeof(packed));
		if (i == 1)
			memset(packed + 20, 0x55, 40);
		head = snprintf(answer[i], sizeof(answer[i]),
		                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
		                "Content-Length: %zu\r\n\r\n",
		                len);
		memcpy(answer[i] + head, packed, len);
		turns[i] = (struct raw_turn){ .bytes = answer[i], .len = (size_t)head + len };
	}
	begin(&a, turns, 3, &o);
	assert_int_equal(ask(&a, (struct km_http_ask){ .gzip = true }), 200);
	assert_int_equal(a.out.len, 100000);
	assert_int_equal(a.out.data[99999], 'z');
	km_buf_clear(&a.out);
	assert_int_equal(ask(&a, (struct km_http_ask){ .gzip = true }), -EPROTO);
	km_buf_clear(&a.out);
	/* The bound is on what comes out, not on what was sent. */
	assert_int_equal(ask(&a, (struct km_http_ask){ .gzip = true }), -EFBIG);
	assert_true(a.out.len <= 150000);
	end(&a);
}

/* ---- streams -------------------------------------------------------------------------------- */

struct reader {
	char text[256];
	size_t len;
	const char *until; /* stops the client, or ends it, when it has read this */
	struct km_client *stop;
	int result;
};

static int read_some(void *ctx, const char *bytes, size_t len)
{
	struct reader *r = ctx;

	assert_true(r->len + len < sizeof(r->text));
	memcpy(r->text + r->len, bytes, len);
	r->len += len;
	r->text[r->len] = '\0';
	if (r->until == NULL || strstr(r->text, r->until) == NULL)
		return 0;
	if (r->stop != NULL)
		km_client_stop(r->stop);
	return r->result;
}

static void a_stream_is_handed_on_as_it_comes(void **state)
{
	const struct km_client_options small = { .max_body_bytes = 8 };
	static const struct {
		struct raw_turn turn;
		struct km_http_ask ask;
		const char *until;
		int result;
		int want;
		const char *text;
		const char *out;
		const char *why;
	} rows[] = {
		{ { STREAM "5\r\nabcde\r\n6\r\nfghijk\r\n0\r\n\r\n", 0, RAW_CLOSE },
		  { .timeout_ns = INT64_MAX },
		  NULL,
		  0,
		  200,
		  "abcdefghijk",
		  "",
		  "whole, over the bound" },
		{ { STREAM "5\r\nabcde\r\n", 0, RAW_CLOSE },
		  { .timeout_ns = INT64_MAX },
		  NULL,
		  0,
		  -EPROTO,
		  "abcde",
		  "",
		  "cut between chunks" },
		{ { STREAM "5\r\nabc", 0, RAW_CLOSE },
		  { .timeout_ns = INT64_MAX },
		  NULL,
		  0,
		  -EPROTO,
		  "abc",
		  "",
		  "cut in a chunk" },
		{ { STREAM "5\r\nabcde\r\n", 0, RAW_RESET },
		  { .timeout_ns = INT64_MAX },
		  NULL,
		  0,
		  -EPROTO,
		  NULL, /* the reset may overtake the bytes */
		  "",
		  "reset" },
		{ { STREAM "5\r\nabcde\r\n", 0, RAW_HOLD },
		  { .timeout_ns = INT64_MAX, .silence_ns = 50 * KM_NS_PER_MS },
		  NULL,
		  0,
		  -ETIMEDOUT,
		  "abcde",
		  "",
		  "silent" },
		{ { "HTTP/1.1 200 OK\r\nX-Not-Yet: all\r\n", 0, RAW_HOLD },
		  { .timeout_ns = INT64_MAX, .head_ns = 50 * KM_NS_PER_MS },
		  NULL,
		  0,
		  -ETIMEDOUT,
		  "",
		  "",
		  "no whole head" },
		{ { STREAM "5\r\nabcde\r\n", 0, RAW_HOLD },
		  { .timeout_ns = INT64_MAX,
		    .head_ns = KM_NS_PER_S,
		    .silence_ns = 1500 * KM_NS_PER_MS },
		  NULL,
		  0,
		  -ETIMEDOUT,
		  "abcde",
		  "",
		  "a head in time" },
		{ { STREAM "5\r\nabcde\r\n", 0, RAW_HOLD },
		  { .timeout_ns = 50 * KM_NS_PER_MS },
		  NULL,
		  0,
		  -ETIMEDOUT,
		  "abcde",
		  "",
		  "over its time" },
		{ { STREAM "5\r\nabcde\r\n", 0, RAW_HOLD },
		  { .timeout_ns = INT64_MAX },
		  "cde",
		  -EBADMSG,
		  -EBADMSG,
		  "abcde",
		  "",
		  "ended by its reader" },
		{ { "HTTP/1.1 410 Gone\r\nContent-Length: 4\r\n\r\ngone", 0, RAW_CLOSE },
		  { .timeout_ns = INT64_MAX },
		  NULL,
		  0,
		  410,
		  "",
		  "gone",
		  "another status goes into out" },
		{ { "HTTP/1.1 410 Gone\r\nContent-Length: 9\r\n\r\nmuch gone", 0, RAW_CLOSE },
		  { .timeout_ns = INT64_MAX },
		  NULL,
		  0,
		  -EFBIG,
		  "",
		  "",
		  "another status is bounded" },
	};
	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct reader r = { .until = rows[i].until, .result = rows[i].result };
		struct km_http_ask question = rows[i].ask;
		struct asked a;
		int rc;

		begin(&a, &rows[i].turn, 1, &small);
		question.on_data = read_some;
		question.ctx = &r;
		rc = ask(&a, question);
		if (rc != rows[i].want)
			fail_msg("%s: %d %s, want %d", rows[i].why, rc, a.err.text, rows[i].want);
		if (rows[i].text != NULL && strcmp(r.text, rows[i].text) != 0)
			fail_msg("%s: read \"%s\"", rows[i].why, r.text);
		assert_string_equal(km_buf_cstr(&a.out), rows[i].out);
		end(&a);
	}
}

/* ---- stopping ------------------------------------------------------------------------------- */

static void stopped_it_ends_at_once_until_resumed(void **state)
{
	static const struct raw_turn turns[] = {
		{ STREAM "3\r\nabc\r\n", 0, RAW_HOLD },
		{ OK_EMPTY, 0, RAW_KEEP },
	};
	struct reader r = { .until = "abc" };
	struct asked a;

	(void)state;
	begin(&a, turns, 2, NULL);
	r.stop = a.client;
	assert_int_equal(ask(&a, (struct km_http_ask){ .timeout_ns = INT64_MAX,
	                                               .on_data = read_some,
	                                               .ctx = &r }),
	                 -ECANCELED);
	assert_int_equal(a.told.status, 200);
	assert_int_equal(ask(&a, (struct km_http_ask){ .method = "GET" }), -ECANCELED);
	km_client_resume(a.client);
	assert_int_equal(ask(&a, (struct km_http_ask){ .method = "GET" }), 200);
	end(&a);
	assert_int_equal(server.requests, 2);
}

static void *ask_for_ever(void *arg)
{
	struct asked *a = arg;

	a->result = ask(a, (struct km_http_ask){ .timeout_ns = INT64_MAX });
	return NULL;
}

static void another_thread_stops_a_silent_one(void **state)
{
	static const struct raw_turn turn = { STREAM, 0, RAW_HOLD };
	pthread_t thread;
	struct asked a;

	(void)state;
	begin(&a, &turn, 1, NULL);
	assert_int_equal(pthread_create(&thread, NULL, ask_for_ever, &a), 0);
	/* Before, in or after its wait: it ends in each case. */
	km_client_stop(a.client);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(a.result, -ECANCELED);
	end(&a);
}

static void a_connection_closed_meanwhile_is_made_anew(void **state)
{
	static const struct raw_turn turns[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", 0, RAW_CLOSE },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2", 0, RAW_KEEP },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n3", 0, RAW_KEEP },
	};
	struct asked a;

	(void)state;
	begin(&a, turns, 3, NULL);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(ask(&a, (struct km_http_ask){ .method = "GET" }), 200);
	assert_string_equal(km_buf_cstr(&a.out), "123");
	end(&a);
	assert_int_equal(server.connections, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_request_as_bytes),
		cmocka_unit_test(what_would_break_the_request_is_not_sent),
		cmocka_unit_test(what_the_answer_says_beside_its_body),
		cmocka_unit_test(gzip_is_decoded_or_an_error),
		cmocka_unit_test(a_stream_is_handed_on_as_it_comes),
		cmocka_unit_test(stopped_it_ends_at_once_until_resumed),
		cmocka_unit_test(another_thread_stops_a_silent_one),
		cmocka_unit_test(a_connection_closed_meanwhile_is_made_anew),
	};

	return cmocka_run_group_tests_name("HTTP client's requests", tests, NULL, NULL);
}

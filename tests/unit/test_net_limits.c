/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server against clients that want too much: size, time, connections; and its end. */
#include <errno.h>
#include <poll.h>
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

#include "support/http_server.h"

static const char quick[] = "GET /a HTTP/1.1\r\nHost: t\r\n\r\n";
static const char held[] = "GET /hold HTTP/1.1\r\nHost: t\r\n\r\n";

/* Far over any deadline here, far below the patience of the tests. */
#define LONG_MS 10000

static bool ask(int fd, const char *request, struct wire_answer *a)
{
	return wire_send(fd, request, strlen(request)) && wire_receive(fd, false, a);
}

static void bodies_over_the_limit_are_413(void **state)
{
	static const struct {
		const char *head;
		size_t sent;
		int status;
		const char *why;
	} rows[] = {
		{ "Content-Length: 1000\r\n\r\n", 1000, 200, "the limit itself" },
		{ "Content-Length: 1001\r\n\r\n", 0, 413, "announced, nothing sent" },
		{ "Content-Length: 99999999999999999999\r\n\r\n", 0, 413, "over 64 bits" },
		{ "Transfer-Encoding: chunked\r\n\r\n3e8\r\n", 1000, 200, "a chunk at the limit" },
		{ "Transfer-Encoding: chunked\r\n\r\n3e9\r\n", 1001, 413, "a chunk over it" },
		{ "Transfer-Encoding: chunked\r\n\r\n7d0\r\n", 2000, 413, "at twice the limit" },
	};
	struct km_server_options o = http_server_options();
	struct http_server s;
	struct wire_answer a;
	char bytes[2000];

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	wire_answer_init(&a);
	o.body_bytes = 1000;
	http_server_start(&s, &o);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		static const char request[] = "POST /a HTTP/1.1\r\nHost: t\r\n";
		int fd = daemon_connect(&s.at);

		assert_true(wire_send(fd, request, strlen(request)));
		assert_true(wire_send(fd, rows[i].head, strlen(rows[i].head)));
		assert_true(wire_send(fd, bytes, rows[i].sent));
		if (strstr(rows[i].head, "chunked") != NULL)
			assert_true(wire_send(fd, "\r\n0\r\n\r\n", 7));
		if (!wire_receive(fd, false, &a) || a.status != rows[i].status)
			fail_msg("%s: status %d, want %d", rows[i].why, a.status, rows[i].status);
		(void)close(fd);
	}
	wire_answer_fini(&a);
	http_server_stop(&s);
}

/* A refused body is read on for its answer's sake, but not for ever. */
static void endless_bodies_are_cut(void **state)
{
	static const char head[] = "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n"
				   "\r\nfffffff\r\n";
	struct km_server_options o = http_server_options();
	struct http_server s;
	char bytes[4096];
	size_t sent = 0;
	int fd;

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	o.body_bytes = 1000;
	http_server_start(&s, &o);
	fd = daemon_connect(&s.at);
	assert_true(wire_send(fd, head, strlen(head)));
	while (sent < (64u << 20) && wire_send(fd, bytes, sizeof(bytes)))
		sent += sizeof(bytes);
	assert_true(sent < (64u << 20));
	(void)close(fd);
	http_server_stop(&s);
}

static void all_bodies_together_are_bounded(void **state)
{
	/* 16 times 900 of 1000 bytes, none of them complete: eight limits' worth is taken. */
	static const char head[] = "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n";
	struct km_server_options o = http_server_options();
	struct http_server s;
	struct wire_answer a;
	char bytes[1000];
	int full = 0;
	int fd[16];

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	wire_answer_init(&a);
	o.body_bytes = 1000;
	http_server_start(&s, &o);
	for (size_t i = 0; i < KM_ARRAY_LEN(fd); i++) {
		fd[i] = daemon_connect(&s.at);
		assert_true(wire_send(fd[i], head, strlen(head)));
		assert_true(wire_send(fd[i], bytes, 900));
	}
	assert_true(http_server_wait_metric(
		&s, "kubemarla_http_received_bytes_total{listener=\"test\"} 14400\n"));
	for (size_t i = 0; i < KM_ARRAY_LEN(fd); i++) {
		assert_true(wire_send(fd[i], bytes, 100));
		assert_true(wire_receive(fd[i], false, &a));
		assert_true(a.status == 200 || a.status == 503);
		full += a.status == 503;
		(void)close(fd[i]);
	}
	assert_in_range(full, 1, 15);
	/* And once they are gone there is room again. */
	assert_true(
		http_server_wait_metric(&s, "kubemarla_http_connections{listener=\"test\"} 0\n"));
	wire_call(&s.at, "POST", "/a", "", bytes, 1000, &a);
	assert_int_equal(a.status, 200);
	wire_answer_fini(&a);
	http_server_stop(&s);
}

static void limits_change_while_serving(void **state)
{
	struct km_server_options o = http_server_options();
	struct http_server s;
	struct wire_answer a;
	int fd;

	(void)state;
	wire_answer_init(&a);
	o.request_deadline_ns = 3600 * KM_NS_PER_S;
	http_server_start(&s, &o);
	fd = daemon_connect(&s.at);
	assert_true(wire_send(fd, quick, 10));
	km_server_set_limits(s.server, 10, 100 * KM_NS_PER_MS);
	assert_in_range(http_closed_after_ms(fd, LONG_MS), 0, LONG_MS);
	(void)close(fd);
	wire_call(&s.at, "POST", "/a", "", "12345678901", 11, &a);
	assert_int_equal(a.status, 413);
	wire_answer_fini(&a);
	http_server_stop(&s);
}

static void connections_over_the_cap_are_refused(void **state)
{
	struct km_server_options o = http_server_options();
	struct http_server s;
	struct wire_answer a;
	int fd[4];

	(void)state;
	wire_answer_init(&a);
	o.connections = 4;
	http_server_start(&s, &o);
	for (size_t i = 0; i < KM_ARRAY_LEN(fd); i++) {
		fd[i] = daemon_connect(&s.at);
		assert_true(ask(fd[i], quick, &a));
	}
	assert_int_equal(km_server_connections(s.server), 4);
	for (int i = 0; i < 20; i++) {
		int more = daemon_connect(&s.at);

		/* Refused by a reset, which the connecting side may see at once. */
		if (more >= 0)
			assert_int_not_equal(http_closed_after_ms(more, LONG_MS), -1);
		if (more >= 0)
			(void)close(more);
	}
	assert_int_equal(km_server_connections(s.server), 4);
	for (size_t i = 0; i < KM_ARRAY_LEN(fd); i++)
		assert_true(ask(fd[i], quick, &a));
	assert_true(http_server_wait_metric(
		&s, "kubemarla_http_refused_total{listener=\"test\",reason=\"connections\"} 20\n"));
	(void)close(fd[0]);
	assert_true(
		http_server_wait_metric(&s, "kubemarla_http_connections{listener=\"test\"} 3\n"));
	fd[0] = daemon_connect(&s.at);
	assert_true(ask(fd[0], quick, &a));
	for (size_t i = 0; i < KM_ARRAY_LEN(fd); i++)
		(void)close(fd[i]);
	wire_answer_fini(&a);
	http_server_stop(&s);
}

/* Sends `opening`, then `drip` every 20 ms, until the server closes. returns when it did. */
static int64_t drip(const struct http_server *s, const char *opening, const char *drip)
{
	int64_t start_ms = http_now_ms();
	int fd = daemon_connect(&s->at);

	assert_true(wire_send(fd, opening, strlen(opening)));
	while (http_closed_after_ms(fd, 20) < 0 && http_now_ms() - start_ms < LONG_MS &&
	       (drip[0] == '\0' || wire_send(fd, drip, strlen(drip))))
		;
	(void)close(fd);
	return http_now_ms() - start_ms;
}

static void requests_end_at_their_deadline(void **state)
{
	static const struct {
		const char *opening, *drip, *why;
	} rows[] = {
		{ "", "", "not one byte" },
		{ "G", "", "one byte" },
		{ "GET /a HTTP/1.1\r\nX: ", "x", "dripped headers" },
		{ "", "\r\n", "dripped blank lines" },
		{ "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 9999\r\n\r\n", "x",
		  "a dripped body" },
		{ "POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n",
		  "dripped chunks" },
		{ "GET /a HTTP/1.1\r\nHost: t\r\n\r\nGET /a HTTP/1.1\r\nX: ", "x",
		  "dripped headers behind another request" },
	};
	struct km_server_options o = http_server_options();
	struct http_server s;

	(void)state;
	o.request_deadline_ns = 300 * KM_NS_PER_MS;
	http_server_start(&s, &o);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		int64_t ms = drip(&s, rows[i].opening, rows[i].drip);

		if (ms < 280 || ms > 3000)
			fail_msg("%s: closed after %lld ms, want 300", rows[i].why, (long long)ms);
	}
	assert_true(http_server_wait_metric(
		&s, "kubemarla_http_deadline_closed_total{listener=\"test\"} 7\n"));
	http_server_stop(&s);
}

/* The client asks for more than the socket's buffers hold, and does not read it. */
static void answers_nobody_reads_end_at_the_deadline(void **state)
{
	static const char big[] = "GET /big?n=60000000 HTTP/1.1\r\nHost: t\r\n\r\n";
	struct km_server_options o = http_server_options();
	struct http_server s;
	int fd;

	(void)state;
	o.request_deadline_ns = 500 * KM_NS_PER_MS;
	http_server_start(&s, &o);
	fd = daemon_connect(&s.at);
	assert_true(wire_send(fd, big, strlen(big)));
	assert_true(http_server_wait_metric(
		&s, "kubemarla_http_deadline_closed_total{listener=\"test\"} 1\n"));
	assert_true(
		http_server_wait_metric(&s, "kubemarla_http_connections{listener=\"test\"} 0\n"));
	(void)close(fd);
	http_server_stop(&s);
}

/* kube-scheduler's connections rest between two pods for far longer than one request may take. */
static void idle_connections_outlive_the_deadline(void **state)
{
	struct km_server_options o = http_server_options();
	struct http_server s;
	struct wire_answer a;
	int fd;

	(void)state;
	wire_answer_init(&a);
	o.request_deadline_ns = 50 * KM_NS_PER_MS;
	http_server_start(&s, &o);
	fd = daemon_connect(&s.at);
	for (int i = 0; i < 3; i++) {
		assert_true(ask(fd, quick, &a));
		assert_int_equal(http_closed_after_ms(fd, 200), -1);
	}
	(void)close(fd);
	wire_answer_fini(&a);
	http_server_stop(&s);
}

static void idle_connections_end_at_the_idle_time(void **state)
{
	struct km_server_options o = http_server_options();
	struct http_server s;
	struct wire_answer a;
	int fd;

	(void)state;
	wire_answer_init(&a);
	o.idle_ns = KM_NS_PER_S;
	http_server_start(&s, &o);
	fd = daemon_connect(&s.at);
	assert_true(ask(fd, quick, &a));
	assert_in_range(http_closed_after_ms(fd, LONG_MS), 800, LONG_MS);
	(void)close(fd);
	wire_answer_fini(&a);
	http_server_stop(&s);
}

/* The end comes together with the bytes before it, long before deadline and idle time. */
static void clients_that_send_no_more_are_let_go(void **state)
{
	static const struct {
		const char *sent, *why;
		bool answered;
	} rows[] = {
		{ "", "nothing", false },
		{ "\x16\x03\x01", "no line", false },
		{ "GET /a HTTP/1.1\r\nHost", "half of the headers", false },
		{ "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nx", "half a body",
		  false },
		{ quick, "a request", true },
		{ held, "a request that takes its time", true },
	};
	struct km_server_options o = http_server_options();
	struct http_server s;
	struct wire_answer a;

	(void)state;
	wire_answer_init(&a);
	o.request_deadline_ns = 3600 * KM_NS_PER_S;
	o.idle_ns = 3600 * KM_NS_PER_S;
	http_server_start(&s, &o);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		int fd = daemon_connect(&s.at);

		assert_true(wire_send(fd, rows[i].sent, strlen(rows[i].sent)));
		assert_int_equal(shutdown(fd, SHUT_WR), 0);
		if (rows[i].sent == held) {
			assert_true(http_server_wait_held(1));
			/* Several looks, and it is still there. */
			assert_int_equal(http_closed_after_ms(fd, 600), -1);
			http_server_release();
		}
		if (rows[i].answered && !wire_receive(fd, false, &a))
			fail_msg("%s: no answer", rows[i].why);
		if (http_closed_after_ms(fd, LONG_MS) == -1)
			fail_msg("%s: still open", rows[i].why);
		(void)close(fd);
	}
	wire_answer_fini(&a);
	http_server_stop(&s);
}

static void busy_connections_are_not_taken_for_slow_ones(void **state)
{
	struct km_server_options o = http_server_options();
	int64_t until_ms = http_now_ms() + 2000;
	struct http_server s;
	struct wire_answer a;
	int fd;

	(void)state;
	wire_answer_init(&a);
	o.request_deadline_ns = 500 * KM_NS_PER_MS;
	http_server_start(&s, &o);
	fd = daemon_connect(&s.at);
	while (http_now_ms() < until_ms)
		assert_true(ask(fd, quick, &a));
	(void)close(fd);
	assert_true(http_server_wait_metric(
		&s, "kubemarla_http_deadline_closed_total{listener=\"test\"} 0\n"));
	wire_answer_fini(&a);
	http_server_stop(&s);
}

static void quiesced_servers_finish_what_they_have(void **state)
{
	struct km_server_options o = http_server_options();
	struct http_server s;
	struct wire_answer a;
	int fd;

	(void)state;
	wire_answer_init(&a);
	http_server_start(&s, &o);
	fd = daemon_connect(&s.at);
	assert_true(wire_send(fd, held, strlen(held)));
	assert_true(http_server_wait_held(1));
	km_server_quiesce(s.server);
	km_server_quiesce(s.server); /* once more is nothing */
	assert_true(daemon_connect(&s.at) < 0);
	http_server_release();
	assert_true(wire_receive(fd, false, &a));
	assert_int_equal(a.status, 200);
	assert_non_null(strcasestr(a.head.data, "\r\nConnection: close\r\n"));
	(void)close(fd);
	wire_answer_fini(&a);
	http_server_stop(&s);
}

static void what_does_not_drain_is_cut_and_counted(void **state)
{
	static const char half[] = "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nx";
	struct km_server_options o = http_server_options();
	struct http_server s;
	int64_t start_ms;
	uint32_t cut;
	int fd;

	(void)state;
	http_server_start(&s, &o);
	fd = daemon_connect(&s.at);
	assert_true(wire_send(fd, half, strlen(half)));
	assert_true(http_server_wait_metric(
		&s, "kubemarla_http_requests_total{listener=\"test\"} 1\n"));
	start_ms = http_now_ms();
	cut = km_server_free(s.server, 100 * KM_NS_PER_MS);
	assert_int_equal(cut, 1);
	assert_in_range(http_now_ms() - start_ms, 95, LONG_MS);
	assert_in_range(http_closed_after_ms(fd, LONG_MS), 0, LONG_MS);
	(void)close(fd);
	km_metrics_free(s.metrics);
}

static void starting_says_what_is_wrong(void **state)
{
	struct km_server_options o = http_server_options();
	struct km_server *second = (struct km_server *)&o;
	struct http_server s;
	struct km_err err;

	(void)state;
	http_server_start(&s, &o);
	o.port = km_server_port(s.server);
	assert_int_equal(km_server_start(&o, &second, &err), -EADDRINUSE);
	assert_null(second);
	assert_non_null(strstr(err.text, "listen on 127.0.0.1 port "));
	o.port = 0;
	o.address = "localhost";
	assert_int_equal(km_server_start(&o, &second, &err), -EINVAL);
	assert_non_null(strstr(err.text, "\"localhost\""));
	o.address = "192.0.2.1";
	assert_int_equal(km_server_start(&o, &second, &err), -EADDRNOTAVAIL);
	o.address = "127.0.0.1";
	o.connections = 0;
	assert_int_equal(km_server_start(&o, &second, &err), -EINVAL);
	assert_int_equal(km_server_free(NULL, 0), 0);
	http_server_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies_over_the_limit_are_413),
		cmocka_unit_test(endless_bodies_are_cut),
		cmocka_unit_test(all_bodies_together_are_bounded),
		cmocka_unit_test(limits_change_while_serving),
		cmocka_unit_test(connections_over_the_cap_are_refused),
		cmocka_unit_test(requests_end_at_their_deadline),
		cmocka_unit_test(answers_nobody_reads_end_at_the_deadline),
		cmocka_unit_test(idle_connections_outlive_the_deadline),
		cmocka_unit_test(idle_connections_end_at_the_idle_time),
		cmocka_unit_test(clients_that_send_no_more_are_let_go),
		cmocka_unit_test(busy_connections_are_not_taken_for_slow_ones),
		cmocka_unit_test(quiesced_servers_finish_what_they_have),
		cmocka_unit_test(what_does_not_drain_is_cut_and_counted),
		cmocka_unit_test(starting_says_what_is_wrong),
	};

	return cmocka_run_group_tests_name("HTTP server's limits", tests, NULL, NULL);
}

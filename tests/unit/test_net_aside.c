/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server: requests that are served aside, and those beside them. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/macros.h"

#include "support/http_server.h"

static const char quick[] = "GET /a HTTP/1.1\r\nHost: t\r\n\r\n";
static const char held[] = "GET /hold HTTP/1.1\r\nHost: t\r\nX-Aside: 1\r\n\r\n";

static bool is_aside(void *ctx, const struct km_http_request *req)
{
	(void)ctx;
	return km_http_header(req, "X-Aside") != NULL;
}

/* One thread, so that whoever holds it up is noticed. */
static void start(struct http_server *s)
{
	struct km_server_options o = http_server_options();

	o.threads = 1;
	o.aside = is_aside;
	http_server_start(s, &o);
}

static bool ask(int fd, const char *request, struct wire_answer *a)
{
	return wire_send(fd, request, strlen(request)) && wire_receive(fd, false, a);
}

static void answers_are_those_of_any_request(void **state)
{
	static const struct {
		const char *request, *want;
		bool no_body;
	} rows[] = {
		{ "GET /a?q=x%20y HTTP/1.1\r\nHost: t\r\nX-Aside: 1\r\nX-Test: v\r\n\r\n",
		  "GET /a 0 811c9dc5 query=x y header=v", false },
		{ "POST /a HTTP/1.1\r\nHost: t\r\nX-Aside: 1\r\nContent-Length: 3\r\n\r\nabc",
		  "POST /a 3 1a47e90b query=- header=-", false },
		{ "HEAD /a HTTP/1.1\r\nHost: t\r\nX-Aside: 1\r\n\r\n", "", true },
		{ "GET /big?n=500000 HTTP/1.1\r\nHost: t\r\nX-Aside: 1\r\n\r\n", NULL, false },
		{ quick, "GET /a 0 811c9dc5 query=- header=-", false },
	};
	struct http_server s;
	struct wire_answer a;
	int fd;

	(void)state;
	wire_answer_init(&a);
	start(&s);
	fd = daemon_connect(&s.at);
	/* One connection, twice: a recycled request knows nothing of the one before. */
	for (size_t i = 0; i < 2 * KM_ARRAY_LEN(rows); i++) {
		const char *want = rows[i % KM_ARRAY_LEN(rows)].want;
		const char *request = rows[i % KM_ARRAY_LEN(rows)].request;

		assert_true(wire_send(fd, request, strlen(request)));
		assert_true(wire_receive(fd, rows[i % KM_ARRAY_LEN(rows)].no_body, &a));
		assert_int_equal(a.status, 200);
		if (want != NULL)
			assert_string_equal(a.body.data, want);
		else
			assert_int_equal(a.body.len, 500000);
	}
	assert_true(ask(fd, "GET /fail HTTP/1.1\r\nHost: t\r\nX-Aside: 1\r\n\r\n", &a));
	assert_int_equal(a.status, 503);
	(void)close(fd);
	wire_answer_fini(&a);
	http_server_stop(&s);
}

static void nobody_waits_for_what_is_served_aside(void **state)
{
	struct http_server s;
	struct wire_answer a;
	int slow;
	int fd;

	(void)state;
	wire_answer_init(&a);
	start(&s);
	slow = daemon_connect(&s.at);
	fd = daemon_connect(&s.at);
	assert_true(wire_send(slow, held, strlen(held)));
	assert_true(http_server_wait_held(1));
	for (int i = 0; i < 100; i++)
		assert_true(ask(fd, quick, &a) && a.status == 200);
	assert_int_equal(http_server_held(), 1);
	http_server_release();
	assert_true(wire_receive(slow, false, &a));
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body.data, "GET /hold 0 811c9dc5 query=- header=-");
	(void)close(slow);
	(void)close(fd);
	wire_answer_fini(&a);
	http_server_stop(&s);
}

static void one_at_a_time_and_no_more_than_fit(void **state)
{
	struct http_server s;
	struct wire_answer a;
	int fd[KM_HTTP_ASIDE_MAX + 1];

	(void)state;
	wire_answer_init(&a);
	start(&s);
	for (size_t i = 0; i <= KM_HTTP_ASIDE_MAX; i++)
		fd[i] = daemon_connect(&s.at);
	for (size_t i = 0; i < KM_HTTP_ASIDE_MAX; i++) {
		char line[64];

		assert_true(wire_send(fd[i], held, strlen(held)));
		(void)snprintf(line, sizeof(line),
		               "kubemarla_http_requests_total{listener=\"test\"} %zu\n", i + 1);
		assert_true(http_server_wait_metric(&s, line));
	}
	assert_true(http_server_wait_held(1));
	assert_true(ask(fd[KM_HTTP_ASIDE_MAX], held, &a));
	assert_int_equal(a.status, 503);
	assert_string_equal(a.body.data, "503 too many requests that take long; try again");
	assert_true(http_server_wait_metric(
		&s, "kubemarla_http_refused_total{listener=\"test\",reason=\"aside\"} 1\n"));
	for (size_t i = 0; i < KM_HTTP_ASIDE_MAX; i++) {
		assert_true(http_server_wait_held(1));
		http_server_release();
		assert_true(wire_receive(fd[i], false, &a));
		assert_int_equal(a.status, 200);
	}
	for (size_t i = 0; i <= KM_HTTP_ASIDE_MAX; i++)
		(void)close(fd[i]);
	wire_answer_fini(&a);
	http_server_stop(&s);
}

/* The client is gone when its answer is ready. */
static void clients_that_left_are_no_trouble(void **state)
{
	struct http_server s;
	struct wire_answer a;
	int fd;

	(void)state;
	wire_answer_init(&a);
	start(&s);
	fd = daemon_connect(&s.at);
	assert_true(wire_send(fd, held, strlen(held)));
	assert_true(http_server_wait_held(1));
	(void)close(fd);
	http_server_release();
	assert_true(
		http_server_wait_metric(&s, "kubemarla_http_connections{listener=\"test\"} 0\n"));
	fd = daemon_connect(&s.at);
	assert_true(ask(fd, quick, &a));
	(void)close(fd);
	wire_answer_fini(&a);
	http_server_stop(&s);
}

struct ending {
	struct km_server *server;
	atomic_bool over;
};

static void *end_server(void *arg)
{
	struct ending *e = arg;

	(void)km_server_free(e->server, KM_NS_PER_MS);
	atomic_store(&e->over, true);
	return NULL;
}

/* One is being served, three wait: all connections end, and so does the server. */
static void a_server_ends_with_requests_aside(void **state)
{
	int64_t until_ms = http_now_ms() + WIRE_PATIENCE_MS;
	struct http_server s;
	struct ending e = { .server = NULL };
	pthread_t thread;
	int fd[4];

	(void)state;
	start(&s);
	for (size_t i = 0; i < KM_ARRAY_LEN(fd); i++) {
		fd[i] = daemon_connect(&s.at);
		assert_true(wire_send(fd[i], held, strlen(held)));
	}
	assert_true(http_server_wait_metric(
		&s, "kubemarla_http_requests_total{listener=\"test\"} 4\n"));
	assert_true(http_server_wait_held(1));
	e.server = s.server;
	assert_int_equal(pthread_create(&thread, NULL, end_server, &e), 0);
	while (!atomic_load(&e.over) && http_now_ms() < until_ms) {
		http_server_release();
		(void)poll(NULL, 0, 1);
	}
	assert_true(atomic_load(&e.over));
	assert_int_equal(pthread_join(thread, NULL), 0);
	for (size_t i = 0; i < KM_ARRAY_LEN(fd); i++) {
		assert_true(http_closed_after_ms(fd[i], WIRE_PATIENCE_MS) >= 0);
		(void)close(fd[i]);
	}
	km_metrics_free(s.metrics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_those_of_any_request),
		cmocka_unit_test(nobody_waits_for_what_is_served_aside),
		cmocka_unit_test(one_at_a_time_and_no_more_than_fit),
		cmocka_unit_test(clients_that_left_are_no_trouble),
		cmocka_unit_test(a_server_ends_with_requests_aside),
	};

	return cmocka_run_group_tests_name("HTTP server, aside", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that are refused while they are still sending: they see why, and cost little. */
#include <ctype.h>
#include <dirent.h>
#include <poll.h>
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

#include "net/net_internal.h"
#include "support/http_server.h"

#define BODY_LIMIT 1000000
#define LONG_MS    10000

static const char announced[] = "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 4000000\r\n\r\n";
static struct http_server world;

static int set_up(void **state)
{
	struct km_server_options o = http_server_options();

	(void)state;
	o.body_bytes = BODY_LIMIT;
	o.connections = 256;
	http_server_start(&world, &o);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	http_server_stop(&world);
	return 0;
}

static int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		count += isdigit((unsigned char)e->d_name[0]) != 0;
	(void)closedir(dir);
	return count;
}

/*
 * Until the server, too, has closed what was open: a body fits into the sockets' buffers, so that
 * on a busy machine more than are kept could be on their way to the thread that reads them.
 */
static void wait_for_files(int count)
{
	int64_t until_ms = http_now_ms() + LONG_MS;

	while (open_files() > count && http_now_ms() < until_ms)
		(void)poll(NULL, 0, 1);
	assert_int_equal(open_files(), count);
}

/* Closed at once, the connection would be reset under most of these. */
static void who_is_still_sending_sees_the_413(void **state)
{
	/* Fewer than linger at a time: on a busy machine all of these may, until they are looked
	 * at. */
	enum { TIMES = NET_LINGER_MAX - 2, BODY = 4000000 };
	char *body = calloc(1, BODY);
	struct wire_answer a;
	int files = open_files();

	(void)state;
	assert_non_null(body);
	wire_answer_init(&a);
	for (int i = 0; i < TIMES; i++) {
		int fd = daemon_connect(&world.at);

		assert_true(wire_send(fd, announced, strlen(announced)));
		assert_true(wire_send(fd, body, BODY));
		assert_true(wire_receive(fd, false, &a));
		assert_int_equal(a.status, 413);
		assert_non_null(strcasestr(a.head.data, "\r\nConnection: close\r\n"));
		(void)close(fd);
		wait_for_files(files);
	}
	wire_answer_fini(&a);
	free(body);
}

static void what_is_read_for_that_is_bounded(void **state)
{
	static const char endless[] = "POST /a HTTP/1.1\r\nHost: t\r\n"
				      "Content-Length: 99999999999\r\n\r\n";
	static char bytes[65536];
	size_t sent = 0;
	int fd = daemon_connect(&world.at);

	(void)state;
	assert_true(wire_send(fd, endless, strlen(endless)));
	while (sent < 256u * BODY_LIMIT && wire_send(fd, bytes, sizeof(bytes)))
		sent += sizeof(bytes);
	/* Eight limits' worth, and what the socket's buffers hold. */
	assert_in_range(sent, 1, 64u * BODY_LIMIT);
	(void)close(fd);
}

/* A drop every now and then does not keep it. */
static void it_does_not_last(void **state)
{
	int fd = daemon_connect(&world.at);
	int64_t until_ms = http_now_ms() + LONG_MS;

	(void)state;
	assert_true(wire_send(fd, announced, strlen(announced)));
	while (wire_send(fd, "x", 1) && http_now_ms() < until_ms)
		(void)http_closed_after_ms(fd, 20);
	assert_true(http_now_ms() < until_ms);
	(void)close(fd);
}

static void they_are_few_at_a_time(void **state)
{
	enum { MANY = 200, LINGERING = 32 };
	static int fd[MANY];
	struct wire_answer a;
	int before = open_files();

	(void)state;
	wire_answer_init(&a);
	for (int i = 0; i < MANY; i++) {
		fd[i] = daemon_connect(&world.at);
		assert_true(wire_send(fd[i], announced, strlen(announced)));
	}
	for (int i = 0; i < MANY; i++) {
		assert_true(wire_receive(fd[i], false, &a));
		assert_int_equal(a.status, 413);
	}
	assert_true(http_server_wait_metric(&world,
	                                    "kubemarla_http_connections{listener=\"test\"} 0\n"));
	assert_in_range(open_files() - before - MANY, 0, LINGERING);
	for (int i = 0; i < MANY; i++)
		(void)close(fd[i]);
	wire_call(&world.at, "POST", "/a", "", "abc", 3, &a);
	assert_int_equal(a.status, 200);
	wire_answer_fini(&a);
}

/* And a server that stops does not wait for them. */
static void stopping_ends_them(void **state)
{
	struct wire_answer a;
	int fd = daemon_connect(&world.at);

	wire_answer_init(&a);
	assert_true(wire_send(fd, announced, strlen(announced)));
	assert_true(wire_receive(fd, false, &a));
	tear_down(state);
	assert_int_not_equal(http_closed_after_ms(fd, LONG_MS), -1);
	(void)close(fd);
	wire_answer_fini(&a);
	set_up(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_still_sending_sees_the_413),
		cmocka_unit_test(what_is_read_for_that_is_bounded),
		cmocka_unit_test(it_does_not_last),
		cmocka_unit_test(they_are_few_at_a_time),
		cmocka_unit_test(stopping_ends_them),
	};

	return cmocka_run_group_tests_name("refused while sending", tests, set_up, tear_down);
}

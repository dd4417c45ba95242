/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /filter and /prioritize on the wire under clients that are many, slow or hostile: everybody else
 * is answered as ever, and the daemon does not grow.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/clock.h"
#include "km/base/macros.h"

#include "support/extender_case.h"

/* Deadlines are for the test of deadlines: elsewhere a busy machine must not bring one about. */
#define CONFIG(deadline)                                                                           \
	"nodes: [{name: a}]\ncollect: {sources: []}\nmodel: {path: \"\"}\n"                        \
	"limits: {connections: 256, requestDeadline: " deadline "}\n"
#define CONNECTIONS 256

/* What a daemon that keeps nothing may grow by all the same: allocator and recycled buffers. */
#ifdef __SANITIZE_ADDRESS__
#define GROWTH_KB (8192 + 256 * 1024) /* its quarantine of freed memory */
#else
#define GROWTH_KB 8192
#endif

#define ASK_A "{\"Pod\":null,\"Nodes\":null,\"NodeNames\":[\"a\"]}"
#define PASS(name)                                                                                 \
	"{\"Nodes\":null,\"NodeNames\":[" name "],\"FailedNodes\":{},"                             \
	"\"FailedAndUnresolvableNodes\":{},\"Error\":\"\"}"
#define SCORED(name) "[{\"Host\":" name ",\"Score\":5}]"

static int set_up(void **state)
{
	struct daemon *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return -1;
	daemon_init(d);
	wire_start(d, CONFIG("60s"));
	*state = d;
	return 0;
}

static int tear_down(void **state)
{
	wire_stop(*state);
	free(*state);
	return 0;
}

static int64_t now_ms(void)
{
	return km_clock_mono_ns(km_clock_system()) / KM_NS_PER_MS;
}

static void want_answered(const struct daemon *d)
{
	static const struct extender_case usual = { "a usual request", ASK_A,
		                                    .filter = PASS("\"a\""),
		                                    .prioritize = SCORED("\"a\"") };

	extender_check(d, &usual);
}

/* ---- many ---- */

/* Two schedulers' worth of connections, each with names of its own, all asked before one answer is
 * read, three times over. */
static void parallel_connections_are_all_answered(void **state)
{
	enum { PARALLEL = 200, NAMES = 100, ROUNDS = 3 };
	struct daemon *d = *state;
	struct wire_answer a;
	struct km_buf body;
	struct km_buf request;
	struct km_buf want;
	static int fd[PARALLEL];

	wire_answer_init(&a);
	km_buf_init(&body);
	km_buf_init(&request);
	km_buf_init(&want);
	for (int i = 0; i < PARALLEL; i++) {
		fd[i] = daemon_connect(d);
		assert_true(fd[i] >= 0);
	}
	for (int n = 0; n < ROUNDS * 2 * PARALLEL; n++) {
		int i = n % PARALLEL;
		bool asking = n / PARALLEL % 2 == 0;
		bool filter = i % 2 != 0;

		km_buf_clear(&body);
		km_buf_clear(&want);
		km_buf_str(&body, "{\"NodeNames\":[");
		km_buf_str(&want, filter ? "{\"Nodes\":null,\"NodeNames\":[" : "[");
		for (int k = 0; k < NAMES; k++) {
			const char *comma = k > 0 ? "," : "";

			km_buf_printf(&body, "%s\"n-%d-%d\"", comma, i, k);
			km_buf_printf(&want,
			              filter ? "%s\"n-%d-%d\""
			                     : "%s{\"Host\":\"n-%d-%d\",\"Score\":5}",
			              comma, i, k);
		}
		km_buf_str(&body, "]}");
		km_buf_str(&want, filter ? "],\"FailedNodes\":{},\"FailedAndUnresolvableNodes\":{},"
		                           "\"Error\":\"\"}"
		                         : "]");
		if (asking) {
			km_buf_clear(&request);
			km_buf_printf(&request,
			              "POST /%s HTTP/1.1\r\nHost: t\r\n"
			              "Content-Length: %zu\r\n\r\n%s",
			              filter ? "filter" : "prioritize", body.len,
			              km_buf_cstr(&body));
			assert_true(wire_send(fd[i], request.data, request.len));
		} else {
			assert_true(wire_receive(fd[i], false, &a));
			extender_want(&a, "one of 200", 200, want.data, want.len);
		}
	}
	for (int i = 0; i < PARALLEL; i++)
		(void)close(fd[i]);
	km_buf_fini(&body);
	km_buf_fini(&request);
	km_buf_fini(&want);
	wire_answer_fini(&a);
}

/* A number in /proc/PID/status, in kB. */
static long status_kb(const struct daemon *d, const char *key)
{
	char path[64];
	char line[256];
	long value = -1;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)d->pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtol(line + strlen(key), NULL, 10);
	}
	(void)fclose(f);
	assert_true(value > 0);
	return value;
}

static int open_files(const struct daemon *d)
{
	char path[64];
	int count = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)d->pid);
	dir = opendir(path);
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		count += isdigit((unsigned char)e->d_name[0]) != 0;
	(void)closedir(dir);
	return count;
}

static bool ask_on(int fd, struct wire_answer *a)
{
	static const char get[] = "GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n";

	return wire_send(fd, get, strlen(get)) && wire_receive(fd, false, a);
}

/* Waits for the end of a connection. returns false when it is still there after a patient while. */
static bool is_closed(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	char byte;

	return poll(&ready, 1, WIRE_PATIENCE_MS) == 1 && recv(fd, &byte, 1, 0) <= 0;
}

/* What the daemon says on a connection that is there already. */
static double metric_on(int fd, const char *series, struct wire_answer *a)
{
	static const char get[] = "GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n";
	const char *at;

	assert_true(wire_send(fd, get, strlen(get)));
	assert_true(wire_receive(fd, false, a));
	at = strstr(a->body.data, series);
	assert_non_null(at);
	return strtod(at + strlen(series), NULL);
}

static void ten_thousand_connections_are_refused_without_growth(void **state)
{
	enum { FLOOD = 10000, AT_ONCE = 100 };
	static const char refused[] =
		"kubemarla_http_refused_total{listener=\"listen\",reason=\"connections\"} ";
	struct daemon *d = *state;
	static int held[CONNECTIONS];
	struct wire_answer a;
	int most_files = 0;
	int files;
	long kb;

	wire_answer_init(&a);
	for (int i = 0; i < CONNECTIONS; i++) {
		held[i] = daemon_connect(d);
		assert_true(ask_on(held[i], &a));
	}
	files = open_files(d);
	kb = status_kb(d, "VmRSS:");
	for (int i = 0; i < FLOOD / AT_ONCE; i++) {
		int fd[AT_ONCE];

		for (int k = 0; k < AT_ONCE; k++)
			fd[k] = daemon_connect(d); /* a reset may come as soon as that */
		for (int k = 0; k < AT_ONCE; k++) {
			assert_true(fd[k] < 0 || is_closed(fd[k]));
			if (fd[k] >= 0)
				(void)close(fd[k]);
		}
		if (open_files(d) > most_files)
			most_files = open_files(d);
	}
	assert_true(metric_on(held[0], refused, &a) == FLOOD);
	/* One that is just being refused may be open. Kept, they would take 64 KiB each. */
	assert_in_range(most_files, files, files + 1);
	assert_in_range(status_kb(d, "VmRSS:"), 1, kb + GROWTH_KB);
	for (int i = 0; i < CONNECTIONS; i++) {
		assert_true(ask_on(held[i], &a));
		(void)close(held[i]);
	}
	wire_answer_fini(&a);
	(void)wire_wait_metric(d, "kubemarla_http_connections{listener=\"listen\"}", 1);
	want_answered(d);
}

/* ---- slow ---- */

static void slow_requests_end_at_the_deadline_and_bother_nobody(void **state)
{
	static const struct {
		const char *what, *opening, *drip;
	} rows[] = {
		{ "headers of /filter", "POST /filter HTTP/1.1\r\nX: ", "x" },
		{ "headers of /prioritize", "POST /prioritize HTTP/1.1\r\nHost: t\r\n",
		  "X: y\r\n" },
		{ "a body to /filter",
		  "POST /filter HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n{", " " },
		{ "a body to /prioritize",
		  "POST /prioritize HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n{", " " },
		{ "chunks",
		  "POST /filter HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n",
		  "1\r\n \r\n" },
		{ "nothing at all", "", "" },
	};
	enum { EACH = 8 };
	static const char closed[] = "kubemarla_http_deadline_closed_total{listener=\"listen\"}";
	struct pollfd fds[KM_ARRAY_LEN(rows) * EACH];
	size_t open = KM_ARRAY_LEN(fds);
	int64_t until_ms = now_ms() + WIRE_PATIENCE_MS;
	struct daemon *d = *state;

	wire_configure(d, CONFIG("300ms"));
	daemon_signal(d, SIGHUP);
	assert_true(daemon_wait_log(d, 0, "reload applied"));
	for (size_t i = 0; i < KM_ARRAY_LEN(fds); i++) {
		const char *opening = rows[i / EACH].opening;

		fds[i] = (struct pollfd){ .fd = daemon_connect(d), .events = POLLIN };
		assert_true(wire_send(fds[i].fd, opening, strlen(opening)));
	}
	while (open > 0) {
		if (now_ms() > until_ms)
			fail_msg("%zu slow connections are still open", open);
		want_answered(d);
		(void)poll(fds, KM_ARRAY_LEN(fds), 5);
		for (size_t i = 0; i < KM_ARRAY_LEN(fds); i++) {
			const char *drip = rows[i / EACH].drip;
			char chunk[512];

			if (fds[i].fd < 0)
				continue;
			(void)wire_send(fds[i].fd, drip, strlen(drip));
			if (fds[i].revents == 0)
				continue;
			/* Without an answer: there was no request yet. */
			if (recv(fds[i].fd, chunk, sizeof(chunk), 0) > 0)
				fail_msg("%s got an answer", rows[i / EACH].what);
			(void)close(fds[i].fd);
			fds[i].fd = -1;
			open--;
		}
	}
	open = KM_ARRAY_LEN(fds);
	assert_true(wire_metric(d, closed) == (double)open);
}

/* ---- hostile ---- */

static void repeat(struct km_buf *out, const char *text, size_t times)
{
	for (; times > 0; times--)
		km_buf_str(out, text);
}

/* Well-formed, and made to cost. */
static void hostile_bodies_cost_little(void **state)
{
	static const struct {
		const char *what;
		const char *before, *many, *after;
		size_t times;
		const char *passing; /* NULL: refused with 400 */
	} rows[] = {
		{ "a name 250,000 times", "{\"NodeNames\":[\"a\"", ",\"a\"", "]}", 250000,
		  "\"a\"" },
		{ "the same with escapes", "{\"NodeNames\":[\"a\"", ",\"\\u0061\"", "]}", 250000,
		  "\"a\"" },
		{ "more names than any cluster has", "{\"NodeNames\":[\"a\"", ",\"a\"", "]}",
		  500000, NULL },
		{ "NodeNames 100,000 times", "{", "\"NodeNames\":[\"b\"],",
		  "\"NodeNames\":[\"a\"]}", 100000, "\"a\"" },
		{ "unknown keys", "{", "\"x\":0,", "\"NodeNames\":[\"a\"]}", 500000, "\"a\"" },
		{ "annotations", "{\"Pod\":{\"metadata\":{\"annotations\":{\"k\":\"\"",
		  ",\"kubemarla.io/rps\":\"1\"", "}}},\"NodeNames\":[\"a\"]}", 100000, "\"a\"" },
		{ "a number of a million digits", "{\"x\":1", "0", ",\"NodeNames\":[\"a\"]}",
		  1000000, "\"a\"" },
		{ "an exponent of a million digits", "{\"x\":1e", "9", ",\"NodeNames\":[\"a\"]}",
		  1000000, "\"a\"" },
		{ "wide but not deep", "{\"Pod\":{\"x\":[0", ",[{}]", "]},\"NodeNames\":[\"a\"]}",
		  500000, "\"a\"" },
		{ "blanks", "{", "\n\t ", "\"NodeNames\":[\"a\"]}", 1000000, "\"a\"" },
		{ "an rps annotation of a megabyte",
		  "{\"Pod\":{\"metadata\":{\"annotations\":{\"kubemarla.io/rps\":\"", "1",
		  "\"}}},\"NodeNames\":[\"a\"]}", 1000000, "\"a\"" },
		{ "names that are numbers", "{\"NodeNames\":[\"a\"", ",\"b\"", ",7]}", 100000,
		  NULL },
		{ "open brackets", "{\"NodeNames\":", "[", "", 1000000, NULL },
	};
	struct daemon *d = *state;
	long kb = 0;

	for (size_t i = 0; i < KM_ARRAY_LEN(rows) * 2; i++) {
		size_t r = i % KM_ARRAY_LEN(rows);
		struct wire_answer a;
		struct km_buf body;
		struct km_buf want;

		/* The second time round nothing is new. */
		if (i == KM_ARRAY_LEN(rows))
			kb = status_kb(d, "VmRSS:");
		wire_answer_init(&a);
		km_buf_init(&body);
		km_buf_init(&want);
		km_buf_str(&body, rows[r].before);
		repeat(&body, rows[r].many, rows[r].times);
		km_buf_str(&body, rows[r].after);
		km_buf_printf(&want, PASS("%s"), rows[r].passing != NULL ? rows[r].passing : "");
		wire_call(d, "POST", "/filter", "", body.data, body.len, &a);
		if (rows[r].passing != NULL)
			extender_want(&a, rows[r].what, 200, want.data, want.len);
		else
			assert_int_equal(a.status, 400);
		km_buf_fini(&want);
		km_buf_fini(&body);
		wire_answer_fini(&a);
	}
	assert_in_range(status_kb(d, "VmRSS:"), 1, kb + GROWTH_KB);
	want_answered(d);
}

/* Names that would break what passes them on: each comes back as it came. */
static void hostile_names_come_back_as_they_came(void **state)
{
	static const char *const names[] = {
		"\"\\u0000\"",
		"\"\\ud800\"",
		"\"\\ud83d\\ude00\"",
		"\"<script>alert(1)</script>\"",
		"\"\\r\\nSet-Cookie: a=b\\r\\n\\r\\n\"",
		"\"../../../../etc/passwd\"",
		"\"%s%s%s%n\"",
		"\"\\\"],\\\"Error\\\":\\\"x\"",
		"\"\xe2\x80\xae\xef\xbf\xbf\xf4\x8f\xbf\xbf\"",
		"\"\x7f\"",
	};
	struct daemon *d = *state;

	for (size_t i = 0; i < KM_ARRAY_LEN(names); i++) {
		struct extender_case c = { .name = names[i] };
		char body[256];
		char filter[256];
		char scores[256];

		(void)snprintf(body, sizeof(body), "{\"NodeNames\":[%s]}", names[i]);
		(void)snprintf(filter, sizeof(filter), PASS("%s"), names[i]);
		(void)snprintf(scores, sizeof(scores), SCORED("%s"), names[i]);
		c.body = body;
		c.filter = filter;
		c.prioritize = scores;
		extender_check(d, &c);
	}
}

/* Bytes that are no HTTP, or nearly: refused or closed, and nobody else notices. */
static void what_is_no_http_is_survived(void **state)
{
	static const char two_lengths[] =
		"POST /filter HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n"
		"Content-Length: 3\r\n\r\n{}";
	static const char long_chunk[] = "POST /filter HTTP/1.1\r\nHost: t\r\n"
					 "Transfer-Encoding: chunked\r\n\r\n"
					 "ffffffffffffffffff\r\n";
	const char *const openings[] = {
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", /* a TLS client */
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",             /* an HTTP/2 client */
		"\r\n\r\n\r\n\r\n",
		"GET\r\n\r\n",
		"POST /filter\r\n\r\n",
		"POST /filter HTTP/9.9\r\n\r\n",
		"POST /filter HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"POST /filter HTTP/1.1\r\nHost: t\r\nContent-Length: 1x\r\n\r\n{",
		two_lengths,
		"POST /filter HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		long_chunk,
		"POST /filter HTTP/1.1\r\nHost t\r\nA\r\n:\r\n: b\r\n\r\n",
		"POST /filter HTTP/1.1\nHost: t\nContent-Length: 2\n\n{}",
	};
	struct daemon *d = *state;

	for (size_t i = 0; i < KM_ARRAY_LEN(openings); i++) {
		int fd = daemon_connect(d);
		char chunk[1024];

		assert_true(wire_send(fd, openings[i], strlen(openings[i])));
		(void)shutdown(fd, SHUT_WR);
		while (recv(fd, chunk, sizeof(chunk), 0) > 0)
			;
		(void)close(fd);
		want_answered(d);
	}
}

/* More and longer headers than there is memory for on a connection. */
static void endless_headers_are_refused(void **state)
{
	static const char begins[] = "POST /filter HTTP/1.1\r\nHost: t\r\n";
	struct daemon *d = *state;
	int fd = daemon_connect(d);
	char chunk[1024];
	size_t sent = 0;

	assert_true(wire_send(fd, begins, strlen(begins)));
	while (sent < (16u << 20) && wire_send(fd, "X-Header: value\r\n", 17))
		sent += 17;
	while (recv(fd, chunk, sizeof(chunk), 0) > 0)
		;
	(void)close(fd);
	assert_true(sent < (16u << 20));
	want_answered(d);
}

int main(void)
{
#define LOAD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		LOAD(parallel_connections_are_all_answered),
		LOAD(ten_thousand_connections_are_refused_without_growth),
		LOAD(slow_requests_end_at_the_deadline_and_bother_nobody),
		LOAD(hostile_bodies_cost_little),
		LOAD(hostile_names_come_back_as_they_came),
		LOAD(what_is_no_http_is_survived),
		LOAD(endless_headers_are_refused),
	};

	return cmocka_run_group_tests_name("extender under load", tests, NULL, NULL);
}

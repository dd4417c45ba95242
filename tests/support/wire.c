/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes to and from a daemon under test; see wire.h. */
#include "support/wire.h"

#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/clock.h"

static const char *build_dir(void)
{
	const char *dir = getenv("KM_BUILD"); /* NOLINT: one thread */

	return dir ? dir : "build";
}

void wire_trace(const struct daemon *d, const char *name, const char *interference, int seed)
{
	char program[512];
	char path[512];
	char number[16];
	char kind[16];
	char *const argv[] = { program,
		               (char[]){ "--cpus" },
		               (char[]){ "8" },
		               (char[]){ "--seconds" },
		               (char[]){ "300" },
		               (char[]){ "--interval" },
		               (char[]){ "1" },
		               (char[]){ "--seed" },
		               number,
		               (char[]){ "--interference" },
		               kind,
		               (char[]){ "--victim-cpus" },
		               (char[]){ "0-3" },
		               (char[]){ "--noisy-cpus" },
		               (char[]){ "4-7" },
		               (char[]){ "-o" },
		               path,
		               NULL };
	pid_t pid;
	int status;

	(void)snprintf(program, sizeof(program), "%s/tests/gen_trace", build_dir());
	(void)snprintf(path, sizeof(path), "%s/%s.csv", d->dir, name);
	(void)snprintf(number, sizeof(number), "%d", seed);
	(void)snprintf(kind, sizeof(kind), "%s", interference);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)execv(program, argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

void wire_configure(const struct daemon *d, const char *yaml)
{
	static const char mark[] = "@DIR@";
	struct km_buf text;
	const char *at;

	km_buf_init(&text);
	while ((at = strstr(yaml, mark)) != NULL) {
		km_buf_append(&text, yaml, (size_t)(at - yaml));
		km_buf_str(&text, d->dir);
		yaml = at + strlen(mark);
	}
	km_buf_str(&text, yaml);
	daemon_write(d, "kubemarla.yaml", km_buf_cstr(&text));
	km_buf_fini(&text);
}

void wire_start(struct daemon *d, const char *yaml)
{
	wire_configure(d, yaml);
	if (!daemon_start(d))
		fail_msg("not ready:\n%s", d->text);
}

void wire_stop(struct daemon *d)
{
	int code = 0;

	if (d->pid > 0) {
		daemon_signal(d, SIGTERM);
		code = daemon_exit_code(d);
		if (code != 0)
			print_error("the daemon's log:\n%s", d->text);
	}
	daemon_fini(d);
	assert_int_equal(code, 0);
}

int wire_tear_down(void **state)
{
	wire_stop(*state);
	free(*state);
	return 0;
}

double wire_metric(const struct daemon *d, const char *series)
{
	struct km_buf line;
	struct answer a;
	const char *at;
	double value = NAN;

	km_buf_init(&line);
	km_buf_printf(&line, "\n%s ", series);
	daemon_request(d, "GET", "/metrics", NULL, &a);
	assert_int_equal(a.status, 200);
	at = strstr(a.body, km_buf_cstr(&line));
	if (at != NULL)
		value = strtod(at + line.len, NULL);
	answer_fini(&a);
	km_buf_fini(&line);
	return value;
}

double wire_wait_metric(const struct daemon *d, const char *series, double least)
{
	int64_t until_ns =
		km_clock_mono_ns(km_clock_system()) + (int64_t)WIRE_PATIENCE_MS * KM_NS_PER_MS;
	double value = wire_metric(d, series);

	while (!(value >= least)) {
		if (km_clock_mono_ns(km_clock_system()) > until_ns)
			fail_msg("%s is %g, want %g\n%s", series, value, least, d->text);
		(void)poll(NULL, 0, 5);
		value = wire_metric(d, series);
	}
	return value;
}

void wire_wait_replayed(const struct daemon *d, int traces)
{
	/* The sampler says so after it has published what they say. */
	(void)wire_wait_metric(d, "kubemarla_agent_sources{state=\"ended\"}", traces);
}

void wire_answer_init(struct wire_answer *a)
{
	a->status = 0;
	km_buf_init(&a->head);
	km_buf_init(&a->body);
}

void wire_answer_fini(struct wire_answer *a)
{
	km_buf_fini(&a->head);
	km_buf_fini(&a->body);
}

bool wire_send(int fd, const void *bytes, size_t len)
{
	const char *p = bytes;

	while (len > 0) {
		ssize_t sent = send(fd, p, len, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		p += sent;
		len -= (size_t)sent;
	}
	return true;
}

/* Reads up to len bytes. returns 0 when the peer closed. */
static size_t read_some(int fd, char *to, size_t len)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	ssize_t got;

	if (poll(&ready, 1, WIRE_PATIENCE_MS) != 1)
		fail_msg("no answer within %d ms", WIRE_PATIENCE_MS);
	got = recv(fd, to, len, 0);
	return got > 0 ? (size_t)got : 0;
}

static size_t content_length(const char *head)
{
	const char *at = strcasestr(head, "\r\nContent-Length:");

	return at ? strtoul(at + strlen("\r\nContent-Length:"), NULL, 10) : 0;
}

bool wire_receive(int fd, bool no_body, struct wire_answer *a)
{
	char chunk[65536];
	size_t want;

	a->status = 0;
	km_buf_clear(&a->head);
	km_buf_clear(&a->body);
	/* Byte by byte to the blank line: what follows may be another answer. */
	while (a->head.len < 4 || memcmp(a->head.data + a->head.len - 4, "\r\n\r\n", 4) != 0) {
		if (read_some(fd, chunk, 1) == 0)
			return false;
		km_buf_char(&a->head, chunk[0]);
		assert_true(a->head.len < 65536);
	}
	assert_memory_equal(a->head.data, "HTTP/1.", 7);
	a->status = (int)strtol(km_buf_cstr(&a->head) + 9, NULL, 10);
	assert_null(strcasestr(a->head.data, "\r\nTransfer-Encoding:")); /* always a length */
	want = no_body ? 0 : content_length(a->head.data);
	while (a->body.len < want) {
		size_t left = want - a->body.len;
		size_t got = read_some(fd, chunk, left < sizeof(chunk) ? left : sizeof(chunk));

		if (got == 0)
			return false;
		km_buf_append(&a->body, chunk, got);
	}
	(void)km_buf_cstr(&a->body);
	return true;
}

void wire_call(const struct daemon *d, const char *method, const char *path, const char *headers,
               const void *body, size_t len, struct wire_answer *a)
{
	struct km_buf request;
	int fd = daemon_connect(d);

	assert_true(fd >= 0);
	km_buf_init(&request);
	km_buf_printf(&request, "%s %s HTTP/1.1\r\nHost: test\r\n%s", method, path, headers);
	if (body)
		km_buf_printf(&request, "Content-Length: %zu\r\n", len);
	km_buf_str(&request, "\r\n");
	km_buf_append(&request, body, len);
	/* A refusal may come, and the connection close, before all of a big body is sent. */
	(void)wire_send(fd, request.data, request.len);
	(void)wire_receive(fd, strcmp(method, "HEAD") == 0, a);
	km_buf_fini(&request);
	(void)close(fd);
}

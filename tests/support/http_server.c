/* SPDX-License-Identifier: Apache-2.0 */
/* A km_server inside the test's own process; see http_server.h. */
#include "support/http_server.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static pthread_mutex_t hold_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t hold_change = PTHREAD_COND_INITIALIZER;
static unsigned held;
static unsigned released; /* grows by one each time */
static atomic_uint threads;
static _Atomic(const void *) last_body;

static void hold(void)
{
	unsigned mine;

	(void)pthread_mutex_lock(&hold_lock);
	mine = released;
	held++;
	(void)pthread_cond_broadcast(&hold_change);
	while (released == mine)
		(void)pthread_cond_wait(&hold_change, &hold_lock);
	held--;
	(void)pthread_cond_broadcast(&hold_change);
	(void)pthread_mutex_unlock(&hold_lock);
}

unsigned http_server_held(void)
{
	unsigned now;

	(void)pthread_mutex_lock(&hold_lock);
	now = held;
	(void)pthread_mutex_unlock(&hold_lock);
	return now;
}

bool http_server_wait_held(unsigned count)
{
	struct timespec until;
	int rc = 0;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WIRE_PATIENCE_MS / 1000;
	(void)pthread_mutex_lock(&hold_lock);
	while (held != count && rc == 0)
		rc = pthread_cond_timedwait(&hold_change, &hold_lock, &until);
	(void)pthread_mutex_unlock(&hold_lock);
	return rc == 0;
}

void http_server_release(void)
{
	(void)pthread_mutex_lock(&hold_lock);
	released++;
	(void)pthread_cond_broadcast(&hold_change);
	(void)pthread_mutex_unlock(&hold_lock);
}

unsigned http_server_threads(void)
{
	return atomic_load(&threads);
}

const void *http_server_last_body(void)
{
	return atomic_load(&last_body);
}

static void count_thread(void)
{
	(void)atomic_fetch_add(&threads, 1);
}

uint32_t http_sum(const char *bytes, size_t len)
{
	uint32_t sum = 2166136261u;

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ (unsigned char)bytes[i]) * 16777619u;
	return sum;
}

static void answer(void *ctx, const struct km_http_request *req, struct km_http_reply *reply)
{
	static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "OTHER" };
	const char *query = km_http_query(req, "q");
	const char *header = km_http_header(req, "X-Test");

	(void)ctx;
	atomic_store(&last_body, (const void *)req->body);
	if (strcmp(req->path, "/hold") == 0)
		hold();
	if (strcmp(req->path, "/fail") == 0)
		reply->body.failed = true;
	if (strcmp(req->path, "/big") == 0) {
		const char *n = km_http_query(req, "n");

		for (long i = n != NULL ? strtol(n, NULL, 10) : 0; i > 0; i--)
			km_buf_char(&reply->body, 'b');
		return;
	}
	if (strcmp(req->path, "/headers") == 0) {
		reply->status = 405;
		reply->content_type = "text/plain";
		reply->allow = "GET, HEAD";
		(void)snprintf(reply->etag, sizeof(reply->etag), "\"tag\"");
	}
	km_buf_printf(&reply->body, "%s %s %zu %08x query=%s header=%s", methods[req->method],
	              req->path, req->body_len, http_sum(req->body, req->body_len),
	              query != NULL ? query : "-", header != NULL ? header : "-");
}

static void refuse(void *ctx, int status, const char *message, struct km_http_reply *reply)
{
	(void)ctx;
	reply->content_type = "text/plain";
	km_buf_printf(&reply->body, "%d %s", status, message);
}

struct km_server_options http_server_options(void)
{
	return (struct km_server_options){
		.address = "127.0.0.1",
		.body_bytes = 1000000,
		.connections = 16,
		.request_deadline_ns = 20 * KM_NS_PER_S,
		.idle_ns = 20 * KM_NS_PER_S,
		.threads = 2,
		.thread_init = count_thread,
		.handler = answer,
		.refuse = refuse,
		.name = "test",
	};
}

void http_server_start(struct http_server *s, const struct km_server_options *options)
{
	struct km_server_options o = *options;
	struct km_err err = { .code = 0 };

	*s = (struct http_server){ .server = NULL };
	assert_int_equal(km_metrics_create(&s->metrics, &err), 0);
	o.metrics = s->metrics;
	if (km_server_start(&o, &s->server, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(km_metrics_check(s->metrics, &err), 0);
	s->at.port = km_server_port(s->server);
	assert_int_not_equal(s->at.port, 0);
}

void http_server_stop(struct http_server *s)
{
	uint32_t cut = km_server_free(s->server, (int64_t)WIRE_PATIENCE_MS * KM_NS_PER_MS);

	km_metrics_free(s->metrics);
	s->server = NULL;
	assert_int_equal(cut, 0);
}

bool http_server_wait_metric(struct http_server *s, const char *line)
{
	int64_t until_ms = http_now_ms() + WIRE_PATIENCE_MS;
	struct km_buf text;
	bool found = false;

	km_buf_init(&text);
	while (!found && http_now_ms() < until_ms) {
		km_buf_clear(&text);
		assert_int_equal(km_metrics_expose(s->metrics, &text), 0);
		found = strstr(km_buf_cstr(&text), line) != NULL;
		if (!found)
			(void)poll(NULL, 0, 5);
	}
	if (!found)
		print_error("no \"%s\" in\n%s", line, km_buf_cstr(&text));
	km_buf_fini(&text);
	return found;
}

int64_t http_now_ms(void)
{
	return km_clock_mono_ns(km_clock_system()) / KM_NS_PER_MS;
}

int64_t http_closed_after_ms(int fd, int64_t most_ms)
{
	int64_t start_ms = http_now_ms();
	char chunk[4096];

	for (;;) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		int64_t left_ms = start_ms + most_ms - http_now_ms();

		if (left_ms <= 0 || poll(&ready, 1, (int)left_ms) == 0)
			return -1;
		if (recv(fd, chunk, sizeof(chunk), 0) <= 0)
			return http_now_ms() - start_ms;
	}
}

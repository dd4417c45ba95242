/* SPDX-License-Identifier: Apache-2.0 */
/* The fake API server's sockets: a thread that accepts, and one for each connection. */
#include "support/fake_apiserver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "support/fake_apiserver_internal.h"

#define HEAD_MAX 16384

/* ---- bytes ---------------------------------------------------------------------------------- */

bool fake_send(const struct fake_connection *c, const char *bytes, size_t len)
{
	size_t piece = c->state->piece_bytes;

	while (len > 0) {
		size_t want = piece > 0 && piece < len ? piece : len;
		ssize_t n = send(c->fd, bytes, want, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Reads until the peer closes or it is time to stop. */
static void hold(struct fake_connection *c)
{
	bool stopping = false;
	char byte[256];

	while (!stopping && fake_wait_readable(c)) {
		(void)recv(c->fd, byte, sizeof(byte), MSG_DONTWAIT);
		(void)pthread_mutex_lock(&c->state->lock);
		stopping = c->state->stopping;
		(void)pthread_mutex_unlock(&c->state->lock);
	}
}

static void take_header(const char *head, const char *name, char *out, size_t out_size)
{
	const char *at = strcasestr(head, name);

	out[0] = '\0';
	if (at == NULL)
		return;
	at += strlen(name);
	at += strspn(at, " ");
	(void)snprintf(out, out_size, "%.*s", (int)strcspn(at, "\r\n"), at);
}

/* A whole request. returns false when none comes. *in keeps what came behind it. */
static bool read_request(struct fake_connection *c, struct km_buf *in, struct fake_request *r)
{
	char encodings[256];
	char length[32];
	size_t body_len;
	size_t head_len;
	char *end;

	while ((end = strstr(km_buf_cstr(in), "\r\n\r\n")) == NULL && in->len < HEAD_MAX) {
		ssize_t n;

		(void)km_buf_reserve(in, HEAD_MAX);
		n = recv(c->fd, in->data + in->len, HEAD_MAX / 2, 0);
		if (n <= 0)
			return false;
		in->len += (size_t)n;
	}
	if (end == NULL)
		return false;
	*end = '\0';
	head_len = (size_t)(end - in->data) + 4;
	if (sscanf(in->data, "%15s %2047s", r->method, r->target) != 2)
		return false;
	take_header(in->data, "\r\nAuthorization: Bearer", r->bearer, sizeof(r->bearer));
	take_header(in->data, "\r\nAccept-Encoding:", encodings, sizeof(encodings));
	take_header(in->data, "\r\nContent-Length:", length, sizeof(length));
	r->gzip = strstr(encodings, "gzip") != NULL;
	body_len = strtoul(length, NULL, 10);
	while (in->len < head_len + body_len) {
		ssize_t n;

		(void)km_buf_reserve(in, body_len + 1);
		n = recv(c->fd, in->data + in->len, head_len + body_len - in->len, 0);
		if (n <= 0)
			return false;
		in->len += (size_t)n;
	}
	(void)km_buf_cstr(in);
	r->body = strndup(in->data + head_len, body_len);
	in->len -= head_len + body_len;
	memmove(in->data, in->data + head_len + body_len, in->len);
	return r->body != NULL;
}

static void compress_body(struct km_buf *body)
{
	z_stream z = { 0 };
	struct km_buf out;

	km_buf_init(&out);
	/* 16: with a gzip head */
	if (deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	(void)km_buf_reserve(&out, deflateBound(&z, body->len));
	z.next_in = (unsigned char *)body->data;
	z.avail_in = (unsigned)body->len;
	z.next_out = (unsigned char *)out.data;
	z.avail_out = (unsigned)out.cap;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	out.len = z.total_out;
	(void)deflateEnd(&z);
	km_buf_fini(body);
	*body = out;
}

/* ---- a request ------------------------------------------------------------------------------ */

/* Under the lock: remembers the request, takes what is to go wrong with it. */
static bool note(struct fake_apiserver_state *s, const struct fake_request *r,
                 struct fake_fault *fault)
{
	struct fake_seen *seen;

	if (s->seen_count == s->seen_room) {
		s->seen_room = s->seen_room > 0 ? s->seen_room * 2 : 64;
		s->seen = reallocarray(s->seen, s->seen_room, sizeof(*s->seen));
		if (s->seen == NULL)
			abort();
	}
	seen = &s->seen[s->seen_count];
	seen->line = NULL;
	if (asprintf(&seen->line, "%s %s", r->method, r->target) < 0)
		abort();
	seen->body = strdup(r->body);
	s->seen_count++;
	(void)pthread_cond_broadcast(&s->changed);
	for (size_t i = 0; i < s->rule_count; i++) {
		struct fake_rule *rule = &s->rule[i];

		if (!fake_matches(seen->line, rule->fault.match) ||
		    (rule->fault.count > 0 && rule->left == 0))
			continue;
		rule->left -= rule->fault.count > 0;
		*fault = rule->fault;
		return true;
	}
	return false;
}

static const char *reason_of(int status)
{
	static const struct {
		int status;
		const char *reason;
	} known[] = {
		{ 401, "Unauthorized" },  { 403, "Forbidden" },
		{ 404, "NotFound" },      { 409, "Conflict" },
		{ 410, "Expired" },       { 429, "TooManyRequests" },
		{ 500, "InternalError" }, { 503, "ServiceUnavailable" },
		{ 504, "Timeout" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].status == status)
			return known[i].reason;
	}
	return "";
}

/* returns whether the connection may go on. */
static bool answer(struct fake_connection *c, const struct fake_request *r,
                   const struct fake_fault *fault, int status, struct km_buf *body)
{
	bool zip = c->state->gzip && r->gzip && body->len > 0;
	char head[512];
	size_t len;

	if (zip)
		compress_body(body);
	(void)snprintf(head, sizeof(head),
	               "HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%s%s"
	               "Content-Length: %zu\r\n\r\n",
	               status, zip ? "Content-Encoding: gzip\r\n" : "",
	               fault != NULL && fault->headers != NULL ? fault->headers : "", body->len);
	len = body->len;
	if (fault != NULL && (fault->cut || fault->hang) && fault->cut_after < len)
		len = fault->cut_after;
	if (!fake_send(c, head, strlen(head)) || !fake_send(c, body->data, len))
		return false;
	if (fault != NULL && fault->hang)
		hold(c);
	return fault == NULL || (!fault->cut && !fault->hang);
}

static bool serve(struct fake_connection *c, struct fake_request *r)
{
	struct fake_apiserver_state *s = c->state;
	struct fake_fault fault;
	bool faulty;
	bool watch;
	bool known = fake_request_split(r);
	char headers[256];
	char text[16];
	struct km_buf body;
	bool go_on;
	int status = 0;

	km_buf_init(&body);
	watch = known && strcmp(r->method, "GET") == 0 &&
	        fake_request_argument(r, "watch", text, sizeof(text)) && r->name[0] == '\0';
	(void)pthread_mutex_lock(&s->lock);
	faulty = note(s, r, &fault);
	if (faulty && fault.headers != NULL) { /* the rule may go while it is answered */
		(void)snprintf(headers, sizeof(headers), "%s", fault.headers);
		fault.headers = headers;
	}
	if (s->token != NULL && strcmp(s->token, r->bearer) != 0) {
		status = 401;
		fake_status(&body, 401, "Unauthorized", "Unauthorized");
	} else if (faulty && (fault.status != 0 || fault.body != NULL)) {
		status = fault.status != 0 ? fault.status : 200;
		if (fault.body != NULL)
			km_buf_str(&body, fault.body);
		else
			fake_status(&body, status, reason_of(status), "as the test wants it");
	} else if (!known) {
		status = 404;
		fake_status(&body, 404, "NotFound", "no such resource");
	} else if (!watch) {
		status = fake_store_answer(s, r, &body);
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (faulty && fault.no_answer)
		go_on = false;
	else if (status != 0 || faulty)
		go_on = answer(c, r, faulty ? &fault : NULL, status != 0 ? status : 200, &body);
	else
		go_on = fake_watch(c, r);
	km_buf_fini(&body);
	return go_on;
}

static void *serve_connection(void *arg)
{
	struct fake_connection *c = arg;
	struct fake_request *r = calloc(1, sizeof(*r));
	bool go_on = r != NULL;
	struct km_buf in;

	km_buf_init(&in);
	while (go_on && read_request(c, &in, r)) {
		go_on = serve(c, r);
		free(r->body);
		r->body = NULL;
	}
	km_buf_fini(&in);
	if (r != NULL)
		free(r->body);
	free(r);
	(void)shutdown(c->fd, SHUT_RDWR);
	(void)pthread_mutex_lock(&c->state->lock);
	c->done = true;
	(void)pthread_mutex_unlock(&c->state->lock);
	return NULL;
}

static void free_connection(struct fake_connection *c)
{
	(void)pthread_join(c->thread, NULL);
	(void)close(c->fd);
	(void)close(c->wake);
	km_buf_fini(&c->said);
	free(c);
}

/* Those whose thread has ended, or all. */
static void reap(struct fake_apiserver_state *s, bool all)
{
	struct fake_connection **link = &s->connections;

	(void)pthread_mutex_lock(&s->lock);
	while (*link != NULL) {
		struct fake_connection *c = *link;

		if (!all && !c->done) {
			link = &c->next;
			continue;
		}
		*link = c->next;
		(void)pthread_mutex_unlock(&s->lock);
		free_connection(c);
		(void)pthread_mutex_lock(&s->lock);
		link = &s->connections;
	}
	(void)pthread_mutex_unlock(&s->lock);
}

static void *accept_all(void *arg)
{
	struct fake_apiserver_state *s = arg;
	const int one = 1;

	for (;;) {
		struct pollfd p[2] = { { .fd = s->stop_fd, .events = POLLIN },
			               { .fd = s->listener, .events = POLLIN } };
		struct fake_connection *c;
		int fd;

		while (poll(p, 2, -1) < 0) {
		}
		if (p[0].revents != 0)
			return NULL;
		fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		reap(s, false);
		c = calloc(1, sizeof(*c));
		if (c == NULL)
			abort();
		c->state = s;
		c->fd = fd;
		c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		(void)pthread_mutex_lock(&s->lock);
		c->next = s->connections;
		s->connections = c;
		if (pthread_create(&c->thread, NULL, serve_connection, c) != 0)
			abort();
		(void)pthread_mutex_unlock(&s->lock);
	}
}

/* ---- life ----------------------------------------------------------------------------------- */

void fake_apiserver_start(struct fake_apiserver *s)
{
	fake_apiserver_start_at(s, 0);
}

void fake_apiserver_start_at(struct fake_apiserver *s, int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		                  .sin_port = htons((uint16_t)port),
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct fake_apiserver_state *state = calloc(1, sizeof(*state));
	socklen_t len = sizeof(at);
	pthread_condattr_t monotonic;
	const int one = 1;

	assert_non_null(state);
	s->state = state;
	state->version = 1000;
	(void)pthread_mutex_init(&state->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&state->changed, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	state->stop_fd = eventfd(0, EFD_CLOEXEC);
	state->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(state->listener >= 0 && state->stop_fd >= 0);
	(void)setsockopt(state->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(state->listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(getsockname(state->listener, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(listen(state->listener, 64), 0);
	s->port = ntohs(at.sin_port);
	(void)snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d", s->port);
	assert_int_equal(pthread_create(&state->thread, NULL, accept_all, state), 0);
}

void fake_apiserver_stop(struct fake_apiserver *s)
{
	struct fake_apiserver_state *state = s->state;

	(void)eventfd_write(state->stop_fd, 1);
	(void)pthread_join(state->thread, NULL);
	(void)close(state->listener);
	(void)pthread_mutex_lock(&state->lock);
	state->stopping = true;
	for (struct fake_connection *c = state->connections; c != NULL; c = c->next)
		(void)shutdown(c->fd, SHUT_RDWR);
	fake_wake_all(state);
	(void)pthread_mutex_unlock(&state->lock);
	reap(state, true);
	fake_apiserver_clear(s);
	fake_store_free(state);
	free(state->token);
	(void)close(state->stop_fd);
	(void)pthread_cond_destroy(&state->changed);
	(void)pthread_mutex_destroy(&state->lock);
	free(state);
	s->state = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The fake pcm-sensor-server; see fake_pcm_server.h. One connection at a time. */
#include "support/fake_pcm_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/buf.h"
#include "km/base/clock.h"

#include "support/pcm_page_text.h"

#define FLOOD_BYTES (100 << 20)

/* returns 0 when it is time to stop. */
static int wait_for(const struct fake_pcm_server *s, int fd, short events)
{
	struct pollfd p[2] = { { .fd = s->stop[0], .events = POLLIN },
		               { .fd = fd, .events = events } };

	while (poll(p, 2, -1) < 0) {
	}
	return p[0].revents == 0;
}

static int send_all(const struct fake_pcm_server *s, int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n;

		if (!wait_for(s, fd, POLLOUT))
			return 0;
		n = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n <= 0)
			return 0;
		bytes += n;
		len -= (size_t)n;
	}
	return 1;
}

/* Up to the empty line. */
static int take_request(const struct fake_pcm_server *s, int fd)
{
	char text[4096];
	size_t len = 0;

	while (len < sizeof(text) - 1) {
		ssize_t n;

		if (!wait_for(s, fd, POLLIN))
			return 0;
		n = recv(fd, text + len, sizeof(text) - 1 - len, 0);
		if (n <= 0)
			return 0;
		len += (size_t)n;
		text[len] = '\0';
		if (strstr(text, "\r\n\r\n") != NULL)
			return 1;
	}
	return 0;
}

/* Until the peer closes, or it is time to stop. */
static void hold(const struct fake_pcm_server *s, int fd)
{
	char byte;

	while (wait_for(s, fd, POLLIN) && recv(fd, &byte, 1, 0) > 0) {
	}
}

static void answer(const struct fake_pcm_server *s, int fd, const char *status, const char *body,
                   size_t len, size_t said)
{
	char head[256];

	(void)snprintf(head, sizeof(head),
	               "HTTP/1.1 %s\r\nContent-Type: text/plain;version=0.0.4; charset=UTF-8\r\n"
	               "Content-Length: %zu\r\nServer: PCMWebServer 0.1\r\n\r\n",
	               status, said);
	if (send_all(s, fd, head, strlen(head)))
		(void)send_all(s, fd, body, len);
}

static void flood(const struct fake_pcm_server *s, int fd)
{
	static char zeros[65536];
	size_t left = FLOOD_BYTES;
	char head[96];

	(void)snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
	               FLOOD_BYTES);
	if (!send_all(s, fd, head, strlen(head)))
		return;
	while (left > 0 && send_all(s, fd, zeros, sizeof(zeros)))
		left -= sizeof(zeros);
}

static void serve(struct fake_pcm_server *s, int fd)
{
	static const char other[] = "# TYPE up gauge\nup 1\n";
	int64_t now_ns = km_clock_mono_ns(km_clock_system());
	struct pcm_host host = pcm_host_at(1000 + (double)(now_ns - s->began_ns) * 1e-9);
	struct km_buf page;

	if (!take_request(s, fd))
		return;
	(void)atomic_fetch_add(&s->requests, 1); /* before anybody can have the answer */
	km_buf_init(&page);
	host.clock_s = (double)now_ns * 1e-9;
	page_of(&page, &host);
	switch (atomic_load(&s->mode)) {
	case FAKE_PCM_PAGES:
		answer(s, fd, "200 OK", page.data, page.len, page.len);
		break;
	case FAKE_PCM_HANGS:
		hold(s, fd);
		break;
	case FAKE_PCM_STALLS:
		answer(s, fd, "200 OK", page.data, page.len / 2, page.len);
		hold(s, fd);
		break;
	case FAKE_PCM_FLOODS:
		flood(s, fd);
		break;
	case FAKE_PCM_CUTS:
		answer(s, fd, "200 OK", page.data, page.len / 2, page.len);
		break;
	case FAKE_PCM_FAILS:
		answer(s, fd, "500 Internal Server Error", "no\n", 3, 3);
		break;
	default:
		answer(s, fd, "200 OK", other, sizeof(other) - 1, sizeof(other) - 1);
	}
	km_buf_fini(&page);
}

static void *accept_all(void *arg)
{
	struct fake_pcm_server *s = arg;

	while (wait_for(s, s->listener, POLLIN)) {
		int fd = accept(s->listener, NULL, NULL);

		if (fd < 0)
			continue;
		serve(s, fd);
		(void)close(fd);
	}
	return NULL;
}

/* returns a socket bound to a free port of loopback. */
static int bind_somewhere(char url[64])
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	(void)snprintf(url, 64, "http://127.0.0.1:%u/metrics", ntohs(at.sin_port));
	return fd;
}

void fake_pcm_server_start(struct fake_pcm_server *s, enum fake_pcm_mode mode)
{
	memset(s, 0, sizeof(*s));
	atomic_init(&s->mode, mode);
	atomic_init(&s->requests, 0);
	s->began_ns = km_clock_mono_ns(km_clock_system());
	s->listener = bind_somewhere(s->url);
	assert_int_equal(listen(s->listener, 16), 0);
	assert_int_equal(pipe(s->stop), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, accept_all, s), 0);
}

void fake_pcm_server_stop(struct fake_pcm_server *s)
{
	assert_int_equal(write(s->stop[1], "x", 1), 1);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	(void)close(s->listener);
	(void)close(s->stop[0]);
	(void)close(s->stop[1]);
}

void fake_pcm_server_nobody(char url[64])
{
	/* bound and never listening would answer the same; closed, the port is nobody's */
	(void)close(bind_somewhere(url));
}

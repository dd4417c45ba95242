/* SPDX-License-Identifier: Apache-2.0 */
/* A fake HTTP server that plays bytes; see raw_server.h. */
#include "support/raw_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

int raw_bind(int *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*port = ntohs(at.sin_port);
	return fd;
}

/* returns false when the server is being stopped. */
static bool wait_for(const struct raw_server *s, int fd)
{
	struct pollfd fds[] = { { .fd = s->stop_fd, .events = POLLIN },
		                { .fd = fd, .events = POLLIN } };

	return poll(fds, 2, -1) > 0 && fds[0].revents == 0;
}

static size_t body_bytes(const char *head)
{
	const char *at = strcasestr(head, "\r\ncontent-length:");

	return at != NULL ? strtoul(at + strlen("\r\ncontent-length:"), NULL, 10) : 0;
}

/* returns false when the peer closed, or the server is being stopped. */
static bool read_request(struct raw_server *s, int fd)
{
	char *text = s->request[s->requests];
	size_t body_seen = 0;
	size_t len = 0;
	char *end = NULL;

	while (end == NULL || body_seen < body_bytes(text)) {
		char chunk[4096];
		ssize_t got = wait_for(s, fd) ? recv(fd, chunk, sizeof(chunk), 0) : 0;
		size_t fits = RAW_REQUEST_MAX - 1 - len;

		if (got <= 0)
			return false;
		if (end != NULL)
			body_seen += (size_t)got;
		if ((size_t)got < fits)
			fits = (size_t)got;
		memcpy(text + len, chunk, fits);
		len += fits;
		text[len] = '\0';
		if (end == NULL) {
			end = strstr(text, "\r\n\r\n");
			if (end != NULL)
				body_seen = len - (size_t)(end + 4 - text);
		}
	}
	return true;
}

/* returns whether the connection stays. */
static bool play(struct raw_server *s, int fd, const struct raw_turn *turn)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };
	size_t len = turn->len > 0 ? turn->len : strlen(turn->bytes);
	char rest[256];

	for (size_t sent = 0; sent < len;) {
		ssize_t n = send(fd, turn->bytes + sent, len - sent, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		sent += (size_t)n;
	}
	if (turn->then == RAW_RESET)
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	while (turn->then == RAW_HOLD && wait_for(s, fd) && recv(fd, rest, sizeof(rest), 0) > 0)
		;
	return turn->then == RAW_KEEP;
}

static void *serve(void *arg)
{
	struct raw_server *s = arg;
	int fd = -1;

	while (s->requests < s->turns) {
		bool keep = false;

		if (fd < 0) {
			if (!wait_for(s, s->listen_fd))
				break;
			fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
			if (fd < 0)
				continue;
			s->connections++;
		}
		if (read_request(s, fd))
			keep = play(s, fd, &s->turn[s->requests++]);
		if (!keep) {
			(void)close(fd);
			fd = -1;
		}
	}
	if (fd >= 0)
		(void)close(fd);
	return NULL;
}

void raw_server_start(struct raw_server *s, const struct raw_turn *turn, size_t turns)
{
	memset(s, 0, sizeof(*s));
	assert_true(turns <= RAW_TURNS_MAX);
	s->turn = turn;
	s->turns = turns;
	s->listen_fd = raw_bind(&s->port);
	assert_int_equal(listen(s->listen_fd, 16), 0);
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	assert_true(s->stop_fd >= 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

void raw_server_stop(struct raw_server *s)
{
	const uint64_t one = 1;

	assert_int_equal(write(s->stop_fd, &one, sizeof(one)), sizeof(one));
	(void)pthread_join(s->thread, NULL);
	(void)close(s->listen_fd);
	(void)close(s->stop_fd);
}

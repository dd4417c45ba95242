/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listening socket and its thread, which hands connections to the daemons, refuses those over
 * the cap and looks after deadlines. Without connections it sleeps until one comes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_internal.h"

#define BACKLOG      512
#define FIXED_FDS    2
#define ACCEPT_BURST 64 /* connections between two looks at the deadlines */
/* How often the deadlines are looked at: so many times a deadline, within bounds. */
#define LOOKS_PER_DEADLINE 16
#define LOOK_MIN_NS        (5 * KM_NS_PER_MS)
#define LOOK_MAX_NS        (250 * KM_NS_PER_MS)

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static int parse_address(const char *text, uint16_t port, union address *out, socklen_t *len)
{
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(port);
		*len = sizeof(out->v4);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
		out->v6.sin6_family = AF_INET6;
		out->v6.sin6_port = htons(port);
		*len = sizeof(out->v6);
		return 0;
	}
	return -EINVAL;
}

int net_listen(const char *address, uint16_t port, struct km_err *err)
{
	const int on = 1;
	union address at;
	socklen_t len;
	int fd = -1;
	int rc;

	if (address == NULL || parse_address(address, port, &at, &len) != 0)
		return km_err_set(err, EINVAL, "listen address \"%.64s\": want a numeric one",
		                  address != NULL ? address : "");
	fd = socket(at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* A restart takes over while connections of the one before are in TIME_WAIT. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    bind(fd, &at.any, len) != 0 || listen(fd, BACKLOG) != 0) {
		rc = km_err_errno(err, errno, "listen on %s port %u", address, port);
		if (fd >= 0)
			(void)close(fd);
		return rc;
	}
	return fd;
}

uint16_t net_port(int listen_fd)
{
	union address at = { .any = { .sa_family = AF_UNSPEC } };
	socklen_t len = sizeof(at);

	if (getsockname(listen_fd, &at.any, &len) != 0)
		return 0;
	return ntohs(at.any.sa_family == AF_INET6 ? at.v6.sin6_port : at.v4.sin_port);
}

void net_wake(struct km_server *s)
{
	const uint64_t one = 1;

	/* Can only fail when the counter is full, and then the thread wakes all the same. */
	ssize_t written = write(s->wake_fd, &one, sizeof(one));

	(void)written;
}

/* With a reset instead of an orderly end: nothing of a refused connection stays in the kernel. */
static void refuse(struct km_server *s, int fd)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	(void)close(fd);
	km_counter_add(s->stats.refused_full, 1);
}

static void take(struct km_server *s, int fd, const union address *from, socklen_t from_len)
{
	const int on = 1;
	int worker = net_connections_hand(&s->connections, fd, km_clock_mono_ns(s->clock));

	if (worker < 0) {
		refuse(s, fd);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	km_counter_add(s->stats.accepted, 1);
	/* Only queued here; its thread says in a callback that it took it. On failure it closes. */
	if (MHD_add_connection(s->worker[worker], fd, &from->any, from_len) != MHD_YES)
		net_connections_unhand(&s->connections, fd);
}

/* returns false when the process has no descriptors left: try again later. */
static bool accept_some(struct km_server *s)
{
	for (int i = 0; i < ACCEPT_BURST; i++) {
		union address from;
		socklen_t len = sizeof(from);
		int fd = accept4(s->listen_fd, &from.any, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			take(s, fd, &from, len);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			return false;
		/* Nobody waits, or the socket was shut down meanwhile. */
		if (errno == EAGAIN || atomic_load(&s->quiesced))
			break;
	}
	return true;
}

static int64_t look_interval_ns(int64_t deadline_ns)
{
	int64_t ns = deadline_ns / LOOKS_PER_DEADLINE;

	if (ns < LOOK_MIN_NS)
		return LOOK_MIN_NS;
	return ns > LOOK_MAX_NS ? LOOK_MAX_NS : ns;
}

/* returns when to look next. */
static int64_t look(struct km_server *s, int64_t now_ns)
{
	int64_t deadline_ns = atomic_load(&s->deadline_ns);

	km_counter_add(s->stats.deadline_closed,
	               net_connections_watch(&s->connections, now_ns, deadline_ns));
	return now_ns + look_interval_ns(deadline_ns);
}

static int timeout_ms(const struct km_server *s, bool exhausted, bool lingers, int64_t next_ns)
{
	int64_t left_ns = next_ns - km_clock_mono_ns(s->clock);

	if (!exhausted && !lingers && atomic_load(&s->connections.count) == 0)
		return -1;
	return left_ns <= 0 ? 0 : (int)((left_ns + KM_NS_PER_MS - 1) / KM_NS_PER_MS);
}

void *net_accept_loop(void *arg)
{
	struct km_server *s = arg;
	int64_t next_ns = 0;
	bool exhausted = false;

	(void)pthread_setname_np(pthread_self(), "km-accept");
	while (!atomic_load(&s->stopping)) {
		bool accepts = !exhausted && !atomic_load(&s->quiesced);
		struct pollfd fds[FIXED_FDS + NET_LINGER_MAX] = {
			{ .fd = s->wake_fd, .events = POLLIN },
			{ .fd = accepts ? s->listen_fd : -1, .events = POLLIN },
		};
		unsigned lingering = net_linger_poll(&s->linger, fds + FIXED_FDS);
		uint64_t woken;
		int64_t now_ns;

		(void)poll(fds, FIXED_FDS + lingering,
		           timeout_ms(s, exhausted, lingering > 0, next_ns));
		if (fds[0].revents != 0 && read(s->wake_fd, &woken, sizeof(woken)) < 0)
			continue;
		if (fds[1].revents != 0)
			exhausted = !accept_some(s);
		now_ns = km_clock_mono_ns(s->clock);
		net_linger_read(&s->linger, fds + FIXED_FDS, lingering, now_ns);
		if (now_ns >= next_ns) {
			next_ns = look(s, now_ns);
			exhausted = false;
		}
	}
	return NULL;
}

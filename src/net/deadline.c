/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open connections and the deadline of the request on each. libmicrohttpd's timeout counts from
 * the last byte, so a client that drips holds a connection for ever, and it has no callback for a
 * request's first byte. The kernel counts what it received, though: a connection on which more
 * bytes arrived than when its last answer was finished has a request in progress.
 *
 * What this cannot see: bytes of a next request that came before the end of the one before it
 * (pipelining) count as old until one more arrives; libmicrohttpd's idle timeout has those.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "net_internal.h"

#define FIRST_SLOTS 64

/* TCP_CLOSE_WAIT of <netinet/tcp.h>, which does not go together with <linux/tcp.h>. */
#define STATE_CLOSE_WAIT 8

int net_connections_init(struct net_connections *c, uint32_t limit, uint32_t workers,
                         struct km_gauge *gauge)
{
	*c = (struct net_connections){ .limit = limit, .workers = workers, .gauge = gauge };
	km_gauge_set(gauge, 0);
	return -pthread_mutex_init(&c->lock, NULL);
}

void net_connections_fini(struct net_connections *c)
{
	for (size_t i = 0; i < c->slots; i++)
		free(c->by_fd[i]);
	free(c->by_fd);
	(void)pthread_mutex_destroy(&c->lock);
}

/* Descriptors are small numbers that come back: a table by number, with entries that stay. */
static struct net_connection *entry(struct net_connections *c, int fd)
{
	size_t at = (size_t)fd;

	if (at >= c->slots) {
		size_t slots = c->slots > 0 ? c->slots : FIRST_SLOTS;
		struct net_connection **grown;

		while (slots <= at)
			slots *= 2;
		grown = reallocarray(c->by_fd, slots, sizeof(struct net_connection *));
		if (grown == NULL)
			return NULL;
		for (size_t i = c->slots; i < slots; i++)
			grown[i] = NULL;
		c->by_fd = grown;
		c->slots = slots;
	}
	if (c->by_fd[at] == NULL)
		c->by_fd[at] = calloc(1, sizeof(*c->by_fd[at]));
	return c->by_fd[at];
}

static uint32_t least_loaded(const struct net_connections *c)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < c->workers; i++) {
		if (c->of_worker[i] < c->of_worker[best])
			best = i;
	}
	return best;
}

static void release(struct net_connections *c, struct net_connection *conn)
{
	conn->state = NET_FREE;
	c->of_worker[conn->worker]--;
	(void)atomic_fetch_sub(&c->count, 1);
	km_gauge_add(c->gauge, -1);
}

int net_connections_hand(struct net_connections *c, int fd, int64_t now_ns)
{
	struct net_connection *conn;
	int rc;

	(void)pthread_mutex_lock(&c->lock);
	conn = entry(c, fd);
	/* A daemon out of memory drops what it was handed without a word; it shows here, when the
	 * kernel gives the number out again. */
	if (conn != NULL && conn->state != NET_FREE)
		release(c, conn);
	if (conn == NULL) {
		rc = -ENOMEM;
	} else if (atomic_load(&c->count) >= c->limit) {
		rc = -ENFILE;
	} else {
		conn->fd = fd;
		conn->worker = least_loaded(c);
		conn->state = NET_HANDED;
		conn->started = false;
		conn->since_ns = now_ns;
		conn->since = 0;
		conn->linger_bytes = 0;
		conn->proof = (struct net_proof){ .number = 0 };
		atomic_store(&conn->answered, 0);
		atomic_store(&conn->answered_bytes, 0);
		c->of_worker[conn->worker]++;
		(void)atomic_fetch_add(&c->count, 1);
		km_gauge_add(c->gauge, 1);
		rc = (int)conn->worker;
	}
	(void)pthread_mutex_unlock(&c->lock);
	return rc;
}

void net_connections_unhand(struct net_connections *c, int fd)
{
	(void)pthread_mutex_lock(&c->lock);
	release(c, c->by_fd[fd]);
	(void)pthread_mutex_unlock(&c->lock);
}

struct net_connection *net_connections_opened(struct net_connections *c, int fd)
{
	struct net_connection *conn;

	(void)pthread_mutex_lock(&c->lock);
	conn = c->by_fd[fd];
	conn->state = NET_OPEN;
	(void)pthread_mutex_unlock(&c->lock);
	return conn;
}

void net_connections_closed(struct net_connections *c, struct net_connection *conn)
{
	(void)pthread_mutex_lock(&c->lock);
	release(c, conn);
	(void)pthread_mutex_unlock(&c->lock);
}

/* What the kernel knows of a connection; zeros when it does not say. */
static struct tcp_info look_at(int fd)
{
	struct tcp_info info = { .tcpi_bytes_received = 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		info = (struct tcp_info){ .tcpi_bytes_received = 0 };
	return info;
}

bool net_counts_received(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	       len >= offsetof(struct tcp_info, tcpi_bytes_received) +
	                       sizeof(info.tcpi_bytes_received);
}

void net_connection_answered(struct net_connection *conn)
{
	atomic_store_explicit(&conn->answered_bytes, look_at(conn->fd).tcpi_bytes_received,
	                      memory_order_relaxed);
	/* Behind the bytes: whoever sees this number sees the bytes that belong to it. */
	(void)atomic_fetch_add_explicit(&conn->answered, 1, memory_order_release);
}

/* Whether the request on it, or a new connection's wait for one, began before `limit_ns`. */
static bool is_overdue(struct net_connection *conn, int64_t now_ns, int64_t limit_ns)
{
	uint64_t answered = atomic_load_explicit(&conn->answered, memory_order_acquire);
	struct tcp_info info;

	/* A whole request may come and go between this load and the kernel's count below; the next
	 * look then finds another number here and forgets what this one noticed. */
	if (answered != conn->since) {
		conn->since = answered;
		conn->started = false;
	}
	info = look_at(conn->fd);
	/*
	 * The peer will send no more, but libmicrohttpd may not have noticed: when the end came
	 * together with a request it reads the one and not the other, and epoll does not say it
	 * twice, but for this.
	 */
	if (info.tcpi_state == STATE_CLOSE_WAIT)
		(void)shutdown(conn->fd, SHUT_RD);
	if (!conn->started) {
		if (info.tcpi_bytes_received >
		    atomic_load_explicit(&conn->answered_bytes, memory_order_relaxed)) {
			conn->started = true;
			conn->since_ns = now_ns;
		} else if (answered > 0) {
			return false; /* idle between requests */
		}
	}
	return conn->since_ns <= limit_ns;
}

uint32_t net_connections_watch(struct net_connections *c, int64_t now_ns, int64_t deadline_ns)
{
	uint32_t shut = 0;

	(void)pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->slots; i++) {
		struct net_connection *conn = c->by_fd[i];

		if (conn == NULL || conn->state != NET_OPEN ||
		    !is_overdue(conn, now_ns, now_ns - deadline_ns))
			continue;
		/* Neither this nor TCP_INFO waits for anything, and only under the lock is the
		 * number surely still this connection's. The daemon sees the end and closes. */
		(void)shutdown(conn->fd, SHUT_RDWR);
		conn->since_ns = now_ns; /* once more if it does not close */
		shut++;
	}
	(void)pthread_mutex_unlock(&c->lock);
	return shut;
}

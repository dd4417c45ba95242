/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that were answered before their request was read to its end. Closed at once, the
 * kernel would reset them, and a client that is still sending sees a broken pipe instead of the
 * answer: two thirds of Go's did. So they stay a while half closed, and what comes is thrown away.
 *
 * The daemons' threads bring connections, the accept thread takes them over and has them for
 * itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_internal.h"

#define LINGER_NS (2 * KM_NS_PER_S)
#define READ_MAX  ((size_t)1024 * 1024) /* at a time: others wait for the thread too */

void net_linger_init(struct net_linger *l)
{
	*l = (struct net_linger){ .lock = PTHREAD_MUTEX_INITIALIZER };
}

void net_linger_fini(struct net_linger *l)
{
	for (unsigned i = 0; i < l->count; i++)
		(void)close(l->at[i].fd);
	for (unsigned i = 0; i < l->arrived; i++)
		(void)close(l->arrival[i].fd);
	(void)pthread_mutex_destroy(&l->lock);
}

bool net_linger_keep(struct net_linger *l, int fd, int64_t now_ns, size_t bytes)
{
	/* libmicrohttpd closes its own; the connection lives until the last is closed. */
	struct net_lingering one = { fcntl(fd, F_DUPFD_CLOEXEC, 0), now_ns + LINGER_NS, bytes };
	bool kept;

	if (one.fd < 0)
		return false;
	(void)shutdown(one.fd, SHUT_WR);
	(void)pthread_mutex_lock(&l->lock);
	kept = l->total < NET_LINGER_MAX;
	if (kept) {
		l->arrival[l->arrived++] = one;
		l->total++;
	}
	(void)pthread_mutex_unlock(&l->lock);
	if (!kept)
		(void)close(one.fd);
	return kept;
}

unsigned net_linger_poll(struct net_linger *l, struct pollfd *fds)
{
	(void)pthread_mutex_lock(&l->lock);
	for (unsigned i = 0; i < l->arrived; i++)
		l->at[l->count++] = l->arrival[i];
	l->arrived = 0;
	(void)pthread_mutex_unlock(&l->lock);
	for (unsigned i = 0; i < l->count; i++)
		fds[i] = (struct pollfd){ .fd = l->at[i].fd, .events = POLLIN };
	return l->count;
}

/* returns false when it is over: the peer is done, sends too much, or there is nothing to wait for.
 */
static bool read_on(struct net_lingering *one)
{
	/* MSG_TRUNC: TCP throws away instead of copying. */
	ssize_t got = recv(one->fd, NULL, READ_MAX, MSG_TRUNC | MSG_DONTWAIT);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	if (got == 0 || (size_t)got > one->left_bytes)
		return false;
	one->left_bytes -= (size_t)got;
	return true;
}

void net_linger_read(struct net_linger *l, const struct pollfd *fds, unsigned count, int64_t now_ns)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < count; i++) {
		struct net_lingering *one = &l->at[i];

		if (now_ns < one->until_ns && (fds[i].revents == 0 || read_on(one)))
			l->at[kept++] = *one;
		else
			(void)close(one->fd);
	}
	if (kept == count)
		return;
	l->count = kept;
	(void)pthread_mutex_lock(&l->lock);
	l->total -= count - kept;
	(void)pthread_mutex_unlock(&l->lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the HTTP server. One "km-accept" thread takes connections and watches their deadlines;
 * `threads` libmicrohttpd daemons, each with one epoll thread, serve them. A daemon's own pool
 * would share the listening socket, which leaves connections over the cap waiting in the backlog
 * and puts a scheduler's few connections on one thread by chance; here they go to the daemon with
 * the fewest, and what is over the cap is refused.
 */
#ifndef KM_NET_INTERNAL_H
#define KM_NET_INTERNAL_H

#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "km/net/server.h"

#include "tls_internal.h"

#define NET_THREADS_MAX 64

/* ---- connections and their deadlines: deadline.c ------------------------------------------- */

enum net_state {
	NET_FREE,
	NET_HANDED, /* given to a daemon, which has not said yet that it serves it */
	NET_OPEN
};

struct net_connection {
	int fd;
	uint32_t worker;
	enum net_state state;

	/* What the watch knows; touched by its thread, under the lock. */
	bool started;     /* bytes of a request not yet answered have been seen */
	int64_t since_ns; /* when; before any byte ever: when the connection was accepted */
	uint64_t since;   /* `answered` at that time: another value voids the two above */

	struct net_proof proof; /* that its client may ask; its daemon's thread */
	size_t linger_bytes;    /* to be read and dropped when it is closed; its daemon's thread */

	/* Written by the daemon's thread at the end of a request. */
	atomic_uint_fast64_t answered_bytes; /* received until then */
	atomic_uint_fast64_t answered;       /* requests so far */
};

struct net_connections {
	pthread_mutex_t lock;
	struct net_connection **by_fd; /* [slots]; NULL or a slot that is used again and again */
	size_t slots;
	uint32_t limit;
	uint32_t workers;
	uint32_t of_worker[NET_THREADS_MAX];
	atomic_uint count;      /* handed or open */
	struct km_gauge *gauge; /* the same; NULL = none */
};

int net_connections_init(struct net_connections *c, uint32_t limit, uint32_t workers,
                         struct km_gauge *gauge) KM_MUST_CHECK;
void net_connections_fini(struct net_connections *c);

/*
 * A connection was accepted. returns the daemon that gets it, or -ENFILE over the cap, -ENOMEM;
 * then the caller closes fd.
 */
int net_connections_hand(struct net_connections *c, int fd, int64_t now_ns) KM_MUST_CHECK;
/* The daemon did not want it and has closed it. */
void net_connections_unhand(struct net_connections *c, int fd);
/* The daemon serves it from now on. returns its entry, valid until _closed. */
struct net_connection *net_connections_opened(struct net_connections *c, int fd);
/* The daemon will close it, but has not yet: so an entry's fd is never another's. */
void net_connections_closed(struct net_connections *c, struct net_connection *conn);

/* A request is over, answered or not. Only the daemon's thread of that connection. */
void net_connection_answered(struct net_connection *conn);

/* Shuts what is over the deadline. returns how many. */
uint32_t net_connections_watch(struct net_connections *c, int64_t now_ns, int64_t deadline_ns);

/* Whether the kernel counts the bytes received on a socket; else no deadline can be kept. */
bool net_counts_received(int fd);

/* ---- connections that outlive their answer: linger.c ---- */

#define NET_LINGER_MAX 32 /* beside the cap; who comes on top is closed at once */

struct net_lingering {
	int fd;
	int64_t until_ns;
	size_t left_bytes;
};

struct net_linger {
	pthread_mutex_t lock; /* of these three */
	struct net_lingering arrival[NET_LINGER_MAX];
	unsigned arrived;
	unsigned total; /* arrived and taken over */

	struct net_lingering at[NET_LINGER_MAX]; /* the accept thread's */
	unsigned count;
};

void net_linger_init(struct net_linger *l);
void net_linger_fini(struct net_linger *l);

/*
 * The caller is about to close fd, on which all has been sent. Up to `bytes` that come are dropped.
 * returns false when it will be closed just so. Any thread; wake the accept thread then.
 */
bool net_linger_keep(struct net_linger *l, int fd, int64_t now_ns, size_t bytes);

/* Only the accept thread: what to poll for, fds [NET_LINGER_MAX], and what came of it. */
unsigned net_linger_poll(struct net_linger *l, struct pollfd *fds);
void net_linger_read(struct net_linger *l, const struct pollfd *fds, unsigned count,
                     int64_t now_ns);

/* ---- requests: request.c ------------------------------------------------------------------- */

struct km_request_source {
	struct MHD_Connection *connection;
};

enum net_aside_state {
	NET_ASIDE_NOT,
	NET_ASIDE_DONE,    /* the handler has run, or will before it is resumed */
	NET_ASIDE_REFUSED, /* the server ends */
};

struct net_request {
	struct net_request *next; /* in the free list, or among those to be served aside */
	struct km_http_request request;
	struct km_http_reply reply;
	struct km_request_source source;
	struct km_arena arena;
	struct km_buf body;
	size_t body_limit;
	size_t dropped_bytes; /* of a body that is refused but still arriving */
	int refused;          /* status of the refusal; 0 = none */
	enum net_aside_state aside;
};

/* Requests that wait for the next use, the last used first. */
struct net_recycler {
	pthread_mutex_t lock;
	struct net_request *head;
	size_t kept_bytes;
	uint32_t kept;
};

void net_recycler_init(struct net_recycler *r);
void net_recycler_fini(struct net_recycler *r);

/* libmicrohttpd's callbacks; cls is the server. */
enum MHD_Result net_on_request(void *cls, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_size, void **slot);
void net_on_completed(void *cls, struct MHD_Connection *connection, void **slot,
                      enum MHD_RequestTerminationCode why);

/* ---- requests that take long: aside.c -------------------------------------------------------- */

struct net_aside {
	pthread_t thread;
	bool running;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t given;
	struct net_request *head;
	struct net_request *tail;
	unsigned count; /* with the one being served */
	bool stopping;
};

int net_aside_start(struct km_server *s) KM_MUST_CHECK;
/*
 * Suspends the request's connection and hands it over; it comes back by net_on_request. returns
 * false when there is no room: nothing happened.
 */
bool net_aside_give(struct km_server *s, struct net_request *r);
/* Ends the one being served, resumes all. Before the daemons end; without effect when not running.
 */
void net_aside_stop(struct km_server *s);

/* ---- the listening socket and its thread: listen.c ------------------------------------------ */

/* Binds. returns the socket, or a negative errno with the address in the text. */
int net_listen(const char *address, uint16_t port, struct km_err *err) KM_MUST_CHECK;
uint16_t net_port(int listen_fd);
/* The thread: accepts and watches until the server's `stopping`. arg is the server. */
void *net_accept_loop(void *arg);
/* Makes the thread look at the server's flags. */
void net_wake(struct km_server *s);

/* ---- the server: server.c ------------------------------------------------------------------- */

struct net_stats {
	struct km_counter *accepted;
	struct km_counter *refused_full;
	struct km_counter *refused_body;
	struct km_counter *refused_memory;
	struct km_counter *refused_aside;
	struct km_counter *refused_certificate;
	struct km_counter *deadline_closed;
	struct km_counter *requests;
	struct km_counter *received_bytes;
	struct km_counter *sent_bytes;
};

struct km_server {
	struct km_server_options options; /* its strings are not kept */
	const struct km_clock *clock;
	atomic_size_t body_limit;
	atomic_int_fast64_t deadline_ns;

	int listen_fd;
	int wake_fd;
	uint16_t port;
	pthread_t accept_thread;
	bool accept_running;
	atomic_bool quiesced; /* accepts no more, answers with Connection: close */
	atomic_bool stopping;

	uint32_t workers;
	struct MHD_Daemon *worker[NET_THREADS_MAX];
	struct net_connections connections;
	struct net_linger linger;
	struct net_recycler recycler;
	struct net_aside aside;
	atomic_size_t bodies_bytes; /* of all requests in progress */

	atomic_uint in_progress; /* from a request's headers until its end */
	pthread_mutex_t drain_lock;
	pthread_cond_t drained; /* on CLOCK_MONOTONIC */

	struct net_stats stats;
};

#endif

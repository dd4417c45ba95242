/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP in: listens, limits, deadlines; hands whole requests to one handler and sends what it wrote.
 * Knows no route, no JSON, no Kubernetes. The only room with libmicrohttpd.
 *
 * Memory of a request (body, arena, reply) belongs to the request and is recycled after it is
 * answered: nothing of it may be kept without a copy.
 */
#ifndef KM_NET_SERVER_H
#define KM_NET_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/arena.h"
#include "km/base/buf.h"
#include "km/base/clock.h"
#include "km/base/err.h"
#include "km/metrics/metrics.h"
#include "km/net/tls.h"

struct km_server;
struct km_request_source; /* libmicrohttpd's side of a request */

enum km_http_method { KM_HTTP_GET, KM_HTTP_HEAD, KM_HTTP_POST, KM_HTTP_PUT, KM_HTTP_OTHER };

struct km_http_request {
	enum km_http_method method;
	const char *path; /* decoded by nobody: as received, without the query */
	const char *body; /* not NUL-terminated; NULL when there is none */
	size_t body_len;
	uint64_t id; /* unique in this process: logs and answers agree on it */
	struct km_arena *arena;
	const struct km_request_source *source;
};

struct km_http_reply {
	int status;               /* 200 by default */
	const char *content_type; /* static storage; "application/json" by default */
	const char *allow;        /* for 405: "GET, HEAD"; static storage or NULL */
	char etag[40];            /* quoted, "" = none */
	struct km_buf body;       /* the handler appends; recycled by the server */
};

/* Value of a request header or query argument; borrowed for the request, NULL when absent. */
const char *km_http_header(const struct km_http_request *r, const char *name);
const char *km_http_query(const struct km_http_request *r, const char *name);

/*
 * Answers one request. Called on any of the pool's threads, several at once; must not block long.
 * When the body is over the limit the handler is not asked; `refuse` writes that answer.
 */
typedef void km_http_handler(void *ctx, const struct km_http_request *req,
                             struct km_http_reply *reply);

/*
 * Whether a request is served aside, because it takes long: by one thread ("km-aside"), one after
 * the other, while those beside it on its connection's thread go on. Called on any of the pool's
 * threads.
 */
typedef bool km_http_aside(void *ctx, const struct km_http_request *req);

/* So many at once, waiting ones included; on top of them 503. */
#define KM_HTTP_ASIDE_MAX 8

/*
 * Whether a request is answered although its client has no certificate where others need one:
 * kubelet's probes have none.
 */
typedef bool km_http_open(void *ctx, const struct km_http_request *req);

/* Writes the body of an answer that the server itself decides: 403, 413, 503 (out of memory). */
typedef void km_http_refuse(void *ctx, int status, const char *message,
                            struct km_http_reply *reply);

struct km_server_options {
	const char *address; /* numeric, IPv4 or IPv6 */
	uint16_t port;       /* 0 = the kernel picks */
	size_t body_bytes;   /* larger bodies: 413, also announced by Content-Length alone */
	uint32_t connections;
	int64_t request_deadline_ns; /* from a request's first byte until its answer is sent */
	int64_t idle_ns;             /* a keep-alive connection without a request */
	uint32_t threads;
	/* Run once on each of the threads before its first request; NULL = nothing. */
	void (*thread_init)(void);
	km_http_handler *handler;
	km_http_refuse *refuse;
	km_http_aside *aside; /* NULL = none is */
	struct km_tls *tls;   /* borrowed until _free; NULL = plain HTTP */
	km_http_open *open;   /* NULL = none is */
	void *ctx;
	struct km_metrics *metrics; /* NULL = none */
	const char *name;           /* "listen" or "observe": a metric label; static storage */
};

/*
 * Binds and starts serving. The options' strings are borrowed for the call, ctx until _free.
 * returns 0 and *out owned; -EADDRINUSE, -EADDRNOTAVAIL, -EINVAL, ... with the address in the text.
 */
int km_server_start(const struct km_server_options *options, struct km_server **out,
                    struct km_err *err) KM_MUST_CHECK;

uint16_t km_server_port(const struct km_server *s);

/* Limits that may change while serving (SIGHUP). Any thread. */
void km_server_set_limits(struct km_server *s, size_t body_bytes, int64_t request_deadline_ns);

/* Connections open now. */
uint32_t km_server_connections(const struct km_server *s);

/* Stops accepting at once; requests in progress go on. */
void km_server_quiesce(struct km_server *s);

/*
 * Waits until no request is in progress, at most drain_ns, then closes everything and frees.
 * NULL allowed. returns requests that were cut off.
 */
uint32_t km_server_free(struct km_server *s, int64_t drain_ns);

#endif

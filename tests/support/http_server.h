/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A km_server inside the test's own process, with a handler that says what it was asked. Requests
 * go to it as bytes, by support/wire.h.
 *
 *   GET /hold      is answered only after http_server_release()
 *   GET /big?n=N   N bytes of body
 *   GET /fail      the handler runs out of memory
 *   anything else  "METHOD path length checksum query=... header=..." (argument q, header X-Test)
 */
#ifndef KM_TESTS_HTTP_SERVER_H
#define KM_TESTS_HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "km/metrics/metrics.h"
#include "km/net/server.h"

#include "support/wire.h"

struct http_server {
	struct km_server *server; /* NULL = not running */
	struct km_metrics *metrics;
	struct daemon at; /* only its port, for wire_call and daemon_connect */
};

/* 1 MB bodies, 16 connections, a deadline of 20 s, idle 20 s, 2 threads. */
struct km_server_options http_server_options(void);

/* Starts; the test fails if that does. */
void http_server_start(struct http_server *s, const struct km_server_options *options);
/* Frees it all; fails the test if a request was cut off. */
void http_server_stop(struct http_server *s);

/* How many requests are held now, and letting them go. */
unsigned http_server_held(void);
bool http_server_wait_held(unsigned count);
void http_server_release(void);

/* Memory of the last request's body, and how many threads have been initialised so far. */
const void *http_server_last_body(void);
unsigned http_server_threads(void);

/* A line of the exposition: true when `line` is in it within the usual patience. */
bool http_server_wait_metric(struct http_server *s, const char *line);

/* Checksum as the handler writes it. */
uint32_t http_sum(const char *bytes, size_t len);

/* Monotonic milliseconds. */
int64_t http_now_ms(void);
/* Milliseconds until the peer closes, reading and dropping; -1 = still open after `most_ms`. */
int64_t http_closed_after_ms(int fd, int64_t most_ms);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fake HTTP server in a thread of the test: it reads requests and plays its turns, one a request,
 * as bytes that the test spells, right or wrong. It knows no HTTP but where a request ends.
 */
#ifndef KM_TESTS_RAW_SERVER_H
#define KM_TESTS_RAW_SERVER_H

#include <pthread.h>
#include <stddef.h>

enum raw_then {
	RAW_KEEP,  /* the next turn is on the same connection */
	RAW_CLOSE, /* in an orderly way */
	RAW_RESET,
	RAW_HOLD /* silent, until the peer closes or the server is stopped */
};

struct raw_turn {
	const char *bytes;
	size_t len; /* 0 = strlen */
	enum raw_then then;
};

#define RAW_TURNS_MAX   16
#define RAW_REQUEST_MAX 8192

struct raw_server {
	int port;
	int listen_fd;
	int stop_fd;
	pthread_t thread;
	const struct raw_turn *turn; /* [turns] */
	size_t turns;
	/* Filled by the thread; read them after raw_server_stop. */
	size_t connections;
	size_t requests;
	char request[RAW_TURNS_MAX][RAW_REQUEST_MAX]; /* head and body, cut to what fits */
};

/* Fails the test when it cannot. turns are borrowed until _stop. */
void raw_server_start(struct raw_server *s, const struct raw_turn *turn, size_t turns);
void raw_server_stop(struct raw_server *s);

/* A socket of 127.0.0.1 that is bound, so nobody else's, and does not listen. */
int raw_bind(int *port);

#endif

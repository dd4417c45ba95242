/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes to and from a daemon under test: requests as the test spells them, answers read whole by
 * their Content-Length; and synthetic traces for it to replay. A wait ends after WIRE_PATIENCE_MS.
 */
#ifndef KM_TESTS_WIRE_H
#define KM_TESTS_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "km/base/buf.h"

#include "support/daemon.h"

#define WIRE_PATIENCE_MS 30000

/* Writes dir/NAME.csv with tests/gen_trace: 300 s of 8 CPUs beside that interference. */
void wire_trace(const struct daemon *d, const char *name, const char *interference, int seed);

/* Writes the configuration, in which "@DIR@" stands for the directory. */
void wire_configure(const struct daemon *d, const char *yaml);
/* The same, then starts and waits until ready. */
void wire_start(struct daemon *d, const char *yaml);

/* The value of a series, as /metrics shows it before the blank; NaN when there is none. */
double wire_metric(const struct daemon *d, const char *series);
/* Waits until the series has at least this value. returns what it has. */
double wire_wait_metric(const struct daemon *d, const char *series, double least);

/* Waits until `traces` replayed traces are at their end and what they say is published. */
void wire_wait_replayed(const struct daemon *d, int traces);

/* SIGTERM; the test fails unless the daemon exits with 0. Frees all. */
void wire_stop(struct daemon *d);
/* The same as a fixture of cmocka, beside daemon_set_up. */
int wire_tear_down(void **state);

/* One answer, read whole. */
struct wire_answer {
	int status;         /* 0: the connection was closed without one */
	struct km_buf head; /* status line and headers, NUL-terminated */
	struct km_buf body; /* by Content-Length, NUL-terminated */
};

void wire_answer_init(struct wire_answer *a);
void wire_answer_fini(struct wire_answer *a);

/* returns false when the peer closed meanwhile. */
bool wire_send(int fd, const void *bytes, size_t len);
/* Reads one answer; no_body for HEAD. returns false when the peer closed before its end. */
bool wire_receive(int fd, bool no_body, struct wire_answer *a);

/* One request on a connection of its own; extra header lines: "" or "A: b\r\n". */
void wire_call(const struct daemon *d, const char *method, const char *path, const char *headers,
               const void *body, size_t len, struct wire_answer *a);

#endif

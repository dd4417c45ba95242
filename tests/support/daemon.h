/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kubemarlad of one's own for a test: started on a free port in a temporary directory, asked over
 * a plain socket, watched through its log. Every wait has a deadline and wakes on what it waits
 * for.
 */
#ifndef TESTS_SUPPORT_DAEMON_H
#define TESTS_SUPPORT_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define DAEMON_WAIT_MS 20000 /* far beyond what anything takes: a sanitizer on a busy machine */

struct daemon {
	pid_t pid; /* 0 = not running */
	int port;
	int out;        /* its standard output */
	int log;        /* its standard error */
	char dir[64];   /* removed by daemon_fini */
	char path[128]; /* of the configuration in it */
	unsigned files; /* descriptors it may have at most; 0 = as many as we may */
	char *text;     /* the log so far, NUL-terminated */
	size_t len;
};

struct answer {
	int status; /* 0 = no whole answer came */
	char *head;
	char *body; /* in the same memory as head */
	size_t body_len;
};

/* Makes the directory. Then write files into it, before and between starts. */
void daemon_init(struct daemon *d);
/* Kills what still runs, removes the directory with everything in it. */
void daemon_fini(struct daemon *d);

/* The same as fixtures of cmocka: *state is a daemon on the heap, not started yet. */
int daemon_set_up(void **state);
int daemon_tear_down(void **state);

/* Writes `text` as dir/name; readers see the old or the new file. */
void daemon_write(const struct daemon *d, const char *name, const char *text);

/*
 * Starts build/kubemarlad with dir/kubemarla.yaml on a free port. returns true once the ready line
 * was there; false when the process ended before (the log is in text, see daemon_exit_code).
 */
bool daemon_start(struct daemon *d);

/* Waits until the log contains `needle` behind `from` (a position in text). returns success. */
bool daemon_wait_log(struct daemon *d, size_t from, const char *needle);

/* Sends a signal; waits for the end. returns the exit code, 128 + signal, or -1 past the deadline.
 */
void daemon_signal(const struct daemon *d, int signal_number);
int daemon_exit_code(struct daemon *d);

/* A connection to the daemon's port; -1 when refused. */
int daemon_connect(const struct daemon *d);

/* One request on a connection of its own; body NULL = none. Frees with answer_fini. */
void daemon_request(const struct daemon *d, const char *method, const char *path, const char *body,
                    struct answer *out);
void answer_fini(struct answer *a);

#endif

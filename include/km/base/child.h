/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child process on a short lead: what it says is read up to a limit, its end is a file descriptor
 * to wait for, and whatever goes wrong it is gone and reaped afterwards. Between fork and exec only
 * system calls are made, so a process with threads may start one.
 */
#ifndef KM_BASE_CHILD_H
#define KM_BASE_CHILD_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "km/base/buf.h"
#include "km/base/cpuset.h"
#include "km/base/err.h"
#include "km/base/macros.h"

#define KM_CHILD_FDS       3
#define KM_CHILD_WORDS_MAX 120

struct km_child;

struct km_child_spec {
	/* NULL-terminated; argv[0] is a path when it has a slash, else looked for in PATH */
	const char *const *argv;
	int stdin_fd; /* borrowed; 0 = nothing to read (/dev/null) */
	/* 0 = thrown away, as what it says on stderr behind its last 4 KiB is */
	size_t max_out_bytes;
	const struct km_cpuset *cpus; /* NULL = as ours */
	/* cgroup.procs files it enters before it starts, NULL-terminated; NULL = none */
	const char *const *groups;
	int round_robin; /* SCHED_RR priority, where allowed; 0 = none */
	/*
	 * The signal it gets when the thread that started it ends, however; it then is the leader
	 * of a process group of its own as well, out of reach of a terminal's Ctrl-C. 0 = neither.
	 */
	int tied_signal;
};

/*
 * The whole path of a program; name as in argv[0] above. returns 0; -ENOENT or -EACCES with the
 * name in err; -ENAMETOOLONG.
 */
int km_child_find(const char *name, char *out, size_t out_size, struct km_err *err) KM_MUST_CHECK;

/*
 * A file without a name that holds the text, at its begin, for stdin_fd. returns it, to be closed
 * after the start, or a negative errno.
 */
int km_child_input(const struct km_buf *text) KM_MUST_CHECK;

/* returns 0 and *out owned; -ENOENT when there is no such program; another errno. */
int km_child_start(const struct km_child_spec *spec, struct km_child **out,
                   struct km_err *err) KM_MUST_CHECK;

/* What to wait for, by poll(2); a closed one is -1. Then km_child_serve. */
void km_child_poll(const struct km_child *c, struct pollfd fds[KM_CHILD_FDS]);

/* Reads what it said, without waiting. returns whether it has ended (and was reaped). */
bool km_child_serve(struct km_child *c);

/* Waits for its end. returns whether it came before limit_ns were over. */
bool km_child_await(struct km_child *c, int64_t limit_ns);

/* Sends a signal to it, or to its process group when it has one; nothing after its end. */
void km_child_signal(struct km_child *c, int signal);

/* Asks it to end by `signal`; after grace_ns by SIGKILL. Its descendants in its group as well. */
void km_child_stop(struct km_child *c, int signal, int64_t grace_ns);

pid_t km_child_pid(const struct km_child *c);
bool km_child_ended(const struct km_child *c);
/* Ended with status 0. */
bool km_child_succeeded(const struct km_child *c);
/* It said more than max_out_bytes; what is over is lost. */
bool km_child_overflowed(const struct km_child *c);
/* What it said on stdout so far; borrowed, may be appended to or cleared. */
struct km_buf *km_child_output(struct km_child *c);

/*
 * Why it ended, for an error text: "died of signal 9", else of its last words on stderr the first
 * line when `first`, else the last one; without any "ended with status 1". Control characters
 * become '?'. returns out.
 */
const char *km_child_words(const struct km_child *c, bool first, char out[KM_CHILD_WORDS_MAX + 1]);

/* SIGKILL for one that still runs. NULL allowed. */
void km_child_free(struct km_child *c);

/*
 * All of it in one call: start, read, await. What it says on stdout is appended to out
 * when it succeeds. returns 0; -ETIMEDOUT; -EFBIG; -EIO "NAME: its first words" when it fails; as
 * km_child_start.
 */
int km_child_run(const struct km_child_spec *spec, int64_t limit_ns, struct km_buf *out,
                 struct km_err *err) KM_MUST_CHECK;

#endif

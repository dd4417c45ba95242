/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libpcm prints to stdout and stderr, in every build, from several threads, and some of it on every
 * read. A pipe takes both; a thread of its own empties it even while a call into libpcm lasts, for
 * a full pipe would stop libpcm too.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "km/base/clock.h"
#include "km/base/log.h"
#include "km/base/macros.h"

#include "pcmd_internal.h"

#define LINE_BYTES   256 /* of a line that is logged or remembered; the rest is dropped */
#define BURST_LINES  16
#define EVERY_NS     (10 * KM_NS_PER_S) /* then one line each */
#define STOP_WAIT_NS (1 * KM_NS_PER_S)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of `done` */
static pthread_cond_t wake;

static struct {
	bool done;
	pthread_t thread;
	bool running;
	bool all;
	int fd; /* the pipe's end to read from */

	/* the thread's own until it is joined */
	char line[LINE_BYTES];
	size_t len;
	unsigned budget;
	int64_t refilled_ns;
	uint64_t left_out;
	char trouble[LINE_BYTES];
} chatter;

/* Does the line tell why something failed? By the words of PCM's messages. */
static bool sounds_like_trouble(const char *line)
{
	static const char *const words[] = { "error", "fail",   "can not",     "cannot",
		                             "can't", "denied", "unsupported", "not enabled",
		                             "busy",  "what():" };

	for (size_t i = 0; i < KM_ARRAY_LEN(words); i++) {
		if (strcasestr(line, words[i]) != NULL) {
			return true;
		}
	}
	return false;
}

static bool may_log(void)
{
	int64_t now_ns = km_clock_mono_ns(km_clock_system());

	if (chatter.budget < BURST_LINES && now_ns - chatter.refilled_ns >= EVERY_NS) {
		chatter.budget++;
		chatter.refilled_ns = now_ns;
	}
	if (!chatter.all && chatter.budget == 0) {
		return false;
	}
	chatter.budget -= chatter.budget > 0;
	return true;
}

static void take_line(void)
{
	chatter.line[chatter.len] = '\0';
	chatter.len = 0;
	if (chatter.line[strspn(chatter.line, " \t\r")] == '\0') {
		return;
	}
	if (sounds_like_trouble(chatter.line)) {
		memcpy(chatter.trouble, chatter.line, sizeof(chatter.trouble));
	}
	if (!may_log()) {
		chatter.left_out++;
		return;
	}
	if (chatter.left_out > 0) {
		km_log_info("pcm", "libpcm says \"%s\" left_out=%llu", chatter.line,
		            (unsigned long long)chatter.left_out);
	} else {
		km_log_info("pcm", "libpcm says \"%s\"", chatter.line);
	}
	chatter.left_out = 0;
}

static void *listen_to_it(void *unused)
{
	char bytes[4096];
	ssize_t n;

	(void)unused;
	while ((n = read(chatter.fd, bytes, sizeof(bytes))) > 0 || (n < 0 && errno == EINTR)) {
		for (ssize_t i = 0; i < n; i++) {
			if (bytes[i] == '\n') {
				take_line();
			} else if (chatter.len < sizeof(chatter.line) - 1 && bytes[i] != '\0') {
				chatter.line[chatter.len++] = bytes[i];
			}
		}
	}
	if (chatter.len > 0) {
		take_line();
	}
	pthread_mutex_lock(&lock);
	chatter.done = true;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static int init_wake(void)
{
	pthread_condattr_t attr;
	int rc = pthread_condattr_init(&attr);

	if (rc == 0) {
		rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
		rc = rc != 0 ? rc : pthread_cond_init(&wake, &attr);
		(void)pthread_condattr_destroy(&attr);
	}
	return rc;
}

/* returns whether the thread is at its end by then. */
static bool wait_done(const struct timespec *until)
{
	bool done;

	pthread_mutex_lock(&lock);
	while (!chatter.done && pthread_cond_timedwait(&wake, &lock, until) != ETIMEDOUT) {
	}
	done = chatter.done;
	pthread_mutex_unlock(&lock);
	return done;
}

int pcmd_chatter_start(bool all, int *out_fd, struct km_err *err)
{
	int log_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	int pipe_fd[2] = { -1, -1 };
	int rc;

	*out_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (*out_fd < 0 || log_fd < 0 || pipe2(pipe_fd, O_CLOEXEC) != 0) {
		return km_err_errno(err, errno, "pipe for libpcm's output");
	}
	km_log_set_fd(log_fd);
	/* libpcm shares this stdio: a line of it must not wait for 4 KiB of others */
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (dup2(pipe_fd[1], STDOUT_FILENO) < 0 || dup2(pipe_fd[1], STDERR_FILENO) < 0) {
		return km_err_errno(err, errno, "pipe for libpcm's output");
	}
	close(pipe_fd[1]);
	chatter.fd = pipe_fd[0];
	chatter.all = all;
	chatter.budget = BURST_LINES;
	rc = init_wake();
	if (rc == 0) {
		rc = pthread_create(&chatter.thread, NULL, listen_to_it, NULL);
	}
	if (rc != 0) {
		return km_err_errno(err, rc, "thread pcm-chatter");
	}
	(void)pthread_setname_np(chatter.thread, "pcm-chatter");
	chatter.running = true;
	return 0;
}

const char *pcmd_chatter_stop(void)
{
	int64_t until_ns = km_clock_mono_ns(km_clock_system()) + STOP_WAIT_NS;
	struct timespec until = { .tv_sec = (time_t)(until_ns / KM_NS_PER_S),
		                  .tv_nsec = (long)(until_ns % KM_NS_PER_S) };
	int null;

	if (!chatter.running) {
		return "";
	}
	chatter.running = false;
	(void)fflush(stdout);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0) {
		return "";
	}
	/* nobody can write to the pipe now: the thread comes to its end */
	if (!wait_done(&until)) {
		return "";
	}
	(void)pthread_join(chatter.thread, NULL);
	return chatter.trouble;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gnuplot as a child: the script is a file in memory, so it never waits for us; what it writes is
 * read up to a limit, until a deadline, and whatever goes wrong it is gone afterwards.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "km/base/clock.h"
#include "km/base/macros.h"

#include "report_internal.h"

#define PROGRAM         "gnuplot"
#define LIMIT_MS        20000u
#define MAX_BYTES       ((size_t)4 << 20)
#define COMPLAINT_BYTES 4096u
#define READ_BYTES      16384u
#define COMPLAINT_SHOWN 120

struct child {
	const char *program;
	pid_t pid;    /* 0 = none */
	int from_out; /* -1 = closed, as the next */
	int from_err;
	int64_t deadline_ns; /* monotonic */
};

static int64_t now_ns(void)
{
	return km_clock_mono_ns(km_clock_system());
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* A file without a name that holds the script, at its start. returns -errno. */
static int script_file(const struct km_buf *script)
{
	int fd = memfd_create("plot", MFD_CLOEXEC);
	size_t done = 0;

	while (fd >= 0 && done < script->len) {
		ssize_t n = write(fd, script->data + done, script->len - done);

		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0 && done == script->len && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	done = (size_t)errno;
	close_fd(&fd);
	return -(int)done;
}

static int set_actions(posix_spawn_file_actions_t *a, int in, int out, int err_fd)
{
	int rc = posix_spawn_file_actions_adddup2(a, in, STDIN_FILENO);

	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(a, out, STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(a, err_fd, STDERR_FILENO);
	return rc;
}

/* returns 0 or a positive errno. */
static int spawn(struct child *c, int in, int out, int err_fd)
{
	char program[] = PROGRAM; /* argv may be written to */
	char defaults[] = "-d";   /* no start-up file of the user's */
	posix_spawn_file_actions_t actions;
	int rc = posix_spawn_file_actions_init(&actions);

	if (rc != 0)
		return rc;
	rc = set_actions(&actions, in, out, err_fd);
	if (rc == 0)
		rc = posix_spawnp(&c->pid, c->program, &actions, NULL,
		                  (char *[]){ program, defaults, NULL }, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	if (rc != 0)
		c->pid = 0;
	return rc;
}

static int start(struct child *c, const struct km_buf *script, struct km_err *err)
{
	int out[2] = { -1, -1 };
	int complaint[2] = { -1, -1 };
	int in = script_file(script);
	int rc = in < 0 ? -in : 0;

	if (rc == 0 && (pipe2(out, O_CLOEXEC) != 0 || pipe2(complaint, O_CLOEXEC) != 0))
		rc = errno;
	if (rc == 0)
		rc = spawn(c, in, out[1], complaint[1]);
	close_fd(&in);
	close_fd(&out[1]);
	close_fd(&complaint[1]);
	c->from_out = out[0];
	c->from_err = complaint[0];
	if (rc == ENOENT)
		return km_err_set(err, ENOENT, "%s is not installed", c->program);
	return rc == 0 ? 0 : km_err_errno(err, EIO, "starting %s", c->program);
}

/* Milliseconds until the deadline; 0 when it is over. */
static int left_ms(const struct child *c)
{
	int64_t left = c->deadline_ns - now_ns();

	return left > 0 ? (int)(left / KM_NS_PER_MS) + 1 : 0;
}

/* Reads once; at the end closes *fd. What is over `max` bytes is thrown away and *over set. */
static void take(int *fd, struct km_buf *into, size_t max, bool *over)
{
	char bytes[READ_BYTES];
	ssize_t n = read(*fd, bytes, sizeof(bytes));

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0) {
		close_fd(fd);
		return;
	}
	if (into->len + (size_t)n > max) {
		*over = true;
		n = (ssize_t)(max - into->len);
	}
	km_buf_append(into, bytes, (size_t)n);
}

/* Until both pipes are at their end. */
static int listen_to(struct child *c, size_t max_bytes, struct km_buf *out,
                     struct km_buf *complaint, struct km_err *err)
{
	size_t max = out->len + max_bytes;
	bool too_long = false;
	bool cut = false;

	while (c->from_out >= 0 || c->from_err >= 0) {
		struct pollfd p[2] = { { c->from_out, POLLIN, 0 }, { c->from_err, POLLIN, 0 } };
		int left = left_ms(c);

		if (left == 0)
			return km_err_set(err, ETIMEDOUT, "%s did not finish in time", c->program);
		if (poll(p, KM_ARRAY_LEN(p), left) <= 0)
			continue; /* time is up, or a signal: the next round tells */
		if (p[0].revents != 0)
			take(&c->from_out, out, max, &too_long);
		if (p[1].revents != 0)
			take(&c->from_err, complaint, COMPLAINT_BYTES, &cut);
		if (too_long)
			return km_err_set(err, EFBIG, "%s drew more than %zu bytes", c->program,
			                  max_bytes);
	}
	return 0;
}

/* Its pipes are closed: it is about to end, or it is up to something. */
static int await_end(struct child *c, int *status, struct km_err *err)
{
	struct pollfd p = { pidfd_open(c->pid, 0), POLLIN, 0 };
	int left = left_ms(c);
	bool ended = false;

	if (p.fd < 0)
		return km_err_errno(err, EIO, "waiting for %s", c->program);
	while (!ended && left > 0) {
		ended = poll(&p, 1, left) > 0;
		left = left_ms(c);
	}
	(void)close(p.fd);
	if (!ended)
		return km_err_set(err, ETIMEDOUT, "%s did not finish in time", c->program);
	while (waitpid(c->pid, status, 0) < 0 && errno == EINTR)
		;
	c->pid = 0;
	return 0;
}

/* The first line that says something; gnuplot begins with blank ones. */
static int complain(const struct child *c, struct km_buf *complaint, int status, struct km_err *err)
{
	const char *text = km_buf_cstr(complaint);
	char line[COMPLAINT_SHOWN + 1];
	size_t len = 0;

	text += strspn(text, " \t\r\n");
	for (; len < COMPLAINT_SHOWN && text[len] != '\0' && text[len] != '\n'; len++) {
		line[len] = '?';
		if (text[len] >= ' ' && text[len] < 0x7f)
			line[len] = text[len];
	}
	line[len] = '\0';
	if (len == 0 && WIFSIGNALED(status))
		return km_err_set(err, EIO, "%s died of signal %d", c->program, WTERMSIG(status));
	if (len == 0)
		return km_err_set(err, EIO, "%s ended with status %d", c->program,
		                  WEXITSTATUS(status));
	return km_err_set(err, EIO, "%s: %s", c->program, line);
}

static void stop(struct child *c)
{
	close_fd(&c->from_out);
	close_fd(&c->from_err);
	if (c->pid == 0)
		return;
	(void)kill(c->pid, SIGKILL);
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
	c->pid = 0;
}

int plotter_run(const struct km_plotter *plotter, struct km_buf *script, struct km_buf *out,
                struct km_err *err)
{
	size_t max_bytes = plotter->max_bytes > 0 ? plotter->max_bytes : MAX_BYTES;
	uint32_t limit_ms = plotter->limit_ms > 0 ? plotter->limit_ms : LIMIT_MS;
	struct child c = {
		.program = plotter->program != NULL ? plotter->program : PROGRAM,
		.from_out = -1,
		.from_err = -1,
		.deadline_ns = now_ns() + (int64_t)limit_ms * KM_NS_PER_MS,
	};
	struct km_buf complaint;
	int status = 0;
	int rc;

	km_buf_init(&complaint);
	rc = start(&c, script, err);
	if (rc == 0)
		rc = listen_to(&c, max_bytes, out, &complaint, err);
	if (rc == 0)
		rc = await_end(&c, &status, err);
	stop(&c);
	if (rc == 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
		rc = complain(&c, &complaint, status, err);
	if (rc == 0 && !km_buf_ok(out))
		rc = km_err_set(err, ENOMEM, "plot: out of memory");
	km_buf_fini(&complaint);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a child: what it says is kept within bounds, its end is waited for with a deadline.
 */
#include "km/base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "km/base/clock.h"

#include "child_internal.h"

#define READ_BYTES  16384
#define WORDS_BYTES ((size_t)4096)
#define NAME_BYTES  64

struct km_child {
	char name[NAME_BYTES];
	pid_t pid;
	int pidfd;
	int from_out, from_err; /* -1 = at its end */
	bool grouped, ended, over;
	int status;
	size_t max_out;
	struct km_buf out, words;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void set_name(struct km_child *c, const char *argv0)
{
	const char *slash = strrchr(argv0, '/');

	(void)snprintf(c->name, sizeof(c->name), "%s", slash != NULL ? slash + 1 : argv0);
}

/* Its pipes and what it reads; the far ends go to *ends. */
static int set_up(struct km_child *c, const struct km_child_spec *spec, struct child_ends *ends)
{
	int out[2] = { -1, -1 };
	int words[2] = { -1, -1 };

	if (pipe2(out, O_CLOEXEC) != 0)
		return -errno;
	c->from_out = out[0];
	ends->out = out[1];
	if (pipe2(words, O_CLOEXEC) != 0)
		return -errno;
	c->from_err = words[0];
	ends->err = words[1];
	if (fcntl(c->from_out, F_SETFL, O_NONBLOCK) != 0 ||
	    fcntl(c->from_err, F_SETFL, O_NONBLOCK) != 0)
		return -errno;
	ends->in = spec->stdin_fd > 0 ? spec->stdin_fd : open("/dev/null", O_RDONLY | O_CLOEXEC);
	return ends->in < 0 ? -errno : 0;
}

int km_child_input(const struct km_buf *text)
{
	int fd = memfd_create("input", MFD_CLOEXEC);
	size_t done = 0;

	while (fd >= 0 && done < text->len) {
		ssize_t n = write(fd, text->data + done, text->len - done);

		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0 && done == text->len && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	done = (size_t)errno;
	if (fd >= 0)
		(void)close(fd);
	return -(int)done;
}

int km_child_start(const struct km_child_spec *spec, struct km_child **out, struct km_err *err)
{
	struct child_ends ends = { -1, -1, -1 };
	struct km_child *c;
	char path[PATH_MAX];
	int rc;

	*out = NULL;
	rc = km_child_find(spec->argv[0], path, sizeof(path), err);
	if (rc != 0)
		return rc;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return km_err_set(err, ENOMEM, "%.60s: out of memory", spec->argv[0]);
	c->from_out = c->from_err = c->pidfd = -1;
	c->max_out = spec->max_out_bytes;
	c->grouped = spec->tied_signal != 0;
	c->ended = true; /* there is none yet */
	km_buf_init(&c->out);
	km_buf_init(&c->words);
	set_name(c, spec->argv[0]);
	rc = set_up(c, spec, &ends);
	if (rc != 0)
		rc = km_err_errno(err, -rc, "%.60s", c->name);
	else
		rc = child_spawn(spec, path, &ends, &c->pid, err);
	if (rc == 0) {
		c->ended = false;
		c->pidfd = pidfd_open(c->pid, 0);
		if (c->pidfd < 0)
			rc = km_err_errno(err, errno, "%.60s: pidfd", c->name);
	}
	close_fd(&ends.out);
	close_fd(&ends.err);
	if (spec->stdin_fd <= 0)
		close_fd(&ends.in);
	if (rc != 0) {
		km_child_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void km_child_poll(const struct km_child *c, struct pollfd fds[KM_CHILD_FDS])
{
	fds[0] = (struct pollfd){ c->ended ? -1 : c->pidfd, POLLIN, 0 };
	fds[1] = (struct pollfd){ c->from_out, POLLIN, 0 };
	fds[2] = (struct pollfd){ c->from_err, POLLIN, 0 };
}

static void keep_output(struct km_child *c, const char *bytes, size_t n)
{
	size_t room = c->out.len < c->max_out ? c->max_out - c->out.len : 0;

	c->over = c->over || (n > room && c->max_out > 0);
	km_buf_append(&c->out, bytes, n < room ? n : room);
}

/* The last ones: whoever goes on and on says why at the end. */
static void keep_words(struct km_child *c, const char *bytes, size_t n)
{
	km_buf_append(&c->words, bytes, n);
	if (c->words.len > 2 * WORDS_BYTES) {
		memmove(c->words.data, c->words.data + c->words.len - WORDS_BYTES, WORDS_BYTES);
		c->words.len = WORDS_BYTES;
	}
}

static void take(struct km_child *c, int *fd, void (*keep)(struct km_child *, const char *, size_t))
{
	char bytes[READ_BYTES];

	while (*fd >= 0) {
		ssize_t n = read(*fd, bytes, sizeof(bytes));

		if (n > 0)
			keep(c, bytes, (size_t)n);
		else if (n < 0 && errno == EAGAIN)
			return;
		else if (n == 0 || errno != EINTR)
			close_fd(fd);
	}
}

bool km_child_serve(struct km_child *c)
{
	siginfo_t info = { .si_pid = 0 };
	bool over = c->ended;

	/* asked first, read then: what it said before its end is there when that has come */
	if (!over)
		over = waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		       info.si_pid == c->pid;
	take(c, &c->from_out, keep_output);
	take(c, &c->from_err, keep_words);
	if (over && !c->ended) {
		/* a process group lives as long as its members: those it left behind go too */
		if (c->grouped)
			(void)kill(-c->pid, SIGKILL);
		while (waitpid(c->pid, &c->status, 0) < 0 && errno == EINTR)
			;
		c->ended = true;
	}
	return c->ended;
}

static int64_t now_ns(void)
{
	return km_clock_mono_ns(km_clock_system());
}

bool km_child_await(struct km_child *c, int64_t limit_ns)
{
	int64_t deadline = now_ns() + limit_ns;

	while (!km_child_serve(c)) {
		int64_t left = deadline - now_ns();
		struct pollfd fds[KM_CHILD_FDS];

		if (left <= 0)
			return false;
		km_child_poll(c, fds);
		left = left / KM_NS_PER_MS + 1;
		(void)poll(fds, KM_CHILD_FDS, left < INT_MAX ? (int)left : INT_MAX);
	}
	return true;
}

void km_child_signal(struct km_child *c, int signal)
{
	if (!c->ended)
		(void)kill(c->grouped ? -c->pid : c->pid, signal);
}

void km_child_stop(struct km_child *c, int signal, int64_t grace_ns)
{
	if (km_child_serve(c))
		return;
	(void)kill(c->pid, signal);
	if (km_child_await(c, grace_ns))
		return;
	km_child_signal(c, SIGKILL);
	(void)km_child_await(c, INT64_MAX / 2);
}

pid_t km_child_pid(const struct km_child *c)
{
	return c->pid;
}

bool km_child_ended(const struct km_child *c)
{
	return c->ended;
}

bool km_child_succeeded(const struct km_child *c)
{
	return c->ended && WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0;
}

bool km_child_overflowed(const struct km_child *c)
{
	return c->over;
}

struct km_buf *km_child_output(struct km_child *c)
{
	return &c->out;
}

const char *km_child_words(const struct km_child *c, bool first, char out[KM_CHILD_WORDS_MAX + 1])
{
	const char *p = c->words.data;
	const char *end = p != NULL ? p + c->words.len : p;
	size_t len = 0;

	while (p < end && strchr(" \t\r\n", end[-1]) != NULL)
		end--;
	while (p < end && strchr(" \t\r\n", *p) != NULL)
		p++;
	for (const char *q = end; !first && q > p; q--) {
		if (q[-1] == '\n') {
			p = q;
			break;
		}
	}
	for (; len < KM_CHILD_WORDS_MAX && p < end && *p != '\n'; p++) {
		out[len] = '?';
		if (*p >= ' ' && *p < 0x7f)
			out[len] = *p;
		len++;
	}
	out[len] = '\0';
	if (c->ended && WIFSIGNALED(c->status))
		(void)snprintf(out, KM_CHILD_WORDS_MAX + 1, "died of signal %d",
		               WTERMSIG(c->status));
	else if (len == 0)
		(void)snprintf(out, KM_CHILD_WORDS_MAX + 1, "ended with status %d",
		               WEXITSTATUS(c->status));
	return out;
}

void km_child_free(struct km_child *c)
{
	if (c == NULL)
		return;
	km_child_stop(c, SIGKILL, KM_NS_PER_S);
	close_fd(&c->pidfd);
	close_fd(&c->from_out);
	close_fd(&c->from_err);
	km_buf_fini(&c->out);
	km_buf_fini(&c->words);
	free(c);
}

/* Until it has ended; also ends at the first byte too many. */
static int listen_to(struct km_child *c, int64_t limit_ns, struct km_err *err)
{
	int64_t deadline = now_ns() + limit_ns;

	while (!km_child_serve(c) && !c->over) {
		int64_t left = deadline - now_ns();
		struct pollfd fds[KM_CHILD_FDS];

		if (left <= 0)
			return km_err_set(err, ETIMEDOUT, "%s did not finish in time", c->name);
		km_child_poll(c, fds);
		(void)poll(fds, KM_CHILD_FDS, (int)(left / KM_NS_PER_MS) + 1);
	}
	return c->over ? km_err_set(err, EFBIG, "%s said more than %zu bytes", c->name, c->max_out)
	               : 0;
}

int km_child_run(const struct km_child_spec *spec, int64_t limit_ns, struct km_buf *out,
                 struct km_err *err)
{
	char words[KM_CHILD_WORDS_MAX + 1];
	struct km_child *c;
	int rc = km_child_start(spec, &c, err);

	if (rc != 0 || c == NULL)
		return rc;
	rc = listen_to(c, limit_ns, err);
	if (rc == 0 && !km_child_succeeded(c))
		rc = km_err_set(err, EIO, "%s: %s", c->name, km_child_words(c, true, words));
	if (rc == 0)
		km_buf_append(out, c->out.data, c->out.len);
	if (rc == 0 && (!km_buf_ok(&c->out) || !km_buf_ok(out)))
		rc = km_err_set(err, ENOMEM, "%s: out of memory", c->name);
	km_child_free(c);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A kubemarlad of one's own for a test; see daemon.h. */
#include "support/daemon.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/err.h"
#include "km/base/file.h"
#include "km/base/num.h"

#define REQUEST_HEAD_MAX 512

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int left_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - now_ms();

	return left > 0 ? (int)left : 0;
}

/* The number in "<before>NUMBER<after>..." at the start of text. */
static bool number_between(const char *text, const char *before, char after, int *out)
{
	size_t skip = strlen(before);
	const char *end;
	int64_t value;

	if (strncmp(text, before, skip) != 0)
		return false;
	end = strchr(text + skip, after);
	if (end == NULL || km_num_int(text + skip, (size_t)(end - text) - skip, &value) != 0)
		return false;
	*out = (int)value;
	return true;
}

void daemon_init(struct daemon *d)
{
	memset(d, 0, sizeof(*d));
	d->out = -1;
	d->log = -1;
	(void)snprintf(d->dir, sizeof(d->dir), "/tmp/km-daemon-XXXXXX");
	assert_non_null(mkdtemp(d->dir));
	(void)snprintf(d->path, sizeof(d->path), "%s/kubemarla.yaml", d->dir);
	d->text = calloc(1, 1);
	assert_non_null(d->text);
}

static void forget_pipes(struct daemon *d)
{
	if (d->out >= 0)
		close(d->out);
	if (d->log >= 0)
		close(d->log);
	d->out = -1;
	d->log = -1;
}

void daemon_fini(struct daemon *d)
{
	char path[sizeof(d->dir) + 260];
	struct dirent *entry;
	DIR *dir;

	if (d->pid > 0) {
		(void)kill(d->pid, SIGKILL);
		(void)waitpid(d->pid, NULL, 0);
		d->pid = 0;
	}
	forget_pipes(d);
	dir = opendir(d->dir);
	while (dir != NULL && (entry = readdir(dir)) != NULL) { /* NOLINT: one thread */
		(void)snprintf(path, sizeof(path), "%s/%s", d->dir, entry->d_name);
		(void)unlink(path);
	}
	if (dir != NULL)
		(void)closedir(dir);
	(void)rmdir(d->dir);
	free(d->text);
	d->text = NULL;
}

int daemon_set_up(void **state)
{
	struct daemon *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return -1;
	daemon_init(d);
	*state = d;
	return 0;
}

int daemon_tear_down(void **state)
{
	daemon_fini(*state);
	free(*state);
	return 0;
}

void daemon_write(const struct daemon *d, const char *name, const char *text)
{
	struct km_err err = { .code = 0 };
	char path[sizeof(d->dir) + 64];

	(void)snprintf(path, sizeof(path), "%s/%s", d->dir, name);
	if (km_file_write_atomic(path, text, strlen(text), &err) != 0)
		fail_msg("%s", err.text);
}

/* In the child: only what is safe between fork and exec. */
static void become_daemon(const struct daemon *d, const char *program, int out, int log)
{
	const struct rlimit files = { .rlim_cur = d->files, .rlim_max = d->files };
	sigset_t none;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that dies leaves nothing behind */
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(log, STDERR_FILENO);
	if (d->files > 0)
		(void)setrlimit(RLIMIT_NOFILE, &files);
	(void)execl(program, "kubemarlad", "-c", d->path, "-l", "127.0.0.1:0", (char *)NULL);
	_exit(127);
}

/* Appends what is in the log pipe now. returns false at its end. */
static bool drain_log(struct daemon *d)
{
	char chunk[4096];
	ssize_t n = read(d->log, chunk, sizeof(chunk));

	if (n <= 0)
		return false;
	d->text = realloc(d->text, d->len + (size_t)n + 1);
	assert_non_null(d->text);
	memcpy(d->text + d->len, chunk, (size_t)n);
	d->len += (size_t)n;
	d->text[d->len] = '\0';
	return true;
}

/* Reads the ready line byte by byte (it is short), taking the log along so that nobody blocks. */
static bool read_ready(struct daemon *d)
{
	int64_t deadline_ms = now_ms() + DAEMON_WAIT_MS;
	char line[128];
	size_t len = 0;

	while (len < sizeof(line) - 1) {
		struct pollfd fds[2] = { { .fd = d->out, .events = POLLIN },
			                 { .fd = d->log, .events = POLLIN } };

		if (poll(fds, 2, left_ms(deadline_ms)) <= 0)
			return false;
		if (fds[1].revents != 0 && !drain_log(d) && fds[0].revents == 0)
			return false;
		if (fds[0].revents == 0)
			continue;
		if (read(d->out, line + len, 1) != 1)
			return false;
		if (line[len++] == '\n')
			break;
	}
	line[len] = '\0';
	return len > 0 && line[len - 1] == '\n' &&
	       number_between(line, "kubemarlad ready on 127.0.0.1:", '\n', &d->port);
}

bool daemon_start(struct daemon *d)
{
	const char *build = getenv("KM_BUILD"); /* NOLINT: one thread */
	char program[256];
	int out[2];
	int log[2];

	forget_pipes(d);
	d->len = 0;
	d->text[0] = '\0';
	(void)snprintf(program, sizeof(program), "%s/kubemarlad", build != NULL ? build : "build");
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(log, O_CLOEXEC), 0);
	d->pid = fork();
	assert_true(d->pid >= 0);
	if (d->pid == 0)
		become_daemon(d, program, out[1], log[1]);
	close(out[1]);
	close(log[1]);
	d->out = out[0];
	d->log = log[0];
	return read_ready(d);
}

bool daemon_wait_log(struct daemon *d, size_t from, const char *needle)
{
	int64_t deadline_ms = now_ms() + DAEMON_WAIT_MS;

	while (from > d->len || strstr(d->text + from, needle) == NULL) {
		struct pollfd fd = { .fd = d->log, .events = POLLIN };

		if (poll(&fd, 1, left_ms(deadline_ms)) <= 0 || !drain_log(d)) {
			print_error("no \"%s\" in the log:\n%s", needle, d->text);
			return false;
		}
	}
	return true;
}

void daemon_signal(const struct daemon *d, int signal_number)
{
	assert_int_equal(kill(d->pid, signal_number), 0);
}

int daemon_exit_code(struct daemon *d)
{
	int64_t deadline_ms = now_ms() + DAEMON_WAIT_MS;
	struct pollfd fds[2] = { { .events = POLLIN }, { .fd = d->log, .events = POLLIN } };
	bool log_open = true;
	int status = 0;

	fds[0].fd = pidfd_open(d->pid, 0);
	assert_true(fds[0].fd >= 0);
	do {
		if (poll(fds, log_open ? 2 : 1, left_ms(deadline_ms)) <= 0) {
			close(fds[0].fd);
			return -1;
		}
		if (log_open && fds[1].revents != 0)
			log_open = drain_log(d);
	} while (fds[0].revents == 0);
	close(fds[0].fd);
	while (log_open)
		log_open = drain_log(d);
	(void)waitpid(d->pid, &status, 0);
	d->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int daemon_connect(const struct daemon *d)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)d->port) };
	struct timeval limit = { .tv_sec = DAEMON_WAIT_MS / 1000 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
		close(fd);
		return -1;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

static bool send_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

void daemon_request(const struct daemon *d, const char *method, const char *path, const char *body,
                    struct answer *out)
{
	size_t body_len = body != NULL ? strlen(body) : 0;
	char head[REQUEST_HEAD_MAX];
	int fd = daemon_connect(d);
	size_t cap = 0;
	size_t len = 0;
	ssize_t n = 1;

	memset(out, 0, sizeof(*out));
	if (fd < 0)
		return;
	(void)snprintf(head, sizeof(head),
	               "%s %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
	               "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
	               method, path, body_len);
	if (send_all(fd, head, strlen(head)) && body_len > 0)
		(void)send_all(fd, body, body_len);
	while (n > 0) {
		if (cap - len < 2) {
			cap = cap * 2 + 4096;
			out->head = realloc(out->head, cap);
			assert_non_null(out->head);
		}
		n = recv(fd, out->head + len, cap - len - 1, 0);
		len += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	out->head[len] = '\0';
	out->body = strstr(out->head, "\r\n\r\n");
	if (out->body == NULL || !number_between(out->head, "HTTP/1.1 ", ' ', &out->status))
		return;
	out->body += 4;
	out->body_len = len - (size_t)(out->body - out->head);
}

void answer_fini(struct answer *a)
{
	free(a->head);
	memset(a, 0, sizeof(*a));
}

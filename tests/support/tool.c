/* SPDX-License-Identifier: Apache-2.0 */
/* The tool as a child; see tool.h. */
#include "support/tool.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/clock.h"

#include "support/wire.h"

#define ARGS_MAX 16

void tool_result_init(struct tool_result *r)
{
	r->code = -1;
	km_buf_init(&r->out);
	km_buf_init(&r->err);
}

void tool_result_fini(struct tool_result *r)
{
	km_buf_fini(&r->out);
	km_buf_fini(&r->err);
}

/* Where the tool's output goes: a pipe, or a terminal without any translation. */
static void open_output(unsigned columns, int *ours, int *its)
{
	struct winsize size = { .ws_row = 24, .ws_col = (unsigned short)columns };
	struct termios raw;
	int ends[2];

	if (columns == 0) {
		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		*ours = ends[0];
		*its = ends[1];
		return;
	}
	assert_int_equal(openpty(ours, its, NULL, NULL, &size), 0);
	assert_int_equal(tcgetattr(*its, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(*its, TCSANOW, &raw), 0);
	assert_int_equal(fcntl(*ours, F_SETFD, FD_CLOEXEC), 0);
}

/* In the child: only what is safe between fork and exec. */
static void become_tool(const char *program, char *const *argv, int in, int out, int err)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that dies leaves nothing behind */
	(void)dup2(in, STDIN_FILENO);
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(err, STDERR_FILENO);
	(void)execv(program, argv);
	_exit(127);
}

/* A file that is gone as soon as it is closed: standard input of any length needs no thread. */
static int input_file(const char *input)
{
	FILE *f = tmpfile();
	int fd;

	assert_non_null(f);
	if (input != NULL)
		assert_int_equal(fwrite(input, 1, strlen(input), f), strlen(input));
	assert_int_equal(fflush(f), 0);
	rewind(f);
	fd = dup(fileno(f));
	assert_true(fd >= 0);
	(void)fclose(f);
	return fd;
}

static void read_all(int out, int err, struct tool_result *r)
{
	struct pollfd fds[2] = { { .fd = out, .events = POLLIN }, { .fd = err, .events = POLLIN } };
	struct km_buf *to[2] = { &r->out, &r->err };
	int64_t until_ns =
		km_clock_mono_ns(km_clock_system()) + (int64_t)WIRE_PATIENCE_MS * KM_NS_PER_MS;

	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		int64_t left_ns = until_ns - km_clock_mono_ns(km_clock_system());

		if (left_ns <= 0 || poll(fds, 2, (int)(left_ns / KM_NS_PER_MS) + 1) <= 0)
			fail_msg("kubemarla is not done after %d ms", WIRE_PATIENCE_MS);
		for (int i = 0; i < 2; i++) {
			char chunk[65536];
			ssize_t got;

			if (fds[i].fd < 0 || fds[i].revents == 0)
				continue;
			got = read(fds[i].fd, chunk, sizeof(chunk));
			if (got > 0)
				km_buf_append(to[i], chunk, (size_t)got);
			else
				fds[i].fd = -1; /* a terminal ends with an error */
		}
	}
}

void tool_run(const char *const *args, const char *input, unsigned columns, struct tool_result *r)
{
	tool_run_program("kubemarla", args, input, columns, r);
}

void tool_run_program(const char *name, const char *const *args, const char *input,
                      unsigned columns, struct tool_result *r)
{
	const char *build = getenv("KM_BUILD"); /* NOLINT: one thread */
	char argv0[64];
	char *argv[ARGS_MAX + 2] = { argv0 };
	char texts[4096];
	char *text = texts;
	char program[512];
	int in = input_file(input);
	int status = 0;
	int errors[2];
	int ours;
	int its;
	pid_t pid;

	km_buf_clear(&r->out);
	km_buf_clear(&r->err);
	(void)snprintf(program, sizeof(program), "%s/%s", build != NULL ? build : "build", name);
	(void)snprintf(argv0, sizeof(argv0), "%s", name);
	for (int i = 0; args[i] != NULL; i++) {
		assert_true(i < ARGS_MAX && text + strlen(args[i]) < texts + sizeof(texts));
		argv[i + 1] = text;
		text = stpcpy(text, args[i]) + 1;
	}
	open_output(columns, &ours, &its);
	assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		become_tool(program, argv, in, its, errors[1]);
	(void)close(in);
	(void)close(its);
	(void)close(errors[1]);
	read_all(ours, errors[0], r);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	r->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	(void)close(ours);
	(void)close(errors[0]);
	(void)km_buf_cstr(&r->out);
	(void)km_buf_cstr(&r->err);
}

void tool_want_code(const struct tool_result *r, int code)
{
	if (r->code != code)
		fail_msg("exit code %d, want %d\n%s%s", r->code, code, r->out.data, r->err.data);
}

void tool_want_text(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("no \"%s\" in\n%s", part, text);
}

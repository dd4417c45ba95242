/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kubemarla-pcm as a process: where it is, starting it, ending it. With posix_spawn, never fork:
 * libxgboost's OpenMP does not survive a fork, and the child must not run a single instruction of
 * ours. It inherits three descriptors and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pcm_internal.h"

/* The configured file, or the one beside this program; or beside kubemarlad, or in libexec. */
static int find_helper(const struct km_live_settings *live, char *out, size_t size,
                       struct km_err *err)
{
	static const char *const places[] = { "/" PCM_HELPER_NAME, "/../sbin/" PCM_HELPER_NAME,
		                              "/../libexec/kubemarla/" PCM_HELPER_NAME };
	char self[512];
	ssize_t n;
	char *slash;

	if (live->pcm_helper[0] != '\0') {
		(void)snprintf(out, size, "%s", live->pcm_helper);
		return 0;
	}
	/* our own program, not the host's: no root applies */
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0) {
		return km_err_errno(err, errno, "where is " PCM_HELPER_NAME "? /proc/self/exe");
	}
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash != NULL) {
		*slash = '\0';
	}
	for (size_t i = 0; i < KM_ARRAY_LEN(places); i++) {
		(void)snprintf(out, size, "%s%s", self, places[i]);
		if (access(out, X_OK) == 0) {
			return 0;
		}
	}
	return km_err_set(err, ENOENT,
	                  "no " PCM_HELPER_NAME " in %.60s, its ../sbin or ../libexec/kubemarla",
	                  self);
}

/* The child starts with nothing of ours but three descriptors; signals as if nobody cared. */
static int set_up(posix_spawn_file_actions_t *files, posix_spawnattr_t *attr, int request,
                  int frame)
{
	sigset_t set;
	int rc = posix_spawn_file_actions_adddup2(files, request, STDIN_FILENO);

	rc = rc != 0 ? rc : posix_spawn_file_actions_adddup2(files, frame, STDOUT_FILENO);
	rc = rc != 0 ? rc : posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
	sigemptyset(&set);
	rc = rc != 0 ? rc : posix_spawnattr_setsigmask(attr, &set);
	sigfillset(&set);
	rc = rc != 0 ? rc : posix_spawnattr_setsigdefault(attr, &set);
	return rc != 0 ? rc
	               : posix_spawnattr_setflags(attr,
	                                          POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

static int spawn(const char *program, char *const argv[], int request, int frame, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int rc = posix_spawn_file_actions_init(&files);

	if (rc != 0) {
		return rc;
	}
	rc = posix_spawnattr_init(&attr);
	if (rc == 0) {
		rc = set_up(&files, &attr, request, frame);
		if (rc == 0) {
			rc = posix_spawn(pid, program, &files, &attr, argv, environ);
		}
		(void)posix_spawnattr_destroy(&attr);
	}
	(void)posix_spawn_file_actions_destroy(&files);
	return rc;
}

int pcm_spawn(const struct km_live_settings *live, bool check, struct pcm_channel *out,
              struct km_err *err)
{
	char self[] = PCM_HELPER_NAME;
	char words[][12] = { "--frames", "--procfs", "--sysfs", "--library", "--check" };
	char *argv[10] = { self, words[0], words[1], live->procfs, words[2], live->sysfs };
	size_t n = 6;
	char program[1024];
	int request[2] = { -1, -1 };
	int frame[2] = { -1, -1 };
	int rc;

	rc = find_helper(live, program, sizeof(program), err);
	if (rc != 0) {
		return rc;
	}
	if (live->pcm_library[0] != '\0') {
		argv[n++] = words[3];
		argv[n++] = live->pcm_library;
	}
	argv[n] = check ? words[4] : NULL;
	/* a socket, because writing to one whose other end is gone need not be a signal */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, request) != 0 ||
	    pipe2(frame, O_CLOEXEC) != 0 || fcntl(frame[0], F_SETFL, O_NONBLOCK) != 0) {
		rc = errno;
	} else {
		rc = spawn(program, argv, request[1], frame[1], &out->pid);
	}
	for (size_t i = 0; i < 2; i++) {
		if (request[i] >= 0 && (i == 1 || rc != 0)) {
			close(request[i]);
		}
		if (frame[i] >= 0 && (i == 1 || rc != 0)) {
			close(frame[i]);
		}
	}
	if (rc != 0) {
		return km_err_errno(err, rc, "%.120s", program);
	}
	out->request_fd = request[0];
	out->frame_fd = frame[0];
	return 0;
}

/* Waits for the end of a process. returns whether it came. */
static bool wait_end(pid_t pid, int64_t max_ns)
{
	struct pollfd fd = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	bool ended;

	if (fd.fd < 0) {
		return false;
	}
	ended = poll(&fd, 1, (int)(max_ns / KM_NS_PER_MS)) == 1;
	close(fd.fd);
	return ended;
}

/* Closing its pipes is enough for one that is well; a zombie that cannot be had is left to init. */
void pcm_end_process(pid_t pid)
{
	if (!wait_end(pid, PCM_CLOSE_GRACE_NS)) {
		(void)kill(pid, SIGKILL);
		(void)wait_end(pid, KM_SOURCE_CLOSE_MAX_NS - 2 * PCM_CLOSE_GRACE_NS);
	}
	(void)waitpid(pid, NULL, WNOHANG);
}

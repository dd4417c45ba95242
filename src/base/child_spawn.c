/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork and exec with what posix_spawn cannot do: CPU affinity, control groups, the signal at the
 * parent's death. The child allocates nothing and takes no lock; what fails there is told through
 * a pipe that exec closes.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child_internal.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum step { STEP_PARENT, STEP_GROUP, STEP_CPUS, STEP_FILES, STEP_EXEC };

static const char *const step_names[] = {
	[STEP_PARENT] = "parent",      [STEP_GROUP] = "entering its control group",
	[STEP_CPUS] = "its CPUs",      [STEP_FILES] = "its descriptors",
	[STEP_EXEC] = "cannot be run",
};

struct failure {
	enum step step;
	int code;
};

/* All that the child needs, made before the fork. */
struct plan {
	const struct km_child_spec *spec;
	const struct child_ends *ends;
	const char *path;
	char *const *argv;
	cpu_set_t *cpus; /* NULL = as ours */
	size_t cpus_size;
	int tell;
	pid_t parent;
};

int km_child_find(const char *name, char *out, size_t out_size, struct km_err *err)
{
	const char *path = getenv("PATH"); /* NOLINT(concurrency-mt-unsafe): nobody sets it */
	int denied = 0;

	if (strchr(name, '/') != NULL) {
		if (strlen(name) >= out_size)
			return km_err_set(err, ENAMETOOLONG, "%.60s: path too long", name);
		(void)snprintf(out, out_size, "%s", name);
		return access(name, X_OK) == 0 ? 0 : km_err_errno(err, errno, "%.120s", name);
	}
	path = path != NULL && path[0] != '\0' ? path : DEFAULT_PATH;
	while (name[0] != '\0') {
		size_t len = strcspn(path, ":");
		int n = snprintf(out, out_size, "%.*s/%s", (int)(len < PATH_MAX ? len : PATH_MAX),
		                 len > 0 ? path : ".", name);

		if (n > 0 && (size_t)n < out_size) {
			if (access(out, X_OK) == 0)
				return 0;
			denied = errno == EACCES ? EACCES : denied;
		}
		if (path[len] == '\0')
			break;
		path += len + 1;
	}
	if (denied != 0)
		return km_err_errno(err, denied, "%.120s", name);
	return km_err_set(err, ENOENT, "%.120s is not installed", name);
}

/* ---- in the child: system calls only ---- */

static _Noreturn void give_up(const struct plan *p, enum step step)
{
	const struct failure f = { step, errno };
	ssize_t written = write(p->tell, &f, sizeof(f));

	_exit(written == (ssize_t)sizeof(f) ? 126 : 127);
}

static void enter_groups(const struct plan *p)
{
	const char *const *group = p->spec->groups;

	for (; group != NULL && *group != NULL; group++) {
		int fd = open(*group, O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, "0", 1) != 1)
			give_up(p, STEP_GROUP);
		(void)close(fd);
	}
}

static void reset_signals(void)
{
	const struct sigaction usual = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int s = 1; s < SIGRTMIN; s++)
		(void)sigaction(s, &usual, NULL);
	(void)sigemptyset(&none);
	(void)pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void become(const struct plan *p)
{
	const struct sched_param turn = { .sched_priority = p->spec->round_robin };

	if (p->spec->tied_signal != 0) {
		/* the parent may be gone already: then nobody would tell */
		if (setpgid(0, 0) != 0 || prctl(PR_SET_PDEATHSIG, p->spec->tied_signal) != 0 ||
		    getppid() != p->parent)
			give_up(p, STEP_PARENT);
	}
	enter_groups(p);
	if (p->cpus != NULL && sched_setaffinity(0, p->cpus_size, p->cpus) != 0)
		give_up(p, STEP_CPUS);
	if (turn.sched_priority > 0)
		(void)sched_setscheduler(0, SCHED_RR, &turn); /* where allowed */
	if (dup2(p->ends->in, STDIN_FILENO) < 0 || dup2(p->ends->out, STDOUT_FILENO) < 0 ||
	    dup2(p->ends->err, STDERR_FILENO) < 0)
		give_up(p, STEP_FILES);
	reset_signals();
	(void)execve(p->path, p->argv, environ);
	give_up(p, STEP_EXEC);
}

/* ---- in the parent ---- */

static int set_cpus(struct plan *p, struct km_err *err)
{
	if (p->spec->cpus == NULL)
		return 0;
	p->cpus = CPU_ALLOC(KM_CPU_MAX);
	p->cpus_size = CPU_ALLOC_SIZE(KM_CPU_MAX);
	if (p->cpus == NULL)
		return km_err_set(err, ENOMEM, "out of memory");
	CPU_ZERO_S(p->cpus_size, p->cpus);
	km_cpuset_each (cpu, p->spec->cpus)
		CPU_SET_S(cpu, p->cpus_size, p->cpus);
	return 0;
}

/* Until exec has closed the pipe, or the child has told why it cannot. */
static int hear(int fd, const char *path, pid_t pid, struct km_err *err)
{
	struct failure f;
	ssize_t n;

	do {
		n = read(fd, &f, sizeof(f));
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (n != (ssize_t)sizeof(f) || f.step > STEP_EXEC)
		return km_err_set(err, EIO, "%.100s did not start", path);
	return km_err_errno(err, f.code != 0 ? f.code : ESRCH, "%.100s: %s", path,
	                    step_names[f.step]);
}

int child_spawn(const struct km_child_spec *spec, const char *path, const struct child_ends *ends,
                pid_t *pid, struct km_err *err)
{
	struct plan p = { .spec = spec, .ends = ends, .path = path, .parent = getpid() };
	sigset_t all;
	sigset_t before;
	int tell[2];
	int rc;

	memcpy(&p.argv, &spec->argv, sizeof(p.argv)); /* exec does not write to them */
	rc = set_cpus(&p, err);
	if (rc != 0)
		return rc;
	if (pipe2(tell, O_CLOEXEC) != 0) {
		rc = km_err_errno(err, errno, "%.100s: pipe", path);
		CPU_FREE(p.cpus);
		return rc;
	}
	p.tell = tell[1];
	/* no handler of ours may run in the child */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	*pid = fork();
	if (*pid == 0)
		become(&p);
	rc = *pid < 0 ? km_err_errno(err, errno, "%.100s: fork", path) : 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)close(tell[1]);
	if (rc == 0)
		rc = hear(tell[0], path, *pid, err);
	(void)close(tell[0]);
	CPU_FREE(p.cpus);
	return rc;
}

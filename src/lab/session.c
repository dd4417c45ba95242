/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lab_session.h"

static int stop_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int km_lab_session_begin(struct km_lab_session *s, struct km_err *err)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets variables */
	const char *tmp = getenv("TMPDIR");
	ssize_t len = readlink("/proc/self/exe", s->self, sizeof(s->self) - 1);

	if (len < 0)
		return km_err_errno(err, errno, "/proc/self/exe");
	s->self[len] = '\0';
	(void)snprintf(s->scratch, sizeof(s->scratch), "%s/kubemarla-lab-XXXXXX",
	               tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
	if (mkdtemp(s->scratch) == NULL)
		return km_err_errno(err, errno, "%.100s", s->scratch);
	s->stop_fd = stop_signals();
	if (s->stop_fd < 0) {
		int code = errno;

		(void)rmdir(s->scratch);
		return km_err_errno(err, code, "signals");
	}
	return 0;
}

void km_lab_session_end(struct km_lab_session *s)
{
	DIR *dir = opendir(s->scratch);
	struct dirent *entry;

	(void)close(s->stop_fd);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		(void)unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir != NULL)
		(void)closedir(dir);
	(void)rmdir(s->scratch);
}

void km_lab_print_time(FILE *to, double seconds)
{
	long all = lround(seconds);

	if (all >= 3600)
		fprintf(to, "%ld h %ld min", all / 3600, all % 3600 / 60);
	else if (all >= 60)
		fprintf(to, "%ld min %ld s", all / 60, all % 60);
	else
		fprintf(to, "%ld s", all);
}

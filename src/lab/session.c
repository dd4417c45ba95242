/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lab_session.h"
#include "scratch.h"

static int stop_signals(void)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	/* whoever reads along (head, a pager) may go; the experiment and its groups stay ours */
	(void)sigaction(SIGPIPE, &ignore, NULL);
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
	ssize_t len = readlink("/proc/self/exe", s->self, sizeof(s->self) - 1);
	int rc;

	if (len < 0)
		return km_err_errno(err, errno, "/proc/self/exe");
	s->self[len] = '\0';
	rc = km_lab_scratch_make(s->scratch, sizeof(s->scratch), err);
	if (rc != 0)
		return rc;
	s->stop_fd = stop_signals();
	if (s->stop_fd < 0) {
		rc = km_err_errno(err, errno, "signals");
		km_lab_scratch_remove(s->scratch);
	}
	return rc;
}

void km_lab_session_end(struct km_lab_session *s)
{
	(void)close(s->stop_fd);
	km_lab_scratch_remove(s->scratch);
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

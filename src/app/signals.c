/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main thread's loop: signals from a signalfd, and a timer that looks after files.
 * Signals are blocked in every thread; nothing runs in a handler while the daemon serves.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "km/base/log.h"

#include "app_internal.h"

#define MODEL_CHECK_S 2

static void wanted_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

void app_signals_block(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	wanted_signals(&set);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* A peer that hangs up is an error of one write, not the end of the process. */
	(void)sigaction(SIGPIPE, &ignore, NULL);
}

/*
 * Only after serving has ended. A handler, because the default action does not end process 1 of a
 * container; _exit, because nothing else is safe in one.
 */
static void exit_now(int signal_number)
{
	(void)signal_number;
	_exit(APP_FAILED);
}

void app_signals_impatient(void)
{
	struct sigaction now = { .sa_handler = exit_now };
	sigset_t set;

	(void)sigaction(SIGTERM, &now, NULL);
	(void)sigaction(SIGINT, &now, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static int open_timer(struct km_err *err)
{
	struct itimerspec every = { .it_interval = { .tv_sec = MODEL_CHECK_S },
		                    .it_value = { .tv_sec = MODEL_CHECK_S } };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0 || timerfd_settime(fd, 0, &every, NULL) != 0) {
		int code = errno;

		if (fd >= 0)
			close(fd);
		return km_err_errno(err, code, "timer of the model check");
	}
	return fd;
}

/*
 * Handles every signal that waits, up to one that ends the daemon: true then. What waits behind it
 * is a second wish to stop, which is for app_signals_impatient.
 */
static bool handle_signals(struct app *a, int fd)
{
	struct signalfd_siginfo info;
	bool end = false;
	bool hup = false;

	while (!end && read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		hup = hup || info.ssi_signo == SIGHUP;
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
			km_log_info("app", "stopping signal=%s",
			            info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
			end = true;
		}
	}
	if (hup && !end)
		app_reload(a);
	return end;
}

int app_wait(struct app *a, struct km_err *err)
{
	struct pollfd fds[2] = { { .fd = -1, .events = POLLIN }, { .fd = -1, .events = POLLIN } };
	uint64_t ticks;
	sigset_t set;
	bool end = false;
	int rc = 0;

	wanted_signals(&set);
	fds[0].fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fds[0].fd < 0) {
		rc = km_err_errno(err, errno, "signalfd");
		goto out;
	}
	fds[1].fd = open_timer(err);
	if (fds[1].fd < 0) {
		rc = fds[1].fd;
		goto out;
	}
	while (!end) {
		if (poll(fds, KM_ARRAY_LEN(fds), -1) < 0) {
			if (errno == EINTR)
				continue;
			rc = km_err_errno(err, errno, "waiting for signals");
			break;
		}
		if (fds[0].revents != 0)
			end = handle_signals(a, fds[0].fd);
		if (!end && fds[1].revents != 0 &&
		    read(fds[1].fd, &ticks, sizeof(ticks)) == (ssize_t)sizeof(ticks)) {
			app_model_check(a);
			app_tls_check(a, false);
			app_agent_renew(a);
			if (a->effects != NULL)
				km_effects_file_tick(a->effects);
		}
	}
out:
	for (size_t i = 0; i < KM_ARRAY_LEN(fds); i++) {
		if (fds[i].fd >= 0)
			close(fds[i].fd);
	}
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The progress line. One thread at a time writes it: who calls progress_step sees to that. */
#include "progress.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stop_asked;

/* Rule 26 is the daemon's; the tool only notes that it was asked. */
static void ask_to_stop(int signal_number)
{
	(void)signal_number;
	stop_asked = 1;
}

void progress_start(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = ask_to_stop;
	sa.sa_flags = SA_RESTART;
	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
}

int progress_step(void *ctx, const char *what, size_t done, size_t all)
{
	(void)ctx;
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K  %s %zu/%zu", what, done, all);
	else if (done == all)
		fprintf(stderr, "  %s %zu/%zu\n", what, done, all);
	return stop_asked != 0;
}

void progress_end(void)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

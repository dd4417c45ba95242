/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving up rights. libpcm needs them to open its counters and not to read them; by then it may
 * have started a thread for each CPU, and capabilities belong to threads: each has to put down its
 * own, which is what the signal is for. (A change of user does it for all threads at once, but a
 * container without CAP_SETUID cannot change it.)
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "km/base/clock.h"
#include "km/base/log.h"
#include "km/base/macros.h"
#include "km/base/num.h"

#include "pcmd_internal.h"

#define NOBODY         65534 /* user and group; Debian's and the kernel's overflow id */
#define THREAD_WAIT_NS (1 * KM_NS_PER_S)

static pid_t parent;
static sem_t put_down;

/* Raw: glibc has no wrapper. Async-signal-safe. */
static int drop_own(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	memset(none, 0, sizeof(none));
	return (int)syscall(SYS_capset, &head, none);
}

static void on_drop(int signal_number)
{
	int saved = errno;

	(void)signal_number;
	if (drop_own() == 0) {
		(void)sem_post(&put_down);
	}
	errno = saved;
}

static void end_with_parent(void)
{
	/* by thread, in fact: the one that started us lives as long as the source does */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) {
		_exit(0); /* it went before we could say so */
	}
}

void pcmd_rights_limit(bool with_parent)
{
	parent = getppid();
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (with_parent) {
		end_with_parent();
	}
}

/* Has the thread capabilities, or may it take them up? */
static bool has_rights(const char *tid)
{
	static const char *const sets[] = { "\nCapPrm:\t", "\nCapEff:\t" };
	char text[4096];
	char path[64];
	ssize_t n = -1;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%.20s/status", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; n > 0 && i < KM_ARRAY_LEN(sets); i++) {
		const char *at = strstr(text, sets[i]);

		if (at == NULL || strspn(at + strlen(sets[i]), "0") < 16) {
			return true; /* 16 hexadecimal digits */
		}
	}
	return n <= 0 && fd >= 0; /* a thread that is gone has none */
}

/* Asks every other thread that has any. returns how many did not answer. */
static unsigned drop_others(void)
{
	DIR *tasks = opendir("/proc/self/task"); /* our own threads: no root applies */
	struct dirent *entry;
	unsigned silent = 0;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
	while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
		int64_t until_ns = km_clock_mono_ns(km_clock_system()) + THREAD_WAIT_NS;
		struct timespec until = { .tv_sec = (time_t)(until_ns / KM_NS_PER_S),
			                  .tv_nsec = (long)(until_ns % KM_NS_PER_S) };
		int64_t tid;

		if (km_num_int(entry->d_name, strlen(entry->d_name), &tid) != 0 ||
		    !has_rights(entry->d_name) ||
		    syscall(SYS_tgkill, getpid(), (pid_t)tid, SIGRTMIN) != 0) {
			continue;
		}
		while (sem_clockwait(&put_down, CLOCK_MONOTONIC, &until) != 0) {
			if (errno != EINTR) {
				silent++;
				break;
			}
		}
	}
	if (tasks != NULL) {
		(void)closedir(tasks);
	}
	return silent;
}

static void become_nobody(void)
{
	if (geteuid() != 0) {
		return;
	}
	if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) != 0) {
		km_log_info("pcm", "stays user %u: may not become another", (unsigned)geteuid());
	}
}

void pcmd_rights_drop(bool with_parent)
{
	struct sigaction drop = { .sa_handler = on_drop, .sa_flags = SA_RESTART };
	unsigned silent;

	become_nobody();
	(void)sem_init(&put_down, 0, 0);
	(void)sigaction(SIGRTMIN, &drop, NULL);
	if (drop_own() != 0) {
		km_log_warn("pcm", "capabilities kept");
	}
	/* twice: a thread started meanwhile had its rights from one that still had them */
	silent = drop_others();
	silent += drop_others();
	if (silent > 0) {
		km_log_warn("pcm", "capabilities kept by threads that do not answer count=%u",
		            silent);
	}
	if (with_parent) {
		end_with_parent(); /* a change of user forgets it */
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "km/base/num.h"

#define PREFIX     "kubemarla-lab-s" /* PREFIX PID - RANDOM; the rig's own have no s */
#define OPEN_FILES 16

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	(void)remove(path); /* what stays keeps its directory, and that is all that can be done */
	return 0;
}

void km_lab_scratch_remove(const char *path)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	(void)nftw(path, remove_one, OPEN_FILES, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* The process that made a directory of this name; 0 when it is none of ours. */
static pid_t maker(const char *name)
{
	size_t prefix = strlen(PREFIX);
	int64_t pid;

	if (strncmp(name, PREFIX, prefix) != 0 ||
	    km_num_int(name + prefix, strcspn(name + prefix, "-"), &pid) != 0 || pid <= 1 ||
	    pid > INT32_MAX)
		return 0;
	return (pid_t)pid;
}

static void remove_dead(const char *below)
{
	DIR *d = opendir(below);
	const struct dirent *e;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
	while (d != NULL && (e = readdir(d)) != NULL) {
		pid_t pid = maker(e->d_name);
		char path[PATH_MAX];
		struct stat st;

		if (pid == 0 || kill(pid, 0) == 0 || errno != ESRCH ||
		    snprintf(path, sizeof(path), "%s/%s", below, e->d_name) >= (int)sizeof(path))
			continue;
		if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid())
			km_lab_scratch_remove(path);
	}
	if (d != NULL)
		(void)closedir(d);
}

int km_lab_scratch_make(char *out, size_t size, struct km_err *err)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets variables */
	const char *below = getenv("TMPDIR");

	if (below == NULL || below[0] == '\0')
		below = "/tmp";
	if (snprintf(out, size, "%s/" PREFIX "%d-XXXXXX", below, (int)getpid()) >= (int)size)
		return km_err_set(err, ENAMETOOLONG, "TMPDIR: path too long");
	remove_dead(below);
	if (mkdtemp(out) == NULL)
		return km_err_errno(err, errno, "%.100s", out);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Directories that come and go with a rig. */
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "groups.h"

#define DIRS_OPEN 16

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	(void)remove(path); /* what stays is in the way of nobody */
	return 0;
}

void scratch_remove(const char *path)
{
	if (path[0] != '\0')
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): it does not change directory */
		(void)nftw(path, remove_entry, DIRS_OPEN, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* In a directory where others may write, a name of ours proves nothing. */
static bool is_ours(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

static void clear_dead(const char *parent, const char *procfs)
{
	DIR *dir = opendir(parent);
	struct dirent *e;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is our own */
	while (dir != NULL && (e = readdir(dir)) != NULL) {
		char path[PATH_MAX];

		if (rig_base_is_dead(procfs, e->d_name) &&
		    snprintf(path, sizeof(path), "%s/%s", parent, e->d_name) < (int)sizeof(path) &&
		    is_ours(path))
			scratch_remove(path);
	}
	if (dir != NULL)
		(void)closedir(dir);
}

int scratch_open(const char *parent, const char *procfs, char *out, size_t size, struct km_err *err)
{
	char whole[PATH_MAX]; /* programs are started elsewhere */
	char base[RIG_BASE_MAX];
	int rc = rig_base_name(procfs, base, sizeof(base), err);

	out[0] = '\0';
	if (rc != 0)
		return rc;
	if (realpath(parent, whole) == NULL)
		return km_err_errno(err, errno, "%.100s", parent);
	clear_dead(whole, procfs);
	if (snprintf(out, size, "%s/%s", whole, base) >= (int)size) {
		out[0] = '\0';
		return km_err_set(err, ENAMETOOLONG, "%.100s: path too long", whole);
	}
	if (is_ours(out))
		scratch_remove(out); /* this process' own of before */
	if (mkdir(out, 0700) != 0) {
		rc = km_err_errno(err, errno, "%.150s", out);
		out[0] = '\0';
		return rc;
	}
	return 0;
}

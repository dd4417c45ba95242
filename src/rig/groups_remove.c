/* SPDX-License-Identifier: Apache-2.0 */
/* Removing groups. A group can go once its last process has: some milliseconds after its SIGKILL.
 */
#include "groups_remove.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "km/base/buf.h"
#include "km/base/clock.h"
#include "km/base/num.h"
#include "km/sources/cgroup.h"

#include "groups.h"
#include "proc.h"

#define PROCS_MAX (1u << 20)
#define TRIES     400
#define PAUSE_NS  (5 * KM_NS_PER_MS)

/* SIGKILL to all in one group. returns whether there was any. */
static bool kill_all(const char *dir)
{
	char path[PATH_MAX];
	struct km_buf text;
	bool any = false;

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	km_buf_init(&text);
	if (km_pseudo_read(path, PROCS_MAX, &text, NULL) == 0) {
		const char *p = km_buf_cstr(&text);

		while (*p != '\0') {
			size_t len = strcspn(p, "\n");
			int64_t pid;

			/* 0 is one of another pid namespace, 1 nobody's stressor */
			if (km_num_int(p, len, &pid) == 0 && pid > 1 && pid != getpid()) {
				any = true;
				(void)kill((pid_t)pid, SIGKILL);
			}
			p += len + (p[len] == '\n');
		}
	}
	km_buf_fini(&text);
	return any;
}

static void remove_one(const char *dir)
{
	const struct timespec pause = { 0, PAUSE_NS };

	for (int i = 0; i < TRIES; i++) {
		bool any = kill_all(dir);

		if (rmdir(dir) == 0 || errno == ENOENT)
			return;
		if (!any && errno != EBUSY)
			return;
		(void)nanosleep(&pause, NULL);
	}
}

/* Calls fn for every directory in dir. */
static void each_group(const char *dir, const void *ctx,
                       void (*fn)(const char *dir, const char *name, const void *ctx))
{
	DIR *d = opendir(dir);
	struct dirent *e;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is our own */
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    e->d_type == DT_DIR)
			fn(dir, e->d_name, ctx);
	}
	if (d != NULL)
		(void)closedir(d);
}

static void remove_child(const char *dir, const char *name, const void *ctx)
{
	char path[PATH_MAX];

	(void)ctx;
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path))
		remove_one(path);
}

void groups_remove(const char *root, const char *base)
{
	char dir[PATH_MAX];

	if (base[0] == '\0' || snprintf(dir, sizeof(dir), "%s/%s", root, base) >= (int)sizeof(dir))
		return;
	each_group(dir, NULL, remove_child);
	remove_one(dir);
}

static void remove_if_dead(const char *root, const char *name, const void *procfs)
{
	if (rig_base_is_dead(procfs, name))
		groups_remove(root, name);
}

void groups_remove_dead(const char *root, const char *procfs)
{
	each_group(root, procfs, remove_if_dead);
}

int rig_base_name(const char *procfs, char *out, size_t size, struct km_err *err)
{
	struct rig_proc self;
	int rc = rig_proc_read(procfs, getpid(), &self);

	if (rc != 0)
		return km_err_errno(err, -rc, "%.60s/%d/stat", procfs, (int)getpid());
	(void)snprintf(out, size, RIG_GROUP_PREFIX "%d-%lld", (int)getpid(),
	               (long long)self.start_ticks);
	return 0;
}

bool rig_base_is_dead(const char *procfs, const char *name)
{
	const size_t prefix = sizeof(RIG_GROUP_PREFIX) - 1;
	const char *dash;
	struct rig_proc p;
	int64_t start;
	int64_t pid;
	int rc;

	if (strncmp(name, RIG_GROUP_PREFIX, prefix) != 0)
		return false;
	name += prefix;
	dash = strchr(name, '-');
	if (dash == NULL || km_num_int(name, (size_t)(dash - name), &pid) != 0 ||
	    km_num_int(dash + 1, strlen(dash + 1), &start) != 0 || pid <= 0)
		return false;
	rc = rig_proc_read(procfs, pid, &p);
	/* not known is not dead */
	return rc == -ENOENT || rc == -ESRCH || (rc == 0 && p.start_ticks != start);
}

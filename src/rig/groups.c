/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups in v1 and v2. Sources: Documentation/admin-guide/cgroup-v1/cpusets.rst, cpuacct.rst and
 * cgroup-v2.rst: a v1 cpuset takes processes only once it has CPUs and memory nodes; a v2 group
 * gets a controller from its parent's cgroup.subtree_control, and then holds no process itself.
 */
#include "groups.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "km/base/buf.h"
#include "km/base/clock.h"
#include "km/base/num.h"
#include "km/sources/cgroup.h"

#include "groups_remove.h"

#define SMALL_FILE 65536

/* Hierarchies as they are mounted, relative to cgroupfs. */
static const struct rig_hierarchy places[] = {
	{ .root = "cpuset", .cpuset = true },
	{ .root = "cpuacct", .usage = true },
	{ .root = "cpu", .no_load = true },
	/* its count is without the generator's */
	{ .root = "cpu,cpuacct", .no_load = true },
	{ .root = "unified", .v2 = true, .usage = true },
	{ .root = ".", .v2 = true, .usage = true, .cpuset = true },
};

static int write_file(const char *dir, const char *file, const char *text)
{
	char path[PATH_MAX];
	size_t len = strlen(text);
	int rc = 0;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len)
		rc = -errno;
	(void)close(fd);
	return rc;
}

static bool has(const char *dir, const char *file)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	return access(path, F_OK) == 0;
}

/* Copies a small file from a group's parent: a v1 cpuset's memory nodes. */
static int inherit(const char *parent, const char *dir, const char *file)
{
	char path[PATH_MAX];
	struct km_buf text;
	int rc;

	(void)snprintf(path, sizeof(path), "%s/%s", parent, file);
	km_buf_init(&text);
	rc = km_pseudo_read(path, SMALL_FILE, &text, NULL);
	if (rc == 0)
		rc = write_file(dir, file, km_buf_cstr(&text));
	km_buf_fini(&text);
	return rc;
}

static int make(const char *dir)
{
	return mkdir(dir, 0755) == 0 ? 0 : -errno;
}

static int set_cpus(const struct rig_hierarchy *h, const char *parent, const char *dir,
                    const struct km_cpuset *cpus)
{
	struct km_buf list;
	int rc;

	if (cpus == NULL) /* as its parent's */
		return h->v2 ? 0 : inherit(parent, dir, "cpuset.cpus");
	km_buf_init(&list);
	km_cpuset_format(cpus, &list);
	rc = write_file(dir, "cpuset.cpus", km_buf_cstr(&list));
	km_buf_fini(&list);
	return rc;
}

/* One group of a hierarchy; cpus NULL = its parent's. */
static int make_one(const struct rig_hierarchy *h, const char *parent, const char *name,
                    const struct km_cpuset *cpus)
{
	char dir[PATH_MAX];
	int rc;

	if (snprintf(dir, sizeof(dir), "%s/%s", parent, name) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	rc = make(dir);
	if (rc == 0 && h->cpuset && !h->v2)
		rc = inherit(parent, dir, "cpuset.mems");
	if (rc == 0 && h->cpuset)
		rc = set_cpus(h, parent, dir, cpus);
	return rc;
}

/* All groups of one hierarchy. */
static int make_all(const struct rig_hierarchy *h, const char *base,
                    const struct km_node_settings *node, size_t node_count,
                    const struct km_cpuset *load_cpus)
{
	char dir[PATH_MAX];
	int rc = make_one(h, h->root, base, NULL);

	if (rc != 0)
		return rc;
	if (snprintf(dir, sizeof(dir), "%s/%s", h->root, base) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	if (h->v2 && h->cpuset)
		rc = write_file(dir, "cgroup.subtree_control", "+cpuset");
	for (size_t i = 0; i < node_count && rc == 0; i++)
		rc = make_one(h, dir, node[i].name, &node[i].cpus);
	if (rc == 0 && !h->no_load)
		rc = make_one(h, dir, RIG_GROUP_LOAD, load_cpus);
	if (rc == 0 && !h->no_load)
		rc = make_one(h, dir, RIG_GROUP_LAB, NULL);
	return rc;
}

/* v2's root gives cpuset to its children, or learns to. */
static bool v2_gives_cpuset(const char *root)
{
	char path[PATH_MAX];
	struct km_buf text;
	bool gives;

	(void)snprintf(path, sizeof(path), "%s/cgroup.controllers", root);
	km_buf_init(&text);
	gives = km_pseudo_read(path, SMALL_FILE, &text, NULL) == 0 &&
	        strstr(km_buf_cstr(&text), "cpuset") != NULL &&
	        write_file(root, "cgroup.subtree_control", "+cpuset") == 0;
	km_buf_fini(&text);
	return gives;
}

/* Where cpu and cpuacct are one hierarchy, their own names are links to it: groups made there would
 * be found to exist already, and removed. */
static bool is_link(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

/* Is it mounted here? Then *h is it, with its whole path. */
static bool is_there(const struct rig_hierarchy *place, const char *cgroupfs,
                     struct rig_hierarchy *h)
{
	int n;

	*h = *place;
	n = strcmp(place->root, ".") == 0
	            ? snprintf(h->root, sizeof(h->root), "%s", cgroupfs)
	            : snprintf(h->root, sizeof(h->root), "%s/%s", cgroupfs, place->root);
	if (n < 0 || (size_t)n >= sizeof(h->root))
		return false;
	if (strcmp(place->root, ".") != 0 && is_link(h->root))
		return false;
	return has(h->root, h->v2 ? "cgroup.controllers" : "cgroup.procs");
}

/* What was made of a hierarchy that refuses more is removed; the first refusal is told. */
static void note_refusal(struct rig_groups *g, const struct rig_hierarchy *h, const char *base,
                         int rc)
{
	char text[96];

	groups_remove(h->root, base);
	if (g->why_not[0] == '\0')
		(void)snprintf(g->why_not, sizeof(g->why_not), "%.60s: %s", h->root,
		               km_strerror(-rc, text, sizeof(text)));
}

void rig_groups_open(struct rig_groups *g, const char *cgroupfs, const char *base,
                     const struct km_node_settings *node, size_t node_count,
                     const struct km_cpuset *load_cpus)
{
	*g = (struct rig_groups){ .count = 0 };
	(void)snprintf(g->base, sizeof(g->base), "%s", base);
	for (size_t i = 0; i < KM_ARRAY_LEN(places) && g->count < RIG_HIERARCHIES_MAX; i++) {
		struct rig_hierarchy *h = &g->hierarchy[g->count];
		int rc;

		if (!is_there(&places[i], cgroupfs, h))
			continue;
		h->cpuset = h->cpuset && (!h->v2 || v2_gives_cpuset(h->root));
		rc = make_all(h, base, node, node_count, load_cpus);
		if (rc != 0)
			note_refusal(g, h, base, rc);
		if (rc != 0 && h->v2 && h->cpuset) {
			/* it accounts still */
			h->cpuset = false;
			rc = make_all(h, base, node, node_count, load_cpus);
			if (rc != 0)
				note_refusal(g, h, base, rc);
		}
		if (rc == 0) {
			g->cpuset = g->cpuset || h->cpuset;
			g->count++;
		}
	}
	if (g->count == 0) {
		g->base[0] = '\0';
		if (g->why_not[0] == '\0')
			(void)snprintf(g->why_not, sizeof(g->why_not),
			               "%.60s: no hierarchy with CPUs", cgroupfs);
	}
}

void rig_groups_close(struct rig_groups *g)
{
	for (size_t i = 0; i < g->count; i++)
		groups_remove(g->hierarchy[i].root, g->base);
	g->count = 0;
	g->base[0] = '\0';
}

void rig_groups_clear_dead(const char *cgroupfs, const char *procfs)
{
	for (size_t i = 0; i < KM_ARRAY_LEN(places); i++) {
		struct rig_hierarchy h;

		if (is_there(&places[i], cgroupfs, &h))
			groups_remove_dead(h.root, procfs);
	}
}

const char *const *rig_groups_entrance(const struct rig_groups *g, const char *group,
                                       struct rig_entrance *out)
{
	size_t n = 0;

	for (size_t i = 0; i < g->count; i++) {
		const struct rig_hierarchy *h = &g->hierarchy[i];

		if (h->no_load && strcmp(group, RIG_GROUP_LOAD) == 0)
			continue;
		(void)snprintf(out->path[n], sizeof(out->path[n]), "%s/%s/%s/cgroup.procs", h->root,
		               g->base, group);
		out->list[n] = out->path[n];
		n++;
	}
	out->list[n] = NULL;
	return out->list;
}

int rig_groups_adopt(const struct rig_groups *g, int pid, struct km_err *err)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", pid);
	for (size_t i = 0; i < g->count; i++) {
		const struct rig_hierarchy *h = &g->hierarchy[i];
		char dir[PATH_MAX];
		int rc;

		if (h->no_load)
			continue;
		(void)snprintf(dir, sizeof(dir), "%s/%s/" RIG_GROUP_LAB, h->root, g->base);
		rc = write_file(dir, "cgroup.procs", text);
		if (rc != 0)
			return km_err_errno(err, -rc, "%.120s: process %d", dir, pid);
	}
	return 0;
}

/* cpuacct.usage is nanoseconds; v2's cpu.stat begins "usage_usec N". */
static double usage_ns(const struct rig_hierarchy *h, const char *base)
{
	static const char key[] = "usage_usec ";
	char path[PATH_MAX];
	struct km_buf text;
	const char *p;
	double value = NAN;
	size_t len;

	(void)snprintf(path, sizeof(path), "%s/%s/%s", h->root, base,
	               h->v2 ? "cpu.stat" : "cpuacct.usage");
	km_buf_init(&text);
	if (km_pseudo_read(path, SMALL_FILE, &text, NULL) == 0) {
		p = km_buf_cstr(&text);
		if (h->v2)
			p = strncmp(p, key, sizeof(key) - 1) == 0 ? p + sizeof(key) - 1 : "";
		len = strcspn(p, "\n");
		if (km_num_double(p, len, &value) != 0)
			value = NAN;
	}
	km_buf_fini(&text);
	return h->v2 ? value * 1e3 : value;
}

double rig_groups_cpu_ns(const struct rig_groups *g)
{
	for (size_t i = 0; i < g->count; i++) {
		double value = NAN;

		if (g->hierarchy[i].usage)
			value = usage_ns(&g->hierarchy[i], g->base);
		if (!isnan(value))
			return value;
	}
	return NAN;
}

void rig_groups_describe(const struct rig_groups *g, char *out, size_t size)
{
	struct km_buf text;

	km_buf_init(&text);
	for (size_t i = 0; i < g->count; i++) {
		const struct rig_hierarchy *h = &g->hierarchy[i];
		const char *slash = strrchr(h->root, '/');

		km_buf_str(&text, i == 0 ? "cgroup " : ", ");
		if (h->v2)
			km_buf_str(&text, h->cpuset ? "v2 cpuset" : "v2");
		else
			km_buf_printf(&text, "v1 %s", slash != NULL ? slash + 1 : h->root);
	}
	if (!g->cpuset)
		km_buf_str(&text, g->count > 0 ? "; CPUs by affinity only"
		                               : "no control groups: CPU affinity only");
	(void)snprintf(out, size, "%s", km_buf_cstr(&text));
	km_buf_fini(&text);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Which file of which hierarchy: a table of places, tried in order. */
#include "km/sources/cgroup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sysdir.h"

#define READ_BYTES 16384
/* cpu.stat and a CPU list of 1,024 CPUs are far below. */
#define CGROUP_BYTES_MAX 65536
#define PLACES_MAX       4

/* NULL in `under`: below the root itself (v2 alone). */
struct place {
	const char *under, *file;
};

/* A hybrid's v2 tree has a cpu.stat too, without throttling: the CPU controller is in v1 then. */
static const struct place places[KM_CGROUP_FILE_N][PLACES_MAX] = {
	[KM_CGROUP_CPU_PRESSURE] = { { "", "cpu.pressure" }, { "unified/", "cpu.pressure" } },
	[KM_CGROUP_MEMORY_PRESSURE] = { { "", "memory.pressure" },
	                                { "unified/", "memory.pressure" } },
	[KM_CGROUP_IO_PRESSURE] = { { "", "io.pressure" }, { "unified/", "io.pressure" } },
	[KM_CGROUP_CPU_STAT] = { { "", "cpu.stat" },
	                         { "cpu/", "cpu.stat" },
	                         { "cpu,cpuacct/", "cpu.stat" },
	                         { "unified/", "cpu.stat" } },
	[KM_CGROUP_CPUS] = { { "", "cpuset.cpus.effective" },
	                     { "cpuset/", "cpuset.effective_cpus" },
	                     { "cpuset/", "cpuset.cpus" },
	                     { "unified/", "cpuset.cpus.effective" } },
};

int km_pseudo_read(const char *path, size_t max_bytes, struct km_buf *out, struct km_err *err)
{
	int fd = km_sysdir_open(path);
	int ret = 0;

	km_buf_clear(out);
	if (fd < 0) {
		return km_err_errno(err, -fd, "%s", path);
	}
	while (ret == 0) {
		ssize_t got;

		if (km_buf_reserve(out, READ_BYTES) != 0) {
			ret = km_err_set(err, ENOMEM, "%s: out of memory", path);
			break;
		}
		got = km_sysdir_read(fd, out->data + out->len, READ_BYTES);
		if (got == 0) {
			break;
		}
		if (got < 0) {
			ret = km_err_errno(err, (int)-got, "%s", path);
			break;
		}
		out->len += (size_t)got;
		if (out->len > max_bytes) {
			ret = km_err_set(err, EFBIG, "%s: over %zu bytes", path, max_bytes);
		}
	}
	(void)close(fd); /* nothing was written */
	return ret;
}

int km_cgroup_read(const char *root, const char *group, enum km_cgroup_file file,
                   struct km_buf *out, struct km_err *err)
{
	const struct place *place = places[file];
	struct km_err first = { .code = 0 };

	group += strspn(group, "/");
	for (size_t i = 0; i < PLACES_MAX && place[i].file != NULL; i++) {
		struct km_err why = { .code = 0 };
		char path[PATH_MAX];
		int len = snprintf(path, sizeof(path), "%s/%s%s/%s", root, place[i].under, group,
		                   place[i].file);

		if (len < 0 || (size_t)len >= sizeof(path)) {
			return km_err_set(err, ENAMETOOLONG, "control group %.60s: path too long",
			                  group);
		}
		if (km_pseudo_read(path, CGROUP_BYTES_MAX, out, &why) == 0) {
			return 0;
		}
		/* the most telling: anything but "not there", else the first place */
		if (first.code == 0 || (first.code == ENOENT && why.code != ENOENT)) {
			first = why;
		}
	}
	if (err != NULL) {
		*err = first;
	}
	return -first.code;
}

int km_cgroup_cpus(const char *root, const char *group, struct km_cpuset *out, struct km_err *err)
{
	struct km_buf text;
	int ret;

	km_buf_init(&text);
	ret = km_cgroup_read(root, group, KM_CGROUP_CPUS, &text, err);
	if (ret == 0) {
		while (text.len > 0 && strchr(" \n", text.data[text.len - 1]) != NULL) {
			text.data[--text.len] = '\0';
		}
		if (km_cpuset_parse(km_buf_cstr(&text), out, err) != 0) {
			ret = km_err_set(err, EBADMSG,
			                 "control group %.60s: its CPUs are \"%.40s\"", group,
			                 km_buf_cstr(&text));
		}
	}
	km_buf_fini(&text);
	return ret;
}

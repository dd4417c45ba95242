/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads of one core share its units, L1 and L2. With them in two nodes, interference "on the
 * other node" is on the service's own core: a valid experiment, if one knows that one makes it.
 */
#include "cores.h"

#include <limits.h>
#include <stdio.h>

#include "km/base/buf.h"
#include "km/sources/cgroup.h"

#define LIST_MAX 8192 /* bytes of a list of CPUs */

/* All of the CPU's core. returns whether the machine says. */
static bool threads_of(const char *sysfs, unsigned cpu, struct km_cpuset *out)
{
	char path[PATH_MAX];
	struct km_buf text;
	bool known;

	if (snprintf(path, sizeof(path),
	             "%s/devices/system/cpu/cpu%u/topology/thread_siblings_list", sysfs,
	             cpu) >= (int)sizeof(path))
		return false;
	km_buf_init(&text);
	known = km_pseudo_read(path, LIST_MAX, &text, NULL) == 0 &&
	        km_cpuset_parse(km_buf_cstr(&text), out, NULL) == 0;
	km_buf_fini(&text);
	return known;
}

bool rig_cores_shared(const char *sysfs, const struct km_node_settings *node, size_t node_count,
                      char *out, size_t size)
{
	for (size_t i = 0; i < node_count; i++) {
		km_cpuset_each (cpu, &node[i].cpus) {
			struct km_cpuset threads;

			if (!threads_of(sysfs, cpu, &threads))
				continue;
			for (size_t k = i + 1; k < node_count; k++) {
				if (!km_cpuset_intersects(&threads, &node[k].cpus))
					continue;
				(void)snprintf(out, size,
				               "nodes %.60s and %.60s share the core of CPU %u: "
				               "they disturb each other as threads of a core do",
				               node[i].name, node[k].name, cpu);
				return true;
			}
		}
	}
	return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A settled bin as readings: every metric of the host, its nodes and its CPUs. */
#include <math.h>

#include "core_internal.h"

static void put(const struct km_bin *b, const struct km_subject *of, double *out)
{
	for (unsigned m = 0; m < KM_METRIC_N; m++) {
		enum km_metric_of kind = km_metric_info((enum km_metric)m)->of;
		bool exists = kind == KM_OF_CPUS || (of->is_host && kind != KM_OF_NODE) ||
		              (of->node != KM_NO_NODE && kind != KM_OF_HOST);
		bool implausible;

		if (exists) {
			out[m] = km_bin_metric(b, of, (enum km_metric)m, &implausible);
		}
	}
}

static uint32_t gather(const struct km_cpuset *set, uint32_t cpu_count, uint16_t *out)
{
	uint32_t count = 0;

	for (uint32_t cpu = 0; cpu < cpu_count && cpu < KM_CPU_MAX; cpu++) {
		if (set == NULL || km_cpuset_has(set, cpu)) {
			out[count++] = (uint16_t)cpu;
		}
	}
	return count;
}

struct km_readings *km_bin_readings(const struct km_bin *b, const struct km_cpuset *node_cpus)
{
	struct km_readings *r = km_readings_create(b->node_count, b->cpu_count);
	uint16_t list[KM_CPU_MAX];
	struct km_subject of = { .cpus.cpu = list, .node = KM_NO_NODE };

	if (r == NULL) {
		return NULL;
	}
	of.cpus.count = gather(NULL, b->cpu_count, list);
	of.is_host = true;
	put(b, &of, km_readings_host(r));
	of.is_host = false;
	for (uint32_t i = 0; i < b->node_count; i++) {
		of.node = i;
		of.cpus.count = gather(&node_cpus[i], b->cpu_count, list);
		put(b, &of, km_readings_node(r, i));
	}
	of.node = KM_NO_NODE;
	of.cpus.count = 1;
	for (uint32_t cpu = 0; cpu < b->cpu_count; cpu++) {
		list[0] = (uint16_t)cpu;
		put(b, &of, km_readings_cpu(r, cpu));
	}
	return r;
}

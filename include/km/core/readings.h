/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host read in its newest bin: every metric of the host, of each of its nodes and of each
 * CPU. This is what people and Prometheus look at; decisions are made from feature rows. Immutable
 * once filled, reference-counted.
 */
#ifndef KM_CORE_READINGS_H
#define KM_CORE_READINGS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "km/core/metric.h"

struct km_readings {
	_Atomic uint32_t refs;
	uint32_t node_count, cpu_count;
	/* Of what another agent told, without its CPUs one by one: how many the host and the node
	 * have. 0 = as many as cpu_count says. */
	uint32_t told_host_cpus, told_node_cpus;
	double value[]; /* [1 + node_count + cpu_count][KM_METRIC_N]: host, nodes, CPUs; NaN =
	                   unknown */
};

/* Allocates with refs = 1, everything NaN. NULL when out of memory. */
struct km_readings *km_readings_create(uint32_t node_count, uint32_t cpu_count);
struct km_readings *km_readings_ref(struct km_readings *r);
void km_readings_unref(struct km_readings *r); /* NULL allowed */

/* Metrics [KM_METRIC_N] of the host, of a node, of a CPU. */
static inline double *km_readings_host(struct km_readings *r)
{
	return r->value;
}

static inline double *km_readings_node(struct km_readings *r, uint32_t node)
{
	return r->value + ((size_t)1 + node) * KM_METRIC_N;
}

static inline double *km_readings_cpu(struct km_readings *r, uint32_t cpu)
{
	return r->value + ((size_t)1 + r->node_count + cpu) * KM_METRIC_N;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The feature rows of one host's nodes at one moment: immutable, reference-counted, shared between
 * the sampler, the cluster picture and requests in progress.
 */
#ifndef KM_CORE_HOST_FEATURES_H
#define KM_CORE_HOST_FEATURES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "km/core/readings.h"
#include "km/core/schema.h"

struct km_host_features {
	_Atomic uint32_t refs;
	struct km_schema *schema; /* one reference held */
	uint32_t host;            /* index of the host in its agent */
	uint32_t node_count;
	uint64_t version; /* equal version (same host, same schema) = equal rows; 0 = no data */
	int64_t measured_mono_ns; /* when the newest sample was read (monotonic); 0 = never */
	int64_t measured_wall_ns;
	int64_t window_end_mono_ns; /* when its newest bin closed; 0 = measured_mono_ns */
	double covered_s;           /* seconds of the window filled */
	enum km_tier tier;
	uint32_t outside_cpus;        /* CPUs of the host in no node */
	struct km_readings *readings; /* of the newest bin, one reference held; NULL = none */
	double row[];                 /* [node_count][schema->count] */
};

/* Allocates with refs = 1, rows NaN, taking its own reference on schema. NULL when out of memory.
 */
struct km_host_features *km_host_features_create(const struct km_schema *schema,
                                                 uint32_t node_count);
struct km_host_features *km_host_features_ref(struct km_host_features *h);
void km_host_features_unref(struct km_host_features *h); /* NULL allowed */

static inline const double *km_host_features_row(const struct km_host_features *h, uint32_t node)
{
	return h->row + (size_t)node * h->schema->count;
}

#endif

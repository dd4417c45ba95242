/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The extender's v1 request as kube-scheduler sends it with nodeCacheCapable: for whoever asks an
 * extender in its place.
 */
#ifndef KM_WIRE_EXTENDER_ARGS_H
#define KM_WIRE_EXTENDER_ARGS_H

#include <stddef.h>

#include "km/base/buf.h"

/* A pod without a cluster. Texts are borrowed; NULL = the member is left out. */
struct km_asked_pod {
	const char *namespace;
	const char *name;
	const char *uid;
	const char *replica_set; /* that controls it: its replicas have the same */
	double rps;              /* of this one pod; NaN = not annotated */
	double max_slowdown;     /* NaN = not annotated */
};

/* Appends an ExtenderArgs with node names [count]. */
void km_extender_args_encode(struct km_buf *out, const struct km_asked_pod *pod,
                             const char *const *node, size_t count);

#endif

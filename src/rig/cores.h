/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the local backend: nodes that are not as apart as their CPUs' numbers. */
#ifndef KM_RIG_CORES_H
#define KM_RIG_CORES_H

#include <stdbool.h>
#include <stddef.h>

#include "km/core/settings.h"

/*
 * Looks for a core whose hyper-threads are in two nodes. out [size] receives a line about the first
 * one. returns whether there is one; a machine that does not say has none.
 * source: Documentation/admin-guide/cputopology.rst
 */
bool rig_cores_shared(const char *sysfs, const struct km_node_settings *node, size_t node_count,
                      char *out, size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Data caches of CPUs, as sysfs has them (Documentation/ABI/testing/sysfs-devices-system-cpu). */
#ifndef KM_STRESS_TOPOLOGY_H
#define KM_STRESS_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>

#include "km/base/buf.h"
#include "km/base/cpuset.h"
#include "km/base/err.h"
#include "km/base/macros.h"

/* What is taken where sysfs does not say: a usual server core, and a usual socket. */
#define KM_CACHES_L2_BYTES ((size_t)1 << 20)
#define KM_CACHES_L3_BYTES ((size_t)32 << 20)

struct km_cache {
	size_t bytes;
	struct km_cpuset sharers; /* the CPUs behind it, itself among them */
	bool assumed; /* then the sharers are the CPU itself (L2), or all of the set (L3) */
};

/* Of the first CPU of the set; sizes are taken to be those of the others, too. */
struct km_caches {
	struct km_cache l2;
	struct km_cache l3;
};

/*
 * Reads the caches of `cpus` below sysfs (a root, "/sys"). What is not there, as in many virtual
 * machines, or is no number is assumed. returns 0; -ERANGE: a CPU is not online, with those that
 * are; -EINVAL: no CPU; -ENOMEM.
 */
int km_caches_read(const char *sysfs, const struct km_cpuset *cpus, struct km_caches *out,
                   struct km_err *err) KM_MUST_CHECK;

/* "L2 1 MiB and L3 32 MiB assumed: /sys says nothing of them"; appends nothing when all was read.
 */
void km_caches_assumed(const struct km_caches *c, const char *sysfs, struct km_buf *out);

#endif

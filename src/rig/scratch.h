/* SPDX-License-Identifier: Apache-2.0 */
/* A rig's own directory, and those that dead labs left beside it. */
#ifndef KM_RIG_SCRATCH_H
#define KM_RIG_SCRATCH_H

#include <stddef.h>

#include "km/base/err.h"
#include "km/base/macros.h"

/* Makes parent/kubemarla-lab-PID-START and removes those of dead labs. returns 0 or -errno. */
int scratch_open(const char *parent, const char *procfs, char *out, size_t size,
                 struct km_err *err) KM_MUST_CHECK;

/* Removes a directory with all that is in it; follows no link. "" = nothing. */
void scratch_remove(const char *path);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A directory for what programs that we start want on disk: configuration, pages, sockets. */
#ifndef KM_LAB_SCRATCH_H
#define KM_LAB_SCRATCH_H

#include <stddef.h>

#include "km/base/err.h"
#include "km/base/macros.h"

/*
 * Makes one below $TMPDIR or /tmp that is nobody else's, and removes those that dead processes of
 * ours left there. out [size] receives its path.
 */
int km_lab_scratch_make(char *out, size_t size, struct km_err *err) KM_MUST_CHECK;

/* Removes it with everything below; best effort. */
void km_lab_scratch_remove(const char *path);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The start of a child, apart from its life. */
#ifndef KM_BASE_CHILD_INTERNAL_H
#define KM_BASE_CHILD_INTERNAL_H

#include "km/base/child.h"

/* The child's own ends. */
struct child_ends {
	int in, out, err;
};

/* fork and exec. path: km_child_find's. returns 0 or -errno with the reason in err. */
int child_spawn(const struct km_child_spec *spec, const char *path, const struct child_ends *ends,
                pid_t *pid, struct km_err *err);

#endif

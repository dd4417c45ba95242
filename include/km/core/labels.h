/* SPDX-License-Identifier: Apache-2.0 */
/* Labels that a pod must have, as people write them: "app=web,tier". */
#ifndef KM_CORE_LABELS_H
#define KM_CORE_LABELS_H

#include <stdbool.h>
#include <stddef.h>

#include "km/base/err.h"
#include "km/core/pod.h"

#define KM_LABELS_MAX 16

struct km_labels_term {
	struct km_name key, value; /* borrowed from the text */
	bool valued;               /* false: any value will do */
};

struct km_labels {
	struct km_labels_term term[KM_LABELS_MAX]; /* all must hold */
	size_t count;
};

/* returns 0; -EINVAL: nothing in it, or what is no "key=value" or "key". */
int km_labels_parse(const char *text, struct km_labels *out, struct km_err *err) KM_MUST_CHECK;

bool km_labels_match(const struct km_labels *l, const struct km_pod *pod);

#endif

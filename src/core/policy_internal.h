/* SPDX-License-Identifier: Apache-2.0 */
/* Between policy.c and selector.c. */
#ifndef KM_CORE_POLICY_INTERNAL_H
#define KM_CORE_POLICY_INTERNAL_H

#include "km/core/policy.h"

/* Whatever the namespaces are. */
bool policy_selects(const struct km_policy *p, const struct km_pod *pod);
/* The same requirements, in whatever order. */
bool policy_same_selector(const struct km_policy *a, const struct km_policy *b);

#endif

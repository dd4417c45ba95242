/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of Kubernetes objects share. */
#ifndef KM_WIRE_KUBE_INTERNAL_H
#define KM_WIRE_KUBE_INTERNAL_H

#include "km/wire/kube_objects.h"

#include "wire_internal.h"

/* The whole object as a slice. returns 0, or -EINVAL when the text begins with no object. */
int km_wire_kube_object(const char *json, size_t len, struct km_json_slice *out) KM_MUST_CHECK;

/* A whole number >= 0; -1 = not given. */
int64_t km_wire_kube_integer(const struct km_json_slice *slice);
/* A quantity >= 0 in units of 1/per_one; -1 = not given, or none. */
int64_t km_wire_kube_quantity(const struct km_json_slice *slice, int64_t per_one);
/* RFC 3339; 0 = not given, or none. */
int64_t km_wire_kube_time(const struct km_json_slice *slice);
bool km_wire_kube_text_is(const struct km_json_slice *slice, const char *text);

struct km_wire_kube_condition {
	struct km_json_slice status, reason, message, changed;
};

/* The condition of that type; all absent when there is none. */
void km_wire_kube_condition(const struct km_json_slice *conditions, const char *name,
                            struct km_wire_kube_condition *out);

/* annotations receives that member. returns 0 or -ENOMEM. */
int km_wire_kube_meta(const struct km_json_slice *metadata, struct km_arena *arena,
                      struct km_kube_meta *out, struct km_json_slice *annotations) KM_MUST_CHECK;

#endif

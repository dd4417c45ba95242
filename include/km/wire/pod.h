/* SPDX-License-Identifier: Apache-2.0 */
/* v1.Pod -> struct km_pod: the few members a decision needs, without building a tree. */
#ifndef KM_WIRE_POD_H
#define KM_WIRE_POD_H

#include "km/base/arena.h"
#include "km/core/pod.h"
#include "km/wire/scan.h"

/*
 * Reads `pod` (an object or null, already scanned once). Members of unexpected types count as
 * absent, annotations of ours with unusable values are counted in bad_annotations.
 * returns 0 or -ENOMEM. Texts borrow from the slice or live in the arena.
 */
int km_pod_decode(const struct km_json_slice *pod, struct km_arena *arena,
                  struct km_pod *out) KM_MUST_CHECK;

#endif

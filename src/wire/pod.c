/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we need of a v1.Pod. The slice was checked when the request was scanned, so reading its
 * parts again cannot fail for their syntax; what has an unexpected type is taken as not there:
 * a pod must never be refused because of us.
 */
#include "km/wire/pod.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "km/base/num.h"
#include "km/core/schema.h"

#include "wire_internal.h"

#define MAX_SLOWDOWN_LOWEST  1.05 /* the least that km_workload can mean */
#define MAX_SLOWDOWN_HIGHEST 1e6  /* beyond any tolerance: a slip of the pen */
#define RPS_HIGHEST          1e9  /* beyond any service: likewise */

/* An annotation that is a number in [low, high]; anything else is NaN and counted. */
static int take_number(const struct km_json_slice *slice, struct km_arena *arena, double low,
                       double high, struct km_pod *pod, double *out)
{
	struct km_name text;
	int rc;

	*out = NAN;
	if (slice->kind == KM_JSON_ABSENT)
		return 0;
	rc = km_wire_text(slice, arena, &text);
	if (rc != 0)
		return rc;
	if (km_num_double(text.text, text.len, out) != 0 || !(*out >= low && *out <= high)) {
		*out = NAN;
		pod->bad_annotations++;
	}
	return 0;
}

static int take_class(const struct km_json_slice *slice, struct km_arena *arena, struct km_pod *pod)
{
	int rc = km_wire_text(slice, arena, &pod->class_name);

	if (rc == 0 && slice->kind != KM_JSON_ABSENT &&
	    (pod->class_name.len == 0 || pod->class_name.len >= KM_CLASS_NAME_MAX)) {
		pod->class_name.len = 0;
		pod->bad_annotations++;
	}
	return rc;
}

/* The one owner that controls the pod. */
static int take_owner(const struct km_json_slice *owners, struct km_arena *arena,
                      struct km_pod *pod)
{
	struct km_json_slice controller;
	struct km_json_slice kind;
	struct km_json_slice name;
	const struct km_json_want in_owner[] = {
		{ "controller", &controller },
		{ "kind", &kind },
		{ "name", &name },
	};
	struct km_json_slice owner;
	struct km_scan s;
	int rc;

	if (!km_wire_enter(&s, owners, KM_JSON_ARRAY))
		return 0;
	while (km_scan_element(&s) == KM_SCAN_MORE && km_scan_value(&s, &owner) == 0) {
		km_wire_members(&owner, in_owner, KM_ARRAY_LEN(in_owner));
		if (controller.kind != KM_JSON_TRUE)
			continue;
		rc = km_wire_text(&kind, arena, &pod->owner_kind);
		return rc != 0 ? rc : km_wire_text(&name, arena, &pod->owner_name);
	}
	return 0;
}

int km_wire_pod_metadata(const struct km_json_slice *metadata, struct km_arena *arena,
                         struct km_pod *out, struct km_wire_pod_life *life)
{
	struct km_json_slice name;
	struct km_json_slice namespace;
	struct km_json_slice uid;
	struct km_json_slice annotations;
	struct km_json_slice labels;
	struct km_json_slice owners;
	struct km_json_slice rps;
	struct km_json_slice max_slowdown;
	struct km_json_slice class_name;
	const struct km_json_want in_metadata[] = {
		{ "name", &name },
		{ "namespace", &namespace },
		{ "uid", &uid },
		{ "annotations", &annotations },
		{ "labels", &labels },
		{ "ownerReferences", &owners },
		{ "resourceVersion", &life->version },
		{ "creationTimestamp", &life->created },
		{ "deletionTimestamp", &life->deleted },
	};
	const struct km_json_want in_annotations[] = {
		{ "kubemarla.io/rps", &rps },
		{ "kubemarla.io/max-slowdown", &max_slowdown },
		{ "kubemarla.io/class", &class_name },
	};
	int rc;

	km_pod_init(out);
	km_wire_members(metadata, in_metadata, KM_ARRAY_LEN(in_metadata));
	km_wire_members(&annotations, in_annotations, KM_ARRAY_LEN(in_annotations));
	if ((rc = km_wire_text(&name, arena, &out->name)) != 0 ||
	    (rc = km_wire_text(&namespace, arena, &out->namespace)) != 0 ||
	    (rc = km_wire_text(&uid, arena, &out->uid)) != 0 ||
	    (rc = km_wire_labels(&labels, arena, &out->label, &out->label_count)) != 0 ||
	    (rc = take_owner(&owners, arena, out)) != 0 ||
	    (rc = take_number(&rps, arena, nextafter(0, 1), RPS_HIGHEST, out, &out->rps)) != 0 ||
	    (rc = take_number(&max_slowdown, arena, MAX_SLOWDOWN_LOWEST, MAX_SLOWDOWN_HIGHEST, out,
	                      &out->max_slowdown)) != 0)
		return rc;
	return take_class(&class_name, arena, out);
}

int km_pod_decode(const struct km_json_slice *pod, struct km_arena *arena, struct km_pod *out)
{
	struct km_json_slice metadata;
	const struct km_json_want in_pod[] = { { "metadata", &metadata } };
	struct km_wire_pod_life life;

	km_wire_members(pod, in_pod, KM_ARRAY_LEN(in_pod));
	return km_wire_pod_metadata(&metadata, arena, out, &life);
}

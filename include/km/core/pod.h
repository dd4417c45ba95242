/* SPDX-License-Identifier: Apache-2.0 */
/* What a decision needs of a v1.Pod: who it is, and what its annotations ask for. */
#ifndef KM_CORE_POD_H
#define KM_CORE_POD_H

#include <stddef.h>
#include <stdint.h>

#include "km/core/name.h"
#include "km/core/workload.h"

struct km_label {
	struct km_name key, value;
};

struct km_pod {
	struct km_name name; /* len 0 = not given; all borrowed from the request */
	struct km_name namespace;
	struct km_name uid;
	const struct km_label *label; /* [label_count] */
	size_t label_count;
	struct km_name owner_kind; /* of its controller: "ReplicaSet"; len 0 = none */
	struct km_name owner_name;
	double rps;          /* kubemarla.io/rps, requests/s of this one pod, > 0; NaN = none */
	double max_slowdown; /* kubemarla.io/max-slowdown, >= 1.05; NaN = none */
	struct km_name class_name; /* kubemarla.io/class; len 0 = none */
	uint32_t bad_annotations;  /* ours, but unusable: ignored, counted */
};

/* What a pod without anything to say looks like. */
void km_pod_init(struct km_pod *pod);

/* The value of a label, or NULL. */
const struct km_name *km_pod_label(const struct km_pod *pod, const char *key);

/*
 * Which pods are replicas of one another: those of one controller; the ReplicaSets of a Deployment
 * count as one (their names differ in the label pod-template-hash). returns 0 for a pod without
 * controller, which has no replicas.
 */
uint64_t km_pod_service(const struct km_pod *pod);

/*
 * The workload a pod describes: what its annotations say, `base` for the rest. The annotation's rps
 * is one pod's load, a workload's is that of all its replicas here. No pod may tolerate less than
 * min_max_slowdown: otherwise one tenant could fence nodes off.
 */
void km_pod_workload(const struct km_pod *pod, const struct km_workload *base,
                     double min_max_slowdown, struct km_workload *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The body of POST /v1/predict: {"pod":{"rps":1500,"replicas":2},"nodes":["a","b"]}. */
#ifndef KM_WIRE_PREDICT_H
#define KM_WIRE_PREDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/arena.h"
#include "km/base/err.h"
#include "km/core/name.h"
#include "km/core/workload.h"

/* What was asked for; borrows from the body and lives in the arena. */
struct km_predict_args {
	double rps;                /* requests/s of all replicas there, > 0; NaN = not given */
	double replicas;           /* >= 1; NaN = not given */
	double max_slowdown;       /* >= 1.05; NaN = not given */
	struct km_name class_name; /* len 0 = not given */
	bool all_nodes;            /* "nodes" was absent or null */
	size_t count;
	struct km_name *name; /* [count], as asked: doubled names stay doubled */
};

/*
 * Keys are ours, so they are matched exactly, and an unknown one is an error: a typing mistake must
 * not pass for the default. returns 0; -EINVAL naming the member; -ENOMEM. Any thread.
 */
int km_predict_decode(const char *body, size_t len, uint32_t depth_max, struct km_arena *arena,
                      struct km_predict_args *out, struct km_err *err) KM_MUST_CHECK;

/* The workload asked about: what the request gives, `base` for the rest. */
void km_predict_workload(const struct km_predict_args *args, const struct km_workload *base,
                         struct km_workload *out);

#endif

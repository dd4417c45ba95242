/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent's answer to GET /v1/features, read by feature name into the rows of a schema of ours.
 * The agent may have another model, or another version of this program: what it does not say is
 * NaN, what nobody here asks for is skipped.
 */
#ifndef KM_WIRE_FEATURES_H
#define KM_WIRE_FEATURES_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/arena.h"
#include "km/base/err.h"
#include "km/core/name.h"
#include "km/core/schema.h"

#define KM_FEATURES_NODES_MAX 1024 /* of one agent; further ones are left out */

/* One node that the agent speaks for. */
struct km_features_node {
	struct km_name name;
	enum km_tier tier;
	uint64_t sequence; /* as the agent counts changes of the row; 0 = no data yet */
	double age_s;      /* since its newest counters were read; NaN = never */
	double bin_age_s;  /* since its newest bin closed; NaN = not said */
	double covered_s;
	uint32_t outside_cpus;
	double *row; /* [schema->count] */
	/* Its newest bin, [KM_METRIC_N] each, and of how many CPUs; NULL and 0 = not said. */
	double *node_reading, *host_reading;
	uint32_t node_cpus, host_cpus;
};

struct km_features_answer {
	double window_s, bin_s;        /* NaN = not said: the agent has no data */
	struct km_features_node *node; /* [count] */
	size_t count;
};

struct km_features_reader;

/* Takes a reference on schema. returns 0 and *out owned; -ENOMEM. */
int km_features_reader_create(const struct km_schema *schema, struct km_features_reader **out);
void km_features_reader_free(struct km_features_reader *r); /* NULL allowed */
const struct km_schema *km_features_reader_schema(const struct km_features_reader *r);

/*
 * Everything in *out lives in the arena or borrows from body. returns 0; -EINVAL: it is no such
 * answer (says why); -ENOMEM. Any thread; a reader is immutable.
 */
int km_features_read_answer(const struct km_features_reader *r, const char *body, size_t len,
                            struct km_arena *arena, struct km_features_answer *out,
                            struct km_err *err) KM_MUST_CHECK;

#endif

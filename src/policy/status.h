/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what is so to what a policy's status says. Pure: time and what was said before are
 * arguments. Numbers move only when they have moved for good, conditions only when they last, so
 * that noise writes nothing.
 */
#ifndef KM_POLICY_STATUS_H
#define KM_POLICY_STATUS_H

#include "km/wire/policy_status.h"

#define STATUS_HOLD_NS    INT64_C(10000000000) /* a condition is so for as long before it is said */
#define STATUS_NUMBERS_NS INT64_C(15000000000) /* between two writes for numbers alone */

/* All texts borrowed; NULL = none. */
struct policy_facts {
	int64_t generation;
	const char *invalid;     /* why the object does not parse */
	const char *holds;       /* the policy that matches the same pods and holds instead */
	bool queries_untrusted;  /* it has queries, and its namespace is not trusted */
	const char *query_error; /* of the last time that they were asked */
	bool model;              /* there is one */
	bool feeding;            /* it is known what is where */
	uint32_t matched_pods;
	struct km_status_node
		*node; /* [nodes], in any order; predictions and observations as they are */
	size_t nodes;
	double observed;
	double limit; /* what its pods tolerate */
	struct km_status_move move;
};

/* What is kept of a policy between two looks. Zero = nothing yet. */
struct status_memory {
	struct {
		bool pending;
		enum km_condition_status status;
		int64_t since_ns; /* monotonic */
	} condition[KM_CONDITION_N];
	int64_t written_ns; /* monotonic; 0 = never */
};

enum status_change {
	STATUS_SAME,
	STATUS_NUMBERS, /* may wait */
	STATUS_URGENT,
};

/*
 * `old` is what the API has. *next is initialised, and the caller's to finish; facts->node is put
 * into another order. Marks nothing as written: see status_written.
 * returns how *next differs from old; STATUS_SAME too when memory is short.
 */
enum status_change status_next(const struct km_policy_status *old, struct policy_facts *facts,
                               struct status_memory *memory, int64_t mono_ns, int64_t wall_ns,
                               struct km_policy_status *next);

/* May numbers be written now? */
bool status_due(const struct status_memory *memory, int64_t mono_ns);
void status_written(struct status_memory *memory, int64_t mono_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Parts that several answers of ours have in common. */
#ifndef KM_WIRE_ANSWERS_INTERNAL_H
#define KM_WIRE_ANSWERS_INTERNAL_H

#include "km/wire/answers.h"

/* "pod": {...}, "workload": {...} and the members of a node: tier and age, verdict. */
void km_wire_put_pod(struct km_json *j, struct km_name ns, struct km_name name, struct km_name uid);
void km_wire_put_workload(struct km_json *j, const struct km_workload *w);
void km_wire_put_data(struct km_json *j, const struct km_answer_node *node);
void km_wire_put_verdict(struct km_json *j, const struct km_answer_verdict *verdict);

/* The policy of a pod, null when there is none. */
void km_wire_put_policy(struct km_json *j, struct km_name policy);

/* "scoredSlowdown", and who else is there: "inFlight" and "harm". */
void km_wire_put_company(struct km_json *j, const struct km_answer_node *node, int digits);

/* RFC 3339 in UTC with milliseconds; null at or before 1970. */
void km_wire_put_time(struct km_json *j, const char *key, int64_t wall_ns);

#endif

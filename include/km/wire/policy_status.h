/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status of an InterferencePolicy, as deploy/base/crd.yaml has it: out of an object, and into a
 * merge patch. Texts are copied; the struct holds them all, so that it can be kept and compared.
 */
#ifndef KM_WIRE_POLICY_STATUS_H
#define KM_WIRE_POLICY_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/macros.h"
#include "km/core/metric.h"

#define KM_STATUS_NODES_MAX   100
#define KM_STATUS_NAME_MAX    254
#define KM_STATUS_REASON_MAX  64
#define KM_STATUS_MESSAGE_MAX 512

enum km_condition_type { KM_READY, KM_SLO_AT_RISK, KM_MODEL_USABLE, KM_CONDITION_N };
enum km_condition_status { KM_CONDITION_UNKNOWN, KM_CONDITION_TRUE, KM_CONDITION_FALSE };

const char *km_condition_name(enum km_condition_type t); /* "Ready", ... */

struct km_condition {
	bool there;
	enum km_condition_status status;
	int64_t observed_generation;
	int64_t changed_unix_ns; /* lastTransitionTime, in whole seconds: of the status alone */
	char reason[KM_STATUS_REASON_MAX];
	char message[KM_STATUS_MESSAGE_MAX];
};

struct km_status_node {
	char name[KM_STATUS_NAME_MAX];
	uint32_t pods;
	double predicted, observed; /* NaN = not known */
	enum km_tier tier;
};

struct km_status_move {
	bool there;
	int64_t unix_ns;
	char pod[KM_STATUS_NAME_MAX];
	char from[KM_STATUS_NAME_MAX];
	double gain_ratio;
	bool dry_run;
	uint32_t in_last_hour; /* this one included */
};

struct km_policy_status {
	int64_t observed_generation; /* 0 = none */
	uint32_t matched_pods;
	uint32_t node_count;
	double worst_predicted, observed; /* NaN = not known */
	struct km_status_node *node;      /* [nodes], by name; km_policy_status_fini frees it */
	size_t nodes;
	struct km_condition condition[KM_CONDITION_N];
	struct km_status_move move;
};

void km_policy_status_init(struct km_policy_status *s);
void km_policy_status_fini(struct km_policy_status *s);

/* {"status":{...}}: what is not known is null, which a merge patch takes for absent. Appends. */
void km_policy_status_encode(struct km_buf *out, const struct km_policy_status *s);

/*
 * The status of a whole object; what is absent or not as it should be is not there. `s` is
 * initialised by it. returns 0, -EINVAL (no JSON object) or -ENOMEM; then it is empty.
 */
int km_policy_status_decode(const char *json, size_t len, struct km_policy_status *s) KM_MUST_CHECK;

#endif

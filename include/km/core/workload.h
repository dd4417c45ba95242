/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of the pod to be placed, from its policy, its annotations or the defaults. */
#ifndef KM_CORE_WORKLOAD_H
#define KM_CORE_WORKLOAD_H

#include <stdbool.h>

#include "km/core/schema.h"

/* What to do about a node whose data is missing, too old, or of too low a tier. */
enum km_on_stale {
	KM_ON_STALE_NEUTRAL, /* passes; scores low among the fresh, never above a fresh and better
	                        one */
	KM_ON_STALE_AVOID,   /* passes; scores 0 */
	KM_ON_STALE_REJECT,  /* filtered out */
	KM_ON_STALE_N,
};

enum km_mode {
	KM_MODE_OBSERVE, /* answer neutrally, record what would have been done */
	KM_MODE_PREFER,  /* score only */
	KM_MODE_ENFORCE, /* filter and score */
	KM_MODE_N,
};

struct km_workload {
	double rps;          /* requests/s, > 0 */
	double replicas;     /* >= 1 */
	double max_slowdown; /* >= 1.05; p99 there / p99 alone that the workload tolerates */
	enum km_mode mode;
	enum km_on_stale on_stale;
	char class_name[KM_CLASS_NAME_MAX]; /* "" = none */
};

const char *km_on_stale_name(enum km_on_stale v); /* "Neutral", "Avoid", "Reject" */
int km_on_stale_parse(const char *text);          /* -1 when unknown */
const char *km_mode_name(enum km_mode m);         /* "Observe", "Prefer", "Enforce" */
int km_mode_parse(const char *text);

#endif

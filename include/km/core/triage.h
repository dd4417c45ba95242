/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why tasks of a node wait for a CPU, told from what the kernel accounts, without a PMU:
 *
 *   steal high                                   the hypervisor gave the CPUs to somebody else
 *   throttling high                              the node's own CPU quota: self-inflicted
 *   pressure high, throttling low, steal low     other work on its CPUs: a neighbour
 *
 * A hint for people; no decision is made from it. Pure.
 */
#ifndef KM_CORE_TRIAGE_H
#define KM_CORE_TRIAGE_H

#include <stdbool.h>

#include "km/base/buf.h"
#include "km/core/readings.h"

/* What counts as high. Chosen, not measured: a tenth of the time, or a twentieth. */
#define KM_TRIAGE_PRESSURE_HIGH  0.10
#define KM_TRIAGE_THROTTLED_HIGH 0.05
#define KM_TRIAGE_STEAL_HIGH     0.05

enum km_triage_cause {
	KM_TRIAGE_UNKNOWN, /* no pressure, throttling or steal was measured */
	KM_TRIAGE_NONE,    /* nothing waits much */
	KM_TRIAGE_NEIGHBOUR,
	KM_TRIAGE_SELF,
	KM_TRIAGE_HYPERVISOR,
	KM_TRIAGE_N,
};

struct km_triage {
	enum km_triage_cause cause;
	double pressure, throttled, steal; /* as in the metrics; NaN = not measured */
	bool of_host; /* the pressure is system-wide: the node has no group of its own */
};

/* Judges a node. r NULL: unknown. */
void km_triage_node(struct km_readings *r, uint32_t node, struct km_triage *out);

const char *km_triage_name(enum km_triage_cause c); /* "neighbour" ... */

/* "other work on its CPUs: CPU pressure 0.35 high, throttling 0.00 low, steal 0.00 low". Appends to
 * out. */
void km_triage_text(const struct km_triage *t, struct km_buf *out);

#endif

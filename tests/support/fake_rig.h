/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for the whole of rig (km/rig/rig.h): no process, no time passes, every call is written
 * down and answers as a test wants it. It proves the order of a run and what becomes of its
 * failures; nothing of processes, control groups, generators or counters.
 */
#ifndef KM_TESTS_SUPPORT_FAKE_RIG_H
#define KM_TESTS_SUPPORT_FAKE_RIG_H

#include <stddef.h>

#include "km/base/buf.h"

#define FAKE_RIG_FAILURES_MAX 4

/* From the nth call of an operation on (from 1), `times` of them fail. */
struct fake_rig_failure {
	const char *op; /* as in the log: "open", "stress", "wait", "target", "load", "end", ... */
	unsigned nth, times;
	int rc; /* negative errno */
	const char *text;
};

struct fake_rig {
	struct km_buf log; /* "op arguments\n" each; "wait" has milliseconds */
	struct fake_rig_failure failure[FAKE_RIG_FAILURES_MAX];
	size_t failures;
	const double *foreign_cpus; /* [foreign_count] of one window after the other, then 0 */
	size_t foreign_count;
	double utilisation;
	/* counted */
	unsigned opened, closed, loads, windows, resets;
};

/* Empties the one there is and returns it. */
struct fake_rig *fake_rig_init(void);
void fake_rig_fini(void);

#endif

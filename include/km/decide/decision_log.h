/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision log (decide.log): decisions with everything they were made from, as lines of
 * km/wire/decision_lines.h, written by a thread of its own ("km-decisions"). A request copies its
 * candidates and hands them over; it waits for nothing. What does not fit into the queue, 256
 * decisions or 32 MiB, is dropped and counted, as is what the disk does not take.
 *
 * Large: 5,000 candidates are some 60 KB a call, and 2 MB more when all their rows changed.
 */
#ifndef KM_DECIDE_DECISION_LOG_H
#define KM_DECIDE_DECISION_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/clock.h"
#include "km/base/err.h"
#include "km/cluster/cluster.h"
#include "km/core/settings.h"
#include "km/metrics/metrics.h"
#include "km/place/place.h"
#include "km/wire/decision_lines.h"

struct km_decision_log;

/*
 * Off until _set. cluster, clock and metrics (NULL allowed) are borrowed and outlive *out.
 * returns 0 and *out owned; -ENOMEM.
 */
int km_decision_log_create(struct km_cluster *cluster, const struct km_clock *clock,
                           struct km_metrics *metrics, struct km_decision_log **out,
                           struct km_err *err) KM_MUST_CHECK;

/* Writes what waits, ends the thread. NULL allowed. */
void km_decision_log_free(struct km_decision_log *l);

/*
 * Logs to s->log_path from now on ("" = off); the file is opened anew, the same one too: after it
 * was renamed, that is the next one. A file that cannot be opened is complained about and tried
 * again with the next decision. returns 0; -EAGAIN when the thread cannot be started, -ENOMEM.
 */
int km_decision_log_set(struct km_decision_log *l, const struct km_decide_settings *s,
                        struct km_err *err) KM_MUST_CHECK;

/* Is it on? Without a lock; log NULL: no. Any thread. */
bool km_decision_log_wanted(const struct km_decision_log *l);

/* One call to /filter or /prioritize. */
struct km_decision_log_entry {
	const struct km_logged_decision *decision; /* up to model_hash; count; no arrays */
	const struct km_name *name;                /* [count] */
	const struct km_verdict *verdict;          /* [count] */
};

/*
 * Copies what it needs, with the picture of this moment. Never waits for the disk. Any thread.
 */
void km_decision_log_add(struct km_decision_log *l, const struct km_decision_log_entry *e);

#endif

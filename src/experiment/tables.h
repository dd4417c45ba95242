/* SPDX-License-Identifier: Apache-2.0 */
/* Records as the tables of a dataset (docs/LABORATORY.md has the columns). Pure. */
#ifndef KM_EXPERIMENT_TABLES_H
#define KM_EXPERIMENT_TABLES_H

#include <stddef.h>

#include "km/base/buf.h"
#include "km/plan/plan.h"
#include "km/wire/run_record.h"

/*
 * Appends runs.csv and pairs.csv of records [count]. What has no baseline yet has no slowdown, and
 * no pair; where no counters are recorded there are no pairs.
 */
void experiment_tables(const struct km_plan *p, const struct km_run_record *const *record,
                       size_t count, struct km_buf *runs, struct km_buf *pairs);

/*
 * Median p99 of the unstressed runs of the same target node, replicas and rps, in ms; of those that
 * were not gated, where there are any. NaN when there is none. *of = how many.
 */
double experiment_baseline(const struct km_run_record *const *record, size_t count,
                           const struct km_run_record *like, size_t *of);

#endif

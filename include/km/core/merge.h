/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several live sources, one host: the samples of one tick become one sample over the tick's own
 * interval. Additive counts are scaled to it, levels are taken as they are, the first source in
 * order wins for a count that several know, and what none knows is NaN.
 *
 *   source 0  |-----------|            tick  |----------|   counts x tick / own length
 *   source 1      |-----------|
 *
 * A sample speaks for as many ticks as it is long (rounded, at most KM_MERGE_HOLD_MAX_NS): a source
 * may be slower than the ticks. No clock: time is an argument. One thread at a time.
 */
#ifndef KM_CORE_MERGE_H
#define KM_CORE_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/macros.h"
#include "km/core/sample.h"

#define KM_MERGE_HOLD_MAX_NS INT64_C(10000000000)

struct km_merge;

/* returns 0 and *out owned, or -ENOMEM. */
int km_merge_create(size_t source_count, struct km_merge **out) KM_MUST_CHECK;
void km_merge_free(struct km_merge *m); /* NULL allowed */

/*
 * The newest sample of source `source` (its place in the set), copied; it replaces the one before.
 * Times are monotonic ns. *why, if not NULL, receives a static text when the sample is dropped.
 * returns 0; -EINVAL when it is implausible or ends no later than the one before it; -ENOMEM.
 */
int km_merge_take(struct km_merge *m, size_t source, const struct km_sample *sample,
                  const char **why) KM_MUST_CHECK;

/* Forgets what a source said: it was closed. */
void km_merge_forget(struct km_merge *m, size_t source);

/*
 * Ends the tick: the interval is that since the previous end, so the first call only starts the
 * clock. returns the merged sample, borrowed until the next call, or NULL when no source has
 * anything to say for this tick (or memory is short).
 */
const struct km_sample *km_merge_end(struct km_merge *m, int64_t now_ns);

/* Had the source nothing to say for the tick that ended last? */
bool km_merge_missed(const struct km_merge *m, size_t source);

#endif

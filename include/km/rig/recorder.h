/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters of this machine, window by window: the live sources that the agent would read, merged as
 * it merges them, kept as samples and given back as a trace (sources/trace_csv.h). Nothing is
 * computed here: rates and features are for whoever reads the trace.
 *
 *   open --> [ begin --> tick, tick, ... --> end ] --> [ begin ... end ] --> free
 *
 * Between windows nothing is kept, and what was counted then is in no window. Waits for nothing but
 * in open, which probes (sources/preflight.h). One thread.
 */
#ifndef KM_RIG_RECORDER_H
#define KM_RIG_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/core/metric.h"
#include "km/core/settings.h"

/* Of one window, in numbers kept: half a gigabyte. A longer one is several. */
#define KM_RECORDER_VALUES_MAX (64u << 20)

struct km_recorder;

/*
 * Opens the sources: those of collect->source, or with auto_sources all that work.
 * collect and node [node_count] are borrowed until km_recorder_free; now_ns is monotonic.
 * returns 0 and *out owned; -ENOTSUP for a list with a replay in it; the errno of a listed source
 * that cannot work, or -ENOENT when none can, with the reason; -ENOMEM.
 */
int km_recorder_open(const struct km_collect_settings *collect, const struct km_node_settings *node,
                     size_t node_count, int64_t now_ns, struct km_recorder **out,
                     struct km_err *err) KM_MUST_CHECK;
void km_recorder_free(struct km_recorder *r); /* NULL allowed */

/*
 * Before the first window: have all sources delivered, or given up? Those with a worker of their
 * own (pcm, pcm-server) take a moment. Reads them, keeps nothing; ask again after a while.
 */
bool km_recorder_ready(struct km_recorder *r, int64_t now_ns);

/*
 * Begins a window: what is counted from now on is its own. wall_ns, of the same moment, makes the
 * trace's times. A window that was not ended is dropped.
 */
void km_recorder_begin(struct km_recorder *r, int64_t now_ns, int64_t wall_ns);

/*
 * Takes a sample when one is due (collect->interval_ns after the one before), else does nothing;
 * without a window too. A source that breaks is opened again later, its counts are NaN until then.
 * returns 0; -E2BIG at KM_RECORDER_VALUES_MAX; -ENOMEM.
 */
int km_recorder_tick(struct km_recorder *r, int64_t now_ns, struct km_err *err) KM_MUST_CHECK;

/* When the next sample is due, monotonic; INT64_MAX without a window. */
int64_t km_recorder_due_ns(const struct km_recorder *r);

/*
 * Ends the window, with a last sample when half an interval or more has passed since the one
 * before, and appends the trace to csv.
 * returns 0; -ENODATA when there is no window or not one sample, with what the sources said; as
 * km_recorder_tick. The window is over in any case.
 */
int km_recorder_end(struct km_recorder *r, int64_t now_ns, struct km_buf *csv,
                    struct km_err *err) KM_MUST_CHECK;

/* What the sources give together, and their names: "perf+os". As long as r. */
enum km_tier km_recorder_tier(const struct km_recorder *r);
const char *km_recorder_sources(const struct km_recorder *r);

/* Why the last source that failed did, "" = none has. As long as r. */
const char *km_recorder_trouble(const struct km_recorder *r);

#endif

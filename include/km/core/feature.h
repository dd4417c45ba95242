/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From samples to feature rows: the only place where rates, ratios and statistics are computed,
 * for training and for serving alike. One km_features holds the windows of one host.
 *
 *   sample --plausible?--> bin (bin_s) --> per CPU set: counts -> metrics --> rings --> statistics
 *
 * No clock, no I/O, no globals: time comes in with the samples. One thread at a time.
 */
#ifndef KM_CORE_FEATURE_H
#define KM_CORE_FEATURE_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/cpuset.h"
#include "km/base/err.h"
#include "km/core/readings.h"
#include "km/core/sample.h"
#include "km/core/schema.h"

struct km_features;

/* What became of the samples so far. */
struct km_features_stats {
	uint64_t samples;            /* accepted */
	uint64_t implausible;        /* dropped */
	uint64_t out_of_order;       /* dropped: ends before the last one did */
	uint64_t bins;               /* closed */
	uint64_t implausible_values; /* metrics of a bin outside their bounds: NaN instead */
	const char *last_reason;     /* static text of the last drop, or NULL */
};

/*
 * Windows for one host. `node_cpus` [node_count] are the CPU sets of the Kubernetes nodes on it;
 * CPUs in none of them are `spare`. Only what the schema reads is kept.
 * returns 0 and *out owned; -EINVAL (node sets overlap), -ENOMEM.
 */
int km_features_create(const struct km_schema *schema, const struct km_cpuset *node_cpus,
                       size_t node_count, struct km_features **out,
                       struct km_err *err) KM_MUST_CHECK;
void km_features_free(struct km_features *f);

/*
 * Folds one sample in. Samples are merged into bins of at least bin_s (within 10 %): 5 x 1 s,
 * 3 x 2 s, 1 x 5 s. A gap longer than a bin closes the open bin (kept if at least half full).
 * The CPUs of the host are those of the samples: more of them than before starts the windows anew.
 * returns the number of bins closed (0 or more), an implausible sample is counted and dropped;
 * -ENOMEM when the windows of newly seen CPUs do not fit (the sample is lost).
 */
int km_features_push(struct km_features *f, const struct km_sample *sample);

/*
 * Writes the feature row of node `node` into out[schema->count]; what is not known is NaN, pod and
 * inflight inputs are always NaN (the caller fills them).
 * returns the number of measured (not NaN) features.
 */
uint32_t km_features_read(const struct km_features *f, size_t node, double *out);

/* Bumped at each closed bin: equal version = equal rows. 0 = no bin yet. */
uint64_t km_features_version(const struct km_features *f);

/*
 * Every metric of the newest closed bin, whatever the schema reads.
 * returns them, owned, with one reference; NULL when no bin is closed or memory is short.
 */
struct km_readings *km_features_readings(const struct km_features *f);

/* End (source time) of the newest closed bin, and how many seconds the window covers now. */
int64_t km_features_end_ns(const struct km_features *f);
double km_features_covered_s(const struct km_features *f);

/* The tier of what the window really contains: which kinds of metric were measured in it. */
enum km_tier km_features_tier(const struct km_features *f);

void km_features_stats(const struct km_features *f, struct km_features_stats *out);

#endif

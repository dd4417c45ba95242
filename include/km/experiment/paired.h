/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paired differences with an interval, and whether they show anything. What was measured in one
 * repeat stands or falls together, so whole repeats are drawn. Pure: no clock, no I/O.
 */
#ifndef KM_EXPERIMENT_PAIRED_H
#define KM_EXPERIMENT_PAIRED_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/macros.h"

/*
 * Fewer repeats than these get no interval: samples of so few are too often all of one repeat, and
 * n coins agree by chance once in 2^(n-1), which is 1 in 8 for 4 of them.
 */
#define KM_PAIRED_CLUSTERS_MIN 5
#define KM_PAIRED_ROUNDS       20000

struct km_pair {
	uint32_t cluster;  /* the repeat, any numbers */
	double difference; /* ln(a / b): below 0, a is less; finite */
};

enum km_verdict {
	KM_VERDICT_NONE,   /* the interval includes 0 */
	KM_VERDICT_LOWER,  /* all of it is below: a is less */
	KM_VERDICT_HIGHER, /* all of it is above */
	KM_VERDICT_TOO_FEW /* pairs or repeats */
};

/* "no difference shown", "lower", "higher", "too few repeats". */
const char *km_verdict_text(enum km_verdict v);

struct km_paired {
	size_t pairs;
	size_t clusters;
	double mean;      /* of the differences; NaN without pairs */
	double low, high; /* 95 % interval of it; NaN with too few clusters */
	enum km_verdict verdict;
};

/*
 * The interval is the studentized bootstrap's over clusters (source: Davison & Hinkley, "Bootstrap
 * Methods and their Application", 1997, 5.2): each sample's distance from the mean is measured in
 * standard errors of that sample. Plain percentiles are too narrow for five repeats: they miss
 * twice as often as they say, this one does not (tests/unit/test_experiment_paired.c measures it).
 * The same pairs in the same order with the same seed give the same bits.
 * pair [count]; rounds >= 1. returns 0, -EINVAL (a difference that is no finite number), -ENOMEM.
 */
int km_paired_compare(const struct km_pair *pair, size_t count, uint32_t rounds, uint64_t seed,
                      struct km_paired *out) KM_MUST_CHECK;

#endif

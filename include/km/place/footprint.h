/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Footprints: what one pod of a class adds to the counters of its node, and what a row of features
 * would say with some of them there. Only quantities that add up are added; ratios are computed
 * from their sums. Pure.
 *
 * The explainable fallback for classes that a model has no input for. Measured: adding footprints
 * is optimistic, by .08 to .14 in normalised performance (docs/MODEL.md).
 */
#ifndef KM_PLACE_FOOTPRINT_H
#define KM_PLACE_FOOTPRINT_H

#include <stdbool.h>
#include <stdint.h>

#include "km/core/schema.h"

/* What adds up over pods, per second. */
enum km_quantity {
	KM_QUANTITY_ACTIVE,       /* CPU-seconds in C0 */
	KM_QUANTITY_WORK,         /* instructions per nominal cycle, x CPUs: ipc x active */
	KM_QUANTITY_INSTRUCTIONS, /* where they are counted */
	KM_QUANTITY_L2_MISS,
	KM_QUANTITY_L3_MISS,
	KM_QUANTITY_READ_BYTES,
	KM_QUANTITY_WRITE_BYTES,
	KM_QUANTITY_N,
};

const char *
km_quantity_name(enum km_quantity q);    /* "active", "work", ...: as policies write them */
int km_quantity_parse(const char *name); /* -1 when unknown */

struct km_footprint {
	double mean[KM_QUANTITY_N];   /* >= 0; NaN = not known: taken as nothing added */
	double spread[KM_QUANTITY_N]; /* robust standard deviation of one sample; NaN = not known */
	uint32_t count;               /* samples behind it; 0 = declared */
};

/* Quantities of a node and of its host now, from readings; NaN = not known. */
struct km_footprint_base {
	double node[KM_QUANTITY_N]; /* bandwidth is the host's: NaN here */
	double host[KM_QUANTITY_N];
	double node_cpus, host_cpus; /* how many; NaN = not known */
};

/* From the metrics [KM_METRIC_N] of the node and of the host (core/readings.h). */
void km_footprint_base(const double *node, double node_cpus, const double *host, double host_cpus,
                       struct km_footprint_base *out);

/*
 * row [schema->count] -> out, which may be row: with added[] more on the node. Location statistics
 * (mean, p95, p5, max) of what adds up are shifted, of ratios scaled as their mean is; std stays;
 * what cannot be computed stays as it is, and NaN stays NaN. Pods are taken to be spread evenly
 * over the node's CPUs; other nodes of the host keep their rows, but for host-wide features.
 */
void km_footprint_project(const struct km_schema *schema, const double *row,
                          const struct km_footprint_base *base, const double added[KM_QUANTITY_N],
                          double *out);

/* Below so many samples a learned footprint is no footprint yet. */
#define KM_FOOTPRINT_SAMPLES_MIN 3
/* Samples kept of each class, and classes; the one learned from longest ago goes. */
#define KM_FOOTPRINT_SAMPLES_MAX 16
#define KM_FOOTPRINT_CLASSES_MAX 128

struct km_footprints;

struct km_footprints *km_footprints_create(void); /* NULL when out of memory */
void km_footprints_free(struct km_footprints *f);

/*
 * One pod of the class started, and the node's quantities went from `before` to `after`, nothing
 * else having changed. Negative differences are taken as they are: noise, which the middle of the
 * samples cancels. NaN differences are not learned from.
 */
void km_footprints_learn(struct km_footprints *f, const char *class_name,
                         const struct km_footprint_base *before,
                         const struct km_footprint_base *after);

/*
 * The mean of the middle half of the samples, never below 0, and their spread.
 * returns false while the class has fewer than KM_FOOTPRINT_SAMPLES_MIN samples.
 */
bool km_footprints_get(const struct km_footprints *f, const char *class_name,
                       struct km_footprint *out);

#endif

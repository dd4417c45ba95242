/* SPDX-License-Identifier: Apache-2.0 */
/* Feature names in words, for people: explanations, reports. The name itself stays the key. */
#ifndef KM_CORE_WORDS_H
#define KM_CORE_WORDS_H

#include "km/base/buf.h"
#include "km/core/metric.h"

/* What a metric measures: "memory writes". Static. */
const char *km_metric_words(enum km_metric m);

/* How its numbers are read. */
enum km_reading {
	KM_READ_UNIT,    /* with the metric's unit: "4.1 GB/s" */
	KM_READ_PERCENT, /* a share of time: "42 %" */
	KM_READ_BARE,    /* the words say the unit: IPC is instructions per cycle */
};

enum km_reading km_metric_reading(enum km_metric m);

/*
 * "memory writes", "IPC on the node's lowest CPU", "95th percentile of L3 misses on other nodes'
 * CPUs", "requests with the pod". A name that is no feature's is taken as it is. Appends to out.
 */
void km_feature_words(const char *name, struct km_buf *out);

#endif

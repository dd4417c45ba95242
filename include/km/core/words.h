/* SPDX-License-Identifier: Apache-2.0 */
/* Feature names in words, for people: explanations, reports. The name itself stays the key. */
#ifndef KM_CORE_WORDS_H
#define KM_CORE_WORDS_H

#include <stdbool.h>

#include "km/base/buf.h"
#include "km/core/metric.h"

/* What a metric measures: "memory writes". Static. */
const char *km_metric_words(enum km_metric m);

/* Is it a share of time, which people read in percent? */
bool km_metric_is_share(enum km_metric m);

/*
 * "memory writes", "IPC on the node's lowest CPU", "95th percentile of L3 misses on other nodes'
 * CPUs", "requests with the pod". A name that is no feature's is taken as it is. Appends to out.
 */
void km_feature_words(const char *name, struct km_buf *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to metrics. A registry is a list of families, a family a list of series. Both lists only
 * grow, and a link is published (release) once what it points to is complete: readers walk without
 * a lock.
 */
#ifndef KM_METRICS_INTERNAL_H
#define KM_METRICS_INTERNAL_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/metrics/metrics.h"

/* Two metrics in one cache line would slow each other's threads down. */
#define METRIC_ALIGN 64

struct km_counter {
	alignas(METRIC_ALIGN) _Atomic uint64_t value;
};

struct km_gauge {
	alignas(METRIC_ALIGN) _Atomic double value;
};

struct km_histogram {
	alignas(METRIC_ALIGN) const double *bounds;
	size_t bound_count;
	_Atomic double sum;
	_Atomic uint64_t bucket[]; /* [bound_count + 1], not cumulative; the last is +Inf */
};

struct series {
	struct series *_Atomic next;
	char *labels; /* as written between the braces; "" = none */
	void *metric; /* struct km_counter, km_gauge or km_histogram, by the family's type */
};

struct family {
	struct family *_Atomic next;
	enum km_metric_type type;
	char *name;
	char *help;
	const double *bounds;
	size_t bound_count;
	const struct km_clock *since; /* the gauge holds the time of an event; NULL = its value */
	struct series *_Atomic series;
};

struct collector {
	struct collector *_Atomic next;
	km_collect_fn collect;
	void *ctx;
};

struct km_metrics {
	pthread_mutex_t lock; /* registration only */
	struct family *_Atomic families;
	struct collector *_Atomic collectors;
	struct km_err first_error;
	/* What a failed registration returns; never exposed. */
	struct km_counter spare_counter;
	struct km_gauge spare_gauge;
	struct km_histogram *spare_histogram;
};

struct km_metrics_writer {
	struct km_buf *out;
	enum km_metric_type type;
	const char *name;
	const char *help;
	bool header_written;
};

/* Zeroed memory for a metric; a histogram has room for bound_count + 1 buckets. NULL = no memory.
 */
void *km_metric_alloc(enum km_metric_type type, const double *bounds, size_t bound_count);

/* Appends name="value" with the value's backslash, quote and newline escaped. */
void km_metrics_write_label(struct km_buf *out, const char *name, const char *value);

#endif

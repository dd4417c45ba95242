/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters, gauges and histograms in memory, and their Prometheus text exposition. Everything is
 * registered at start-up; after that a metric is a pointer that any thread updates without a lock.
 * Registration never fails in the caller's hands: after an error it returns a working metric that
 * is not exposed, and km_metrics_check() says at the end of start-up what was wrong.
 *
 *     requests = km_metrics_counter(m, "kubemarla_extender_requests_total",
 *                                   "Requests answered.", "verb", "filter", KM_LABELS_END);
 *     km_counter_add(requests, 1);
 *
 * Names follow Prometheus: a unit in the name, base units, counters end in _total.
 */
#ifndef KM_METRICS_METRICS_H
#define KM_METRICS_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/clock.h"
#include "km/base/err.h"
#include "km/base/macros.h"

struct km_metrics;
struct km_counter;
struct km_gauge;
struct km_histogram;

#define KM_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Pairs of label name and value that one series may have. */
#define KM_METRICS_LABELS_MAX 8

/* Ends a list of labels; a plain NULL may be an int, which is no pointer among `...`. */
#define KM_LABELS_END ((const char *)NULL)

/* *out is owned; freed after the last thread that uses one of its metrics has ended. */
int km_metrics_create(struct km_metrics **out, struct km_err *err) KM_MUST_CHECK;
void km_metrics_free(struct km_metrics *m);

/* returns 0, or the first registration's error: a bad name, a clash of types, out of memory. */
int km_metrics_check(struct km_metrics *m, struct km_err *err) KM_MUST_CHECK;

/*
 * Register a series: `...` is label name, label value, ..., KM_LABELS_END; all texts are copied.
 * The same name and labels give the same metric again, so a reload may register once more. m may be
 * NULL: the result is NULL then, and every update below ignores a NULL metric.
 * mem: borrowed from m. thread: any, serialised by a mutex; meant for start-up.
 */
struct km_counter *km_metrics_counter(struct km_metrics *m, const char *name, const char *help, ...)
	__attribute__((sentinel));

/* A gauge is NaN, that is absent from the exposition, until it is first set. */
struct km_gauge *km_metrics_gauge(struct km_metrics *m, const char *name, const char *help, ...)
	__attribute__((sentinel));

/*
 * A gauge that grows by itself, in seconds: the time since km_age_reset was called last; absent
 * before that. clock is borrowed until m is freed.
 */
struct km_gauge *km_metrics_age(struct km_metrics *m, const struct km_clock *clock,
                                const char *name, const char *help, ...) __attribute__((sentinel));

/*
 * bounds: `count` rising upper bounds, in the unit of the name (seconds as a rule), without +Inf.
 * Borrowed for the registry's life: static tables.
 */
struct km_histogram *km_metrics_histogram(struct km_metrics *m, const char *name, const char *help,
                                          const double *bounds, size_t count, ...)
	__attribute__((sentinel));

/* Bounds for what a request waits for: 50 microseconds to 2.5 seconds, in seconds. */
#define KM_LATENCY_BOUNDS_COUNT 15
extern const double km_latency_bounds_s[KM_LATENCY_BOUNDS_COUNT];

/* Updates and reads: any thread, no lock, NULL is ignored (and reads as 0 or NaN). */
void km_counter_add(struct km_counter *c, uint64_t n);
uint64_t km_counter_value(const struct km_counter *c);
void km_gauge_set(struct km_gauge *g, double value);
void km_gauge_add(struct km_gauge *g, double delta); /* a gauge never set counts as 0 */
double km_gauge_value(const struct km_gauge *g);
/* now_ns: monotonic, of the clock that the age was made with. INT64_MIN: absent again. */
void km_age_reset(struct km_gauge *g, int64_t now_ns);
void km_histogram_observe(struct km_histogram *h, double value); /* NaN is ignored */
uint64_t km_histogram_count(const struct km_histogram *h);
double km_histogram_sum(const struct km_histogram *h);

/*
 * A collector is called at each exposition, in the thread that asks, and writes what is computed on
 * demand (gauges per node, say). It may be called by several threads at once. Its family names must
 * not be registered otherwise. ctx is borrowed until m is freed.
 */
struct km_metrics_writer;
typedef void (*km_collect_fn)(struct km_metrics_writer *w, void *ctx);
void km_metrics_collect(struct km_metrics *m, km_collect_fn collect, void *ctx);

enum km_metric_type { KM_METRIC_COUNTER, KM_METRIC_GAUGE, KM_METRIC_HISTOGRAM };

/*
 * Inside a collector: begins a family (counter or gauge); its HELP and TYPE lines are written with
 * the first sample, so a family without one is absent. name and help are borrowed until the next
 * family begins.
 */
void km_metrics_family(struct km_metrics_writer *w, enum km_metric_type type, const char *name,
                       const char *help);

/* One sample; NaN writes nothing. `...` is label name, label value, ..., KM_LABELS_END. */
void km_metrics_sample(struct km_metrics_writer *w, double value, ...) __attribute__((sentinel));

/*
 * Appends the exposition (KM_METRICS_CONTENT_TYPE) to out: families in order of registration, then
 * the collectors. returns 0 or -ENOMEM. thread: any; no lock is held while it writes.
 */
int km_metrics_expose(struct km_metrics *m, struct km_buf *out) KM_MUST_CHECK;

#endif

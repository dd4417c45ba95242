/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metrics themselves. Relaxed order everywhere: each value stands alone, and an exposition is
 * no snapshot across metrics.
 */
#include <math.h>
#include <stdlib.h>

#include "metrics_internal.h"

const double km_latency_bounds_s[KM_LATENCY_BOUNDS_COUNT] = { 50e-6,  100e-6, 250e-6, 500e-6, 1e-3,
	                                                      2.5e-3, 5e-3,   10e-3,  25e-3,  50e-3,
	                                                      100e-3, 250e-3, 500e-3, 1.0,    2.5 };

void *km_metric_alloc(enum km_metric_type type, const double *bounds, size_t bound_count)
{
	size_t bytes = METRIC_ALIGN; /* a counter or a gauge */
	unsigned char *metric;

	if (type == KM_METRIC_HISTOGRAM)
		bytes = sizeof(struct km_histogram) + (bound_count + 1) * sizeof(uint64_t);
	bytes = (bytes + METRIC_ALIGN - 1) / METRIC_ALIGN * METRIC_ALIGN;
	metric = aligned_alloc(METRIC_ALIGN, bytes);
	if (!metric)
		return NULL;
	for (size_t i = 0; i < bytes; i++)
		metric[i] = 0;
	if (type == KM_METRIC_GAUGE)
		atomic_store(&((struct km_gauge *)(void *)metric)->value, NAN);
	if (type == KM_METRIC_HISTOGRAM) {
		struct km_histogram *h = (struct km_histogram *)(void *)metric;

		h->bounds = bounds;
		h->bound_count = bound_count;
	}
	return metric;
}

static void add_double(_Atomic double *to, double delta)
{
	double old = atomic_load_explicit(to, memory_order_relaxed);
	double sum;

	do {
		sum = isnan(old) ? delta : old + delta;
	} while (!atomic_compare_exchange_weak_explicit(to, &old, sum, memory_order_relaxed,
	                                                memory_order_relaxed));
}

void km_counter_add(struct km_counter *c, uint64_t n)
{
	if (c)
		atomic_fetch_add_explicit(&c->value, n, memory_order_relaxed);
}

uint64_t km_counter_value(const struct km_counter *c)
{
	return c ? atomic_load_explicit(&c->value, memory_order_relaxed) : 0;
}

void km_gauge_set(struct km_gauge *g, double value)
{
	if (g)
		atomic_store_explicit(&g->value, value, memory_order_relaxed);
}

void km_gauge_add(struct km_gauge *g, double delta)
{
	if (g)
		add_double(&g->value, delta);
}

double km_gauge_value(const struct km_gauge *g)
{
	return g ? atomic_load_explicit(&g->value, memory_order_relaxed) : NAN;
}

void km_age_reset(struct km_gauge *g, int64_t now_ns)
{
	km_gauge_set(g, now_ns != INT64_MIN ? (double)now_ns * 1e-9 : NAN);
}

void km_histogram_observe(struct km_histogram *h, double value)
{
	size_t i = 0;

	if (!h || isnan(value))
		return;
	/* About fifteen bounds, and most values are small: a walk beats a binary search. */
	while (i < h->bound_count && value > h->bounds[i])
		i++;
	atomic_fetch_add_explicit(&h->bucket[i], 1, memory_order_relaxed);
	add_double(&h->sum, value);
}

uint64_t km_histogram_count(const struct km_histogram *h)
{
	uint64_t count = 0;

	for (size_t i = 0; h && i <= h->bound_count; i++)
		count += atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
	return count;
}

double km_histogram_sum(const struct km_histogram *h)
{
	return h ? atomic_load_explicit(&h->sum, memory_order_relaxed) : 0;
}

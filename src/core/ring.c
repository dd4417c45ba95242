/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring and its sorted shadow. A push moves only what lies between the leaving value's place and
 * the entering one's; sums run over the sorted array, which is contiguous whatever the ring's head.
 */
#include "km/core/ring.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void km_ring_init_in(struct km_ring *r, double *memory, uint32_t cap)
{
	memset(r, 0, sizeof(*r));
	/* one block: value first, sorted behind it */
	r->value = memory;
	r->sorted = memory + cap;
	r->cap = cap;
}

int km_ring_init(struct km_ring *r, uint32_t cap)
{
	double *memory = calloc(cap, 2 * sizeof(double));

	memset(r, 0, sizeof(*r));
	if (memory == NULL) {
		return -ENOMEM;
	}
	km_ring_init_in(r, memory, cap);
	return 0;
}

void km_ring_fini(struct km_ring *r)
{
	free(r->value);
	memset(r, 0, sizeof(*r));
}

/* First place whose value is not less than v. Branch-free halving: the data is unpredictable. */
static uint32_t lower_bound(const double *sorted, uint32_t count, double v)
{
	const double *base = sorted;

	if (count == 0) {
		return 0;
	}
	while (count > 1) {
		uint32_t half = count / 2;

		base += base[half - 1] < v ? half : 0;
		count -= half;
	}
	return (uint32_t)(base - sorted) + (*base < v);
}

static void sorted_insert(struct km_ring *r, double v)
{
	uint32_t at = lower_bound(r->sorted, r->sorted_count, v);

	memmove(r->sorted + at + 1, r->sorted + at, (r->sorted_count - at) * sizeof(double));
	r->sorted[at] = v;
	r->sorted_count++;
}

static void sorted_remove(struct km_ring *r, double v)
{
	uint32_t at = lower_bound(r->sorted, r->sorted_count, v);

	r->sorted_count--;
	memmove(r->sorted + at, r->sorted + at + 1, (r->sorted_count - at) * sizeof(double));
}

static void sorted_replace(struct km_ring *r, double old, double v)
{
	double *s = r->sorted;
	uint32_t from = lower_bound(s, r->sorted_count, old);
	uint32_t to = lower_bound(s, r->sorted_count, v);

	if (to > from) {
		to--; /* the place is counted without the leaving value */
		memmove(s + from, s + from + 1, (to - from) * sizeof(double));
	} else {
		memmove(s + to + 1, s + to, (from - to) * sizeof(double));
	}
	s[to] = v;
}

void km_ring_push(struct km_ring *r, double value)
{
	uint32_t tail;

	if (r->count == r->cap) {
		double old = r->value[r->head];

		if (!isnan(old) && !isnan(value)) {
			sorted_replace(r, old, value);
			r->value[r->head] = value;
			r->head = r->head + 1 == r->cap ? 0 : r->head + 1;
			return;
		}
		km_ring_drop_oldest(r);
	}
	tail = r->head + r->count;
	r->value[tail >= r->cap ? tail - r->cap : tail] = value;
	r->count++;
	if (!isnan(value)) {
		sorted_insert(r, value);
	}
}

void km_ring_drop_oldest(struct km_ring *r)
{
	double old;

	if (r->count == 0) {
		return;
	}
	old = r->value[r->head];
	r->head = r->head + 1 == r->cap ? 0 : r->head + 1;
	r->count--;
	if (!isnan(old)) {
		sorted_remove(r, old);
	}
}

/*
 * Four partial sums: the compiler may not reorder a floating-point sum by itself, and one chain of
 * dependent additions is four times as slow.
 */
static double sum(const double *v, uint32_t n)
{
	double s0 = 0;
	double s1 = 0;
	double s2 = 0;
	double s3 = 0;
	uint32_t i = 0;

	for (; i + 4 <= n; i += 4) {
		s0 += v[i];
		s1 += v[i + 1];
		s2 += v[i + 2];
		s3 += v[i + 3];
	}
	for (; i < n; i++) {
		s0 += v[i];
	}
	return (s0 + s1) + (s2 + s3);
}

static double sum_squares_from(const double *v, uint32_t n, double mean)
{
	double s0 = 0;
	double s1 = 0;
	double s2 = 0;
	double s3 = 0;
	uint32_t i = 0;

	for (; i + 4 <= n; i += 4) {
		s0 += (v[i] - mean) * (v[i] - mean);
		s1 += (v[i + 1] - mean) * (v[i + 1] - mean);
		s2 += (v[i + 2] - mean) * (v[i + 2] - mean);
		s3 += (v[i + 3] - mean) * (v[i + 3] - mean);
	}
	for (; i < n; i++) {
		s0 += (v[i] - mean) * (v[i] - mean);
	}
	return (s0 + s1) + (s2 + s3);
}

double km_ring_mean(const struct km_ring *r)
{
	return r->sorted_count == 0 ? NAN : sum(r->sorted, r->sorted_count) / r->sorted_count;
}

double km_ring_std(const struct km_ring *r)
{
	double squares;

	/* equal values have no spread; summing would leave a rounding error in its place */
	if (r->sorted_count > 0 && r->sorted[0] == r->sorted[r->sorted_count - 1]) {
		return 0;
	}
	squares = sum_squares_from(r->sorted, r->sorted_count, km_ring_mean(r));
	return r->sorted_count == 0 ? NAN : sqrt(squares / r->sorted_count);
}

double km_ring_min(const struct km_ring *r)
{
	return r->sorted_count == 0 ? NAN : r->sorted[0];
}

double km_ring_max(const struct km_ring *r)
{
	return r->sorted_count == 0 ? NAN : r->sorted[r->sorted_count - 1];
}

double km_ring_quantile(const struct km_ring *r, double q)
{
	double at;
	double low;
	uint32_t i;

	if (r->sorted_count == 0) {
		return NAN;
	}
	at = q * (r->sorted_count - 1);
	i = (uint32_t)at;
	if (i + 1 >= r->sorted_count) {
		return r->sorted[r->sorted_count - 1];
	}
	low = r->sorted[i];
	return low + (at - i) * (r->sorted[i + 1] - low);
}

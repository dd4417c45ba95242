/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a stressor does. The compiler may not drop any of it: results go through memory it cannot
 * see into (`keep`), and addresses of the walks come out of what was read before.
 */
#include <math.h>

#include "km/base/rng.h"

#include "stress_internal.h"

#define ROUNDS_PER_PIECE  20000
#define STEPS_PER_PIECE   512 /* of each walk */
#define TRIAD_PER_PIECE   32768
#define TRIAD_ARRAYS      3
#define TRIAD_CACHES      4                  /* how often the arrays exceed the L3 */
#define TRIAD_LEAST_BYTES ((size_t)64 << 20) /* of all, should an L3 be tiny */
#define SET_MOST_BYTES    ((size_t)1 << 30)  /* of a thread, whatever the machine has */
#define L3_LEAST_L2S      2                  /* less would live in the L2 */

/* The compiler must have the value at hand here, and not know what becomes of it. */
#define keep(value)    __asm__ volatile("" : "+r"(value))
#define keep_fp(value) __asm__ volatile("" : "+x"(value))

#if !defined(__x86_64__)
#undef keep_fp
#define keep_fp(value) __asm__ volatile("" : "+m"(value))
#endif

static size_t bounded(size_t bytes, size_t least)
{
	bytes = bytes < least ? least : bytes;
	bytes = bytes > SET_MOST_BYTES ? SET_MOST_BYTES : bytes;
	return bytes - bytes % (STRESS_LINE_BYTES * STRESS_WALKS);
}

/* Four independent chains of integers and two of floating point numbers fill the ports; a round
 * is one step of each. */
static void cpu_piece(struct stress_state *s)
{
	uint64_t a = s->ops + 1;
	uint64_t b = a ^ UINT64_C(0x9e3779b97f4a7c15);
	uint64_t c = ~a;
	uint64_t d = b + 7;
	double x = 1.0 + (double)(s->ops & 1023);
	double y = x + 0.5;

	for (int i = 0; i < ROUNDS_PER_PIECE; i++) {
		a = a * UINT64_C(6364136223846793005) + 1442695040888963407U;
		b ^= b << 13;
		b ^= b >> 7;
		c = c * UINT64_C(2862933555777941757) + 3037000493U;
		d = (d << 9 | d >> 55) + c;
		x = x * 0.999999 + 1e-6;
		y = y * 1.000001 - 1e-6;
		keep(a);
		keep(b);
		keep(c);
		keep(d);
		keep_fp(x);
		keep_fp(y);
	}
	s->ops += ROUNDS_PER_PIECE;
}

/* A line of a walk: where it leads, and room to write in, which makes it dirty. */
struct line {
	uint64_t next;
	uint64_t visits;
	uint64_t rest[STRESS_LINE_BYTES / sizeof(uint64_t) - 2];
};

_Static_assert(sizeof(struct line) == STRESS_LINE_BYTES, "a line is a line");

/*
 * Each of the walks is one cycle through its share of the lines, in random order (Sattolo's
 * algorithm), so that no prefetcher knows the next one. The seed is fixed: runs are alike.
 */
static void walk_prepare(struct stress_state *s)
{
	struct line *line = s->memory;
	size_t share = s->bytes / sizeof(*line) / STRESS_WALKS;
	struct km_rng rng;

	km_rng_init(&rng, 1);
	for (size_t w = 0; w < STRESS_WALKS; w++) {
		size_t base = w * share;

		for (size_t i = 0; i < share; i++)
			line[base + i].next = base + i;
		for (size_t i = share - 1; i > 0; i--) {
			size_t j = km_rng_below(&rng, (uint32_t)i);
			uint64_t other = line[base + j].next;

			line[base + j].next = line[base + i].next;
			line[base + i].next = other;
		}
		s->cursor[w] = base;
	}
}

static void walk_piece(struct stress_state *s)
{
	struct line *line = s->memory;
	size_t at[STRESS_WALKS];

	for (size_t w = 0; w < STRESS_WALKS; w++)
		at[w] = s->cursor[w];
	for (int i = 0; i < STEPS_PER_PIECE; i++) {
		for (size_t w = 0; w < STRESS_WALKS; w++) {
			line[at[w]].visits++;
			at[w] = line[at[w]].next;
		}
	}
	for (size_t w = 0; w < STRESS_WALKS; w++)
		s->cursor[w] = at[w];
	s->ops += (uint64_t)STEPS_PER_PIECE * STRESS_WALKS;
	s->moved_bytes += (uint64_t)STEPS_PER_PIECE * STRESS_WALKS * STRESS_LINE_BYTES;
}

static size_t l2_bytes(const struct km_caches *c, unsigned sharers)
{
	(void)sharers;
	return bounded(c->l2.bytes, STRESS_LINE_BYTES * STRESS_WALKS);
}

static size_t l3_bytes(const struct km_caches *c, unsigned sharers)
{
	return bounded(c->l3.bytes / sharers, L3_LEAST_L2S * c->l2.bytes);
}

/* Of all threads behind an L3 together; what one has must not fit into its L2. */
static size_t triad_bytes(const struct km_caches *c, unsigned sharers)
{
	size_t all = c->l3.bytes * TRIAD_CACHES;

	all = all < TRIAD_LEAST_BYTES ? TRIAD_LEAST_BYTES : all;
	return bounded(all / sharers, TRIAD_CACHES * c->l2.bytes);
}

/* a = b + factor * c, as in McCalpin's STREAM; bytes are counted as there, without the reads that
 * a write causes. */
static void triad_piece(struct stress_state *s)
{
	size_t count = s->bytes / sizeof(double) / TRIAD_ARRAYS;
	double *a = s->memory;
	double *b = a + count;
	const double *c = b + count;
	size_t n = count - s->at < TRIAD_PER_PIECE ? count - s->at : TRIAD_PER_PIECE;
	double factor = 1.0000001;

	keep_fp(factor);
	for (size_t i = s->at; i < s->at + n; i++)
		a[i] = b[i] + factor * c[i];
	__asm__ volatile("" ::"r"(a) : "memory");
	s->at = s->at + n < count ? s->at + n : 0;
	s->ops += n;
	s->moved_bytes += (uint64_t)n * TRIAD_ARRAYS * sizeof(double);
}

const struct stress_kernel stress_kernel[STRESS_KERNELS] = {
	[KM_STRESS_CPU] = { .unit = "rounds", .piece = cpu_piece },
	[KM_STRESS_L2] = { "cache lines", l2_bytes, walk_prepare, walk_piece },
	[KM_STRESS_L3] = { "cache lines", l3_bytes, walk_prepare, walk_piece },
	[KM_STRESS_MEMBW] = { "triads", triad_bytes, NULL, triad_piece },
};

const char *km_stress_unit(enum km_stress_kind kind)
{
	return (size_t)kind < STRESS_KERNELS ? stress_kernel[kind].unit : "operations of all kinds";
}

/* SPDX-License-Identifier: Apache-2.0 */
/* place: ties for the best score, told apart by what is in flight, and what that never does. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/base/rng.h"
#include "km/place/place.h"

#define ROUNDS    20000
#define COUNT_MAX 8
#define SCALE     10

static const struct km_workload prefer = { .max_slowdown = 2, .mode = KM_MODE_PREFER };

static struct km_verdict verdict(uint16_t fine, uint8_t inflight)
{
	return (struct km_verdict){ .passes = true,
		                    .reason = KM_REASON_FITS,
		                    .score = (int32_t)lround(SCALE * (double)fine / UINT16_MAX),
		                    .fine = fine,
		                    .inflight = inflight };
}

static struct km_verdict any_verdict(struct km_rng *rng, uint16_t around)
{
	uint16_t fine = (uint16_t)(around + km_rng_below(rng, 4) * 200);
	struct km_verdict v = verdict(fine, (uint8_t)km_rng_below(rng, 9));

	if (km_rng_below(rng, 5) == 0) {
		v.reason = KM_REASON_STALE_DATA;
		v.fine = 0;
		v.inflight = 0;
	}
	return v;
}

static size_t any_verdicts(struct km_rng *rng, struct km_verdict *v)
{
	size_t count = 1 + km_rng_below(rng, COUNT_MAX);
	/* as often as not all of them at the bottom of the scale */
	uint16_t around = km_rng_below(rng, 2) == 0 ? (uint16_t)km_rng_below(rng, 2000)
	                                            : (uint16_t)km_rng_below(rng, 60000);

	for (size_t i = 0; i < count; i++)
		v[i] = any_verdict(rng, around);
	return count;
}

static void the_less_crowded_of_ties_is_ahead(void **state)
{
	static const struct {
		size_t count;
		struct {
			uint16_t fine;
			uint8_t inflight;
		} v[4];
		int32_t want[4];
		const char *why;
	} rows[] = {
		{ 2,
		  { { 65535, 0 }, { 65535, 4 } },
		  { 10, 9 },
		  "as fast, but a pod is on its way" },
		{ 2,
		  { { 65535, 0 }, { 65535, 1 } },
		  { 10, 10 },
		  "a quarter of a pod is no reason" },
		{ 2, { { 65535, 4 }, { 65535, 4 } }, { 10, 10 }, "as crowded" },
		{ 2,
		  { { 64000, 0 }, { 65535, 4 } },
		  { 10, 10 },
		  "faster for all that is in flight" },
		{ 3,
		  { { 65535, 0 }, { 64000, 4 }, { 63000, 0 } },
		  { 10, 9, 9 },
		  "who is slower than one who loses a point loses one too" },
		{ 3,
		  { { 65535, 0 }, { 64000, 4 }, { 64500, 0 } },
		  { 10, 9, 10 },
		  "who is faster does not" },
		{ 2, { { 50000, 0 }, { 65535, 8 } }, { 8, 10 }, "no tie" },
		{ 3,
		  { { 2500, 0 }, { 2000, 4 }, { 1000, 0 } },
		  { 1, 0, 0 },
		  "hopeless nodes: the best gains one" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_verdict v[4];

		for (size_t k = 0; k < rows[i].count; k++)
			v[k] = verdict(rows[i].v[k].fine, rows[i].v[k].inflight);
		km_place_spread(&prefer, v, rows[i].count);
		for (size_t k = 0; k < rows[i].count; k++) {
			if (v[k].score != rows[i].want[k])
				fail_msg("%s: node %zu scores %d, want %d", rows[i].why, k,
				         v[k].score, rows[i].want[k]);
		}
	}
}

static bool trusted(const struct km_verdict *v)
{
	return v->reason == KM_REASON_FITS;
}

static void nobody_overtakes(void **state)
{
	struct km_rng rng;
	int moved = 0;

	(void)state;
	km_rng_init(&rng, 31);
	for (int round = 0; round < ROUNDS; round++) {
		struct km_verdict before[COUNT_MAX];
		struct km_verdict v[COUNT_MAX];
		size_t count = any_verdicts(&rng, before);

		memcpy(v, before, sizeof(v));
		km_place_spread(&prefer, v, count);
		for (size_t a = 0; a < count; a++) {
			assert_in_range(v[a].score, 0, SCALE);
			assert_in_range(v[a].score - before[a].score + 1, 0, 2);
			moved += v[a].score != before[a].score;
			for (size_t b = 0; b < count; b++) {
				/* slower never scores higher */
				if (trusted(&v[a]) && trusted(&v[b]) && v[a].fine > v[b].fine)
					assert_true(v[a].score >= v[b].score);
				/* nor does data that is not trusted gain on data that is */
				if (trusted(&v[a]) && !trusted(&v[b]) &&
				    before[a].score >= before[b].score)
					assert_true(v[a].score >= v[b].score);
			}
		}
	}
	assert_true(moved > ROUNDS / 10);
}

static void order_does_not_matter(void **state)
{
	struct km_rng rng;

	(void)state;
	km_rng_init(&rng, 32);
	for (int round = 0; round < ROUNDS; round++) {
		struct km_verdict v[COUNT_MAX];
		struct km_verdict turned[COUNT_MAX];
		size_t count = any_verdicts(&rng, v);
		size_t by = km_rng_below(&rng, COUNT_MAX);

		for (size_t i = 0; i < count; i++)
			turned[i] = v[(i + by) % count];
		km_place_spread(&prefer, v, count);
		km_place_spread(&prefer, turned, count);
		for (size_t i = 0; i < count; i++)
			assert_int_equal(turned[i].score, v[(i + by) % count].score);
	}
}

/* One pod more on a node, which is not faster for it: its own score never rises. */
static void one_more_pod_never_raises_a_score(void **state)
{
	struct km_rng rng;

	(void)state;
	km_rng_init(&rng, 33);
	for (int round = 0; round < ROUNDS; round++) {
		struct km_verdict before[COUNT_MAX];
		struct km_verdict after[COUNT_MAX];
		size_t count = any_verdicts(&rng, before);
		size_t node = km_rng_below(&rng, (uint32_t)count);

		if (!trusted(&before[node]))
			continue;
		memcpy(after, before, sizeof(after));
		after[node] =
			verdict((uint16_t)(before[node].fine -
		                           km_rng_below(&rng, 1000) % (before[node].fine + 1u)),
		                (uint8_t)(before[node].inflight + 4));
		km_place_spread(&prefer, before, count);
		km_place_spread(&prefer, after, count);
		assert_true(after[node].score <= before[node].score);
	}
}

static void observers_and_pods_are_left_alone(void **state)
{
	const struct km_workload observe = { .max_slowdown = 2, .mode = KM_MODE_OBSERVE };
	struct km_verdict v[2] = { verdict(65535, 0), verdict(65535, 9) };

	(void)state;
	km_place_spread(&observe, v, 2);
	assert_true(v[0].score == 10 && v[1].score == 10);
	km_place_spread(&prefer, v, 0);
	assert_int_equal(km_place_quarters(NAN), 0);
	assert_int_equal(km_place_quarters(-1), 0);
	assert_int_equal(km_place_quarters(0.12), 0);
	assert_int_equal(km_place_quarters(0.5), 2);
	assert_int_equal(km_place_quarters(1e9), 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_less_crowded_of_ties_is_ahead),
		cmocka_unit_test(nobody_overtakes),
		cmocka_unit_test(order_does_not_matter),
		cmocka_unit_test(one_more_pod_never_raises_a_score),
		cmocka_unit_test(observers_and_pods_are_left_alone),
	};

	return cmocka_run_group_tests_name("place spread", tests, NULL, NULL);
}

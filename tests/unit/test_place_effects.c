/* SPDX-License-Identifier: Apache-2.0 */
/* place/effects: what is learned from observed slowdowns, what it costs, what it survives. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/base/rng.h"
#include "km/place/effects.h"

#define PLATFORMS 12
#define WORKLOADS 20
#define ROUNDS    2000

/* A world to learn from: what the truth is, and how exactly it is observed. */
struct world {
	double alone[PLATFORMS][WORKLOADS];
	double kind[PLATFORMS]; /* how much taking turns matters there */
	double sensitivity[WORKLOADS], pressure[WORKLOADS];
	double noise;
};

static double truth(const struct world *w, size_t p, size_t s, size_t n)
{
	return 0.2 + w->sensitivity[s] + w->pressure[n] +
	       w->kind[p] * tanh(w->alone[p][s] - w->alone[p][n]);
}

static void world_init(struct world *w, struct km_rng *rng)
{
	w->noise = 0.02;
	for (size_t s = 0; s < WORKLOADS; s++) {
		w->sensitivity[s] = 0.05 * km_rng_normal(rng);
		w->pressure[s] = 0.05 * km_rng_normal(rng);
	}
	for (size_t p = 0; p < PLATFORMS; p++)
		w->kind[p] = p % 2 == 0 ? 0.3 : 0.02;
	for (size_t s = 0; s < WORKLOADS; s++) {
		double level = 1.5 * km_rng_normal(rng);

		for (size_t p = 0; p < PLATFORMS; p++)
			w->alone[p][s] = level + 0.2 * (double)p + 0.1 * km_rng_normal(rng);
	}
}

static uint64_t platform_key(size_t p)
{
	return 1000 + p;
}

static uint64_t workload_key(size_t w)
{
	return 1 + w;
}

static void describe_all(struct km_effects *e, const struct world *w)
{
	for (size_t p = 0; p < PLATFORMS; p++) {
		for (size_t s = 0; s < WORKLOADS; s++)
			assert_int_equal(km_effects_describe(e, platform_key(p), workload_key(s),
			                                     w->alone[p][s]),
			                 0);
	}
}

static void observe_some(struct km_effects *e, const struct world *w, struct km_rng *rng,
                         size_t rounds)
{
	for (size_t i = 0; i < rounds; i++) {
		size_t p = km_rng_below(rng, PLATFORMS);
		size_t s = km_rng_below(rng, WORKLOADS);
		size_t n = km_rng_below(rng, WORKLOADS);
		double y = truth(w, p, s, n) + w->noise * km_rng_normal(rng);

		assert_int_equal(km_effects_observe(e, platform_key(p), workload_key(s),
		                                    workload_key(n), y, 1),
		                 0);
	}
}

/* Mean absolute error over everything there is; the share of the truth within 1.645 sd. */
static double error_of(const struct km_effects *e, const struct world *w, double *covered)
{
	double sum = 0;
	double in = 0;
	double count = 0;

	for (size_t p = 0; p < PLATFORMS; p++) {
		for (size_t s = 0; s < WORKLOADS; s++) {
			for (size_t n = 0; n < WORKLOADS; n++) {
				struct km_effect out;
				double off;

				km_effects_predict(e, platform_key(p), workload_key(s),
				                   workload_key(n), &out);
				off = fabs(out.log_slowdown - truth(w, p, s, n));
				sum += off;
				in += off <= 1.645 * out.sd;
				count++;
			}
		}
	}
	if (covered != NULL)
		*covered = in / count;
	return sum / count;
}

static struct km_effects *learned(uint64_t seed, bool described, size_t rounds)
{
	struct km_effects *e = km_effects_create(NULL);
	struct km_rng rng;
	struct world w;

	assert_non_null(e);
	km_rng_init(&rng, seed);
	world_init(&w, &rng);
	if (described)
		describe_all(e, &w);
	observe_some(e, &w, &rng, rounds);
	return e;
}

static void knows_nothing_before_the_first_observation(void **state)
{
	struct km_effects *e = km_effects_create(NULL);
	struct km_effect out;

	(void)state;
	km_effects_predict(e, 1, 2, 3, &out);
	assert_true(out.log_slowdown == 0);
	assert_true(isinf(out.sd));
	assert_true(out.count == 0);
	km_effects_free(e);
	km_effects_free(NULL);
}

/* Errors in this world: of "no slowdown", of the mean, and what is left with one pass and many. */
static void learns_who_hurts_whom_and_where(void **state)
{
	struct km_effects *blind = learned(1, false, ROUNDS);
	struct km_effects *e = learned(1, true, ROUNDS);
	double online;
	double refined;
	double undescribed;
	double covered;
	struct km_rng rng;
	struct world w;

	(void)state;
	km_rng_init(&rng, 1);
	world_init(&w, &rng);
	online = error_of(e, &w, NULL);
	km_effects_refine(e, 10);
	refined = error_of(e, &w, &covered);
	km_effects_refine(blind, 10);
	undescribed = error_of(blind, &w, NULL);
	if (!(online < 0.05 && refined < 0.025 && refined < online && undescribed > 2 * refined))
		fail_msg("online %.4f refined %.4f without times alone %.4f", online, refined,
		         undescribed);
	if (!(covered > 0.85))
		fail_msg("only %.3f of the truth within the 90 %% interval", covered);
	km_effects_free(blind);
	km_effects_free(e);
}

/* A workload nobody has seen beside another, known by its times alone only. */
static void a_described_workload_is_predicted_before_it_met_anyone(void **state)
{
	struct km_effects *e = learned(2, true, ROUNDS);
	struct km_effect longer;
	struct km_effect shorter;
	struct km_effect unknown;
	struct km_rng rng;
	struct world w;

	(void)state;
	km_rng_init(&rng, 2);
	world_init(&w, &rng);
	km_effects_refine(e, 10);
	for (size_t p = 0; p < PLATFORMS; p++) {
		assert_int_equal(km_effects_describe(e, platform_key(p), 77, 2.5 + 0.2 * (double)p),
		                 0);
		assert_int_equal(
			km_effects_describe(e, platform_key(p), 78, -2.5 + 0.2 * (double)p), 0);
	}
	km_effects_predict(e, platform_key(0), 77, 78, &longer);
	km_effects_predict(e, platform_key(0), 78, 77, &shorter);
	km_effects_predict(e, platform_key(0), 79, 78, &unknown);
	if (fabs(longer.log_slowdown - 0.5) > 0.1 || fabs(shorter.log_slowdown + 0.1) > 0.1)
		fail_msg("longer %.3f, want 0.5; shorter %.3f, want -0.1", longer.log_slowdown,
		         shorter.log_slowdown);
	assert_true(longer.count == 0);
	assert_true(unknown.sd > 0 && isfinite(unknown.log_slowdown));
	km_effects_free(e);
}

static void what_was_seen_little_is_drawn_to_what_holds_in_general(void **state)
{
	struct km_effect before;
	struct km_effect once;
	struct km_effect often;
	struct km_effect general;
	struct km_effects *e = learned(3, false, ROUNDS);

	(void)state;
	km_effects_predict(e, platform_key(0), 0, workload_key(1), &general);
	km_effects_predict(e, platform_key(0), 500, workload_key(1), &before);
	assert_int_equal(km_effects_observe(e, platform_key(0), 500, workload_key(1), 2, 1), 0);
	km_effects_predict(e, platform_key(0), 500, workload_key(1), &once);
	for (int i = 0; i < 200; i++)
		assert_int_equal(km_effects_observe(e, platform_key(0), 500, workload_key(1), 2, 1),
		                 0);
	km_effects_predict(e, platform_key(0), 500, workload_key(1), &often);
	assert_true(before.log_slowdown == general.log_slowdown);
	assert_true(once.log_slowdown > before.log_slowdown);
	assert_true(once.log_slowdown < 1.7);
	assert_true(often.log_slowdown > once.log_slowdown);
	assert_true(often.log_slowdown > 1.8);
	assert_true(before.count == 0 && once.count == 1 && often.count == 201);
	assert_true(often.sd < before.sd);
	km_effects_free(e);
}

static void a_platform_not_seen_is_as_platforms_are(void **state)
{
	struct km_effects *e = learned(4, true, ROUNDS);
	struct km_effect here;
	struct km_effect there;

	(void)state;
	km_effects_refine(e, 10);
	km_effects_predict(e, 99999, workload_key(0), workload_key(1), &there);
	km_effects_predict(e, platform_key(1), workload_key(0), workload_key(1), &here);
	assert_true(there.log_slowdown > 0 && there.log_slowdown < 0.6);
	assert_true(there.sd > here.sd);
	km_effects_predict(e, 0, 0, 0, &there);
	assert_true(isfinite(there.log_slowdown) && there.sd > here.sd);
	km_effects_free(e);
}

static void bad_numbers_are_dropped_and_change_nothing(void **state)
{
	static const struct {
		double log_slowdown;
		double weight;
	} rows[] = {
		{ NAN, 1 }, { INFINITY, 1 }, { -INFINITY, 1 }, { 10.5, 1 },   { -10.5, 1 },
		{ 0.1, 0 }, { 0.1, -1 },     { 0.1, NAN },     { 0.1, 1e-4 }, { 0.1, INFINITY }
	};
	struct km_effects *e = learned(5, true, 200);
	struct km_buf before;
	struct km_buf after;

	(void)state;
	km_buf_init(&before);
	km_buf_init(&after);
	km_effects_write(e, &before);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++)
		assert_int_equal(
			km_effects_observe(e, 1, 2, 3, rows[i].log_slowdown, rows[i].weight),
			-EINVAL);
	assert_int_equal(km_effects_describe(e, 1, 2, NAN), -EINVAL);
	assert_int_equal(km_effects_describe(e, 1, 2, 51), -EINVAL);
	assert_int_equal(km_effects_describe(e, 0, 2, 1), -EINVAL);
	assert_int_equal(km_effects_describe(e, 1, 0, 1), -EINVAL);
	km_effects_write(e, &after);
	assert_int_equal(before.len, after.len);
	assert_memory_equal(before.data, after.data, before.len);
	km_buf_fini(&before);
	km_buf_fini(&after);
	km_effects_free(e);
}

static void the_same_in_gives_the_same_out(void **state)
{
	struct km_effects *a = learned(6, true, 500);
	struct km_effects *b = learned(6, true, 500);
	struct km_buf x;
	struct km_buf y;

	(void)state;
	km_effects_refine(a, 3);
	km_effects_refine(b, 3);
	km_buf_init(&x);
	km_buf_init(&y);
	km_effects_write(a, &x);
	km_effects_write(b, &y);
	assert_int_equal(x.len, y.len);
	assert_memory_equal(x.data, y.data, x.len);
	km_buf_fini(&x);
	km_buf_fini(&y);
	km_effects_free(a);
	km_effects_free(b);
}

/* Not only what is predicted now: everything that comes after, too. */
static void read_back_it_goes_on_as_the_original(void **state)
{
	struct km_effects *e = learned(7, true, 700);
	struct km_effects *copy;
	struct km_err err = { .code = 0 };
	struct km_buf bytes;
	struct km_buf x;
	struct km_buf y;
	struct km_rng rng;
	struct world w;

	(void)state;
	km_effects_refine(e, 2);
	km_buf_init(&bytes);
	km_buf_init(&x);
	km_buf_init(&y);
	km_buf_str(&bytes, "appended");
	km_effects_write(e, &bytes);
	assert_int_equal(km_effects_read(bytes.data + 8, bytes.len - 8, &copy, &err), 0);
	km_rng_init(&rng, 8);
	world_init(&w, &rng);
	observe_some(e, &w, &rng, 300);
	km_effects_refine(e, 2);
	km_rng_init(&rng, 8);
	world_init(&w, &rng);
	observe_some(copy, &w, &rng, 300);
	km_effects_refine(copy, 2);
	km_effects_write(e, &x);
	km_effects_write(copy, &y);
	assert_int_equal(x.len, y.len);
	assert_memory_equal(x.data, y.data, x.len);
	km_buf_fini(&bytes);
	km_buf_fini(&x);
	km_buf_fini(&y);
	km_effects_free(e);
	km_effects_free(copy);
}

static void damaged_bytes_are_refused(void **state)
{
	struct km_effects *e = learned(9, true, 40);
	struct km_effects *copy = e;
	struct km_err err = { .code = 0 };
	struct km_buf bytes;

	(void)state;
	km_buf_init(&bytes);
	km_effects_write(e, &bytes);
	for (size_t cut = 0; cut < bytes.len; cut += 97) {
		assert_int_equal(km_effects_read(bytes.data, cut, &copy, &err), -EBADMSG);
		assert_null(copy);
		assert_true(err.text[0] != '\0');
	}
	for (size_t i = 0; i < bytes.len; i += 53) {
		bytes.data[i] ^= 0x40;
		assert_int_equal(km_effects_read(bytes.data, bytes.len, &copy, &err), -EBADMSG);
		bytes.data[i] ^= 0x40;
	}
	assert_int_equal(km_effects_read(bytes.data, bytes.len, &copy, &err), 0);
	km_effects_free(copy);
	km_buf_fini(&bytes);
	km_effects_free(e);
}

/* Ever new names, as a hostile or a busy cluster has them. */
static void memory_is_bounded_whatever_is_observed(void **state)
{
	static const struct km_effects_limits limits = {
		.platforms = 4, .workloads = 8, .cells = 16, .observations = 32
	};
	struct km_effects *e = km_effects_create(&limits);
	size_t full = 0;
	struct km_buf bytes;
	struct km_rng rng;

	(void)state;
	km_buf_init(&bytes);
	km_rng_init(&rng, 10);
	for (size_t i = 0; i < 3000; i++) {
		struct km_effect out;

		assert_int_equal(km_effects_observe(e, 1 + i / 3, 1 + km_rng_below(&rng, 1u << 30),
		                                    1 + km_rng_below(&rng, 1u << 30), 0.3, 1),
		                 0);
		if (i % 7 == 0)
			assert_int_equal(km_effects_describe(e, 1 + i / 3, i + 1, 1), 0);
		if (i % 100 == 0)
			km_effects_refine(e, 1);
		km_effects_predict(e, 1 + i / 3, i + 1, 1, &out);
		assert_true(isfinite(out.log_slowdown));
		if (i % 500 != 499)
			continue;
		km_buf_clear(&bytes);
		km_effects_write(e, &bytes);
		if (full == 0)
			full = bytes.len;
		assert_int_equal(bytes.len, full);
	}
	km_buf_fini(&bytes);
	km_effects_free(e);
}

static void limits_of_one_are_legal(void **state)
{
	static const struct km_effects_limits one = { 1, 1, 1, 1 };
	static const struct km_effects_limits many = { .platforms = KM_EFFECTS_PLATFORMS_MAX + 1 };
	struct km_effects *e = km_effects_create(&one);
	struct km_effect out;

	(void)state;
	assert_null(km_effects_create(&many));
	for (uint64_t i = 1; i < 50; i++) {
		assert_int_equal(km_effects_observe(e, i, i, i + 1, 0.5, 1), 0);
		assert_int_equal(km_effects_describe(e, i, i, 2), 0);
		km_effects_refine(e, 2);
		km_effects_predict(e, i, i + 1, i, &out);
		assert_true(isfinite(out.log_slowdown) && out.sd > 0);
	}
	km_effects_free(e);
}

static void contradictions_end_in_finite_numbers(void **state)
{
	struct km_effects *e = km_effects_create(NULL);
	struct km_effect out;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(km_effects_describe(e, 1, 2, i % 2 ? 50 : -50), 0);
		assert_int_equal(
			km_effects_observe(e, 1, 2, 3, i % 2 ? 10 : -10, i % 3 ? 1e3 : 1e-3), 0);
	}
	km_effects_refine(e, 5);
	km_effects_predict(e, 1, 2, 3, &out);
	assert_true(fabs(out.log_slowdown) <= 10);
	if (!(isfinite(out.sd) && out.sd > 0))
		fail_msg("sd %g", out.sd);
	km_effects_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_nothing_before_the_first_observation),
		cmocka_unit_test(learns_who_hurts_whom_and_where),
		cmocka_unit_test(a_described_workload_is_predicted_before_it_met_anyone),
		cmocka_unit_test(what_was_seen_little_is_drawn_to_what_holds_in_general),
		cmocka_unit_test(a_platform_not_seen_is_as_platforms_are),
		cmocka_unit_test(bad_numbers_are_dropped_and_change_nothing),
		cmocka_unit_test(the_same_in_gives_the_same_out),
		cmocka_unit_test(read_back_it_goes_on_as_the_original),
		cmocka_unit_test(damaged_bytes_are_refused),
		cmocka_unit_test(memory_is_bounded_whatever_is_observed),
		cmocka_unit_test(limits_of_one_are_legal),
		cmocka_unit_test(contradictions_end_in_finite_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Intervals by the size of the prediction: knots between which they are interpolated. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/model/model.h"
#include "km/model/train.h"

#define ROWS 200

static const struct km_interval_knot knots[] = {
	{ 0.0, -0.1, 0.2 },
	{ 1.0, -0.3, 0.6 },
	{ 1.5, -0.4, 0.6 },
};

static void between_knots_linear_beyond_them_constant(void **state)
{
	static const struct {
		double margin, low, high;
	} rows[] = {
		{ -5, -0.1, 0.2 }, { 0, -0.1, 0.2 },     { 0.5, -0.2, 0.4 }, { 0.25, -0.15, 0.3 },
		{ 1, -0.3, 0.6 },  { 1.25, -0.35, 0.6 }, { 1.5, -0.4, 0.6 }, { 9, -0.4, 0.6 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		double low;
		double high;

		km_interval_at(knots, 3, rows[i].margin, &low, &high);
		assert_true(fabs(low - rows[i].low) < 1e-12);
		assert_true(fabs(high - rows[i].high) < 1e-12);
	}
	for (size_t i = 0; i < 2; i++) {
		double low;
		double high;

		km_interval_at(knots, 1, i == 0 ? -1 : 1, &low, &high);
		assert_true(low == -0.1 && high == 0.2);
	}
}

/* ln slowdown = the only feature. */
static struct km_booster *train_identity(void)
{
	static float rows[ROWS];
	static float labels[ROWS];
	struct km_train_rows data = { rows, labels, NULL, ROWS, 1 };
	struct km_train_params p;
	struct km_booster *b = NULL;

	for (size_t i = 0; i < ROWS; i++) {
		rows[i] = (float)i / 100;
		labels[i] = rows[i];
	}
	km_train_params_init(&p);
	p.rounds = 60;
	p.eta = 0.3;
	assert_int_equal(km_booster_train(&p, &data, NULL, NULL, NULL, &b, NULL), 0);
	return b;
}

static int write_with(const char *path, struct km_booster *b, const struct km_interval_knot *knot,
                      size_t count, struct km_err *err)
{
	static const char *const names[] = { "node.ipc.mean" };
	static const float golden[] = { 0.5f };
	const double low = 0;
	const double high = 2;
	struct km_model_meta meta = {
		.name = "unit",
		.task = "placement",
		.residual_sd = 0.1,
		.interval_low = -1,
		.interval_high = 1,
		.knot = knot,
		.knot_count = count,
		.range_low = &low,
		.range_high = &high,
		.golden = golden,
		.golden_count = 1,
	};
	struct km_schema *schema = NULL;
	int rc;

	assert_int_equal(km_schema_create(names, 1, 30, 5, &schema, NULL), 0);
	meta.schema = schema;
	rc = km_model_write(path, b, &meta, err);
	km_schema_unref(schema);
	return rc;
}

static void a_file_keeps_its_knots_and_predicts_with_them(void **state)
{
	static const float values[] = { 0.0f, 0.5f, 1.25f, 1.9f };
	char dir[] = "/tmp/km-interval-XXXXXX";
	char path[64];
	struct km_booster *b = train_identity();
	struct km_model *m = NULL;
	struct km_model_info info;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/model.ubj", dir);
	assert_int_equal(write_with(path, b, knots, 3, NULL), 0);
	assert_int_equal(km_model_open(path, &m, NULL), 0);
	km_model_info(m, &info);
	assert_int_equal(info.knot_count, 3);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct km_prediction p;
		double low;
		double high;

		assert_int_equal(km_model_predict(m, &values[i], 1, &p, NULL), 0);
		km_interval_at(knots, 3, log(p.slowdown), &low, &high);
		assert_true(fabs(log(p.low / p.slowdown) - low) < 1e-6);
		assert_true(fabs(log(p.high / p.slowdown) - high) < 1e-6);
	}
	km_model_unref(m);
	km_booster_free(b);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void knots_that_cannot_be_are_refused(void **state)
{
	static const struct {
		const char *why;
		struct km_interval_knot knot[2];
	} rows[] = {
		{ "margins not ascending", { { 1, -0.1, 0.1 }, { 1, -0.1, 0.1 } } },
		{ "low above high", { { 0, 0.2, 0.1 }, { 1, -0.1, 0.1 } } },
		{ "no number", { { 0, NAN, 0.1 }, { 1, -0.1, 0.1 } } },
		{ "too wide", { { 0, -11, 0.1 }, { 1, -0.1, 0.1 } } },
		{ "margin out of range", { { 0, -0.1, 0.1 }, { 11, -0.1, 0.1 } } },
	};
	char dir[] = "/tmp/km-interval-XXXXXX";
	char path[64];
	struct km_booster *b = train_identity();

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/model.ubj", dir);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct km_err err = { .code = 0 };

		if (write_with(path, b, rows[i].knot, 2, &err) != -EBADMSG)
			fail_msg("%s: %s", rows[i].why, err.text);
		assert_int_not_equal(access(path, F_OK), 0);
	}
	km_booster_free(b);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(between_knots_linear_beyond_them_constant),
		cmocka_unit_test(a_file_keeps_its_knots_and_predicts_with_them),
		cmocka_unit_test(knots_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

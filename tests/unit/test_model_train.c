/* SPDX-License-Identifier: Apache-2.0 */
/* model: training is repeatable, checked and interruptible; what is written opens again. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/base/rng.h"
#include "km/model/model.h"
#include "km/model/train.h"

#define ROWS     400
#define FEATURES 3

static const char *const names[FEATURES] = { "node.ipc.mean", "inflight.web", "inflight.batch" };

struct data {
	float rows[ROWS * FEATURES];
	float labels[ROWS];
	float weights[ROWS];
};

/* The label is half of the first column and some noise; the last column is noise only. */
static void fill(struct data *d, uint64_t seed)
{
	struct km_rng rng;

	km_rng_init(&rng, seed);
	for (size_t i = 0; i < ROWS; i++) {
		for (size_t j = 0; j < FEATURES; j++)
			d->rows[i * FEATURES + j] = (float)km_rng_unit(&rng);
		d->labels[i] = d->rows[i * FEATURES] / 2 + (float)(0.1 * km_rng_normal(&rng));
		d->weights[i] = (float)km_rng_unit(&rng);
		if (i % 9 == 0)
			d->rows[i * FEATURES + 1] = NAN;
	}
}

static struct km_train_rows rows_of(const struct data *d)
{
	return (struct km_train_rows){ d->rows, d->labels, d->weights, ROWS, FEATURES };
}

static struct km_train_params small(void)
{
	struct km_train_params p;

	km_train_params_init(&p);
	p.rounds = 20;
	p.max_depth = 4;
	p.eta = 0.3;
	return p;
}

static struct km_booster *trained(const struct km_train_params *p, const struct data *d,
                                  const struct data *valid)
{
	struct km_train_rows rows = rows_of(d);
	struct km_train_rows valid_rows;
	struct km_err err = { .code = 0 };
	struct km_booster *b = NULL;

	if (valid)
		valid_rows = rows_of(valid);
	if (km_booster_train(p, &rows, valid ? &valid_rows : NULL, NULL, NULL, &b, &err) != 0)
		fail_msg("%s", err.text);
	return b;
}

static int write_to(const char *path, struct km_booster *b, const float *golden, struct km_err *err)
{
	double low[FEATURES] = { 0, NAN, 0 };
	double high[FEATURES] = { 1, NAN, 1 };
	struct km_schema *schema = NULL;
	struct km_model_meta meta = {
		.name = "unit",
		.task = "diagnosis",
		.provenance = "made up",
		.residual_sd = NAN,
		.interval_low = NAN,
		.interval_high = NAN,
		.range_low = low,
		.range_high = high,
		.golden = golden,
		.golden_count = 3,
	};
	int rc;

	assert_int_equal(km_schema_create(names, FEATURES, 30, 5, &schema, NULL), 0);
	meta.schema = schema;
	rc = km_model_write(path, b, &meta, err);
	km_schema_unref(schema);
	return rc;
}

static void make_dir(char *dir, char *path, size_t size)
{
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, size, "%s/model.ubj", dir);
}

static void remove_dir(const char *dir, const char *path)
{
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0); /* also: no temporary file is left */
}

static void what_is_written_opens_and_predicts_the_same(void **state)
{
	char dir[] = "/tmp/km-train-XXXXXX";
	char path[64];
	static struct data d;
	struct km_train_params p = small();
	struct km_prediction prediction[ROWS];
	float margin[ROWS];
	struct km_err err = { .code = 0 };
	struct km_model *m = NULL;
	struct km_booster *b;

	(void)state;
	fill(&d, 1);
	make_dir(dir, path, sizeof(path));
	b = trained(&p, &d, NULL);
	if (write_to(path, b, d.rows, &err) != 0 || km_model_open(path, &m, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(km_booster_predict(b, d.rows, ROWS, margin, NULL), 0);
	assert_int_equal(km_model_predict(m, d.rows, ROWS, prediction, NULL), 0);
	for (size_t i = 0; i < ROWS; i++) {
		assert_true(prediction[i].slowdown == exp((double)margin[i]));
		assert_true(isnan(prediction[i].low) && isnan(prediction[i].high));
	}
	assert_int_equal(km_model_schema(m)->class_count, 2);
	/* again, over itself */
	assert_int_equal(write_to(path, b, d.rows, NULL), 0);
	km_model_unref(m);
	km_booster_free(b);
	remove_dir(dir, path);
}

static void same_input_and_seed_give_the_same_bytes(void **state)
{
	char dir[] = "/tmp/km-train-XXXXXX";
	char path[64];
	static struct data d;
	struct km_train_params p = small();
	struct km_buf bytes[3];

	(void)state;
	fill(&d, 1);
	make_dir(dir, path, sizeof(path));
	p.subsample = 0.7;
	p.colsample_bynode = 0.7;
	p.num_parallel_tree = 2;
	for (size_t i = 0; i < KM_ARRAY_LEN(bytes); i++) {
		struct km_booster *b;

		p.seed = i < 2 ? 5 : 6;
		b = trained(&p, &d, NULL);
		assert_int_equal(write_to(path, b, d.rows, NULL), 0);
		km_booster_free(b);
		km_buf_init(&bytes[i]);
		assert_int_equal(km_file_read(path, 1 << 20, &bytes[i], NULL), 0);
	}
	assert_int_equal(bytes[0].len, bytes[1].len);
	assert_memory_equal(bytes[0].data, bytes[1].data, bytes[0].len);
	assert_true(bytes[0].len != bytes[2].len ||
	            memcmp(bytes[0].data, bytes[2].data, bytes[0].len) != 0);
	for (size_t i = 0; i < KM_ARRAY_LEN(bytes); i++)
		km_buf_fini(&bytes[i]);
	remove_dir(dir, path);
}

/* Pruned nodes stay in XGBoost's arrays: such a file must open too. */
static void a_pruned_model_opens(void **state)
{
	char dir[] = "/tmp/km-train-XXXXXX";
	static const char *const methods[] = { "hist", "exact", "approx" };
	char path[64];
	static struct data d;
	struct km_train_params p = small();

	(void)state;
	fill(&d, 1);
	make_dir(dir, path, sizeof(path));
	p.gamma = 0.05;
	for (size_t i = 0; i < KM_ARRAY_LEN(methods); i++) {
		struct km_err err = { .code = 0 };
		struct km_booster *b;

		p.tree_method = methods[i];
		b = trained(&p, &d, NULL);
		if (write_to(path, b, d.rows, &err) != 0)
			fail_msg("%s: %s", methods[i], err.text);
		km_booster_free(b);
	}
	remove_dir(dir, path);
}

static double rmse(struct km_booster *b, const struct data *d)
{
	float margin[ROWS];
	double sum = 0;
	double weights = 0;

	assert_int_equal(km_booster_predict(b, d->rows, ROWS, margin, NULL), 0);
	for (size_t i = 0; i < ROWS; i++) {
		double off = (double)margin[i] - (double)d->labels[i];

		sum += (double)d->weights[i] * off * off;
		weights += (double)d->weights[i];
	}
	return sqrt(sum / weights);
}

static void early_stopping_keeps_the_best_round(void **state)
{
	static struct data d;
	static struct data valid;
	struct km_train_params p = small();
	float full[ROWS];
	float stopped[ROWS];
	struct km_booster *b;
	uint32_t best;

	(void)state;
	fill(&d, 1);
	fill(&valid, 2);
	p.rounds = 200;
	p.early_stop_rounds = 5;
	b = trained(&p, &d, &valid);
	best = km_booster_rounds(b);
	assert_in_range(best, 2, 60);
	assert_true(fabs(rmse(b, &valid) - km_booster_loss(b)) < 1e-6);
	assert_int_equal(km_booster_predict(b, d.rows, ROWS, stopped, NULL), 0);
	km_booster_free(b);

	p.rounds = best;
	p.early_stop_rounds = 0;
	b = trained(&p, &d, NULL);
	assert_int_equal(km_booster_rounds(b), best);
	assert_true(isnan(km_booster_loss(b)));
	assert_int_equal(km_booster_predict(b, d.rows, ROWS, full, NULL), 0);
	assert_memory_equal(full, stopped, sizeof(full));
	km_booster_free(b);
}

static void every_objective_learns(void **state)
{
	static const struct {
		const char *objective;
		double np_share;
	} rows[] = {
		{ "reg:squarederror", 0 },     { "reg:squarederror", 0.5 },
		{ "reg:squarederror", 1 },     { "reg:absoluteerror", 0 },
		{ "reg:pseudohubererror", 0 },
	};
	static struct data d;
	static struct data valid;
	struct km_train_params p = small();

	(void)state;
	fill(&d, 1);
	fill(&valid, 2);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_booster *b;

		p.objective = rows[i].objective;
		p.np_share = rows[i].np_share;
		b = trained(&p, &d, &valid);
		/* the noise alone is 0.1, the mean alone would be 0.18 */
		if (!(rmse(b, &valid) < 0.14))
			fail_msg("%s %g: %g", rows[i].objective, rows[i].np_share, rmse(b, &valid));
		assert_true(km_booster_loss(b) > 0.05 && km_booster_loss(b) < 0.14);
		km_booster_free(b);
	}
}

static void gain_points_at_what_matters(void **state)
{
	static struct data d;
	struct km_train_params p = small();
	double gain[FEATURES];
	struct km_booster *b;

	(void)state;
	fill(&d, 1);
	b = trained(&p, &d, NULL);
	assert_int_equal(km_booster_gain(b, gain, NULL), 0);
	assert_true(gain[0] > 5 * gain[1] && gain[0] > 5 * gain[2] && gain[2] >= 0);
	km_booster_free(b);
}

static void constant_labels_train_to_the_constant(void **state)
{
	static struct data d;
	struct km_train_params p = small();
	float margin[ROWS];
	double gain[FEATURES];
	struct km_booster *b;

	(void)state;
	fill(&d, 1);
	for (size_t i = 0; i < ROWS; i++)
		d.labels[i] = 0.25f;
	b = trained(&p, &d, NULL);
	assert_int_equal(km_booster_predict(b, d.rows, ROWS, margin, NULL), 0);
	for (size_t i = 0; i < ROWS; i++)
		assert_true(fabs((double)margin[i] - 0.25) < 1e-5);
	assert_int_equal(km_booster_gain(b, gain, NULL), 0);
	km_booster_free(b);
}

static void wrong_parameters_are_refused_by_name(void **state)
{
	static struct data d;
	struct km_train_params good = small();
	struct km_train_params p[7];
	static const char *const want[] = { "rounds: 0",    "max_depth: 40", "eta: nan",
		                            "subsample: 2", "np_share: 0.5", "nonsense",
		                            "gamma: -1" };

	(void)state;
	fill(&d, 1);
	for (size_t i = 0; i < KM_ARRAY_LEN(p); i++)
		p[i] = good;
	p[0].rounds = 0;
	p[1].max_depth = 40;
	p[2].eta = NAN;
	p[3].subsample = 2;
	p[4].np_share = 0.5;
	p[4].objective = "reg:absoluteerror";
	p[5].objective = "reg:nonsense";
	p[6].gamma = -1;
	for (size_t i = 0; i < KM_ARRAY_LEN(p); i++) {
		struct km_train_rows rows = rows_of(&d);
		struct km_err err = { .code = 0 };
		struct km_booster *b = NULL;

		assert_true(km_booster_train(&p[i], &rows, NULL, NULL, NULL, &b, &err) < 0);
		if (!strstr(err.text, want[i]) || strchr(err.text, '\n'))
			fail_msg("\"%s\", want \"%s\"", err.text, want[i]);
		assert_null(b);
	}
}

static void wrong_rows_are_refused_by_place(void **state)
{
	static struct data d;
	struct km_train_params p = small();

	(void)state;
	for (int i = 0; i < 6; i++) {
		static const char *const want[] = { "row 7, column 2 is infinite",
			                            "label 3 is nan",
			                            "label 3 is inf",
			                            "weight 5 is -1",
			                            "all weights are 0",
			                            "0 rows" };
		struct km_train_rows rows = rows_of(&d);
		struct km_err err = { .code = 0 };
		struct km_booster *b = NULL;

		fill(&d, 1);
		if (i == 0)
			d.rows[7 * FEATURES + 2] = INFINITY;
		if (i == 1 || i == 2)
			d.labels[3] = i == 1 ? NAN : INFINITY;
		if (i == 3)
			d.weights[5] = -1;
		if (i == 4)
			memset(d.weights, 0, sizeof(d.weights));
		if (i == 5)
			rows.row_count = 0;
		assert_int_equal(km_booster_train(&p, &rows, NULL, NULL, NULL, &b, &err), -EINVAL);
		if (!strstr(err.text, want[i]))
			fail_msg("\"%s\", want \"%s\"", err.text, want[i]);
	}
}

static int stop_at_third(void *ctx, uint32_t round, double loss)
{
	(void)loss;
	(*(uint32_t *)ctx)++;
	return round == 2;
}

static void progress_may_stop_training(void **state)
{
	static struct data d;
	struct km_train_params p = small();
	struct km_train_rows rows = rows_of(&d);
	struct km_booster *b = NULL;
	uint32_t calls = 0;

	(void)state;
	fill(&d, 1);
	assert_int_equal(km_booster_train(&p, &rows, NULL, stop_at_third, &calls, &b, NULL),
	                 -EINTR);
	assert_int_equal(calls, 3);
	assert_null(b);
}

static void a_model_that_would_not_open_is_not_written(void **state)
{
	char dir[] = "/tmp/km-train-XXXXXX";
	char path[64];
	static struct data d;
	struct km_train_params p = small();
	struct km_err err = { .code = 0 };
	struct km_booster *b;

	(void)state;
	fill(&d, 1);
	make_dir(dir, path, sizeof(path));
	assert_int_equal(km_file_write_atomic(path, "old", 3, NULL), 0);
	b = trained(&p, &d, NULL);
	d.rows[0] = INFINITY; /* golden rows survive infinities, but no model may have a bad name */
	{
		struct km_schema *schema = NULL;
		double range[FEATURES] = { 0, 0, 0 };
		struct km_model_meta meta = { .name = "a\nb",
			                      .task = "placement",
			                      .range_low = range,
			                      .range_high = range,
			                      .golden = d.rows,
			                      .golden_count = 1 };
		struct km_buf kept;

		assert_int_equal(km_schema_create(names, FEATURES, 30, 5, &schema, NULL), 0);
		meta.schema = schema;
		assert_int_equal(km_model_write(path, b, &meta, &err), -EBADMSG);
		assert_non_null(strstr(err.text, "not written"));
		meta.name = "a";
		meta.golden_count = 0;
		assert_int_equal(km_model_write(path, b, &meta, &err), -EINVAL);
		meta.golden_count = 1;
		assert_int_equal(km_model_write("/nonexistent/dir/m.ubj", b, &meta, &err), -ENOENT);
		km_schema_unref(schema);
		assert_int_equal(km_schema_create(names, 2, 30, 5, &schema, NULL), 0);
		meta.schema = schema;
		assert_int_equal(km_model_write(path, b, &meta, &err), -EINVAL);
		km_schema_unref(schema);
		km_buf_init(&kept);
		assert_int_equal(km_file_read(path, 100, &kept, NULL), 0);
		assert_string_equal(km_buf_cstr(&kept), "old");
		km_buf_fini(&kept);
	}
	km_booster_free(b);
	remove_dir(dir, path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_opens_and_predicts_the_same),
		cmocka_unit_test(same_input_and_seed_give_the_same_bytes),
		cmocka_unit_test(a_pruned_model_opens),
		cmocka_unit_test(early_stopping_keeps_the_best_round),
		cmocka_unit_test(every_objective_learns),
		cmocka_unit_test(gain_points_at_what_matters),
		cmocka_unit_test(constant_labels_train_to_the_constant),
		cmocka_unit_test(wrong_parameters_are_refused_by_name),
		cmocka_unit_test(wrong_rows_are_refused_by_place),
		cmocka_unit_test(progress_may_stop_training),
		cmocka_unit_test(a_model_that_would_not_open_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

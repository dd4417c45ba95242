/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a prediction costs: our batch call (a reused proxy matrix) beside the plain use of the C API
 * (a DMatrix for each call), in turn in one run, so that the ratio holds on a noisy machine. Also
 * load to first prediction and contributions. The model is made up: 27 features, 100 trees of depth
 * 6 unless told otherwise.
 * usage: bench_model [TREES [DEPTH]]
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xgboost/c_api.h>

#include "km/base/err.h"
#include "km/base/rng.h"
#include "km/model/model.h"
#include "km/model/train.h"

#define FEATURES   27
#define TRAIN_ROWS 2000
#define ROWS_MAX   5000
#define RUNS_MAX   2000

static float rows[ROWS_MAX * FEATURES];
static float margins[ROWS_MAX];
static struct km_prediction predictions[ROWS_MAX];

static double now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void check(int rc, const char *what, const struct km_err *err)
{
	if (rc == 0)
		return;
	(void)fprintf(stderr, "bench_model: %s: %s\n", what, err ? err->text : XGBGetLastError());
	exit(1);
}

static struct km_schema *make_schema(struct km_err *err)
{
	static const char *const scopes[] = { "node", "rest", "host" };
	static const char *const metrics[] = { "ipc",
		                               "l2_mpki",
		                               "l3_mpki",
		                               "l3_per_l2",
		                               "l2_miss_per_s",
		                               "l3_miss_per_s",
		                               "instructions_per_s",
		                               "c0_ratio",
		                               "c1_ratio" };
	static char text[FEATURES][KM_FEATURE_NAME_MAX];
	const char *names[FEATURES];
	struct km_schema *schema = NULL;

	for (size_t i = 0; i < FEATURES; i++) {
		(void)snprintf(text[i], sizeof(text[i]), "%s.%s.mean", scopes[i / 9],
		               metrics[i % 9]);
		names[i] = text[i];
	}
	check(km_schema_create(names, FEATURES, 60, 5, &schema, err), "schema", err);
	return schema;
}

static void make_model(const char *path, uint32_t trees, uint32_t depth)
{
	static float labels[TRAIN_ROWS];
	double low[FEATURES];
	double high[FEATURES];
	struct km_err err = { .code = 0 };
	struct km_schema *schema = make_schema(&err);
	struct km_train_rows train = { rows, labels, NULL, TRAIN_ROWS, FEATURES };
	struct km_model_meta meta = { .name = "bench",
		                      .task = "placement",
		                      .schema = schema,
		                      .residual_sd = 0.1,
		                      .interval_low = -0.1,
		                      .interval_high = 0.1,
		                      .range_low = low,
		                      .range_high = high,
		                      .golden = rows,
		                      .golden_count = 4 };
	struct km_train_params params;
	struct km_booster *b = NULL;
	double start = now_us();
	struct km_rng rng;

	km_rng_init(&rng, 1);
	for (size_t i = 0; i < ROWS_MAX * FEATURES; i++)
		rows[i] = km_rng_below(&rng, 20) == 0 ? NAN : (float)km_rng_unit(&rng);
	for (size_t i = 0; i < TRAIN_ROWS; i++) {
		labels[i] = (float)(0.3 * km_rng_normal(&rng));
		for (size_t j = 0; j < 6; j++)
			labels[i] += isnan(rows[i * FEATURES + j]) ? 0 : rows[i * FEATURES + j];
	}
	for (size_t j = 0; j < FEATURES; j++) {
		low[j] = 0;
		high[j] = 1;
	}
	km_train_params_init(&params);
	params.rounds = trees;
	params.max_depth = depth;
	check(km_booster_train(&params, &train, NULL, NULL, NULL, &b, &err), "train", &err);
	(void)printf("train           %6u trees, depth %u, %d rows  %10.0f ms\n", trees, depth,
	             TRAIN_ROWS, (now_us() - start) / 1e3);
	check(km_model_write(path, b, &meta, &err), "write", &err);
	km_booster_free(b);
	km_schema_unref(schema);
}

/* The way of XGBoost's own examples. */
static void predict_plain(BoosterHandle booster, size_t count)
{
	static const char config[] = "{\"type\": 1, \"training\": false, \"iteration_begin\": 0, "
				     "\"iteration_end\": 0, \"strict_shape\": false}";
	const bst_ulong *shape;
	const float *result;
	DMatrixHandle matrix;
	bst_ulong dim;

	check(XGDMatrixCreateFromMat(rows, count, FEATURES, NAN, &matrix), "matrix", NULL);
	check(XGBoosterPredictFromDMatrix(booster, matrix, config, &shape, &dim, &result),
	      "predict", NULL);
	memcpy(margins, result, count * sizeof(*margins));
	check(XGDMatrixFree(matrix), "free", NULL);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(double *us, size_t count, double q)
{
	qsort(us, count, sizeof(*us), by_value);
	return us[(size_t)((double)(count - 1) * q)];
}

static void compare(struct km_model *m, BoosterHandle booster)
{
	static const struct {
		size_t rows;
		size_t runs;
	} sizes[] = { { 1, 2000 }, { 16, 1000 }, { 256, 300 }, { 5000, 40 } };
	static double ours[RUNS_MAX];
	static double plain[RUNS_MAX];

	(void)printf("rows a call     ours p50     p99      plain p50     p99 us   plain/ours\n");
	for (size_t s = 0; s < KM_ARRAY_LEN(sizes); s++) {
		double ours_p50;
		double plain_p50;

		for (size_t i = 0; i < sizes[s].runs; i++) {
			double start = now_us();

			check(km_model_predict(m, rows, sizes[s].rows, predictions, NULL),
			      "predict", NULL);
			ours[i] = now_us() - start;
			start = now_us();
			predict_plain(booster, sizes[s].rows);
			plain[i] = now_us() - start;
		}
		ours_p50 = quantile(ours, sizes[s].runs, 0.5);
		plain_p50 = quantile(plain, sizes[s].runs, 0.5);
		(void)printf("%11zu %12.1f %9.1f %12.1f %9.1f %12.2f\n", sizes[s].rows, ours_p50,
		             quantile(ours, sizes[s].runs, 0.99), plain_p50,
		             quantile(plain, sizes[s].runs, 0.99), plain_p50 / ours_p50);
	}
}

static void load_times(const char *path)
{
	enum { RUNS = 20 };
	static double us[RUNS];
	struct km_err err = { .code = 0 };

	for (size_t i = 0; i < RUNS; i++) {
		struct km_model *m = NULL;
		double start = now_us();

		check(km_model_open(path, &m, &err), "open", &err);
		check(km_model_predict(m, rows, 1, predictions, &err), "predict", &err);
		us[i] = now_us() - start;
		km_model_unref(m);
	}
	(void)printf("load to first prediction  p50 %.2f ms, max %.2f ms\n",
	             quantile(us, RUNS, 0.5) / 1e3, quantile(us, RUNS, 1) / 1e3);
}

static void contribution_times(struct km_model *m)
{
	enum { RUNS = 100 };
	static double us[RUNS];
	float out[FEATURES + 1];

	for (size_t i = 0; i < RUNS; i++) {
		double start = now_us();

		check(km_model_contributions(m, rows + i * FEATURES, out, NULL), "contributions",
		      NULL);
		us[i] = now_us() - start;
	}
	(void)printf("contributions of a row    p50 %.2f ms, p99 %.2f ms\n",
	             quantile(us, RUNS, 0.5) / 1e3, quantile(us, RUNS, 0.99) / 1e3);
}

static uint32_t argument(int argc, char **argv, int index, uint32_t otherwise, uint32_t max)
{
	unsigned long value = index < argc ? strtoul(argv[index], NULL, 10) : otherwise;

	return value < 1 || value > max ? otherwise : (uint32_t)value;
}

int main(int argc, char **argv)
{
	char path[] = "/tmp/km-bench-XXXXXX.ubj";
	int fd = mkstemps(path, 4);
	struct km_err err = { .code = 0 };
	struct km_model_info info;
	struct km_model *m = NULL;
	BoosterHandle booster;

	if (fd < 0)
		return 1;
	(void)close(fd);
	km_model_thread_init();
	make_model(path, argument(argc, argv, 1, 100, 5000), argument(argc, argv, 2, 6, 16));
	check(km_model_open(path, &m, &err), "open", &err);
	km_model_info(m, &info);
	(void)printf("file            %zu bytes, %d features, XGBoost %s\n", info.file_bytes,
	             FEATURES, km_model_library_version());
	check(XGBoosterCreate(NULL, 0, &booster), "create", NULL);
	check(XGBoosterLoadModel(booster, path), "load", NULL);
	check(XGBoosterSetParam(booster, "nthread", "1"), "nthread", NULL);
	load_times(path);
	compare(m, booster);
	contribution_times(m);
	check(XGBoosterFree(booster), "free", NULL);
	km_model_unref(m);
	(void)unlink(path);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* libxgboost on a leash: one OpenMP thread, nothing on stderr, errors of one line. */
#include "xgb.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <xgboost/version_config.h>

#include "km/base/num.h"
#include "km/model/model.h"

#if XGBOOST_VER_MAJOR < 1 || (XGBOOST_VER_MAJOR == 1 && XGBOOST_VER_MINOR < 7)
#error "XGBoost 1.7 or newer is needed"
#endif

/* From libgomp, which libxgboost brings along; <omp.h> would need -fopenmp's headers. */
void omp_set_num_threads(int count);

static void drop_log(const char *text)
{
	(void)text;
}

/*
 * OpenMP's thread count, the log callback and the verbosity are all per thread, and setting
 * OMP_NUM_THREADS inside main is too late: libgomp reads it when it is loaded.
 */
void km_model_thread_init(void)
{
	static _Thread_local bool done;

	if (done)
		return;
	done = true;
	omp_set_num_threads(1);
	(void)XGBRegisterLogCallback(drop_log); /* a failure leaves some noise, nothing worse */
	(void)XGBSetGlobalConfig("{\"verbosity\": 0}");
}

const char *km_model_library_version(void)
{
	static _Thread_local char text[32];
	int major = 0;
	int minor = 0;
	int patch = 0;

	XGBoostVersion(&major, &minor, &patch);
	(void)snprintf(text, sizeof(text), "%d.%d.%d", major, minor, patch);
	return text;
}

/* "[12:00:00] ../src/learner.cc:1: text\nStack trace:..." -> "learner.cc:1: text" */
int km_xgb_error(struct km_err *err, const char *what)
{
	const char *text = XGBGetLastError();
	const char *end = strchrnul(text, '\n');
	const char *colon = memmem(text, (size_t)(end - text), ": ", 2);

	for (const char *at = text; colon && at < colon; at++) {
		if (*at == '/' || (*at == ' ' && text[0] == '['))
			text = at + 1;
	}
	return km_err_set(err, EIO, "%s: %.*s", what, (int)(end - text), text);
}

int km_xgb_booster(const DMatrixHandle *cached, size_t count, BoosterHandle *out,
                   struct km_err *err)
{
	BoosterHandle booster = NULL;

	km_model_thread_init();
	if (XGBoosterCreate(cached, count, &booster) != 0)
		return km_xgb_error(err, "XGBoosterCreate");
	if (XGBoosterSetParam(booster, "nthread", "1") != 0) {
		(void)XGBoosterFree(booster);
		return km_xgb_error(err, "XGBoosterSetParam");
	}
	*out = booster;
	return 0;
}

/* The __array_interface__ of a C array; the address travels as a number in JSON. */
static void array_interface(char *out, size_t size, const float *rows, size_t row_count,
                            size_t column_count)
{
	(void)snprintf(out, size,
	               "{\"data\": [%" PRIuPTR ", true], \"shape\": [%zu, %zu], "
	               "\"typestr\": \"<f4\", \"version\": 3}",
	               (uintptr_t)rows, row_count, column_count);
}

int km_xgb_matrix(const float *rows, size_t row_count, size_t column_count, DMatrixHandle *out,
                  struct km_err *err)
{
	char values[160];

	km_model_thread_init();
	array_interface(values, sizeof(values), rows, row_count, column_count);
	if (XGDMatrixCreateFromDense(values, "{\"missing\": NaN, \"nthread\": 1}", out) != 0)
		return km_xgb_error(err, "XGDMatrixCreateFromDense");
	return 0;
}

int km_xgb_margins(BoosterHandle booster, DMatrixHandle proxy, const float *rows, size_t row_count,
                   size_t column_count, float *out, struct km_err *err)
{
	static const char config[] =
		"{\"type\": 1, \"training\": false, \"iteration_begin\": 0, \"iteration_end\": 0, "
		"\"strict_shape\": false, \"missing\": NaN, \"cache_id\": 0}";

	for (size_t done = 0; done < row_count;) {
		size_t count = row_count - done < KM_XGB_ROWS ? row_count - done : KM_XGB_ROWS;
		const bst_ulong *shape = NULL;
		const float *result = NULL;
		bst_ulong dim = 0;
		char values[160];

		array_interface(values, sizeof(values), rows + done * column_count, count,
		                column_count);
		if (XGBoosterPredictFromDense(booster, values, config, proxy, &shape, &dim,
		                              &result) != 0)
			return km_xgb_error(err, "XGBoosterPredictFromDense");
		if (dim < 1 || shape[0] != count || (dim > 1 && shape[1] != 1))
			return km_err_set(err, EIO, "XGBoosterPredictFromDense: %zu rows gave %zu",
			                  count, dim < 1 ? (size_t)0 : (size_t)shape[0]);
		memcpy(out + done, result, count * sizeof(*out));
		done += count;
	}
	return 0;
}

/* XGBoost 2 brought a function for this and deprecated the older one. */
int km_xgb_boost(BoosterHandle booster, DMatrixHandle matrix, uint32_t round, float *gradient,
                 float *hessian, size_t row_count, struct km_err *err)
{
#if XGBOOST_VER_MAJOR >= 2
	char gradients[160];
	char hessians[160];

	array_interface(gradients, sizeof(gradients), gradient, row_count, 1);
	array_interface(hessians, sizeof(hessians), hessian, row_count, 1);
	if (XGBoosterTrainOneIter(booster, matrix, (int)round, gradients, hessians) != 0)
		return km_xgb_error(err, "XGBoosterTrainOneIter");
#else
	(void)round; /* libxgboost counts by itself */
	if (XGBoosterBoostOneIter(booster, matrix, gradient, hessian, row_count) != 0)
		return km_xgb_error(err, "XGBoosterBoostOneIter");
#endif
	return 0;
}

/* libxgboost names features "f0", "f1", ... and leaves out those that no split uses. */
int km_xgb_gain(BoosterHandle booster, size_t feature_count, double *out, struct km_err *err)
{
	const char **names = NULL;
	const bst_ulong *shape = NULL;
	const float *scores = NULL;
	bst_ulong name_count = 0;
	bst_ulong dim = 0;

	km_model_thread_init();
	memset(out, 0, feature_count * sizeof(*out));
	if (XGBoosterFeatureScore(booster, "{\"importance_type\": \"total_gain\"}", &name_count,
	                          &names, &dim, &shape, &scores) != 0)
		return km_xgb_error(err, "XGBoosterFeatureScore");
	for (size_t i = 0; i < name_count; i++) {
		int64_t index = -1;

		if (names[i][0] != 'f' ||
		    km_num_int(names[i] + 1, strlen(names[i] + 1), &index) != 0 || index < 0 ||
		    (size_t)index >= feature_count)
			return km_err_set(err, EIO, "XGBoosterFeatureScore: feature \"%s\"",
			                  names[i]);
		out[index] = (double)scores[i];
	}
	return 0;
}

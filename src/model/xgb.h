/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few calls into libxgboost that more than one file here needs. Only functions that XGBoost
 * 1.7, 2 and 3 share are used in this room. Tested with Debian's 1.7.4; compiled, not run, against
 * the headers of 2.1.4 and 3.0.5.
 */
#ifndef KM_MODEL_XGB_H
#define KM_MODEL_XGB_H

#include <stddef.h>
#include <stdint.h>
#include <xgboost/c_api.h>

#include "km/base/err.h"

/*
 * Rows in one call. libxgboost keeps a call's results in memory of the calling thread until that
 * very thread frees the booster, so what a call may leave behind is kept small. Also fits a stack.
 */
#define KM_XGB_ROWS 1024

/* "what: <libxgboost's message, its first line without time and path>"; returns -EIO. */
int km_xgb_error(struct km_err *err, const char *what);

/* A booster that is quiet and single-threaded. returns 0 or -EIO. */
int km_xgb_booster(const DMatrixHandle *cached, size_t count, BoosterHandle *out,
                   struct km_err *err) KM_MUST_CHECK;

/* A matrix that copies rows [row_count][column_count]; NaN = missing. */
int km_xgb_matrix(const float *rows, size_t row_count, size_t column_count, DMatrixHandle *out,
                  struct km_err *err) KM_MUST_CHECK;

/* Margins of rows [row_count][column_count] through `proxy`, one thread at a time for each. */
int km_xgb_margins(BoosterHandle booster, DMatrixHandle proxy, const float *rows, size_t row_count,
                   size_t column_count, float *out, struct km_err *err) KM_MUST_CHECK;

/* Total gain of each of feature_count features, 0 = no split uses it. out [feature_count]. */
int km_xgb_gain(BoosterHandle booster, size_t feature_count, double *out,
                struct km_err *err) KM_MUST_CHECK;

/* Boosting round `round` from given gradients and hessians [row_count]. */
int km_xgb_boost(BoosterHandle booster, DMatrixHandle matrix, uint32_t round, float *gradient,
                 float *hessian, size_t row_count, struct km_err *err) KM_MUST_CHECK;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model file from anywhere: validated, its attributes read, loaded into libxgboost, golden
 * vectors checked. What opens must also predict and explain; what the validator takes without our
 * attributes must at least not have upset it.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/model/model.h"
#include "km/model/validate.h"

#define ROWS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The whole range of what a row may hold: absent, infinite, ordinary. */
static void use(struct km_model *m)
{
	static float rows[ROWS * KM_FEATURES_MAX];
	static float contribution[KM_FEATURES_MAX + 1];
	size_t columns = km_model_schema(m)->count;
	struct km_prediction out[ROWS];
	struct km_model_info info;
	struct km_err err = { .code = 0 };

	for (size_t j = 0; j < columns; j++) {
		rows[j] = NAN;
		rows[columns + j] = j % 2 ? INFINITY : -INFINITY;
		rows[2 * columns + j] = (float)j;
	}
	km_model_info(m, &info);
	if (!info.name || !info.task || !info.provenance || !info.metrics_json || !info.library)
		abort();
	if (km_model_predict(m, rows, ROWS, out, NULL) != 0)
		abort();
	for (size_t i = 0; i < ROWS; i++) {
		if (out[i].low > out[i].slowdown || out[i].high < out[i].slowdown)
			abort();
	}
	/* libxgboost refuses to divide by hessians that do not add up; that is all it may do. */
	if (km_model_contributions(m, rows + 2 * columns, contribution, &err) != 0 &&
	    (err.code != EIO || strchr(err.text, '\n')))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct km_err err = { .code = 0 };
	struct km_model *m = NULL;
	int rc = km_model_open_bytes(data, size, &m, &err);

	if (rc == 0)
		use(m);
	else if (err.code != -rc || err.text[0] == '\0' || strchr(err.text, '\n'))
		abort();
	km_model_unref(m);
	return 0;
}

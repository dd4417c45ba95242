/* SPDX-License-Identifier: Apache-2.0 */
/* Trained trees in memory: predict, gain, free. */
#include "booster.h"

#include <errno.h>
#include <stdlib.h>

#include "km/model/model.h"

void km_booster_free(struct km_booster *b)
{
	if (!b)
		return;
	km_model_thread_init();
	if (b->proxy)
		(void)XGDMatrixFree(b->proxy);
	if (b->handle)
		(void)XGBoosterFree(b->handle);
	free(b);
}

uint32_t km_booster_rounds(const struct km_booster *b)
{
	return b->rounds;
}

double km_booster_loss(const struct km_booster *b)
{
	return b->loss;
}

int km_booster_predict(struct km_booster *b, const float *rows, size_t row_count, float *out,
                       struct km_err *err)
{
	km_model_thread_init();
	return km_xgb_margins(b->handle, b->proxy, rows, row_count, b->feature_count, out, err);
}

int km_booster_gain(struct km_booster *b, double *out, struct km_err *err)
{
	return km_xgb_gain(b->handle, b->feature_count, out, err);
}

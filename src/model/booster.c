/* SPDX-License-Identifier: Apache-2.0 */
/* Trained trees in memory: predict, gain, free. */
#include "booster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/num.h"
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

/* libxgboost names features "f0", "f1", ... and leaves out those that no split uses. */
int km_booster_gain(struct km_booster *b, double *out, struct km_err *err)
{
	const char **names = NULL;
	const bst_ulong *shape = NULL;
	const float *scores = NULL;
	bst_ulong name_count = 0;
	bst_ulong dim = 0;

	km_model_thread_init();
	memset(out, 0, b->feature_count * sizeof(*out));
	if (XGBoosterFeatureScore(b->handle, "{\"importance_type\": \"total_gain\"}", &name_count,
	                          &names, &dim, &shape, &scores) != 0)
		return km_xgb_error(err, "XGBoosterFeatureScore");
	for (size_t i = 0; i < name_count; i++) {
		int64_t index = -1;

		if (names[i][0] != 'f' ||
		    km_num_int(names[i] + 1, strlen(names[i] + 1), &index) != 0 || index < 0 ||
		    (size_t)index >= b->feature_count)
			return km_err_set(err, EIO, "XGBoosterFeatureScore: feature \"%s\"",
			                  names[i]);
		out[index] = (double)scores[i];
	}
	return 0;
}

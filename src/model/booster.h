/* SPDX-License-Identifier: Apache-2.0 */
/* Trained trees, as train.c makes and write.c saves them. */
#ifndef KM_MODEL_BOOSTER_H
#define KM_MODEL_BOOSTER_H

#include "km/model/train.h"

#include "xgb.h"

struct km_booster {
	BoosterHandle handle;
	DMatrixHandle proxy;
	size_t feature_count;
	uint32_t rounds;
	double loss;
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What GET /v1/model says of a model; the tool says the same of a file. */
#ifndef KM_API_CARD_H
#define KM_API_CARD_H

#include "km/model/model.h"
#include "km/wire/answers.h"

struct km_api_card {
	struct km_answer_model_card card;
	struct km_answer_interval interval[KM_INTERVAL_KNOTS_MAX];
};

/*
 * Fills *out, which borrows from the model and from itself: it is not moved. A model with the same
 * interval everywhere has one, around a slowdown of 1; one that knows none has none. Any thread.
 */
void km_api_card_fill(const struct km_model *model, struct km_api_card *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a model is trained, as data: what features.yaml says beside the list of features. Plain
 * numbers; what they mean for trees is XGBoost's, what they mean for rows is eval/table.c's.
 * Defaults and ranges: config/feature_list.c.
 */
#ifndef KM_CORE_RECIPE_H
#define KM_CORE_RECIPE_H

#include <stdbool.h>
#include <stdint.h>

struct km_recipe {
	/* the trees */
	uint32_t rounds, max_depth, max_bin, parallel_trees, seed;
	double eta, subsample, colsample_bytree, colsample_bynode;
	double min_child_weight, lambda, alpha, gamma;
	double np_share;        /* of the error of NP in the loss, beside that of ln slowdown */
	bool exact_splits;      /* midway between two measured values, not at the edge of a bin: for
	                           few rows at few levels */
	bool monotone_inflight; /* more in flight never predicts less slowdown */
	/* the rows */
	double zero_label; /* share of 0 in the label of runs without interference: ln 1 */
	double mask_now;   /* share of rows that hide what the node carries now */
	double weight_recorded, weight_one_node, weight_alone; /* of the host layouts */
	double weight_lighter, weight_empty, weight_inflight;  /* of the kinds of pairs */
	uint32_t windows; /* feature rows taken of each trace, 1 = one by chance; 0 = all */
};

#endif

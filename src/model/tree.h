/* SPDX-License-Identifier: Apache-2.0 */
/* One tree of a model file: its arrays, and the proof that walking it ends and stays inside. */
#ifndef KM_MODEL_TREE_H
#define KM_MODEL_TREE_H

#include <stdint.h>

#include "ubj.h"

/* The daemon's models are 4-8 deep; SHAP's cost and stack grow with the square of this. */
#define KM_TREE_DEPTH_MAX 32

/* What is kept from tree to tree: the number of features all agree on, and scratch. */
struct km_tree_check {
	uint8_t *seen; /* [seen_size] */
	size_t seen_size;
	uint64_t node_count; /* over all trees so far */
	uint64_t node_limit;
	uint32_t feature_count; /* 0 = no tree yet */
	uint32_t max_depth;     /* of all trees so far */
};

void km_tree_check_fini(struct km_tree_check *c);

/*
 * Reads the tree at the cursor and checks it: its id is its index, arrays of num_nodes, children in
 * range, every node reached exactly once from the root (or marked deleted), split indices <
 * num_feature, no categorical split, numbers finite. returns 0, -EBADMSG, -EFBIG, -ENOMEM.
 */
int km_tree_read(struct km_ubj *u, size_t index, struct km_tree_check *c) KM_MUST_CHECK;

#endif

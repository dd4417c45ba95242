/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tree. libxgboost follows left_children/right_children and indexes a row by split_indices
 * without a check of its own: an index out of range is a wild read at predict, a cycle never ends.
 */
#include "tree.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "walk.h"

/* RegTree::Node of XGBoost: the root's parent, and the split index that marks a deleted node. */
#define NODE_NONE    INT32_MAX
#define NODE_MAX     (1 << 24)
#define FEATURES_MAX (1 << 16)

enum column {
	LEFT,
	RIGHT,
	PARENT,
	SPLIT_INDEX,
	SPLIT_CONDITION,
	DEFAULT_LEFT,
	SPLIT_TYPE,
	BASE_WEIGHT,
	LOSS_CHANGE,
	SUM_HESSIAN,
	COLUMN_N,
};

struct tree {
	struct km_ubj_array column[COLUMN_N];
	int64_t id;
	int64_t node_count;
	int64_t deleted_count;
	int64_t feature_count;
};

static const struct {
	const char *name;
	const char *types;
} columns[COLUMN_N] = {
	[LEFT] = { "left_children", "lL" },
	[RIGHT] = { "right_children", "lL" },
	[PARENT] = { "parents", "lL" },
	[SPLIT_INDEX] = { "split_indices", "lL" },
	[SPLIT_CONDITION] = { "split_conditions", "d" },
	[DEFAULT_LEFT] = { "default_left", "U" },
	[SPLIT_TYPE] = { "split_type", "U" },
	[BASE_WEIGHT] = { "base_weights", "d" },
	[LOSS_CHANGE] = { "loss_changes", "d" },
	[SUM_HESSIAN] = { "sum_hessian", "d" },
};

static int read_column(struct km_ubj *u, const char *name, void *ctx)
{
	struct tree *t = ctx;
	size_t i = 0;
	int rc;

	while (strcmp(columns[i].name, name) != 0)
		i++;
	rc = km_ubj_typed(u, name, &t->column[i]);
	if (rc != 0)
		return rc;
	if (!strchr(columns[i].types, t->column[i].type))
		return km_ubj_bad(u, "%s: array of '%c', want one of \"%s\"", name,
		                  t->column[i].type, columns[i].types);
	return 0;
}

/* Categorical splits need bit sets that nothing here checks; we never train any. */
static int read_empty(struct km_ubj *u, const char *name, void *ctx)
{
	struct km_ubj_array a;
	size_t count = 0;
	int rc;

	(void)ctx;
	if (km_ubj_is_typed(u)) {
		rc = km_ubj_typed(u, name, &a);
		count = a.count;
	} else {
		rc = km_ubj_list_begin(u, name, &count);
		km_ubj_list_end(u);
	}
	if (rc == 0 && count != 0)
		return km_ubj_bad(u, "%s: %zu entries, want no categorical split", name, count);
	return rc;
}

static int read_id(struct km_ubj *u, const char *name, void *ctx)
{
	return km_ubj_int(u, name, &((struct tree *)ctx)->id);
}

static int read_num_nodes(struct km_ubj *u, const char *name, void *ctx)
{
	return km_walk_number(u, name, 1, NODE_MAX, &((struct tree *)ctx)->node_count);
}

static int read_num_deleted(struct km_ubj *u, const char *name, void *ctx)
{
	return km_walk_number(u, name, 0, NODE_MAX, &((struct tree *)ctx)->deleted_count);
}

static int read_num_feature(struct km_ubj *u, const char *name, void *ctx)
{
	return km_walk_number(u, name, 1, FEATURES_MAX, &((struct tree *)ctx)->feature_count);
}

/* 0 before XGBoost 2, 1 after; more is a vector leaf. */
static int read_leaf_size(struct km_ubj *u, const char *name, void *ctx)
{
	int64_t size;

	(void)ctx;
	return km_walk_number(u, name, 0, 1, &size);
}

static int read_param(struct km_ubj *u, const char *name, void *ctx)
{
	static const struct km_field fields[] = {
		{ "num_nodes", read_num_nodes, false },
		{ "num_feature", read_num_feature, false },
		{ "num_deleted", read_num_deleted, true },
		{ "size_leaf_vector", read_leaf_size, true },
	};

	return km_walk_object(u, name, fields, KM_ARRAY_LEN(fields), ctx);
}

static int64_t node_int(const struct tree *t, enum column c, int64_t node)
{
	return km_ubj_int_at(&t->column[c], (size_t)node);
}

/* The values of one node that do not depend on where it hangs. */
static int check_values(const struct km_ubj *u, const struct tree *t, size_t index, int64_t node)
{
	static const enum column finite[] = { SPLIT_CONDITION, BASE_WEIGHT, LOSS_CHANGE,
		                              SUM_HESSIAN };

	for (size_t i = 0; i < KM_ARRAY_LEN(finite); i++) {
		float value = km_ubj_float_at(&t->column[finite[i]], (size_t)node);

		if (!isfinite(value))
			return km_ubj_bad(u, "tree %zu: %s[%lld] is %g, want a finite number",
			                  index, columns[finite[i]].name, (long long)node,
			                  (double)value);
	}
	if (node_int(t, SPLIT_TYPE, node) != 0)
		return km_ubj_bad(u, "tree %zu: split_type[%lld] is %lld, want 0 (numerical)",
		                  index, (long long)node, (long long)node_int(t, SPLIT_TYPE, node));
	return 0;
}

/* A child must be another node that no one reached before, and must know its parent. */
static int check_child(const struct km_ubj *u, const struct tree *t, size_t index, int64_t node,
                       enum column side, const uint8_t *seen)
{
	int64_t child = node_int(t, side, node);

	if (child < 1 || child >= t->node_count)
		return km_ubj_bad(u, "tree %zu: %s[%lld] is %lld, want -1 or 1..%lld", index,
		                  columns[side].name, (long long)node, (long long)child,
		                  (long long)t->node_count - 1);
	if (seen[child])
		return km_ubj_bad(u, "tree %zu: node %lld is reached twice", index,
		                  (long long)child);
	if (node_int(t, PARENT, child) != node)
		return km_ubj_bad(u, "tree %zu: parents[%lld] is %lld, but it hangs under %lld",
		                  index, (long long)child, (long long)node_int(t, PARENT, child),
		                  (long long)node);
	return 0;
}

static int check_split(const struct km_ubj *u, const struct tree *t, size_t index, int64_t node)
{
	int64_t feature = node_int(t, SPLIT_INDEX, node);

	if (feature < 0 || feature >= t->feature_count)
		return km_ubj_bad(u, "tree %zu: split_indices[%lld] is %lld, want 0..%lld", index,
		                  (long long)node, (long long)feature,
		                  (long long)t->feature_count - 1);
	return 0;
}

/*
 * Depth first with an own stack: each level leaves at most one node waiting, so KM_TREE_DEPTH_MAX+2
 * places are enough, and a node marked `seen` is never pushed again, so it ends.
 */
static int check_shape(const struct km_ubj *u, const struct tree *t, size_t index, uint8_t *seen,
                       uint32_t *max_depth)
{
	struct {
		int64_t node;
		uint32_t depth;
	} stack[KM_TREE_DEPTH_MAX + 2];
	size_t waiting = 1;
	int64_t reached = 1;
	int rc = 0;

	if (node_int(t, PARENT, 0) != NODE_NONE && node_int(t, PARENT, 0) != -1)
		return km_ubj_bad(u, "tree %zu: parents[0] is %lld, want none", index,
		                  (long long)node_int(t, PARENT, 0));
	stack[0].node = 0;
	stack[0].depth = 0;
	seen[0] = 1;
	while (waiting > 0 && rc == 0) {
		int64_t node = stack[--waiting].node;
		uint32_t depth = stack[waiting].depth;

		if (depth > *max_depth)
			*max_depth = depth;
		if (node_int(t, LEFT, node) == -1 && node_int(t, RIGHT, node) == -1)
			continue;
		if (depth == KM_TREE_DEPTH_MAX)
			return km_ubj_bad(u, "tree %zu: deeper than %d", index, KM_TREE_DEPTH_MAX);
		rc = check_split(u, t, index, node);
		for (int side = LEFT; side <= RIGHT && rc == 0; side++) {
			rc = check_child(u, t, index, node, (enum column)side, seen);
			if (rc != 0)
				break;
			stack[waiting].node = node_int(t, (enum column)side, node);
			stack[waiting].depth = depth + 1;
			seen[stack[waiting++].node] = 1;
			reached++;
		}
	}
	if (rc == 0 && reached != t->node_count - t->deleted_count)
		return km_ubj_bad(u, "tree %zu: %lld nodes reached from the root, want %lld", index,
		                  (long long)reached,
		                  (long long)(t->node_count - t->deleted_count));
	return rc;
}

/*
 * Pruned nodes stay in the arrays; libxgboost tells them by their split index. It never walks to
 * them, but on loading it asks every node's parent which side it is on: found by the fuzzer.
 */
static int check_unreached(const struct km_ubj *u, const struct tree *t, size_t index,
                           const uint8_t *seen)
{
	static const enum column links[] = { LEFT, RIGHT, PARENT };

	for (int64_t node = 0; node < t->node_count; node++) {
		if (seen[node])
			continue;
		if (node_int(t, SPLIT_INDEX, node) != NODE_NONE)
			return km_ubj_bad(u, "tree %zu: node %lld is never reached", index,
			                  (long long)node);
		for (size_t i = 0; i < KM_ARRAY_LEN(links); i++) {
			int64_t to = node_int(t, links[i], node);

			if (to < (links[i] == PARENT ? 0 : -1) || to >= t->node_count)
				return km_ubj_bad(u, "tree %zu: %s[%lld] is %lld, want 0..%lld",
				                  index, columns[links[i]].name, (long long)node,
				                  (long long)to, (long long)t->node_count - 1);
		}
	}
	return 0;
}

static int check_tree(const struct km_ubj *u, const struct tree *t, size_t index,
                      struct km_tree_check *c)
{
	size_t count = (size_t)t->node_count;
	uint8_t *seen;
	int rc = 0;

	/* Where libxgboost puts the tree: one id twice leaves another place a null pointer. */
	if (t->id != (int64_t)index)
		return km_ubj_bad(u, "tree %zu: id is %lld", index, (long long)t->id);
	for (size_t i = 0; i < COLUMN_N; i++) {
		if (t->column[i].count != count)
			return km_ubj_bad(u, "tree %zu: %s has %zu entries, num_nodes is %zu",
			                  index, columns[i].name, t->column[i].count, count);
	}
	if (c->feature_count != 0 && c->feature_count != (uint32_t)t->feature_count)
		return km_ubj_bad(u, "tree %zu: num_feature is %lld, others have %u", index,
		                  (long long)t->feature_count, c->feature_count);
	c->feature_count = (uint32_t)t->feature_count;
	c->node_count += count;
	if (c->node_count > c->node_limit)
		return km_err_set(u->err, EFBIG, "tree %zu: more than %llu nodes in all", index,
		                  (unsigned long long)c->node_limit);
	if (count > c->seen_size) {
		seen = realloc(c->seen, count);
		if (!seen)
			return km_err_set(u->err, ENOMEM, "tree %zu: %zu nodes", index, count);
		c->seen = seen;
		c->seen_size = count;
	}
	memset(c->seen, 0, count);
	for (int64_t node = 0; node < t->node_count && rc == 0; node++)
		rc = check_values(u, t, index, node);
	if (rc == 0)
		rc = check_shape(u, t, index, c->seen, &c->max_depth);
	if (rc == 0)
		rc = check_unreached(u, t, index, c->seen);
	return rc;
}

int km_tree_read(struct km_ubj *u, size_t index, struct km_tree_check *c)
{
	static const struct km_field fields[] = {
		{ "id", read_id, false },
		{ "left_children", read_column, false },
		{ "right_children", read_column, false },
		{ "parents", read_column, false },
		{ "split_indices", read_column, false },
		{ "split_conditions", read_column, false },
		{ "default_left", read_column, false },
		{ "split_type", read_column, false },
		{ "base_weights", read_column, false },
		{ "loss_changes", read_column, false },
		{ "sum_hessian", read_column, false },
		{ "categories", read_empty, true },
		{ "categories_nodes", read_empty, true },
		{ "categories_segments", read_empty, true },
		{ "categories_sizes", read_empty, true },
		{ "tree_param", read_param, false },
	};
	struct tree t = { .node_count = 0 };
	int rc = km_walk_object(u, "tree", fields, KM_ARRAY_LEN(fields), &t);

	if (rc == 0)
		return check_tree(u, &t, index, c);
	if (rc == -EBADMSG)
		(void)km_err_prefix(u->err, "tree %zu", index);
	return rc;
}

void km_tree_check_fini(struct km_tree_check *c)
{
	free(c->seen);
	c->seen = NULL;
	c->seen_size = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a model file must be before libxgboost may see it: one gbtree regression ensemble with an
 * identity link, one output, no categorical splits. Everything libxgboost later uses as an index
 * or a divisor is checked here; a tree in tree.c.
 */
#include "km/model/validate.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "km/base/num.h"

#include "tree.h"
#include "walk.h"

#define TREES_MAX 100000
#define NODES_MAX 50000000

struct walk {
	struct km_tree_check trees;
	size_t tree_count;
	size_t info_count;
	int64_t indptr_last; /* -1 = absent */
	int64_t num_trees;
	int64_t num_parallel_tree;
	int64_t num_feature;
	km_model_attr_fn *attr;
	void *attr_ctx;
};

/* Objectives whose prediction is the margin itself: what is loaded is ln slowdown, not a link. */
static const char *const objectives[] = {
	"reg:squarederror",
	"reg:absoluteerror",
	"reg:pseudohubererror",
};

static int read_attributes(struct km_ubj *u, const char *name, void *ctx)
{
	struct walk *w = ctx;
	struct km_ubj_text key;
	struct km_ubj_text value;
	int rc = km_ubj_object_begin(u, name);

	while (rc == 0) {
		rc = km_ubj_object_next(u, &key);
		if (rc <= 0)
			return rc;
		rc = km_ubj_string(u, "attribute", &value);
		if (rc == 0 && w->attr)
			w->attr(w->attr_ctx, key.text, key.len, value.text, value.len);
	}
	return rc;
}

static int read_trees(struct km_ubj *u, const char *name, void *ctx)
{
	struct walk *w = ctx;
	int rc = km_ubj_list_begin(u, name, &w->tree_count);

	if (rc == 0 && w->tree_count > TREES_MAX)
		return km_err_set(u->err, EFBIG, "%zu trees, want at most %d", w->tree_count,
		                  TREES_MAX);
	for (size_t i = 0; rc == 0 && i < w->tree_count; i++)
		rc = km_tree_read(u, i, &w->trees);
	km_ubj_list_end(u);
	return rc;
}

typedef int int_fn(struct km_ubj *u, const char *name, size_t i, int64_t value, struct walk *w);

/* Integers, as a list of single values (XGBoost 1.7) or a typed array (later). */
static int each_int(struct km_ubj *u, const char *name, int_fn *fn, struct walk *w, size_t *count)
{
	struct km_ubj_array typed;
	int64_t value = 0;
	int rc;

	if (km_ubj_is_typed(u)) {
		rc = km_ubj_typed(u, name, &typed);
		if (rc == 0 && !strchr("iUIlL", typed.type))
			return km_ubj_bad(u, "%s: array of '%c', want integers", name, typed.type);
		*count = typed.count;
		for (size_t i = 0; rc == 0 && i < *count; i++)
			rc = fn(u, name, i, km_ubj_int_at(&typed, i), w);
		return rc;
	}
	rc = km_ubj_list_begin(u, name, count);
	for (size_t i = 0; rc == 0 && i < *count; i++) {
		rc = km_ubj_int(u, name, &value);
		if (rc == 0)
			rc = fn(u, name, i, value, w);
	}
	km_ubj_list_end(u);
	return rc;
}

/* tree_info[i] is the output tree i adds to: libxgboost's index into the results of a row. */
static int check_info(struct km_ubj *u, const char *name, size_t i, int64_t value, struct walk *w)
{
	(void)w;
	if (value != 0)
		return km_ubj_bad(u, "%s[%zu] is %lld, want 0 (a single output)", name, i,
		                  (long long)value);
	return 0;
}

static int read_info(struct km_ubj *u, const char *name, void *ctx)
{
	struct walk *w = ctx;

	return each_int(u, name, check_info, w, &w->info_count);
}

/* iteration_indptr (XGBoost 2): where each round's trees begin; rises from 0 to num_trees. */
static int check_indptr(struct km_ubj *u, const char *name, size_t i, int64_t value, struct walk *w)
{
	if (i == 0 ? value != 0 : value < w->indptr_last || value > TREES_MAX)
		return km_ubj_bad(u, "%s[%zu] is %lld, want it to rise from 0", name, i,
		                  (long long)value);
	w->indptr_last = value;
	return 0;
}

static int read_indptr(struct km_ubj *u, const char *name, void *ctx)
{
	struct walk *w = ctx;
	size_t count = 0;
	int rc = each_int(u, name, check_indptr, w, &count);

	if (rc == 0 && count == 0)
		return km_ubj_bad(u, "%s: empty, want it to rise from 0", name);
	return rc;
}

static int read_num_trees(struct km_ubj *u, const char *name, void *ctx)
{
	return km_walk_number(u, name, 0, TREES_MAX, &((struct walk *)ctx)->num_trees);
}

/* A divisor in libxgboost. */
static int read_num_parallel(struct km_ubj *u, const char *name, void *ctx)
{
	return km_walk_number(u, name, 1, TREES_MAX, &((struct walk *)ctx)->num_parallel_tree);
}

static int read_zero_or_one(struct km_ubj *u, const char *name, void *ctx)
{
	int64_t value;

	(void)ctx;
	return km_walk_number(u, name, 0, 1, &value);
}

static int read_forest_param(struct km_ubj *u, const char *name, void *ctx)
{
	static const struct km_field fields[] = {
		{ "num_trees", read_num_trees, false },
		{ "num_parallel_tree", read_num_parallel, false },
		{ "size_leaf_vector", read_zero_or_one, true },
	};

	return km_walk_object(u, name, fields, KM_ARRAY_LEN(fields), ctx);
}

/* XGBoost 3's category encoder: refused unless empty, as nothing here checks its contents. */
static int read_cats(struct km_ubj *u, const char *name, void *ctx)
{
	const uint8_t *before = u->at;
	struct km_ubj_array typed;
	size_t count = 0;
	struct km_ubj_text key;
	int rc = km_ubj_object_begin(u, name);

	(void)ctx;
	while (rc == 0) {
		rc = km_ubj_object_next(u, &key);
		if (rc <= 0)
			return rc;
		if (km_ubj_is_typed(u)) {
			rc = km_ubj_typed(u, name, &typed);
			count = typed.count;
		} else {
			rc = km_ubj_list_begin(u, name, &count);
			km_ubj_list_end(u);
		}
		if (rc == 0 && count != 0) {
			u->at = before;
			return km_ubj_bad(u, "%s: not empty, want no categories", name);
		}
	}
	return rc;
}

static int read_forest(struct km_ubj *u, const char *name, void *ctx)
{
	static const struct km_field fields[] = {
		{ "gbtree_model_param", read_forest_param, false },
		{ "trees", read_trees, false },
		{ "tree_info", read_info, false },
		{ "iteration_indptr", read_indptr, true },
		{ "cats", read_cats, true },
	};

	return km_walk_object(u, name, fields, KM_ARRAY_LEN(fields), ctx);
}

static int read_one_of(struct km_ubj *u, const char *name, const char *const *known, size_t count)
{
	struct km_ubj_text text;
	int rc = km_ubj_string(u, name, &text);

	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (km_ubj_text_is(&text, known[i]))
			return 0;
	}
	if (rc != 0)
		return rc;
	return km_ubj_bad(u, "%s: \"%.*s\", want %s%s", name, (int)(text.len < 32 ? text.len : 32),
	                  text.text, known[0], count > 1 ? " or another with identity link" : "");
}

static int read_booster_name(struct km_ubj *u, const char *name, void *ctx)
{
	static const char *const known[] = { "gbtree" };

	(void)ctx;
	return read_one_of(u, name, known, KM_ARRAY_LEN(known));
}

static int read_objective_name(struct km_ubj *u, const char *name, void *ctx)
{
	(void)ctx;
	return read_one_of(u, name, objectives, KM_ARRAY_LEN(objectives));
}

static int read_booster(struct km_ubj *u, const char *name, void *ctx)
{
	static const struct km_field fields[] = {
		{ "model", read_forest, false },
		{ "name", read_booster_name, false },
	};

	return km_walk_object(u, name, fields, KM_ARRAY_LEN(fields), ctx);
}

static int read_objective(struct km_ubj *u, const char *name, void *ctx)
{
	static const struct km_field fields[] = {
		{ "name", read_objective_name, false },
	};

	return km_walk_object(u, name, fields, KM_ARRAY_LEN(fields), ctx);
}

static int read_num_feature(struct km_ubj *u, const char *name, void *ctx)
{
	return km_walk_number(u, name, 1, UINT16_MAX, &((struct walk *)ctx)->num_feature);
}

static int read_num_target(struct km_ubj *u, const char *name, void *ctx)
{
	int64_t value;

	(void)ctx;
	return km_walk_number(u, name, 1, 1, &value);
}

/* A number in a string; XGBoost 3.1 puts it in brackets. */
static int read_base_score(struct km_ubj *u, const char *name, void *ctx)
{
	struct km_ubj_text text;
	double value;
	int rc = km_ubj_string(u, name, &text);

	(void)ctx;
	if (rc != 0)
		return rc;
	if (text.len >= 2 && text.text[0] == '[' && text.text[text.len - 1] == ']') {
		text.text++;
		text.len -= 2;
	}
	if (km_num_double(text.text, text.len, &value) != 0 || !(fabs(value) < 1e30))
		return km_ubj_bad(u, "%s: \"%.*s\", want a finite number", name,
		                  (int)(text.len < 32 ? text.len : 32), text.text);
	return 0;
}

static int read_learner_param(struct km_ubj *u, const char *name, void *ctx)
{
	static const struct km_field fields[] = {
		{ "num_feature", read_num_feature, false },
		{ "num_class", read_zero_or_one, false },
		{ "num_target", read_num_target, true },
		{ "base_score", read_base_score, false },
	};

	return km_walk_object(u, name, fields, KM_ARRAY_LEN(fields), ctx);
}

/* Names and types in the library's own lists would be one more thing to disagree with ours. */
static int read_no_names(struct km_ubj *u, const char *name, void *ctx)
{
	size_t count = 0;
	int rc = km_ubj_list_begin(u, name, &count);

	(void)ctx;
	km_ubj_list_end(u);
	if (rc == 0 && count != 0)
		return km_ubj_bad(u, "%s: %zu entries, want none (ours are attributes)", name,
		                  count);
	return rc;
}

static int read_learner(struct km_ubj *u, const char *name, void *ctx)
{
	static const struct km_field fields[] = {
		{ "attributes", read_attributes, true },
		{ "feature_names", read_no_names, true },
		{ "feature_types", read_no_names, true },
		{ "gradient_booster", read_booster, false },
		{ "learner_model_param", read_learner_param, false },
		{ "objective", read_objective, false },
	};

	return km_walk_object(u, name, fields, KM_ARRAY_LEN(fields), ctx);
}

static int check_version(struct km_ubj *u, const char *name, size_t i, int64_t value,
                         struct walk *w)
{
	(void)w;
	if (value < 0 || value > 1000)
		return km_ubj_bad(u, "%s[%zu] is %lld", name, i, (long long)value);
	return 0;
}

static int read_version(struct km_ubj *u, const char *name, void *ctx)
{
	size_t count = 0;
	int rc = each_int(u, name, check_version, ctx, &count);

	if (rc == 0 && count != 3)
		return km_ubj_bad(u, "%s: %zu numbers, want 3", name, count);
	return rc;
}

/* What can only be compared once all is read. */
static int check_whole(const struct km_ubj *u, const struct walk *w)
{
	if (w->num_trees != (int64_t)w->tree_count || w->info_count != w->tree_count)
		return km_ubj_bad(u, "num_trees is %lld, but %zu trees and %zu tree_info follow",
		                  (long long)w->num_trees, w->tree_count, w->info_count);
	if (w->num_trees % w->num_parallel_tree != 0)
		return km_ubj_bad(u, "num_parallel_tree is %lld, which does not divide %lld trees",
		                  (long long)w->num_parallel_tree, (long long)w->num_trees);
	if (w->indptr_last >= 0 && w->indptr_last != w->num_trees)
		return km_ubj_bad(u, "iteration_indptr ends at %lld, want %lld",
		                  (long long)w->indptr_last, (long long)w->num_trees);
	if (w->tree_count > 0 && w->trees.feature_count != (uint32_t)w->num_feature)
		return km_ubj_bad(u, "num_feature is %lld, but the trees have %u",
		                  (long long)w->num_feature, w->trees.feature_count);
	if (u->at != u->end)
		return km_ubj_bad(u, "%zu bytes follow the model", (size_t)(u->end - u->at));
	return 0;
}

int km_model_validate(const uint8_t *bytes, size_t len, struct km_model_shape *shape,
                      km_model_attr_fn *attr, void *attr_ctx, struct km_err *err)
{
	static const struct km_field fields[] = {
		{ "learner", read_learner, false },
		{ "version", read_version, false },
	};
	struct walk w = { .trees = { .node_limit = NODES_MAX },
		          .indptr_last = -1,
		          .attr = attr,
		          .attr_ctx = attr_ctx };
	struct km_ubj u;
	int rc;

	km_ubj_init(&u, bytes, len, err);
	rc = km_walk_object(&u, "model", fields, KM_ARRAY_LEN(fields), &w);
	if (rc == 0)
		rc = check_whole(&u, &w);
	if (rc != 0)
		km_ubj_clean(err);
	*shape = (struct km_model_shape){
		.tree_count = (uint32_t)w.tree_count,
		.feature_count = (uint32_t)w.num_feature,
		.max_depth = w.trees.max_depth,
		.node_count = w.trees.node_count,
	};
	km_tree_check_fini(&w.trees);
	return rc;
}

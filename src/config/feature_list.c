/* SPDX-License-Identifier: Apache-2.0 */
/* features.yaml, by a table of its own. */
#include "km/config/feature_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/file.h"
#include "km/config/tree.h"
#include "km/core/schema.h"

#include "config_internal.h"

#define FEATURE_LIST_MAX_BYTES (1u << 20)

static int parse_features(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                          const struct km_tree *v, void *base)
{
	struct km_feature_list *l = base;
	size_t count = 0;

	for (const struct km_tree *i = v->child; i != NULL; i = i->next) {
		if (i->kind != KM_TREE_SCALAR || i->text[0] == '\0')
			return km_conf_bad_value(c, key, i, "a feature name");
		count++;
	}
	if (v->kind != KM_TREE_LIST || count == 0)
		return km_conf_bad_value(c, key, v, o->want);
	if (count > KM_FEATURES_MAX)
		return km_conf_fail(c, v->line, "%s: saw %zu names, want at most %d", key, count,
		                    KM_FEATURES_MAX);
	l->feature = calloc(count, sizeof(*l->feature));
	if (l->feature == NULL)
		return km_conf_no_memory(c);
	for (const struct km_tree *i = v->child; i != NULL; i = i->next) {
		l->feature[l->feature_count] = strdup(i->text);
		if (l->feature[l->feature_count] == NULL)
			return km_conf_no_memory(c);
		l->feature_count++;
	}
	return 0;
}

#define FIELD(member)                                                                              \
	.offset = offsetof(struct km_feature_list, member),                                        \
	.size = sizeof(((struct km_feature_list *)0)->member)

/* A row of `training`, which goes into the recipe. */
#define RECIPE(key_, type_, preset_, min_, max_, member)                                           \
	{                                                                                          \
		.key = "training." key_, .type = (type_), .preset = (preset_), .min = (min_),      \
		.max = (max_), .offset = offsetof(struct km_feature_list, recipe.member),          \
		.size = sizeof(((struct km_feature_list *)0)->recipe.member),                      \
	}
#define WHOLE(key_, preset_, min_, max_, member)                                                   \
	RECIPE(key_, KM_CONF_INTEGER, preset_, min_, max_, member)
#define NUMBER(key_, preset_, min_, max_, member)                                                  \
	RECIPE(key_, KM_CONF_NUMBER, preset_, min_, max_, member)

static const struct km_conf_option list_rows[] = {
	{ .key = "name", .type = KM_CONF_STRING, .required = true, FIELD(name) },
	{ .key = "task", .type = KM_CONF_STRING, .preset = "placement", FIELD(task) },
	{ .key = "window",
	  .type = KM_CONF_DURATION_S,
	  .preset = "60s",
	  .min = 1,
	  .max = 3600,
	  FIELD(window_s) },
	{ .key = "bin",
	  .type = KM_CONF_DURATION_S,
	  .preset = "5s",
	  .min = 0.1,
	  .max = 3600,
	  FIELD(bin_s) },
	WHOLE("rounds", "150", 1, 5000, rounds),
	WHOLE("maxDepth", "5", 1, 16, max_depth),
	WHOLE("maxBin", "64", 2, 1024, max_bin),
	WHOLE("parallelTrees", "1", 1, 1000, parallel_trees),
	WHOLE("seed", "1", 0, 2147483647, seed),
	NUMBER("eta", "0.06", 1e-4, 1, eta),
	NUMBER("subsample", "0.7", 0.01, 1, subsample),
	NUMBER("colsampleByTree", "1", 0.01, 1, colsample_bytree),
	NUMBER("colsampleByNode", "0.4", 0.01, 1, colsample_bynode),
	NUMBER("minChildWeight", "1", 0, 1e6, min_child_weight),
	NUMBER("lambda", "1", 0, 1e6, lambda),
	NUMBER("alpha", "0", 0, 1e6, alpha),
	NUMBER("gamma", "0", 0, 1e6, gamma),
	NUMBER("npShare", "0.5", 0, 1, np_share),
	RECIPE("exactSplits", KM_CONF_BOOL, "false", 0, 0, exact_splits),
	RECIPE("monotoneInflight", KM_CONF_BOOL, "true", 0, 0, monotone_inflight),
	NUMBER("zeroLabel", "1", 0, 1, zero_label),
	NUMBER("maskNow", "0.5", 0, 1, mask_now),
	NUMBER("weightRecorded", "1", 0, 100, weight_recorded),
	NUMBER("weightOneNode", "0.5", 0, 100, weight_one_node),
	NUMBER("weightAlone", "0.5", 0, 100, weight_alone),
	NUMBER("weightLighter", "1", 0, 100, weight_lighter),
	NUMBER("weightEmpty", "1", 0, 100, weight_empty),
	NUMBER("weightInflight", "1", 0, 100, weight_inflight),
	WHOLE("windows", "1", 0, 16, windows),
	{ .key = "features",
	  .type = KM_CONF_CUSTOM,
	  .custom = parse_features,
	  .required = true,
	  .want = "a list of feature names" },
};

static const struct km_conf_table list_table = { list_rows, KM_ARRAY_LEN(list_rows) };

int km_feature_list_load(const char *path, struct km_feature_list *out, struct km_err *err)
{
	struct km_conf_ctx c = { .file = path, .err = err };
	struct km_tree_doc *doc = NULL;
	struct km_buf text;
	int rc;

	memset(out, 0, sizeof(*out));
	km_buf_init(&text);
	rc = km_file_read(path, FEATURE_LIST_MAX_BYTES, &text, err);
	if (rc == 0)
		rc = km_tree_parse(path, text.data != NULL ? text.data : "", text.len, &doc, err);
	if (rc == 0)
		rc = km_conf_apply_all(&c, &list_table, km_tree_root(doc), out);
	if (rc == 0 && strcmp(out->task, "placement") != 0 && strcmp(out->task, "diagnosis") != 0)
		rc = km_conf_fail(&c, conf_line_of(km_tree_root(doc), "task"),
		                  "task: saw %.40s, want placement or diagnosis", out->task);
	if (rc == 0 && out->bin_s > out->window_s)
		rc = km_conf_fail(&c, conf_line_of(km_tree_root(doc), "bin"),
		                  "bin: saw %gs, want at most window (%gs)", out->bin_s,
		                  out->window_s);
	if (rc != 0)
		km_feature_list_fini(out);
	km_tree_free(doc);
	km_buf_fini(&text);
	return rc;
}

void km_feature_list_fini(struct km_feature_list *l)
{
	free(l->name);
	free(l->task);
	for (size_t i = 0; i < l->feature_count; i++)
		free(l->feature[i]);
	free(l->feature);
	memset(l, 0, sizeof(*l));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* features.yaml: what a model is trained from, as data. */
#ifndef KM_CONFIG_FEATURE_LIST_H
#define KM_CONFIG_FEATURE_LIST_H

#include <stddef.h>

#include "km/base/err.h"
#include "km/core/recipe.h"

/*
 * {name, task, window: 60s, bin: 5s, training: {...}, features: [names...]}. Every name is checked
 * later by km_schema_create. Owned; km_feature_list_fini frees.
 */
struct km_feature_list {
	char *name;
	char *task; /* "placement" or "diagnosis" */
	double window_s;
	double bin_s;
	struct km_recipe recipe; /* training: */
	char **feature;          /* [feature_count] */
	size_t feature_count;
};

int km_feature_list_load(const char *path, struct km_feature_list *out,
                         struct km_err *err) KM_MUST_CHECK;
void km_feature_list_fini(struct km_feature_list *l);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as features.yaml: its table, and the schema that its names make. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "km/config/feature_list.h"
#include "km/core/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is accepted is in the ranges that training relies on. */
static void check_recipe(const struct km_feature_list *l)
{
	const struct km_recipe *r = &l->recipe;

	if (l->name == NULL || l->feature_count == 0 || l->feature_count > KM_FEATURES_MAX ||
	    (strcmp(l->task, "placement") != 0 && strcmp(l->task, "diagnosis") != 0))
		abort();
	if (!(l->bin_s > 0 && l->bin_s <= l->window_s && l->window_s <= 3600))
		abort();
	if (r->rounds < 1 || r->max_depth < 1 || r->max_bin < 2 || r->parallel_trees < 1 ||
	    !(r->eta > 0 && r->eta <= 1) || !(r->subsample > 0 && r->subsample <= 1) ||
	    !(r->mask_now >= 0 && r->mask_now <= 1) || !(r->np_share >= 0 && r->np_share <= 1) ||
	    !isfinite(r->lambda) || !isfinite(r->weight_alone))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static char path[64];
	struct km_feature_list list;
	struct km_schema *schema = NULL;
	struct km_err err = { .code = 0 };

	if (fd < 0) {
		fd = memfd_create("features.yaml", MFD_CLOEXEC);
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	if (km_feature_list_load(path, &list, &err) != 0) {
		if (err.text[0] == '\0' || strchr(err.text, '\n') != NULL)
			abort(); /* one line that says why */
		return 0;
	}
	check_recipe(&list);
	if (km_schema_create((const char *const *)list.feature, list.feature_count, list.window_s,
	                     list.bin_s, &schema, &err) == 0)
		km_schema_unref(schema);
	else if (err.text[0] == '\0')
		abort();
	km_feature_list_fini(&list);
	return 0;
}

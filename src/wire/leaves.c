/* SPDX-License-Identifier: Apache-2.0 */
#include "km/wire/leaves.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>

struct walk {
	km_leaf_fn *leaf;
	void *ctx;
	char path[KM_LEAVES_PATH_MAX];
	char value[KM_LEAVES_VALUE_MAX];
};

static void make_printable(char *text)
{
	for (char *p = text; *p != '\0'; p++) {
		if (*p < ' ' || *p > '~')
			*p = '?';
	}
}

static void put_value(struct walk *w, const cJSON *item)
{
	if (cJSON_IsString(item))
		(void)snprintf(w->value, sizeof(w->value), "%s", item->valuestring);
	else if (cJSON_IsNumber(item) && isfinite(item->valuedouble))
		(void)snprintf(w->value, sizeof(w->value), "%.9g", item->valuedouble);
	else if (cJSON_IsBool(item))
		(void)snprintf(w->value, sizeof(w->value), "%s",
		               cJSON_IsTrue(item) ? "true" : "false");
	else
		(void)snprintf(w->value, sizeof(w->value), "null");
	make_printable(w->value);
	w->leaf(w->ctx, w->path, w->value);
}

/* path_len: of what w->path has of the way to `item`. returns 0 or -EBADMSG. */
static int walk(struct walk *w, const cJSON *item, size_t path_len, unsigned depth)
{
	const cJSON *child;
	size_t index = 0;
	int rc = 0;

	if (!cJSON_IsObject(item) && !cJSON_IsArray(item)) {
		put_value(w, item);
		return 0;
	}
	if (depth == KM_LEAVES_DEPTH)
		return -EBADMSG;
	cJSON_ArrayForEach(child, item)
	{
		char *at = w->path + path_len;
		size_t room = sizeof(w->path) - path_len;
		const char *dot = path_len > 0 ? "." : "";
		int len = child->string ? snprintf(at, room, "%s%s", dot, child->string)
		                        : snprintf(at, room, "%s%zu", dot, index++);

		make_printable(at);
		rc = walk(w, child,
		          (size_t)len < room ? path_len + (size_t)len : sizeof(w->path) - 1,
		          depth + 1);
		if (rc != 0)
			break;
	}
	return rc;
}

int km_json_leaves(const char *text, size_t len, km_leaf_fn *leaf, void *ctx, struct km_err *err)
{
	struct walk w = { .leaf = leaf, .ctx = ctx };
	cJSON *tree = cJSON_ParseWithLength(text, len);
	int rc = tree ? walk(&w, tree, 0, 0) : -EBADMSG;

	cJSON_Delete(tree);
	if (rc != 0)
		return km_err_set(err, EBADMSG, "no JSON, or deeper than %d", KM_LEAVES_DEPTH);
	return 0;
}

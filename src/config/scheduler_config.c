/* SPDX-License-Identifier: Apache-2.0 */
/* Votes out of a KubeSchedulerConfiguration. */
#include "km/config/scheduler_config.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "km/base/buf.h"
#include "km/base/file.h"
#include "km/base/num.h"
#include "km/config/tree.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)
#define PLUGINS_MAX    64
#define WEIGHT_MAX     1000000 /* far beyond what any weight is; the sum stays exact */

struct plugin {
	const char *name;
	double weight;
};

/* Those that score by default: pkg/scheduler/apis/config/v1/default_plugins.go. */
static const struct plugin defaults[] = {
	{ "TaintToleration", 3 },   { "NodeAffinity", 2 },
	{ "PodTopologySpread", 2 }, { "InterPodAffinity", 2 },
	{ "NodeResourcesFit", 1 },  { "NodeResourcesBalancedAllocation", 1 },
	{ "ImageLocality", 1 },
};

struct reading {
	const char *file;
	struct km_err *err;
	struct plugin plugin[PLUGINS_MAX];
	size_t count;
};

static const char *text_of(const struct km_tree *map, const char *key)
{
	const struct km_tree *v = km_tree_get(map, key);

	return v != NULL && v->kind == KM_TREE_SCALAR ? v->text : "";
}

static int bad(const struct reading *r, const struct km_tree *at, const char *key, const char *want)
{
	return km_err_set(r->err, EINVAL, "%.64s:%u: %s: saw %.40s, want %s", r->file,
	                  at != NULL ? at->line : 1, key,
	                  at == NULL                   ? "none"
	                  : at->kind == KM_TREE_SCALAR ? at->text
	                  : at->kind == KM_TREE_LIST   ? "a list"
	                                               : "a map",
	                  want);
}

/* A weight, or `preset` when there is none. 0 is as none: that is what Go reads. */
static int read_weight(const struct reading *r, const struct km_tree *map, const char *where,
                       double preset, double *out)
{
	const struct km_tree *v = km_tree_get(map, "weight");
	int64_t value = 0;

	*out = preset;
	if (v == NULL)
		return 0;
	if (v->kind != KM_TREE_SCALAR || km_num_int(v->text, strlen(v->text), &value) != 0 ||
	    value < 0 || value > WEIGHT_MAX)
		return bad(r, v, where, "a whole number from 0 to 1000000");
	if (value > 0)
		*out = (double)value;
	return 0;
}

static struct plugin *find(struct reading *r, const char *name)
{
	for (size_t i = 0; i < r->count; i++) {
		if (strcmp(r->plugin[i].name, name) == 0)
			return &r->plugin[i];
	}
	return NULL;
}

static void disable(struct reading *r, const struct km_tree *list)
{
	for (const struct km_tree *i = list != NULL ? list->child : NULL; i != NULL; i = i->next) {
		const char *name = text_of(i, "name");
		struct plugin *p = find(r, name);

		if (strcmp(name, "*") == 0)
			r->count = 0;
		else if (p != NULL)
			*p = r->plugin[--r->count];
	}
}

/* certain: what is enabled here scores; else a plugin we do not know does if it has a weight. */
static int enable(struct reading *r, const struct km_tree *list, bool certain)
{
	for (const struct km_tree *i = list != NULL ? list->child : NULL; i != NULL; i = i->next) {
		const char *name = text_of(i, "name");
		struct plugin *p = find(r, name);
		double preset = certain ? 1 : 0;
		double weight;
		int rc;

		for (size_t k = 0; k < KM_ARRAY_LEN(defaults); k++) {
			if (strcmp(defaults[k].name, name) == 0)
				preset = defaults[k].weight;
		}
		if (name[0] == '\0')
			return bad(r, km_tree_get(i, "name"), "plugins: name", "a plugin's name");
		rc = read_weight(r, i, "plugins: weight", preset, &weight);
		if (rc != 0)
			return rc;
		if (p == NULL && r->count == PLUGINS_MAX)
			return bad(r, i, "plugins", "at most 64 plugins");
		if (p == NULL)
			p = &r->plugin[r->count++];
		*p = (struct plugin){ name, weight };
	}
	return 0;
}

static const struct km_tree *our_profile(const struct km_tree *root)
{
	const struct km_tree *list = km_tree_get(root, "profiles");
	const struct km_tree *first = list != NULL ? list->child : NULL;

	for (const struct km_tree *i = first; i != NULL; i = i->next) {
		if (strcmp(text_of(i, "schedulerName"), "kubemarla") == 0)
			return i;
	}
	return first;
}

static int read_plugins(struct reading *r, const struct km_tree *root, double *sum)
{
	static const char *const points[] = { "multiPoint", "score" };
	const struct km_tree *plugins = km_tree_get(our_profile(root), "plugins");

	memcpy(r->plugin, defaults, sizeof(defaults));
	r->count = KM_ARRAY_LEN(defaults);
	for (size_t i = 0; i < KM_ARRAY_LEN(points); i++) {
		const struct km_tree *at = km_tree_get(plugins, points[i]);
		int rc;

		disable(r, km_tree_get(at, "disabled"));
		rc = enable(r, km_tree_get(at, "enabled"), i == 1);
		if (rc != 0)
			return rc;
	}
	*sum = 0;
	for (size_t i = 0; i < r->count; i++)
		*sum += r->plugin[i].weight;
	return 0;
}

static bool is_server(const char *prefix, const char *server)
{
	size_t a = strlen(prefix);
	size_t b = server != NULL ? strlen(server) : 0;

	while (a > 0 && prefix[a - 1] == '/')
		a--;
	while (b > 0 && server[b - 1] == '/')
		b--;
	return a == b && a > 0 && memcmp(prefix, server, a) == 0;
}

static int read_extender(struct reading *r, const struct km_tree *root, const char *server,
                         double *weight)
{
	const struct km_tree *list = km_tree_get(root, "extenders");
	const struct km_tree *only = NULL;
	const struct km_tree *ours = NULL;
	unsigned count = 0;

	for (const struct km_tree *i = list != NULL ? list->child : NULL; i != NULL; i = i->next) {
		if (text_of(i, "prioritizeVerb")[0] == '\0')
			continue;
		count++;
		only = i;
		if (ours == NULL && is_server(text_of(i, "urlPrefix"), server))
			ours = i;
	}
	if (ours == NULL && count > 1)
		return bad(r, list, "extenders", "one that scores, or one at the server asked");
	if (ours == NULL)
		ours = only;
	if (ours == NULL)
		return bad(r, list, "extenders", "one with a prioritizeVerb");
	if (km_tree_get(ours, "weight") == NULL)
		return bad(r, NULL, "extenders: weight", "a whole number over 0");
	return read_weight(r, ours, "extenders: weight", 0, weight);
}

int km_scheduler_votes_parse(const char *name, const char *text, size_t len, const char *server,
                             struct km_scheduler_votes *out, struct km_err *err)
{
	struct reading r = { .file = name, .err = err };
	struct km_tree_doc *doc = NULL;
	const struct km_tree *root;
	int rc = km_tree_parse(name, text, len, &doc, err);

	if (rc != 0)
		return rc;
	root = km_tree_root(doc);
	if (strcmp(text_of(root, "kind"), "KubeSchedulerConfiguration") != 0)
		rc = bad(&r, km_tree_get(root, "kind"), "kind", "KubeSchedulerConfiguration");
	if (rc == 0)
		rc = read_extender(&r, root, server, &out->weight);
	if (rc == 0)
		rc = read_plugins(&r, root, &out->in_tree_weight);
	km_tree_free(doc);
	return rc;
}

int km_scheduler_votes_load(const char *path, const char *server, struct km_scheduler_votes *out,
                            struct km_err *err)
{
	struct km_buf text;
	int rc;

	km_buf_init(&text);
	rc = km_file_read(path, FILE_MAX_BYTES, &text, err);
	if (rc == 0)
		rc = km_scheduler_votes_parse(path, text.data != NULL ? text.data : "", text.len,
		                              server, out, err);
	km_buf_fini(&text);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tool's side of the wire. Not hot, so answers are read through cJSON trees; the daemon is
 * trusted no more than anybody: unexpected types are taken as absent.
 */
#include "km/wire/client_answers.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client_internal.h"

void km_client_table_init(struct km_client_table *t)
{
	*t = (struct km_client_table){ .rps = NAN, .max_slowdown = NAN, .score_scale = NAN };
	km_arena_init(&t->arena, 0);
	km_map_init(&t->index, 0);
}

void km_client_table_fini(struct km_client_table *t)
{
	km_map_fini(&t->index);
	km_arena_fini(&t->arena);
	free(t->node);
	t->node = NULL;
	t->count = 0;
}

const char *km_client_keep(struct km_client_table *t, const char *text)
{
	return text ? km_arena_strndup(&t->arena, text, strlen(text)) : NULL;
}

const char *km_client_text(const cJSON *object, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

double km_client_number(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

struct km_client_node *km_client_row(struct km_client_table *t, const char *name)
{
	struct km_client_node *row;
	uint32_t at;

	if (km_map_get(&t->index, name, strlen(name), &at))
		return &t->node[at];
	if (t->count == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		struct km_client_node *grown = reallocarray(t->node, cap, sizeof(*grown));

		if (!grown)
			return NULL;
		t->node = grown;
		t->cap = cap;
	}
	row = &t->node[t->count];
	*row = (struct km_client_node){
		.name = km_client_keep(t, name),
		.age_s = NAN,
		.slowdown = NAN,
		.low = NAN,
		.high = NAN,
		.score = NAN,
		.scored = NAN,
		.in_flight = NAN,
		.harm_worst = NAN,
		.harm_limit = NAN,
	};
	for (size_t i = 0; i < KM_CLIENT_FEATURES_MAX; i++)
		row->feature[i] = NAN;
	if (!row->name ||
	    km_map_add(&t->index, row->name, strlen(name), (uint32_t)t->count, NULL) != 0)
		return NULL;
	t->count++;
	return row;
}

static int no_answer(struct km_err *err, const char *what)
{
	return km_err_set(err, EBADMSG, "the answer is no %s of a kubemarlad", what);
}

static int no_memory(struct km_err *err)
{
	return km_err_set(err, ENOMEM, "out of memory reading the answer");
}

/* returns 0 or -ENOMEM. */
static int note_filter(struct km_client_table *t, const char *name, const char *verdict)
{
	struct km_client_node *row = km_client_row(t, name);

	if (!row)
		return -ENOMEM;
	row->filter = verdict;
	return verdict ? 0 : -ENOMEM;
}

/* The nodes that pass: names, or whole Node objects where the request had them. */
static int read_passing(struct km_client_table *t, const cJSON *list, bool objects)
{
	const cJSON *entry;
	int rc = 0;

	cJSON_ArrayForEach(entry, list)
	{
		const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(entry, "metadata");
		const char *name = cJSON_GetStringValue(entry);

		if (objects)
			name = km_client_text(metadata, "name");
		if (name && rc == 0)
			rc = note_filter(t, name, KM_CLIENT_PASS);
	}
	return rc;
}

static int read_failed(struct km_client_table *t, const cJSON *map)
{
	const cJSON *entry;
	int rc = 0;

	cJSON_ArrayForEach(entry, map)
	{
		const char *why = cJSON_GetStringValue(entry);

		/* An array has no names where a map does. */
		if (entry->string && rc == 0)
			rc = note_filter(t, entry->string, km_client_keep(t, why ? why : ""));
	}
	return rc;
}

int km_client_read_filter(struct km_client_table *t, const char *body, size_t len,
                          struct km_err *err)
{
	static const char *const failed_maps[] = { "FailedNodes", "FailedAndUnresolvableNodes" };
	cJSON *tree = cJSON_ParseWithLength(body, len);
	const cJSON *names = cJSON_GetObjectItemCaseSensitive(tree, "NodeNames");
	const cJSON *nodes = cJSON_GetObjectItemCaseSensitive(tree, "Nodes");
	const cJSON *items = cJSON_GetObjectItemCaseSensitive(nodes, "items");
	const char *error = km_client_text(tree, "Error");
	bool objects = !cJSON_IsArray(names) && cJSON_IsArray(items);
	int rc = 0;

	if (error && error[0] != '\0')
		rc = km_err_set(err, EBADMSG, "the filter's answer is an error: %.120s", error);
	else if (!objects && !cJSON_IsArray(names))
		rc = no_answer(err, "filter result");
	if (rc != 0)
		goto out;
	rc = read_passing(t, objects ? items : names, objects);
	for (size_t i = 0; i < KM_ARRAY_LEN(failed_maps) && rc == 0; i++)
		rc = read_failed(t, cJSON_GetObjectItemCaseSensitive(tree, failed_maps[i]));
	if (rc != 0)
		rc = no_memory(err);
out:
	cJSON_Delete(tree);
	return rc;
}

int km_client_read_priorities(struct km_client_table *t, const char *body, size_t len,
                              struct km_err *err)
{
	cJSON *tree = cJSON_ParseWithLength(body, len);
	const cJSON *entry;
	int rc = 0;

	if (!cJSON_IsArray(tree))
		rc = no_answer(err, "priority list");
	cJSON_ArrayForEach(entry, tree)
	{
		const char *host = km_client_text(entry, "Host");
		struct km_client_node *row = host ? km_client_row(t, host) : NULL;

		if (rc != 0 || !host)
			continue;
		if (!row)
			rc = no_memory(err);
		else
			row->score = km_client_number(entry, "Score");
	}
	cJSON_Delete(tree);
	return rc;
}

static void read_header(struct km_client_table *t, const cJSON *tree)
{
	const cJSON *workload = cJSON_GetObjectItemCaseSensitive(tree, "workload");

	t->model = km_client_keep(
		t, km_client_text(cJSON_GetObjectItemCaseSensitive(tree, "model"), "name"));
	t->rps = km_client_number(workload, "rps");
	t->max_slowdown = km_client_number(workload, "maxSlowdown");
	t->score_scale = km_client_number(tree, "scoreScale");
	t->cut = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(tree, "cut"));
}

/*
 * The largest contribution; they come largest first. What the pod brings along is the same for
 * every node, so it is no reason for one: it goes last.
 */
static const char *main_of(const cJSON *contributions)
{
	const cJSON *first = contributions ? contributions->child : NULL;
	const cJSON *entry;

	cJSON_ArrayForEach(entry, contributions)
	{
		const char *feature = km_client_text(entry, "feature");

		if (feature && strncmp(feature, "pod.", 4) != 0)
			return km_client_text(entry, "text");
	}
	return km_client_text(first, "text");
}

static void read_shares(struct km_client_table *t, const cJSON *contributions,
                        struct km_client_node *row)
{
	const cJSON *entry;
	size_t count = 0;

	cJSON_ArrayForEach(entry, contributions)
	{
		if (count < KM_CLIENT_SHARES_MAX)
			row->share[count++] = km_client_keep(t, km_client_text(entry, "text"));
	}
}

static void read_node(struct km_client_table *t, const cJSON *entry, struct km_client_node *row)
{
	const cJSON *features = cJSON_GetObjectItemCaseSensitive(entry, "features");
	double score = km_client_number(entry, "score");

	row->tier = km_client_keep(t, km_client_text(entry, "tier"));
	row->age_s = km_client_number(entry, "ageSeconds");
	row->slowdown = km_client_number(entry, "slowdown");
	if (isnan(row->slowdown))
		row->slowdown =
			km_client_number(entry, "predictedSlowdown"); /* as /v1/nodes calls it */
	row->low = km_client_number(entry, "low");
	row->high = km_client_number(entry, "high");
	row->reason = km_client_keep(t, km_client_text(entry, "message"));
	if (isnan(row->score))
		row->score = score; /* /prioritize is what the scheduler would see: it goes first */
	row->main = km_client_keep(
		t, main_of(cJSON_GetObjectItemCaseSensitive(entry, "contributions")));
	read_shares(t, cJSON_GetObjectItemCaseSensitive(entry, "contributions"), row);
	for (size_t i = 0; i < t->feature_count && i < KM_CLIENT_FEATURES_MAX; i++)
		row->feature[i] = km_client_number(features, t->feature_name[i]);
}

int km_client_read_nodes(struct km_client_table *t, const char *body, size_t len,
                         struct km_err *err)
{
	cJSON *tree = cJSON_ParseWithLength(body, len);
	const cJSON *nodes = cJSON_GetObjectItemCaseSensitive(tree, "nodes");
	const cJSON *entry;
	int rc = 0;

	if (!nodes)
		nodes = cJSON_GetObjectItemCaseSensitive(tree, "predictions");
	if (!cJSON_IsArray(nodes))
		rc = no_answer(err, "list of nodes");
	else
		read_header(t, tree);
	cJSON_ArrayForEach(entry, nodes)
	{
		const char *name = km_client_text(entry, "node");
		struct km_client_node *row;

		if (!name)
			name = km_client_text(entry, "name");
		if (!name || rc != 0)
			continue;
		row = km_client_row(t, name);
		if (row)
			read_node(t, entry, row);
		else
			rc = no_memory(err);
	}
	cJSON_Delete(tree);
	return rc;
}

void km_client_read_error(const char *body, size_t len, struct km_buf *out)
{
	cJSON *tree = cJSON_ParseWithLength(body, len);
	const char *message =
		km_client_text(cJSON_GetObjectItemCaseSensitive(tree, "error"), "message");

	if (message)
		km_buf_str(out, message);
	cJSON_Delete(tree);
}

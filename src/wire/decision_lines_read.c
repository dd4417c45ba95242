/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the decision log's lines. Not hot, so through cJSON trees; a line may be from anybody, so
 * every member has a type and a range.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "km/base/clock.h"
#include "km/wire/decision_lines.h"

#include "wire_internal.h"

#define NODES_MAX   262144.0
#define EXACT_MAX   9007199254740992.0 /* 2^53: beyond it JSON numbers skip integers */
#define AGE_US_MAX  1e15
#define NS_MAX      4e18 /* a century; times can be subtracted from one another */
#define SCORE_MAX   1000.0
#define SCORE_SCALE 100.0

struct reading {
	struct km_arena *arena;
	struct km_err *err;
};

static int bad(const struct reading *r, const char *key, const char *want)
{
	return km_err_set(r->err, EINVAL, "%s: want %s", key, want);
}

static int no_memory(const struct reading *r)
{
	return km_err_set(r->err, ENOMEM, "out of memory reading a line");
}

static int read_number(const struct reading *r, const cJSON *object, const char *key, double least,
                       double most, double *out)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	if (!cJSON_IsNumber(item) || !(item->valuedouble >= least && item->valuedouble <= most))
		return km_err_set(r->err, EINVAL, "%s: want a number, %g to %g", key, least, most);
	*out = item->valuedouble;
	return 0;
}

static int read_bool(const struct reading *r, const cJSON *object, const char *key, bool *out)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	*out = cJSON_IsTrue(item);
	return cJSON_IsBool(item) ? 0 : bad(r, key, "true or false");
}

/* null is NaN. */
static int read_number_or_null(const struct reading *r, const cJSON *object, const char *key,
                               double least, double most, double *out)
{
	*out = NAN;
	return cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(object, key))
	               ? 0
	               : read_number(r, object, key, least, most, out);
}

/* Copies a string's value; `want` is what to say when it is none, or not UTF-8 as all we write. */
static int keep(const struct reading *r, const cJSON *item, const char *key, const char *want,
                struct km_name *out)
{
	const char *text = cJSON_GetStringValue(item);

	if (!text || !km_wire_utf8_valid(text, text + strlen(text)))
		return bad(r, key, want);
	out->text = km_arena_strndup(r->arena, text, strlen(text));
	out->len = (uint32_t)strlen(text);
	return out->text ? 0 : no_memory(r);
}

static int read_text(const struct reading *r, const cJSON *object, const char *key,
                     struct km_name *out)
{
	return keep(r, cJSON_GetObjectItemCaseSensitive(object, key), key, "a UTF-8 string", out);
}

/* A word of a choice. */
static int read_choice(const struct reading *r, const cJSON *object, const char *key,
                       int (*parse)(const char *), int *out)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

	*out = text ? parse(text) : -1;
	return *out >= 0 ? 0 : bad(r, key, "one of its words");
}

static int parse_call(const char *text)
{
	return strcmp(text, "filter") == 0       ? KM_DECISION_FILTER
	       : strcmp(text, "prioritize") == 0 ? KM_DECISION_PRIORITIZE
	                                         : -1;
}

/* The array of a key, of at most NODES_MAX entries; NULL with the error told. */
static const cJSON *read_array(const struct reading *r, const cJSON *object, const char *key,
                               size_t *count)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key);
	const cJSON *entry;

	*count = 0;
	if (!cJSON_IsArray(list)) {
		(void)bad(r, key, "a list");
		return NULL;
	}
	cJSON_ArrayForEach(entry, list)(*count)++;
	if ((double)*count > NODES_MAX) {
		(void)bad(r, key, "at most 262144 entries");
		return NULL;
	}
	return list;
}

static int read_settings(const struct reading *r, const cJSON *line, struct km_decision_line *out)
{
	struct km_decide_settings *s = &out->settings;
	double age_s = 0;
	double ttl_s = 0;
	double scale = 0;
	int on_stale = 0;
	int rc;

	if ((rc = read_number(r, line, "maxAgeSeconds", 0, 1e6, &age_s)) != 0 ||
	    (rc = read_choice(r, line, "onStale", km_on_stale_parse, &on_stale)) != 0 ||
	    (rc = read_number(r, line, "scoreScale", 1, SCORE_SCALE, &scale)) != 0 ||
	    (rc = read_number(r, line, "minMaxSlowdown", 1, 1e6, &s->min_max_slowdown)) != 0 ||
	    (rc = read_number(r, line, "risk", 0, 1, &s->risk)) != 0 ||
	    (rc = read_bool(r, line, "harmFilter", &s->harm_filter)) != 0 ||
	    (rc = read_bool(r, line, "harmScore", &s->harm_score)) != 0 ||
	    (rc = read_bool(r, line, "ledgerOff", &s->ledger_off)) != 0 ||
	    (rc = read_number(r, line, "reservationTTLSeconds", 0, 1e6, &ttl_s)) != 0 ||
	    (rc = read_number(r, line, "unknownSlowdown", 0, 1e6, &s->unknown_slowdown)) != 0)
		return rc;
	s->reservation_ttl_ns = (int64_t)(ttl_s * (double)KM_NS_PER_S);
	s->max_age_ns = (int64_t)(age_s * (double)KM_NS_PER_S);
	s->on_stale = (enum km_on_stale)on_stale;
	s->score_scale = (uint32_t)scale;
	return 0;
}

static int read_schema(const struct reading *r, const cJSON *line, struct km_decision_line *out)
{
	const cJSON *list = read_array(r, line, "features", &out->count);
	const char **feature;
	const cJSON *entry;
	size_t i = 0;
	int rc;

	if (!list)
		return -EINVAL;
	if (out->count > KM_FEATURES_MAX)
		return bad(r, "features", "at most 1024");
	feature = km_arena_calloc(r->arena, out->count + 1, sizeof(*feature));
	if (!feature)
		return no_memory(r);
	cJSON_ArrayForEach(entry, list)
	{
		const char *text = cJSON_GetStringValue(entry);

		if (!text)
			return bad(r, "features", "names");
		feature[i] = km_arena_strndup(r->arena, text, strlen(text));
		if (!feature[i++])
			return no_memory(r);
	}
	out->feature = feature;
	rc = read_number(r, line, "windowSeconds", 1, 3600, &out->window_s);
	return rc != 0 ? rc : read_number(r, line, "binSeconds", 0.1, 3600, &out->bin_s);
}

static int read_nodes(const struct reading *r, const cJSON *line, struct km_decision_line *out)
{
	const cJSON *list = read_array(r, line, "names", &out->count);
	struct km_name *name;
	const cJSON *entry;
	size_t i = 0;
	int rc;

	if (!list)
		return -EINVAL;
	name = km_arena_calloc(r->arena, out->count + 1, sizeof(*name));
	if (!name)
		return no_memory(r);
	cJSON_ArrayForEach(entry, list)
	{
		rc = keep(r, entry, "names", "names", &name[i++]);
		if (rc != 0)
			return rc;
	}
	out->name = name;
	return 0;
}

static int read_row(const struct reading *r, const cJSON *line, struct km_decision_line *out)
{
	const cJSON *list = read_array(r, line, "values", &out->row.count);
	double node = 0;
	double version = 0;
	double end_ns = 0;
	const cJSON *entry;
	double *value;
	size_t i = 0;
	int tier = 0;
	int rc;

	if (!list)
		return -EINVAL;
	if (out->row.count > KM_FEATURES_MAX)
		return bad(r, "values", "at most 1024");
	value = km_arena_calloc(r->arena, out->row.count + 1, sizeof(*value));
	if (!value)
		return no_memory(r);
	cJSON_ArrayForEach(entry, list)
	{
		if (!cJSON_IsNumber(entry) && !cJSON_IsNull(entry))
			return bad(r, "values", "numbers or null");
		value[i++] = cJSON_IsNumber(entry) ? entry->valuedouble : NAN;
	}
	out->row.value = value;
	if ((rc = read_number(r, line, "node", 0, NODES_MAX - 1, &node)) != 0 ||
	    (rc = read_number(r, line, "version", 1, EXACT_MAX, &version)) != 0 ||
	    (rc = read_number(r, line, "windowEndNs", 0, NS_MAX, &end_ns)) != 0 ||
	    (rc = read_choice(r, line, "tier", km_tier_parse, &tier)) != 0)
		return rc;
	if (node != floor(node) || version != floor(version))
		return bad(r, "node, version", "whole numbers");
	out->row.node = (uint32_t)node;
	out->row.version = (uint64_t)version;
	out->row.window_end_ns = (int64_t)end_ns;
	out->row.tier = (enum km_tier)tier;
	return 0;
}

static int read_workload(const struct reading *r, const cJSON *line, struct km_workload *w)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(line, "workload");
	struct km_name class_name = { "", 0 };
	int mode = 0;
	int on_stale = 0;
	int rc;

	if ((rc = read_number_or_null(r, item, "rps", 0, 1e12, &w->rps)) != 0 ||
	    (rc = read_number_or_null(r, item, "replicas", 0, 1e9, &w->replicas)) != 0 ||
	    (rc = read_number_or_null(r, item, "maxSlowdown", 0, 1e9, &w->max_slowdown)) != 0 ||
	    (rc = read_choice(r, item, "mode", km_mode_parse, &mode)) != 0 ||
	    (rc = read_choice(r, item, "onStale", km_on_stale_parse, &on_stale)) != 0 ||
	    (rc = read_text(r, item, "class", &class_name)) != 0)
		return rc;
	if (class_name.len >= sizeof(w->class_name))
		return bad(r, "class", "less than 32 bytes");
	memcpy(w->class_name, class_name.text, class_name.len + 1);
	w->mode = (enum km_mode)mode;
	w->on_stale = (enum km_on_stale)on_stale;
	return 0;
}

/* "nodes": positions in the list of nodes, or names of those that are not in it. */
static int read_candidates(const struct reading *r, const cJSON *line, struct km_logged_decision *d)
{
	const cJSON *list = read_array(r, line, "nodes", &d->count);
	struct km_name *name;
	const cJSON *entry;
	int64_t *node;
	size_t i = 0;
	int rc;

	if (!list)
		return -EINVAL;
	node = km_arena_calloc(r->arena, d->count + 1, sizeof(*node));
	name = km_arena_calloc(r->arena, d->count + 1, sizeof(*name));
	if (!node || !name)
		return no_memory(r);
	cJSON_ArrayForEach(entry, list)
	{
		double at = cJSON_IsNumber(entry) ? entry->valuedouble : -1;

		if (at >= 0 && at < NODES_MAX && at == floor(at)) {
			node[i++] = (int64_t)at;
			continue;
		}
		node[i] = -1;
		rc = keep(r, entry, "nodes", "positions or names", &name[i++]);
		if (rc != 0)
			return rc;
	}
	d->node = node;
	d->name = name;
	return 0;
}

/* An array of whole numbers from 0 to `most`, as long as the nodes; null is -1 where allowed. */
static int read_whole(const struct reading *r, const cJSON *line, const char *key, size_t count,
                      double most, bool null_too, int64_t *out)
{
	size_t got;
	const cJSON *list = read_array(r, line, key, &got);
	const cJSON *entry;
	size_t i = 0;

	if (!list || got != count)
		return bad(r, key, "as many as nodes");
	cJSON_ArrayForEach(entry, list)
	{
		double v = cJSON_IsNumber(entry) ? entry->valuedouble : NAN;

		if (null_too && cJSON_IsNull(entry))
			v = -1;
		else if (!(v >= 0 && v <= most && v == floor(v)))
			return bad(r, key, "whole numbers in range");
		out[i++] = (int64_t)v;
	}
	return 0;
}

static int read_rejected(const struct reading *r, const cJSON *line, size_t count, bool *out)
{
	size_t got;
	const cJSON *list = read_array(r, line, "rejected", &got);
	const cJSON *entry;

	if (!list)
		return -EINVAL;
	cJSON_ArrayForEach(entry, list)
	{
		if (!cJSON_IsNumber(entry) || !(entry->valuedouble >= 0) ||
		    entry->valuedouble >= (double)count)
			return bad(r, "rejected", "positions in nodes");
		out[(size_t)entry->valuedouble] = true;
	}
	return 0;
}

static int read_results(const struct reading *r, const cJSON *line, struct km_logged_decision *d)
{
	int64_t *age_us = km_arena_calloc(r->arena, d->count + 1, sizeof(*age_us));
	int64_t *wide = km_arena_calloc(r->arena, d->count + 1, sizeof(*wide));
	int32_t *score = km_arena_calloc(r->arena, d->count + 1, sizeof(*score));
	bool *rejected = km_arena_calloc(r->arena, d->count + 1, sizeof(*rejected));
	int rc;

	if (!age_us || !wide || !score || !rejected)
		return no_memory(r);
	if ((rc = read_whole(r, line, "agesUs", d->count, AGE_US_MAX, true, age_us)) != 0 ||
	    (rc = read_whole(r, line, "scores", d->count, SCORE_MAX, false, wide)) != 0 ||
	    (rc = read_rejected(r, line, d->count, rejected)) != 0)
		return rc;
	for (size_t i = 0; i < d->count; i++)
		score[i] = (int32_t)wide[i];
	d->age_us = age_us;
	d->score = score;
	d->rejected = rejected;
	return 0;
}

/* 16 hexadecimal digits, or null. */
static int read_hash(const struct reading *r, const cJSON *line, const char *key, uint64_t *out)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(line, key);
	const char *text = cJSON_GetStringValue(item);
	uint64_t hash = 0;

	*out = 0;
	if (cJSON_IsNull(item))
		return 0;
	if (!text || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
		return bad(r, key, "16 hexadecimal digits or null");
	for (; *text != '\0'; text++)
		hash = hash << 4 | (uint64_t)(*text <= '9' ? *text - '0' : *text - 'a' + 10);
	*out = hash;
	return 0;
}

static int read_policy(const struct reading *r, const cJSON *line, struct km_name *out)
{
	*out = (struct km_name){ "", 0 };
	return cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(line, "policy"))
	               ? 0
	               : read_text(r, line, "policy", out);
}

/* Pairs of key and value. */
static int read_labels(const struct reading *r, const cJSON *says, struct km_pod *pod)
{
	const cJSON *list = read_array(r, says, "labels", &pod->label_count);
	static const char pairs[] = "pairs of strings";
	struct km_label *label;
	const cJSON *entry;
	size_t i = 0;
	int rc;

	if (!list)
		return -EINVAL;
	label = km_arena_calloc(r->arena, pod->label_count + 1, sizeof(*label));
	if (!label)
		return no_memory(r);
	cJSON_ArrayForEach(entry, list)
	{
		struct km_label *one = &label[i++];

		if ((rc = keep(r, cJSON_GetArrayItem(entry, 0), "labels", pairs, &one->key)) != 0 ||
		    (rc = keep(r, cJSON_GetArrayItem(entry, 1), "labels", pairs, &one->value)) != 0)
			return rc;
	}
	pod->label = label;
	return 0;
}

static int read_pod(const struct reading *r, const cJSON *line, struct km_pod *out)
{
	const cJSON *pod = cJSON_GetObjectItemCaseSensitive(line, "pod");
	const cJSON *says = cJSON_GetObjectItemCaseSensitive(line, "says");
	int rc;

	if ((rc = read_text(r, pod, "namespace", &out->namespace)) != 0 ||
	    (rc = read_text(r, pod, "name", &out->name)) != 0 ||
	    (rc = read_text(r, pod, "uid", &out->uid)) != 0 ||
	    (rc = read_labels(r, says, out)) != 0 ||
	    (rc = read_text(r, says, "ownerKind", &out->owner_kind)) != 0 ||
	    (rc = read_text(r, says, "ownerName", &out->owner_name)) != 0 ||
	    (rc = read_number_or_null(r, says, "rps", 0, 1e12, &out->rps)) != 0 ||
	    (rc = read_number_or_null(r, says, "maxSlowdown", 0, 1e9, &out->max_slowdown)) != 0)
		return rc;
	return read_text(r, says, "class", &out->class_name);
}

static int read_decision(const struct reading *r, const cJSON *line, struct km_decision_line *out)
{
	struct km_logged_decision *d = &out->decision;
	struct km_name from = { "", 0 };
	double id = 0;
	double at_ns = 0;
	int call = 0;
	int rc;

	if ((rc = read_number(r, line, "id", 0, EXACT_MAX, &id)) != 0 ||
	    (rc = read_choice(r, line, "call", parse_call, &call)) != 0 ||
	    (rc = read_number(r, line, "atNs", 0, NS_MAX, &at_ns)) != 0 ||
	    (rc = read_pod(r, line, &d->pod)) != 0 ||
	    (rc = read_workload(r, line, &d->workload)) != 0 ||
	    (rc = read_text(r, line, "workloadFrom", &from)) != 0 ||
	    (rc = read_policy(r, line, &d->policy)) != 0 ||
	    (rc = read_hash(r, line, "service", &d->service)) != 0 ||
	    (rc = read_number_or_null(r, line, "podRps", 0, 1e12, &d->pod_rps)) != 0 ||
	    (rc = read_hash(r, line, "modelHash", &d->model_hash)) != 0 ||
	    (rc = read_candidates(r, line, d)) != 0)
		return rc;
	d->id = (uint64_t)id;
	d->call = (enum km_decision_call)call;
	d->at_ns = (int64_t)at_ns;
	d->workload_from = from.text;
	return read_results(r, line, d);
}

int km_decision_line_read(const char *text, size_t len, struct km_arena *arena,
                          struct km_decision_line *out, struct km_err *err)
{
	static const struct {
		const char *kind;
		int (*read)(const struct reading *, const cJSON *, struct km_decision_line *);
	} kinds[KM_LINE_KIND_N] = {
		[KM_LINE_SETTINGS] = { "settings", read_settings },
		[KM_LINE_SCHEMA] = { "schema", read_schema },
		[KM_LINE_NODES] = { "nodes", read_nodes },
		[KM_LINE_ROW] = { "row", read_row },
		[KM_LINE_DECISION] = { "decision", read_decision },
	};
	const struct reading r = { arena, err };
	cJSON *line = cJSON_ParseWithLength(text, len);
	const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "kind"));
	int rc = -EINVAL;

	memset(out, 0, sizeof(*out));
	if (!line)
		(void)km_err_set(err, EINVAL, "want a JSON object");
	else if (!kind)
		(void)bad(&r, "kind", "a string");
	for (int k = 0; kind && k < KM_LINE_KIND_N; k++) {
		if (strcmp(kinds[k].kind, kind) != 0)
			continue;
		out->kind = (enum km_decision_line_kind)k;
		rc = kinds[k].read(&r, line, out);
		goto out;
	}
	if (kind)
		(void)km_err_set(err, EINVAL,
		                 "kind: saw %.40s, want settings, schema, nodes, row or decision",
		                 kind);
out:
	cJSON_Delete(line);
	return rc;
}

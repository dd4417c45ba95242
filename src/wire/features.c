/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Some thousand of these a second are read in a large cluster: one walk over the text, no tree.
 * Agents of one release list features in the order of their schema, which mostly is ours: each name
 * is first looked for where the last one would be followed.
 */
#include "km/wire/features.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/map.h"
#include "km/base/num.h"
#include "km/wire/scan.h"

#define DEPTH 16 /* ours has 6 */

/* Beyond every metric's bounds, and still a float: what is larger was not measured. */
#define VALUE_MAX 1e30

struct km_features_reader {
	struct km_schema *schema;
	struct km_map index; /* name -> position */
};

int km_features_reader_create(const struct km_schema *schema, struct km_features_reader **out)
{
	struct km_features_reader *r = calloc(1, sizeof(*r));

	*out = NULL;
	if (r == NULL)
		return -ENOMEM;
	/* Names of our own schema: nobody outside chooses them. */
	km_map_init(&r->index, 0);
	r->schema = km_schema_ref(schema);
	for (uint32_t i = 0; i < schema->count; i++) {
		const char *name = schema->feature[i].name;

		if (km_map_add(&r->index, name, strlen(name), i, NULL) != 0) {
			km_features_reader_free(r);
			return -ENOMEM;
		}
	}
	*out = r;
	return 0;
}

void km_features_reader_free(struct km_features_reader *r)
{
	if (r == NULL)
		return;
	km_map_fini(&r->index);
	km_schema_unref(r->schema);
	free(r);
}

const struct km_schema *km_features_reader_schema(const struct km_features_reader *r)
{
	return r->schema;
}

/* NaN: null, absent, no number, or none that anybody measures. */
static double number_of(const struct km_json_slice *value)
{
	double number;

	if (value->kind != KM_JSON_NUMBER || km_num_double(value->text, value->len, &number) != 0 ||
	    !(fabs(number) <= VALUE_MAX))
		return NAN;
	return number;
}

static bool key_spells(const struct km_json_slice *key, const char *name)
{
	size_t len = strlen(name);

	return key->len == len + 2 && memcmp(key->text + 1, name, len) == 0;
}

/* The position of that name in the schema, or -1. *next: where it is expected. */
static int64_t position_of(const struct km_features_reader *r, const struct km_json_slice *key,
                           uint32_t *next)
{
	uint32_t at;

	if (*next < r->schema->count && key_spells(key, r->schema->feature[*next].name))
		return (*next)++;
	if (key->escaped || key->len < 2 ||
	    !km_map_get(&r->index, key->text + 1, key->len - 2, &at))
		return -1;
	*next = at + 1;
	return at;
}

static int read_features(const struct km_features_reader *r, struct km_scan *s, double *row)
{
	struct km_json_slice value;
	struct km_json_slice key;
	uint32_t next = 0;
	int rc = km_scan_object(s);

	while (rc == 0 && (rc = km_scan_member(s, &key)) == KM_SCAN_MORE) {
		int64_t at = position_of(r, &key, &next);

		rc = km_scan_value(s, &value);
		/* What a decision brings along is nobody's to say. */
		if (rc == 0 && at >= 0 && r->schema->feature[at].scope < KM_SCOPE_POD)
			row[at] = number_of(&value);
	}
	return rc;
}

/* The metric of that name, or -1. *next: where it is expected. */
static int metric_of(const struct km_json_slice *key, int *next)
{
	for (int tries = 0; tries < KM_METRIC_N; tries++) {
		int m = (*next + tries) % KM_METRIC_N;

		if (key_spells(key, km_metric_info((enum km_metric)m)->name)) {
			*next = m + 1;
			return m;
		}
	}
	return -1;
}

static uint32_t count_of(const struct km_json_slice *value)
{
	double number = number_of(value);

	return number >= 0 && number < UINT32_MAX ? (uint32_t)number : 0;
}

/* One of "node" and "host" in "readings". *out [KM_METRIC_N] in the arena. */
static int read_reading(struct km_scan *s, struct km_arena *arena, double **out, uint32_t *cpus)
{
	double *reading = km_arena_alloc(arena, KM_METRIC_N * sizeof(*reading));
	struct km_json_slice value;
	struct km_json_slice key;
	int next = 0;
	int rc = km_scan_object(s);

	if (reading == NULL)
		return -ENOMEM;
	for (int m = 0; m < KM_METRIC_N; m++)
		reading[m] = NAN;
	while (rc == 0 && (rc = km_scan_member(s, &key)) == KM_SCAN_MORE) {
		int m = metric_of(&key, &next);

		rc = km_scan_value(s, &value);
		if (rc == 0 && m >= 0)
			reading[m] = number_of(&value);
		else if (rc == 0 && key_spells(&key, "cpus"))
			*cpus = count_of(&value);
	}
	*out = reading;
	return rc;
}

static int read_readings(struct km_scan *s, struct km_arena *arena, struct km_features_node *n)
{
	struct km_json_slice key;
	int rc = km_scan_object(s);

	while (rc == 0 && (rc = km_scan_member(s, &key)) == KM_SCAN_MORE) {
		bool object = km_scan_peek(s) == KM_JSON_OBJECT;

		if (object && key_spells(&key, "node"))
			rc = read_reading(s, arena, &n->node_reading, &n->node_cpus);
		else if (object && key_spells(&key, "host"))
			rc = read_reading(s, arena, &n->host_reading, &n->host_cpus);
		else
			rc = km_scan_value(s, NULL);
	}
	return rc;
}

/* A text, decoded if it has to be; len 0 when it is none. returns 0 or -ENOMEM. */
static int text_of(const struct km_json_slice *value, struct km_arena *arena, struct km_name *out)
{
	char *decoded;

	*out = (struct km_name){ NULL, 0 };
	if (value->kind != KM_JSON_STRING || value->len - 2 > UINT32_MAX)
		return 0;
	if (!value->escaped) {
		*out = (struct km_name){ value->text + 1, (uint32_t)(value->len - 2) };
		return 0;
	}
	decoded = km_arena_alloc(arena, value->len);
	if (decoded == NULL)
		return -ENOMEM;
	*out = (struct km_name){ decoded, (uint32_t)km_json_unescape(value, decoded) };
	return 0;
}

static enum km_tier tier_of(const struct km_json_slice *value)
{
	for (int t = 0; value->kind == KM_JSON_STRING && t <= KM_TIER_NONE; t++) {
		if (key_spells(value, km_tier_name((enum km_tier)t)))
			return (enum km_tier)t;
	}
	return KM_TIER_NONE;
}

static void fill(struct km_features_node *n, const struct km_json_slice *sequence,
                 const struct km_json_slice *outside)
{
	double number = number_of(sequence);

	if (number >= 0 && number < 9e15)
		n->sequence = (uint64_t)number;
	n->outside_cpus = count_of(outside);
	if (!(n->age_s >= 0))
		n->age_s = NAN;
	if (!(n->bin_age_s >= 0))
		n->bin_age_s = NAN;
}

/* One object of "nodes". returns 0, -EINVAL or -ENOMEM. */
static int read_node(const struct km_features_reader *r, struct km_scan *s, struct km_arena *arena,
                     struct km_features_node *n)
{
	static const char *const keys[] = { "name",          "tier",        "sequence",
		                            "ageSeconds",    "outsideCpus", "binAgeSeconds",
		                            "coveredSeconds" };
	enum { NAME, TIER, SEQUENCE, AGE, OUTSIDE, BIN_AGE, COVERED, KEYS };
	struct km_json_slice value[KEYS] = { { .text = NULL } };
	struct km_json_slice key;
	int rc = km_scan_object(s);

	n->row = km_arena_alloc(arena, (r->schema->count + (size_t)1) * sizeof(n->row[0]));
	if (n->row == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->schema->count; i++)
		n->row[i] = NAN;
	while (rc == 0 && (rc = km_scan_member(s, &key)) == KM_SCAN_MORE) {
		struct km_json_slice *into = NULL;

		for (size_t k = 0; k < KEYS && into == NULL; k++)
			into = key_spells(&key, keys[k]) ? &value[k] : NULL;
		if (into == NULL && key_spells(&key, "features") &&
		    km_scan_peek(s) == KM_JSON_OBJECT)
			rc = read_features(r, s, n->row);
		else if (into == NULL && key_spells(&key, "readings") &&
		         km_scan_peek(s) == KM_JSON_OBJECT)
			rc = read_readings(s, arena, n);
		else
			rc = km_scan_value(s, into);
	}
	if (rc != 0)
		return rc;
	n->tier = tier_of(&value[TIER]);
	n->age_s = number_of(&value[AGE]);
	n->bin_age_s = number_of(&value[BIN_AGE]);
	n->covered_s = number_of(&value[COVERED]);
	fill(n, &value[SEQUENCE], &value[OUTSIDE]);
	return text_of(&value[NAME], arena, &n->name);
}

static int read_nodes(const struct km_features_reader *r, struct km_scan *s, struct km_arena *arena,
                      struct km_features_answer *out)
{
	size_t cap = 0;
	int rc = km_scan_array(s);

	while (rc == 0 && (rc = km_scan_element(s)) == KM_SCAN_MORE) {
		struct km_features_node *n;

		if (out->count == KM_FEATURES_NODES_MAX) {
			rc = km_scan_value(s, NULL);
			continue;
		}
		if (out->count == cap) {
			struct km_features_node *grown;

			cap = cap == 0 ? 4 : cap * 2;
			grown = km_arena_alloc(arena, cap * sizeof(*grown));
			if (grown == NULL)
				return -ENOMEM;
			if (out->count > 0)
				memcpy(grown, out->node, out->count * sizeof(*grown));
			out->node = grown;
		}
		n = &out->node[out->count];
		memset(n, 0, sizeof(*n));
		rc = read_node(r, s, arena, n);
		out->count += rc == 0 && n->name.len > 0;
	}
	return rc;
}

int km_features_read_answer(const struct km_features_reader *r, const char *body, size_t len,
                            struct km_arena *arena, struct km_features_answer *out,
                            struct km_err *err)
{
	struct km_json_slice window = { .text = NULL };
	struct km_json_slice bin = { .text = NULL };
	struct km_json_slice key;
	struct km_scan s;
	bool found = false;
	int rc;

	*out = (struct km_features_answer){ .window_s = NAN };
	km_scan_init(&s, body, len, DEPTH, err);
	rc = km_scan_object(&s);
	while (rc == 0 && (rc = km_scan_member(&s, &key)) == KM_SCAN_MORE) {
		if (key_spells(&key, "nodes") && km_scan_peek(&s) == KM_JSON_ARRAY && !found) {
			found = true;
			rc = read_nodes(r, &s, arena, out);
		} else if (key_spells(&key, "windowSeconds")) {
			rc = km_scan_value(&s, &window);
		} else if (key_spells(&key, "binSeconds")) {
			rc = km_scan_value(&s, &bin);
		} else {
			rc = km_scan_value(&s, NULL);
		}
	}
	if (rc == -ENOMEM)
		return km_err_set(err, ENOMEM, "out of memory reading features");
	if (rc == 0 && km_scan_peek(&s) != KM_JSON_ABSENT)
		return km_err_set(err, EINVAL, "more follows behind the answer");
	if (rc == 0 && !found)
		return km_err_set(err, EINVAL, "saw no list of nodes, want an agent's features");
	out->window_s = number_of(&window);
	out->bin_s = number_of(&bin);
	return rc;
}

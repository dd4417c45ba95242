/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A round: which nodes there are and how old their counters, their tiers, then each metric that the
 * schema reads with all statistics of it at once. What two agents tell of one node is kept apart by
 * the scrape's `instance`, and one of them is taken at the end. Entry: km_scraped_round.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/map.h"
#include "km/core/settings.h"
#include "km/wire/prometheus.h"

#include "scraped_internal.h"

#define SERIES_MAX 200000
#define AGE_MAX_S  1e9

/* An agent's own label, also where the scrape's configuration has a label of that name. */
static const char *const node_labels[] = { "exported_node", "node" };
static const char *const host_labels[] = { "exported_first_node", "first_node" };

static const char *const instance_labels[] = { "instance", "instance" };

static const char age_query[] =
	"kubemarla_node_data_age_seconds + time() - timestamp(kubemarla_node_data_age_seconds)";
static const char tier_query[] = "kubemarla_node_tier_info == 1";

static const char *const functions[KM_STAT_N] = {
	[KM_STAT_MEAN] = "avg_over_time(",
	[KM_STAT_STD] = "stddev_over_time(",
	[KM_STAT_P95] = "quantile_over_time(0.95, ",
	[KM_STAT_P5] = "quantile_over_time(0.05, ",
	[KM_STAT_MAX] = "max_over_time(",
};

/* returns 0; or -EREMOTEIO and others, with a text. What *out names lives until the next query. */
static int ask(struct km_scraped *s, const char *query, struct km_prometheus_answer *out,
               struct km_err *err)
{
	int rc;

	*out = (struct km_prometheus_answer){ .count = 0 };
	km_buf_clear(&s->body);
	rc = s->ask(s->ctx, query, &s->body, err);
	if (rc < 0) {
		return rc;
	}
	if (rc != 200 && rc != 400 && rc != 422) { /* those two say in the body what is wrong */
		return km_err_set(err, EREMOTEIO, "Prometheus: status %d", rc);
	}
	km_arena_reset(&s->answer);
	return km_prometheus_decode(s->body.data, s->body.len, SERIES_MAX, &s->answer, out, err);
}

#define INSTANCE_MAX 256
#define KEY_MAX      (KM_NODE_NAME_MAX + INSTANCE_MAX)

/* A node as one agent tells of it. */
struct telling {
	struct km_name node; /* in the arena, as the next; followed by a NUL and the instance */
	struct km_name key;
	double age_s;
	enum km_tier tier;
	double *row; /* [schema->count] */
};

struct round {
	struct km_scraped *s;
	struct km_schema *schema;
	struct telling *telling; /* [count], in the arena */
	size_t count;
	struct km_map index; /* key -> position */
	struct km_map nodes; /* node -> position of the first that tells of it */
	int64_t asked_ns;
	struct km_err err;
};

static struct km_name label_of(const struct km_prometheus_series *series, const char *const *names)
{
	struct km_name value = km_prometheus_label(series, names[0]);

	return value.text != NULL ? value : km_prometheus_label(series, names[1]);
}

/* Of which node a series is, told by whom: into key [KEY_MAX]. 0 = of none. *node: the first part.
 */
static size_t key_of(const struct km_prometheus_series *series, const char *const *labels,
                     char *key, struct km_name *node)
{
	struct km_name name = label_of(series, labels);
	struct km_name instance = label_of(series, instance_labels);
	size_t len = instance.len < INSTANCE_MAX ? instance.len : INSTANCE_MAX - 1;

	if (name.text == NULL || name.len == 0 || name.len >= KM_NODE_NAME_MAX) {
		return 0;
	}
	memcpy(key, name.text, name.len);
	key[name.len] = '\0';
	if (instance.text != NULL && len > 0) {
		memcpy(key + name.len + 1, instance.text, len);
	} else {
		len = 0;
	}
	*node = name;
	return name.len + 1 + len;
}

/* What a series belongs to, or NULL. */
static struct telling *telling_of(const struct round *r, const struct km_prometheus_series *series,
                                  const char *const *labels)
{
	char key[KEY_MAX];
	struct km_name node;
	size_t len = key_of(series, labels, key, &node);
	uint32_t at;

	return len > 0 && km_map_get(&r->index, key, len, &at) ? &r->telling[at] : NULL;
}

/* Twice from one agent: the fresher one. returns 0 or -ENOMEM. */
static int add_telling(struct round *r, const struct km_prometheus_series *series)
{
	struct telling *t = &r->telling[r->count];
	double age_s = series->value > 0 ? series->value : 0; /* nothing is of the future */
	char key[KEY_MAX];
	struct km_name node;
	size_t len = key_of(series, node_labels, key, &node);
	uint32_t at;
	char *text;

	if (len == 0 || !(series->value < AGE_MAX_S)) {
		return 0;
	}
	if (km_map_get(&r->index, key, len, &at)) {
		r->telling[at].age_s = fmin(r->telling[at].age_s, age_s);
		return 0;
	}
	text = km_arena_alloc(&r->s->arena, len);
	t->row = km_arena_calloc(&r->s->arena, r->schema->count + (size_t)1, sizeof(t->row[0]));
	if (text == NULL || t->row == NULL) {
		return -ENOMEM;
	}
	memcpy(text, key, len);
	if (km_map_add(&r->index, text, len, (uint32_t)r->count, NULL) != 0) {
		return -ENOMEM;
	}
	t->node = (struct km_name){ text, node.len };
	t->key = (struct km_name){ text, (uint32_t)len };
	t->age_s = age_s;
	t->tier = KM_TIER_NONE;
	for (uint32_t i = 0; i < r->schema->count; i++) {
		t->row[i] = NAN;
	}
	r->count++;
	return 0;
}

static int find_nodes(struct round *r)
{
	struct km_prometheus_answer a;
	int rc;

	r->asked_ns = km_clock_mono_ns(r->s->clock);
	rc = ask(r->s, age_query, &a, &r->err);
	if (rc != 0) {
		return rc;
	}
	r->telling = km_arena_calloc(&r->s->arena, a.count + 1, sizeof(*r->telling));
	if (r->telling == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < a.count && rc == 0; i++) {
		rc = add_telling(r, &a.series[i]);
	}
	if (rc == 0 && r->count == 0) {
		return km_err_set(&r->err, ENODATA,
		                  "Prometheus knows no kubemarla_node_data_age_seconds: does it "
		                  "scrape the agents?");
	}
	return rc;
}

static int find_tiers(struct round *r)
{
	struct km_prometheus_answer a;
	int rc = ask(r->s, tier_query, &a, &r->err);

	for (size_t i = 0; rc == 0 && i < a.count; i++) {
		struct telling *n = telling_of(r, &a.series[i], node_labels);
		struct km_name tier = km_prometheus_label(&a.series[i], "tier");
		char text[16];
		int known;

		if (n == NULL || tier.text == NULL || tier.len >= sizeof(text)) {
			continue;
		}
		memcpy(text, tier.text, tier.len);
		text[tier.len] = '\0';
		known = km_tier_parse(text);
		if (known >= 0) {
			n->tier = (enum km_tier)known;
		}
	}
	return rc;
}

/* All statistics of one scope's metric that the schema has, told apart by a label. */
static void make_query(struct round *r, enum km_scope scope, enum km_metric metric)
{
	const char *of = scope == KM_SCOPE_HOST ? "host" : "node";
	struct km_buf *q = &r->s->query;
	char series[96];
	char window[32];
	bool any = false;

	(void)snprintf(series, sizeof(series), "kubemarla_%s_%s", of, km_metric_info(metric)->name);
	(void)snprintf(window, sizeof(window), "%.0fms", r->schema->window_s * 1000);
	km_buf_clear(q);
	for (uint32_t i = 0; i < r->schema->count; i++) {
		const struct km_feature *f = &r->schema->feature[i];
		if (f->scope != scope || f->metric != metric) {
			continue;
		}
		km_buf_printf(q, "%slabel_replace(%s%s[%s]), \"stat\", \"%s\", \"\", \"\")",
		              any ? " or " : "", functions[f->stat], series, window,
		              km_stat_name(f->stat));
		any = true;
	}
}

static bool says(struct km_name text, const char *word)
{
	return text.text != NULL && text.len == strlen(word) &&
	       memcmp(text.text, word, text.len) == 0;
}

static int find_metric(struct round *r, enum km_scope scope, enum km_metric metric)
{
	const char *const *labels = scope == KM_SCOPE_HOST ? host_labels : node_labels;
	struct km_prometheus_answer a;
	int rc;

	make_query(r, scope, metric);
	rc = ask(r->s, km_buf_cstr(&r->s->query), &a, &r->err);
	for (size_t i = 0; rc == 0 && i < a.count; i++) {
		struct km_name stat = km_prometheus_label(&a.series[i], "stat");
		struct telling *n = telling_of(r, &a.series[i], labels);

		for (uint32_t f = 0; n != NULL && f < r->schema->count; f++) {
			const struct km_feature *feature = &r->schema->feature[f];

			if (feature->scope == scope && feature->metric == metric &&
			    says(stat, km_stat_name(feature->stat)) &&
			    isfinite(a.series[i].value)) {
				n->row[f] = a.series[i].value;
			}
		}
	}
	return rc;
}

/* Is i the first feature of its scope's metric? */
static bool is_first(const struct km_schema *schema, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++) {
		if (schema->feature[k].scope == schema->feature[i].scope &&
		    schema->feature[k].metric == schema->feature[i].metric) {
			return false;
		}
	}
	return true;
}

static int find_metrics(struct round *r)
{
	int rc = 0;

	for (uint32_t i = 0; i < r->schema->count && rc == 0; i++) {
		const struct km_feature *f = &r->schema->feature[i];

		if ((f->scope == KM_SCOPE_NODE || f->scope == KM_SCOPE_HOST) &&
		    is_first(r->schema, i)) {
			rc = find_metric(r, f->scope, f->metric);
		}
	}
	return rc;
}

/*
 * By the gatherer's rules (gather.h), as far as Prometheus can tell: fresh data, then the higher
 * tier. Alike ones by name, so that it is the same one each time.
 */
static bool is_better(const struct telling *a, const struct telling *b, double max_age_s)
{
	bool a_fresh = a->age_s <= max_age_s;
	bool b_fresh = b->age_s <= max_age_s;
	size_t len = a->key.len < b->key.len ? a->key.len : b->key.len;
	int order;

	if (a_fresh != b_fresh) {
		return a_fresh;
	}
	if (a->tier != b->tier) {
		return a->tier < b->tier; /* best first */
	}
	order = memcmp(a->key.text, b->key.text, len);
	return order != 0 ? order < 0 : a->key.len < b->key.len;
}

/*
 * One of each node: best[i] where telling[i] is the first of its node, else UINT32_MAX. NULL: out
 * of memory.
 */
static uint32_t *choose(struct round *r)
{
	double max_age_s = (double)km_gather_max_age(r->s->gather) * 1e-9;
	uint32_t *best = km_arena_alloc(&r->s->arena, (r->count + 1) * sizeof(*best));

	for (size_t i = 0; best != NULL && i < r->count; i++) {
		struct km_name node = r->telling[i].node;
		uint32_t first;
		int rc = km_map_add(&r->nodes, node.text, node.len, (uint32_t)i, &first);

		best[i] = UINT32_MAX;
		if (rc == 0) {
			best[i] = (uint32_t)i;
		} else if (rc != -EEXIST) {
			return NULL;
		} else if (is_better(&r->telling[i], &r->telling[best[first]], max_age_s)) {
			best[first] = (uint32_t)i;
		}
	}
	return best;
}

static struct km_host_features *features_of(const struct round *r, const struct telling *t)
{
	struct km_host_features *f = km_host_features_create(r->schema, 1);

	if (f != NULL) {
		f->version = 1; /* the gatherer's own is set when it is taken */
		f->tier = t->tier;
		f->covered_s = r->schema->window_s;
		f->measured_mono_ns = r->asked_ns - (int64_t)(t->age_s * 1e9);
		memcpy(f->row, t->row, r->schema->count * sizeof(f->row[0]));
	}
	return f;
}

static int hand_over(struct round *r)
{
	struct km_gather_row *row = calloc(r->count + 1, sizeof(*row));
	const uint32_t *best = choose(r);
	size_t count = 0;
	int rc = row == NULL || best == NULL ? -ENOMEM : 0;

	for (size_t i = 0; rc == 0 && i < r->count; i++) {
		const struct telling *t;

		if (best[i] == UINT32_MAX) {
			continue;
		}
		t = &r->telling[best[i]];
		row[count] = (struct km_gather_row){ t->node, features_of(r, t) };
		if (row[count].features == NULL) {
			rc = -ENOMEM;
			break;
		}
		count++;
		if (r->s->names_nodes) {
			rc = km_gather_set_node(r->s->gather, t->node);
		}
	}
	if (rc == 0) {
		km_gather_take(r->s->gather, SCRAPED_KEY, row, count);
	}
	for (size_t i = 0; i < count; i++) {
		km_host_features_unref(row[i].features);
	}
	free(row);
	return rc;
}

void km_scraped_round(struct km_scraped *s)
{
	struct round r = { .s = s };
	int rc;

	pthread_mutex_lock(&s->lock);
	r.schema = km_schema_ref(s->schema);
	pthread_mutex_unlock(&s->lock);
	km_arena_reset(&s->arena);
	km_map_init(&r.index, (uint64_t)km_clock_mono_ns(s->clock));
	km_map_init(&r.nodes, (uint64_t)km_clock_mono_ns(s->clock));
	rc = find_nodes(&r);
	rc = rc == 0 ? find_tiers(&r) : rc;
	rc = rc == 0 ? find_metrics(&r) : rc;
	rc = rc == 0 ? hand_over(&r) : rc;
	if (rc != 0 && rc != -ECANCELED) {
		if (r.err.code == 0) {
			(void)km_err_errno(&r.err, -rc, "Prometheus");
		}
		km_gather_answer(s->gather, SCRAPED_KEY, 0, NULL, 0, r.asked_ns, &r.err);
	}
	km_map_fini(&r.nodes);
	km_map_fini(&r.index);
	km_schema_unref(r.schema);
}

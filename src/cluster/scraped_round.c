/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A round: which nodes there are and how old their counters, their tiers, then each metric that the
 * schema reads with all statistics of it at once. Entry: km_scraped_round.
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

struct node {
	struct km_name name; /* in the arena */
	double age_s;
	enum km_tier tier;
	double *row; /* [schema->count] */
};

struct round {
	struct km_scraped *s;
	struct km_schema *schema;
	struct node *node; /* [count], in the arena */
	size_t count;
	struct km_map index; /* name -> position */
	int64_t asked_ns;
	struct km_err err;
};

static struct km_name label_of(const struct km_prometheus_series *series, const char *const *names)
{
	struct km_name value = km_prometheus_label(series, names[0]);

	return value.text != NULL ? value : km_prometheus_label(series, names[1]);
}

/* The node that a series is of, or NULL. */
static struct node *node_of(const struct round *r, const struct km_prometheus_series *series,
                            const char *const *labels)
{
	struct km_name name = label_of(series, labels);
	uint32_t at;

	return name.text != NULL && km_map_get(&r->index, name.text, name.len, &at) ? &r->node[at]
	                                                                            : NULL;
}

/* A node that two agents tell of: the fresher one. returns 0 or -ENOMEM. */
static int add_node(struct round *r, struct km_name name, double age_s)
{
	struct node *n = &r->node[r->count];
	uint32_t at;
	char *text;

	if (name.text == NULL || name.len == 0 || name.len >= KM_NODE_NAME_MAX ||
	    !(age_s < AGE_MAX_S)) {
		return 0;
	}
	age_s = age_s > 0 ? age_s : 0; /* nothing is of the future */
	if (km_map_get(&r->index, name.text, name.len, &at)) {
		r->node[at].age_s = fmin(r->node[at].age_s, age_s);
		return 0;
	}
	text = km_arena_strndup(&r->s->arena, name.text, name.len);
	n->row = km_arena_calloc(&r->s->arena, r->schema->count + (size_t)1, sizeof(n->row[0]));
	if (text == NULL || n->row == NULL ||
	    km_map_add(&r->index, text, name.len, (uint32_t)r->count, NULL) != 0) {
		return -ENOMEM;
	}
	n->name = (struct km_name){ text, name.len };
	n->age_s = age_s;
	n->tier = KM_TIER_NONE;
	for (uint32_t i = 0; i < r->schema->count; i++) {
		n->row[i] = NAN;
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
	r->node = km_arena_calloc(&r->s->arena, a.count + 1, sizeof(*r->node));
	if (r->node == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < a.count && rc == 0; i++) {
		rc = add_node(r, label_of(&a.series[i], node_labels), a.series[i].value);
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
		struct node *n = node_of(r, &a.series[i], node_labels);
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
		struct node *n = node_of(r, &a.series[i], labels);

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

static struct km_host_features *features_of(const struct round *r, const struct node *n)
{
	struct km_host_features *f = km_host_features_create(r->schema, 1);

	if (f != NULL) {
		f->version = 1; /* the gatherer's own is set when it is taken */
		f->tier = n->tier;
		f->covered_s = r->schema->window_s;
		f->measured_mono_ns = r->asked_ns - (int64_t)(n->age_s * 1e9);
		memcpy(f->row, n->row, r->schema->count * sizeof(f->row[0]));
	}
	return f;
}

static int hand_over(struct round *r)
{
	struct km_gather_row *row = calloc(r->count + 1, sizeof(*row));
	size_t count = 0;
	int rc = row == NULL ? -ENOMEM : 0;

	for (size_t i = 0; i < r->count && rc == 0; i++) {
		row[i] = (struct km_gather_row){ r->node[i].name, features_of(r, &r->node[i]) };
		rc = row[i].features == NULL ? -ENOMEM : 0;
		count += rc == 0;
		if (rc == 0 && r->s->names_nodes) {
			rc = km_gather_set_node(r->s->gather, r->node[i].name);
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
	km_map_fini(&r.index);
	km_schema_unref(r.schema);
}

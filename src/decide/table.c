/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One workload's predictions over all nodes. Most of a new table is the old one: a row is predicted
 * again only when its feature version changed, which is once per bin, not once per sample.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "decide_internal.h"

static const struct km_prediction no_prediction = { .slowdown = NAN, .low = NAN, .high = NAN };

struct decide_table *decide_table_ref(struct decide_table *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void decide_table_unref(struct decide_table *t)
{
	if (t == NULL || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1) {
		return;
	}
	decide_context_unref(t->context);
	free(t);
}

/* One piece of memory: the struct, then known[], then cell[]. */
static struct decide_table *table_create(struct decide_context *context,
                                         const struct km_workload *w,
                                         const struct km_cluster_snapshot *s)
{
	size_t nodes = s->node_count;
	struct decide_table *t =
		malloc(sizeof(*t) + nodes * (sizeof(t->known[0]) + sizeof(t->cell[0])));

	if (t == NULL) {
		return NULL;
	}
	*t = (struct decide_table){
		.workload = *w,
		.key = decide_key_of(w),
		.generation = s->generation,
		.topology = s->topology,
		.node_count = s->node_count,
		.unknown = decide_pack(decide_judge_without(context, w, KM_DATA_ABSENT)),
		.known = (struct decide_known *)(t + 1),
	};
	t->cell = (struct decide_cell *)(t->known + nodes);
	atomic_init(&t->refs, 1);
	t->context = decide_context_ref(context);
	return t;
}

/* Rows on their way to the model. */
struct batch {
	struct km_decide *d;
	struct decide_table *table;
	float *rows; /* [DECIDE_PREDICT_ROWS][columns] */
	size_t count;
	uint32_t node[DECIDE_PREDICT_ROWS];
	struct km_prediction out[DECIDE_PREDICT_ROWS];
};

/* A node that the model gives no number for is tried again with the next picture: version 0. */
static void flush(struct batch *b)
{
	const struct decide_context *c = b->table->context;
	struct km_decide *d = b->d;
	struct km_err err = { .code = 0 };
	uint64_t outside = 0;
	uint64_t failed = 0;
	int rc;

	if (b->count == 0) {
		return;
	}
	rc = km_model_predict(c->model, b->rows, b->count, b->out, &err);
	for (size_t i = 0; i < b->count; i++) {
		struct decide_known *k = &b->table->known[b->node[i]];

		if (rc == 0 && b->out[i].slowdown >= 0) {
			k->prediction = b->out[i];
			outside += k->prediction.outside > 0;
			continue;
		}
		k->state = KM_DATA_NO_MODEL;
		k->version = 0;
		failed++;
	}
	km_counter_add(d->stats.predicted, b->count);
	km_counter_add(d->stats.outside, outside);
	if (failed > 0) {
		km_counter_add(d->stats.failed, failed);
		km_complain(&d->trouble, km_clock_mono_ns(d->clock), "decide",
		            "model gave no prediction rows=%llu error=\"%s\"",
		            (unsigned long long)failed, rc == 0 ? "not a number" : err.text);
	} else {
		km_recovered(&d->trouble, "decide", "model predicts again");
	}
	b->count = 0;
}

static void enqueue(struct batch *b, uint32_t node, const double *row)
{
	const struct km_schema *schema = b->table->context->schema;

	decide_fill_row(schema, row, &b->table->workload, decide_now_input(b->table->context),
	                b->rows + b->count * schema->count);
	b->node[b->count++] = node;
	if (b->count == DECIDE_PREDICT_ROWS) {
		flush(b);
	}
}

static struct batch *batch_create(struct km_decide *d, struct decide_table *t)
{
	size_t columns = t->context->schema != NULL ? t->context->schema->count : 0;
	struct batch *b = malloc(sizeof(*b));

	if (b == NULL) {
		return NULL;
	}
	b->d = d;
	b->table = t;
	b->count = 0;
	b->rows = malloc(DECIDE_PREDICT_ROWS * columns * sizeof(b->rows[0]) + 1);
	if (b->rows == NULL) {
		free(b);
		return NULL;
	}
	return b;
}

static void batch_free(struct batch *b)
{
	if (b != NULL) {
		free(b->rows);
		free(b);
	}
}

/* returns true when the donor's prediction holds for the row that is there now. */
static bool reuse(const struct decide_table *donor, uint32_t node, const struct decide_known *now,
                  struct decide_known *out)
{
	const struct decide_known *then = donor != NULL ? &donor->known[node] : NULL;

	if (then == NULL || then->version != now->version || then->state != KM_DATA_FRESH ||
	    then->by_effects) {
		return false;
	}
	out->prediction = then->prediction;
	return true;
}

/*
 * Without counters on any node, learned effects tell what pods there do to one another: without
 * any, nothing. Beside nodes that are measured they would say too much: an unmeasured one would be
 * the best of all, for want of anything that is known to be wrong with it.
 */
static void know_without_counters(struct decide_table *t)
{
	if (!t->context->effects || !t->context->feed) {
		return;
	}
	for (uint32_t i = 0; i < t->node_count; i++) {
		if (t->known[i].state != KM_DATA_ABSENT) {
			return;
		}
	}
	for (uint32_t i = 0; i < t->node_count; i++) {
		struct decide_known *k = &t->known[i];

		k->by_effects = true;
		k->state = KM_DATA_FRESH;
		k->measured_ns = INT64_MAX; /* who feeds us tells at once */
		k->prediction = (struct km_prediction){ .slowdown = 1, .low = 1, .high = 1 };
	}
}

/* returns 0 or -ENOMEM. */
static int predict(struct km_decide *d, struct decide_table *t, const struct km_cluster_snapshot *s,
                   const struct decide_table *donor)
{
	struct batch *b = NULL; /* most pictures bring nothing to predict */
	uint64_t reused = 0;

	for (uint32_t i = 0; i < t->node_count; i++) {
		const struct km_host_features *f = s->node[i].features;
		struct decide_known *k = &t->known[i];

		*k = (struct decide_known){
			.prediction = no_prediction,
			.state = (uint8_t)decide_data_state(t->context, f),
			.measured_ns = f != NULL ? f->measured_mono_ns : 0,
			.tier = (uint8_t)(f != NULL ? f->tier : KM_TIER_NONE),
		};
		if (f == NULL || k->state != KM_DATA_FRESH) {
			continue;
		}
		k->version = f->version;
		if (reuse(donor, i, k, k)) {
			reused++;
			continue;
		}
		if (b == NULL) {
			b = batch_create(d, t);
			if (b == NULL) {
				return -ENOMEM;
			}
		}
		enqueue(b, i, km_host_features_row(f, s->node[i].row));
	}
	if (b != NULL) {
		flush(b);
	}
	batch_free(b);
	know_without_counters(t);
	km_counter_add(d->stats.reused, reused);
	return 0;
}

/* Scores cost two logarithms a node: where nothing but time went on, they are the donor's. */
static void judge_all(struct decide_table *t, const struct decide_table *donor)
{
	bool alike = donor != NULL && donor->context == t->context &&
	             decide_same_key(&donor->key, &t->key);

	for (uint32_t i = 0; i < t->node_count; i++) {
		const struct decide_known *k = &t->known[i];

		if (alike && k->state == donor->known[i].state &&
		    k->by_effects == donor->known[i].by_effects &&
		    (k->state != KM_DATA_FRESH || k->version == donor->known[i].version)) {
			t->cell[i] = donor->cell[i];
			if (k->state == KM_DATA_FRESH) {
				t->cell[i].fresh_until_ns =
					decide_fresh_until_ns(t->context, k->measured_ns);
			}
			continue;
		}
		decide_judge(t->context, &t->workload, k, &t->cell[i]);
	}
}

struct decide_table *decide_table_build(struct km_decide *d, struct decide_context *context,
                                        const struct km_workload *w,
                                        const struct km_cluster_snapshot *s,
                                        const struct decide_table *donor)
{
	int64_t began_ns = km_clock_mono_ns(d->clock);
	struct decide_table *t = table_create(context, w, s);

	if (t == NULL) {
		return NULL;
	}
	if (predict(d, t, s, donor) != 0) {
		decide_table_unref(t);
		return NULL;
	}
	judge_all(t, donor);
	km_histogram_observe(d->stats.build_s,
	                     (double)(km_clock_mono_ns(d->clock) - began_ns) * 1e-9);
	return t;
}

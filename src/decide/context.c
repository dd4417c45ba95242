/* SPDX-License-Identifier: Apache-2.0 */
/* Settings and model: exchanged together as one immutable thing, so no request sees half. */
#include <stdlib.h>

#include "km/base/log.h"

#include "decide_internal.h"

struct decide_context *decide_context_ref(struct decide_context *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void decide_context_unref(struct decide_context *c)
{
	if (c == NULL || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) {
		return;
	}
	km_model_unref(c->model);
	free(c);
}

/* on_stale is an option of its own; the workload is kept in its normal form. */
static void keep_settings(struct decide_context *c, const struct km_decide_settings *settings)
{
	struct km_workload w = settings->default_workload;

	c->settings = *settings;
	c->settings.policies_path = NULL;
	c->settings.trusted_namespaces = NULL;
	c->settings.effects_path = NULL;
	c->settings.log_path = NULL;
	c->rules = (struct km_place_rules){
		.scale = settings->score_scale,
		.risk = settings->risk,
		.harm_filter = settings->harm_filter,
		.harm_score = settings->harm_score,
	};
	w.on_stale = settings->on_stale;
	decide_workload_normalise(&w, &c->settings.default_workload);
}

struct decide_context *decide_context_create(const struct km_decide_settings *settings)
{
	struct decide_context *c = calloc(1, sizeof(*c));

	if (c != NULL) {
		atomic_init(&c->refs, 1);
		keep_settings(c, settings);
	}
	return c;
}

struct decide_context *decide_context_get(struct km_decide *d)
{
	struct decide_context *c;

	pthread_mutex_lock(&d->lock);
	c = decide_context_ref(d->context);
	pthread_mutex_unlock(&d->lock);
	return c;
}

static bool same_settings(const struct km_decide_settings *a, const struct km_decide_settings *b)
{
	struct decide_key key_a = decide_key_of(&a->default_workload);
	struct decide_key key_b = decide_key_of(&b->default_workload);

	return a->max_age_ns == b->max_age_ns && a->on_stale == b->on_stale &&
	       a->score_scale == b->score_scale && a->min_max_slowdown == b->min_max_slowdown &&
	       a->risk == b->risk && a->harm_filter == b->harm_filter &&
	       a->harm_score == b->harm_score && a->reservation_ttl_ns == b->reservation_ttl_ns &&
	       a->unknown_slowdown == b->unknown_slowdown && decide_same_key(&key_a, &key_b);
}

static void use_model(struct decide_context *c, struct km_model *m)
{
	struct km_model_info info;

	if (m == NULL) {
		return;
	}
	km_model_info(m, &info);
	c->model = km_model_ref(m);
	c->model_hash = info.hash;
	c->schema = km_model_schema(m);
}

/*
 * A new context with one half from the current one: both halves are chosen under the lock, or two
 * threads could undo each other's change.
 */
void km_decide_set_model(struct km_decide *d, struct km_model *m)
{
	struct decide_context *fresh = calloc(1, sizeof(*fresh));
	struct decide_context *unused;

	if (fresh == NULL) {
		km_log_error("decide", "old model kept error=memory");
		return;
	}
	atomic_init(&fresh->refs, 1);
	use_model(fresh, m);
	pthread_mutex_lock(&d->lock);
	if (m == d->context->model) {
		unused = fresh;
	} else {
		fresh->settings = d->context->settings;
		fresh->rules = d->context->rules;
		unused = d->context;
		d->context = fresh;
	}
	pthread_mutex_unlock(&d->lock);
	if (unused != fresh) {
		decide_drop_tables(d);
	}
	decide_context_unref(unused);
}

/* Tables are not dropped: their predictions hold, only their verdicts are made anew. */
void km_decide_set_settings(struct km_decide *d, const struct km_decide_settings *settings)
{
	struct decide_context *fresh = decide_context_create(settings);
	struct decide_context *unused = fresh;

	if (fresh == NULL) {
		km_log_error("decide", "old settings kept error=memory");
		return;
	}
	pthread_mutex_lock(&d->lock);
	if (!same_settings(&fresh->settings, &d->context->settings)) {
		use_model(fresh, d->context->model);
		unused = d->context;
		d->context = fresh;
	}
	pthread_mutex_unlock(&d->lock);
	decide_context_unref(unused);
}

struct km_model *km_decide_get_model(struct km_decide *d)
{
	struct decide_context *c = decide_context_get(d);
	struct km_model *m = c->model != NULL ? km_model_ref(c->model) : NULL;

	decide_context_unref(c);
	return m;
}

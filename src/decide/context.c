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
	km_policies_unref(c->policies);
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
	       a->unknown_slowdown == b->unknown_slowdown && a->ledger_off == b->ledger_off &&
	       decide_same_key(&key_a, &key_b);
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
	c->range_high = info.range_high;
}

/* What is to be another; the rest stays. */
struct change {
	const struct km_decide_settings *settings; /* NULL = as they are */
	bool model_given, policies_given;
	struct km_model *model;
	struct km_policies *policies;
	const bool *feed, *effects; /* NULL = as it is */
};

/* Is anything of it not so already? Under the lock. */
static bool changes(const struct change *to, const struct decide_context *now,
                    const struct km_decide_settings *settings)
{
	return (to->settings != NULL && !same_settings(settings, &now->settings)) ||
	       (to->model_given && to->model != now->model) ||
	       (to->policies_given && to->policies != now->policies) ||
	       (to->feed != NULL && *to->feed != now->feed) ||
	       (to->effects != NULL && *to->effects != now->effects);
}

/*
 * A new context with the rest from the current one: all parts are chosen under the lock, or two
 * threads could undo each other's change. Predictions are of a model and of what is told to it;
 * settings and policies leave them, only verdicts are made anew.
 */
static void change(struct km_decide *d, const struct change *to, const char *kept)
{
	struct decide_context *fresh = calloc(1, sizeof(*fresh));
	struct decide_context *unused = fresh;
	bool predictions_hold = true;

	if (fresh == NULL) {
		km_log_error("decide", "old %s kept error=memory", kept);
		return;
	}
	atomic_init(&fresh->refs, 1);
	if (to->settings != NULL) {
		keep_settings(fresh, to->settings);
	}
	pthread_mutex_lock(&d->lock);
	if (changes(to, d->context, &fresh->settings)) {
		unused = d->context;
		if (to->settings == NULL) {
			fresh->settings = unused->settings;
			fresh->rules = unused->rules;
		}
		use_model(fresh, to->model_given ? to->model : unused->model);
		fresh->policies = to->policies_given ? to->policies : unused->policies;
		if (fresh->policies != NULL) {
			(void)km_policies_ref(fresh->policies);
		}
		fresh->feed = to->feed != NULL ? *to->feed : unused->feed;
		fresh->effects = to->effects != NULL ? *to->effects : unused->effects;
		predictions_hold = decide_predicts_alike(fresh, unused);
		d->context = fresh;
	}
	pthread_mutex_unlock(&d->lock);
	if (!predictions_hold) {
		decide_drop_tables(d);
	}
	decide_context_unref(unused);
}

bool decide_predicts_alike(const struct decide_context *a, const struct decide_context *b)
{
	return a->model == b->model && a->feed == b->feed && a->effects == b->effects;
}

void km_decide_set_model(struct km_decide *d, struct km_model *m)
{
	change(d, &(struct change){ .model_given = true, .model = m }, "model");
}

void km_decide_set_policies(struct km_decide *d, struct km_policies *p)
{
	change(d, &(struct change){ .policies_given = true, .policies = p }, "policies");
}

void km_decide_set_settings(struct km_decide *d, const struct km_decide_settings *settings)
{
	change(d, &(struct change){ .settings = settings }, "settings");
}

void decide_set_flags(struct km_decide *d, const bool *feed, const bool *effects)
{
	change(d, &(struct change){ .feed = feed, .effects = effects }, "feed");
}

struct km_policies *km_decide_get_policies(struct km_decide *d)
{
	struct decide_context *c = decide_context_get(d);
	struct km_policies *p = c->policies != NULL ? km_policies_ref(c->policies) : NULL;

	decide_context_unref(c);
	return p;
}

struct km_model *km_decide_get_model(struct km_decide *d)
{
	struct decide_context *c = decide_context_get(d);
	struct km_model *m = c->model != NULL ? km_model_ref(c->model) : NULL;

	decide_context_unref(c);
	return m;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger's side of decisions: what a pod feed tells, and the reservations that our own answers
 * make. The ledger itself has no lock and no clock; both are here.
 */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "decide_internal.h"

bool decide_same_kind(const struct km_pod_kind *a, const struct km_pod_kind *b)
{
	uint64_t rps_a;
	uint64_t rps_b;

	memcpy(&rps_a, &a->rps, sizeof(rps_a));
	memcpy(&rps_b, &b->rps, sizeof(rps_b));
	return a->service == b->service && a->policy == b->policy && a->effects == b->effects &&
	       rps_a == rps_b && memcmp(a->class_name, b->class_name, sizeof(a->class_name)) == 0;
}

bool decide_ledger_off(struct km_decide *d)
{
	struct decide_context *c = decide_context_get(d);
	bool off = c->settings.ledger_off;

	decide_context_unref(c);
	return off;
}

double decide_window_s(const struct decide_context *c)
{
	return c->schema != NULL ? c->schema->window_s : DECIDE_WINDOW_S;
}

int64_t decide_window_end_ns(const struct km_host_features *f)
{
	if (f == NULL) {
		return INT64_MAX;
	}
	return f->window_end_mono_ns != 0 ? f->window_end_mono_ns : f->measured_mono_ns;
}

void decide_ledger_expire(struct km_decide *d, const struct decide_context *c, int64_t now_ns)
{
	int64_t ttl_ns = c->settings.reservation_ttl_ns;

	if (c->feed && !atomic_load_explicit(&d->feed_late, memory_order_relaxed)) {
		ttl_ns = KM_DECIDE_CONFIRM_NS;
	} else if (ttl_ns <= 0) {
		ttl_ns = (int64_t)(decide_window_s(c) * 1e9);
	}
	km_ledger_expire(d->ledger, now_ns, ttl_ns);
}

/*
 * The policy's place; with `add` one for it, if there is room. A feed tells of a thousand policies
 * at most; names that came and went leave places that are taken again. Under ledger_lock.
 */
static struct decide_ready *ready_of(struct km_decide *d, uint64_t policy, bool add)
{
	struct decide_ready *vacant = NULL;

	for (size_t i = 0; i < DECIDE_READY; i++) {
		struct decide_ready *r = &d->ready[(policy + i) & (DECIDE_READY - 1)];

		if (r->policy == policy) {
			return r;
		}
		if (r->count == 0 && r->rps <= 0 && vacant == NULL) {
			vacant = r;
		}
		if (r->policy == 0) {
			break;
		}
	}
	return add ? vacant : NULL;
}

double decide_ready_pods(struct km_decide *d, const struct decide_context *c, uint64_t policy)
{
	const struct decide_ready *told;
	uint32_t count;

	if (!c->feed) {
		return NAN;
	}
	pthread_mutex_lock(&d->ledger_lock);
	told = ready_of(d, policy, false);
	count = told != NULL && told->count > 0 ? told->count
	                                        : km_ledger_service_count(d->ledger, policy);
	pthread_mutex_unlock(&d->ledger_lock);
	return count;
}

/* Is every node as it was when the answer was made? Under ledger_lock. */
static bool as_seen(struct km_decide *d, const struct decide_view *view, uint64_t uid,
                    const struct decide_place *place, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct decide_busy *b =
			place[i].at >= 0 ? decide_busy_at(view->overlay, place[i].at) : NULL;
		struct km_ledger_busy now;
		size_t items = km_ledger_items(d->ledger, place[i].key, uid, NULL, 0, &now);

		if (b == NULL ? items > 0 : items == 0 || now.digest != b->digest) {
			return false;
		}
	}
	return true;
}

bool decide_reserve(struct km_decide *d, const struct decide_view *view,
                    const struct km_subject *who, const struct decide_place *place, size_t count,
                    bool anyway)
{
	int64_t now_ns = km_clock_mono_ns(d->clock);
	/* Without a feed nobody tells when it runs: from now on, as far as anybody knows. */
	int64_t running_ns = view->context->feed ? KM_DECIDE_NOT_YET : now_ns;
	uint64_t node[KM_LEDGER_SHARED_MAX];
	bool done = true;

	for (size_t i = 0; i < count; i++) {
		node[i] = place[i].key;
	}
	pthread_mutex_lock(&d->ledger_lock);
	if (!anyway && km_ledger_revision(d->ledger) != view->revision) {
		done = as_seen(d, view, who->uid, place, count);
	}
	if (done) {
		km_ledger_reserve(d->ledger, who->uid, &who->kind, node, count, now_ns, running_ns);
	}
	pthread_mutex_unlock(&d->ledger_lock);
	return done;
}

/* ---- the feed ---- */
void km_decide_set_feed(struct km_decide *d, bool live)
{
	decide_set_flags(d, &live, NULL);
	km_decide_set_feed_late(d, false);
	if (!live) {
		pthread_mutex_lock(&d->ledger_lock);
		km_ledger_clear(d->ledger);
		memset(d->ready, 0, sizeof(d->ready));
		pthread_mutex_unlock(&d->ledger_lock);
	}
}

void km_decide_set_feed_late(struct km_decide *d, bool late)
{
	atomic_store_explicit(&d->feed_late, late, memory_order_relaxed);
}

void km_decide_ready_pods(struct km_decide *d, uint64_t policy, uint32_t ready)
{
	struct decide_ready *r;

	if (policy == 0) {
		return;
	}
	pthread_mutex_lock(&d->ledger_lock);
	r = ready_of(d, policy, ready > 0);
	if (r != NULL) {
		*r = (struct decide_ready){ policy, ready, r->policy == policy ? r->rps : 0 };
	}
	pthread_mutex_unlock(&d->ledger_lock);
}

void km_decide_policy_rps(struct km_decide *d, uint64_t policy, double rps)
{
	bool known = rps > 0 && isfinite(rps);
	struct decide_ready *r;

	if (policy == 0) {
		return;
	}
	pthread_mutex_lock(&d->ledger_lock);
	r = ready_of(d, policy, known);
	if (r != NULL) {
		*r = (struct decide_ready){ policy, r->policy == policy ? r->count : 0,
			                    known ? rps : 0 };
	}
	pthread_mutex_unlock(&d->ledger_lock);
}

double decide_policy_rps(struct km_decide *d, uint64_t policy)
{
	const struct decide_ready *told;
	double rps;

	pthread_mutex_lock(&d->ledger_lock);
	told = ready_of(d, policy, false);
	rps = told != NULL && told->rps > 0 ? told->rps : NAN;
	pthread_mutex_unlock(&d->ledger_lock);
	return rps;
}

void km_decide_pod_bound(struct km_decide *d, const struct km_pod *pod, struct km_name node,
                         int64_t running_ns)
{
	uint64_t key = decide_node_key(node.text, node.len);
	int64_t now_ns = km_clock_mono_ns(d->clock);
	struct km_subject who;

	km_decide_subject(d, pod, &who);
	pthread_mutex_lock(&d->ledger_lock);
	km_ledger_bound(d->ledger, who.uid, &who.kind, key, now_ns, running_ns);
	pthread_mutex_unlock(&d->ledger_lock);
	decide_watch_bound(d, who.uid, running_ns);
}

void km_decide_pod_running(struct km_decide *d, struct km_name uid, int64_t running_ns)
{
	uint64_t key = decide_uid_key(uid);

	pthread_mutex_lock(&d->ledger_lock);
	km_ledger_running(d->ledger, key, running_ns);
	pthread_mutex_unlock(&d->ledger_lock);
	decide_watch_running(d, key, running_ns);
}

void km_decide_pod_gone(struct km_decide *d, struct km_name uid)
{
	uint64_t key = decide_uid_key(uid);

	pthread_mutex_lock(&d->ledger_lock);
	km_ledger_gone(d->ledger, key);
	pthread_mutex_unlock(&d->ledger_lock);
	decide_watch_gone(d, key);
}

void km_decide_set_platform(struct km_decide *d, struct km_name node, uint64_t platform)
{
	uint64_t key = decide_node_key(node.text, node.len);

	pthread_mutex_lock(&d->ledger_lock);
	km_ledger_set_platform(d->ledger, key, platform);
	pthread_mutex_unlock(&d->ledger_lock);
}

void km_decide_attach_effects(struct km_decide *d, struct km_effects *e)
{
	bool known = decide_effects_known(e);

	pthread_mutex_lock(&d->effects_lock);
	d->effects = e;
	pthread_mutex_unlock(&d->effects_lock);
	atomic_fetch_add_explicit(&d->effects_revision, 1, memory_order_relaxed);
	decide_set_flags(d, NULL, &known);
}

void km_decide_ledger_stats(struct km_decide *d, struct km_ledger_stats *out)
{
	pthread_mutex_lock(&d->ledger_lock);
	km_ledger_stats(d->ledger, out);
	pthread_mutex_unlock(&d->ledger_lock);
}

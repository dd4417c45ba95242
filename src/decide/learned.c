/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was learned beside the model: what pods of a class add to counters, and what pods do to one
 * another. Both change all the time, so each is behind a lock that is held for one question.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "km/base/hash.h"

#include "decide_internal.h"

#define EFFECTS_SEED UINT64_C(0x6b6d656666656374)

/* ---- footprints ---- */
static bool declared(const struct decide_context *c, const struct km_pod_kind *kind,
                     struct km_footprint *out)
{
	const struct km_policy *p =
		kind->policy != 0 ? km_policies_find(c->policies, kind->policy) : NULL;

	if (p == NULL || p->footprint_count == 0) {
		return false;
	}
	*out = (struct km_footprint){ .count = 0 };
	for (int q = 0; q < KM_QUANTITY_N; q++) {
		out->spread[q] = NAN;
	}
	for (size_t i = 0; i < p->footprint_count; i++) {
		int q = km_quantity_parse(p->footprint[i].quantity);

		if (q >= 0) {
			out->mean[q] = p->footprint[i].per_s;
		}
	}
	return true;
}

bool decide_footprint(struct km_decide *d, const struct decide_context *c,
                      const struct km_pod_kind *kind, struct km_footprint *out)
{
	bool known = declared(c, kind, out);

	if (!known && kind->class_name[0] != '\0') {
		pthread_mutex_lock(&d->footprints_lock);
		known = km_footprints_get(d->footprints, kind->class_name, out);
		pthread_mutex_unlock(&d->footprints_lock);
	}
	return known;
}

/*
 * How many CPUs are a node's own is not published; the nodes of one host are taken to share those
 * that are not outside of all evenly.
 */
void decide_footprint_base(const struct km_host_features *f, uint32_t node,
                           struct km_footprint_base *out)
{
	double nothing[KM_METRIC_N];
	double node_cpus;
	double cpus;

	if (f->readings == NULL || node >= f->readings->node_count) {
		for (int m = 0; m < KM_METRIC_N; m++) {
			nothing[m] = NAN;
		}
		km_footprint_base(nothing, NAN, nothing, NAN, out);
		return;
	}
	cpus = f->readings->cpu_count;
	node_cpus = (cpus - f->outside_cpus) / f->node_count;
	if (f->readings->told_host_cpus > 0) {
		cpus = f->readings->told_host_cpus;
		node_cpus = f->readings->told_node_cpus;
	}
	km_footprint_base(km_readings_node(f->readings, node), node_cpus,
	                  km_readings_host(f->readings), cpus, out);
}

/* ---- effects ---- */
bool decide_effects_known(const struct km_effects *e)
{
	struct km_effect general;

	if (e == NULL) {
		return false;
	}
	km_effects_predict(e, 0, 0, 0, &general);
	return isfinite(general.sd);
}

uint64_t km_decide_effects_key(const char *name, size_t len)
{
	uint64_t key = km_hash64(name, len, EFFECTS_SEED);

	return key != 0 ? key : 1;
}

bool decide_effect(struct km_decide *d, const struct decide_context *c, uint64_t platform,
                   uint64_t subject, uint64_t neighbour, struct km_effect *out)
{
	bool attached;

	if (!c->effects) {
		return false;
	}
	pthread_mutex_lock(&d->effects_lock);
	attached = d->effects != NULL;
	if (attached) {
		km_effects_predict(d->effects, platform, subject, neighbour, out);
	}
	pthread_mutex_unlock(&d->effects_lock);
	/* Before the first observation it is infinite: nothing is known at all. */
	return attached && isfinite(out->sd) && isfinite(out->log_slowdown);
}

int km_decide_observe_effect(struct km_decide *d, uint64_t platform, uint64_t subject,
                             uint64_t neighbour, double log_slowdown, double weight)
{
	int rc = -ENOENT;
	bool first = false;

	pthread_mutex_lock(&d->effects_lock);
	if (d->effects != NULL) {
		first = !decide_effects_known(d->effects);
		rc = km_effects_observe(d->effects, platform, subject, neighbour, log_slowdown,
		                        weight);
	}
	pthread_mutex_unlock(&d->effects_lock);
	if (rc == 0) {
		atomic_fetch_add_explicit(&d->effects_revision, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&d->effects_learned, 1, memory_order_relaxed);
		if (first) {
			decide_set_flags(d, NULL, &(bool){ true });
		}
	}
	km_counter_add(rc == 0 ? d->stats.effects_learned : d->stats.effects_dropped, 1);
	return rc;
}

void km_decide_write_effects(struct km_decide *d, struct km_buf *out)
{
	pthread_mutex_lock(&d->effects_lock);
	if (d->effects != NULL) {
		km_effects_write(d->effects, out);
	}
	pthread_mutex_unlock(&d->effects_lock);
}

uint64_t km_decide_learned_effects(struct km_decide *d)
{
	return atomic_load_explicit(&d->effects_learned, memory_order_relaxed);
}

double decide_unknown_log(const struct decide_context *c)
{
	double slowdown = c->settings.unknown_slowdown;

	return slowdown > 1 && isfinite(slowdown) ? log(slowdown) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From windows to what others see: immutable pictures of each host, new whenever something changed;
 * and the two changes that start windows anew, another schema and another map of nodes. Sampler
 * thread.
 */
#include <string.h>

#include "km/base/log.h"

#include "agent_internal.h"

static struct km_schema *take_next_schema(struct km_agent *a)
{
	struct km_schema *next;

	pthread_mutex_lock(&a->lock);
	next = a->next_schema;
	a->next_schema = NULL;
	pthread_mutex_unlock(&a->lock);
	return next;
}

/* Windows of another shape for every host, or for none. */
static int create_windows(struct km_agent *a, const struct km_schema *schema, struct km_err *err)
{
	for (size_t i = 0; i < a->host_count; i++) {
		struct agent_host *h = &a->host[i];
		int ret =
			km_features_create(schema, h->cpus, h->node_count, &h->next_features, err);

		if (ret != 0) {
			for (; i > 0; i--) {
				km_features_free(a->host[i - 1].next_features);
				a->host[i - 1].next_features = NULL;
			}
			return ret;
		}
	}
	return 0;
}

/* Windows of another shape begin: what was measured in the old ones is no data for them. */
static void use_windows(struct agent_host *h, struct km_features *features)
{
	h->version_base += km_features_version(h->features);
	km_features_free(h->features);
	h->features = features;
	h->measured_mono_ns = 0;
	h->measured_wall_ns = 0;
	h->changed = true;
	km_host_features_unref(h->published);
	h->published = NULL;
}

void agent_change_schema(struct km_agent *a)
{
	struct km_schema *next = take_next_schema(a);
	struct km_err err = { 0 };
	bool same;

	if (next == NULL) {
		return;
	}
	/* a reload of the model that is there already must not cost the windows */
	same = next->hash == a->schema->hash && next->count == a->schema->count;
	if (!same && create_windows(a, next, &err) != 0) {
		km_log_error("agent", "old model's windows kept reason=\"%s\"", err.text);
		km_schema_unref(next);
		return;
	}
	for (size_t i = 0; i < a->host_count; i++) {
		struct agent_host *h = &a->host[i];

		h->changed = true;
		if (same) {
			continue;
		}
		use_windows(h, h->next_features);
		h->next_features = NULL;
	}
	km_schema_unref(a->schema);
	a->schema = next;
}

void agent_change_nodemap(struct km_agent *a, struct agent_host *h, int64_t now_ns)
{
	struct km_features *features;
	struct km_err err = { .code = 0 };

	if (h->merge == NULL || now_ns < h->nodemap_ns || !agent_nodemap_follows(h) ||
	    !agent_nodemap_look(a, h, now_ns, h->next_cpus)) {
		return;
	}
	if (km_features_create(a->schema, h->next_cpus, h->node_count, &features, &err) != 0) {
		km_log_error("agent", "old node map kept reason=\"%s\"", err.text);
		return;
	}
	memcpy(h->cpus, h->next_cpus, h->node_count * sizeof(h->cpus[0]));
	use_windows(h, features);
}

static uint32_t outside_cpus(const struct agent_host *h)
{
	uint32_t outside = 0;

	for (uint32_t cpu = 0; cpu < h->cpu_count; cpu++) {
		bool inside = false;

		for (size_t i = 0; i < h->node_count && !inside; i++) {
			inside = km_cpuset_has(&h->cpus[i], cpu);
		}
		outside += !inside;
	}
	return outside;
}

/* A new immutable picture of the host; rows are computed only when a bin closed. */
static struct km_host_features *snapshot(const struct km_agent *a, const struct agent_host *h)
{
	const struct km_host_features *last = h->published;
	uint64_t bins = km_features_version(h->features);
	uint64_t version = bins == 0 ? 0 : h->version_base + bins;
	struct km_host_features *p = km_host_features_create(a->schema, (uint32_t)h->node_count);

	if (p == NULL) {
		return NULL;
	}
	p->host = h->index;
	p->version = version;
	p->measured_mono_ns = h->measured_mono_ns;
	p->measured_wall_ns = h->measured_wall_ns;
	p->covered_s = km_features_covered_s(h->features);
	p->tier = km_features_tier(h->features);
	p->outside_cpus = outside_cpus(h);
	p->window_end_mono_ns = h->measured_mono_ns;
	if (last != NULL && last->version == version) {
		p->window_end_mono_ns = last->window_end_mono_ns;
		memcpy(p->row, last->row, h->node_count * a->schema->count * sizeof(p->row[0]));
		p->readings = last->readings != NULL ? km_readings_ref(last->readings) : NULL;
		return p;
	}
	p->readings = km_features_readings(h->features);
	for (size_t i = 0; i < h->node_count; i++) {
		(void)km_features_read(h->features, i, p->row + i * a->schema->count);
	}
	return p;
}

void agent_publish(struct km_agent *a)
{
	size_t count = 0;

	for (size_t i = 0; i < a->host_count; i++) {
		struct agent_host *h = &a->host[i];
		struct km_host_features *p;

		if (!h->changed) {
			continue;
		}
		p = snapshot(a, h);
		if (p == NULL) {
			continue; /* still changed: the next tick tries again */
		}
		h->changed = false;
		km_host_features_unref(h->published);
		h->published = p;
		a->batch[count++] = p;
	}
	if (count > 0) {
		a->sink.publish(a->sink.ctx, a->batch, count);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The newest bin's metrics as gauges: per node all of them, per host what is said of the whole, per
 * CPU the few that tell cores apart. What is not measured has no line.
 */
#include <inttypes.h>
#include <stdio.h>

#include "km/base/macros.h"

#include "api_internal.h"

#define NAME_MAX_BYTES 64

/* Of every CPU: with 128 of them some 800 lines. */
static const enum km_metric of_cpus[] = {
	KM_METRIC_BUSY_RATIO, KM_METRIC_STEAL_RATIO,   KM_METRIC_IPC,
	KM_METRIC_C0_RATIO,   KM_METRIC_L2_MISS_PER_S, KM_METRIC_L3_MISS_PER_S,
};

/* The first node of a host stands for it: hosts themselves have no name. */
static struct km_readings *host_of(const struct km_cluster_node *n)
{
	return n->features && n->row == 0 ? n->features->readings : NULL;
}

struct exposing {
	struct km_metrics_writer *w;
	const struct km_cluster_snapshot *s;
	size_t count;
	char name[NAME_MAX_BYTES]; /* of the family; the writer borrows it */
};

static void begin_family(struct exposing *e, const char *scope, enum km_metric m)
{
	const struct km_metric_info *info = km_metric_info(m);

	(void)snprintf(e->name, sizeof(e->name), "kubemarla_%s_%s", scope, info->name);
	km_metrics_family(e->w, KM_METRIC_GAUGE, e->name, info->help);
}

static void expose_node_metric(struct exposing *e, enum km_metric m)
{
	begin_family(e, "node", m);
	for (size_t i = 0; i < e->count; i++) {
		const struct km_cluster_node *n = &e->s->node[i];
		struct km_readings *r = n->features ? n->features->readings : NULL;

		if (r && n->row < r->node_count)
			km_metrics_sample(e->w, km_readings_node(r, n->row)[m], "node", n->name,
			                  KM_LABELS_END);
	}
}

static void expose_host_metric(struct exposing *e, enum km_metric m)
{
	begin_family(e, "host", m);
	for (size_t i = 0; i < e->count; i++) {
		struct km_readings *r = host_of(&e->s->node[i]);

		if (r)
			km_metrics_sample(e->w, km_readings_host(r)[m], "first_node",
			                  e->s->node[i].name, KM_LABELS_END);
	}
}

static void expose_cpu_metric(struct exposing *e, enum km_metric m)
{
	begin_family(e, "cpu", m);
	for (size_t i = 0; i < e->count; i++) {
		struct km_readings *r = host_of(&e->s->node[i]);

		for (uint32_t cpu = 0; r && cpu < r->cpu_count; cpu++) {
			char number[12];

			(void)snprintf(number, sizeof(number), "%" PRIu32, cpu);
			km_metrics_sample(e->w, km_readings_cpu(r, cpu)[m], "first_node",
			                  e->s->node[i].name, "cpu", number, KM_LABELS_END);
		}
	}
}

void km_api_expose_readings(struct km_metrics_writer *w, const struct km_cluster_snapshot *s,
                            size_t count)
{
	struct exposing e = { .w = w, .s = s, .count = count };

	for (unsigned m = 0; m < KM_METRIC_N; m++) {
		enum km_metric_of of = km_metric_info((enum km_metric)m)->of;

		if (of != KM_OF_HOST)
			expose_node_metric(&e, (enum km_metric)m);
		if (of != KM_OF_NODE)
			expose_host_metric(&e, (enum km_metric)m);
	}
	for (size_t i = 0; i < KM_ARRAY_LEN(of_cpus); i++)
		expose_cpu_metric(&e, of_cpus[i]);
}

const struct km_triage *km_api_triage(const struct km_cluster_snapshot *s, struct km_name name,
                                      struct km_triage *out)
{
	int64_t at = s ? km_cluster_find(s, name.text, name.len) : -1;
	const struct km_host_features *f = at >= 0 ? s->node[at].features : NULL;

	if (!f)
		return NULL;
	km_triage_node(f->readings, s->node[at].row, out);
	return out;
}

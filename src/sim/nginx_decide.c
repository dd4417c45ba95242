/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A minute as the daemon sees it: every machine's newest counters are published, then the service
 * is asked about as /prioritize would. A machine is a host with one node.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/arena.h"
#include "km/base/clock.h"
#include "km/cluster/cluster.h"
#include "km/core/host_features.h"
#include "km/decide/decide.h"

#include "nginx_internal.h"

#define MINUTE_NS (60 * KM_NS_PER_S)

struct nginx_decider {
	struct km_cluster *cluster;
	struct km_decide *decide;
	struct km_schema *schema; /* the model's */
	struct km_clock clock;
	struct km_arena arena;
	int64_t now_ns;
	uint64_t version;
	uint32_t *column; /* [schema->count], into the dataset's schema */
	size_t nodes;
	char name[NGINX_NODES_MAX][32];
	const char *name_of[NGINX_NODES_MAX];
};

static int64_t now_of(void *ctx)
{
	return ((const struct nginx_decider *)ctx)->now_ns;
}

static int make(struct nginx_decider *d, const struct km_sim_options *o, struct km_model *m,
                bool feed, struct km_err *err)
{
	struct km_decide_settings settings;
	struct km_cluster_host host[NGINX_NODES_MAX];
	int rc = sim_decide_settings(o, &settings, err);

	for (size_t i = 0; i < d->nodes; i++) {
		(void)snprintf(d->name[i], sizeof(d->name[i]), "machine-%zu", i);
		d->name_of[i] = d->name[i];
		host[i] = (struct km_cluster_host){ &d->name_of[i], 1 };
	}
	if (rc == 0)
		rc = km_cluster_create(host, d->nodes, &d->cluster, err);
	if (rc == 0)
		rc = km_decide_create(&settings, d->cluster, &d->clock, NULL, &d->decide, err);
	if (rc == 0) {
		km_decide_set_model(d->decide, m);
		/* Nothing of the service is there before; with a feed that is known. */
		km_decide_set_feed(d->decide, feed);
	}
	return rc;
}

int nginx_decider_create(const struct km_sim_options *o, struct km_model *m, bool feed,
                         struct nginx_decider **out, struct km_err *err)
{
	struct nginx_decider *d = calloc(1, sizeof(*d));
	int rc;

	*out = NULL;
	if (d == NULL)
		return km_err_set(err, ENOMEM, "nginx: out of memory");
	d->nodes = o->nodes;
	d->now_ns = MINUTE_NS;
	d->clock = (struct km_clock){ .mono_ns = now_of, .wall_ns = now_of, .ctx = d };
	d->schema = km_schema_ref(km_model_schema(m));
	km_arena_init(&d->arena, 1u << 16);
	rc = make(d, o, m, feed, err);
	if (rc != 0) {
		nginx_decider_free(d);
		return rc;
	}
	*out = d;
	return 0;
}

void nginx_decider_free(struct nginx_decider *d)
{
	if (d == NULL)
		return;
	km_decide_free(d->decide);
	km_cluster_free(d->cluster);
	km_schema_unref(d->schema);
	km_arena_fini(&d->arena);
	free(d->column);
	free(d);
}

static int find_columns(struct nginx_decider *d, const struct km_schema *from)
{
	if (d->column != NULL)
		return 0;
	d->column = calloc(d->schema->count + 1, sizeof(*d->column));
	if (d->column == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->schema->count; i++) {
		while (strcmp(from->feature[d->column[i]].name, d->schema->feature[i].name) != 0)
			d->column[i]++; /* the dataset was opened with all columns of the model */
	}
	return 0;
}

static struct km_host_features *host_of(struct nginx_decider *d, const struct km_dataset *data,
                                        const struct km_dataset_row *row, size_t window,
                                        uint32_t host)
{
	struct km_host_features *h = km_host_features_create(d->schema, 1);
	float all[KM_FEATURES_MAX];

	if (h == NULL)
		return NULL;
	km_dataset_features(data, row, KM_LAYOUT_RECORDED, window, all);
	h->host = host;
	h->version = d->version;
	h->measured_mono_ns = d->now_ns;
	h->measured_wall_ns = d->now_ns;
	h->covered_s = d->schema->window_s;
	h->tier = d->schema->tier;
	for (uint32_t i = 0; i < d->schema->count; i++) {
		if (d->schema->feature[i].scope < KM_SCOPE_POD)
			h->row[i] = (double)all[d->column[i]];
	}
	return h;
}

static int publish(struct nginx_decider *d, const struct km_dataset *data,
                   const struct km_dataset_row *row, const size_t *window)
{
	struct km_host_features *host[NGINX_NODES_MAX] = { NULL };
	int rc = 0;

	d->now_ns += MINUTE_NS;
	d->version++;
	for (size_t i = 0; rc == 0 && i < d->nodes; i++) {
		host[i] = host_of(d, data, &row[i], window[i], (uint32_t)i);
		rc = host[i] != NULL ? 0 : -ENOMEM;
	}
	if (rc == 0)
		rc = km_cluster_publish(d->cluster, host, d->nodes);
	for (size_t i = 0; i < d->nodes; i++)
		km_host_features_unref(host[i]);
	return rc;
}

int nginx_decider_ask(struct nginx_decider *d, const struct km_dataset *data,
                      const struct km_dataset_row *row, const size_t *window, size_t nodes,
                      const struct nginx_load *load, double *score)
{
	struct km_verdict verdict[NGINX_NODES_MAX];
	struct km_name name[NGINX_NODES_MAX];
	struct km_workload w;
	int rc = find_columns(d, km_dataset_schema(data));

	if (rc == 0)
		rc = publish(d, data, row, window);
	if (rc != 0)
		return rc;
	km_decide_default_workload(d->decide, &w);
	w.rps = (double)load->rps;
	w.replicas = (double)load->replicas;
	for (size_t i = 0; i < nodes; i++)
		name[i] = (struct km_name){ d->name[i], (uint32_t)strlen(d->name[i]) };
	km_arena_reset(&d->arena);
	rc = km_decide_verdicts(d->decide, &w, name, nodes, &d->arena, verdict);
	for (size_t i = 0; rc == 0 && i < nodes; i++)
		score[i] = verdict[i].score;
	return rc;
}

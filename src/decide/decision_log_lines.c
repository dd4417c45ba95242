/* SPDX-License-Identifier: Apache-2.0 */
/* From a call and its picture to lines. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decision_log_internal.h"

#define NS_PER_US 1000

void log_forget(struct log_told *t)
{
	free(t->version);
	*t = (struct log_told){ .begun = false };
}

/* returns 0 or -ENOMEM. */
static int tell_nodes(struct log_told *t, const struct km_cluster_snapshot *s, struct km_buf *out)
{
	struct km_name *name = calloc((size_t)s->node_count + 1, sizeof(*name));
	uint64_t *version = calloc((size_t)s->node_count + 1, sizeof(*version));

	if (name == NULL || version == NULL) {
		free(name);
		free(version);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < s->node_count; i++) {
		name[i] = (struct km_name){ s->node[i].name, s->node[i].name_len };
	}
	km_decision_line_nodes(out, name, s->node_count);
	free(name);
	free(t->version);
	t->version = version;
	t->node_count = s->node_count;
	t->topology = s->topology;
	return 0;
}

/* Rows of another schema are other rows, whatever their versions say. */
static void tell_schema(struct log_told *t, const struct km_schema *schema, struct km_buf *out)
{
	if (t->schema_hash == schema->hash) {
		return;
	}
	t->schema_hash = schema->hash;
	memset(t->version, 0, t->node_count * sizeof(*t->version));
	km_decision_line_schema(out, schema);
}

static void tell_row(struct log_told *t, const struct km_cluster_snapshot *s, uint32_t node,
                     struct km_buf *out)
{
	const struct km_cluster_node *n = &s->node[node];
	const struct km_host_features *f = n->features;
	double value[KM_FEATURES_MAX];
	struct km_logged_row logged;
	const double *row;
	size_t count = 0;

	if (f == NULL || f->version == 0) {
		return;
	}
	tell_schema(t, f->schema, out);
	if (t->version[node] == f->version) {
		return;
	}
	row = km_host_features_row(f, n->row);
	for (uint32_t i = 0; i < f->schema->count && count < KM_FEATURES_MAX; i++) {
		if (f->schema->feature[i].scope < KM_SCOPE_POD) {
			value[count++] = row[i];
		}
	}
	logged = (struct km_logged_row){ node,    f->version, f->window_end_mono_ns,
		                         f->tier, count,      value };
	km_decision_line_row(out, &logged);
	t->version[node] = f->version;
}

static int64_t age_us(const struct km_cluster_node *n, int64_t at_ns)
{
	const struct km_host_features *f = n->features;
	int64_t age_ns;

	if (f == NULL || f->measured_mono_ns == 0) {
		return -1;
	}
	age_ns = at_ns - f->measured_mono_ns;
	return age_ns > 0 ? age_ns / NS_PER_US : 0;
}

/* Looks the candidates up, tells their rows and then the decision. */
static void tell_decision(struct log_told *t, const struct log_item *item, int64_t *node,
                          int64_t *age, struct km_buf *out)
{
	const struct km_cluster_snapshot *s = item->snapshot;
	struct km_logged_decision d = item->decision;

	km_cluster_find_many(s, item->name, d.count, node);
	for (size_t i = 0; i < d.count; i++) {
		age[i] = -1;
		if (node[i] >= 0) {
			tell_row(t, s, (uint32_t)node[i], out);
			age[i] = age_us(&s->node[node[i]], d.at_ns);
		}
	}
	d.node = node;
	d.name = item->name;
	d.age_us = age;
	km_decision_line_decision(out, &d);
}

int log_spell(struct log_told *t, const struct km_decide_settings *s, const struct log_item *item,
              struct km_buf *out)
{
	size_t count = item->decision.count;
	int64_t *node = calloc(2 * count + 1, sizeof(*node));
	int rc = node != NULL ? 0 : -ENOMEM;

	if (rc == 0 && !t->begun) {
		km_decision_line_settings(out, s, item->decision.wall_ns);
		t->begun = true;
	}
	if (rc == 0 && (t->version == NULL || t->topology != item->snapshot->topology)) {
		rc = tell_nodes(t, item->snapshot, out);
	}
	if (rc == 0) {
		tell_decision(t, item, node, node + count, out);
	}
	free(node);
	if (rc == 0 && !km_buf_ok(out)) {
		rc = -ENOMEM;
	}
	if (rc != 0) {
		log_forget(t);
	}
	return rc;
}

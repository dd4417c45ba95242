/* SPDX-License-Identifier: Apache-2.0 */
/* A plan from its first byte to a validated struct. */
#include "km/plan/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/file.h"

#include "plan_internal.h"

static bool is(const struct km_tree *map, const char *key, const char *text)
{
	const struct km_tree *v = km_tree_get(map, key);

	return v != NULL && v->kind == KM_TREE_SCALAR && strcmp(v->text, text) == 0;
}

int km_plan_parse(const char *name, const char *text, size_t len, struct km_plan **out,
                  struct km_err *err)
{
	struct km_conf_ctx c = { .file = name, .err = err, .manual = PLAN_MANUAL };
	struct km_tree_doc *doc = NULL;
	struct km_settings host = { .node = NULL };
	struct km_plan *p = calloc(1, sizeof(*p));
	const struct km_tree *root;
	int rc;

	*out = NULL;
	if (p == NULL)
		return km_conf_no_memory(&c);
	rc = km_tree_parse(name, text, len, &doc, err);
	if (rc != 0)
		goto out;
	root = km_tree_root(doc);
	/* Counters of this host are of nodes on it; without them nodes may be anywhere. */
	c.hosts_apart =
		is(root, "mode", "cluster") && is(km_tree_get(root, "cluster"), "recorder", "none");
	rc = km_conf_host(&c, root, &host);
	if (rc != 0)
		goto out;
	p->node = host.node;
	p->node_count = host.node_count;
	p->collect = host.collect;
	host.node = NULL;
	host.node_count = 0;
	memset(&host.collect, 0, sizeof(host.collect));
	rc = km_conf_apply_all(&c, &plan_table, root, p);
	if (rc == 0)
		rc = plan_check(&c, p, root);
out:
	km_settings_fini(&host);
	km_tree_free(doc);
	if (rc == 0)
		*out = p;
	else
		km_plan_free(p);
	return rc;
}

/* A relative trace lies beside the plan that names it. returns owned, NULL without memory. */
static char *beside(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	char *out = NULL;

	if (name[0] == '/' || slash == NULL)
		return strdup(name);
	if (asprintf(&out, "%.*s/%s", (int)(slash - path), path, name) < 0)
		return NULL;
	return out;
}

int km_plan_load(const char *path, struct km_plan **out, struct km_err *err)
{
	struct km_plan *p = NULL;
	struct km_buf text;
	char *trace = NULL;
	int rc;

	*out = NULL;
	km_buf_init(&text);
	rc = km_file_read(path, KM_PLAN_MAX_BYTES, &text, err);
	if (rc == 0)
		rc = km_plan_parse(path, text.data != NULL ? text.data : "", text.len, &p, err);
	km_buf_fini(&text);
	if (p != NULL && p->load.profile == KM_PLAN_TRACE) {
		trace = beside(path, p->load.trace_path);
		rc = trace != NULL ? plan_read_trace(trace, p, err)
		                   : km_err_set(err, ENOMEM, "%.80s: out of memory", path);
		free(trace);
	}
	if (rc == 0)
		rc = plan_check_parts(path, p, err);
	if (rc == 0)
		*out = p;
	else
		km_plan_free(p);
	return rc;
}

void km_plan_free(struct km_plan *p)
{
	struct km_settings host = { .node = NULL };

	if (p == NULL)
		return;
	/* Its fini is the one place that knows what these own. */
	host.node = p->node;
	host.node_count = p->node_count;
	host.collect = p->collect;
	km_settings_fini(&host);
	free(p->target.program);
	free(p->load.program);
	free(p->load.trace_path);
	free(p->load.trace);
	free(p->kpi.prometheus);
	free(p->kpi.p99_query);
	free(p->kpi.rps_query);
	free(p->cluster.namespace);
	free(p->cluster.kubectl);
	free(p->cluster.context);
	free(p->cluster.image);
	free(p->cluster.load_image);
	free(p->cluster.lab_image);
	free(p);
}

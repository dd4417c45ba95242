/* SPDX-License-Identifier: Apache-2.0 */
/* Which hosts and nodes there are: from settings to an agent, from the agent to the picture. */
#include <errno.h>
#include <stdlib.h>

#include "km/base/log.h"

#include "app_internal.h"

/* Sampler thread: what the agent publishes becomes a picture, and a part of the cluster's. */
static void publish(void *ctx, struct km_host_features *const *hosts, size_t host_count)
{
	struct app *a = ctx;
	int64_t now_ns = km_clock_mono_ns(a->clock);

	app_kubernetes_local(a, hosts, host_count);
	if (km_cluster_publish(a->own, hosts, host_count) != 0)
		km_complain(&a->publish_trouble, now_ns, "app", "features lost error=memory");
	else
		km_recovered(&a->publish_trouble, "app", "features published again");
}

int app_agent_create(struct app *a, const struct km_settings *s, const struct km_schema *schema,
                     struct km_agent **out, struct km_err *err)
{
	*out = NULL;
	if ((a->started->roles & KM_ROLE_AGENT) == 0) /* roles wait for a restart */
		return 0;
	return km_agent_create(s, schema, a->clock, a->metrics,
	                       (struct km_agent_sink){ publish, a }, out, err);
}

/* The layout in the form that cluster reads: hosts [count] over one array of names. */
struct layout {
	struct km_cluster_host *host;
	const char **name;
	size_t count;
};

static int layout_alloc(struct layout *l, size_t hosts, size_t nodes)
{
	l->host = calloc(hosts + 1, sizeof(*l->host));
	l->name = calloc(nodes + 1, sizeof(*l->name));
	l->count = hosts;
	return l->host != NULL && l->name != NULL ? 0 : -ENOMEM;
}

static int layout_of_agent(const struct km_agent *agent, struct layout *l)
{
	size_t hosts = km_agent_host_count(agent);
	struct km_agent_host h;
	size_t nodes = 0;
	size_t at = 0;

	for (size_t i = 0; i < hosts; i++) {
		km_agent_host(agent, i, &h);
		nodes += h.node_count;
	}
	if (layout_alloc(l, hosts, nodes) != 0)
		return -ENOMEM;
	for (size_t i = 0; i < hosts; i++) {
		km_agent_host(agent, i, &h);
		l->host[i] = (struct km_cluster_host){ &l->name[at], h.node_count };
		for (size_t n = 0; n < h.node_count; n++)
			l->name[at++] = h.node[n]->name;
	}
	return 0;
}

/* Without an agent the nodes are known by name and never measured. */
static int layout_of_settings(const struct km_settings *s, struct layout *l)
{
	if (layout_alloc(l, 1, s->node_count) != 0)
		return -ENOMEM;
	l->host[0] = (struct km_cluster_host){ l->name, s->node_count };
	for (size_t n = 0; n < s->node_count; n++)
		l->name[n] = s->node[n].name;
	return 0;
}

int app_cluster_layout(struct app *a, const struct km_settings *s, const struct km_agent *agent,
                       struct km_err *err)
{
	struct layout l = { .count = 0 };
	int rc = agent != NULL ? layout_of_agent(agent, &l) : layout_of_settings(s, &l);

	if (rc != 0)
		rc = km_err_set(err, ENOMEM, "cluster layout: out of memory");
	else if (a->own == NULL)
		rc = km_cluster_create(l.host, l.count, &a->own, err);
	else
		rc = km_cluster_set_hosts(a->own, l.host, l.count, err);
	/* Nodes of the settings are placeholders where Kubernetes says which there are. */
	if (rc == 0)
		rc = app_kubernetes_hosts(a, l.host, agent != NULL ? l.count : 0, err);
	free(l.name);
	free(l.host);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The target in a cluster: a Deployment for each node that gets replicas, behind one Service. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "km/base/num.h"

#include "cluster.h"

#define NUMBER_MAX 24

static int render(struct km_rig *rig, size_t node, unsigned replicas, struct km_buf *out,
                  struct km_err *err)
{
	const struct km_plan *plan = rig->plan;
	char index[NUMBER_MAX];
	char count[NUMBER_MAX];
	char bytes[NUMBER_MAX];
	char workers[NUMBER_MAX];
	unsigned cpus = km_cpuset_count(&plan->node[node].cpus);
	const struct cluster_value value[] = {
		{ .name = "NAMESPACE", .value = plan->cluster.namespace },
		{ .name = "INDEX", .value = index },
		{ .name = "REPLICAS", .value = count },
		{ .name = "NODE", .value = plan->node[node].name },
		{ .name = "BODY_BYTES", .value = bytes },
		{ .name = "WORKERS", .value = workers },
		{ .name = "IMAGE",
		  .value = plan->cluster.image[0] != '\0' ? plan->cluster.image
		                                          : CLUSTER_TARGET_IMAGE },
	};

	(void)snprintf(index, sizeof(index), "%zu", node);
	(void)snprintf(count, sizeof(count), "%u", replicas);
	/* as locally one for each CPU of the node; nginx itself would count the host's */
	(void)snprintf(workers, sizeof(workers), "%u", cpus > 0 ? cpus : 1);
	(void)snprintf(bytes, sizeof(bytes), "%zu", plan->target.body_bytes);
	return cluster_render(CLUSTER_TARGET, value, KM_ARRAY_LEN(value), out, err);
}

/* Ready means that its probe got 200 for the body. */
static int wait_ready(struct km_rig *rig, size_t node, struct km_err *err)
{
	char name[NUMBER_MAX + 24];
	const char *const args[] = { "rollout", "status", name, "--timeout=170s", NULL };
	int rc;

	(void)snprintf(name, sizeof(name), "deployment/target-%zu", node);
	rc = cluster_kubectl(rig, args, NULL, CLUSTER_READY_NS, true, NULL, err);
	return rc == 0 ? 0 : km_err_prefix(err, "target on %.40s", rig->plan->node[node].name);
}

/* For a generator on this host: a node's address, and the Service's port on every node. */
static int find_address(struct km_rig *rig, size_t node, struct km_err *err)
{
	const char *const address[] = {
		"get",
		"node",
		rig->plan->node[node].name,
		"-o",
		"jsonpath={.status.addresses[?(@.type==\"InternalIP\")].address}",
		NULL
	};
	static const char *const port[] = {
		"get", "service", "target", "-o", "jsonpath={.spec.ports[0].nodePort}", NULL
	};
	struct cluster *c = rig->backend;
	struct local *l = &c->local;
	struct km_buf said;
	int64_t number = 0;
	size_t len;
	int rc;

	km_buf_init(&said);
	rc = cluster_kubectl(rig, address, NULL, CLUSTER_ASK_NS, true, &said, err);
	len = strcspn(km_buf_cstr(&said), " "); /* the first of several */
	if (rc == 0 && (len == 0 || len + 2 >= sizeof(l->host)))
		rc = km_err_set(err, EIO, "node %.60s: no InternalIP", rig->plan->node[node].name);
	if (rc == 0) {
		const char *ip = km_buf_cstr(&said);
		bool v6 = memchr(ip, ':', len) != NULL;

		(void)snprintf(l->host, sizeof(l->host), "%s%.*s%s", v6 ? "[" : "", (int)len, ip,
		               v6 ? "]" : "");
	}
	km_buf_clear(&said);
	rc = rc == 0 ? cluster_kubectl(rig, port, NULL, CLUSTER_ASK_NS, true, &said, err) : rc;
	if (rc == 0 && (km_num_int(said.len > 0 ? said.data : "", said.len, &number) != 0 ||
	                number < 1 || number > UINT16_MAX))
		rc = km_err_set(err, EIO, "service target: no nodePort");
	l->replica[0].port = (uint16_t)number;
	l->replicas = rc == 0 ? 1 : 0;
	km_buf_fini(&said);
	return rc;
}

int cluster_target_start(struct km_rig *rig, const size_t *node_of_replica, unsigned replicas,
                         struct km_err *err)
{
	static const char *const apply[] = { "apply", "-f", "-", NULL };
	unsigned on[KM_PLAN_NODES_MAX] = { 0 };
	struct cluster *c = rig->backend;
	struct km_buf text;
	int rc = 0;

	for (unsigned i = 0; i < replicas; i++)
		on[node_of_replica[i]]++;
	km_buf_init(&text);
	for (size_t n = 0; rc == 0 && n < rig->plan->node_count; n++)
		rc = on[n] > 0 ? render(rig, n, on[n], &text, err) : 0;
	c->serving = true;
	rc = rc == 0 ? cluster_kubectl(rig, apply, &text, CLUSTER_ASK_NS, true, NULL, err) : rc;
	km_buf_fini(&text);
	for (size_t n = 0; rc == 0 && n < rig->plan->node_count; n++)
		rc = on[n] > 0 ? wait_ready(rig, n, err) : 0;
	if (rc == 0 && rig->plan->load.cpus_given)
		rc = find_address(rig, node_of_replica[0], err);
	else if (rc == 0)
		c->local.replicas = replicas;
	return rc;
}

void cluster_target_stop(struct km_rig *rig)
{
	static const char *const remove[] = {
		"delete",        "deployments",          "-l",
		"app=target",    "--cascade=foreground", "--wait=true",
		"--timeout=60s", "--ignore-not-found",   NULL
	};
	struct cluster *c = rig->backend;
	struct km_err err = { .code = 0 };

	if (c == NULL || !c->serving)
		return;
	if (cluster_kubectl(rig, remove, NULL, CLUSTER_GONE_NS, false, NULL, &err) != 0)
		rig_say(rig, "the target may still be there: %s", err.text);
	c->serving = false;
	c->local.replicas = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster backend: nodes are Kubernetes', stressors pods, the target Deployments behind a
 * Service, the generator a Job, or a process on this host when the plan gives it CPUs. All in a
 * namespace that is made at open and deleted at close.
 */
#include "cluster.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/wire/stress_report.h"

#define OURS "kubemarla-lab" /* the label app.kubernetes.io/name of deploy/experiments */

/* A namespace of that name is deleted when it is ours (of a lab that is no more), else refused. */
static int clear_namespace(struct km_rig *rig, struct km_err *err)
{
	static const char path[] =
		"jsonpath={.metadata.name} {.metadata.labels.app\\.kubernetes\\.io/name}";
	const char *name = rig->plan->cluster.namespace;
	const char *const look[] = { "get", "namespace", name, "--ignore-not-found",
		                     "-o",  path,        NULL };
	const char *const remove[] = { "delete",      "namespace",     name,
		                       "--wait=true", "--timeout=60s", NULL };
	const char *label;
	struct km_buf said;
	int rc;

	km_buf_init(&said);
	rc = cluster_kubectl(rig, look, NULL, CLUSTER_ASK_NS, true, &said, err);
	label = strchr(km_buf_cstr(&said), ' ');
	if (rc == 0 && said.len > 0 && (label == NULL || strcmp(label + 1, OURS) != 0)) {
		rc = km_err_set(err, EEXIST,
		                "cluster.namespace: \"%.60s\" is there and not ours, want one that "
		                "the laboratory may make and delete",
		                name);
	} else if (rc == 0 && said.len > 0) {
		rc = cluster_kubectl(rig, remove, NULL, CLUSTER_GONE_NS, true, NULL, err);
	}
	km_buf_fini(&said);
	return rc;
}

/* Every node of the plan has to be one of the cluster. */
static int check_nodes(struct km_rig *rig, struct km_err *err)
{
	const struct km_plan *plan = rig->plan;
	const char *args[KM_PLAN_NODES_MAX + 5] = { "get", "nodes" };
	size_t n = 2;

	for (size_t i = 0; i < plan->node_count; i++)
		args[n++] = plan->node[i].name;
	args[n++] = "-o";
	args[n] = "name";
	return cluster_kubectl(rig, args, NULL, CLUSTER_ASK_NS, true, NULL, err);
}

static int make_namespace(struct km_rig *rig, struct km_err *err)
{
	static const char *const apply[] = { "apply", "-f", "-", NULL };
	struct cluster *c = rig->backend;
	char port[16];
	const struct cluster_value value[] = {
		{ .name = "NAMESPACE", .value = rig->plan->cluster.namespace },
		{ .name = "NODE_PORT", .value = port },
	};
	struct km_buf text;
	int rc;

	(void)snprintf(port, sizeof(port), "%u", rig->plan->cluster.node_port);
	km_buf_init(&text);
	rc = cluster_render(CLUSTER_NAMESPACE, value, KM_ARRAY_LEN(value), &text, err);
	rc = rc == 0 ? cluster_render(CLUSTER_SERVICE, value, KM_ARRAY_LEN(value), &text, err) : rc;
	c->made = rc == 0; /* some of it may be there even if this fails */
	rc = rc == 0 ? cluster_kubectl(rig, apply, &text, CLUSTER_ASK_NS, true, NULL, err) : rc;
	km_buf_fini(&text);
	return rc;
}

static int cluster_open(struct km_rig *rig, struct km_err *err)
{
	const struct km_plan *plan = rig->plan;
	const struct km_client_options client = { .timeout_ns = 2 * KM_NS_PER_S };
	struct cluster *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return km_err_set(err, ENOMEM, "rig: out of memory");
	rig->backend = c;
	c->local.no_status = true; /* behind a Service one cannot say which replica answers */
	if (plan->load.generator != KM_PLAN_VEGETA)
		return km_err_set(err, EINVAL, "load.generator: saw %s, want vegeta in a cluster",
		                  km_plan_generator_name(plan->load.generator));
	rc = km_client_create(&client, &c->local.client, err);
	if (rc == 0 && plan->load.cpus_given)
		rc = local_tools_generator(rig, err);
	rc = rc == 0 ? check_nodes(rig, err) : rc;
	rc = rc == 0 ? clear_namespace(rig, err) : rc;
	rc = rc == 0 ? make_namespace(rig, err) : rc;
	if (rc != 0)
		return rc;
	(void)snprintf(rig->facts.target, sizeof(rig->facts.target), "%s",
	               plan->cluster.image[0] != '\0' ? plan->cluster.image : CLUSTER_TARGET_IMAGE);
	(void)snprintf(rig->facts.groups, sizeof(rig->facts.groups), "pods of namespace %.40s",
	               plan->cluster.namespace);
	if (!plan->load.cpus_given) {
		(void)snprintf(rig->facts.generator, sizeof(rig->facts.generator),
		               "vegeta of %.50s",
		               plan->cluster.load_image[0] != '\0' ? plan->cluster.load_image
		                                                   : CLUSTER_LAB_IMAGE);
	} else {
		rig->facts.realtime = plan->load.realtime && local_realtime_allowed();
	}
	return 0;
}

static void cluster_close(struct km_rig *rig)
{
	struct cluster *c = rig->backend;
	const char *const remove[] = { "delete",
		                       "namespace",
		                       rig->plan->cluster.namespace,
		                       "--ignore-not-found",
		                       "--wait=true",
		                       "--timeout=60s",
		                       NULL };
	struct km_err err = { .code = 0 };

	if (c == NULL)
		return;
	if (c->made && cluster_kubectl(rig, remove, NULL, CLUSTER_GONE_NS, false, NULL, &err) != 0)
		rig_say(rig, "namespace %s may still be there: %s", rig->plan->cluster.namespace,
		        err.text);
	km_client_free(c->local.client);
	free(c);
	rig->backend = NULL;
}

static void forget(struct km_rig *rig, struct cluster_stressor *s)
{
	if (s->log != NULL)
		rig_unwatch(rig, s->log);
	km_child_free(s->log);
	s->log = NULL;
}

static int apply_stressor(struct km_rig *rig, const struct cluster_stressor *s, struct km_err *err)
{
	static const char *const apply[] = { "apply", "-f", "-", NULL };
	const struct km_plan_cluster *plan = &rig->plan->cluster;
	char level[16];
	const struct cluster_value value[] = {
		{ .name = "NAMESPACE", .value = plan->namespace },
		{ .name = "NAME", .value = s->pod },
		{ .name = "NODE", .value = rig->plan->node[s->node].name },
		{ .name = "IMAGE",
		  .value = plan->lab_image[0] != '\0' ? plan->lab_image : CLUSTER_LAB_IMAGE },
		{ .name = "KIND", .value = km_stress_kind_name(s->kind) },
		{ .name = "LEVEL", .value = level },
	};
	struct km_buf text;
	int rc;

	(void)snprintf(level, sizeof(level), "%u", s->level_pct);
	km_buf_init(&text);
	rc = cluster_render(CLUSTER_STRESSOR, value, KM_ARRAY_LEN(value), &text, err);
	rc = rc == 0 ? cluster_kubectl(rig, apply, &text, CLUSTER_ASK_NS, true, NULL, err) : rc;
	km_buf_fini(&text);
	return rc;
}

static int cluster_stress_start(struct km_rig *rig, size_t node, enum km_stress_kind kind,
                                unsigned level_pct, struct km_err *err)
{
	struct cluster *c = rig->backend;
	struct cluster_stressor *s = &c->stressor[c->stressors];
	const char *follow[] = { "logs", "--follow", s->pod, NULL };
	char label[CLUSTER_POD_MAX + 8];
	int rc;

	if (c->stressors == KM_RIG_STRESSORS_MAX)
		return km_err_set(err, EBUSY, "saw %zu stressors at a time, want %d at most",
		                  c->stressors + 1, KM_RIG_STRESSORS_MAX);
	*s = (struct cluster_stressor){ .kind = kind, .level_pct = level_pct, .node = node };
	(void)snprintf(s->pod, sizeof(s->pod), "stressor-%u", c->serial++);
	(void)snprintf(s->name, sizeof(s->name), "stressor %s at %u %% on %.30s",
	               km_stress_kind_name(kind), level_pct, rig->plan->node[node].name);
	(void)snprintf(label, sizeof(label), "pod=%s", s->pod);
	c->stressors++; /* from here on there is something to delete */
	rc = apply_stressor(rig, s, err);
	rc = rc == 0 ? cluster_pod_runs(rig, label, err) : rc;
	rc = rc == 0 ? cluster_kubectl_start(rig, follow, NULL, &s->log, err) : rc;
	if (rc != 0)
		return km_err_prefix(err, "%s", s->name);
	rc = rig_watch(rig, s->log, err, "%s", s->name);
	return rc == 0 ? rig_await_work(rig, s->log, true, s->name, err) : rc;
}

/* The report is the log's last line. One that got lost on the way is no error: all of it unknown.
 */
static int collect(struct km_rig *rig, struct cluster_stressor *s, bool early,
                   struct km_stress_result *out, struct km_err *err)
{
	struct km_stress_result dropped = { .level_pct = 0 };
	const char *report;
	size_t len;

	if (early)
		return km_err_set(err, ECHILD, "%s had ended: %.100s", s->name,
		                  km_buf_cstr(km_child_output(s->log)));
	out = out != NULL ? out : &dropped;
	report = s->log != NULL ? cluster_last_object(km_child_output(s->log), &len) : NULL;
	if (report != NULL && km_stress_report_decode(report, len, out, NULL) == 0)
		return 0;
	rig_say(rig, "%s: its report is not in the pod's log", s->name);
	*out = (struct km_stress_result){ .kind = s->kind,
		                          .level_pct = s->level_pct,
		                          .seconds = NAN,
		                          .duty_ratio = NAN,
		                          .ops_per_s = NAN,
		                          .bytes_per_s = NAN,
		                          .working_set_bytes = NAN };
	return 0;
}

/* All at once: deletion waits until they are gone. */
static int delete_pods(struct km_rig *rig, struct km_err *err)
{
	static const char *const args[] = { "delete",
		                            "pods",
		                            "-l",
		                            "app=stressor",
		                            "--wait=true",
		                            "--timeout=60s",
		                            "--ignore-not-found",
		                            NULL };

	return cluster_kubectl(rig, args, NULL, CLUSTER_GONE_NS, false, NULL, err);
}

static int cluster_stress_stop(struct km_rig *rig, struct km_stress_result *out, size_t max,
                               size_t *count, struct km_err *err)
{
	struct cluster *c = rig->backend;
	bool early[KM_RIG_STRESSORS_MAX] = { false };
	int rc;

	*count = c != NULL ? c->stressors : 0;
	if (*count == 0)
		return 0;
	for (size_t i = 0; i < c->stressors; i++)
		early[i] = c->stressor[i].log != NULL && km_child_serve(c->stressor[i].log);
	rc = delete_pods(rig, err);
	for (size_t i = 0; i < c->stressors; i++) {
		struct cluster_stressor *s = &c->stressor[i];
		int one;

		if (s->log != NULL)
			(void)km_child_await(s->log, CLUSTER_ASK_NS);
		one = collect(rig, s, early[i], out != NULL && i < max ? &out[i] : NULL,
		              rc == 0 ? err : NULL);
		rc = rc == 0 ? one : rc;
		forget(rig, s);
	}
	c->stressors = 0;
	return rc;
}

const struct rig_ops rig_cluster = {
	.name = "cluster",
	.open = cluster_open,
	.close = cluster_close,
	.stress_start = cluster_stress_start,
	.stress_stop = cluster_stress_stop,
	.target_start = cluster_target_start,
	.target_stop = cluster_target_stop,
	.load = cluster_load,
};

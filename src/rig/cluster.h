/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the cluster backend: everything is a pod in a namespace of our own, by way of kubectl. */
#ifndef KM_RIG_CLUSTER_H
#define KM_RIG_CLUSTER_H

#include "local.h"

#define CLUSTER_ASK_NS       (30 * KM_NS_PER_S)  /* a question to the API server */
#define CLUSTER_READY_NS     (180 * KM_NS_PER_S) /* until pods run: images may have to be pulled */
#define CLUSTER_GONE_NS      (60 * KM_NS_PER_S)  /* until what was deleted is gone */

#define CLUSTER_TARGET_IMAGE "docker.io/library/nginx:1.26.3"
#define CLUSTER_LAB_IMAGE    "kubemarla-lab:local" /* make lab-image */

#define CLUSTER_POD_MAX      32 /* "stressor-4294967295" */

struct cluster_stressor {
	struct km_child *log; /* kubectl logs -f: ends with the pod */
	char pod[CLUSTER_POD_MAX];
	char name[RIG_NAME_MAX]; /* for people */
	enum km_stress_kind kind;
	unsigned level_pct;
	size_t node;
};

struct cluster {
	struct local local; /* first: what a generator on this host needs is the local backend's */
	bool made;          /* the namespace is ours */
	bool serving;       /* there are Deployments to delete */
	unsigned serial;    /* of pods: a name is not used twice */
	struct cluster_stressor stressor[KM_RIG_STRESSORS_MAX];
	size_t stressors;
};

/* ---- cluster_kubectl.c ---- */

/*
 * Runs kubectl in the experiment's namespace and context. args: NULL-terminated, the verb first.
 * input: its standard input, NULL = none. out: what it printed is appended, NULL = nobody wants it.
 * looped: the rig's loop goes on meanwhile, and ends it; else nothing interrupts it.
 * returns 0; -EIO "kubectl VERB: its first words"; -ETIMEDOUT; as rig_loop.
 */
int cluster_kubectl(struct km_rig *rig, const char *const *args, const struct km_buf *input,
                    int64_t limit_ns, bool looped, struct km_buf *out,
                    struct km_err *err) KM_MUST_CHECK;

/* The same of a child that is to run on: not waited for. *out owned. */
int cluster_kubectl_start(struct km_rig *rig, const char *const *args, const struct km_buf *input,
                          struct km_child **out, struct km_err *err) KM_MUST_CHECK;

/*
 * Waits until a pod that `selector` finds runs or has ended ("-l app=load", "pod/NAME" as words).
 * returns 0; -ETIMEDOUT or -EIO with why it does not (its image cannot be had).
 */
int cluster_pod_runs(struct km_rig *rig, const char *label, struct km_err *err) KM_MUST_CHECK;

/* ---- cluster_manifest.c ---- */

struct cluster_value {
	const char *name; /* "NODE" of ${NODE} */
	const char *value;
	bool raw; /* JSON of ours: taken as it is */
};

enum cluster_manifest {
	CLUSTER_NAMESPACE,
	CLUSTER_SERVICE,
	CLUSTER_TARGET,
	CLUSTER_STRESSOR,
	CLUSTER_LOAD,
	CLUSTER_MANIFEST_N
};

/*
 * Appends a manifest of deploy/experiments with its ${NAMES} filled in, as one document. returns 0;
 * -EINVAL: a name without a value, or a value that could be YAML of its own; -ENOMEM.
 */
int cluster_render(enum cluster_manifest manifest, const struct cluster_value *value, size_t values,
                   struct km_buf *out, struct km_err *err) KM_MUST_CHECK;

/* ---- cluster_target.c ---- */

int cluster_target_start(struct km_rig *rig, const size_t *node_of_replica, unsigned replicas,
                         struct km_err *err);
void cluster_target_stop(struct km_rig *rig);

/* ---- cluster_load.c ---- */

int cluster_load(struct km_rig *rig, const struct km_load_spec *spec, struct km_load_result *out,
                 struct km_err *err);

/* The last line of a log that begins with '{': pods' logs have standard error between. */
const char *cluster_last_object(const struct km_buf *log, size_t *len);

#endif

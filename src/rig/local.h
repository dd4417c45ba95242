/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the local backend: CPU sets of this machine, pinned processes. */
#ifndef KM_RIG_LOCAL_H
#define KM_RIG_LOCAL_H

#include <limits.h>

#include "km/net/client.h"

#include "rig_internal.h"

#define LOCAL_STOP_NS (2 * KM_NS_PER_S) /* from asking to end to SIGKILL */

struct local_stressor {
	struct km_child *child;
	char name[RIG_NAME_MAX];
};

struct local_replica {
	struct km_child *child;
	uint16_t port;
	uint64_t requests; /* by stub_status when the load began */
};

struct local {
	char target[PATH_MAX], generator[PATH_MAX]; /* programs */
	char generator_version[48];
	struct km_client *client;
	char host[64];  /* where the replicas answer */
	bool no_status; /* there is no stub_status page to ask */
	struct local_stressor stressor[KM_RIG_STRESSORS_MAX];
	size_t stressors;
	struct local_replica replica[KM_PLAN_REPLICAS_MAX];
	unsigned replicas;
};

/* ---- local_tools.c ---- */

/* Finds the programs and asks for their versions. returns 0; -ENOENT with what to install. */
int local_tools(struct km_rig *rig, struct km_err *err);
/* The generator alone. */
int local_tools_generator(struct km_rig *rig, struct km_err *err);

/* May this process start one with SCHED_RR? */
bool local_realtime_allowed(void);

/* ---- local_target.c ---- */

int local_target_start(struct km_rig *rig, const size_t *node_of_replica, unsigned replicas,
                       struct km_err *err);
void local_target_stop(struct km_rig *rig);

/* Writes a whole small file below the scratch directory; fmt makes its path. */
int local_file(const char *path, const void *data, size_t len, struct km_err *err);

/* ---- local_load.c ---- */

int local_load(struct km_rig *rig, const struct km_load_spec *spec, struct km_load_result *out,
               struct km_err *err);

/* ---- kpi.c ---- */

/* Remembers what the replicas have served; then what they served since, beside `requests`. */
void local_served_begin(struct km_rig *rig);
void local_served_end(struct km_rig *rig, uint64_t requests);

/* Asks the plan's Prometheus, if it has one; what is not answered is said and NaN. */
void local_ask_prometheus(struct km_rig *rig);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the rig: what its backends share, and the row each of them is. */
#ifndef KM_RIG_INTERNAL_H
#define KM_RIG_INTERNAL_H

#include "km/base/child.h"
#include "km/base/clock.h"
#include "km/rig/recorder.h"
#include "km/rig/rig.h"

#include "groups.h"
#include "usage.h"

#define RIG_WATCHED_MAX (KM_RIG_STRESSORS_MAX + KM_PLAN_REPLICAS_MAX + 4)
#define RIG_ADOPTED_MAX 8
#define RIG_NAME_MAX    96

/* A backend: where stressors, replicas and the generator run. All but close may fail. */
struct rig_ops {
	const char *name;
	int (*open)(struct km_rig *rig, struct km_err *err);
	void (*close)(struct km_rig *rig); /* stops and removes all of its own, also half-opened */
	int (*stress_start)(struct km_rig *rig, size_t node, enum km_stress_kind kind,
	                    unsigned level_pct, struct km_err *err);
	int (*stress_stop)(struct km_rig *rig, struct km_stress_result *out, size_t max,
	                   size_t *count, struct km_err *err);
	int (*target_start)(struct km_rig *rig, const size_t *node_of_replica, unsigned replicas,
	                    struct km_err *err);
	void (*target_stop)(struct km_rig *rig);
	int (*load)(struct km_rig *rig, const struct km_load_spec *spec, struct km_load_result *out,
	            struct km_err *err);
};

extern const struct rig_ops rig_local;
extern const struct rig_ops rig_cluster;

/* A process that must not end by itself. */
struct rig_watched {
	struct km_child *child;
	char name[RIG_NAME_MAX]; /* as errors call it: "stressor cpu at 50 % on node-a" */
};

struct km_rig {
	const struct km_plan *plan;
	const struct rig_ops *ops;
	char *self;
	char scratch[512]; /* a directory of this rig's own; removed at the end */
	int stop_fd;
	void (*say)(void *ctx, const char *line);
	void *say_ctx;
	struct km_rig_facts facts;
	struct km_rig_kpi kpi;
	struct km_node_settings *node; /* [plan->node_count], with groups of ours; own cgroup */
	struct rig_groups groups;
	struct rig_usage usage;
	struct km_cpuset target_cpus; /* of the nodes with a replica; empty = none yet */
	struct rig_watched watched[RIG_WATCHED_MAX];
	size_t watched_count;
	int adopted[RIG_ADOPTED_MAX]; /* pids, where there are no groups */
	size_t adopted_count;
	struct km_recorder *recorder; /* NULL = this backend has none */
	bool recording;
	void *backend; /* its own state; NULL before open and after close */
};

int64_t rig_now_ns(void);

/* One line to whoever opened the rig. */
void rig_say(struct km_rig *rig, const char *fmt, ...) KM_PRINTF(2, 3);

/* From now on its early end ends every wait with -ECHILD. returns 0 or -E2BIG. */
int rig_watch(struct km_rig *rig, struct km_child *child, struct km_err *err, const char *fmt, ...)
	KM_PRINTF(4, 5) KM_MUST_CHECK;
void rig_unwatch(struct km_rig *rig, const struct km_child *child);

/*
 * The loop: serves the recorder and all watched children until `until` has ended (it need not be
 * watched; NULL = nothing) or the monotonic deadline has come. returns 0 when `until` has ended,
 * or at the deadline without one; -ETIMEDOUT at the deadline with one; -ECHILD, -EINTR; what the
 * recorder said.
 */
int rig_loop(struct km_rig *rig, int64_t deadline_ns, struct km_child *until, struct km_err *err);

/*
 * The loop until a stressor says that it is at work, on stderr, or on `says`' stdout where that
 * follows its log: what it prepares before is none of the interference. returns as rig_loop;
 * -ETIMEDOUT after a minute.
 */
int rig_await_work(struct km_rig *rig, struct km_child *says, bool on_stdout, const char *name,
                   struct km_err *err);

/* stop_fd is readable: -EINTR. */
int rig_stopped(const struct km_rig *rig, struct km_err *err);

#endif

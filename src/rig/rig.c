/* SPDX-License-Identifier: Apache-2.0 */
/* The rig's interface: what all backends have in common, and the way to the one of the plan. */
#include "km/rig/rig.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rig_internal.h"
#include "scratch.h"

#define READY_NS      (10 * KM_NS_PER_S) /* sources with a worker are asked again for so long */
#define READY_STEP_NS (50 * KM_NS_PER_MS)

static const struct rig_ops *const backends[] = {
	[KM_PLAN_LOCAL] = &rig_local,
	[KM_PLAN_CLUSTER] = &rig_cluster,
};

static void kpi_unknown(struct km_rig_kpi *k)
{
	*k = (struct km_rig_kpi){ NAN, NAN, NAN, NAN };
}

/* The plan's nodes; a local backend gives them groups of its own. */
static int copy_nodes(struct km_rig *rig, struct km_err *err)
{
	const struct km_plan *plan = rig->plan;

	rig->node = calloc(plan->node_count + 1, sizeof(*rig->node));
	for (size_t i = 0; rig->node != NULL && i < plan->node_count; i++) {
		const char *group = plan->node[i].cgroup;

		rig->node[i] = plan->node[i];
		rig->node[i].cgroup = strdup(group != NULL ? group : "");
		if (rig->node[i].cgroup == NULL)
			return km_err_set(err, ENOMEM, "rig: out of memory");
	}
	return rig->node != NULL ? 0 : km_err_set(err, ENOMEM, "rig: out of memory");
}

static int open_recorder(struct km_rig *rig, struct km_err *err)
{
	int64_t deadline;
	int rc;

	if (rig->plan->mode == KM_PLAN_CLUSTER && !rig->plan->cluster.recorder_local)
		return 0;
	rc = km_recorder_open(&rig->plan->collect, rig->node, rig->plan->node_count, rig_now_ns(),
	                      &rig->recorder, err);
	deadline = rig_now_ns() + READY_NS;
	while (rc == 0 && !km_recorder_ready(rig->recorder, rig_now_ns()) &&
	       rig_now_ns() < deadline)
		rc = rig_loop(rig, rig_now_ns() + READY_STEP_NS, NULL, err);
	return rc;
}

int km_rig_open(const struct km_plan *plan, const struct km_rig_options *options,
                struct km_rig **out, struct km_err *err)
{
	struct km_rig *rig;
	int rc;

	*out = NULL;
	if (plan->mode >= KM_ARRAY_LEN(backends) || backends[plan->mode] == NULL)
		return km_err_set(err, ENOTSUP, "mode %s: not in this build",
		                  km_plan_mode_name(plan->mode));
	rig = calloc(1, sizeof(*rig));
	if (rig == NULL)
		return km_err_set(err, ENOMEM, "rig: out of memory");
	rig->plan = plan;
	rig->stop_fd = options->stop_fd;
	rig->say = options->say;
	rig->say_ctx = options->ctx;
	kpi_unknown(&rig->kpi);
	rig->self = strdup(options->self);
	rc = rig->self != NULL ? copy_nodes(rig, err)
	                       : km_err_set(err, ENOMEM, "rig: out of memory");
	if (rc == 0)
		rc = scratch_open(options->scratch_dir, plan->collect.live.procfs, rig->scratch,
		                  sizeof(rig->scratch), err);
	if (rc == 0) {
		rig->ops = backends[plan->mode];
		rc = rig->ops->open(rig, err);
	}
	if (rc == 0)
		rc = open_recorder(rig, err);
	if (rc != 0) {
		km_rig_close(rig);
		return rc;
	}
	*out = rig;
	return 0;
}

void km_rig_close(struct km_rig *rig)
{
	if (rig == NULL)
		return;
	if (rig->ops != NULL) {
		km_rig_reset(rig);
		rig->ops->close(rig);
	}
	km_recorder_free(rig->recorder);
	scratch_remove(rig->scratch);
	for (size_t i = 0; rig->node != NULL && i < rig->plan->node_count; i++)
		free(rig->node[i].cgroup);
	free(rig->node);
	free(rig->self);
	free(rig);
}

const struct km_rig_facts *km_rig_facts(const struct km_rig *rig)
{
	return &rig->facts;
}

const char *km_rig_group(const struct km_rig *rig, size_t node)
{
	return rig->node[node].cgroup;
}

int km_rig_stress_start(struct km_rig *rig, size_t node, enum km_stress_kind kind,
                        unsigned level_pct, struct km_err *err)
{
	if (node >= rig->plan->node_count)
		return km_err_set(err, EINVAL, "node %zu, want one of %zu", node,
		                  rig->plan->node_count);
	return rig->ops->stress_start(rig, node, kind, level_pct, err);
}

int km_rig_stress_stop(struct km_rig *rig, struct km_stress_result *out, size_t max, size_t *count,
                       struct km_err *err)
{
	return rig->ops->stress_stop(rig, out, max, count, err);
}

int km_rig_target_start(struct km_rig *rig, const size_t *node_of_replica, unsigned replicas,
                        struct km_err *err)
{
	int rc;

	if (replicas == 0 || replicas > KM_PLAN_REPLICAS_MAX)
		return km_err_set(err, EINVAL, "saw %u replicas, want 1 to %d", replicas,
		                  KM_PLAN_REPLICAS_MAX);
	km_rig_target_stop(rig);
	for (unsigned i = 0; i < replicas; i++) {
		if (node_of_replica[i] >= rig->plan->node_count)
			return km_err_set(err, EINVAL, "node %zu, want one of %zu",
			                  node_of_replica[i], rig->plan->node_count);
		km_cpuset_each (cpu, &rig->node[node_of_replica[i]].cpus)
			km_cpuset_add(&rig->target_cpus, cpu);
	}
	rc = rig->ops->target_start(rig, node_of_replica, replicas, err);
	if (rc != 0)
		km_rig_target_stop(rig);
	return rc;
}

void km_rig_target_stop(struct km_rig *rig)
{
	rig->ops->target_stop(rig);
	rig->target_cpus = (struct km_cpuset){ { 0 } };
}

void km_rig_kpi(const struct km_rig *rig, struct km_rig_kpi *out)
{
	*out = rig->kpi;
}

int km_rig_load(struct km_rig *rig, const struct km_load_spec *spec, struct km_load_result *out,
                struct km_err *err)
{
	kpi_unknown(&rig->kpi);
	km_load_result_init(out);
	if (!(spec->rps > 0) || spec->duration_ns <= 0 || spec->warm_up_ns < 0)
		return km_err_set(err, EINVAL, "load: want a rate and a duration over 0");
	return rig->ops->load(rig, spec, out, err);
}

int km_rig_wait(struct km_rig *rig, int64_t duration_ns, struct km_err *err)
{
	return rig_loop(rig, rig_now_ns() + duration_ns, NULL, err);
}

/* Ends the window without anybody for its trace. */
static void drop_window(struct km_rig *rig)
{
	struct km_buf dropped;
	int rc = 0;

	rig->recording = false;
	km_buf_init(&dropped);
	if (rig->recorder != NULL)
		rc = km_recorder_end(rig->recorder, rig_now_ns(), &dropped, NULL);
	(void)rc; /* a window without a sample is as good as any */
	km_buf_fini(&dropped);
}

int km_rig_record_begin(struct km_rig *rig, struct km_err *err)
{
	const struct km_clock *clock = km_clock_system();
	int rc = rig_usage_begin(rig, err);

	if (rc != 0)
		return rc;
	if (rig->recorder != NULL)
		km_recorder_begin(rig->recorder, rig_now_ns(), km_clock_wall_ns(clock));
	rig->recording = true;
	return 0;
}

int km_rig_record_end(struct km_rig *rig, struct km_buf *trace_csv, struct km_rig_usage *usage,
                      struct km_err *err)
{
	if (!rig->recording)
		return km_err_set(err, EINVAL, "recorder: no window was begun");
	rig_usage_end(rig, usage);
	if (trace_csv == NULL || rig->recorder == NULL) {
		drop_window(rig);
		return 0;
	}
	rig->recording = false;
	return km_recorder_end(rig->recorder, rig_now_ns(), trace_csv, err);
}

enum km_tier km_rig_tier(const struct km_rig *rig)
{
	return rig->recorder != NULL ? km_recorder_tier(rig->recorder) : KM_TIER_NONE;
}

int km_rig_adopt(struct km_rig *rig, int pid, struct km_err *err)
{
	if (rig->adopted_count == RIG_ADOPTED_MAX)
		return km_err_set(err, E2BIG, "more than %d adopted processes", RIG_ADOPTED_MAX);
	if (rig->groups.count == 0) {
		rig->adopted[rig->adopted_count++] = pid;
		return 0;
	}
	return rig_groups_adopt(&rig->groups, pid, err);
}

void km_rig_reset(struct km_rig *rig)
{
	size_t count;

	if (rig->recording)
		drop_window(rig);
	/* how they ended is nobody's business now */
	(void)rig->ops->stress_stop(rig, NULL, 0, &count, NULL);
	km_rig_target_stop(rig);
}

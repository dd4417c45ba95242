/* SPDX-License-Identifier: Apache-2.0 */
/* The local backend: "nodes" are CPU sets of this machine; its stressors are children of ours. */
#include "local.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/stress/stress.h"
#include "km/wire/stress_report.h"

#include "cores.h"

#define REPORT_MAX 65536

/* All of `want` in `allowed`, or which one is not. */
static int check_cpus(const char *whose, const struct km_cpuset *want,
                      const struct km_cpuset *allowed, struct km_err *err)
{
	struct km_buf list;
	int rc = 0;

	km_buf_init(&list);
	km_cpuset_format(allowed, &list);
	if (km_cpuset_count(want) == 0)
		rc = km_err_set(err, ERANGE, "%s: no CPUs, want some of %.60s", whose,
		                km_buf_cstr(&list));
	km_cpuset_each (cpu, want) {
		if (!km_cpuset_has(allowed, cpu)) {
			rc = km_err_set(err, ERANGE,
			                "%s: CPU %u is not there or not allowed, want of %.60s",
			                whose, cpu, km_buf_cstr(&list));
			break;
		}
	}
	km_buf_fini(&list);
	return rc;
}

static int check_all_cpus(const struct km_rig *rig, struct km_err *err)
{
	const struct km_plan *plan = rig->plan;
	struct km_cpuset allowed;
	int rc = km_stress_allowed(&allowed, err);

	for (size_t i = 0; i < plan->node_count && rc == 0; i++) {
		char whose[RIG_NAME_MAX + 8];

		(void)snprintf(whose, sizeof(whose), "node %.60s", plan->node[i].name);
		rc = check_cpus(whose, &plan->node[i].cpus, &allowed, err);
	}
	if (rc == 0 && plan->load.cpus_given)
		rc = check_cpus("load.cpus", &plan->load.cpus, &allowed, err);
	return rc;
}

/* The nodes' own groups, as the recorder and a daemon look for them. */
static int name_groups(struct km_rig *rig, struct km_err *err)
{
	for (size_t i = 0; rig->groups.count > 0 && i < rig->plan->node_count; i++) {
		char *group;

		if (asprintf(&group, "%s/%s", rig->groups.base, rig->node[i].name) < 0)
			return km_err_set(err, ENOMEM, "rig: out of memory");
		free(rig->node[i].cgroup);
		rig->node[i].cgroup = group;
	}
	return 0;
}

static int open_groups(struct km_rig *rig, struct km_err *err)
{
	const struct km_plan *plan = rig->plan;
	const struct km_live_settings *live = &plan->collect.live;
	char base[RIG_BASE_MAX];
	int rc;

	rig_groups_clear_dead(live->cgroupfs, live->procfs);
	rc = rig_base_name(live->procfs, base, sizeof(base), err);
	if (rc != 0)
		return rc;
	rig_groups_open(&rig->groups, live->cgroupfs, base, plan->node, plan->node_count,
	                plan->load.cpus_given ? &plan->load.cpus : NULL);
	rig_groups_describe(&rig->groups, rig->facts.groups, sizeof(rig->facts.groups));
	if (!rig->groups.cpuset)
		rig_say(rig, "%s (%s)", rig->facts.groups,
		        rig->groups.why_not[0] != '\0' ? rig->groups.why_not : "no cpuset");
	return name_groups(rig, err);
}

static void say_shared_cores(struct km_rig *rig)
{
	const struct km_plan *plan = rig->plan;
	char line[224];

	if (rig_cores_shared(plan->collect.live.sysfs, plan->node, plan->node_count, line,
	                     sizeof(line)))
		rig_say(rig, "%s", line);
}

static int local_open(struct km_rig *rig, struct km_err *err)
{
	struct local *l = calloc(1, sizeof(*l));
	const struct km_client_options client = { .timeout_ns = 2 * KM_NS_PER_S };
	int rc;

	if (l == NULL)
		return km_err_set(err, ENOMEM, "rig: out of memory");
	rig->backend = l;
	(void)snprintf(l->host, sizeof(l->host), "127.0.0.1");
	rc = check_all_cpus(rig, err);
	rc = rc == 0 ? local_tools(rig, err) : rc;
	rc = rc == 0 ? km_client_create(&client, &l->client, err) : rc;
	rc = rc == 0 ? open_groups(rig, err) : rc;
	if (rc != 0)
		return rc;
	say_shared_cores(rig);
	rig->facts.realtime = rig->plan->load.realtime && local_realtime_allowed();
	if (rig->plan->load.realtime && !rig->facts.realtime)
		rig_say(rig, "the generator runs without real-time priority (needs CAP_SYS_NICE): "
		             "its latencies include its own waiting for a CPU");
	return 0;
}

static void forget(struct km_rig *rig, struct local_stressor *s)
{
	rig_unwatch(rig, s->child);
	km_child_free(s->child);
	s->child = NULL;
}

static void local_close(struct km_rig *rig)
{
	struct local *l = rig->backend;

	if (l != NULL) {
		km_client_free(l->client);
		free(l);
	}
	rig->backend = NULL;
	rig_groups_close(&rig->groups);
}

static int local_stress_start(struct km_rig *rig, size_t node, enum km_stress_kind kind,
                              unsigned level_pct, struct km_err *err)
{
	struct local *l = rig->backend;
	struct local_stressor *s = &l->stressor[l->stressors];
	const struct km_node_settings *n = &rig->node[node];
	struct rig_entrance entrance;
	struct km_buf cpus;
	char level[16];
	int rc;

	if (l->stressors == KM_RIG_STRESSORS_MAX)
		return km_err_set(err, EBUSY, "saw %zu stressors at a time, want %d at most",
		                  l->stressors + 1, KM_RIG_STRESSORS_MAX);
	(void)snprintf(level, sizeof(level), "%u", level_pct);
	(void)snprintf(s->name, sizeof(s->name), "stressor %s at %s %% on %.30s",
	               km_stress_kind_name(kind), level, n->name);
	km_buf_init(&cpus);
	km_cpuset_format(&n->cpus, &cpus);
	{
		const char *const argv[] = {
			rig->self,          "stress", km_stress_kind_name(kind),
			"--intensity",      level,    "--cpus",
			km_buf_cstr(&cpus), "--json", NULL
		};
		const struct km_child_spec spec = {
			.argv = argv,
			.max_out_bytes = REPORT_MAX,
			.cpus = &n->cpus,
			.groups = rig_groups_entrance(&rig->groups, n->name, &entrance),
			.tied_signal = SIGKILL,
		};

		rc = km_child_start(&spec, &s->child, err);
	}
	km_buf_fini(&cpus);
	if (rc != 0)
		return km_err_prefix(err, "%s", s->name);
	rc = rig_watch(rig, s->child, err, "%s", s->name);
	rc = rc == 0 ? rig_await_work(rig, s->child, false, s->name, err) : rc;
	if (rc != 0)
		forget(rig, s);
	else
		l->stressors++;
	return rc;
}

/* One that was asked to end: what it achieved. early = it had ended before. */
static int collect(struct local_stressor *s, bool early, struct km_stress_result *out,
                   struct km_err *err)
{
	const struct km_buf *report = km_child_output(s->child);
	char words[KM_CHILD_WORDS_MAX + 1];
	struct km_stress_result dropped;
	int rc;

	if (early)
		return km_err_set(err, ECHILD, "%s had ended: %s", s->name,
		                  km_child_words(s->child, false, words));
	if (!km_child_succeeded(s->child))
		return km_err_set(err, EINVAL, "%s: %s", s->name,
		                  km_child_words(s->child, false, words));
	rc = km_stress_report_decode(report->len > 0 ? report->data : "", report->len,
	                             out != NULL ? out : &dropped, err);
	return rc == 0 ? 0 : km_err_prefix(err, "%s", s->name);
}

static int local_stress_stop(struct km_rig *rig, struct km_stress_result *out, size_t max,
                             size_t *count, struct km_err *err)
{
	struct local *l = rig->backend;
	bool early[KM_RIG_STRESSORS_MAX] = { false };
	int rc = 0;

	*count = 0;
	if (l == NULL)
		return 0;
	*count = l->stressors;
	/* all of them are asked, then waited for: their times are the same */
	for (size_t i = 0; i < l->stressors; i++) {
		early[i] = km_child_serve(l->stressor[i].child);
		if (!early[i])
			km_child_signal(l->stressor[i].child, SIGTERM);
	}
	for (size_t i = 0; i < l->stressors; i++) {
		struct local_stressor *s = &l->stressor[i];
		int one;

		km_child_stop(s->child, SIGTERM, LOCAL_STOP_NS);
		one = collect(s, early[i], out != NULL && i < max ? &out[i] : NULL,
		              rc == 0 ? err : NULL);
		rc = rc == 0 ? one : rc;
		forget(rig, s);
	}
	l->stressors = 0;
	return rc;
}

const struct rig_ops rig_local = {
	.name = "local",
	.open = local_open,
	.close = local_close,
	.stress_start = local_stress_start,
	.stress_stop = local_stress_stop,
	.target_start = local_target_start,
	.target_stop = local_target_stop,
	.load = local_load,
};

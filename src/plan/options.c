/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of a plan: a row gives each its type, default and range. `nodes` and `collect` are the
 * daemon's own and read by config before this table is applied.
 */
#include <stddef.h>

#include "plan_internal.h"

#define SECOND_NS 1e9
#define HOUR_NS   3600e9

#define FIELD(member)                                                                              \
	.offset = offsetof(struct km_plan, member), .size = sizeof(((struct km_plan *)0)->member)

static int read_before(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                       const struct km_tree *v, void *base)
{
	(void)c, (void)o, (void)key, (void)v, (void)base;
	return 0;
}

/* NOLINTBEGIN(bugprone-macro-parentheses): members of initialisers */
#define CHOICE(key_, preset_, choices_, member)                                                    \
	{                                                                                          \
		.key = key_, .type = KM_CONF_CHOICE, .preset = preset_, .choices = choices_,       \
		FIELD(member)                                                                      \
	}
#define TEXT(key_, preset_, member)                                                                \
	{                                                                                          \
		.key = key_, .type = KM_CONF_STRING, .preset = preset_, FIELD(member)              \
	}
#define WHOLE(key_, preset_, min_, max_, member)                                                   \
	{                                                                                          \
		.key = key_, .type = KM_CONF_INTEGER, .preset = preset_, .min = min_, .max = max_, \
		FIELD(member)                                                                      \
	}
#define NUMBER(key_, preset_, min_, max_, member)                                                  \
	{                                                                                          \
		.key = key_, .type = KM_CONF_NUMBER, .preset = preset_, .min = min_, .max = max_,  \
		FIELD(member)                                                                      \
	}
#define TIME(key_, preset_, min_, max_, member)                                                    \
	{                                                                                          \
		.key = key_, .type = KM_CONF_DURATION_NS, .preset = preset_, .min = min_,          \
		.max = max_, FIELD(member)                                                         \
	}
#define LIST(key_, preset_, custom_, want_, member)                                                \
	{                                                                                          \
		.key = key_, .type = KM_CONF_CUSTOM, .preset = preset_, .custom = custom_,         \
		.want = want_, FIELD(member)                                                       \
	}

/* NOLINTEND(bugprone-macro-parentheses) */

#define WANT_STRESSORS "a list of cpu, l2, l3, membw and mixed, each once"
#define WANT_LEVELS    "a list of 1 to 16 whole percentages from 1 to 100, each once"

static const struct km_conf_option rows[] = {
	{ .key = "name",
	  .type = KM_CONF_CUSTOM,
	  .custom = plan_parse_name,
	  .required = true,
	  .want = "1 to 48 letters, digits, '-', '.' or '_'" },
	CHOICE("mode", "local", plan_modes, mode),
	WHOLE("seed", "1", 0, 9007199254740992.0, seed),
	{ .key = "nodes",
	  .type = KM_CONF_CUSTOM,
	  .custom = read_before,
	  .required = true,
	  .want = "a list of {name, cpus}" },
	{ .key = "collect",
	  .type = KM_CONF_CUSTOM,
	  .custom = read_before,
	  .want = "a map of keys" },

	CHOICE("target.kind", "nginx", plan_target_kinds, target.kind),
	{ .key = "target.node",
	  .type = KM_CONF_CUSTOM,
	  .custom = plan_parse_target_node,
	  .want = "a name from nodes",
	  FIELD(target.node) },
	TEXT("target.program", "nginx", target.program),
	WHOLE("target.bodyBytes", "16384", 1, 16777216, target.body_bytes),
	WHOLE("target.port", "0", 0, 65535, target.port),

	CHOICE("load.generator", "vegeta", plan_generators, load.generator),
	TEXT("load.program", "", load.program),
	{ .key = "load.cpus",
	  .type = KM_CONF_CUSTOM,
	  .custom = plan_parse_load_cpus,
	  .want = "a CPU list such as \"0-2,5\"",
	  FIELD(load.cpus) },
	{ .key = "load.realtime", .type = KM_CONF_BOOL, .preset = "true", FIELD(load.realtime) },
	CHOICE("load.profile", "steady", plan_profiles, load.profile),
	WHOLE("load.connections", "10", 1, 10000, load.connections),
	LIST("load.steps", "0.5,1,1.5", plan_parse_factors,
	     "a list of 1 to 16 factors from 0 to 100", load.step),
	NUMBER("load.burst.factor", "4", 0, 100, load.burst_factor),
	TIME("load.burst.length", "1s", 0.01 * SECOND_NS, HOUR_NS, load.burst_length_ns),
	TIME("load.burst.every", "5s", 0.02 * SECOND_NS, HOUR_NS, load.burst_every_ns),
	TEXT("load.trace", "", load.trace_path),

	LIST("matrix.stressors", "cpu,l2,l3,membw,mixed", plan_parse_stressors, WANT_STRESSORS,
	     matrix.stressor),
	LIST("matrix.levels", "50,100", plan_parse_levels, WANT_LEVELS, matrix.level_pct),
	LIST("matrix.on", NULL, plan_parse_on,
	     "a list of target, other and names from nodes, each node once", matrix.on),
	LIST("matrix.replicas", "1", plan_parse_replicas,
	     "a list of 1 to 16 whole numbers from 1 to 16, each once", matrix.replicas),
	LIST("matrix.rps", "500", plan_parse_rates,
	     "a list of 1 to 16 numbers from 1 to 1000000, each once", matrix.rps),
	WHOLE("matrix.repeats", "3", 1, 1000, matrix.repeats),
	WHOLE("matrix.baselines", "2", 1, 100, matrix.baselines),

	TIME("times.warmUp", "1s", 0, HOUR_NS, times.warm_up_ns),
	TIME("times.before", "8s", 0.1 * SECOND_NS, HOUR_NS, times.before_ns),
	TIME("times.settle", "1s", 0, HOUR_NS, times.settle_ns),
	TIME("times.during", "8s", 0.1 * SECOND_NS, HOUR_NS, times.during_ns),
	TIME("times.coolDown", "1s", 0, HOUR_NS, times.cool_down_ns),

	NUMBER("gates.foreignCpu", "0.10", 0, 1024, gates.foreign_cpus),
	CHOICE("gates.action", "repeat", plan_gate_actions, gates.action),
	WHOLE("gates.repeats", "2", 0, 100, gates.repeats),
	NUMBER("gates.utilisation", "0.7", 0, 1, gates.utilisation),

	TIME("slo.p99", "0s", 0, HOUR_NS, slo_p99_ns),

	TEXT("kpi.prometheus", "", kpi.prometheus),
	TEXT("kpi.p99Query", "", kpi.p99_query),
	TEXT("kpi.rpsQuery", "", kpi.rps_query),

	WHOLE("trial.repeats", "5", 1, 1000, trial.repeats),
	WHOLE("trial.episodes", "4", 1, 1000, trial.episodes),
	LIST("trial.arms", "random,spread,least-cpu,kubemarla", plan_parse_arms,
	     "a list of random, spread, least-cpu and kubemarla, each once", trial.arm),
	WHOLE("trial.replicas", "1", 1, KM_PLAN_REPLICAS_MAX, trial.replicas),
	NUMBER("trial.rps", "500", 1, 1e6, trial.rps),
	NUMBER("trial.quiet", "0.5", 0, 1, trial.quiet_share),
	LIST("trial.stressors", NULL, plan_parse_stressors, WANT_STRESSORS, trial.stressor),
	LIST("trial.levels", NULL, plan_parse_levels, WANT_LEVELS, trial.level_pct),
	TIME("trial.window", "6s", 0.1 * SECOND_NS, HOUR_NS, trial.window_ns),
	TIME("trial.during", "5s", 0.1 * SECOND_NS, HOUR_NS, trial.during_ns),

	TEXT("cluster.namespace", "kubemarla-lab", cluster.namespace),
	TEXT("cluster.kubectl", "kubectl", cluster.kubectl),
	TEXT("cluster.context", "", cluster.context),
	TEXT("cluster.image", "", cluster.image),
	TEXT("cluster.loadImage", "", cluster.load_image),
	TEXT("cluster.labImage", "", cluster.lab_image),
	WHOLE("cluster.nodePort", "0", 0, 65535, cluster.node_port),
	{ .key = "cluster.recorder",
	  .type = KM_CONF_CUSTOM,
	  .preset = "local",
	  .custom = plan_parse_recorder,
	  .want = "local or none",
	  FIELD(cluster.recorder_local) },
};

const struct km_conf_table plan_table = { rows, KM_ARRAY_LEN(rows) };

const char *const plan_modes[] = { "local", "cluster", NULL };
const char *const plan_target_kinds[] = { "nginx", NULL };
const char *const plan_generators[] = { "vegeta", "wrk", NULL };
const char *const plan_profiles[] = { "steady", "stepped", "bursty", "trace", NULL };
const char *const plan_gate_actions[] = { "repeat", "abort", "keep", NULL };
const char *const plan_arms[] = { "random", "spread", "least-cpu", "kubemarla", NULL };

const char *km_plan_mode_name(enum km_plan_mode mode)
{
	return plan_modes[mode];
}

const char *km_plan_generator_name(enum km_plan_generator generator)
{
	return plan_generators[generator];
}

const char *km_plan_profile_name(enum km_plan_profile profile)
{
	return plan_profiles[profile];
}

const char *km_plan_gate_action_name(enum km_plan_gate_action action)
{
	return plan_gate_actions[action];
}

const char *km_plan_arm_name(enum km_plan_arm arm)
{
	return plan_arms[arm];
}

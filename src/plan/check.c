/* SPDX-License-Identifier: Apache-2.0 */
/* What no single key of a plan can tell. Entry: plan_check. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "plan_internal.h"

/* A stressor's pod ends by itself after an hour (deploy/experiments/stressor.yaml), of which pods
 * may need some to come up. */
#define STRESSOR_S 3000.0

/* Line of section.key, 0 when the file does not have it. */
static uint32_t line_of(const struct km_tree *root, const char *section, const char *key)
{
	const struct km_tree *at = km_tree_get(root, section);

	if (at != NULL && key != NULL && km_tree_get(at, key) != NULL)
		at = km_tree_get(at, key);
	return at != NULL ? at->line : 0;
}

static int check_nodes(struct km_conf_ctx *c, struct km_plan *p, const struct km_tree *root)
{
	uint32_t line = line_of(root, "nodes", NULL);

	if (p->node_count == 0 || p->node_count > KM_PLAN_NODES_MAX) {
		return km_conf_fail(c, line, "nodes: saw %zu, want 1 to %d", p->node_count,
		                    KM_PLAN_NODES_MAX);
	}
	for (size_t i = 0; i < p->node_count; i++) {
		const struct km_node_settings *n = &p->node[i];

		/* directories and words of a command line: "..", "-o" and "_load" are others */
		if (!isalnum((unsigned char)n->name[0])) {
			return km_conf_fail(c, line,
			                    "nodes[%zu].name: saw %.60s, want a letter or a digit "
			                    "first",
			                    i, n->name);
		}
		if (p->mode == KM_PLAN_LOCAL &&
		    (!n->cpus_given || km_cpuset_count(&n->cpus) == 0)) {
			return km_conf_fail(c, line,
			                    "nodes[%zu].cpus: saw nothing, want the CPUs of %.60s "
			                    "(mode local)",
			                    i, n->name);
		}
		if (p->mode == KM_PLAN_LOCAL && n->cgroup[0] != '\0') {
			return km_conf_fail(c, line,
			                    "nodes[%zu].cgroup: saw %.60s, want none: mode local "
			                    "makes groups of its own",
			                    i, n->cgroup);
		}
	}
	return 0;
}

/* returns the node a word of matrix.on means, or node_count. */
static size_t node_of(const struct km_plan *p, const char *word)
{
	if (strcmp(word, "target") == 0)
		return p->target.node;
	if (strcmp(word, "other") == 0 && p->node_count > 1)
		return p->target.node == 0 ? 1 : 0;
	for (size_t i = 0; i < p->node_count; i++) {
		if (strcmp(p->node[i].name, word) == 0)
			return i;
	}
	return p->node_count;
}

static int check_on(struct km_conf_ctx *c, struct km_plan *p, const struct km_tree *root)
{
	struct km_plan_matrix *m = &p->matrix;

	if (m->on_count == 0) {
		(void)snprintf(m->on[0].word, KM_PLAN_ON_MAX, "target");
		(void)snprintf(m->on[1].word, KM_PLAN_ON_MAX, "other");
		m->on_count = p->node_count > 1 ? 2 : 1;
	}
	for (size_t i = 0; i < m->on_count; i++) {
		m->on[i].node = node_of(p, m->on[i].word);
		for (size_t j = 0; j < i; j++) {
			if (m->on[j].node == m->on[i].node)
				m->on[i].node = p->node_count;
		}
		if (m->on[i].node == p->node_count) {
			return km_conf_fail(c, line_of(root, "matrix", "on"),
			                    "matrix.on: saw %s, want target, other (with two nodes "
			                    "or more) or a name from nodes, each node once",
			                    m->on[i].word);
		}
	}
	return 0;
}

/* Replicas of a service on this machine take ports in turn. */
static int check_ports(struct km_conf_ctx *c, struct km_plan *p, const struct km_tree *root)
{
	unsigned most = p->trial.replicas;

	for (size_t i = 0; i < p->matrix.replicas_count; i++)
		most = p->matrix.replicas[i] > most ? p->matrix.replicas[i] : most;
	if (p->target.port == 0 || p->target.port + most - 1 <= UINT16_MAX)
		return 0;
	return km_conf_fail(c, line_of(root, "target", "port"),
	                    "target.port: saw %u, want at most %u: %u replicas take one each",
	                    p->target.port, UINT16_MAX + 1 - most, most);
}

static int check_load(struct km_conf_ctx *c, struct km_plan *p, const struct km_tree *root)
{
	const struct km_plan_load *l = &p->load;

	if ((l->profile == KM_PLAN_TRACE) != (l->trace_path[0] != '\0')) {
		return km_conf_fail(c, line_of(root, "load", "profile"),
		                    "load: saw profile %s with%s a trace, want both or neither",
		                    plan_profiles[l->profile],
		                    l->trace_path[0] != '\0' ? "" : "out");
	}
	if (l->burst_length_ns >= l->burst_every_ns) {
		return km_conf_fail(c, line_of(root, "load", "burst"),
		                    "load.burst: saw a length of %gs every %gs, want a shorter "
		                    "length",
		                    (double)l->burst_length_ns / 1e9,
		                    (double)l->burst_every_ns / 1e9);
	}
	if (l->generator == KM_PLAN_WRK && l->profile != KM_PLAN_STEADY) {
		return km_conf_fail(c, line_of(root, "load", "profile"),
		                    "load.profile: saw %s, want steady: wrk has no rate",
		                    plan_profiles[l->profile]);
	}
	if (l->generator == KM_PLAN_WRK && p->matrix.rps_count > 1) {
		return km_conf_fail(c, line_of(root, "matrix", "rps"),
		                    "matrix.rps: saw %zu rates, want one: wrk has no rate, so "
		                    "their runs would be the same",
		                    p->matrix.rps_count);
	}
	return 0;
}

static int check_times(struct km_conf_ctx *c, struct km_plan *p, const struct km_tree *root)
{
	const struct {
		const char *section, *key;
		int64_t ns;
	} windows[] = {
		{ "times", "before", p->times.before_ns },
		{ "times", "during", p->times.during_ns },
		{ "trial", "window", p->trial.window_ns },
		{ "trial", "during", p->trial.during_ns },
	};

	for (size_t i = 0; i < KM_ARRAY_LEN(windows); i++) {
		/* Two samples are the least that a rate can be had of. */
		if (windows[i].ns < 2 * p->collect.interval_ns) {
			return km_conf_fail(c, line_of(root, windows[i].section, windows[i].key),
			                    "%s.%s: saw %gs, want at least twice collect.interval "
			                    "(%gs)",
			                    windows[i].section, windows[i].key,
			                    (double)windows[i].ns / 1e9,
			                    (double)p->collect.interval_ns / 1e9);
		}
	}
	return 0;
}

static int check_stressors_life(struct km_conf_ctx *c, struct km_plan *p,
                                const struct km_tree *root)
{
	const struct km_plan_times *t = &p->times;
	const struct {
		const char *section;
		int64_t ns;
	} lives[] = {
		{ "times", t->warm_up_ns + t->before_ns + t->settle_ns + t->during_ns },
		{ "trial",
		  2 * t->warm_up_ns + p->trial.window_ns + t->settle_ns + p->trial.during_ns },
	};

	for (size_t i = 0; p->mode == KM_PLAN_CLUSTER && i < KM_ARRAY_LEN(lives); i++) {
		double seconds = (double)lives[i].ns / 1e9;

		if (seconds > STRESSOR_S) {
			return km_conf_fail(c, line_of(root, lives[i].section, NULL),
			                    "%s: saw %gs of interference at a time, want at most "
			                    "%gs (mode cluster)",
			                    lives[i].section, seconds, STRESSOR_S);
		}
	}
	return 0;
}

static int check_kpi(struct km_conf_ctx *c, struct km_plan *p, const struct km_tree *root)
{
	bool url = p->kpi.prometheus[0] != '\0';
	bool queries = p->kpi.p99_query[0] != '\0' || p->kpi.rps_query[0] != '\0';

	if (url == queries)
		return 0;
	return km_conf_fail(
		c, line_of(root, "kpi", NULL),
		"kpi: saw %s, want prometheus and at least one of p99Query and rpsQuery",
		url ? "prometheus without a query" : "a query without prometheus");
}

static int check_count(struct km_conf_ctx *c, struct km_plan *p, const struct km_tree *root)
{
	const struct km_plan_matrix *m = &p->matrix;
	size_t stressed = m->stressor_count * m->level_count * m->on_count;
	size_t all = m->repeats * m->replicas_count * m->rps_count * (stressed + m->baselines);

	if (all <= KM_PLAN_RUNS_MAX)
		return 0;
	return km_conf_fail(c, line_of(root, "matrix", NULL),
	                    "matrix: saw %zu runs, want at most %d", all, KM_PLAN_RUNS_MAX);
}

static int fill_trial(struct km_conf_ctx *c, struct km_plan *p, const struct km_tree *root)
{
	struct km_plan_trial *t = &p->trial;
	const struct km_plan_matrix *m = &p->matrix;

	if (t->stressor_count == 0) {
		memcpy(t->stressor, m->stressor, sizeof(t->stressor));
		t->stressor_count = m->stressor_count;
	}
	if (t->level_count == 0) {
		memcpy(t->level_pct, m->level_pct, sizeof(t->level_pct));
		t->level_count = m->level_count;
	}
	(void)c, (void)root;
	return 0;
}

int plan_check(struct km_conf_ctx *c, struct km_plan *p, const struct km_tree *root)
{
	static int (*const checks[])(struct km_conf_ctx *, struct km_plan *,
	                             const struct km_tree *) = {
		check_nodes,          check_on,  check_ports, check_load, check_times,
		check_stressors_life, check_kpi, check_count, fill_trial,
	};
	int rc = 0;

	for (size_t i = 0; i < KM_ARRAY_LEN(checks) && rc == 0; i++)
		rc = checks[i](c, p, root);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One play: interference, a window of counters that begins after it, a choice, load, and nothing
 * left. Every arm waits for the same window, so that what came before the load is the same for all.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "km/base/clock.h"
#include "km/experiment/arm.h"

#include "trial_internal.h"

#define FRESH_STEP_NS  (100 * KM_NS_PER_MS)
#define FRESH_EXTRA_NS (5 * KM_NS_PER_S) /* beyond three intervals: then the daemon is late */

/* What trial_play works on. */
struct act {
	struct trial *t;
	const struct km_play *play;
	struct km_trial_record *r;
	struct km_episode episode;
	struct km_rng luck;
	bool chosen;        /* placed means something */
	int64_t settled_ns; /* from here on counters are of this play alone */
};

static int64_t now_ns(const struct act *a)
{
	return km_clock_mono_ns(a->t->clock);
}

static int64_t in_ns(double seconds)
{
	return (int64_t)(seconds * 1e9);
}

static void begin_record(struct act *a, unsigned attempt)
{
	const struct km_plan *p = a->t->plan;
	struct km_trial_record *r = a->r;

	km_trial_record_init(r);
	r->plan_hash = a->t->hash;
	r->repeat = a->play->repeat;
	r->episode = a->play->episode;
	r->order = a->play->order;
	r->attempt = attempt;
	(void)snprintf(r->arm, sizeof(r->arm), "%s",
	               r->episode > 0 ? km_plan_arm_name(a->play->arm) : KM_TRIAL_ALONE);
	r->started_unix_ms = km_clock_wall_ns(a->t->clock) / KM_NS_PER_MS;
	r->rps = p->trial.rps;
	r->replicas = p->trial.replicas;
	r->window_s = a->t->window_s;
	if (p->slo_p99_ns > 0)
		r->slo_p99_ms = (double)p->slo_p99_ns / 1e6;
	r->node_count = p->node_count;
	for (size_t i = 0; i < p->node_count; i++) {
		const struct km_episode_node *e = &a->episode.node[i];
		struct km_trial_node *n = &r->node[i];

		(void)snprintf(n->name, sizeof(n->name), "%s", p->node[i].name);
		if (e->stressed) {
			(void)snprintf(n->stress, sizeof(n->stress), "%s",
			               km_stress_kind_name(e->kind));
			n->level_pct = e->level_pct;
		}
	}
}

/* Alone, the place is the schedule's. */
static void place_alone(struct act *a)
{
	a->chosen = a->play->episode == 0;
	for (unsigned k = 0; a->chosen && k < a->r->replicas; k++)
		a->r->placed[k] = a->play->node;
}

/* ---- interference, and a window that is all of it ---- */

static int start_stress(struct act *a, struct km_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < a->t->plan->node_count; i++) {
		const struct km_episode_node *e = &a->episode.node[i];

		if (e->stressed)
			rc = km_rig_stress_start(a->t->rig, i, e->kind, e->level_pct, err);
	}
	if (rc == 0)
		rc = km_rig_wait(a->t->rig, a->t->plan->times.warm_up_ns, err);
	a->settled_ns = now_ns(a);
	return rc;
}

/* Until the daemon's newest window lies behind settled_ns. It is late: that is noted. */
static int await_fresh(struct act *a, struct km_err *err)
{
	const struct trial *t = a->t;
	int64_t deadline_ns = a->settled_ns + in_ns(t->window_s + t->bin_s) +
	                      3 * t->plan->collect.interval_ns + FRESH_EXTRA_NS;
	double age_s = 0;
	int rc;

	if (t->daemon == NULL)
		return 0;
	for (;;) {
		struct km_err why = { .code = 0 };
		double passed_s;

		rc = km_trial_daemon_age(t->daemon, &age_s, &why);
		if (rc == -ECHILD || rc == -ENOMEM)
			return km_err_set(err, why.code, "%s", why.text);
		passed_s = (double)(now_ns(a) - a->settled_ns) / 1e9;
		if (rc == 0 && passed_s - age_s >= t->window_s + t->bin_s)
			return 0;
		if (now_ns(a) >= deadline_ns) {
			a->r->stale = 1;
			(void)snprintf(a->r->trouble, sizeof(a->r->trouble), "%s",
			               rc != 0 ? why.text : "counters of before the interference");
			return 0;
		}
		rc = km_rig_wait(t->rig, FRESH_STEP_NS, err);
		if (rc != 0)
			return rc;
	}
}

static void take_usage(const struct km_rig_usage *u, struct km_run_usage *out)
{
	out->seconds = u->seconds;
	out->busy_cpus = u->busy_cpus;
	out->own_cpus = u->own_cpus;
	out->foreign_cpus = u->foreign_cpus;
	out->target_utilisation = u->target_utilisation;
}

/* The recorder's window is the daemon's: the first bin is let pass, as it does. */
static int look(struct act *a, struct km_err *err)
{
	struct trial *t = a->t;
	double busy[KM_PLAN_NODES_MAX];
	struct km_rig_usage usage;
	struct km_buf trace;
	int rc;

	km_buf_init(&trace);
	rc = km_rig_wait(t->rig, in_ns(t->bin_s), err);
	if (rc == 0)
		rc = km_rig_record_begin(t->rig, err);
	if (rc == 0)
		rc = km_rig_wait(t->rig, in_ns(t->window_s), err);
	if (rc == 0)
		rc = await_fresh(a, err);
	if (rc == 0)
		rc = km_rig_record_end(t->rig, &trace, &usage, err);
	if (rc == 0)
		rc = trial_busy(t->plan, &trace, busy, err);
	if (rc == 0) {
		take_usage(&usage, &a->r->before);
		a->r->before.target_utilisation = NAN; /* there is no target yet */
		for (size_t i = 0; i < t->plan->node_count; i++)
			a->r->node[i].busy_ratio = busy[i];
	}
	km_buf_fini(&trace);
	return rc;
}

/* ---- the choice ---- */

/* What this arm has placed in this repeat before this play; nothing of what came of it. */
static void count_placed(const struct act *a, struct km_arm_node *node)
{
	const struct km_plays *p = &a->t->plays;

	for (size_t i = 0; i < p->count; i++) {
		const struct km_trial_record *r = &p->play[i];

		if (r->repeat != a->r->repeat || r->order >= a->r->order ||
		    strcmp(r->arm, a->r->arm) != 0)
			continue;
		for (unsigned k = 0; k < r->replicas; k++)
			node[r->placed[k]].placed++;
	}
}

static int choose(struct act *a, struct km_err *err)
{
	struct km_arm_node node[KM_PLAN_NODES_MAX];
	struct km_trial_record *r = a->r;

	if (a->play->episode == 0)
		return 0;
	if (km_arm_asks(a->play->arm))
		return km_trial_daemon_choose(a->t->daemon, &a->luck, r, err);
	for (size_t i = 0; i < r->node_count; i++)
		node[i] = (struct km_arm_node){ .busy_ratio = r->node[i].busy_ratio, .score = NAN };
	count_placed(a, node);
	for (unsigned k = 0; k < r->replicas; k++) {
		r->placed[k] =
			km_arm_choose(a->play->arm, node, r->node_count, km_rng_unit(&a->luck));
		node[r->placed[k]].placed++;
	}
	return 0;
}

/* ---- what comes of it ---- */

static void take_stress(struct act *a, const struct km_stress_result *s, size_t count)
{
	size_t at = 0;

	for (size_t i = 0; i < a->r->node_count && at < count; i++) {
		if (!a->episode.node[i].stressed)
			continue;
		a->r->node[i].duty_ratio = s[at].duty_ratio;
		a->r->node[i].ops_per_s = s[at].ops_per_s;
		at++;
	}
}

static int measure(struct act *a, struct km_err *err)
{
	struct trial *t = a->t;
	const struct km_load_spec load = {
		.rps = a->r->rps,
		.duration_ns = t->plan->trial.during_ns,
		.warm_up_ns = t->plan->times.warm_up_ns,
	};
	struct km_stress_result stress[KM_PLAN_NODES_MAX];
	struct km_rig_usage usage;
	struct km_rig_kpi kpi;
	size_t stressors = 0;
	int rc = km_rig_target_start(t->rig, a->r->placed, a->r->replicas, err);

	if (rc == 0)
		rc = km_rig_wait(t->rig, t->plan->times.settle_ns, err);
	if (rc == 0)
		rc = km_rig_record_begin(t->rig, err);
	if (rc == 0)
		rc = km_rig_load(t->rig, &load, &a->r->load, err);
	if (rc == 0)
		rc = km_rig_record_end(t->rig, NULL, &usage, err);
	if (rc != 0)
		return rc;
	take_usage(&usage, &a->r->during);
	km_rig_kpi(t->rig, &kpi);
	a->r->served = kpi.served;
	a->r->served_difference = kpi.difference;
	a->r->prometheus_p99_ms = kpi.prometheus_p99_ms;
	a->r->prometheus_rps = kpi.prometheus_rps;
	rc = km_rig_stress_stop(t->rig, stress, KM_PLAN_NODES_MAX, &stressors, err);
	if (rc == 0)
		take_stress(a, stress, stressors);
	if (rc == 0 && !(a->r->load.p99_ms > 0))
		rc = km_err_set(err, EIO, "the generator says no 99th percentile");
	return rc;
}

/* What a gate has to say; the caller knows what it does about it. */
static void gate(struct act *a)
{
	const struct km_plan_gates *g = &a->t->plan->gates;
	struct km_trial_record *r = a->r;
	double worst = fmax(r->before.foreign_cpus, r->during.foreign_cpus); /* NaN gives way */

	r->saturated = r->during.target_utilisation > g->utilisation;
	if (worst > g->foreign_cpus) {
		(void)snprintf(r->gate, sizeof(r->gate),
		               "foreign CPUs: saw %.2f before and %.2f during the load, want %.2f "
		               "at most",
		               r->before.foreign_cpus, r->during.foreign_cpus, g->foreign_cpus);
	}
}

int trial_play(struct trial *t, const struct km_play *play, unsigned attempt,
               struct km_trial_record *r, struct km_err *err)
{
	struct act a = { .t = t, .play = play, .r = r };
	int rc;

	km_plan_episode(t->plan, play->repeat, play->episode, &a.episode);
	km_plan_luck(t->plan, play, &a.luck);
	begin_record(&a, attempt);
	place_alone(&a);
	km_rig_reset(t->rig);
	rc = start_stress(&a, err);
	if (rc == 0)
		rc = look(&a, err);
	if (rc == 0)
		rc = choose(&a, err);
	a.chosen |= rc == 0;
	if (rc == 0)
		rc = measure(&a, err);
	if (rc == 0)
		gate(&a);
	else if (!a.chosen)
		r->replicas = 0; /* what is kept of it names no node */
	km_rig_reset(t->rig);
	if (rc == 0)
		rc = km_rig_wait(t->rig, t->plan->times.cool_down_ns, err);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop over a plan's runs. An attempt at a run: stressor, warm-up, counters of `before`,
 * service, settling, load beside the counters of `during`, everything stopped, cool-down; then the
 * gate says whether it counts. Entry: km_experiment_run.
 */
#include "km/experiment/run.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/clock.h"
#include "km/experiment/folder.h"
#include "km/rig/rig.h"

#include "provenance.h"

struct session {
	const struct km_experiment_options *o;
	const struct km_plan *plan;
	struct km_folder *folder;
	struct km_rig *rig;
	double spent_s; /* in attempts that became runs, and gated ones before them */
	size_t made;    /* runs they became */
};

/* An attempt at a run, and what came of it. */
struct attempt {
	struct km_run_record r;
	struct km_buf before, during; /* traces */
};

static double now_s(void)
{
	return (double)km_clock_mono_ns(km_clock_system()) / 1e9;
}

static double remaining_s(const struct session *s)
{
	size_t left = km_folder_run_count(s->folder) - km_folder_finished(s->folder);

	if (s->made == 0)
		return (double)left * km_plan_run_seconds(s->plan);
	return (double)left * s->spent_s / (double)s->made;
}

static void tell(const struct session *s, enum km_experiment_event event,
                 const struct km_run_spec *spec, unsigned attempt, const struct km_run_record *r)
{
	struct km_experiment_progress p = {
		.event = event,
		.count = km_folder_run_count(s->folder),
		.finished = km_folder_finished(s->folder),
		.spec = spec,
		.attempt = attempt,
		.record = r,
		.remaining_s = remaining_s(s),
	};

	if (s->o->progress != NULL)
		s->o->progress(s->o->ctx, &p);
}

/* ---- one attempt ---- */

static void describe(const struct session *s, const struct km_run_spec *spec,
                     struct km_run_record *r)
{
	const struct km_plan *p = s->plan;

	km_run_record_init(r);
	(void)snprintf(r->id, sizeof(r->id), "%s", spec->id);
	r->repeat = spec->repeat;
	r->stressed = spec->stressed;
	if (spec->stressed) {
		(void)snprintf(r->stressor, sizeof(r->stressor), "%s",
		               km_stress_kind_name(spec->kind));
		r->level_pct = spec->level_pct;
		(void)snprintf(r->on, sizeof(r->on), "%s", spec->on);
		(void)snprintf(r->stress_node, sizeof(r->stress_node), "%s",
		               p->node[spec->stress_node].name);
	}
	(void)snprintf(r->target_node, sizeof(r->target_node), "%s",
	               p->node[spec->target_node].name);
	r->replicas = spec->replicas;
	r->rps = spec->rps;
	r->start_unix_ms = km_clock_wall_ns(km_clock_system()) / KM_NS_PER_MS;
	r->interval_s = (double)p->collect.interval_ns / 1e9;
	(void)snprintf(r->tier, sizeof(r->tier), "%s", km_tier_name(km_rig_tier(s->rig)));
}

static void take_usage(const struct km_rig_usage *u, struct km_run_usage *out)
{
	*out = (struct km_run_usage){
		.seconds = u->seconds,
		.busy_cpus = u->busy_cpus,
		.own_cpus = u->own_cpus,
		.foreign_cpus = u->foreign_cpus,
		.target_utilisation = u->target_utilisation,
	};
}

/* Counters while nothing but the stressor is there: what a scheduler would see. */
static int window_before(struct session *s, const struct km_run_spec *spec, struct km_run_record *r,
                         struct km_buf *csv, struct km_err *err)
{
	struct km_rig_usage usage = { .seconds = NAN };
	int rc = 0;

	if (spec->stressed)
		rc = km_rig_stress_start(s->rig, spec->stress_node, spec->kind, spec->level_pct,
		                         err);
	if (rc == 0)
		rc = km_rig_wait(s->rig, s->plan->times.warm_up_ns, err);
	if (rc == 0)
		rc = km_rig_record_begin(s->rig, err);
	if (rc == 0)
		rc = km_rig_wait(s->rig, s->plan->times.before_ns, err);
	if (rc == 0)
		rc = km_rig_record_end(s->rig, csv, &usage, err);
	if (rc == 0)
		take_usage(&usage, &r->before);
	return rc;
}

static int window_during(struct session *s, const struct km_run_spec *spec, struct km_run_record *r,
                         struct km_buf *csv, struct km_err *err)
{
	const struct km_load_spec load = { .rps = spec->rps,
		                           .duration_ns = s->plan->times.during_ns };
	struct km_rig_usage usage = { .seconds = NAN };
	size_t node[KM_PLAN_REPLICAS_MAX];
	struct km_rig_kpi kpi;
	int rc;

	for (size_t i = 0; i < KM_ARRAY_LEN(node); i++)
		node[i] = spec->target_node;
	rc = km_rig_target_start(s->rig, node, spec->replicas, err);
	if (rc == 0)
		rc = km_rig_wait(s->rig, s->plan->times.settle_ns, err);
	if (rc == 0)
		rc = km_rig_record_begin(s->rig, err);
	if (rc == 0)
		rc = km_rig_load(s->rig, &load, &r->load, err);
	if (rc == 0)
		rc = km_rig_record_end(s->rig, csv, &usage, err);
	if (rc != 0)
		return rc;
	take_usage(&usage, &r->during);
	km_rig_kpi(s->rig, &kpi);
	r->server_requests = kpi.served;
	r->kpi_p99_ms = kpi.prometheus_p99_ms;
	r->kpi_rps = kpi.prometheus_rps;
	r->saturated = usage.target_utilisation > s->plan->gates.utilisation;
	return 0;
}

static int stop_all(struct session *s, struct km_run_record *r, struct km_err *err)
{
	struct km_stress_result result[KM_RUN_STRESS_MAX];
	size_t count = 0;
	int rc = km_rig_stress_stop(s->rig, result, KM_RUN_STRESS_MAX, &count, err);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < count && i < KM_RUN_STRESS_MAX; i++) {
		struct km_run_stress *to = &r->stress[r->stress_count++];

		(void)snprintf(to->kind, sizeof(to->kind), "%s",
		               km_stress_kind_name(result[i].kind));
		to->seconds = result[i].seconds;
		to->duty_ratio = result[i].duty_ratio;
		to->ops_per_s = result[i].ops_per_s;
		to->bytes_per_s = result[i].bytes_per_s;
	}
	km_rig_target_stop(s->rig);
	return km_rig_wait(s->rig, s->plan->times.cool_down_ns, err);
}

static int try_run(struct session *s, const struct km_run_spec *spec, unsigned number,
                   struct attempt *a, struct km_err *err)
{
	int rc;

	km_buf_clear(&a->before);
	km_buf_clear(&a->during);
	describe(s, spec, &a->r);
	a->r.attempt = number;
	tell(s, KM_EXPERIMENT_STARTED, spec, number, NULL);
	rc = window_before(s, spec, &a->r, &a->before, err);
	if (rc == 0) {
		tell(s, KM_EXPERIMENT_LOADED, spec, number, NULL);
		rc = window_during(s, spec, &a->r, &a->during, err);
	}
	if (rc == 0)
		rc = stop_all(s, &a->r, err);
	km_rig_reset(s->rig);
	return rc;
}

/* ---- the gate ---- */

/* Does an error come from the run's processes, so that another attempt may go well? */
static bool may_pass(int rc)
{
	return rc == -ECHILD || rc == -EIO || rc == -ETIMEDOUT || rc == -ENODATA;
}

/* r->gate says why it should be made again, "" = nothing to say. */
static void judge(const struct session *s, struct km_run_record *r)
{
	double foreign = fmax(r->before.foreign_cpus, r->during.foreign_cpus);

	/* Not measured is no reason. */
	if (foreign > s->plan->gates.foreign_cpus)
		(void)snprintf(r->gate, sizeof(r->gate),
		               "%.3g CPUs busy with something else, want at most %g", foreign,
		               s->plan->gates.foreign_cpus);
}

static int keep(struct session *s, size_t i, const struct attempt *a, struct km_err *err)
{
	int rc = km_folder_commit(s->folder, i, &a->r, &a->before, &a->during, err);

	if (rc == 0)
		tell(s, KM_EXPERIMENT_FINISHED, km_folder_run(s->folder, i), a->r.attempt,
		     km_folder_record(s->folder, i));
	return rc;
}

static int set_aside(struct session *s, size_t i, const struct attempt *a, struct km_err *err)
{
	int rc = km_folder_gate(s->folder, i, &a->r, err);

	if (rc == 0)
		tell(s, KM_EXPERIMENT_GATED, km_folder_run(s->folder, i), a->r.attempt, &a->r);
	return rc;
}

/* What becomes of it, rc being its own. returns 0 and *again; or what ends the experiment. */
static int decide(struct session *s, size_t i, int rc, struct attempt *a, bool *again,
                  struct km_err *err)
{
	bool more = km_folder_gated(s->folder, i) < s->plan->gates.repeats;

	*again = false;
	if (rc != 0) {
		if (!may_pass(rc) || !more)
			return rc;
		(void)snprintf(a->r.gate, sizeof(a->r.gate), "%s", err->text);
		*again = true;
		return set_aside(s, i, a, err);
	}
	judge(s, &a->r);
	if (a->r.gate[0] == '\0' || s->plan->gates.action == KM_PLAN_GATE_KEEP)
		return keep(s, i, a, err);
	if (s->plan->gates.action == KM_PLAN_GATE_ABORT) {
		rc = set_aside(s, i, a, err);
		return rc != 0 ? rc : km_err_set(err, ECANCELED, "%s", a->r.gate);
	}
	if (!more)
		return keep(s, i, a, err);
	*again = true;
	return set_aside(s, i, a, err);
}

static int make_run(struct session *s, size_t i, struct km_err *err)
{
	const struct km_run_spec *spec = km_folder_run(s->folder, i);
	struct attempt *a = malloc(sizeof(*a));
	double start_s = now_s();
	bool again = true;
	int rc = 0;

	if (a == NULL)
		return km_err_set(err, ENOMEM, "%s: out of memory", spec->id);
	km_buf_init(&a->before);
	km_buf_init(&a->during);
	while (rc == 0 && again) {
		rc = try_run(s, spec, km_folder_gated(s->folder, i) + 1, a, err);
		rc = decide(s, i, rc, a, &again, err);
	}
	if (rc == 0) {
		s->spent_s += now_s() - start_s;
		s->made++;
	} else if (rc != -EINTR) {
		(void)km_err_prefix(err, "%.60s", spec->id);
	}
	km_buf_fini(&a->before);
	km_buf_fini(&a->during);
	free(a);
	return rc;
}

/* ---- all of them ---- */

static int set_up(struct session *s, struct km_err *err)
{
	const struct km_experiment_options *o = s->o;
	const struct km_rig_options rig = {
		.self = o->self,
		.scratch_dir = o->scratch,
		.stop_fd = o->stop_fd,
		.say = o->say,
		.ctx = o->ctx,
	};
	struct experiment_origin origin = {
		.plan = o->plan,
		.version = o->version,
		.os_release = "/etc/os-release",
		.start_unix_ns = km_clock_wall_ns(km_clock_system()),
	};
	int rc = km_rig_open(o->plan, &rig, &s->rig, err);

	if (rc != 0)
		return rc;
	origin.facts = km_rig_facts(s->rig);
	origin.tier = km_rig_tier(s->rig);
	return experiment_keep_provenance(o->dir, &origin, err);
}

int km_experiment_run(const struct km_experiment_options *o, size_t *finished, struct km_err *err)
{
	struct session s = { .o = o, .plan = o->plan };
	struct km_err local = { .code = 0 };
	int rc;

	*finished = 0;
	if (err == NULL)
		err = &local; /* a gated run keeps its text */
	rc = km_folder_open(o->dir, o->plan, o->text, o->len, &s.folder, err);
	if (rc != 0)
		return rc;
	tell(&s, KM_EXPERIMENT_OPENED, NULL, 0, NULL);
	/* An experiment that is complete needs no machine. */
	if (km_folder_finished(s.folder) < km_folder_run_count(s.folder))
		rc = set_up(&s, err);
	else
		rc = km_folder_tables(s.folder, err);
	for (size_t i = 0; rc == 0 && i < km_folder_run_count(s.folder); i++) {
		if (km_folder_record(s.folder, i) == NULL)
			rc = make_run(&s, i, err);
	}
	*finished = km_folder_finished(s.folder);
	km_rig_close(s.rig);
	km_folder_close(s.folder);
	return rc;
}

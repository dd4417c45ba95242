/* SPDX-License-Identifier: Apache-2.0 */
/* A trial from its first to its last play: what is there already, gates, files, progress. */
#include "km/experiment/trial.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "km/experiment/arm.h"
#include "km/experiment/trial_report.h"

#include "provenance.h"
#include "trial_internal.h"

#define PATH_BYTES 4096

/* ---- files ---- */

static int check_plays(const struct trial *t, struct km_err *err)
{
	for (size_t i = 0; i < t->plays.count; i++) {
		if (t->plays.play[i].plan_hash != t->hash) {
			return km_err_set(err, EEXIST,
			                  "%.80s/trial has plays of another plan (or of this one, "
			                  "changed since): use another folder",
			                  t->o->dir);
		}
	}
	return 0;
}

/* Two models in one result would be a result of neither. */
static int check_model(const struct trial *t, struct km_err *err)
{
	const char *model = t->daemon != NULL ? km_trial_daemon_model(t->daemon) : "";

	for (size_t i = 0; i < t->plays.count; i++) {
		const struct km_trial_record *r = &t->plays.play[i];

		if (r->model[0] != '\0' && strcmp(r->model, model) != 0) {
			return km_err_set(err, EEXIST,
			                  "%.60s/trial has plays by model %.40s, and this is "
			                  "%.40s: use another folder",
			                  t->o->dir, r->model, model);
		}
	}
	return 0;
}

static int keep_plan(const struct km_trial_options *o, struct km_err *err)
{
	struct km_buf text;
	int rc;

	km_buf_init(&text);
	km_buf_append(&text, o->plan_text, o->plan_len);
	rc = km_plays_put(o->dir, "plan.yaml", &text, err);
	km_buf_fini(&text);
	return rc;
}

/* Read anew: in their order, and nothing that only memory has. */
static int write_result(const struct trial *t, struct km_err *err)
{
	struct km_trial_result result;
	struct km_plays plays;
	struct km_buf text;
	int rc = km_plays_read(t->o->dir, &plays, err);

	if (rc != 0)
		return rc;
	rc = km_trial_summarise(&plays, &result, err);
	if (rc == 0) {
		km_buf_init(&text);
		km_trial_result_json(&result, &text);
		rc = km_plays_put(t->o->dir, "result.json", &text, err);
		km_buf_fini(&text);
		km_trial_result_fini(&result);
	}
	km_plays_fini(&plays);
	return rc;
}

static int write_setup(const struct trial *t, struct km_err *err)
{
	const struct experiment_origin origin = {
		.plan = t->plan,
		.facts = km_rig_facts(t->rig),
		.tier = km_rig_tier(t->rig),
		.version = t->o->version,
		.os_release = "/etc/os-release",
		.start_unix_ns = km_clock_wall_ns(t->clock),
	};
	struct km_trial_setup setup;
	char dir[PATH_BYTES];
	struct km_buf text;
	int rc;

	km_trial_setup_init(&setup);
	if (t->daemon != NULL)
		(void)snprintf(setup.model, sizeof(setup.model), "%s",
		               km_trial_daemon_model(t->daemon));
	setup.window_s = t->window_s;
	setup.bin_s = t->bin_s;
	km_buf_init(&text);
	km_trial_setup_encode(&text, &setup);
	rc = km_plays_put(t->o->dir, "setup.json", &text, err);
	km_buf_fini(&text);
	/* what the page says of the model, when the daemon is no more */
	if (rc == 0 && t->daemon != NULL)
		rc = km_plays_put(t->o->dir, "model.json", km_trial_daemon_card(t->daemon), err);
	if (rc == 0 && snprintf(dir, sizeof(dir), "%s/trial", t->o->dir) >= (int)sizeof(dir))
		rc = km_err_set(err, ENAMETOOLONG, "%.100s: too long", t->o->dir);
	return rc == 0 ? experiment_keep_provenance(dir, &origin, err) : rc;
}

/* ---- processes ---- */

static bool anybody_asks(const struct km_plan *p)
{
	for (size_t i = 0; i < p->trial.arm_count; i++) {
		if (km_arm_asks(p->trial.arm[i]))
			return true;
	}
	return false;
}

static int open_rig(struct trial *t, struct km_err *err)
{
	const struct km_rig_options rig = {
		.self = t->o->self,
		.scratch_dir = t->o->scratch_dir,
		.stop_fd = t->o->stop_fd,
		.say = t->o->say,
		.ctx = t->o->ctx,
	};

	return km_rig_open(t->plan, &rig, &t->rig, err);
}

static int start_daemon(struct trial *t, struct km_err *err)
{
	const char *group[KM_PLAN_NODES_MAX];
	const struct km_trial_daemon_options daemon = {
		.plan = t->plan,
		.url = t->o->daemon_url,
		.program = t->o->daemon_program,
		.model = t->o->model,
		.scratch_dir = t->o->scratch_dir,
		.group = group,
	};
	double planned_s = (double)t->plan->trial.window_ns / 1e9;
	int rc;

	t->window_s = planned_s;
	t->bin_s = 0;
	if (!anybody_asks(t->plan))
		return 0;
	for (size_t i = 0; i < t->plan->node_count; i++)
		group[i] = km_rig_group(t->rig, i);
	rc = km_trial_daemon_start(&daemon, &t->daemon, err);
	if (rc != 0)
		return rc;
	/* what it takes of the machine is no stranger's */
	if (km_trial_daemon_pid(t->daemon) > 0)
		rc = km_rig_adopt(t->rig, km_trial_daemon_pid(t->daemon), err);
	t->window_s = fmax(planned_s, km_trial_daemon_window_s(t->daemon));
	t->bin_s = km_trial_daemon_bin_s(t->daemon);
	return rc;
}

/* ---- the schedule ---- */

static void tell(const struct trial *t, size_t done, size_t all, const struct km_trial_record *r)
{
	const struct km_trial_progress progress = {
		.done = done,
		.all = all,
		.play = r,
		.left_s = (double)(all - done) *
		          km_plan_play_seconds(t->plan, t->window_s + t->bin_s),
	};

	if (t->o->progress != NULL)
		t->o->progress(t->o->ctx, &progress);
}

static const char *alone_on(const struct trial *t, const struct km_play *play)
{
	return t->plan->node[play->node].name;
}

static unsigned gated_before(const struct trial *t, const struct km_play *play)
{
	unsigned count = 0;

	for (size_t i = 0; i < t->plays.gated_count; i++)
		count += km_plays_is(&t->plays.gated[i], play, alone_on(t, play));
	return count;
}

/* Does an error come from the play's processes, so that another attempt may go well? */
static bool may_pass(const struct trial *t, int rc)
{
	double age_s;

	if (rc != -ECHILD && rc != -EIO && rc != -ETIMEDOUT && rc != -ENODATA)
		return false;
	return t->daemon == NULL || km_trial_daemon_age(t->daemon, &age_s, NULL) != -ECHILD;
}

/* Keeps an attempt that does not count, and says so. */
static int set_aside(struct trial *t, struct km_trial_record *r, struct km_err *err)
{
	char line[KM_TRIAL_ID_MAX + KM_TRIAL_TEXT_MAX + 32];
	char id[KM_TRIAL_ID_MAX];

	r->discarded = true;
	if (t->o->say != NULL) {
		(void)snprintf(line, sizeof(line), "%s does not count: %s",
		               km_trial_record_id(r, id), r->gate);
		t->o->say(t->o->ctx, line);
	}
	return km_plays_add(&t->plays, t->o->dir, r, err);
}

/* One attempt, and what becomes of it. returns 0 and *again; or the error that ends the trial. */
static int attempt(struct trial *t, const struct km_play *play, unsigned number,
                   struct km_trial_record *r, bool *again, struct km_err *err)
{
	const struct km_plan_gates *g = &t->plan->gates;
	bool more = number <= g->repeats;
	int rc = trial_play(t, play, number, r, err);

	*again = false;
	if (rc != 0) {
		if (!more || !may_pass(t, rc))
			return rc;
		(void)snprintf(r->gate, sizeof(r->gate), "%s", err->text);
		*again = true;
		return set_aside(t, r, err);
	}
	if (r->gate[0] == '\0' || g->action == KM_PLAN_GATE_KEEP ||
	    (g->action == KM_PLAN_GATE_REPEAT && !more))
		return km_plays_add(&t->plays, t->o->dir, r, err);
	rc = set_aside(t, r, err);
	*again = g->action == KM_PLAN_GATE_REPEAT;
	if (rc == 0 && !*again)
		rc = km_err_set(err, ECANCELED, "stopped at a gate: %.150s", r->gate);
	return rc;
}

/* Plays until a play counts. */
static int play_one(struct trial *t, const struct km_play *play, struct km_trial_record *r,
                    struct km_err *err)
{
	unsigned number = gated_before(t, play) + 1;
	bool again = true;
	int rc = 0;

	for (; rc == 0 && again; number++)
		rc = attempt(t, play, number, r, &again, err);
	return rc;
}

static int play_all(struct trial *t, const struct km_play *play, size_t count, struct km_err *err)
{
	struct km_trial_record *r = malloc(sizeof(*r));
	size_t done = 0;
	int rc = 0;

	if (r == NULL)
		return km_err_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		done += km_plays_find(&t->plays, &play[i], alone_on(t, &play[i])) != NULL;
	tell(t, done, count, NULL);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (km_plays_find(&t->plays, &play[i], alone_on(t, &play[i])) != NULL)
			continue;
		rc = play_one(t, &play[i], r, err);
		if (rc == 0)
			tell(t, ++done, count, r);
	}
	free(r);
	return rc;
}

static int run(struct trial *t, struct km_err *err)
{
	struct km_play *play = NULL;
	size_t count = 0;
	int rc = km_plays_read(t->o->dir, &t->plays, err);

	if (rc == 0)
		rc = check_plays(t, err);
	if (rc == 0)
		rc = keep_plan(t->o, err);
	if (rc == 0 && km_plan_plays(t->plan, &play, &count) != 0)
		rc = km_err_set(err, ENOMEM, "out of memory");
	if (rc == 0)
		rc = open_rig(t, err);
	if (rc == 0)
		rc = start_daemon(t, err);
	if (rc == 0)
		rc = check_model(t, err);
	if (rc == 0)
		rc = write_setup(t, err);
	if (rc == 0)
		rc = play_all(t, play, count, err);
	km_trial_daemon_stop(t->daemon);
	km_rig_close(t->rig);
	if (rc == 0)
		rc = write_result(t, err);
	free(play);
	km_plays_fini(&t->plays);
	return rc;
}

int km_trial_run(const struct km_trial_options *o, struct km_err *err)
{
	struct trial t = {
		.o = o,
		.plan = o->plan,
		.clock = o->clock != NULL ? o->clock : km_clock_system(),
		.hash = km_plan_trial_hash(o->plan),
	};
	int rc = km_plan_trial_check(o->plan, err);
	int lock;

	if (rc != 0)
		return rc;
	if (t.hash == 0)
		return km_err_set(err, ENOMEM, "out of memory");
	km_plays_init(&t.plays);
	lock = km_plays_lock(o->dir, err);
	if (lock < 0)
		return lock;
	rc = run(&t, err);
	(void)close(lock);
	return rc;
}

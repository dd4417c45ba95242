/* SPDX-License-Identifier: Apache-2.0 */
/*
 * experiment: a trial from end to end in a made-up world: what arms see and choose, gates, failures
 * at any point, and going on where it ended. The rig is a fake (support/fake_trial_rig.h).
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/experiment/trial.h"
#include "km/experiment/trial_report.h"

#include "support/fake_trial_rig.h"

#define PLAN(more)                                                                                 \
	"name: t\nnodes: [{name: node-a, cpus: 0}, {name: node-b, cpus: 1}]\n"                     \
	"slo: {p99: 2ms}\n"                                                                        \
	"trial: {repeats: 5, episodes: 4, arms: [random, spread, least-cpu], stressors: [cpu], "   \
	"levels: [50, 100]}\n" more
#define PLAYS (5 * (4 * 3 + 2))

struct place {
	char dir[64];
	struct km_plan *plan;
	struct km_trial_options o;
	size_t told, done;
	struct km_buf said;
};

static int set_up(void **state)
{
	struct place *at = calloc(1, sizeof(*at));

	if (at == NULL)
		return -1;
	(void)snprintf(at->dir, sizeof(at->dir), "/tmp/km-trial-XXXXXX");
	if (mkdtemp(at->dir) == NULL)
		return -1;
	km_buf_init(&at->said);
	fake_begin();
	*state = at;
	return 0;
}

static void empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char file[400];

	while (dir != NULL && (entry = readdir(dir)) != NULL) { /* NOLINT: one thread */
		(void)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		(void)unlink(file);
	}
	if (dir != NULL)
		(void)closedir(dir);
	(void)rmdir(path);
}

static int tear_down(void **state)
{
	struct place *at = *state;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/trial/gated", at->dir);
	empty(path);
	(void)snprintf(path, sizeof(path), "%s/trial", at->dir);
	empty(path);
	empty(at->dir);
	km_plan_free(at->plan);
	km_buf_fini(&at->said);
	free(at);
	return 0;
}

static void on_progress(void *ctx, const struct km_trial_progress *p)
{
	struct place *at = ctx;

	at->told++;
	at->done = p->done;
	assert_int_equal(p->all, PLAYS);
	assert_true((p->left_s > 0) == (p->done < p->all));
}

static void on_say(void *ctx, const char *line)
{
	struct place *at = ctx;

	km_buf_printf(&at->said, "%s\n", line);
}

static int run(struct place *at, const char *plan, struct km_err *err)
{
	*err = (struct km_err){ .code = 0 };
	km_plan_free(at->plan);
	at->plan = NULL;
	if (km_plan_parse("p.yaml", plan, strlen(plan), &at->plan, err) != 0)
		fail_msg("%s", err->text);
	at->o = (struct km_trial_options){
		.plan = at->plan,
		.plan_text = plan,
		.plan_len = strlen(plan),
		.dir = at->dir,
		.scratch_dir = at->dir,
		.self = "kubemarla-lab",
		.version = "test",
		.clock = &fake_clock,
		.stop_fd = -1,
		.say = on_say,
		.progress = on_progress,
		.ctx = at,
	};
	return km_trial_run(&at->o, err);
}

static void read_plays(const struct place *at, struct km_plays *out)
{
	assert_int_equal(km_plays_read(at->dir, out, NULL), 0);
	assert_int_equal(out->unreadable, 0);
}

static void want_nothing_wrong(void)
{
	assert_int_equal(fake.window_before_stress, 0);
	assert_int_equal(fake.load_without_target, 0);
	assert_int_equal(fake.left_over, 0);
	assert_int_equal(fake.opened, fake.closed);
	assert_int_equal(fake.replicas, 0);
	assert_false(fake.level[0] > 0 || fake.level[1] > 0);
}

/* The node with less interference. */
static size_t better_in(const struct km_trial_record *r)
{
	return r->node[0].level_pct < r->node[1].level_pct ? 0 : 1;
}

static void want_seen(const struct km_trial_node *n)
{
	assert_true(fabs(n->busy_ratio - (0.1 + 0.008 * n->level_pct)) < 1e-9);
	assert_true((n->level_pct > 0) == (n->stress[0] != '\0'));
	assert_true((n->level_pct > 0) == (n->duty_ratio == 0.5));
	assert_true((n->level_pct > 0) == !isnan(n->duty_ratio));
}

static void every_arm_plays_the_same_interference(void **state)
{
	struct place *at = *state;
	struct km_trial_setup setup;
	struct km_err err;
	struct km_plays p;
	unsigned alone = 0;

	assert_int_equal(run(at, PLAN(""), &err), 0);
	want_nothing_wrong();
	assert_true(fake.loads == PLAYS && at->told == PLAYS + 1 && at->done == PLAYS);
	read_plays(at, &p);
	assert_true(p.count == PLAYS && p.gated_count == 0);
	for (size_t i = 0; i < p.count; i++) {
		const struct km_trial_record *r = &p.play[i];

		alone += r->episode == 0;
		assert_true(r->attempt == 1 && r->replicas == 1 && r->slo_p99_ms == 2);
		assert_true(r->load.p99_ms > 0 && r->window_s == 6 && r->served == 2500);
		assert_true(isnan(r->before.target_utilisation) && r->before.seconds == 6);
		if (r->episode == 0)
			continue;
		for (size_t n = 0; n < 2; n++)
			want_seen(&r->node[n]);
		for (size_t k = 0; k < i; k++) {
			if (p.play[k].repeat == r->repeat && p.play[k].episode == r->episode)
				assert_memory_equal(p.play[k].node[0].stress, r->node[0].stress,
				                    sizeof(r->node[0].stress));
		}
	}
	assert_int_equal(alone, 10);
	km_trial_setup_read(at->dir, &setup);
	assert_string_equal(setup.name, "t");
	assert_string_equal(setup.target, "fake/1");
	assert_true(setup.cpus >= 1 && setup.window_s == 6 && setup.model[0] == '\0');
	km_plays_fini(&p);
}

static void each_arm_chooses_as_it_says(void **state)
{
	struct place *at = *state;
	struct km_trial_result result;
	unsigned taken[6][2] = { { 0 } };
	struct km_err err;
	struct km_plays p;

	assert_int_equal(run(at, PLAN(""), &err), 0);
	read_plays(at, &p);
	for (size_t i = 0; i < p.count; i++) {
		const struct km_trial_record *r = &p.play[i];

		if (strcmp(r->arm, "least-cpu") == 0)
			assert_int_equal(r->placed[0], better_in(r));
		if (strcmp(r->arm, "spread") == 0)
			taken[r->repeat][r->placed[0]]++;
	}
	for (unsigned r = 1; r <= 5; r++)
		assert_true(taken[r][0] == 2 && taken[r][1] == 2);
	assert_int_equal(km_trial_summarise(&p, &result, NULL), 0);
	assert_int_equal(result.arms, 3);
	km_trial_result_fini(&result);
	km_plays_fini(&p);
}

/* Stopped at any call, the same command goes on, and the result is the one of a run in one piece.
 */
static void where_it_ended_it_goes_on(void **state)
{
	static const struct fake_failure failures[] = {
		{ "wait", 1, -EINTR },  { "wait", 7, -EINTR },     { "load", 1, -EINTR },
		{ "load", 30, -EINTR }, { "target", 9, -EINTR },   { "stress", 2, -EINTR },
		{ "open", 1, -ENOENT }, { "unstress", 5, -EINTR },
	};
	struct place *at = *state;
	struct km_err err;
	struct km_plays p;
	unsigned attempts = 0;

	for (size_t i = 0; i < KM_ARRAY_LEN(failures); i++) {
		int rc;

		fake.failure = failures[i];
		fake.calls = 0;
		rc = run(at, PLAN(""), &err);
		assert_true(rc == failures[i].rc || rc == 0);
		attempts += rc != 0;
		want_nothing_wrong();
		read_plays(at, &p);
		for (size_t k = 0; k < p.count; k++)
			assert_true(p.play[k].load.p99_ms > 0);
		assert_true(p.gated_count == 0);
		km_plays_fini(&p);
	}
	assert_in_range(attempts, 7, 8);
	fake.failure.rc = 0;
	assert_int_equal(run(at, PLAN(""), &err), 0);
	read_plays(at, &p);
	assert_int_equal(p.count, PLAYS);
	for (size_t i = 1; i < p.count; i++)
		assert_true(p.play[i].repeat > p.play[i - 1].repeat ||
		            p.play[i].order == p.play[i - 1].order + 1);
	km_plays_fini(&p);
	/* all there: nothing is played, the result is written again */
	fake.loads = 0;
	assert_int_equal(run(at, PLAN(""), &err), 0);
	assert_int_equal(fake.loads, 0);
}

static void choices_do_not_depend_on_when_it_was_stopped(void **state)
{
	struct place *at = *state;
	struct km_err err;
	struct km_plays whole;
	struct km_plays parts;
	char trial[96];

	assert_int_equal(run(at, PLAN(""), &err), 0);
	read_plays(at, &whole);
	(void)snprintf(trial, sizeof(trial), "%s/trial", at->dir);
	empty(trial);
	for (unsigned nth = 3; nth < 31; nth += 9) {
		fake.failure = (struct fake_failure){ "load", nth, -EINTR };
		fake.calls = 0;
		assert_int_equal(run(at, PLAN(""), &err), -EINTR);
	}
	fake.failure.rc = 0;
	assert_int_equal(run(at, PLAN(""), &err), 0);
	read_plays(at, &parts);
	assert_int_equal(whole.count, parts.count);
	for (size_t i = 0; i < whole.count; i++) {
		assert_string_equal(whole.play[i].arm, parts.play[i].arm);
		assert_int_equal(whole.play[i].placed[0], parts.play[i].placed[0]);
	}
	km_plays_fini(&whole);
	km_plays_fini(&parts);
}

static void a_gate_has_a_play_played_again(void **state)
{
	struct place *at = *state;
	struct km_err err;
	struct km_plays p;
	unsigned kept = 0;

	fake.foreign_cpus[2] = 0.5; /* before the second play's load */
	assert_int_equal(run(at, PLAN(""), &err), 0);
	read_plays(at, &p);
	assert_int_equal(p.count, PLAYS);
	assert_true(p.gated_count >= 1);
	assert_non_null(strstr(p.gated[0].gate, "foreign CPUs: saw 0.50"));
	assert_non_null(strstr(km_buf_cstr(&at->said), "does not count: foreign CPUs"));
	for (size_t i = 0; i < p.count; i++)
		kept += p.play[i].gate[0] != '\0';
	assert_int_equal(kept, 0);
	km_plays_fini(&p);
}

static void a_play_that_stays_gated_is_kept_and_marked(void **state)
{
	struct place *at = *state;
	struct km_err err;
	struct km_plays p;

	for (size_t i = 0; i < 64; i++)
		fake.foreign_cpus[i] = 0.5;
	assert_int_equal(run(at, PLAN("gates: {repeats: 1}\n"), &err), 0);
	read_plays(at, &p);
	assert_true(p.count == PLAYS && p.gated_count == PLAYS);
	for (size_t i = 0; i < p.count; i++)
		assert_true(p.play[i].gate[0] != '\0' && p.play[i].attempt == 2);
	km_plays_fini(&p);
}

static void a_gate_may_stop_the_trial(void **state)
{
	struct place *at = *state;
	struct km_err err;
	struct km_plays p;

	fake.foreign_cpus[4] = 0.5;
	assert_int_equal(run(at, PLAN("gates: {action: abort}\n"), &err), -ECANCELED);
	assert_non_null(strstr(err.text, "stopped at a gate: foreign CPUs"));
	read_plays(at, &p);
	assert_true(p.count == 2 && p.gated_count == 1);
	km_plays_fini(&p);
	fake.foreign_cpus[4] = 0;
	want_nothing_wrong();
}

/* A dead stressor, a generator that fails: kept as an attempt, and tried again. */
static void an_attempt_that_fails_is_kept_and_tried_again(void **state)
{
	static const struct fake_failure failures[] = {
		{ "stress", 2, -ECHILD }, { "load", 3, -EIO },        { "target", 2, -ETIMEDOUT },
		{ "wait", 4, -ECHILD },   { "unstress", 2, -ECHILD },
	};
	struct place *at = *state;
	struct km_err err;
	struct km_plays p;
	char trial[96];

	(void)snprintf(trial, sizeof(trial), "%s/trial", at->dir);
	for (size_t i = 0; i < KM_ARRAY_LEN(failures); i++) {
		char gated[128];

		fake_begin();
		fake.failure = failures[i];
		assert_int_equal(run(at, PLAN(""), &err), 0);
		want_nothing_wrong();
		read_plays(at, &p);
		assert_true(p.count == PLAYS && p.gated_count == 1);
		assert_non_null(strstr(p.gated[0].gate, "the fake's"));
		km_plays_fini(&p);
		(void)snprintf(gated, sizeof(gated), "%s/gated", trial);
		empty(gated);
		empty(trial);
	}
	fake_begin();
	fake.failure = (struct fake_failure){ "load", 3, -ENOSPC };
	assert_int_equal(run(at, PLAN(""), &err), -ENOSPC);
	want_nothing_wrong();
}

static void plays_of_another_plan_are_not_mixed_in(void **state)
{
	struct place *at = *state;
	struct km_err err;

	fake.failure = (struct fake_failure){ "load", 5, -EINTR };
	assert_int_equal(run(at, PLAN(""), &err), -EINTR);
	fake.failure.rc = 0;
	assert_int_equal(run(at, PLAN("seed: 2\n"), &err), -EEXIST);
	assert_non_null(strstr(err.text, "plays of another plan"));
	assert_int_equal(run(at, PLAN("gates: {repeats: 7}\n"), &err), 0);
}

static void no_trial_no_rig(void **state)
{
	struct place *at = *state;
	struct km_err err;

	assert_int_equal(run(at,
	                     "name: t\nnodes: [{name: node-a, cpus: 0}]\nmatrix: {on: [target]}\n",
	                     &err),
	                 -EINVAL);
	assert_non_null(strstr(err.text, "want two to choose from"));
	assert_int_equal(fake.opened, 0);
	assert_false(km_plays_there(at->dir));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(every_arm_plays_the_same_interference),
		TEST(each_arm_chooses_as_it_says),
		TEST(where_it_ended_it_goes_on),
		TEST(choices_do_not_depend_on_when_it_was_stopped),
		TEST(a_gate_has_a_play_played_again),
		TEST(a_play_that_stays_gated_is_kept_and_marked),
		TEST(a_gate_may_stop_the_trial),
		TEST(an_attempt_that_fails_is_kept_and_tried_again),
		TEST(plays_of_another_plan_are_not_mixed_in),
		TEST(no_trial_no_rig),
	};

	return cmocka_run_group_tests_name("experiment_trial", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trial's daemon, for real: started, asked, ended; one that runs already, by its URL; and what is
 * made of answers that do not help.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/experiment/daemon.h"
#include "km/experiment/trial.h"
#include "km/wire/pick.h"

#include "support/extender_case.h"
#include "support/fake_trial_rig.h"

#define MODEL "tests/fixtures/model/test.ubj"
#define PLAN(nodes)                                                                                \
	"name: t\ncollect: {interval: 100ms, sources: [os]}\nnodes:\n" nodes                       \
	"trial: {stressors: [cpu], levels: [50], window: 2s}\n"
#define REPLAYED "- {name: noisy, cpus: 0}\n- {name: quiet, cpus: 1}\n- {name: some, cpus: 2}\n"

static struct km_plan *plan_of(const char *text)
{
	struct km_err err = { .code = 0 };
	struct km_plan *p = NULL;

	if (km_plan_parse("p.yaml", text, strlen(text), &p, &err) != 0)
		fail_msg("%s", err.text);
	return p;
}

static void record_of(const struct km_plan *p, struct km_trial_record *r)
{
	km_trial_record_init(r);
	r->repeat = 1;
	r->episode = 1;
	r->attempt = 1;
	r->rps = 1000;
	r->replicas = 1;
	(void)snprintf(r->arm, sizeof(r->arm), "kubemarla");
	r->node_count = p->node_count;
	for (size_t i = 0; i < p->node_count; i++)
		(void)snprintf(r->node[i].name, sizeof(r->node[i].name), "%s", p->node[i].name);
}

static struct km_trial_daemon *start(const struct km_trial_daemon_options *o)
{
	struct km_err err = { .code = 0 };
	struct km_trial_daemon *d = NULL;

	if (km_trial_daemon_start(o, &d, &err) != 0)
		fail_msg("%s", err.text);
	return d;
}

static void choose(struct km_trial_daemon *d, struct km_trial_record *r)
{
	struct km_err err = { .code = 0 };
	struct km_rng luck;

	km_rng_init(&luck, 1);
	if (km_trial_daemon_choose(d, &luck, r, &err) != 0)
		fail_msg("%s", err.text);
}

static const char *url_of(const struct daemon *d)
{
	static char url[64];

	(void)snprintf(url, sizeof(url), "127.0.0.1:%d/", d->port);
	return url;
}

static void a_daemon_with_counters_sends_it_to_the_quiet_node(void **state)
{
	struct daemon *served = *state;
	struct km_plan *p = plan_of(PLAN(REPLAYED));
	struct km_trial_daemon_options o = { .plan = p };
	struct km_trial_daemon *d;
	struct km_trial_record r;
	double age_s;

	extender_start(served, EXTENDER_NODES EXTENDER_MODEL);
	o.url = url_of(served);
	d = start(&o);
	assert_non_null(strstr(km_trial_daemon_model(d), "("));
	assert_true(km_trial_daemon_window_s(d) > 2); /* the model's, not the plan's */
	assert_true(km_trial_daemon_bin_s(d) > 0);
	assert_int_equal(km_trial_daemon_age(d, &age_s, NULL), 0);
	assert_true(age_s >= 0 && age_s < 100);
	record_of(p, &r);
	choose(d, &r);
	assert_int_equal(r.placed[0], 1);
	assert_true(r.asked == 3 && r.failed == 0 && r.neutral == 0 && r.all_filtered == 0);
	assert_string_equal(r.trouble, "");
	assert_true(r.node[0].slowdown > r.node[2].slowdown);
	assert_true(r.node[2].slowdown > r.node[1].slowdown);
	assert_true(r.node[1].score > r.node[2].score && r.node[2].score > r.node[0].score);
	assert_true(r.node[1].low <= r.node[1].slowdown && r.node[1].age_s >= 0);
	/* two replicas are two pods of one service, asked about one after the other */
	record_of(p, &r);
	r.episode = 2;
	r.replicas = 2;
	choose(d, &r);
	assert_int_equal(r.asked, 5);
	assert_int_equal(r.placed[0], 1);
	km_trial_daemon_stop(d);
	km_plan_free(p);
}

/* Live counters of this machine have no tier that the test's model could use. */
static void a_started_one_answers_and_is_gone_afterwards(void **state)
{
	struct daemon *scratch = *state;
	struct km_plan *p = plan_of(PLAN("- {name: a, cpus: 0}\n- {name: b, cpus: 1}\n"));
	char program[256];
	const char *const groups[] = { "", "" };
	const struct km_trial_daemon_options o = { .plan = p,
		                                   .program = program,
		                                   .model = MODEL,
		                                   .scratch_dir = scratch->dir,
		                                   .group = groups };
	struct km_trial_daemon *d;
	struct km_trial_record r;
	char url[96];
	double age_s;

	(void)snprintf(program, sizeof(program), "%s/kubemarlad",
	               getenv("KM_BUILD") != NULL ? getenv("KM_BUILD") : "build"); /* NOLINT */
	d = start(&o);
	(void)snprintf(url, sizeof(url), "%s", km_trial_daemon_url(d));
	assert_int_equal(strncmp(url, "http://127.0.0.1:", 17), 0);
	assert_int_equal(km_trial_daemon_age(d, &age_s, NULL), 0);
	record_of(p, &r);
	choose(d, &r);
	assert_true(r.asked == 3 && r.failed == 0 && r.neutral == 1);
	assert_true(isnan(r.node[0].slowdown) && r.node[0].score == r.node[1].score);
	assert_in_range(r.placed[0], 0, 1);
	km_trial_daemon_stop(d);
	{
		const struct km_trial_daemon_options gone = { .plan = p, .url = url };
		struct km_err err = { .code = 0 };

		assert_int_equal(km_trial_daemon_start(&gone, &d, &err), -ECONNREFUSED);
		assert_null(d);
	}
	km_plan_free(p);
}

static void one_that_dies_ends_the_trial_and_says_so(void **state)
{
	struct daemon *served = *state;
	struct km_plan *p = plan_of(PLAN(REPLAYED));
	struct km_trial_daemon_options o = { .plan = p };
	struct km_trial_daemon *d;
	struct km_trial_record r;

	extender_start(served, EXTENDER_NODES EXTENDER_MODEL);
	o.url = url_of(served);
	d = start(&o);
	daemon_signal(served, SIGKILL);
	(void)daemon_exit_code(served);
	/* Not ours to watch: no answer, which is counted, and luck chooses. */
	record_of(p, &r);
	choose(d, &r);
	assert_true(r.failed == 2 && r.asked == 2);
	assert_true(r.trouble[0] != '\0' && isnan(r.node[0].score));
	assert_in_range(r.placed[0], 0, 2);
	km_trial_daemon_stop(d);
	km_plan_free(p);
}

static void what_cannot_serve_a_trial_is_refused(void **state)
{
	struct daemon *served = *state;
	struct km_plan *strange = plan_of(PLAN("- {name: a, cpus: 0}\n- {name: b, cpus: 1}\n"));
	struct km_trial_daemon_options o = { .plan = strange, .scratch_dir = served->dir };
	struct km_err err = { .code = 0 };
	struct km_trial_daemon *d;

	assert_int_equal(km_trial_daemon_start(&o, &d, &err), -ENOENT);
	o.program = "no-such-kubemarlad";
	assert_int_equal(km_trial_daemon_start(&o, &d, &err), -ENOENT);
	assert_non_null(strstr(err.text, "no-such-kubemarlad"));
	o.program = "/bin/false";
	o.model = MODEL;
	assert_int_equal(km_trial_daemon_start(&o, &d, &err), -ECHILD);
	assert_non_null(strstr(err.text, "kubemarlad ended"));
	extender_start(served, EXTENDER_NODES EXTENDER_MODEL);
	o.url = url_of(served);
	assert_int_equal(km_trial_daemon_start(&o, &d, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "does not know node a"));
	km_plan_free(strange);
}

static void one_without_a_model_is_refused(void **state)
{
	struct daemon *served = *state;
	struct km_plan *p = plan_of(PLAN(REPLAYED));
	struct km_trial_daemon_options o = { .plan = p };
	struct km_err err = { .code = 0 };
	struct km_trial_daemon *d;

	extender_start(served, EXTENDER_NODES "model: {path: \"@DIR@/none.ubj\"}\n");
	o.url = url_of(served);
	assert_int_equal(km_trial_daemon_start(&o, &d, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "has no model"));
	km_plan_free(p);
}

static void plays_by_another_model(struct km_plays *plays, const char *dir)
{
	struct km_trial_record r;
	size_t i = 0;

	while (i < plays->count && plays->play[i].model[0] == '\0')
		i++;
	assert_true(i < plays->count);
	r = plays->play[i];
	(void)snprintf(r.model, sizeof(r.model), "another (one)");
	assert_int_equal(km_plays_add(plays, dir, &r, NULL), 0);
}

/* What the page says of the model comes from there. */
static void assert_model_is_kept(const char *dir)
{
	char path[160];
	struct km_json_slice whole;
	struct km_buf text;

	(void)snprintf(path, sizeof(path), "%s/trial/model.json", dir);
	km_buf_init(&text);
	assert_int_equal(km_file_read(path, 1u << 20, &text, NULL), 0);
	assert_int_equal(km_json_whole(text.data, text.len, &whole, NULL), 0);
	assert_int_equal(km_json_pick(&whole, "loaded").kind, KM_JSON_TRUE);
	assert_int_equal(km_json_pick(&whole, "windowSeconds").kind, KM_JSON_NUMBER);
	km_buf_fini(&text);
}

/* The whole loop but for the rig: what the daemon says is what is done. */
static void in_a_trial_the_arm_follows_the_daemon(void **state)
{
	static const char text[] =
		"name: t\ncollect: {interval: 100ms, sources: [os]}\n"
		"nodes: [{name: noisy, cpus: 0}, {name: quiet, cpus: 1}]\n"
		"trial: {repeats: 1, episodes: 2, arms: [least-cpu, kubemarla], stressors: [cpu], "
		"levels: [50], window: 2s}\n";
	struct daemon *served = *state;
	struct km_plan *p = plan_of(text);
	struct km_trial_options o = {
		.plan = p,
		.plan_text = text,
		.plan_len = strlen(text),
		.scratch_dir = served->dir,
		.self = "",
		.version = "test",
		.clock = &fake_clock,
		.stop_fd = -1,
	};
	struct km_err err = { .code = 0 };
	struct km_plays plays;
	char dir[128];
	unsigned asked = 0;

	fake_begin();
	extender_start(served, EXTENDER_NODES EXTENDER_MODEL);
	o.daemon_url = url_of(served);
	(void)snprintf(dir, sizeof(dir), "%s/out", served->dir);
	o.dir = dir;
	if (km_trial_run(&o, &err) != 0)
		fail_msg("%s", err.text);
	assert_model_is_kept(dir);
	assert_true(fake.adopted == 0 && fake.window_before_stress == 0);
	assert_int_equal(km_plays_read(dir, &plays, NULL), 0);
	assert_int_equal(plays.count, 2 * 2 + 2);
	for (size_t i = 0; i < plays.count; i++) {
		const struct km_trial_record *r = &plays.play[i];

		/* everybody waits for the model's window, which is longer than the plan's */
		assert_true(r->window_s > 2 && r->before.seconds >= r->window_s);
		assert_int_equal(r->stale, 0);
		asked += r->asked;
		if (strcmp(r->arm, "kubemarla") != 0)
			continue;
		assert_string_equal(r->node[r->placed[0]].name, "quiet");
		assert_true(r->asked == 3 && r->neutral == 0 && r->node[0].slowdown > 1);
	}
	assert_int_equal(asked, 2 * 3);
	/* all are there, and by the same model; what another one has chosen is not gone on with */
	fake.loads = 0;
	assert_int_equal(km_trial_run(&o, &err), 0);
	assert_int_equal(fake.loads, 0);
	plays_by_another_model(&plays, dir);
	assert_int_equal(km_trial_run(&o, &err), -EEXIST);
	assert_non_null(strstr(err.text, "plays by model another (one), and this is "));
	km_plays_fini(&plays);
	km_plan_free(p);
	(void)snprintf(dir, sizeof(dir), "rm -rf '%s/out'", served->dir);
	assert_int_equal(system(dir), 0); /* NOLINT(cert-env33-c,concurrency-mt-unsafe) */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_set_up, daemon_tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(a_daemon_with_counters_sends_it_to_the_quiet_node),
		TEST(a_started_one_answers_and_is_gone_afterwards),
		TEST(one_that_dies_ends_the_trial_and_says_so),
		TEST(what_cannot_serve_a_trial_is_refused),
		TEST(one_without_a_model_is_refused),
		TEST(in_a_trial_the_arm_follows_the_daemon),
	};

	return cmocka_run_group_tests_name("trial_daemon", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* experiment: from plays to numbers and verdicts, against worlds whose truth is known. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "km/experiment/trial_report.h"

#include "support/trial_world.h"

static void summarise(const struct km_plays *p, struct km_trial_result *r)
{
	struct km_err err = { .code = 0 };

	if (km_trial_summarise(p, r, &err) != 0)
		fail_msg("%s", err.text);
}

static const struct km_trial_arm *arm_of(const struct km_trial_result *r, const char *name)
{
	for (size_t a = 0; a < r->arms; a++) {
		if (strcmp(r->arm[a].name, name) == 0)
			return &r->arm[a];
	}
	fail_msg("no arm %s", name);
	return NULL;
}

static const struct km_trial_versus *against(const struct km_trial_result *r, const char *name)
{
	for (size_t i = 0; i < r->versus_count; i++) {
		if (strcmp(r->arm[r->versus[i].arm].name, name) == 0)
			return &r->versus[i];
	}
	fail_msg("nothing against %s", name);
	return NULL;
}

static void numbers_are_those_worked_out_by_hand(void **state)
{
	struct km_trial_result r;
	const struct km_trial_arm *a;
	struct km_plays p;

	(void)state;
	km_plays_init(&p);
	world_add(&p, world_play(1, 0, KM_TRIAL_ALONE, 0, 0, 0.5));
	world_add(&p, world_play(2, 0, KM_TRIAL_ALONE, 0, 0, 0.3));
	world_add(&p, world_play(1, 1, "kubemarla", 0, 1, 1));
	world_add(&p, world_play(1, 1, "random", 0, 0, 4));
	world_add(&p, world_play(2, 1, "kubemarla", 1, 1, 8));
	world_add(&p, world_play(2, 1, "random", 1, 0, 2));
	world_add(&p, world_play(2, 2, "random", 1, 0, 1.6));
	summarise(&p, &r);
	assert_true(r.plays == 7 && r.repeats == 2 && r.episodes == 3 && r.nodes == 2);
	assert_true(r.arms == 2 && r.versus_count == 1);
	assert_string_equal(r.arm[0].name, "kubemarla");
	assert_true(r.alone_plays[0] == 2 && fabs(r.alone_ms[0] - 0.4) < 1e-12);
	assert_true(r.alone_plays[1] == 0 && isnan(r.alone_ms[1]));
	a = arm_of(&r, "random");
	assert_true(a->plays == 3 && fabs(a->mean_ms - 7.6 / 3) < 1e-12 && a->median_ms == 2);
	assert_true(fabs(a->slowdown - cbrt(10 * 5 * 4)) < 1e-9); /* all of them on node-a */
	assert_true(a->judged == 3 && a->violations == 1);        /* 2 is not beyond 2 */
	assert_true(a->chosen[0] == 3 && a->chosen[1] == 0);
	assert_true(a->replicas == 3 && a->on_stressed == 1);
	/* the third episode has one node alone: nothing to compare */
	assert_true(a->comparable == 2 && a->right == 1);
	assert_true(fabs(a->regret - (sqrt(4) - 1)) < 1e-12);
	a = arm_of(&r, "kubemarla");
	assert_true(isnan(a->slowdown) && a->violations == 1 && a->on_stressed == 1);
	assert_true(a->comparable == 2 && a->right == 1);
	assert_true(r.versus[0].all.pairs == 2 && r.versus[0].all.clusters == 2);
	assert_true(fabs(r.versus[0].all.mean - log(0.25 * 4) / 2) < 1e-12);
	assert_int_equal(r.versus[0].all.verdict, KM_VERDICT_TOO_FEW);
	km_trial_result_fini(&r);
	km_plays_fini(&p);
}

static void a_gated_play_alone_counts_only_where_there_is_no_other(void **state)
{
	struct km_trial_result r;
	struct km_plays p;

	(void)state;
	km_plays_init(&p);
	world_add(&p, world_play(1, 0, KM_TRIAL_ALONE, 0, 0, 9));
	world_add(&p, world_play(1, 0, KM_TRIAL_ALONE, 0, 1, 7));
	(void)snprintf(p.play[0].gate, sizeof(p.play[0].gate), "foreign CPUs");
	(void)snprintf(p.play[1].gate, sizeof(p.play[1].gate), "foreign CPUs");
	world_add(&p, world_play(2, 0, KM_TRIAL_ALONE, 0, 0, 0.5));
	summarise(&p, &r);
	assert_true(r.alone_plays[0] == 1 && r.alone_ms[0] == 0.5);
	assert_true(r.alone_plays[1] == 1 && r.alone_ms[1] == 7);
	km_trial_result_fini(&r);
	km_plays_fini(&p);
}

static void a_difference_that_is_there_is_shown(void **state)
{
	struct km_trial_result r;
	struct km_plays p;

	(void)state;
	world_fill(&p, 8, 0.1);
	summarise(&p, &r);
	assert_int_equal(against(&r, "random")->all.verdict, KM_VERDICT_LOWER);
	assert_true(against(&r, "random")->all.pairs == 32);
	assert_true(arm_of(&r, "kubemarla")->right == arm_of(&r, "kubemarla")->comparable);
	assert_true(arm_of(&r, "kubemarla")->on_stressed == 0);
	assert_in_range(arm_of(&r, "random")->on_stressed, 6, 26);
	assert_true(fabs(arm_of(&r, "kubemarla")->slowdown - 1) < 0.1);
	km_trial_result_fini(&r);
	km_plays_fini(&p);
}

/* Two arms that always choose alike differ by noise alone. */
static void where_there_is_none_none_is_shown(void **state)
{
	unsigned shown = 0;

	(void)state;
	for (unsigned repeats = 5; repeats <= 10; repeats++) {
		struct km_trial_result r;
		struct km_plays p;

		world_fill(&p, repeats, 0.3);
		summarise(&p, &r);
		shown += against(&r, "least-cpu")->all.verdict != KM_VERDICT_NONE;
		assert_true(arm_of(&r, "least-cpu")->on_stressed == 0);
		km_trial_result_fini(&r);
		km_plays_fini(&p);
	}
	assert_in_range(shown, 0, 1);
}

static void the_same_plays_give_the_same_bits(void **state)
{
	struct km_trial_result r;
	struct km_plays p;
	struct km_buf text[2];

	(void)state;
	world_fill(&p, 6, 0.2);
	for (size_t i = 0; i < 2; i++) {
		km_buf_init(&text[i]);
		summarise(&p, &r);
		km_trial_result_json(&r, &text[i]);
		km_trial_result_fini(&r);
	}
	assert_true(text[0].len == text[1].len && text[0].len > 500);
	assert_memory_equal(text[0].data, text[1].data, text[0].len);
	km_buf_clear(&text[1]);
	for (size_t i = 0; i < p.count; i++)
		p.play[i].plan_hash = 0x1235; /* another plan draws otherwise */
	summarise(&p, &r);
	km_trial_result_json(&r, &text[1]);
	km_trial_result_fini(&r);
	assert_true(text[0].len != text[1].len ||
	            memcmp(text[0].data, text[1].data, text[0].len) != 0);
	km_buf_fini(&text[0]);
	km_buf_fini(&text[1]);
	km_plays_fini(&p);
}

static bool says(const struct km_buf *text, const char *part)
{
	return memmem(text->data, text->len, part, strlen(part)) != NULL;
}

/* Whatever speaks against a result stands beside it. */
static void what_speaks_against_it_is_said(void **state)
{
	struct km_trial_setup setup;
	struct km_trial_result r;
	struct km_plays p;
	struct km_buf text;

	(void)state;
	world_fill(&p, 6, 0.2);
	for (size_t i = 0; i < p.count; i++) {
		struct km_trial_record *play = &p.play[i];

		if (play->repeat == 2 && strcmp(play->arm, "kubemarla") == 0) {
			(void)snprintf(play->gate, sizeof(play->gate), "foreign CPUs");
			play->asked = 3;
			play->failed = 1;
			play->neutral = 1;
			play->stale = 1;
			play->all_filtered = 1;
			play->saturated = true;
			play->load.errors = 7;
			play->served_difference = -0.2;
		}
	}
	p.unreadable = 1;
	(void)km_err_set(&p.why, EBADMSG, "r1__x.json: no JSON object");
	summarise(&p, &r);
	assert_true(r.kept == 4 && r.failed == 4 && r.neutral == 4 && r.stale == 4);
	assert_true(r.asked == 12 && r.all_filtered == 4 && r.saturated == 4);
	assert_true(r.with_errors == 4 && r.served_apart == 4 && r.unreadable == 1);
	assert_true(against(&r, "random")->all.pairs == 24);
	assert_true(against(&r, "random")->clean.pairs == 20);
	km_trial_setup_init(&setup);
	(void)snprintf(setup.name, sizeof(setup.name), "os-nginx");
	km_buf_init(&text);
	km_trial_result_text(&r, &setup, "kubemarla-lab report DIR", &text);
	assert_true(says(&text, "os-nginx: 84 plays, 24 episodes in 6 repeats on 2 nodes"));
	assert_true(says(&text, "kubemarla against random: p99 -"));
	assert_true(says(&text, "(without marked plays: "));
	assert_true(says(&text, "4 are kept although a gate speaks against them"));
	assert_true(says(&text, "12 requests, 4 without a usable answer"));
	assert_true(says(&text, "in 4 plays the target's CPUs"));
	assert_true(says(&text, "1 files could not be read and do not count; the first: r1__x"));
	assert_true(says(&text, "the same from the recorded plays: kubemarla-lab report DIR"));
	km_buf_fini(&text);
	km_trial_result_fini(&r);
	km_plays_fini(&p);
}

static void nothing_played_is_no_result(void **state)
{
	struct km_err err = { .code = 0 };
	struct km_trial_result r;
	struct km_plays p;

	(void)state;
	km_plays_init(&p);
	assert_int_equal(km_trial_summarise(&p, &r, &err), -ENODATA);
	assert_non_null(strstr(err.text, "nothing was played yet"));
	p.unreadable = 2;
	assert_int_equal(km_trial_summarise(&p, &r, &err), -ENODATA);
	assert_non_null(strstr(err.text, "not one play that can be read"));
}

static void replicas_on_two_nodes_have_no_one_node(void **state)
{
	struct km_trial_record split = world_play(1, 1, "kubemarla", 0, 1, 1);
	struct km_trial_result r;
	struct km_plays p;

	(void)state;
	split.replicas = 2;
	split.placed[1] = 0;
	km_plays_init(&p);
	world_add(&p, world_play(1, 0, KM_TRIAL_ALONE, 0, 0, 0.2));
	world_add(&p, world_play(1, 0, KM_TRIAL_ALONE, 0, 1, 0.8));
	world_add(&p, split);
	world_add(&p, world_play(1, 1, "random", 0, 0, 4));
	summarise(&p, &r);
	assert_true(fabs(km_trial_alone_ms(&r, &split) - 0.4) < 1e-12);
	assert_true(arm_of(&r, "kubemarla")->comparable == 0);
	assert_true(isnan(arm_of(&r, "kubemarla")->regret));
	assert_true(arm_of(&r, "kubemarla")->replicas == 2);
	assert_true(arm_of(&r, "kubemarla")->on_stressed == 1);
	km_trial_result_fini(&r);
	km_plays_fini(&p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_those_worked_out_by_hand),
		cmocka_unit_test(a_gated_play_alone_counts_only_where_there_is_no_other),
		cmocka_unit_test(a_difference_that_is_there_is_shown),
		cmocka_unit_test(where_there_is_none_none_is_shown),
		cmocka_unit_test(the_same_plays_give_the_same_bits),
		cmocka_unit_test(what_speaks_against_it_is_said),
		cmocka_unit_test(nothing_played_is_no_result),
		cmocka_unit_test(replicas_on_two_nodes_have_no_one_node),
	};

	return cmocka_run_group_tests_name("experiment_trial_result", tests, NULL, NULL);
}
